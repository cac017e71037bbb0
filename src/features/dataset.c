/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of a data set, its building, its file and the checks when it is read back. */
#include "base/format.h"
#include "features/dataset_int.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "columns are mapped as little endian");

#define MAGIC "DUNEDSET"
#define VERSION 1
#define ALIGN 64

struct file_header {
    char magic[8];
    uint32_t version, n_sections;
    uint64_t file_bytes;
    /* what the content hash covers, with the section entries below */
    uint64_t n_flows, n_rows, timeout;
    uint32_t n_classes, n_captures, max_n, n_features;
    char hash[32]; /* hex, not terminated */
    uint32_t minor;
    uint8_t reserved[28]; /* 0 */
};
_Static_assert(sizeof(struct file_header) == 128, "the header is 128 bytes");

struct file_section {
    uint32_t kind, elem_bytes;
    uint64_t offset, bytes;
    uint64_t digest; /* SipHash-2-4 of the bytes */
};
_Static_assert(sizeof(struct file_section) == 32, "a section entry is 32 bytes");

#define TABLE_BYTES (sizeof(struct file_header) + DSET_N_SECTIONS * sizeof(struct file_section))

/* Private part of a data set. */
struct owner {
    struct dune_map map; /* base NULL: image is ours */
    uint8_t *image;      /* aligned */
    void *alloc;         /* what to free */
    size_t bytes;
    const char **class_name, **capture_name;
};

static const char *section_name(uint32_t kind)
{
    static const char *const name[] = {
        "feature names", "class names", "capture names", "capture splits", "flow classes",
        "flow splits",   "flow captures", "flow starts", "flow lengths",   "flow rows"};

    return kind < DSET_COLUMNS ? name[kind] : dune_catalog[kind - DSET_COLUMNS].name;
}

static const uint8_t digest_key[16] = "DUNEDSET section";

static uint64_t digest(const void *data, size_t len)
{
    return dune_siphash(digest_key, data, len);
}

/* --- layout --------------------------------------------------------------------------------------- */

