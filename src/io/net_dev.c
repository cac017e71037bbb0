/* SPDX-License-Identifier: Apache-2.0 */
#include "io/net_dev.h"

#include <stdio.h>
#include <string.h>

uint64_t dune_net_dev(const char *ifname, unsigned column)
{
    FILE *f = fopen("/proc/thread-self/net/dev", "re");
    unsigned long long v[DUNE_NET_DEV_COLUMNS], n = 0;
    char line[512];

    while (f && fgets(line, sizeof(line), f)) {
        char *name = line + strspn(line, " "), *colon = strchr(name, ':');

        if (!colon)
            continue;
        *colon = '\0';
        if (strcmp(name, ifname) == 0 &&
            sscanf(colon + 1, "%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4],
                   &v[5], &v[6], &v[7], &v[8], &v[9], &v[10], &v[11]) == DUNE_NET_DEV_COLUMNS)
            n = v[column];
    }
    if (f)
        fclose(f);
    return n;
}
