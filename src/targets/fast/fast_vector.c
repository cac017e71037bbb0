/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of features: dune_core_vector, packet features eight at a time where the processor has AVX2. */
#include "targets/core/dune_core_model.h"
#include "targets/fast/fast_int.h"

#include <string.h>

void dune_fast_fields_make(struct fast_fields *f, const struct dune_submodel *sm, const uint16_t where[DUNE_N_FEATURES])
{
    memset(f, 0, sizeof(*f));
    dune_core_fields_make(&f->plain, sm, where);
    f->stride = sm->n_feats < 16 ? 16 : DUNE_CORE_X_MAX;
    f->simd = f->stride == 16 && dune_fast_has_avx2();
    f->n_simd = sm->n_feats > 8 ? 2 : 1;
    for (uint32_t i = 0; f->simd && i < f->plain.n_packet; i++) {
        const struct dune_core_field *v = &f->plain.packet[i];

        f->at[v->x - 1] = v->at;
        f->shift[v->x - 1] = v->shift;
        f->mask[v->x - 1] = (int32_t)v->mask;
    }
}

void dune_fast_vectors_init(struct fast_vectors *v, size_t n, uint32_t stride)
{
    enum { LINE = 64 };
    uint8_t *room = dune_mem_zalloc((n * stride + FAST_X_SLACK + 1) * sizeof(uint32_t) + LINE, 1);
    size_t past = ((uintptr_t)room + sizeof(uint32_t)) % LINE;

    v->room = room;
    v->x = (uint32_t *)(void *)(room + (past ? LINE - past : 0));
}

void dune_fast_vectors_fini(struct fast_vectors *v)
{
    dune_mem_free(v->room);
    *v = (struct fast_vectors){.x = NULL};
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2"))) static void vector_avx2(uint32_t *x, const struct fast_fields *f,
                                                        const struct dune_core_packet *p, struct dune_core_slot *s,
                                                        uint32_t count)
{
    const __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)p->w);

    x[0] = 0;
    for (uint32_t i = 0; i < f->n_simd * 8; i += 8) {
        __m256i v = _mm256_permutevar8x32_epi32(w, _mm256_loadu_si256((const __m256i *)(const void *)(f->at + i)));

        v = _mm256_srlv_epi32(v, _mm256_loadu_si256((const __m256i *)(const void *)(f->shift + i)));
        v = _mm256_and_si256(v, _mm256_loadu_si256((const __m256i *)(const void *)(f->mask + i)));
        _mm256_storeu_si256((__m256i *)(void *)(x + 1 + i), v);
    }
    if (!s)
        return;
    for (uint32_t i = 0; i < f->plain.n_flow; i++)
        x[f->plain.flow[i].x] = dune_core_load(s, f->plain.flow[i].at) & f->plain.flow[i].mask;
    if (f->plain.count_x)
        x[f->plain.count_x] = count > UINT16_MAX ? UINT16_MAX : count;
}
#endif

void dune_fast_vector(uint32_t *x, const struct fast_fields *f, const struct dune_core_packet *p,
                      struct dune_core_slot *s, uint32_t count)
{
#if defined(__x86_64__)
    if (f->simd) {
        vector_avx2(x, f, p, s, count);
        return;
    }
#endif
    dune_core_vector(x, &f->plain, p, s, count);
}
