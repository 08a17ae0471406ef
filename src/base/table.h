/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/table.h - text in columns
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

#define TABLE_COLUMNS_MAX 8

struct table {
	const char *const *titles; /* borrowed */
	size_t columns;
	char **cells; /* owned */
	size_t rows;
	bool failed;  /* no memory for a row */
};

#define TABLE_INIT(titles_, n) { .titles = (titles_), .columns = (n) }

/* table_add() - A row of @columns texts, which are copied */
void table_add(struct table *t, const char *const *cells);
/* table_print() - At least 12 wide and 3 apart, the last column as long as it is */
int table_print(const struct table *t, FILE *out, struct coffer_error *err);
void table_free(struct table *t);

#endif /* BASE_TABLE_H */
