/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/words.h - arguments of options taken apart, with strings of their own
 */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "base/options.h"
#include "coffer/coffer.h"

/* What options were turned into; everything made for it goes with words_free(). Zero-initialised is
 * empty. */
struct words {
	void **blocks; /* owned, and each of them */
	size_t nblocks;
};
void words_free(struct words *w);

/* words_keep() - @block (malloc'd, or NULL: no memory) is freed with @w. Return: @block, or NULL with
 * @err filled */
void *words_keep(struct words *w, void *block, struct coffer_error *err);
char *words_copy(struct words *w, const char *s, size_t n, struct coffer_error *err);
char *words_print(struct words *w, struct coffer_error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * words_env() - Variables of --env-file, then of --env
 *
 * "KEY" alone takes our value, and is dropped when we have none.
 */
int words_env(struct words *w, const struct opt_list *files, const struct opt_list *given,
	      const char *const **out, struct coffer_error *err);

/* words_mounts() - --mount, --volume and --tmpfs, in this order */
int words_mounts(struct words *w, const struct opt_list *mounts, const struct opt_list *volumes,
		 const struct opt_list *tmpfs, const struct coffer_mount **out, size_t *n,
		 struct coffer_error *err);

/* words_rlimits() - --ulimit NAME=SOFT[:HARD] */
int words_rlimits(struct words *w, const struct opt_list *given, const struct coffer_rlimit **out,
		  size_t *n, struct coffer_error *err);

/* words_groups() - --group-add, numbers only */
int words_groups(struct words *w, const struct opt_list *given, const uint32_t **out, size_t *n,
		 struct coffer_error *err);

/* words_relays() - --socket-in HOST:GUEST[:MODE], --socket-out GUEST:HOST[:MODE] */
int words_relays(struct words *w, const struct opt_list *in, const struct opt_list *out_of,
		 const struct coffer_relay **out, size_t *n, struct coffer_error *err);

/* words_security() - --security-opt no-new-privileges[:BOOL], seccomp=FILE|unconfined */
int words_security(struct words *w, const struct opt_list *given, bool *no_new_privs,
		   const char **seccomp, struct coffer_error *err);

/* words_layer() - --layer, --layer-size and --journal */
int words_layer(const char *layer, uint64_t size, const char *journal, struct coffer_layer *out,
		struct coffer_error *err);

/* words_cpus() - "1.5" as a quota of a period of 100 ms */
int words_cpus(const char *text, uint64_t *quota, uint64_t *period, struct coffer_error *err);

#endif /* CLI_WORDS_H */
