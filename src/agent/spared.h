/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/spared.h - signals that the kernel spares the first process of a pid namespace
 */
#ifndef AGENT_SPARED_H
#define AGENT_SPARED_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * spared_signal() - Would @sig end any other process than an init in @pid's present state?
 *
 * True if it ends programs by default and @pid neither handles, nor ignores,
 * nor blocks it.
 */
bool spared_signal(pid_t pid, int sig);

#endif /* AGENT_SPARED_H */