static uint64_t align_up(uint64_t x)
{
    return (x + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

static uint64_t feature_names_bytes(void)
{
    uint64_t n = 0;

    for (int i = 0; i < DUNE_N_FEATURES; i++)
        n += strlen(dune_catalog[i].name) + 1;
    return n;
}

/* Fills kinds, sizes and offsets from the counts in the header and the bytes of the two name lists.
 * Counts are small enough that nothing overflows (checked by the reader). */
static void lay_out(struct file_header *h, struct file_section *s, uint64_t class_bytes,
                    uint64_t capture_bytes)
{
    const struct {
        uint32_t elem;
        uint64_t bytes;
    } size[DSET_COLUMNS] = {
        [DSET_FEATURE_NAMES] = {1, feature_names_bytes()},
        [DSET_CLASS_NAMES] = {1, class_bytes},
        [DSET_CAPTURE_NAMES] = {1, capture_bytes},
        [DSET_CAPTURE_SPLIT] = {1, h->n_captures},
        [DSET_FLOW_CLASS] = {2, h->n_flows * 2},
        [DSET_FLOW_SPLIT] = {1, h->n_flows},
        [DSET_FLOW_CAPTURE] = {4, h->n_flows * 4},
        [DSET_FLOW_START] = {8, h->n_flows * 8},
        [DSET_FLOW_LEN] = {8, h->n_flows * 8},
        [DSET_FLOW_ROW] = {8, (h->n_flows + 1) * 8},
    };
    uint64_t at = align_up(TABLE_BYTES);

    for (uint32_t k = 0; k < DSET_N_SECTIONS; k++) {
        s[k].kind = k;
        s[k].elem_bytes = k < DSET_COLUMNS ? size[k].elem : 4;
        s[k].bytes = k < DSET_COLUMNS ? size[k].bytes : h->n_rows * 4;
        s[k].offset = at;
        at = align_up(at + s[k].bytes);
    }
    h->file_bytes = at;
}

static void hash_content(const struct file_header *h, const struct file_section *s, char out[33])
{
    struct dune_buf b = {0};

    dune_buf_append(&b, &h->n_flows, offsetof(struct file_header, hash) -
                                         offsetof(struct file_header, n_flows));
    dune_buf_append(&b, s, DSET_N_SECTIONS * sizeof(*s));
    dune_content_hash(b.data, b.len, out);
    dune_buf_fini(&b);
}

/* --- from an image to a data set ------------------------------------------------------------------ */

static const char **name_list(const char *p, uint32_t n)
{
    const char **list = dune_mem_alloc(n, sizeof(*list));

    for (uint32_t i = 0; i < n; i++) {
        list[i] = p;
        p += strlen(p) + 1;
    }
    return list;
}

/* Points the data set into its image; names must be in place. */
static void attach(struct dune_dataset *ds, struct owner *o)
{
    const struct file_header *h = (const void *)o->image;
    const struct file_section *s = (const void *)(h + 1);
#define AT(kind) ((const void *)(o->image + s[kind].offset))
    o->class_name = name_list(AT(DSET_CLASS_NAMES), h->n_classes);
    o->capture_name = name_list(AT(DSET_CAPTURE_NAMES), h->n_captures);
    ds->owner = o;
    ds->n_classes = h->n_classes;
    ds->class_name = o->class_name;
    ds->n_captures = h->n_captures;
    ds->capture_name = o->capture_name;
    ds->capture_split = AT(DSET_CAPTURE_SPLIT);
    ds->timeout = h->timeout;
    ds->max_n = h->max_n;
    ds->n_flows = h->n_flows;
    ds->flow_class = AT(DSET_FLOW_CLASS);
    ds->flow_split = AT(DSET_FLOW_SPLIT);
    ds->flow_capture = AT(DSET_FLOW_CAPTURE);
    ds->flow_start = AT(DSET_FLOW_START);
    ds->flow_len = AT(DSET_FLOW_LEN);
    ds->flow_row = AT(DSET_FLOW_ROW);
    ds->n_rows = h->n_rows;
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        ds->col[f] = AT(DSET_COLUMNS + f);
#undef AT
    memcpy(ds->hash, h->hash, sizeof(h->hash));
}

static void alloc_image(struct owner *o, uint64_t bytes)
{
    o->alloc = dune_mem_alloc_big(bytes + ALIGN, 1);
    o->image = (uint8_t *)align_up((uintptr_t)o->alloc);
    o->bytes = bytes;
}

/* Columns are filled by whoever makes the data set; all else is zero. */
static void clear_image(const struct owner *o, const struct file_section *s)
{
    memset(o->image, 0, s[0].offset);
    for (int k = 0; k < DSET_N_SECTIONS; k++) {
        uint64_t end = s[k].offset + s[k].bytes;

        if (k < DSET_COLUMNS)
            memset(o->image + s[k].offset, 0, s[k].bytes);
        memset(o->image + end, 0, (k + 1 < DSET_N_SECTIONS ? s[k + 1].offset : o->bytes) - end);
    }
}

static uint64_t names_bytes(const char *const *name, uint32_t n)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < n; i++)
        bytes += strlen(name[i]) + 1;
    return bytes;
}

static void put_names(uint8_t *at, const char *const *name, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        size_t len = strlen(name[i]) + 1;

        memcpy(at, name[i], len);
        at += len;
    }
}

static void writable_parts(struct owner *o, struct dune_dset_parts *p)
{
    const struct file_section *s = (const void *)(o->image + sizeof(struct file_header));
#define AT(kind) ((void *)(o->image + s[kind].offset))
    p->capture_split = AT(DSET_CAPTURE_SPLIT);
    p->flow_class = AT(DSET_FLOW_CLASS);
    p->flow_split = AT(DSET_FLOW_SPLIT);
    p->flow_capture = AT(DSET_FLOW_CAPTURE);
    p->flow_start = AT(DSET_FLOW_START);
    p->flow_len = AT(DSET_FLOW_LEN);
    p->flow_row = AT(DSET_FLOW_ROW);
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        p->col[f] = AT(DSET_COLUMNS + f);
#undef AT
}

