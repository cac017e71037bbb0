/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng: a file is sections, a section is blocks, every block starts and ends with its total length:
 *
 *   type 4 | total length 4 | body, padded to 4 | total length 4
 *
 * Byte order and interface numbers belong to a section. Blocks other than section header, interface
 * description and the three packet blocks are skipped.
 */
#include "capture/capture_int.h"

enum {
    BLOCK_IFACE = 1,
    BLOCK_PACKET = 2, /* obsolete */
    BLOCK_SIMPLE = 3,
    BLOCK_ENHANCED = 6
};
#define BLOCK_SECTION 0x0a0d0d0au
#define ORDER_MAGIC 0x1a2b3c4du

__extension__ typedef __int128 wide; /* stamps times their unit pass 64 bits */

enum { OPT_END = 0, OPT_TSRESOL = 9, OPT_TSOFFSET = 14 };

struct block {
    uint32_t type, len;
    const uint8_t *p; /* start of the block */
};

/* The section header tells the byte order of its own length, so it is looked at first. */
static int read_order(struct dune_reader *r, const uint8_t *p, size_t left, struct dune_diag *d)
{
    if (left < 28)
        return BAD(r, r->pos, d, "truncated: the file ends inside a section header");
    if (load32(p + 8, false) == ORDER_MAGIC)
        r->swap = false;
    else if (load32(p + 8, true) == ORDER_MAGIC)
        r->swap = true;
    else
        return BAD(r, r->pos + 8, d, "the section header has no byte-order mark");
    return 0;
}

/* The block at r->pos, completely in the file. */
static int read_block(struct dune_reader *r, struct block *b, struct dune_diag *d)
{
    int rc = capture_want(r, 28, d); /* the most that is looked at before the length is known */
    size_t left = r->len - r->pos;

    if (rc)
        return rc;
    b->p = r->data + r->pos;
    if (left < 12)
        return BAD(r, r->pos, d, "truncated: the file ends inside a block header");
    b->type = load32(b->p, r->swap);
    if (b->type == BLOCK_SECTION && (rc = read_order(r, b->p, left, d)) != 0)
        return rc;
    b->len = load32(b->p + 4, r->swap);
    if (b->len < 12 || b->len % 4 != 0)
        return BAD(r, r->pos, d, "a block of %u bytes cannot be: damaged here", b->len);
    if (b->len > left) {
        rc = capture_want(r, b->len, d);
        if (rc)
            return rc;
        left = r->len - r->pos;
        b->p = r->data + r->pos;
    }
    if (b->len > left)
        return BAD(r, r->pos, d, "truncated: a block claims %u bytes, the file has %zu left", b->len,
                   left);
    if (load32(b->p + b->len - 4, r->swap) != b->len)
        return BAD(r, r->pos, d, "a block's two lengths differ: damaged here");
    return 0;
}

static int start_section(struct dune_reader *r, const struct block *b, struct dune_diag *d)
{
    unsigned major = load16(b->p + 12, r->swap), minor = load16(b->p + 14, r->swap);

    if (b->len < 28)
        return BAD(r, r->pos, d, "a section header of %u bytes is too short", b->len);
    if (major != 1)
        return dune_diag_set_offset(d, DUNE_E_VERSION, r->name, r->base + r->pos + 12,
                                    "pcapng version %u.%u: only versions 1.x can be read", major,
                                    minor);
    r->ifaces.len = 0;
    return 0;
}

/* Turns if_tsresol into mul, div and shift. */
static int set_resolution(const struct dune_reader *r, struct pcapng_iface *f, uint8_t resol,
                          struct dune_diag *d)
{
    unsigned v = resol & 0x7f;

    f->mul = 1;
    f->div = 1;
    f->shift = 0;
    if (resol & 0x80) {
        if (v > 63)
            return BAD(r, r->pos, d, "a time stamp unit of 2^-%u s is not supported", v);
        f->mul = 1000000000u;
        f->shift = (uint8_t)v;
        return 0;
    }
    if (v > 27)
        return BAD(r, r->pos, d, "a time stamp unit of 10^-%u s is not supported", v);
    for (; v < 9; v++)
        f->mul *= 10;
    for (; v > 9; v--)
        f->div *= 10;
    return 0;
}

