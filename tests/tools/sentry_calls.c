/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry_calls - the page about system calls, written from the rows of the table
 *
 *	sentry_calls > docs/sentry-syscalls.md
 */
#include <stdio.h>

#include "sentry/syscalls/syscalls.h"

static const char *const support_words[] = {
	[SYSCALL_FULL] = "yes",
	[SYSCALL_PART] = "partly",
	[SYSCALL_NONE] = "no",
};

static void count(unsigned n[3])
{
	for (size_t i = 0; syscalls_families[i]; i++)
		for (size_t k = 0; k < syscalls_families[i]->nrows; k++)
			n[syscalls_families[i]->rows[k].support]++;
}

static void print_family(const struct syscall_family *family)
{
	printf("\n## %s\n\n| number | name | supported | |\n|---|---|---|---|\n", family->name);
	for (size_t i = 0; i < family->nrows; i++) {
		const struct syscall_row *row = &family->rows[i];

		printf("| %u | `%s` | %s | %s |\n", row->nr, row->name, support_words[row->support],
		       row->note ? row->note : "");
	}
}

int main(void)
{
	unsigned n[3] = { 0 };

	count(n);
	puts("# System calls of the application kernel\n");
	puts("Written from the table in `src/sentry/syscalls/` (`make docs`); x86-64 numbers. *Partly* says");
	puts("what is missing; *no* is refused with the error that Linux gives to who may not. A call that");
	puts("is not listed answers ENOSYS, is counted, and named by `coffer inspect`.\n");
	printf("%u calls in full, %u in part, %u refused.\n", n[SYSCALL_FULL], n[SYSCALL_PART],
	       n[SYSCALL_NONE]);
	for (size_t i = 0; syscalls_families[i]; i++)
		print_family(syscalls_families[i]);
	return 0;
}
