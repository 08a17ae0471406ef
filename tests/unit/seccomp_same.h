/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/seccomp_same.h - one profile, our program and libseccomp's
 */
#ifndef TESTS_SECCOMP_SAME_H
#define TESTS_SECCOMP_SAME_H

#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/spec.h"

#define SAME_NONE	0xffffffffU /* a call that a tracer skips */
#define SAME_CANDIDATES 128

struct same_rule {
	const struct oci_seccomp_rule *spec;
	uint32_t action;
	bool refused; /* by libseccomp */
};

/* One number that one rule is for. */
struct same_named {
	const struct same_rule *rule;
	size_t abi;
	uint32_t nr;
	bool muxed;			 /* what the rule names is a case of this call, ... */
	uint32_t muxed_mask, muxed_case; /* ... told by the first argument */
	bool unknown;			 /* to libseccomp */
};

/* All that there is to know of a call. */
struct same_call {
	struct seccomp_data data;
	uint32_t nr;
	int abi; /* -1: none that the profile lists */
	const struct same_named *v[SAME_CANDIDATES];
	size_t n;
};

extern size_t same_compared;

/* same_open() - Make both programs of @profile, which is JSON. The one that is open counts below */
void same_open(const char *title, const char *profile);
void same_close(void);

/* same_call_init() - The call, with arguments of 0 */
void same_call_init(struct same_call *c, uint32_t audit, uint32_t nr);
/* same_named_plain() - Does the rule hold whatever the arguments are? */
bool same_named_plain(const struct same_named *m);
struct scmp_arg_cmp same_cmp(const struct oci_seccomp_arg *arg);

/* same_compare() - Fail the test if a program's verdict on @c is not the one it should be */
void same_compare(const struct same_call *c);
/* same_check_met() - Each of the reasons to differ has been one */
void same_check_met(void);

#endif /* TESTS_SECCOMP_SAME_H */
