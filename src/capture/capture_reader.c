/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/capture_int.h"

#include <sys/mman.h>

enum { PCAP_HEADER = 24, PCAP_RECORD = 16 };
#define MAGIC_US 0xa1b2c3d4u
#define MAGIC_NS 0xa1b23c4du
#define MAGIC_MODIFIED 0xa1b2cd34u
#define MAGIC_PCAPNG 0x0a0d0d0au /* reads the same in both byte orders */

bool capture_magic_known(const uint8_t *data, size_t len)
{
    uint32_t m, s;

    if (len < 4)
        return false;
    m = load32(data, false);
    s = load32(data, true);
    return m == MAGIC_US || s == MAGIC_US || m == MAGIC_NS || s == MAGIC_NS || m == MAGIC_PCAPNG;
}

static const char *link_name(uint32_t link)
{
    static const struct {
        uint32_t link;
        const char *name;
    } known[] = {{0, "BSD loopback"},      {9, "PPP"},           {12, "raw IP"},
                 {101, "raw IP"},          {105, "802.11"},      {113, "Linux cooked"},
                 {119, "802.11 Prism"},    {127, "802.11 radiotap"}, {195, "802.15.4"},
                 {228, "raw IPv4"},        {229, "raw IPv6"},    {276, "Linux cooked v2"}};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(known); i++)
        if (known[i].link == link)
            return known[i].name;
    return "not Ethernet";
}

int capture_bad_link(const struct dune_reader *r, uint32_t link, uint64_t at, struct dune_diag *d)
{
    return dune_diag_set_offset(d, DUNE_E_INPUT, r->name, at,
                                "link type %u (%s): only Ethernet captures can be read; capture on "
                                "an Ethernet interface, not on \"any\" or a tunnel",
                                link, link_name(link));
}

/* What a foreign file probably is, to say what to do with it. */
static const char *foreign_hint(const uint8_t *p, size_t n)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *hint;
    } known[] = {{"\xfd" "7zXZ", 5, "it is packed with xz: unpack it first"},
                 {"BZh", 3, "it is packed with bzip2: unpack it first"},
                 {"\x04\x22\x4d\x18", 4, "it is packed with lz4: unpack it first"},
                 {"PK\x03\x04", 4, "it is a zip archive: unpack it first"},
                 {"snoop", 6, "it is a snoop capture: convert it with editcap -F pcap"},
                 {"{", 1, "it looks like JSON"}};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(known); i++)
        if (n >= known[i].len && memcmp(p, known[i].magic, known[i].len) == 0)
            return known[i].hint;
    return "expected pcap or pcapng, plain or packed with gzip or zstd";
}

static int start_pcap(struct dune_reader *r, uint32_t magic, struct dune_diag *d)
{
    unsigned major, minor;
    uint32_t link;

    if (r->len < PCAP_HEADER)
        return BAD(r, r->len, d, "truncated: the file ends inside the pcap header");
    r->format = CAPTURE_PCAP;
    r->frac_ns = magic == MAGIC_NS ? 1 : 1000;
    major = load16(r->data + 4, r->swap);
    minor = load16(r->data + 6, r->swap);
    if (major != 2)
        return dune_diag_set_offset(d, DUNE_E_VERSION, r->name, 4,
                                    "pcap version %u.%u: only versions 2.x can be read", major,
                                    minor);
    r->swapped_lengths = minor < 4;
    link = load32(r->data + 20, r->swap) & 0x03ffffff; /* above: length of the frame check sum */
    if (link != CAPTURE_LINK_ETHERNET)
        return capture_bad_link(r, link, 20, d);
    r->pos = PCAP_HEADER;
    return 0;
}

static int start(struct dune_reader *r, struct dune_diag *d)
{
    uint32_t magic;

    if (r->len == 0)
        return BAD(r, 0, d, "the file is empty: not even a capture header");
    if (capture_is_packed(r->data, r->len)) {
        int rc = capture_unpack(r, d);

        if (rc)
            return rc;
    }
    magic = r->len >= 4 ? load32(r->data, false) : 0;
    if (magic == MAGIC_PCAPNG) {
        r->format = CAPTURE_PCAPNG;
        return pcapng_start(r, d);
    }
    r->swap = magic == __builtin_bswap32(MAGIC_US) || magic == __builtin_bswap32(MAGIC_NS) ||
              magic == __builtin_bswap32(MAGIC_MODIFIED);
    if (r->swap)
        magic = __builtin_bswap32(magic);
    if (magic == MAGIC_US || magic == MAGIC_NS)
        return start_pcap(r, magic, d);
    if (magic == MAGIC_MODIFIED)
        return BAD(r, 0, d, "a modified pcap variant: convert it with editcap -F pcap");
    return BAD(r, 0, d, "not a capture file: %s", foreign_hint(r->data, r->len));
}

static struct dune_reader *reader_new(const char *name)
{
    struct dune_reader *r = DUNE_NEW(struct dune_reader);

    r->name = dune_mem_strdup(name);
    return r;
}

static int finish_open(struct dune_reader *r, int rc, struct dune_reader **out, struct dune_diag *d)
{
    if (rc == 0)
        rc = start(r, d);
    if (rc) {
        dune_reader_close(r);
        r = NULL;
    }
    *out = r;
    return rc;
}

int dune_reader_open(struct dune_reader **out, const char *path, struct dune_diag *d)
{
    struct dune_reader *r = reader_new(path);
    int rc = dune_map_open(&r->map, path, d);

    r->data = r->map.data;
    r->len = r->map.len;
    return finish_open(r, rc, out, d);
}

