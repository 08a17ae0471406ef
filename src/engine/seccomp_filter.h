/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_filter.h - linux.seccomp to a filter, and loading it
 */
#ifndef ENGINE_SECCOMP_FILTER_H
#define ENGINE_SECCOMP_FILTER_H

#include <linux/filter.h>

#include "base/error.h"
#include "spec/spec.h"

struct seccomp_filter {
	struct sock_filter *insns; /* owned; NULL: no filter */
	unsigned short n;
	unsigned flags; /* SECCOMP_FILTER_FLAG_* */
};

/* seccomp_compile() - In the parent, once a container. @spec: NULL gives no filter */
int seccomp_compile(const struct oci_seccomp *spec, struct seccomp_filter *out,
		    struct coffer_error *err);
void seccomp_filter_free(struct seccomp_filter *f);

/**
 * seccomp_apply() - In the child: one system call. Needs CAP_SYS_ADMIN or no_new_privs
 * @listener:	Set to the filter's listener (close-on-exec), or to -1 when it asks nobody
 */
int seccomp_apply(const struct seccomp_filter *f, int *listener, struct coffer_error *err);

#endif /* ENGINE_SECCOMP_FILTER_H */
