/* SPDX-License-Identifier: Apache-2.0 */
/* Placement on networks against trying everything, and its bounds on large ones. */
#include "testing.h"

#include "../plan/random_plan.h"
#include "place/place_int.h"

/* --- a stupid second opinion: any set of sub-models on any device ----------------------------------------- */

enum { MOST_DEVICES = 6, MOST_SUBS = 3 };

struct small {
    struct dune_topology *t;
    uint32_t m, size[MOST_SUBS], room[MOST_DEVICES];
    uint32_t weight[MOST_DEVICES * MOST_SUBS];
    uint8_t reach[MOST_DEVICES * (MOST_SUBS + 1)];
};

static bool path_is_good(const struct small *s, const uint32_t *held, uint32_t v, uint32_t met)
{
    const struct dune_topology *t = s->t;

    while (met < s->m && held[v] >> met & 1)
        met++;
    if (t->next_at[v] == t->next_at[v + 1])
        return met == s->m;
    for (uint32_t e = t->next_at[v]; e < t->next_at[v + 1]; e++)
        if (!path_is_good(s, held, t->next[e], met))
            return false;
    return true;
}

static bool all_good(const struct small *s, const uint32_t *held)
{
    for (uint32_t v = 0; v < s->t->n; v++)
        if (s->t->prev_at[v] == s->t->prev_at[v + 1] && !path_is_good(s, held, v, 0))
            return false;
    return true;
}

/* UINT64_MAX: there is no placement. */
static uint64_t brute(const struct small *s, bool weighted, uint32_t *held, uint32_t v, uint64_t cost, uint64_t best)
{
    if (cost >= best)
        return best;
    if (v == s->t->n)
        return all_good(s, held) ? cost : best;
    for (uint32_t set = 0; set < 1u << s->m; set++) {
        uint32_t used = 0;
        uint64_t more = !weighted && set;

        for (uint32_t k = 0; k < s->m; k++)
            if (set >> k & 1) {
                used += s->size[k];
                more += weighted ? s->weight[v * s->m + k] : 0;
            }
        if (used > s->room[v])
            continue;
        held[v] = set;
        best = brute(s, weighted, held, v + 1, cost + more, best);
    }
    return best;
}

static struct small small_case(uint64_t seed)
{
    const struct dune_budget none = {0, 0};
    struct small s = {0};
    struct dune_rng r;

    dune_rng_init(&r, seed, 1, 2, 3);
    s.m = 1 + (uint32_t)dune_rng_below(&r, MOST_SUBS);
    s.t = dune_network_random(2 + (uint32_t)dune_rng_below(&r, MOST_DEVICES - 1), 1 + (uint32_t)dune_rng_below(&r, 4), 2,
                              seed, "engine", &none);
    for (uint32_t k = 0; k < s.m; k++)
        s.size[k] = 1 + (uint32_t)dune_rng_below(&r, 4);
    for (uint32_t v = 0; v < s.t->n; v++) {
        s.room[v] = (uint32_t)dune_rng_below(&r, 9);
        for (uint32_t k = 0; k < s.m; k++)
            s.weight[v * s.m + k] = (uint32_t)dune_rng_below(&r, 5);
        for (uint32_t i = 0; i <= s.m; i++) {
            uint32_t end = i, used = 0;

            while (end < s.m && used + s.size[end] <= s.room[v])
                used += s.size[end++];
            s.reach[v * (s.m + 1) + i] = (uint8_t)end;
        }
    }
    return s;
}

static void check_answer(const struct small *s, const struct dune_place_answer *a, bool weighted)
{
    uint32_t held[MOST_DEVICES] = {0};
    uint64_t cost = 0;

    for (uint32_t v = 0; v < s->t->n; v++) {
        assert_true(a->in[v] <= a->out[v] && a->out[v] <= s->reach[v * (s->m + 1) + a->in[v]]);
        cost += !weighted && a->out[v] > a->in[v];
        for (uint32_t k = a->in[v]; k < a->out[v]; k++) {
            held[v] |= 1u << k;
            cost += weighted ? s->weight[v * s->m + k] : 0;
        }
    }
    assert_true(all_good(s, held));
    assert_int_equal(cost, a->cost);
}

