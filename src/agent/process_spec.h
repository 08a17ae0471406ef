/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/process_spec.h - the configuration of CreateProcess, read and completed
 */
#ifndef AGENT_PROCESS_SPEC_H
#define AGENT_PROCESS_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "spec/spec.h"

/* process_spec_parse() - JSON to a spec that has process and root and, for init, linux */
int process_spec_parse(const void *json, size_t len, bool is_init, struct oci_spec **out,
		       struct coffer_error *err);

/* process_spec_rootfs() - The absolute path of its root, malloc'd; relative is to the bundle */
int process_spec_rootfs(const struct oci_spec *spec, const char *bundle, char **rootfs,
			struct coffer_error *err);

/**
 * process_spec_complete() - Fill in what the host left open, then validate
 * @rootfs:	The container's root, mounted: its passwd and group files decide about users
 *
 * cgroupsPath, cwd, user, PATH, HOME, TERM; init's hostname goes to /etc/hostname.
 */
int process_spec_complete(struct oci_spec *spec, const char *container_id, const char *rootfs,
			  bool is_init, struct coffer_error *err);

/**
 * process_spec_check_exec() - Does an exec's document ask for what its container does not give?
 * @init:	Of the container
 *
 * An exec lives in its container's mounts and behind its filter: masked paths,
 * read-only paths and a seccomp profile of its own are refused rather than left out.
 */
int process_spec_check_exec(const struct oci_spec *spec, const struct oci_spec *init,
			    struct coffer_error *err);

#endif /* AGENT_PROCESS_SPEC_H */
