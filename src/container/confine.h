/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/confine.h - what a process may do, from configuration to document
 */
#ifndef CONTAINER_CONFINE_H
#define CONTAINER_CONFINE_H

#include "coffer/container.h"

#include "base/error.h"
#include "spec/spec.h"

/* All of them change a document that has the defaults; the error names the configuration's field. */

/* confine_process() - Capabilities, limits, groups, no_new_privs */
int confine_process(struct oci_process *p, const struct coffer_process_config *config,
		    struct coffer_error *err);

/* confine_seccomp() - config->seccomp, checked, as linux.seccomp */
int confine_seccomp(struct oci_spec *spec, const struct coffer_process_config *config,
		    struct coffer_error *err);

/* confine_resources() - Those that are not 0 */
int confine_resources(struct oci_resources *res, const struct coffer_resources *limits,
		      struct coffer_error *err);

int confine_sysctls(struct oci_spec *spec, const char *const *sysctls, struct coffer_error *err);

#endif /* CONTAINER_CONFINE_H */
