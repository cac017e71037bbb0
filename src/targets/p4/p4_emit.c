/* SPDX-License-Identifier: Apache-2.0 */
/* All files of a plan: program, entries, scripts and report per device, the dissector once. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "targets/p4/p4_int.h"

void p4_file_add(struct dune_p4_files *f, struct dune_buf *text, const char *name_fmt, ...)
{
    struct dune_p4_file one = {0};
    char name[512];
    va_list ap;

    va_start(ap, name_fmt);
    vsnprintf(name, sizeof(name), name_fmt, ap);
    va_end(ap);
    one.name = dune_mem_strdup(name);
    one.text = text->data ? text->data : dune_mem_strdup("");
    one.len = text->len;
    *text = (struct dune_buf){0};
    DUNE_VEC_PUSH(f, one);
}

const struct dune_p4_file *dune_p4_file_find(const struct dune_p4_files *f, const char *name)
{
    for (size_t i = 0; i < f->len; i++)
        if (strcmp(f->data[i].name, name) == 0)
            return &f->data[i];
    return NULL;
}

void dune_p4_files_fini(struct dune_p4_files *f)
{
    for (size_t i = 0; i < f->len; i++) {
        dune_mem_free(f->data[i].name);
        dune_mem_free(f->data[i].text);
    }
    DUNE_VEC_FREE(f);
}

static int write_file(const struct dune_p4_file *file, const char *dir, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/%s", dir, file->name), *slash = strrchr(path, '/');
    size_t len = strlen(path);
    int rc;

    *slash = '\0';
    rc = dune_mkdirs(path, d);
    *slash = '/';
    if (rc == 0)
        rc = dune_file_write(path, file->text, file->len, d);
    if (rc == 0 && len > 3 && strcmp(path + len - 3, ".sh") == 0 && chmod(path, 0755) != 0)
        rc = dune_diag_set(d, DUNE_E_IO, path, "cannot make it executable: %s", strerror(errno));
    dune_mem_free(path);
    return rc;
}

int dune_p4_files_write(const struct dune_p4_files *f, const char *dir, struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; i < f->len && rc == 0; i++)
        rc = write_file(&f->data[i], dir, d);
    return rc;
}

/* Letters, digits, '_', '-' and '.'; made distinct by its number. */
void dune_p4_device_name(char out[80], const struct dune_plan *p, uint32_t device)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    const char *name = p->device[device].name;
    bool odd = !*name || *name == '.' || *name == '-' || strlen(name) > 60;

    snprintf(out, 64, "%s", name);
    for (char *c = out; *c; c++)
        if (!strchr(good, *c)) {
            *c = '_';
            odd = true;
        }
    for (uint32_t i = 0; i < device; i++)
        odd |= strcmp(p->device[i].name, name) == 0;
    if (odd)
        snprintf(out + strlen(out), 80 - strlen(out), "_%u", device);
    if (*out == '.' || *out == '-')
        *out = '_';
}

void dune_p4_dissector(const struct dune_plan *p, struct dune_p4_files *out)
{
    struct p4_vars v = {0};
    struct dune_buf b = {0};

    for (uint32_t i = 0; i < p->n_classes; i++) {
        dune_buf_printf(&b, "    [%u] = \"", i + 1);
        for (const char *c = p->cls[i].name; *c; c++) /* quoted as Lua wants it */
            if (*c == '"' || *c == '\\' || (unsigned char)*c < 32)
                dune_buf_printf(&b, "\\%03u", (unsigned char)*c);
            else
                dune_buf_append(&b, c, 1);
        dune_buf_puts(&b, "\",\n");
    }
    p4_set(&v, "SHIM_TYPE", "0x%04X", p->shim_ethertype);
    p4_set_buf(&v, "CLASSES", &b);
    p4_expand(&b, p4_shim_lua, &v);
    p4_vars_fini(&v);
    p4_file_add(out, &b, "dune_shim.lua");
}

static void put_scripts(struct dune_p4_files *out, const struct p4_shape *s, const char *name)
{
    const struct dune_plan *p = s->plan;
    struct p4_vars v = {0};
    struct dune_buf b = {0};

    for (uint32_t i = 0; i < p->n_classes; i++)
        if (p->cls[i].action == DUNE_ACTION_MIRROR)
            dune_buf_printf(&b, "    echo \"mirroring_add %u %u\"\n", 200 + i + 1, p->cls[i].action_arg);
    p4_set_buf(&v, "MIRRORS", &b);
    p4_set(&v, "DEVICE", "%s", name);
    p4_set(&v, "DEVICE_INDEX", "%u", s->device);
    p4_set(&v, "THRIFT_PORT", "%u", 9090 + s->device);
    p4_expand(&b, p4_v1_compile, &v);
    p4_file_add(out, &b, "%s/compile.sh", name);
    p4_expand(&b, p4_v1_start, &v);
    p4_file_add(out, &b, "%s/start.sh", name);
    p4_vars_fini(&v);
}

static void put_v1_entries(struct dune_p4_files *out, const struct p4_shape *s, const char *name)
{
    struct p4_entries e = {.prefix = "DuneIngress."};
    struct dune_buf b = {0};

    p4_rows_device(&e, s, 0);
    p4_rows_votes(&e, s);
    p4_rows_model(&e, s, 0);
    p4_write_cli(&b, &e);
    p4_file_add(out, &b, "%s/%s.cli.txt", name, name);
    p4_write_runtime(&b, &e);
    p4_file_add(out, &b, "%s/%s.p4runtime.txt", name, name);
    p4_entries_fini(&e);
}