struct dune_dataset *dune_dset_new(const struct dune_dset_shape *shape, struct dune_dset_parts *parts)
{
    struct dune_dataset *ds = DUNE_NEW(struct dune_dataset);
    struct owner *o = DUNE_NEW(struct owner);
    struct file_section s[DSET_N_SECTIONS] = {0};
    struct file_header h = {.magic = MAGIC, .version = VERSION, .n_sections = DSET_N_SECTIONS,
                            .n_flows = shape->n_flows, .n_rows = shape->n_rows,
                            .n_classes = shape->n_classes, .n_captures = shape->n_captures,
                            .max_n = shape->max_n, .n_features = DUNE_N_FEATURES,
                            .timeout = shape->timeout};
    const char *feature[DUNE_N_FEATURES];

    for (int f = 0; f < DUNE_N_FEATURES; f++)
        feature[f] = dune_catalog[f].name;
    lay_out(&h, s, names_bytes(shape->class_name, shape->n_classes),
            names_bytes(shape->capture_name, shape->n_captures));
    alloc_image(o, h.file_bytes);
    clear_image(o, s);
    memcpy(o->image, &h, sizeof(h));
    memcpy(o->image + sizeof(h), s, sizeof(s));
    put_names(o->image + s[DSET_FEATURE_NAMES].offset, feature, DUNE_N_FEATURES);
    put_names(o->image + s[DSET_CLASS_NAMES].offset, shape->class_name, shape->n_classes);
    put_names(o->image + s[DSET_CAPTURE_NAMES].offset, shape->capture_name, shape->n_captures);
    attach(ds, o);
    writable_parts(o, parts);
    return ds;
}

struct digest_job {
    const uint8_t *image;
    const struct file_section *s;
    uint64_t digest[DSET_N_SECTIONS];
};

enum { DIGEST_JOBS = DSET_COLUMNS + (DUNE_N_FEATURES + 7) / 8 };

/* A section, or up to eight columns, which all have one length. */
static void digest_one(void *ctx, size_t i)
{
    struct digest_job *job = ctx;
    size_t first = DSET_COLUMNS + 8 * (i - DSET_COLUMNS), n = DUNE_MIN((size_t)8, DSET_N_SECTIONS - first);
    const void *data[8];
    uint64_t out[8];

    if (i < DSET_COLUMNS) {
        job->digest[i] = digest(job->image + job->s[i].offset, job->s[i].bytes);
        return;
    }
    for (size_t k = 0; k < 8; k++)
        data[k] = job->image + job->s[k < n ? first + k : first].offset;
    dune_siphash_eight(digest_key, data, job->s[first].bytes, out);
    memcpy(&job->digest[first], out, n * sizeof(*out));
}

void dune_dset_seal(struct dune_dataset *ds, unsigned threads)
{
    struct owner *o = ds->owner;
    struct file_header *h = (void *)o->image;
    struct file_section *s = (void *)(h + 1);
    struct digest_job job = {.image = o->image, .s = s};

    dune_parallel_for(threads, DIGEST_JOBS, digest_one, &job);
    for (int i = 0; i < DSET_N_SECTIONS; i++)
        s[i].digest = job.digest[i];
    hash_content(h, s, ds->hash);
    memcpy(h->hash, ds->hash, sizeof(h->hash));
}

void dune_dataset_free(struct dune_dataset *ds)
{
    struct owner *o;

    if (!ds)
        return;
    o = ds->owner;
    dune_map_close(&o->map);
    dune_mem_free(o->alloc);
    dune_mem_free(o->class_name);
    dune_mem_free(o->capture_name);
    dune_mem_free(o);
    dune_mem_free(ds);
}