int dune_reader_open_bytes(struct dune_reader **out, const char *name, const void *data, size_t len,
                           struct dune_diag *d)
{
    struct dune_reader *r = reader_new(name);

    r->data = data;
    r->len = len;
    return finish_open(r, 0, out, d);
}

void dune_reader_close(struct dune_reader *r)
{
    if (!r)
        return;
    DUNE_VEC_FREE(&r->ifaces);
    capture_unpack_close(r);
    dune_map_close(&r->map);
    dune_mem_free(r->name);
    dune_mem_free(r);
}

static int bad_record(const struct dune_reader *r, uint32_t cap_len, struct dune_diag *d)
{
    size_t left = r->len - r->pos;

    if (left < PCAP_RECORD)
        return BAD(r, r->pos, d, "truncated: the file ends inside the header of packet %llu",
                   (unsigned long long)r->index + 1);
    if (cap_len > CAPTURE_MAX_RECORD)
        return BAD(r, r->pos, d,
                   "packet %llu claims %u captured bytes, more than any frame: damaged here",
                   (unsigned long long)r->index + 1, cap_len);
    return BAD(r, r->pos, d, "truncated: packet %llu claims %u captured bytes, the file has %zu left",
               (unsigned long long)r->index + 1, cap_len, left - PCAP_RECORD);
}

/* What is not in the window, or not at all: 0 when the record is there now. */
static int fetch_record(struct dune_reader *r, struct dune_diag *d)
{
    uint32_t cap_len, wire_len;
    int rc = capture_want(r, PCAP_RECORD, d);

    if (rc || r->len == r->pos)
        return rc;
    if (r->len - r->pos < PCAP_RECORD)
        return bad_record(r, 0, d);
    cap_len = load32(r->data + r->pos + 8, r->swap);
    wire_len = load32(r->data + r->pos + 12, r->swap);
    if (r->swapped_lengths)
        cap_len = DUNE_MIN(cap_len, wire_len);
    if (cap_len > CAPTURE_MAX_RECORD)
        return bad_record(r, cap_len, d);
    rc = capture_want(r, PCAP_RECORD + (size_t)cap_len, d);
    if (rc == 0 && cap_len > r->len - r->pos - PCAP_RECORD)
        rc = bad_record(r, cap_len, d);
    return rc;
}

static inline void set_record(struct dune_reader *r, struct dune_record *rec, const uint8_t *h,
                              uint32_t cap_len, uint32_t wire_len)
{
    rec->data = h + PCAP_RECORD;
    rec->cap_len = cap_len;
    rec->wire_len = wire_len;
    rec->ts_ns = (uint64_t)load32(h, r->swap) * 1000000000u +
                 (uint64_t)load32(h + 4, r->swap) * r->frac_ns;
    rec->index = r->index++;
    rec->offset = r->base + r->pos;
    r->pos += PCAP_RECORD + (size_t)cap_len;
}

static inline int next_pcap(struct dune_reader *r, struct dune_record *rec, struct dune_diag *d)
{
    const uint8_t *h = r->data + r->pos;
    size_t left = r->len - r->pos;
    uint32_t cap_len, wire_len;
    bool fetched = false;

    for (;;) {
        if (__builtin_expect(left >= PCAP_RECORD, 1)) {
            cap_len = load32(h + 8, r->swap);
            wire_len = load32(h + 12, r->swap);
            if (r->swapped_lengths && cap_len > wire_len) {
                uint32_t t = cap_len;

                cap_len = wire_len;
                wire_len = t;
            }
            if (__builtin_expect(cap_len <= CAPTURE_MAX_RECORD && cap_len <= left - PCAP_RECORD, 1)) {
                set_record(r, rec, h, cap_len, wire_len);
                return 1;
            }
        }
        if (!fetched) {
            int rc = fetch_record(r, d);

            if (rc)
                return rc;
        }
        if (fetched || r->len == r->pos)
            return 0;
        fetched = true;
        h = r->data + r->pos;
        left = r->len - r->pos;
    }
}

/*
 * The place of a record follows from the length in the one before it, so reading waits for memory once per
 * record: processors fetch ahead line after line, not from header to header. As many bytes further on as this
 * record has are asked for here, so that every line is asked for once; beyond the map nothing happens.
 */
static inline void ask_ahead(const struct dune_record *rec)
{
    const uintptr_t line = 64, ahead = 4096, at = (uintptr_t)rec->data + ahead, end = at + rec->cap_len + PCAP_RECORD;

    for (uintptr_t p = at; p < end; p += line)
        __builtin_prefetch((const void *)p);
}

int dune_reader_next(struct dune_reader *r, struct dune_record *rec, struct dune_diag *d)
{
    int rc = r->format == CAPTURE_PCAP ? next_pcap(r, rec, d) : pcapng_next(r, rec, d);

    if (rc == 1)
        ask_ahead(rec);
    return rc;
}

/* Pages of the map are returned in large steps, which cost less. */
void dune_reader_recycle(struct dune_reader *r)
{
    const size_t step = (size_t)8 << 20;

    for (size_t i = 0; i + 1 < r->windows.len; i++)
        dune_mem_free(r->windows.data[i]);
    if (r->windows.len > 1) {
        r->windows.data[0] = r->windows.data[r->windows.len - 1];
        r->windows.len = 1;
        r->windows_bytes = r->len;
    }
    if (!r->unpack && r->map.base && r->pos - r->given_back >= step) {
        size_t to = r->pos / step * step;

        madvise((uint8_t *)r->map.base + r->given_back, to - r->given_back, MADV_DONTNEED);
        r->given_back = to;
    }
}
