/* SPDX-License-Identifier: Apache-2.0 */
/* Classifies packets from memory.   cc classify.c $(pkg-config --cflags --libs dune) && ./a.out plan.json */
#include <dune/dune.h>
#include <stdio.h>

static const uint8_t frame[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, /* Ethernet, IPv4, UDP: a DNS question */
    0x45, 0, 0, 57, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 5, 10, 0, 0, 1, 0xc3, 0x50, 0, 53, 0, 37, 0, 0};

int main(int argc, char **argv)
{
    struct dune_diag d = {0};
    struct dune_plan *plan = NULL;
    struct dune_classifier *c = NULL;
    struct dune_input in[4];
    struct dune_result r[4];
    char text[1200];
    int rc = dune_plan_read(&plan, argc > 1 ? argv[1] : "plan.json", &d);

    for (int i = 0; i < 4; i++) /* the same packet every 20 ms: one flow */
        in[i] = (struct dune_input){frame, sizeof(frame), 71, 1000000000u + i * 20000000u};
    if (rc == 0)
        rc = dune_classifier_new(&c, plan, NULL, &d);
    if (rc == 0)
        rc = dune_classify(c, in, 4, r, &d);
    for (int i = 0; rc == 0 && i < 4; i++)
        printf("packet %d: %s (confidence %u)%s\n", i + 1, r[i].cls ? dune_plan_class_name(plan, r[i].cls) : "-",
               r[i].confidence, r[i].flags & DUNE_RESULT_SETTLED ? ", settled" : "");
    if (rc)
        dune_diag_format(&d, text, sizeof(text)), fprintf(stderr, "%s\n", text);
    dune_classifier_free(c);
    dune_plan_free(plan);
    return rc != 0;
}
