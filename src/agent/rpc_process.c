/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_process.c - the seven process methods
 *
 * Only here do calls meet processes: a call that waits is kept in a small
 * object that either side may drop first - the client by cancelling, the
 * process by ending.
 */
#define LOG_CATEGORY "process"
#include <stdlib.h>
#include <string.h>

#include "agent/container.h"
#include "agent/process.h"
#include "agent/rpc.h"

/* The container's id of any of the seven requests, NULL when it is absent. */
#define RPC_CONTAINER_ID(req) ((req)->_container_id_case ? (req)->containerid : NULL)

static int rpc_find_container(const struct agent *agent, const char *id, struct container **out,
			      struct coffer_error *err)
{
	if (!id)
		return err_invalid(err, "processes outside a container are not supported: "
					"containerID is missing");
	*out = container_find(agent, id);
	return *out ? 0 : err_set(err, COFFER_ERR_NOT_FOUND, 0, "container %s does not exist", id);
}

static int rpc_find_process(const struct agent *agent, const char *container_id, const char *id,
			    struct process **out, struct coffer_error *err)
{
	struct container *c = NULL;
	int r;

	r = rpc_find_container(agent, container_id, &c, err);
	if (r < 0)
		return r;
	*out = container_process(c, id);
	return *out ? 0 : err_state(err, "container %s has no process %s", container_id, id);
}

/* ---- CreateProcess ---- */

struct rpc_creation {
	struct grpc_call *call; /* NULL once the client gave up; the creation goes on */
};

static void rpc_creation_cancelled(struct grpc_call *call, void *data)
{
	struct rpc_creation *creation = data;

	creation->call = NULL;
}

static void rpc_creation_done(void *data, const struct coffer_error *err)
{
	struct rpc_creation *creation = data;

	if (creation->call)
		rpc_answer(creation->call, err ? -1 : 0, err);
	free(creation);
}

static int rpc_create_args(const Sc__CreateProcessRequest *req, struct process_create_args *args,
			   struct coffer_error *err)
{
	*args = (struct process_create_args){
		.id = req->id,
		.config = req->configuration.data,
		.config_len = req->configuration.len,
		.stdio = {
			[STREAM_IN] = { req->_stdin_case != 0, req->stdin },
			[STREAM_OUT] = { req->_stdout_case != 0, req->stdout },
			[STREAM_ERR] = { req->_stderr_case != 0, req->stderr },
		},
	};
	for (int i = 0; i < STREAM_COUNT; i++)
		if (args->stdio[i].set && args->stdio[i].port == 0)
			return err_invalid(err, "standard stream %d: port 0", i);
	if (req->_oci_runtime_path_case && req->ociruntimepath[0])
		return err_unsupported(err, "an OCI runtime in the guest is not supported");
	return 0;
}

static int rpc_create_container(struct agent *agent, const char *id, const char *process_id,
				struct container **out, struct coffer_error *err)
{
	if (!id)
		return err_invalid(err, "processes outside a container are not supported: "
					"containerID is missing");
	*out = container_find(agent, id);
	if (*out)
		return 0;
	if (strcmp(id, process_id) != 0)
		return err_invalid(err, "init process id must match container id");
	return container_new(agent, id, out, err);
}

static int rpc_create(struct agent *agent, const Sc__CreateProcessRequest *req,
		      struct rpc_creation *creation, struct coffer_error *err)
{
	struct process_create_args args;
	struct container *c = NULL;
	int r;

	r = rpc_create_args(req, &args, err);
	if (r == 0)
		r = rpc_create_container(agent, RPC_CONTAINER_ID(req), req->id, &c, err);
	if (r == 0)
		r = process_create(c, &args, rpc_creation_done, creation, err);
	return r;
}