static void same_as_brute_force(void **state)
{
    uint32_t feasible = 0, none = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct small s = small_case(seed);
        uint32_t held[MOST_DEVICES], stuck[MOST_DEVICES + 1];

        for (int weighted = 0; weighted < 2; weighted++) {
            struct dune_place_job job = {.net = s.t, .m = s.m, .reach = s.reach, .weight = weighted ? s.weight : NULL};
            uint64_t want = brute(&s, weighted, held, 0, 0, UINT64_MAX);
            struct dune_place_answer a;
            struct dune_diag d = {0};
            int rc = dune_place_solve(&job, &a, stuck, &d);

            assert_int_equal(rc, want == UINT64_MAX ? DUNE_E_INFEASIBLE : 0);
            if (rc == 0) {
                check_answer(&s, &a, weighted);
                assert_int_equal(a.cost, want);
                assert_true(a.exact && a.bound == want);
                feasible++;
            } else {
                assert_true(stuck[0] < s.t->n);
                none++;
            }
            dune_place_answer_fini(&a);
        }
        dune_network_free(s.t);
    }
    assert_true(feasible > 200 && none > 20);
}

/* The parts alone: the bound is never above the least, and the exact search needs no good start. */
static void bound_and_search_alone(void **state)
{
    uint32_t tight = 0, all = 0;

    (void)state;
    for (uint64_t seed = 1000; seed < 1200; seed++) {
        struct small s = small_case(seed);
        struct place_net p = {s.t, s.m, s.reach};
        uint32_t held[MOST_DEVICES];
        uint64_t want = brute(&s, false, held, 0, 0, UINT64_MAX);
        int64_t weight[MOST_DEVICES * MOST_SUBS] = {0};
        uint32_t cost = MOST_DEVICES + 1;
        bool used[MOST_DEVICES];
        uint8_t in[MOST_DEVICES], out[MOST_DEVICES];

        if (want != UINT64_MAX) {
            assert_true(place_bound(&p, weight) <= want);
            assert_true(place_relax(&p, UINT64_MAX) <= want);
            tight += place_relax(&p, UINT64_MAX) == want;
            all++;
            assert_true(place_exact(&p, weight, 100000, used, &cost));
            assert_int_equal(cost, want);
            assert_true(place_greedy(&p, used, in, out));
        }
        dune_network_free(s.t);
    }
    printf("# relaxation: %u of %u bounds are the least number\n", tight, all);
    assert_true(tight * 10 >= all * 9);
}

/* --- one sub-model per device -------------------------------------------------------------------------------- */

static void one_each(void **state)
{
    const struct dune_fat_tree f = {3, 4, 2, 2, 1, 3, 2};
    const struct dune_budget none = {0, 0};
    struct dune_topology *t = dune_network_fat_tree(&f, "engine", &none);
    uint8_t *reach = DUNE_NEW_N(uint8_t, (size_t)t->n * 4);
    struct dune_place_job job = {.net = t, .m = 3, .reach = reach};
    struct dune_place_answer a;
    struct dune_diag d = {0};

    (void)state;
    assert_int_equal(t->n, 3 * 6 + 2 + 5);
    assert_int_equal(t->n_links, 3 * 2 * (4 + 2) + 2 * (2 + 3));
    for (uint32_t v = 0; v < t->n; v++)
        for (uint32_t i = 0; i <= 3; i++)
            reach[v * 4 + i] = (uint8_t)DUNE_MIN(i + 2, 3u); /* two on each */
    assert_ok(dune_place_solve(&job, &a, NULL, &d), d);
    assert_int_equal(a.cost, 4);   /* the super spines and the egress spines */
    assert_int_equal(a.single, 7); /* and the egress leafs */
    assert_true(a.exact);
    dune_place_answer_fini(&a);
    dune_mem_free(reach);
    dune_network_free(t);
}

/* --- up to 40 devices: proved ----------------------------------------------------------------------------------- */

/* Rooms between two limits, sub-models of one to four units. */
static uint8_t *random_reach(const struct dune_topology *t, uint32_t m, uint64_t seed, uint32_t low, uint32_t high)
{
    uint8_t *reach = DUNE_NEW_N(uint8_t, (size_t)t->n * (m + 1));
    uint32_t size[DUNE_MAX_SUBMODELS];
    struct dune_rng r;

    dune_rng_init(&r, seed, 7, 0, 0);
    for (uint32_t k = 0; k < m; k++)
        size[k] = 1 + (uint32_t)dune_rng_below(&r, 4);
    for (uint32_t v = 0; v < t->n; v++) {
        uint32_t room = low + (uint32_t)dune_rng_below(&r, high - low + 1);

        for (uint32_t i = 0; i <= m; i++) {
            uint32_t end = i, used = 0;

            while (end < m && used + size[end] <= room)
                used += size[end++];
            reach[(size_t)v * (m + 1) + i] = (uint8_t)end;
        }
    }
    return reach;
}

