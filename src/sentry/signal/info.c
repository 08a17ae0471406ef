/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/signal/info.c - siginfo_t as Linux lays it out on x86-64
 *
 * For everybody who sends a signal; no state.
 */
#include "sentry/signal/internal.h"

#include <string.h>

#include "base/cleanup.h"

/* From byte 16 on. */
struct info_user {
	int32_t pid;
	uint32_t uid;
};

struct info_child {
	int32_t pid;
	uint32_t uid;
	int32_t status, pad;
	uint64_t utime, stime;
};

void signal_info_user(struct signal_info *info, int sig, int code, int pid, uint32_t uid)
{
	const struct info_user user = { .pid = pid, .uid = uid };

	memset(info, 0, sizeof(*info));
	info->signo = sig;
	info->code = code;
	memcpy(info->fields, &user, sizeof(user));
}

void signal_info_child(struct signal_info *info, int code, int pid, uint32_t uid, int status,
		       uint64_t utime, uint64_t stime)
{
	const struct info_child child = {
		.pid = pid, .uid = uid, .status = status, .utime = utime, .stime = stime
	};

	memset(info, 0, sizeof(*info));
	info->signo = SIGCHLD;
	info->code = code;
	memcpy(info->fields, &child, sizeof(child));
}
