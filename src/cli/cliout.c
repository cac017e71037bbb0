/* SPDX-License-Identifier: Apache-2.0 */
/* What commands print with: text, remarks, JSON and aligned tables. */
#include "cli/cli.h"

#include <string.h>

#include "base/ranks.h"
#include "base/spill.h"

void cli_out(struct cli_ctx *ctx, const char *fmt, ...)
{
    va_list ap;

    (void)ctx;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
}

void cli_note(struct cli_ctx *ctx, const char *fmt, ...)
{
    va_list ap;

    if (ctx->quiet || dune_ranks_me())
        return;
    fprintf(stderr, "dunectl %s: ", ctx->cmd->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void cli_note_text(void *ctx, const char *text)
{
    cli_note(ctx, "%s", text);
}

void cli_warn(struct cli_ctx *ctx, const char *fmt, ...)
{
    va_list ap;

    if (dune_ranks_me())
        return;
    fprintf(stderr, "dunectl %s: warning: ", ctx->cmd->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void cli_write_json(struct cli_ctx *ctx, const struct dune_buf *text)
{
    (void)ctx;
    dune_spill_fwrite(text->data, text->len, stdout);
    if (text->len && text->data[text->len - 1] != '\n')
        putchar('\n');
}

void cli_table_init(struct cli_table *t, size_t n_cols, const char *const *heads)
{
    size_t i;

    memset(t, 0, sizeof(*t));
    t->n_cols = DUNE_MIN(n_cols, DUNE_ARRAY_LEN(t->right));
    for (i = 0; i < t->n_cols; i++) {
        t->right[i] = heads[i][0] == '>';
        cli_table_cell(t, "%s", heads[i] + t->right[i]);
    }
}

void cli_table_cell(struct cli_table *t, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = dune_mem_vprintf(fmt, ap);
    va_end(ap);
    DUNE_VEC_PUSH(&t->cells, text);
}

static void print_cell(const char *s, size_t w, bool right, bool last)
{
    int pad = (int)(w - dune_text_width(s));

    printf("%*s%s", right ? pad : 0, "", s);
    if (!last)
        printf("%*s  ", right ? 0 : pad, "");
}

void cli_print_table(struct cli_ctx *ctx, struct cli_table *t)
{
    size_t w[DUNE_ARRAY_LEN(t->right)] = {0}, i, col;

    (void)ctx;
    for (i = 0; i < t->cells.len; i++)
        w[i % t->n_cols] = DUNE_MAX(w[i % t->n_cols], dune_text_width(t->cells.data[i]));
    for (i = 0; i < t->cells.len; i++) {
        col = i % t->n_cols;
        print_cell(t->cells.data[i], w[col], t->right[col], col + 1 == t->n_cols);
        if (col + 1 == t->n_cols)
            putchar('\n');
        dune_mem_free(t->cells.data[i]);
    }
    DUNE_VEC_FREE(&t->cells);
}