static void forty_devices(void **state)
{
    const struct dune_budget none = {0, 0};
    uint32_t proved = 0, solved = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct dune_topology *t = dune_network_random(40, 5 + seed % 4, 3, seed, "engine", &none);
        uint8_t *reach = random_reach(t, 5, seed, 3, 9);
        struct dune_place_job job = {.net = t, .m = 5, .reach = reach};
        struct dune_place_answer a;
        struct dune_diag d = {0};

        if (dune_place_solve(&job, &a, NULL, &d) == 0) {
            solved++;
            proved += a.exact;
            assert_true(a.bound <= a.cost);
            printf("# seed %d: %d devices, bound %d\n", (int)seed, (int)a.cost, (int)a.bound);
        }
        dune_place_answer_fini(&a);
        dune_mem_free(reach);
        dune_network_free(t);
    }
    printf("# %u of %u proved\n", proved, solved);
    assert_true(solved >= 10);
    assert_int_equal(proved, solved);
}

/* --- a thousand -------------------------------------------------------------------------------------------------- */

static void a_thousand(void **state)
{
    const struct dune_fat_tree f = {40, 12, 12, 16, 4, 12, 12};
    const struct dune_budget none = {0, 0};
    struct dune_diag d = {0};

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct dune_topology *t = kind ? dune_network_random(1000, 8, 3, 5, "engine", &none)
                                       : dune_network_fat_tree(&f, "engine", &none);
        uint8_t *reach = random_reach(t, 5, 1, 6, kind ? 9 : 6);
        struct dune_place_job job = {.net = t, .m = 5, .reach = reach};
        struct dune_place_answer a;
        uint64_t begin = dune_now_ns();

        assert_int_equal(t->n, 1000);
        assert_ok(dune_place_solve(&job, &a, NULL, &d), d);
        printf("# %s: %d devices, bound %d, one each %d; %.2f s\n", kind ? "random" : "fat tree", (int)a.cost, (int)a.bound,
               (int)a.single, (double)(dune_now_ns() - begin) / 1e9);
        assert_true(kind ? a.cost * 10 <= a.bound * 12 : a.cost == a.bound);
        dune_place_answer_fini(&a);
        dune_mem_free(reach);
        dune_network_free(t);
    }
}

/* --- plans ---------------------------------------------------------------------------------------------------------- */

static void read_net(struct dune_topology **t, const char *text)
{
    const struct dune_budget b = {0, 0};
    struct dune_diag d = {0};

    assert_ok(dune_network_parse(t, "net", text, strlen(text), "engine", &b, &d), d);
}

static void plans(void **state)
{
    struct dune_plan *p = random_plan(3, 3, 1, 6), *q = dune_plan_clone(p);
    struct dune_topology *t;
    struct dune_placement x;
    struct dune_diag d = {0};
    uint32_t n[3];
    char text[512];

    (void)state;
    for (uint32_t k = 0; k < 3; k++)
        n[k] = p->sub[k].tree[0].n_leaves;
    /* a takes two sub-models and b one: the branches divide the chain at different places */
    snprintf(text, sizeof(text), "devices: [{name: a, budget: 'leaves_sum=%u'}, {name: b, budget: 'leaves_sum=%u'}, "
             "{name: c, budget: 'leaves_sum=%u'}, {name: e, budget: 'leaves_sum=%u'}]\nlinks: [[a, c], [b, e]]\n",
             n[0] + n[1], n[0], n[2], n[1] + n[2]);
    read_net(&t, text);
    assert_ok(dune_place_plan(p, t, DUNE_PLACE_DEVICES, &x, &d), d);
    assert_ok(dune_plan_verify(p, &d), d);
    assert_int_equal(x.devices, 4);
    assert_int_equal(x.n_positions, 3);
    assert_false(x.uniform);
    assert_true(x.first[0] == 0 && x.last[0] == 1 && x.first[2] == 2 && x.last[2] == 2);
    assert_true(x.first[1] == 0 && x.last[1] == 0 && x.first[3] == 1 && x.last[3] == 2);
    assert_int_equal(x.leaves, 2 * (n[0] + n[1] + n[2]));
    dune_placement_fini(&x);
    dune_network_free(t);

    snprintf(text, sizeof(text), "devices: [{name: a, budget: 'leaves_sum=%u'}, {name: w, plain: true}, "
             "{name: c, budget: 'leaves_sum=%u'}]\nlinks: [[a, w], [w, c]]\n", n[0] + n[1], n[2] - 1);
    read_net(&t, text);
    assert_int_equal(dune_place_plan(q, t, DUNE_PLACE_DEVICES, &x, &d), DUNE_E_INFEASIBLE);
    snprintf(text, sizeof(text), "path a - w - c meets 2 of 3 sub-models: with sub-model 12, c would hold %u leaves", n[2]);
    assert_non_null(strstr(d.msg, text));
    assert_non_null(strstr(d.msg, "its budget is leaves_sum"));
    dune_network_free(t);
    dune_plan_free(p);
    dune_plan_free(q);
}

