/* SPDX-License-Identifier: Apache-2.0 */
/* The published data sets: official names of files, and what is a label in each. */
#include "experiment/recipe_int.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* "18 of 20; missing: ..." */
static char *count_text(size_t n, size_t of, const char *unit, const struct dune_buf *missing)
{
    if (missing && missing->len)
        return dune_mem_printf("%zu of %zu %s; missing: %s", n, of, unit, missing->data);
    return of ? dune_mem_printf("%zu of %zu %s", n, of, unit) : dune_mem_printf("%zu %s", n, unit);
}

/* --- UNSW IoT traces: one capture a day, and a list of devices ------------------------------------------- */

static const char *const unsw_days[] = {
    "16-09-23", "16-09-24", "16-09-25", "16-09-26", "16-09-27", "16-09-28", "16-09-29", "16-09-30", "16-10-01", "16-10-02",
    "16-10-03", "16-10-04", "16-10-05", "16-10-06", "16-10-07", "16-10-08", "16-10-09", "16-10-10", "16-10-11", "16-10-12"};

static void look_unsw(struct dune_recipe *r)
{
    const size_t n_days = DUNE_ARRAY_LEN(unsw_days);
    bool day[DUNE_ARRAY_LEN(unsw_days)] = {false};
    struct dune_buf missing = {0};
    const char *list = NULL;
    size_t there = 0;

    for (size_t i = 0; i < r->files.len; i++) {
        const char *base = dune_path_base(r->files.data[i]);

        if (strcasecmp(base, "List_Of_Devices.txt") == 0 || strcasecmp(base, "list_of_devices.csv") == 0)
            list = r->files.data[i];
        for (size_t k = 0; k < n_days && recipe_is_capture(base); k++)
            if (strncmp(base, unsw_days[k], 8) == 0 && !day[k]) {
                day[k] = true;
                recipe_use(r, r->files.data[i]);
            }
    }
    for (size_t k = 0; k < n_days; k++) {
        there += day[k];
        if (!day[k])
            recipe_list(&missing, unsw_days[k]);
    }
    if (list)
        recipe_label(r, list);
    recipe_item(r, list, "device list", "List_Of_Devices.txt",
                list ? dune_mem_strdup(recipe_below(r, list)) : dune_mem_strdup("missing"));
    recipe_item(r, there >= 2, "captures", "16-09-23.pcap to 16-10-12.pcap, one a day (2 or more)",
                count_text(there, n_days, "days", &missing));
    dune_buf_fini(&missing);
}

/* --- ToN-IoT: lists of flows, and the captures they were made from ------------------------------------------ */

enum { TON_FILES = 23 };
static const char *const ton_columns[] = {"ts", "src_ip", "src_port", "dst_ip", "dst_port", "proto", "duration", "label", "type",
                                          NULL};

static void look_ton(struct dune_recipe *r)
{
    bool part[TON_FILES + 1] = {false};
    struct dune_buf missing = {0};
    bool without_time = false;
    size_t there = 0;

    for (size_t i = 0; i < r->files.len; i++) {
        const char *base = dune_path_base(r->files.data[i]);
        unsigned k = 0;
        int end = 0;

        if (recipe_is_capture(base))
            recipe_use(r, r->files.data[i]);
        without_time |= strncasecmp(base, "train_test_network", 18) == 0;
        if (sscanf(base, "Network_dataset_%u.csv%n", &k, &end) != 1 || base[end] || !end || k < 1 || k > TON_FILES || part[k])
            continue;
        part[k] = true;
        there++;
        recipe_label(r, r->files.data[i]);
    }
    for (unsigned k = 1; k <= TON_FILES; k++)
        if (!part[k]) {
            char name[32];

            snprintf(name, sizeof(name), "_%u", k);
            recipe_list(&missing, name);
        }
    recipe_item(r, there > 0, "flow lists", "Network_dataset_1.csv to Network_dataset_23.csv (Processed_Network_dataset), with ts, "
                "src_ip, src_port, dst_ip, dst_port, proto, duration, label, type",
                there == 0 && without_time
                    ? dune_mem_strdup("only Train_Test_Network.csv, which has no times and no complete list: not usable")
                    : count_text(there, TON_FILES, "files", &missing));
    recipe_item(r, r->captures.len > 0, "captures", "the .pcap files of the raw network data, in any directories (names are not "
                "checked)", count_text(r->captures.len, 0, "captures", NULL));
    dune_buf_fini(&missing);
}

/* --- CIC IoT 2023: a directory of captures per attack --------------------------------------------------------- */

