/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/table.c - text in columns
 *
 * Cells may be foreign bytes: control characters are printed as "?".
 *
 * Callers: the programs with verbs.
 */
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/tty.h"

#define TABLE_WIDTH 12
#define TABLE_GAP   3

void table_add(struct table *t, const char *const *cells)
{
	char **more = reallocarray(t->cells, (t->rows + 1) * t->columns, sizeof(*more));

	t->failed |= !more;
	if (!more)
		return;
	t->cells = more;
	for (size_t i = 0; i < t->columns; i++) {
		char *copy = strdup(cells[i]);

		t->failed |= !copy;
		for (char *p = copy; p && *p; p++)
			memset(p, '?', tty_control(p));
		t->cells[t->rows * t->columns + i] = copy;
	}
	t->rows++;
}

/* Characters, as far as bytes of UTF-8 tell. */
static size_t table_width(const char *cell)
{
	size_t n = 0;

	for (; *cell; cell++)
		n += (*cell & 0xc0) != 0x80;
	return n;
}

static void table_line(const struct table *t, const char *const *cells, const size_t *widths,
		       FILE *out)
{
	for (size_t i = 0; i + 1 < t->columns; i++)
		fprintf(out, "%s%*s", cells[i], (int)(widths[i] - table_width(cells[i])), "");
	fprintf(out, "%s\n", cells[t->columns - 1]);
}

int table_print(const struct table *t, FILE *out, struct coffer_error *err)
{
	size_t widths[TABLE_COLUMNS_MAX];

	if (t->failed)
		return err_nomem(err);
	for (size_t i = 0; i < t->columns; i++) {
		widths[i] = strlen(t->titles[i]) + TABLE_GAP;
		for (size_t row = 0; row < t->rows; row++) {
			size_t n = table_width(t->cells[row * t->columns + i]) + TABLE_GAP;

			widths[i] = n > widths[i] ? n : widths[i];
		}
		widths[i] = widths[i] < TABLE_WIDTH ? TABLE_WIDTH : widths[i];
	}
	table_line(t, t->titles, widths, out);
	for (size_t row = 0; row < t->rows; row++)
		table_line(t, (const char *const *)t->cells + row * t->columns, widths, out);
	return 0;
}

void table_free(struct table *t)
{
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){ 0 };
}