static void latency_prefers_fast_devices(void **state)
{
    struct dune_plan *p = random_plan(4, 2, 1, 6);
    struct dune_topology *t;
    struct dune_placement x;
    struct dune_place_traffic traffic, again;
    struct dune_place_traffic_cfg cfg = {.flows = 2000, .seed = 3};
    struct dune_diag d = {0};

    (void)state;
    read_net(&t, "devices: [{name: a, submodel_ns: 900}, {name: b, submodel_ns: 100}, {name: c, submodel_ns: 500}]\n"
                 "links: [[a, b], [b, c]]\n");
    assert_ok(dune_place_plan(p, t, DUNE_PLACE_LATENCY, &x, &d), d);
    assert_int_equal(x.answer.out[1] - x.answer.in[1], 2);
    assert_true(x.mean_ns > 949 && x.mean_ns < 951 && x.worst_ns == x.mean_ns);
    dune_place_traffic(t, &x, &cfg, &traffic);
    dune_place_traffic(t, &x, &cfg, &again);
    assert_true(traffic.p99_ns == again.p99_ns && traffic.flows == 2000);
    assert_true(traffic.dev[1].busy > 0.49 && traffic.dev[1].busy < 0.51);
    assert_true(traffic.dev[1].packets == traffic.packets && traffic.dev[0].flows == 2000);
    assert_true(traffic.p50_ns >= 950 && traffic.p99_ns >= traffic.p50_ns);
    dune_place_traffic_fini(&traffic);
    dune_place_traffic_fini(&again);
    dune_placement_fini(&x);
    dune_network_free(t);
    dune_plan_free(p);
}

static void files(void **state)
{
    static const char *const bad[] = {
        "devices: [{name: a}]\nlinks: [[a, a]]\n", /* a circle */
        "devices: [{name: a}, {name: b}]\nlinks: [[a, b], [b, a]]\n",
        "devices: [{name: a}]\nfat_tree: {pods: 1}\n", "links: []\n", "fat_tree: {pods: 0}\n",
        "fat_tree: {pods: 4096, leafs: 4096}\n", "fat_tree: {pods: 1}\nlayers: {root: {}}\n",
        "fat_tree: {pods: 1}\nlayers: {leaf: {name: x}}\n", "random: {layers: 2}\n", "random: {devices: 3, layers: 0}\n",
        "devices: [{name: a, plain: maybe}]\n", "devices: [{name: a, hop_ns: -1}]\n",
    };
    const struct dune_budget b = {0, 0};
    struct dune_topology *t;
    struct dune_plan_device *dev;
    uint32_t n;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dune_diag d = {0};

        assert_int_equal(dune_network_parse(&t, "x", bad[i], strlen(bad[i]), "engine", &b, &d), DUNE_E_INPUT);
        assert_null(t);
    }
    read_net(&t, "fat_tree: {pods: 2, leafs: 2, hosts: 3}\nlayers: {spine: {plain: true}}\n");
    assert_string_equal(t->dev[3].name, "p2-leaf1");
    assert_true(t->dev[2].plain && !t->dev[3].plain && t->dev[0].hosts == 3);
    assert_int_equal(dune_network_row(t, &dev, &n, NULL), DUNE_E_USAGE);
    dune_network_free(t);
    /* two ways, of three and of two devices that hold something; the least budget of any */
    read_net(&t, "devices: [{name: a, budget: {leaves_sum: 9}}, {name: b}, {name: w, plain: true}, "
                 "{name: c, budget: {leaves_sum: 7, features_distinct: 3}}]\nlinks: [[a, b], [a, w], [b, c], [w, c]]\n");
    assert_int_equal(dune_network_narrowest(t, &dev, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_true(dev[0].budget.leaves_sum == 7 && dev[1].budget.features_distinct == 3);
    dune_devices_free(dev, n);
    dune_network_free(t);
    read_net(&t, "devices: [{name: a}, {name: w, plain: true}]\nlinks: []\n");
    assert_int_equal(dune_network_narrowest(t, &dev, &n, NULL), DUNE_E_INFEASIBLE);
    dune_network_free(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_brute_force), cmocka_unit_test(bound_and_search_alone), cmocka_unit_test(one_each),
        cmocka_unit_test(forty_devices), cmocka_unit_test(a_thousand), cmocka_unit_test(plans),
        cmocka_unit_test(latency_prefers_fast_devices), cmocka_unit_test(files),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