static const char *const cic_classes[] = {
    "Backdoor_Malware", "Benign_Final", "BrowserHijacking", "CommandInjection", "DDoS-ACK_Fragmentation", "DDoS-HTTP_Flood",
    "DDoS-ICMP_Flood", "DDoS-ICMP_Fragmentation", "DDoS-PSHACK_Flood", "DDoS-RSTFINFlood", "DDoS-SYN_Flood", "DDoS-SlowLoris",
    "DDoS-SynonymousIP_Flood", "DDoS-TCP_Flood", "DDoS-UDP_Flood", "DDoS-UDP_Fragmentation", "DNS_Spoofing",
    "DictionaryBruteForce", "DoS-HTTP_Flood", "DoS-SYN_Flood", "DoS-TCP_Flood", "DoS-UDP_Flood", "MITM-ArpSpoofing",
    "Mirai-greeth_flood", "Mirai-greip_flood", "Mirai-udpplain", "Recon-HostDiscovery", "Recon-OSScan", "Recon-PingSweep",
    "Recon-PortScan", "SqlInjection", "Uploading_Attack", "VulnerabilityScan", "XSS"};

/* The last directory of a path below the recipe's; false: there is none. */
static bool last_dir(const char *path, char *out, size_t out_bytes)
{
    const char *base = dune_path_base(path), *from;

    if (base == path)
        return false;
    for (from = base - 1; from > path && from[-1] != '/'; from--)
        ;
    snprintf(out, out_bytes, "%.*s", (int)(base - 1 - from), from);
    return out[0] != '\0';
}

static void look_cic(struct dune_recipe *r)
{
    const size_t n = DUNE_ARRAY_LEN(cic_classes);
    size_t files[DUNE_ARRAY_LEN(cic_classes)] = {0}, there = 0, other = 0;
    struct dune_buf missing = {0};

    for (size_t i = 0; i < r->files.len; i++) {
        const char *below = recipe_below(r, r->files.data[i]);
        char dir[256], *tail;
        size_t k = 0;

        if (!recipe_is_capture(below))
            continue;
        while (k < n && (!last_dir(below, dir, sizeof(dir)) || strcasecmp(dir, cic_classes[k]) != 0))
            k++;
        other += k == n;
        if (k == n)
            continue;
        files[k]++;
        recipe_use(r, r->files.data[i]);
        tail = dune_mem_printf("%s/%s", dir, dune_path_base(below));
        recipe_class(r, tail, k == 1 ? "Benign" : cic_classes[k]);
        dune_mem_free(tail);
    }
    for (size_t k = 0; k < n; k++) {
        there += files[k] > 0;
        if (!files[k])
            recipe_list(&missing, cic_classes[k]);
    }
    recipe_item(r, there >= 2, "captures", "a directory per class, named like Benign_Final or DDoS-SYN_Flood, with its .pcap files (2 "
                "classes or more)", count_text(there, n, "classes", &missing));
    if (other)
        recipe_item(r, true, "other captures", "(not used)", dune_mem_printf("%zu in no such directory", other));
    dune_buf_fini(&missing);
}

/* --- IoT-23: scenarios with a capture and a labelled log of Zeek ------------------------------------------------ */

enum { MAX_SCENARIOS = 64 };

static bool scenario_of(const char *below, char *out, size_t out_bytes)
{
    const char *p = strstr(below, "CTU-");
    size_t n = p ? strcspn(p, "/") : 0;

    if (!p || !p[n] || n >= out_bytes || !strstr(p, "Capture"))
        return false;
    snprintf(out, out_bytes, "%.*s", (int)n, p);
    return true;
}

struct scenario {
    char name[64];
    size_t captures, logs;
};

static void look_iot23(struct dune_recipe *r)
{
    struct scenario s[MAX_SCENARIOS];
    size_t n = 0, whole = 0;
    struct dune_buf no_log = {0}, no_capture = {0};

    for (int pass = 0; pass < 2; pass++) /* what is there; then what is used: scenarios with both */
        for (size_t i = 0; i < r->files.len; i++) {
            const char *below = recipe_below(r, r->files.data[i]);
            bool log = strcmp(dune_path_base(below), "conn.log.labeled") == 0, capture = recipe_is_capture(below);
            char name[64];
            size_t k = 0;

            if ((!log && !capture) || !scenario_of(below, name, sizeof(name)))
                continue;
            while (k < n && strcmp(s[k].name, name) != 0)
                k++;
            if (k == MAX_SCENARIOS)
                continue;
            if (k == n) {
                s[n] = (struct scenario){.captures = 0};
                memcpy(s[n++].name, name, sizeof(name));
            }
            if (pass == 0) {
                s[k].captures += capture;
                s[k].logs += log;
            } else if (s[k].captures && s[k].logs && log) {
                recipe_label(r, r->files.data[i]);
            } else if (s[k].captures && s[k].logs) {
                recipe_use(r, r->files.data[i]);
            }
        }
    for (size_t k = 0; k < n; k++) {
        whole += s[k].captures && s[k].logs;
        if (!s[k].logs)
            recipe_list(&no_log, s[k].name);
        if (!s[k].captures)
            recipe_list(&no_capture, s[k].name);
    }
    recipe_item(r, whole > 0, "scenarios", "CTU-IoT-Malware-Capture-N-1/ and CTU-Honeypot-Capture-N-1/, each with its .pcap and "
                "bro/conn.log.labeled (the full version of IoT-23; the lighter one has no captures)",
                count_text(whole, 23, "scenarios with both", NULL));
    if (no_log.len)
        recipe_item(r, true, "without a log", "bro/conn.log.labeled", dune_mem_printf("left out: %s", no_log.data));
    if (no_capture.len)
        recipe_item(r, true, "without a capture", "*.pcap", dune_mem_printf("left out: %s", no_capture.data));
    dune_buf_fini(&no_log);
    dune_buf_fini(&no_capture);
}

