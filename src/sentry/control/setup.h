/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/setup.h - a container's file systems and its processes' beginnings, from documents
 */
#ifndef SENTRY_CONTROL_SETUP_H
#define SENTRY_CONTROL_SETUP_H

#include "base/error.h"
#include "spec/spec.h"

struct file;
struct process;
struct sandbox_container;
struct tty;

/**
 * setup_container() - Mounts, names and limits as @spec says; nothing runs yet
 * @bundle:	What a relative root.path is relative to, a path of the contract
 *
 * What a document asks for and an application kernel has no use for (the host kernel's security
 * modules, seccomp profiles, device rules) is listed in docs/sentry.md and left out; anything else
 * that cannot be had is an error.
 *
 * container_free() it; on failure nothing is left.
 */
int setup_container(const char *id, const char *bundle, const struct oci_spec *spec,
		    struct sandbox_container **out, struct coffer_error *err);

/* setup_complete() - Fill in what a process document leaves open: environment, ids by name */
int setup_complete(struct sandbox_container *container, struct oci_process *process,
		   struct coffer_error *err);

/* setup_console() - That terminal is /dev/console, too; where it cannot be, it is not */
void setup_console(struct sandbox_container *container, int terminal);

/* setup_start() - Run it. @stdio: references are taken, NULL: closed. @tty: its terminal or NULL.
 * On success a reference to the process */
int setup_start(struct sandbox_container *container, const struct oci_process *process, bool init,
		struct file *const stdio[3], struct tty *tty, struct process **out,
		struct coffer_error *err);

/* setup_limits() - linux.resources, at the beginning and for update */
int setup_limits(struct sandbox_container *container, const struct oci_resources *res,
		 struct coffer_error *err);

#endif /* SENTRY_CONTROL_SETUP_H */
