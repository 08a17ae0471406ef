/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_profile.h - linux.seccomp in numbers
 */
#ifndef ENGINE_SECCOMP_PROFILE_H
#define ENGINE_SECCOMP_PROFILE_H

#include <stdbool.h>

#include "base/error.h"
#include "engine/seccomp_program.h"
#include "spec/spec.h"

#define SECCOMP_ABIS_MAX 4

struct seccomp_profile {
	bool abis[SECCOMP_ABIS_MAX];	 /* which of seccomp_abis[] it lists */
	uint32_t last[SECCOMP_ABIS_MAX]; /* the largest number it names, of each of them */
	uint32_t action;		 /* default */
	unsigned rank;			 /* of it */
	bool notify;			 /* some calls are for an agent */
	struct seccomp_rule *rules;	 /* owned */
	size_t rules_n, rules_cap;
	struct seccomp_call
	    *calls; /* owned; by interface, number, and the order they are asked in */
	size_t calls_n, calls_cap;
};

/* seccomp_profile_read() - @p is freed by the caller, also after a failure */
int seccomp_profile_read(const struct oci_seccomp *spec, struct seccomp_profile *p,
			 struct coffer_error *err);
void seccomp_profile_free(struct seccomp_profile *p);

/* seccomp_grow() - Room for one more element. Return: the array, moved if need be, or NULL */
void *seccomp_grow(void *v, size_t n, size_t *cap, size_t size);

/* clang-format off */
/* A new element at the end of @list, which has its length in @list##_n; or NULL */
#define SECCOMP_GROW(b, list) \
	({ \
		__typeof__((b)->list) v_ = seccomp_grow((b)->list, (b)->list##_n, \
							&(b)->list##_cap, sizeof(*v_)); \
		(b)->list = v_ ? v_ : (b)->list; \
		v_ ? &v_[(b)->list##_n++] : NULL; \
	})
/* clang-format on */

#endif /* ENGINE_SECCOMP_PROFILE_H */