int dune_dataset_find_class(const struct dune_dataset *ds, const char *name)
{
    for (uint32_t i = 0; i < ds->n_classes; i++)
        if (strcmp(ds->class_name[i], name) == 0)
            return (int)i;
    return -1;
}

int dune_dataset_write(const struct dune_dataset *ds, const char *path, struct dune_diag *d)
{
    const struct owner *o = ds->owner;

    return dune_file_write(path, o->image, o->bytes, d);
}

/* --- reading: nothing is believed ------------------------------------------------------------------ */

static int check_header(const struct file_header *h, const char *name, size_t len, struct dune_diag *d)
{
    static const struct dune_format known = {"a data set", VERSION, 0, false};
    int rc = 0;

    if (len < sizeof(h->magic) || memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "not a data set: want a file by dunectl extract");
    if (len >= 12)
        rc = dune_format_check(&known, h->version, len >= sizeof(*h) ? h->minor : 0, name, "header", d);
    if (rc)
        return rc;
    if (len < TABLE_BYTES)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "truncated: %zu bytes only", len);
    if (h->file_bytes != len)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "truncated or extended: it has %zu bytes and says %llu",
                             len, (unsigned long long)h->file_bytes);
    if (h->n_sections != DSET_N_SECTIONS || h->n_features != DUNE_N_FEATURES)
        return dune_diag_set(d, DUNE_E_VERSION, name,
                             "made with another feature catalog (%u features, this program has %d): "
                             "extract it again", h->n_features, DUNE_N_FEATURES);
    for (size_t i = 0; i < sizeof(h->reserved); i++)
        if (h->reserved[i])
            return dune_diag_set_offset(d, DUNE_E_FORMAT, name,
                                        offsetof(struct file_header, reserved) + i,
                                        "a reserved byte of the header is not 0");
    if (h->n_flows > len || h->n_rows > len || h->n_classes > UINT16_MAX || h->n_captures > len)
        return dune_diag_set_offset(d, DUNE_E_FORMAT, name, 24, "counts beyond the file's size");
    return 0;
}

/* The layout is canonical: the table must say what lay_out says. */
static int check_table(const struct file_header *h, const struct file_section *s, const char *name,
                       struct dune_diag *d)
{
    struct file_section want[DSET_N_SECTIONS];
    struct file_header copy = *h;

    if (s[DSET_CLASS_NAMES].bytes > h->file_bytes || s[DSET_CAPTURE_NAMES].bytes > h->file_bytes)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "a name list is larger than the file");
    lay_out(&copy, want, s[DSET_CLASS_NAMES].bytes, s[DSET_CAPTURE_NAMES].bytes);
    for (uint32_t k = 0; k < DSET_N_SECTIONS; k++)
        if (s[k].kind != k || s[k].elem_bytes != want[k].elem_bytes ||
            s[k].offset != want[k].offset || s[k].bytes != want[k].bytes)
            return dune_diag_set_place(d, DUNE_E_FORMAT, name, section_name(k),
                                       "the section table contradicts the header's counts");
    if (copy.file_bytes != h->file_bytes)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "sections end at byte %llu, the file at %llu",
                             (unsigned long long)copy.file_bytes, (unsigned long long)h->file_bytes);
    return 0;
}

static int check_digests(const uint8_t *image, const char *name, struct dune_diag *d)
{
    const struct file_header *h = (const void *)image;
    const struct file_section *s = (const void *)(h + 1);
    struct digest_job job = {.image = image, .s = s};
    char hash[33];

    /* Threads pay off for large files only. */
    dune_parallel_for(h->file_bytes < (4 << 20) ? 1 : 0, DIGEST_JOBS, digest_one, &job);
    for (uint32_t i = 0; i < DSET_N_SECTIONS; i++)
        if (s[i].digest != job.digest[i])
            return dune_diag_set_place(d, DUNE_E_FORMAT, name, section_name(i),
                                       "damaged: the checksum of this section does not match");
    hash_content(h, s, hash);
    if (memcmp(hash, h->hash, sizeof(h->hash)) != 0)
        return dune_diag_set(d, DUNE_E_FORMAT, name, "damaged: the header's checksum does not match");
    return 0;
}

