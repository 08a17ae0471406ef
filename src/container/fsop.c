/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/fsop.c - freeze, thaw and trim of the file system at a path
 *
 * The path is the container's: the agent resolves it among the container's own
 * mounts.  What to do with an answer that never comes is the agent call's
 * limit; nothing here waits with the container's lock held.
 */
#include "container/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "container/document.h"
#include "container/remote.h"
#include "sandbox_context.pb-c.h"

/* All that is to be written before a freeze, or every block to be given back. */
#define FSOP_BUDGET (60 * USEC_PER_SEC)

/*
 * The contract has one status for whatever goes wrong with the file system
 * itself, and the kernel's word for it at the end of the message.
 */
static const struct {
	int errnum;
	enum coffer_error_kind kind;
} fsop_reasons[] = {
	{ EBUSY, COFFER_ERR_INVALID_STATE },  /* it is frozen */
	{ EINVAL, COFFER_ERR_INVALID_STATE }, /* it is not */
	{ EOPNOTSUPP, COFFER_ERR_UNSUPPORTED },
	{ ENOTTY, COFFER_ERR_UNSUPPORTED },
};

static void fsop_classify(struct coffer_error *err)
{
	size_t len = strlen(err->message);

	for (size_t i = 0; i < ARRAY_SIZE(fsop_reasons); i++) {
		const char *text = strerrordesc_np(fsop_reasons[i].errnum);
		size_t n = strlen(text);

		if (err->kind != COFFER_ERR_INTERNAL || len < n ||
		    strcmp(err->message + len - n, text) != 0)
			continue;
		err->kind = fsop_reasons[i].kind;
		err->err = fsop_reasons[i].errnum;
	}
}

static int fsop_call(struct coffer_container *c, Sc__FilesystemOperationRequest *req,
		     ProtobufCMessage **reply, struct coffer_error *err)
{
	autoagent struct agent *agent = NULL;
	int r = container_agent_open(c, &agent, err);

	return r < 0 ? r
		     : agent_call(agent, AGENT_CONTRACT, "FilesystemOperation", &req->base,
				  FSOP_BUDGET, reply, err);
}

static int fsop_run(struct coffer_container *c, const char *what, const char *path,
		    Sc__FilesystemOperationRequest *req, ProtobufCMessage **reply,
		    struct coffer_error *err)
{
	char root[sizeof(DOCUMENT_STATE_DIR) + COFFER_ID_MAX + 16];
	struct coffer_error own = COFFER_ERROR_INIT;
	autofree char *whole = NULL;
	int r;

	if (!path || *path != '/')
		return err_invalid(err, "%s: path %s: not an absolute path", what,
				   path ? path : "");
	snprintf(root, sizeof(root), "%s/%s/rootfs", DOCUMENT_STATE_DIR, c->id);
	whole = path_join(root, path + strspn(path, "/"));
	if (!whole)
		return err_nomem(err);
	r = container_enter(c, CONTAINER_IN_STARTED, what, err);
	if (r < 0)
		return r;
	req->path = whole;
	r = fsop_call(c, req, reply, &own);
	container_leave(c);
	if (r == 0)
		return 0;
	fsop_classify(&own);
	r = err_wrap(&own, "%s %s of container %s", what, path, c->id);
	if (err)
		*err = own;
	return r;
}

int coffer_container_fs_freeze(struct coffer_container *c, const char *path,
			       struct coffer_error *err)
{
	Sc__FilesystemOperationRequest req = SC__FILESYSTEM_OPERATION_REQUEST__INIT;
	Sc__FiFreezeParams freeze = SC__FI_FREEZE_PARAMS__INIT;

	if (c->remote)
		return remote_fs_freeze(c, path, err);
	req.operation_case = SC__FILESYSTEM_OPERATION_REQUEST__OPERATION_FREEZE;
	req.freeze = &freeze;
	return fsop_run(c, "freeze", path, &req, NULL, err);
}

int coffer_container_fs_thaw(struct coffer_container *c, const char *path, struct coffer_error *err)
{
	Sc__FilesystemOperationRequest req = SC__FILESYSTEM_OPERATION_REQUEST__INIT;
	Sc__FiThawParams thaw = SC__FI_THAW_PARAMS__INIT;

	if (c->remote)
		return remote_fs_thaw(c, path, err);
	req.operation_case = SC__FILESYSTEM_OPERATION_REQUEST__OPERATION_THAW;
	req.thaw = &thaw;
	return fsop_run(c, "thaw", path, &req, NULL, err);
}

int coffer_container_fs_trim(struct coffer_container *c, const char *path, uint64_t *bytes,
			     struct coffer_error *err)
{
	Sc__FilesystemOperationRequest req = SC__FILESYSTEM_OPERATION_REQUEST__INIT;
	Sc__FiTrimParams__OneShot once = SC__FI_TRIM_PARAMS__ONE_SHOT__INIT;
	Sc__FiTrimParams trim = SC__FI_TRIM_PARAMS__INIT;
	const Sc__FilesystemOperationResponse *resp;
	autoreply ProtobufCMessage *reply = NULL;
	int r;

	if (c->remote)
		return remote_fs_trim(c, path, bytes, err);
	trim.schedule_case = SC__FI_TRIM_PARAMS__SCHEDULE_ONE_SHOT;
	trim.one_shot = &once;
	req.operation_case = SC__FILESYSTEM_OPERATION_REQUEST__OPERATION_TRIM;
	req.trim = &trim;
	r = fsop_run(c, "trim", path, &req, &reply, err);
	if (r < 0)
		return r;
	resp = (const Sc__FilesystemOperationResponse *)reply;
	if (bytes)
		*bytes = resp && resp->result_case == SC__FILESYSTEM_OPERATION_RESPONSE__RESULT_TRIM
			     ? resp->trim->trimmed_bytes
			     : 0;
	return 0;
}
