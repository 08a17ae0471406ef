/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/update.c - limits of a container that runs, changed by its agent
 *
 * The machine stays as large as it was made.
 */
#include "container/container.h"

#include <string.h>

#include "agent_extras.pb-c.h"
#include "container/document.h"
#include "container/remote.h"

int coffer_container_update(struct coffer_container *c, const struct coffer_resources *resources,
			    struct coffer_error *err)
{
	Ax__UpdateRequest msg = AX__UPDATE_REQUEST__INIT;
	struct coffer_error own = COFFER_ERROR_INIT;
	autofree char *json = NULL;
	int r;

	if (c->remote)
		return remote_update(c, resources, err);
	json = document_resources(resources, &own);
	if (!json) {
		if (err)
			*err = own;
		return -own.err;
	}
	r = container_enter(c, CONTAINER_IN_STARTED, "update", err);
	if (r < 0)
		return r;
	msg.container_id = c->id;
	msg.resources.data = (uint8_t *)json;
	msg.resources.len = strlen(json);
	r = container_call(c, AGENT_EXTRAS, "Update", &msg.base, AGENT_CALL_BUDGET, NULL, err);
	if (r < 0)
		err_wrap(err, "update container %s", c->id);
	container_leave(c);
	return r;
}
