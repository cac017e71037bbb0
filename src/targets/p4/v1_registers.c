/* SPDX-License-Identifier: Apache-2.0 */
/* Flow registers of the v1model program: only those that a sub-model here reads. The update rules are
 * those of src/features/flow_state.c, line by line. */
#include "targets/p4/p4_int.h"

#include <assert.h>
#include <string.h>

static bool is_gap(uint8_t id)
{
    return id == DUNE_F_GAP_MIN || id == DUNE_F_GAP_MAX || (id >= DUNE_F_GAP_2 && id <= DUNE_F_GAP_8);
}

static void put_lowest(struct dune_buf *b, const char *reg, const char *value, const char *first)
{
    dune_buf_printf(b, "            if (%s || %s < %s) {\n                %s = %s;\n            }\n", first,
                    value, reg, reg, value);
}

static void put_if(struct dune_buf *b, const char *condition, const char *reg, const char *value)
{
    dune_buf_printf(b, "            if (%s) {\n                %s = %s;\n            }\n", condition, reg,
                    value);
}

static void put_duration(struct dune_buf *b)
{
    dune_buf_puts(b, "            if (meta.count == 0) {\n                first = meta.now;\n            }\n"
                     "            delta = last - first;\n"
                     "            if (delta > 0xFFFFFFFF) {\n                delta = 0xFFFFFFFF;\n            }\n"
                     "            meta.r_duration = delta[31:0];\n");
}

static void put_count(struct dune_buf *b, uint8_t id)
{
    static const char *const flag[] = {"syn", "ack", "psh", "fin", "rst", "urg", "ece", "cwr"};
    const char *f = flag[id - DUNE_F_SYN_COUNT];

    dune_buf_printf(b, "            meta.r_count_%s = meta.r_count_%s |+| (bit<8>)meta.flag_%s;\n", f, f, f);
}

static void put_kth(struct dune_buf *b, uint8_t id, const char *reg)
{
    char condition[48];

    snprintf(condition, sizeof(condition), "meta.count == %u", dune_catalog[id].kth - 1u);
    put_if(b, condition, reg, is_gap(id) ? "meta.gap" : "meta.ip_len");
}

static void put_update(struct dune_buf *b, uint8_t id)
{
    char ident[32], reg[48];

    p4_ident(ident, id);
    snprintf(reg, sizeof(reg), "meta.r_%s", ident);
    if (dune_catalog[id].kth)
        put_kth(b, id, reg);
    else if (id >= DUNE_F_SYN_COUNT && id <= DUNE_F_CWR_COUNT)
        put_count(b, id);
    else if (id == DUNE_F_LEN_MIN)
        put_lowest(b, reg, "meta.ip_len", "meta.count == 0");
    else if (id == DUNE_F_LEN_MAX)
        put_if(b, "meta.ip_len > meta.r_len_max", reg, "meta.ip_len");
    else if (id == DUNE_F_LEN_TOTAL)
        dune_buf_printf(b, "            %s = %s |+| (bit<32>)meta.ip_len;\n", reg, reg);
    else if (id == DUNE_F_UDP_MIN)
        put_if(b, "meta.is_tcp == 0 && (udp_seen == 0 || meta.udp_length < meta.r_udp_len_min)", reg,
               "meta.udp_length");
    else if (id == DUNE_F_UDP_MAX)
        put_if(b, "meta.udp_length > meta.r_udp_len_max", reg, "meta.udp_length");
    else if (id == DUNE_F_GAP_MIN)
        put_if(b, "meta.count == 1 || (meta.count > 1 && meta.gap < meta.r_gap_min)", reg, "meta.gap");
    else if (id == DUNE_F_GAP_MAX)
        put_if(b, "meta.gap > meta.r_gap_max", reg, "meta.gap");
    else if (id == DUNE_F_DURATION)
        put_duration(b);
    else
        assert(!"a register that no packet changes: a feature of the catalog is missing here");
}

static void put_gap(struct dune_buf *b)
{
    dune_buf_puts(b, "            if (meta.count != 0 && meta.now > last) {\n"
                     "                delta = meta.now - last;\n"
                     "                if (delta > 0xFFFFFFFF) {\n"
                     "                    delta = 0xFFFFFFFF;\n"
                     "                }\n"
                     "                meta.gap = delta[31:0];\n"
                     "            }\n");
}

/* One register: its declaration, the read of an old slot, the write. */
struct parts {
    struct dune_buf fields, declare, locals, read, update, write;
};

static void put_register(struct parts *x, const char *name, const char *where, unsigned bits)
{
    dune_buf_printf(&x->declare, "    register<bit<%u>>(ALL_SLOTS) %s;\n", bits, name);
    dune_buf_printf(&x->read, "                %s.read(%s, meta.at);\n", name, where);
    dune_buf_printf(&x->write, "            %s.write(meta.at, %s);\n", name, where);
}

void p4_v1_registers(struct p4_vars *v, const struct p4_shape *s)
{
    struct parts x = {0};
    struct dune_buf gap = {0};
    bool gaps = false;

    for (uint8_t id = 0; id < DUNE_N_FEATURES; id++) {
        char ident[32], name[48], where[48];

        if (!p4_uses(s, id) || !p4_is_register(id))
            continue;
        gaps |= is_gap(id);
        p4_ident(ident, id);
        snprintf(name, sizeof(name), "r_%s", ident);
        snprintf(where, sizeof(where), "meta.r_%s", ident);
        dune_buf_printf(&x.fields, "    bit<%u> %*s%s;\n", dune_catalog[id].bits,
                        dune_catalog[id].bits < 10 ? 2 : 1, "", name);
        put_register(&x, name, where, dune_catalog[id].bits);
        put_update(&x.update, id);
    }
    if (p4_uses(s, DUNE_F_DURATION)) {
        put_register(&x, "slot_first", "first", 64);
        dune_buf_puts(&x.locals, "    bit<64> first = 0;\n");
    }
    if (p4_uses(s, DUNE_F_UDP_MIN)) {
        put_register(&x, "slot_udp_seen", "udp_seen", 1);
        dune_buf_puts(&x.locals, "    bit<1> udp_seen = 0;\n");
        put_if(&x.update, "meta.is_tcp == 0", "udp_seen", "1");
    }
    if (gaps || p4_uses(s, DUNE_F_DURATION))
        dune_buf_puts(&x.locals, "    bit<64> delta = 0;\n");
    if (gaps) {
        dune_buf_puts(&x.fields, "    bit<32>  gap;        // before this packet\n");
        put_gap(&gap);
    }
    p4_set_buf(v, "REGISTER_FIELDS", &x.fields);
    p4_set_buf(v, "REGISTERS", &x.declare);
    p4_set_buf(v, "STATE_LOCALS", &x.locals);
    p4_set_buf(v, "STATE_READ", &x.read);
    p4_set_buf(v, "STATE_GAP", &gap);
    p4_set_buf(v, "STATE_UPDATE", &x.update);
    p4_set_buf(v, "STATE_WRITE", &x.write);
}