/* n NUL-terminated, non-empty names that fill the section exactly. */
static int check_names(const uint8_t *image, uint32_t kind, uint32_t n, const char *name,
                       struct dune_diag *d)
{
    const struct file_section *s = (const void *)(image + sizeof(struct file_header));
    const char *p = (const char *)image + s[kind].offset, *end = p + s[kind].bytes;
    uint32_t seen = 0;

    for (; p < end; seen++) {
        const char *nul = memchr(p, '\0', (size_t)(end - p));

        if (!nul || nul == p)
            break;
        p = nul + 1;
    }
    if (p != end || seen != n)
        return dune_diag_set_place(d, DUNE_E_FORMAT, name, section_name(kind), "want %u names", n);
    return 0;
}

static int bad(const char *name, uint32_t kind, uint64_t i, const char *what, struct dune_diag *d)
{
    return dune_diag_set_place(d, DUNE_E_FORMAT, name, section_name(kind), "entry %llu %s",
                               (unsigned long long)i, what);
}

static int check_lists(const struct dune_dataset *ds, const char *name, struct dune_diag *d)
{
    for (uint32_t i = 1; i < ds->n_classes; i++)
        if (strcmp(ds->class_name[i - 1], ds->class_name[i]) >= 0)
            return bad(name, DSET_CLASS_NAMES, i, "is not sorted after the one before it", d);
    for (uint32_t i = 0; i < ds->n_captures; i++)
        if (ds->capture_split[i] > DUNE_SPLIT_TEST)
            return bad(name, DSET_CAPTURE_SPLIT, i, "is neither train nor test", d);
    return 0;
}

static int check_flow(const struct dune_dataset *ds, uint64_t i, const char *name, struct dune_diag *d)
{
    uint64_t rows = ds->flow_row[i + 1] - ds->flow_row[i], len = ds->flow_len[i];

    if (ds->flow_row[i + 1] <= ds->flow_row[i] || ds->flow_row[i + 1] > ds->n_rows)
        return bad(name, DSET_FLOW_ROW, i + 1, "does not grow or is beyond the rows", d);
    if (rows != (ds->max_n == DUNE_MAX_N_ALL ? len : DUNE_MIN(len, ds->max_n)))
        return bad(name, DSET_FLOW_LEN, i, "contradicts the rows kept of the flow", d);
    if (len > DSET_MAX_FLOW_LEN)
        return bad(name, DSET_FLOW_LEN, i, "is beyond 2^40 packets", d);
    if (ds->flow_class[i] >= ds->n_classes)
        return bad(name, DSET_FLOW_CLASS, i, "is not a class", d);
    if (ds->flow_split[i] > DUNE_SPLIT_TEST)
        return bad(name, DSET_FLOW_SPLIT, i, "is neither train nor test", d);
    if (ds->flow_capture[i] >= ds->n_captures)
        return bad(name, DSET_FLOW_CAPTURE, i, "is not a capture", d);
    if (i > 0 && ds->flow_capture[i] < ds->flow_capture[i - 1])
        return bad(name, DSET_FLOW_CAPTURE, i, "breaks the order of captures", d);
    for (uint64_t k = 0; k < rows; k++)
        if (ds->col[DUNE_F_COUNT][ds->flow_row[i] + k] != DUNE_MIN(k + 1, (uint64_t)UINT16_MAX))
            return bad(name, DSET_COLUMNS + DUNE_F_COUNT, ds->flow_row[i] + k,
                       "is not the packet's number", d);
    return 0;
}

