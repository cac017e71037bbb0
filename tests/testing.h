/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka with TAP output, and paths of the test data. */
#ifndef DUNE_TESTING_H
#define DUNE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* Fails with the diagnostic's text. */
#define assert_ok(rc, d)                                                                           \
    do {                                                                                           \
        if ((rc) != 0) {                                                                           \
            char text_[1400];                                                                      \
            dune_diag_format(&(d), text_, sizeof(text_));                                          \
            fail_msg("code %d: %s", (d).code, text_);                                              \
        }                                                                                          \
    } while (0)

/* Path below the shared data, or NULL with a printed skip reason (then call skip()). */
static inline const char *shared_data(const char *sub)
{
    static char path[4][1024];
    static int k;
    const char *root = getenv("DUNE_SHARED_DATA");
    char *p = path[k++ & 3];

    snprintf(p, sizeof(path[0]), "%s/%s", root ? root : "../shared/data", sub);
    if (!dune_path_exists(p)) {
        printf("# skip: %s is not here\n", sub);
        return NULL;
    }
    return p;
}

#define RUN_TESTS(tests)                                                                           \
    int main(void)                                                                                 \
    {                                                                                              \
        cmocka_set_message_output(CM_OUTPUT_TAP);                                                  \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

#endif
