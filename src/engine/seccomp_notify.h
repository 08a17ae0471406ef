/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_notify.h - handing a filter's listener to the agent that answers for it
 */
#ifndef ENGINE_SECCOMP_NOTIFY_H
#define ENGINE_SECCOMP_NOTIFY_H

#include <sys/types.h>

#include "base/error.h"
#include "engine/hooks.h"
#include "spec/spec.h"

/**
 * seccomp_notify_send() - In the runtime's namespaces: the listener to spec's listenerPath
 * @state:	Of the container
 * @pid:	The process that loaded the filter, in our pid namespace
 * @listener:	Borrowed
 */
int seccomp_notify_send(const struct oci_seccomp *spec, const struct hook_state *state, pid_t pid,
			int listener, struct coffer_error *err);

#endif /* ENGINE_SECCOMP_NOTIFY_H */
