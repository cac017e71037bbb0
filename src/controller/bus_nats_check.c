/* SPDX-License-Identifier: Apache-2.0 */
/* Control traffic to other machines is never open to everybody. */
#include "controller/ctl_int.h"

#include <string.h>

/* 127.evil.example is a name like any other. */
static bool is_loopback(const char *host, size_t len)
{
    return (len == 9 && strncmp(host, "localhost", 9) == 0) ||
           (len >= 7 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len) ||
           (len == 5 && strncmp(host, "[::1]", 5) == 0);
}

const char *dune_bus_nats_shown(const char *url)
{
    const char *at = strrchr(url, '@');

    return at ? at + 1 : url;
}

int dune_bus_nats_check(const struct dune_bus_nats_cfg *cfg, struct dune_diag *d)
{
    const char *host = strstr(cfg->url, "://"), *at, *colon;
    size_t len;

    if (!host || (strncmp(cfg->url, "nats://", 7) != 0 && strncmp(cfg->url, "tls://", 6) != 0) ||
        strchr(cfg->url, ',') || !host[3])
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a NATS server is nats://HOST:PORT or tls://HOST:PORT, not \"%.100s\"",
                             dune_bus_nats_shown(cfg->url));
    host += 3;
    at = strrchr(host, '@');
    host = at ? at + 1 : host;
    colon = strrchr(host, ':');
    len = colon && !strchr(colon, ']') ? (size_t)(colon - host) : strlen(host);
    if (is_loopback(host, len) || cfg->creds || at)
        return 0;
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "%.*s is another machine: its NATS server needs credentials (--creds FILE, "
                         "or nats://USER:PASSWORD@HOST), better with TLS (tls://)", (int)DUNE_MIN(len, 100u), host);
}
