/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_words.h - the words of linux.seccomp and what the kernel has for them
 */
#ifndef ENGINE_SECCOMP_WORDS_H
#define ENGINE_SECCOMP_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum seccomp_op {
	SECCOMP_OP_NE,
	SECCOMP_OP_LT,
	SECCOMP_OP_LE,
	SECCOMP_OP_EQ,
	SECCOMP_OP_GE,
	SECCOMP_OP_GT,
	SECCOMP_OP_MASKED_EQ,
	SECCOMP_OP_COUNT,
};

struct seccomp_action {
	const char *name;
	uint32_t ret;	  /* SECCOMP_RET_* */
	bool takes_errno; /* errnoRet goes into its low bits */
};

/* From the strictest to the most lenient, two names of one action aside. */
extern const struct seccomp_action seccomp_actions[];
extern const size_t seccomp_actions_n;

/* By enum seccomp_op. */
extern const char *const seccomp_ops[SECCOMP_OP_COUNT];

struct seccomp_flag {
	const char *name;
	unsigned flag; /* SECCOMP_FILTER_FLAG_* */
};

extern const struct seccomp_flag seccomp_flags[];
extern const size_t seccomp_flags_n;

#endif /* ENGINE_SECCOMP_WORDS_H */
