/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/loopback.c - the one interface that every network namespace has
 *
 * A new one has it down.  No word of the spec, but programs expect to reach
 * themselves, and every runtime sees to it.
 *
 * Callers: init.c, restore.c, the agent for the machine's own.
 */
#include "engine/loopback.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"

int loopback_raise(struct coffer_error *err)
{
	autoclose int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK };

	return sock < 0 || ioctl(sock, SIOCSIFFLAGS, &ifr) < 0 ? err_sys(err, "bring up lo") : 0;
}