/* --- USTC-TFC2016: a capture per application or malware family, some in parts ------------------------------------ */

static const char *const ustc_classes[] = {
    "BitTorrent", "FTP", "Facetime", "Gmail", "MySQL", "Outlook", "SMB", "Skype", "Weibo", "WorldOfWarcraft",
    "Cridex", "Geodo", "Htbot", "Miuref", "Neris", "Nsis-ay", "Shifu", "Tinba", "Virut", "Zeus"};

/* CLASS.pcap or CLASS-NUMBER.pcap; "" for other names. */
static const char *ustc_class(const char *base)
{
    for (size_t k = 0; k < DUNE_ARRAY_LEN(ustc_classes); k++) {
        size_t n = strlen(ustc_classes[k]);
        const char *rest = base + n;

        if (strncasecmp(base, ustc_classes[k], n) != 0)
            continue;
        if (rest[0] == '-' && isdigit((unsigned char)rest[1]))
            for (rest++; isdigit((unsigned char)*rest); rest++)
                ;
        if (*rest == '.')
            return ustc_classes[k];
    }
    return "";
}

static void look_ustc(struct dune_recipe *r)
{
    const size_t n = DUNE_ARRAY_LEN(ustc_classes);
    size_t files[DUNE_ARRAY_LEN(ustc_classes)] = {0}, there = 0;
    struct dune_buf missing = {0}, packed = {0};

    for (size_t i = 0; i < r->files.len; i++) {
        const char *base = dune_path_base(r->files.data[i]), *cls = ustc_class(base);
        size_t len = strlen(base);

        if (*cls && len > 3 && strcasecmp(base + len - 3, ".7z") == 0)
            recipe_list(&packed, base);
        if (!*cls || !recipe_is_capture(base))
            continue;
        for (size_t k = 0; k < n; k++)
            files[k] += ustc_classes[k] == cls;
        recipe_use(r, r->files.data[i]);
        recipe_class(r, base, cls);
    }
    for (size_t k = 0; k < n; k++) {
        there += files[k] > 0;
        if (!files[k])
            recipe_list(&missing, ustc_classes[k]);
    }
    recipe_item(r, there >= 2, "captures", "Benign/ and Malware/ with a .pcap per class, some in parts (SMB-1.pcap, Weibo-1.pcap ...); 2 "
                "classes or more", count_text(there, n, "classes", &missing));
    if (packed.len)
        recipe_item(r, true, "packed captures", "(unpack them with 7z)", dune_mem_printf("not used: %s", packed.data));
    dune_buf_fini(&missing);
    dune_buf_fini(&packed);
}

const struct recipe_kind recipe_kinds[] = {
    {.name = "unsw",
     .title = "UNSW IoT traffic traces: devices of a smart home",
     .source = "https://iotanalytics.unsw.edu.au/iottraces",
     .remark = "A packet belongs to the device that sends it, or to which the gateway sends it.",
     .look = look_unsw},
    {.name = "ton-iot",
     .title = "ToN-IoT network data: attacks and normal traffic",
     .source = "https://research.unsw.edu.au/projects/toniot-datasets",
     .remark = "The class is the column type of the flow lists; both directions of a flow have it.",
     .columns = ton_columns,
     .look = look_ton},
    {.name = "cic-iot-2023",
     .title = "CIC IoT data set 2023: 33 attacks and benign traffic",
     .source = "https://www.unb.ca/cic/datasets/iotdataset-2023.html",
     .remark = "All of a capture has the class of its directory, background traffic included; ICMP and GRE are no TCP or UDP.",
     .look = look_cic},
    {.name = "iot-23",
     .title = "Aposemat IoT-23: malware on IoT devices",
     .source = "https://www.stratosphereips.org/datasets-iot23",
     .remark = "The class is the detailed label of Zeek's log, else its label (Benign).",
     .label_field = "detailed-label,label",
     .look = look_iot23},
    {.name = "ustc",
     .title = "USTC-TFC2016: applications and malware families",
     .source = "https://github.com/yungshenglu/USTC-TFC2016",
     .remark = "All of a capture has the class of its name; each family was recorded in its own setting.",
     .look = look_ustc},
    {.name = NULL},
};
