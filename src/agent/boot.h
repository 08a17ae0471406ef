/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/boot.h - PID 1 of a guest: from the kernel's hand-over to serving, and the end
 */
#ifndef AGENT_BOOT_H
#define AGENT_BOOT_H

#include "agent/agent.h"

/**
 * boot_early() - What must come before the host can be answered: the vsock device
 *
 * Return: listening descriptor, or negative errno when the guest cannot serve at all
 */
int boot_early(struct coffer_error *err);

/* boot_settle() - File systems and limits: before the first request is served.
 * What fails is logged; a request that needs it will fail and say so. */
void boot_settle(void);

/* boot_background() - What can go on from the loop, between requests */
void boot_background(struct agent *agent);

/* boot_power_off() - Say why on the console and end the machine */
_Noreturn void boot_power_off(const struct coffer_error *why);

#endif /* AGENT_BOOT_H */
