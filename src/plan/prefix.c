/* SPDX-License-Identifier: Apache-2.0 */
/* Address prefixes of a filter, as text and back. */
#include "dune/plan_policy.h"

#include <arpa/inet.h>
#include <string.h>

#include "plan/plan_int.h"

void dune_prefix_format(char out[DUNE_PREFIX_TEXT], const struct dune_prefix *x)
{
    char addr[INET6_ADDRSTRLEN];

    inet_ntop(x->ipv6 ? AF_INET6 : AF_INET, x->addr, addr, sizeof(addr));
    snprintf(out, DUNE_PREFIX_TEXT, "%s/%u", addr, x->len);
}

bool dune_prefix_parse(struct dune_prefix *out, const char *text)
{
    struct dune_prefix x = {.ipv6 = strchr(text, ':') != NULL};
    const char *slash = strrchr(text, '/');
    uint64_t most = x.ipv6 ? 128 : 32, len = most;
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    char addr[DUNE_PREFIX_TEXT];

    if (n >= sizeof(addr) || (slash && (!dune_parse_u64(slash + 1, &len) || len > most)))
        return false;
    memcpy(addr, text, n);
    addr[n] = '\0';
    if (inet_pton(x.ipv6 ? AF_INET6 : AF_INET, addr, x.addr) != 1)
        return false;
    x.len = (uint8_t)len;
    *out = x;
    return true;
}

bool dune_prefix_has_host_bits(const struct dune_prefix *x)
{
    for (unsigned i = x->len; i < 128; i++)
        if (x->addr[i / 8] & (0x80 >> i % 8))
            return true;
    return false;
}
