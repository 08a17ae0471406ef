/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/freeze.c - stop all processes of a container, and let them go on
 *
 * Callers: main.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent_extras.pb-c.h"
#include "oci/inside/inside.h"
#include "oci/inside/process.h"
#include "oci/sentry_names.h"

#define FREEZE_BUDGET (10 * USEC_PER_SEC)

static int freeze_call(const char *dir, char *id, bool freeze, struct coffer_error *err)
{
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), sockets = -1;
	Ax__FreezeRequest stop = AX__FREEZE_REQUEST__INIT;
	Ax__ThawRequest go = AX__THAW_REQUEST__INIT;
	autoagent struct agent *agent = NULL;
	int r;

	if (fd >= 0)
		sockets = openat(fd, SENTRY_SOCKETS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sockets < 0)
		return err_sys(err, "open %s/%s", dir, SENTRY_SOCKETS);
	stop.container_id = go.container_id = id;
	r = inside_connect(sockets, &agent, err);
	if (r < 0)
		return r;
	return freeze ? agent_call(agent, AGENT_EXTRAS, "Freeze", &stop.base, FREEZE_BUDGET, NULL, err)
		      : agent_call(agent, AGENT_EXTRAS, "Thaw", &go.base, FREEZE_BUDGET, NULL, err);
}

int inside_freeze_main(const char *dir, const char *id, bool freeze)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (freeze_call(dir, (char *)id, freeze, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.message);
	return 1;
}