static int check_content(const struct dune_dataset *ds, const char *name, struct dune_diag *d)
{
    int rc = check_lists(ds, name, d);

    if (rc)
        return rc;
    if (ds->flow_row[0] != 0 || ds->flow_row[ds->n_flows] != ds->n_rows)
        return bad(name, DSET_FLOW_ROW, ds->n_flows, "is not the number of rows", d);
    for (uint64_t i = 0; i < ds->n_flows; i++) {
        rc = check_flow(ds, i, name, d);
        if (rc)
            return rc;
    }
    for (int f = 0; f < DUNE_N_FEATURES; f++) {
        uint32_t max = 0, limit = dune_feature_max(f);

        for (uint64_t r = 0; r < ds->n_rows; r++)
            max = DUNE_MAX(max, ds->col[f][r]);
        if (max > limit)
            return dune_diag_set_place(d, DUNE_E_FORMAT, name, dune_catalog[f].name,
                                       "value %u; the feature ends at %u", max, limit);
    }
    return 0;
}

static int check_feature_names(const uint8_t *image, const char *name, struct dune_diag *d)
{
    const struct file_section *s = (const void *)(image + sizeof(struct file_header));
    const char *p = (const char *)image + s[DSET_FEATURE_NAMES].offset;

    for (int f = 0; f < DUNE_N_FEATURES; p += strlen(p) + 1, f++)
        if (strcmp(p, dune_catalog[f].name) != 0)
            return dune_diag_set_place(d, DUNE_E_VERSION, name, dune_catalog[f].name,
                                       "made with another feature catalog: extract it again");
    return 0;
}

/* Checks o->image and turns it into a data set; takes o in any case. */
static int open_image(struct dune_dataset **out, const char *name, struct owner *o, struct dune_diag *d)
{
    struct dune_dataset *ds = DUNE_NEW(struct dune_dataset);
    const struct file_header *h = (const void *)o->image;
    const struct file_section *s = (const void *)(h + 1);
    int rc = check_header(h, name, o->bytes, d);

    ds->owner = o;
    if (rc == 0)
        rc = check_table(h, s, name, d);
    if (rc == 0)
        rc = check_digests(o->image, name, d);
    if (rc == 0)
        rc = check_names(o->image, DSET_FEATURE_NAMES, DUNE_N_FEATURES, name, d);
    if (rc == 0)
        rc = check_feature_names(o->image, name, d);
    if (rc == 0)
        rc = check_names(o->image, DSET_CLASS_NAMES, h->n_classes, name, d);
    if (rc == 0)
        rc = check_names(o->image, DSET_CAPTURE_NAMES, h->n_captures, name, d);
    if (rc == 0) {
        attach(ds, o);
        rc = check_content(ds, name, d);
    }
    if (rc) {
        dune_dataset_free(ds);
        ds = NULL;
    }
    *out = ds;
    return rc;
}

int dune_dataset_parse(struct dune_dataset **out, const char *name, const void *data, size_t len,
                       struct dune_diag *d)
{
    struct owner *o = DUNE_NEW(struct owner);

    alloc_image(o, DUNE_MAX(len, sizeof(struct file_header))); /* aligned, whatever data is */
    if (len)
        memcpy(o->image, data, len);
    o->bytes = len;
    return open_image(out, name, o, d);
}

int dune_dataset_read(struct dune_dataset **out, const char *path, struct dune_diag *d)
{
    struct owner *o = DUNE_NEW(struct owner);
    int rc = dune_map_open(&o->map, path, d);

    *out = NULL;
    if (rc || o->map.len < sizeof(struct file_header)) {
        if (rc == 0)
            rc = dune_dataset_parse(out, path, o->map.data, o->map.len, d); /* says what is wrong */
        dune_map_close(&o->map);
        dune_mem_free(o);
        return rc;
    }
    o->image = (uint8_t *)o->map.base; /* read-only: never written through */
    o->bytes = o->map.len;
    return open_image(out, path, o, d);
}