static void put_v1(struct dune_p4_files *out, const struct p4_shape *s, const char *name)
{
    struct dune_buf b = {0};

    p4_v1_program(&b, s);
    p4_file_add(out, &b, "%s/%s.p4", name, name);
    put_v1_entries(out, s, name);
    put_scripts(out, s, name);
}

static void put_tna(struct dune_p4_files *out, const struct p4_shape *s, const char *name)
{
    struct p4_entries e = {.prefix = "DuneIngress."};
    struct p4_vars v = {0};
    struct dune_buf b = {0};

    p4_tna_program(&b, s);
    p4_file_add(out, &b, "%s/%s.p4", name, name);
    p4_tna_rows(&e, s, 0);
    p4_write_bfrt(&b, &e);
    p4_file_add(out, &b, "%s/%s.bfrt.json", name, name);
    p4_entries_fini(&e);
    p4_set(&v, "DEVICE", "%s", name);
    p4_set(&v, "TARGET", "%s", s->chip == 2 ? "tofino2" : "tofino");
    p4_set(&v, "ARCH", "%s", s->chip == 2 ? "t2na" : "tna");
    p4_expand(&b, p4_tna_compile, &v);
    p4_file_add(out, &b, "%s/compile.sh", name);
    p4_vars_fini(&v);
}

static int put_device(struct dune_p4_files *out, const struct dune_plan *p, uint32_t device,
                      enum dune_p4_arch arch, uint32_t generations, struct dune_diag *d)
{
    struct p4_shape *s = DUNE_NEW(struct p4_shape);
    struct dune_buf b = {0};
    char name[80];
    int rc = p4_shape_make(s, p, device, arch, generations, d);

    dune_p4_device_name(name, p, device);
    if (rc == 0) {
        if (arch == DUNE_P4_TNA)
            put_tna(out, s, name);
        else
            put_v1(out, s, name);
        dune_p4_report(&b, p, device, s->gens, NULL);
        p4_file_add(out, &b, "%s/report.txt", name);
    }
    dune_mem_free(s);
    return rc;
}

int dune_p4_generate_device(const struct dune_plan *p, uint32_t device, enum dune_p4_arch arch,
                            struct dune_p4_files *out, struct dune_diag *d)
{
    int rc;

    memset(out, 0, sizeof(*out));
    rc = put_device(out, p, device, arch, 1, d);
    if (rc)
        dune_p4_files_fini(out);
    return rc;
}

int dune_p4_generate(const struct dune_plan *p, enum dune_p4_arch arch, struct dune_p4_files *out,
                     struct dune_diag *d)
{
    return dune_p4_generate_for(p, arch, 1, out, d);
}

uint32_t dune_p4_generations(const struct dune_plan *p, enum dune_p4_arch arch)
{
    struct p4_shape *s = DUNE_NEW(struct p4_shape);
    struct dune_diag ignored = {0};
    int rc = 0;

    for (uint32_t i = 0; i < p->n_devices && rc == 0; i++)
        rc = p4_shape_make(s, p, i, arch, 2, &ignored);
    dune_mem_free(s);
    return rc == 0 ? 2 : 1;
}

int dune_p4_generate_for(const struct dune_plan *p, enum dune_p4_arch arch, uint32_t generations,
                         struct dune_p4_files *out, struct dune_diag *d)
{
    int rc = 0;

    if (generations == 0)
        generations = dune_p4_generations(p, arch);
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < p->n_devices && rc == 0; i++)
        rc = put_device(out, p, i, arch, generations, d);
    if (rc == 0)
        dune_p4_dissector(p, out);
    else
        dune_p4_files_fini(out);
    return rc;
}

/* --- entries of a retrained model for a program that is there -------------------------------------------------- */

int p4_shape_in(struct p4_shape *s, const struct p4_shape *program, const char *text, struct dune_diag *d)
{
    struct dune_buf own = {0};
    bool same;
    int rc = p4_shape_widen(s, program, d);

    if (rc)
        return rc;
    p4_v1_program(&own, s);
    same = strcmp(own.data, text) == 0;
    dune_buf_fini(&own);
    return same ? 0 : dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                                    "device %s: parser limits, slots, claim rule, phase modes or the last "
                                    "sub-model's device are not those of the program",
                                    s->plan->device[s->device].name);
}

static int put_entries_in(struct dune_p4_files *out, const struct dune_plan *p, const struct dune_plan *program,
                          uint32_t device, struct dune_diag *d)
{
    struct p4_shape *s = DUNE_NEW_N(struct p4_shape, 2);
    struct dune_buf text = {0};
    char name[80];
    int rc = p4_shape_make(&s[0], p, device, DUNE_P4_V1MODEL, 1, d);

    if (rc == 0)
        rc = p4_shape_make(&s[1], program, device, DUNE_P4_V1MODEL, 1, d);
    if (rc == 0) {
        p4_v1_program(&text, &s[1]);
        rc = p4_shape_in(&s[0], &s[1], text.data, d);
    }
    dune_p4_device_name(name, program, device);
    if (rc == 0)
        put_v1_entries(out, &s[0], name);
    dune_buf_fini(&text);
    dune_mem_free(s);
    return rc;
}

int dune_p4_generate_entries(const struct dune_plan *p, const struct dune_plan *program,
                             struct dune_p4_files *out, struct dune_diag *d)
{
    int rc = 0;

    memset(out, 0, sizeof(*out));
    if (p->n_devices != program->n_devices)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u devices, the programs are for %u", p->n_devices,
                             program->n_devices);
    for (uint32_t i = 0; i < p->n_devices && rc == 0; i++)
        rc = put_entries_in(out, p, program, i, d);
    if (rc)
        dune_p4_files_fini(out);
    return rc;
}