void rpc_create_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	struct rpc_creation *creation = calloc(1, sizeof(*creation));
	struct coffer_error err = COFFER_ERROR_INIT;
	int r;

	if (!creation) {
		err_nomem(&err);
		grpc_call_fail(call, &err);
		return;
	}
	creation->call = call;
	grpc_call_on_cancel(call, rpc_creation_cancelled, creation);
	r = rpc_create(data, (const void *)msg, creation, &err);
	if (r < 0)
		rpc_creation_done(creation, &err);
}

/* ---- WaitProcess ---- */

struct rpc_wait {
	struct process_waiter waiter;
	struct grpc_call *call;
	struct process *process;
};

static void rpc_wait_cancelled(struct grpc_call *call, void *data)
{
	struct rpc_wait *wait = data;

	process_wait_cancel(wait->process, &wait->waiter);
	free(wait);
}

static void rpc_wait_done(struct process_waiter *w, const struct process *p)
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

void rpc_wait_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__WaitProcessRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct process *p = NULL;
	struct rpc_wait *wait;

	if (rpc_find_process(data, RPC_CONTAINER_ID(req), req->id, &p, &err) < 0) {
		grpc_call_fail(call, &err);
		return;
	}
	wait = calloc(1, sizeof(*wait));
	if (!wait) {
		err_nomem(&err);
		grpc_call_fail(call, &err);
		return;
	}
	*wait = (struct rpc_wait){ .waiter.fn = rpc_wait_done, .call = call, .process = p };
	grpc_call_on_cancel(call, rpc_wait_cancelled, wait);
	process_wait(p, &wait->waiter);
}

/* ---- the others ---- */

void rpc_start_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__StartProcessRequest *req = (const void *)msg;
	Sc__StartProcessResponse reply = SC__START_PROCESS_RESPONSE__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct process *p = NULL;
	bool tried;
	int r;

	r = rpc_find_process(data, RPC_CONTAINER_ID(req), req->id, &p, &err);
	tried = r == 0 && p->state == PROCESS_CREATED;
	if (r == 0)
		r = process_start(p, &reply.pid, &err);
	/* Whatever kept the program from running is INTERNAL; the exit code tells more. */
	if (r < 0 && tried && p->state == PROCESS_STOPPED)
		err.kind = COFFER_ERR_INTERNAL;
	if (r < 0)
		grpc_call_fail(call, &err);
	else
		grpc_call_reply(call, &reply.base);
}

void rpc_kill_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__KillProcessRequest *req = (const void *)msg;
	Sc__KillProcessResponse reply = SC__KILL_PROCESS_RESPONSE__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct process *p = NULL;
	int r;

	r = rpc_find_process(data, RPC_CONTAINER_ID(req), req->id, &p, &err);
	if (r == 0)
		r = process_kill(p, req->signal, &err);
	if (r < 0)
		grpc_call_fail(call, &err);
	else
		grpc_call_reply(call, &reply.base);
}

void rpc_resize_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__ResizeProcessRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct process *p = NULL;
	int r;

	r = rpc_find_process(data, RPC_CONTAINER_ID(req), req->id, &p, &err);
	if (r == 0)
		r = process_resize(p, req->rows, req->columns, &err);
	rpc_answer(call, r, &err);
}

void rpc_close_process_stdin(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__CloseProcessStdinRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct process *p = NULL;
	int r;

	r = rpc_find_process(data, RPC_CONTAINER_ID(req), req->id, &p, &err);
	if (r == 0)
		streams_close_stdin(&p->streams);
	rpc_answer(call, r, &err);
}

void rpc_delete_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__DeleteProcessRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct process *p = NULL;
	int r;

	r = rpc_find_process(data, RPC_CONTAINER_ID(req), req->id, &p, &err);
	if (r == 0 && p->state == PROCESS_CREATING)
		r = err_state(&err, "process %s is still being created", p->id);
	else if (r == 0 && p->is_init)
		r = container_delete(p->container, &err);
	else if (r == 0 && p->state == PROCESS_RUNNING)
		r = err_state(&err, "process %s is running", p->id);
	else if (r == 0)
		process_free(p);
	rpc_answer(call, r, &err);
}