static int iface_option(const struct dune_reader *r, struct pcapng_iface *f, unsigned code,
                        unsigned len, const uint8_t *v, struct dune_diag *d)
{
    if (code == OPT_TSRESOL) {
        if (len != 1)
            return BAD(r, r->pos, d, "if_tsresol of %u bytes instead of 1", len);
        return set_resolution(r, f, v[0], d);
    }
    if (code == OPT_TSOFFSET) {
        if (len != 8)
            return BAD(r, r->pos, d, "if_tsoffset of %u bytes instead of 8", len);
        f->offset_s = (int64_t)load64(v, r->swap);
    }
    return 0;
}

static int add_iface(struct dune_reader *r, const struct block *b, struct dune_diag *d)
{
    struct pcapng_iface f = {.mul = 1000, .div = 1};
    uint32_t at = 16;

    if (b->len < 20)
        return BAD(r, r->pos, d, "an interface description of %u bytes is too short", b->len);
    f.link = load16(b->p + 8, r->swap);
    f.snap_len = load32(b->p + 12, r->swap);
    while (at + 4 <= b->len - 4) {
        unsigned code = load16(b->p + at, r->swap), len = load16(b->p + at + 2, r->swap);
        int rc;

        if (code == OPT_END)
            break;
        if (len > b->len - 4 - (at + 4))
            return BAD(r, r->pos + at, d, "an interface option runs over the end of its block");
        rc = iface_option(r, &f, code, len, b->p + at + 4, d);
        if (rc)
            return rc;
        at += 4 + (len + 3) / 4 * 4;
    }
    if (f.link == CAPTURE_LINK_ETHERNET)
        r->seen_ethernet = true;
    else if (!r->seen_foreign) {
        r->seen_foreign = true;
        r->foreign_link = f.link;
        r->foreign_at = r->base + r->pos;
    }
    DUNE_VEC_PUSH(&r->ifaces, f);
    return 0;
}

/* The interface of a packet, which must be described and Ethernet. */
static inline int find_iface(const struct dune_reader *r, uint32_t id,
                             const struct pcapng_iface **out, struct dune_diag *d)
{
    if (__builtin_expect(id >= r->ifaces.len, 0))
        return BAD(r, r->pos, d, "packet %llu names interface %u, but the section describes %zu",
                   (unsigned long long)r->index + 1, id, r->ifaces.len);
    *out = &r->ifaces.data[id];
    if (__builtin_expect((*out)->link != CAPTURE_LINK_ETHERNET, 0))
        return capture_bad_link(r, (*out)->link, r->base + r->pos, d), DUNE_E_INPUT;
    return 0;
}

static inline int stamp_ns(const struct dune_reader *r, const struct pcapng_iface *f, uint64_t stamp,
                           uint64_t *ns, struct dune_diag *d)
{
    wide v = (wide)stamp * f->mul; /* below 2^94 */
    wide t;

    if (f->shift)
        v >>= f->shift;
    else if (f->div != 1)
        v /= f->div;
    t = v + (wide)f->offset_s * 1000000000;
    if (__builtin_expect(t < 0 || t > (wide)UINT64_MAX, 0))
        return BAD(r, r->pos, d, "the time stamp of packet %llu is before 1970 or after 2554",
                   (unsigned long long)r->index + 1);
    *ns = (uint64_t)t;
    return 0;
}

static int set_data(const struct dune_reader *r, const struct block *b, uint32_t head,
                    struct dune_record *rec, struct dune_diag *d)
{
    if (rec->cap_len > CAPTURE_MAX_RECORD)
        return BAD(r, r->pos, d,
                   "packet %llu claims %u captured bytes, more than any frame: damaged here",
                   (unsigned long long)r->index + 1, rec->cap_len);
    if (rec->cap_len > b->len - head - 4)
        return BAD(r, r->pos, d, "packet %llu claims %u captured bytes, its block has room for %u",
                   (unsigned long long)r->index + 1, rec->cap_len, b->len - head - 4);
    rec->data = b->p + head;
    rec->index = r->index;
    rec->offset = r->base + r->pos;
    return 0;
}

