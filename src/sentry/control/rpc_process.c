/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/rpc_process.c - the seven process methods
 *
 * Only here do calls meet processes. A call that waits is kept in a small object that either side may
 * drop first.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/control/rpc.h"

/* The container's id of any of the seven requests, NULL when it is absent. */
#define RPC_CONTAINER_ID(req) ((req)->_container_id_case ? (req)->containerid : NULL)

static int rpc_find(const struct control *control, const char *container, const char *id,
		    struct control_process **out, struct coffer_error *err)
{
	const struct control_container *c;

	if (!container)
		return err_invalid(err, "processes outside a container are not supported: "
					"containerID is missing");
	c = control_container_find(control, container);
	if (!c)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "container %s does not exist",
			       container);
	*out = control_process_find(c, id);
	return *out ? 0 : err_state(err, "container %s has no process %s", container, id);
}

static int rpc_create(struct control *control, const Sc__CreateProcessRequest *req,
		      struct coffer_error *err)
{
	const bool set[3] = { req->_stdin_case != 0, req->_stdout_case != 0,
			      req->_stderr_case != 0 };
	const uint32_t ports[3] = { req->stdin, req->stdout, req->stderr };
	struct control_create args = {
		.container = RPC_CONTAINER_ID(req),
		.id = req->id,
		.config = req->configuration.data,
		.config_len = req->configuration.len,
	};

	if (!args.container)
		return err_invalid(err, "processes outside a container are not supported: "
					"containerID is missing");
	for (int i = 0; i < 3; i++) {
		if (set[i] && ports[i] == 0)
			return err_invalid(err, "standard stream %d: port 0", i);
		args.ports[i] = set[i] ? ports[i] : 0;
	}
	if (req->_oci_runtime_path_case && req->ociruntimepath[0])
		return err_unsupported(err, "an OCI runtime in the guest is not supported");
	return control_create(control, &args, err);
}

RPC_METHOD(rpc_create_process)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = rpc_create(data, (const void *)msg, &err);

	rpc_answer(call, r, &err);
}

RPC_METHOD(rpc_start_process)
{
	const Sc__StartProcessRequest *req = (const void *)msg;
	Sc__StartProcessResponse reply = SC__START_PROCESS_RESPONSE__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct control_process *p = NULL;
	bool tried;
	int r = rpc_find(data, RPC_CONTAINER_ID(req), req->id, &p, &err);

	tried = r == 0 && p->state == CONTROL_CREATED;
	if (r == 0)
		r = control_start(p, &err);
	/* Whatever kept the program from running is INTERNAL; the exit code tells more. */
	if (r < 0 && tried && p->state == CONTROL_STOPPED)
		err.kind = COFFER_ERR_INTERNAL;
	if (r < 0) {
		grpc_call_fail(call, &err);
		return;
	}
	reply.pid = p->pid;
	grpc_call_reply(call, &reply.base);
}

RPC_METHOD(rpc_kill_process)
{
	const Sc__KillProcessRequest *req = (const void *)msg;
	Sc__KillProcessResponse reply = SC__KILL_PROCESS_RESPONSE__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct control_process *p = NULL;
	int r = rpc_find(data, RPC_CONTAINER_ID(req), req->id, &p, &err);

	if (r == 0)
		r = control_kill(p, req->signal, &err);
	if (r < 0)
		grpc_call_fail(call, &err);
	else
		grpc_call_reply(call, &reply.base);
}

RPC_METHOD(rpc_resize_process)
{
	const Sc__ResizeProcessRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct control_process *p = NULL;
	int r = rpc_find(data, RPC_CONTAINER_ID(req), req->id, &p, &err);

	if (r == 0)
		r = control_resize(p, req->rows, req->columns, &err);
	rpc_answer(call, r, &err);
}

RPC_METHOD(rpc_close_process_stdin)
{
	const Sc__CloseProcessStdinRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct control_process *p = NULL;
	int r = rpc_find(data, RPC_CONTAINER_ID(req), req->id, &p, &err);

	if (r == 0)
		control_close_stdin(p);
	rpc_answer(call, r, &err);
}

RPC_METHOD(rpc_delete_process)
{
	const Sc__DeleteProcessRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct control_process *p = NULL;
	int r = rpc_find(data, RPC_CONTAINER_ID(req), req->id, &p, &err);

	if (r == 0)
		r = control_delete(p, &err);
	rpc_answer(call, r, &err);
}

/* ---- WaitProcess ---- */

struct rpc_wait {
	struct control_waiter waiter;
	struct grpc_call *call;
	struct control_process *process;
};

static void rpc_wait_cancelled(struct grpc_call *call, void *data)
{
	struct rpc_wait *wait = data;

	control_wait_cancel(wait->process, &wait->waiter);
	free(wait);
}

static void rpc_wait_done(struct control_waiter *w, const struct control_process *p)
{
	struct rpc_wait *wait = container_of(w, struct rpc_wait, waiter);
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Sc__WaitProcessResponse reply = SC__WAIT_PROCESS_RESPONSE__INIT;

	if (p) {
		at.seconds = p->exited_at.tv_sec;
		at.nanos = (int32_t)p->exited_at.tv_nsec;
		reply.exitcode = p->exit_code;
		reply.exited_at = &at;
		grpc_call_reply(wait->call, &reply.base);
	} else {
		grpc_call_finish(wait->call, GRPC_NOT_FOUND, "process was deleted");
	}
	free(wait);
}

RPC_METHOD(rpc_wait_process)
{
	const Sc__WaitProcessRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct control_process *p = NULL;
	struct rpc_wait *wait;
	int r = rpc_find(data, RPC_CONTAINER_ID(req), req->id, &p, &err);

	wait = r == 0 ? calloc(1, sizeof(*wait)) : NULL;
	if (r == 0 && !wait)
		r = err_nomem(&err);
	if (r < 0) {
		grpc_call_fail(call, &err);
		return;
	}
	*wait = (struct rpc_wait){ .waiter.fn = rpc_wait_done, .call = call, .process = p };
	grpc_call_on_cancel(call, rpc_wait_cancelled, wait);
	control_wait(p, &wait->waiter);
}
