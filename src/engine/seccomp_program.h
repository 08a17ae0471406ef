/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_program.h - ranges of call numbers to a filter program
 */
#ifndef ENGINE_SECCOMP_PROGRAM_H
#define ENGINE_SECCOMP_PROGRAM_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/seccomp_words.h"

#define SECCOMP_ARGS 6

/* (argument @arg) @op @a; for MASKED_EQ: of the argument and @b the bits in @a are the same */
struct seccomp_cond {
	unsigned arg;
	enum seccomp_op op;
	uint64_t a, b;
};

struct seccomp_rule {
	uint32_t action; /* SECCOMP_RET_* with its data */
	unsigned rank;	 /* 0 is the strictest */
	unsigned n;	 /* all of these hold, 0: always */
	struct seccomp_cond conds[SECCOMP_ARGS];
};

/* One rule for one call. */
struct seccomp_call {
	uint32_t nr;
	uint32_t rule; /* index */
	uint8_t abi;
	uint8_t plain; /* no conditions */
	uint8_t rank;  /* of a rule with conditions */
};

/* What happens from call @first up to the next range's: the first rule that holds, or @action. */
struct seccomp_range {
	uint32_t first;
	uint32_t action;
	const struct seccomp_call *calls; /* borrowed */
	size_t n;
	bool wide;
};

struct seccomp_program {
	const struct seccomp_rule *rules; /* borrowed; what calls point at */
	bool full;			  /* it would be longer than the kernel takes */
	size_t n;
	struct sock_filter insns[BPF_MAXINSNS];
};

/**
 * seccomp_program_section() - Append what happens to calls with architecture @audit
 * @ranges:	The first starts at 0
 */
void seccomp_program_section(struct seccomp_program *p, uint32_t audit,
			     const struct seccomp_range *ranges, size_t n);
/* seccomp_program_end() - Append what happens on every other architecture */
void seccomp_program_end(struct seccomp_program *p, uint32_t action);

#endif /* ENGINE_SECCOMP_PROGRAM_H */