/* Enhanced packet block, and the obsolete one that differs in the size of the interface number. */
static int read_packet(const struct dune_reader *r, const struct block *b, struct dune_record *rec,
                       struct dune_diag *d)
{
    const struct pcapng_iface *f;
    uint32_t id;
    int rc;

    if (b->len < 32)
        return BAD(r, r->pos, d, "a packet block of %u bytes is too short", b->len);
    id = b->type == BLOCK_PACKET ? load16(b->p + 8, r->swap) : load32(b->p + 8, r->swap);
    rc = find_iface(r, id, &f, d);
    if (rc)
        return rc;
    rec->cap_len = load32(b->p + 20, r->swap);
    rec->wire_len = load32(b->p + 24, r->swap);
    rc = stamp_ns(r, f, (uint64_t)load32(b->p + 12, r->swap) << 32 | load32(b->p + 16, r->swap),
                  &rec->ts_ns, d);
    return rc ? rc : set_data(r, b, 28, rec, d);
}

/* No interface number (it is 0), no captured length (snap length or all) and no time. */
static int read_simple(const struct dune_reader *r, const struct block *b, struct dune_record *rec,
                       struct dune_diag *d)
{
    const struct pcapng_iface *f;
    int rc;

    if (b->len < 16)
        return BAD(r, r->pos, d, "a simple packet block of %u bytes is too short", b->len);
    rc = find_iface(r, 0, &f, d);
    if (rc)
        return rc;
    rec->wire_len = load32(b->p + 8, r->swap);
    rec->cap_len = rec->wire_len;
    if (f->snap_len && rec->cap_len > f->snap_len)
        rec->cap_len = f->snap_len;
    rec->ts_ns = 0;
    return set_data(r, b, 12, rec, d);
}

static bool is_packet(uint32_t type)
{
    return type == BLOCK_ENHANCED || type == BLOCK_SIMPLE || type == BLOCK_PACKET;
}

/* 1: *b is the next packet block, at r->pos; 0: end of the file. */
static inline int seek_packet(struct dune_reader *r, struct block *b, struct dune_diag *d)
{
    for (;;) {
        int rc = capture_want(r, 1, d);

        if (rc == 0 && r->pos == r->len)
            break;
        if (rc == 0)
            rc = read_block(r, b, d);
        if (rc == 0 && is_packet(b->type))
            return 1;
        if (rc == 0 && b->type == BLOCK_SECTION)
            rc = start_section(r, b, d);
        else if (rc == 0 && b->type == BLOCK_IFACE)
            rc = add_iface(r, b, d);
        if (rc)
            return rc;
        r->pos += b->len;
    }
    if (r->seen_foreign && !r->seen_ethernet)
        return capture_bad_link(r, r->foreign_link, r->foreign_at, d);
    return 0;
}

/* Reads ahead to the first packet, so that a file of a foreign link is refused when opened. */
int pcapng_start(struct dune_reader *r, struct dune_diag *d)
{
    struct dune_record rec;
    struct block b = {0};
    int rc = seek_packet(r, &b, d);

    if (rc == 1)
        rc = b.type == BLOCK_SIMPLE ? read_simple(r, &b, &rec, d) : read_packet(r, &b, &rec, d);
    return rc;
}

int pcapng_next(struct dune_reader *r, struct dune_record *rec, struct dune_diag *d)
{
    struct block b = {0};
    int rc = seek_packet(r, &b, d);

    if (rc != 1)
        return rc;
    rc = b.type == BLOCK_SIMPLE ? read_simple(r, &b, rec, d) : read_packet(r, &b, rec, d);
    if (rc)
        return rc;
    r->index++;
    r->pos += b.len;
    return 1;
}
