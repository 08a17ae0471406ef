/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/stats_net.c - what a container's network interfaces have carried
 *
 * No control group counts it; /proc/PID/net/dev tells of init's network
 * namespace.  The loopback interface is left out.
 *
 * Callers: control.c.
 */
#include "engine/stats_net.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

#define STATS_NET_MAX ((size_t)1 << 20)

static bool stats_net_parse(const char *line, struct stats_interface *out)
{
	*out = (struct stats_interface){ 0 };
	return sscanf(line,
		      " %15[^: ]: %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		      " %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, out->name,
		      &out->rx_bytes, &out->rx_packets, &out->rx_errors, &out->rx_dropped,
		      &out->tx_bytes, &out->tx_packets, &out->tx_errors, &out->tx_dropped) == 9 &&
	       strcmp(out->name, "lo") != 0;
}

int stats_net_read(pid_t init, struct engine_stats *out, struct coffer_error *err)
{
	autofree char *text = NULL;
	struct stats_interface one, *v;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)init);
	r = io_read_file(AT_FDCWD, path, STATS_NET_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (!stats_net_parse(p, &one))
			continue;
		v = reallocarray(out->interfaces, out->interfaces_n + 1, sizeof(*v));
		if (!v)
			return err_nomem(err);
		out->interfaces = v;
		v[out->interfaces_n++] = one;
	}
	return 0;
}
