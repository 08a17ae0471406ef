/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs_net.c - /proc/net
 *
 * Called through procfs_pid.c's table.
 */
#include "sentry/vfs/procfs.h"

#include "base/cleanup.h"

static const struct textfs_entry procfs_net_entries[] = {
	TEXTFS_TEXT("if_inet6", ""),
};

const struct textfs_dir procfs_net_dir = TEXTFS_DIR(procfs_net_entries);
