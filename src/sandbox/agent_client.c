/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/agent_client.c - the agent contract over gRPC
 *
 * Each call fills the generated message, runs it with a time budget and checks
 * the reply.  Sizes are bounded by the limits below, codes and times by the
 * checks here; error texts of the guest are escaped when somebody prints them.
 *
 * Callers: the sandboxes whose agent is at the other end of a socket, and
 * through the ops table the container room.
 */
#define LOG_CATEGORY "agent"
#include "sandbox/agent_client.h"

#include <string.h>

#include "base/log.h"
#include "agent_extras.pb-c.h"
#include "rpc/grpc_client.h"
#include "sandbox_context.pb-c.h"

/* Creating a process includes connecting its streams. */
#define AGENT_CREATE_BUDGET (15 * USEC_PER_SEC)

struct agent_client {
	struct agent agent;
	struct grpc_client *rpc;      /* owned */
	struct grpc_pending *waiting; /* owned; the WaitProcess call */
};

static struct agent_client *agent_client_from(struct agent *agent)
{
	return container_of(agent, struct agent_client, agent);
}

static const ProtobufCServiceDescriptor *const agent_client_services[] = {
	[AGENT_CONTRACT] = &sc__sandbox_context__descriptor,
	[AGENT_EXTRAS] = &ax__extras__descriptor,
};
_Static_assert(ARRAY_SIZE(agent_client_services) == AGENT_SERVICE_COUNT, "a row a service");

static int agent_client_request(struct agent *agent, const struct agent_request *request,
				usec_t budget, ProtobufCMessage **reply, struct coffer_error *err)
{
	usec_t begin = clock_now();
	int r = grpc_client_call(agent_client_from(agent)->rpc,
				 agent_client_services[request->service], request->method,
				 request->msg, clock_budget(budget), reply, err);

	log_debug("%s: %d after %llu us", request->method, r,
		  (unsigned long long)(clock_now() - begin));
	return r;
}

static int agent_client_stream_begin(struct agent *agent, const struct agent_request *request,
				     usec_t budget, struct agent_stream **out,
				     struct coffer_error *err)
{
	struct grpc_pending *p;
	int r = grpc_client_start(agent_client_from(agent)->rpc,
				  agent_client_services[request->service], request->method,
				  request->msg, clock_budget(budget), &p, err);

	if (r == 0)
		*out = (struct agent_stream *)p;
	return r;
}

static int agent_client_stream_next(struct agent *agent, struct agent_stream *stream,
				    usec_t deadline, ProtobufCMessage **reply,
				    struct coffer_error *err)
{
	return grpc_pending_recv((struct grpc_pending *)stream, deadline, reply, err);
}

static void agent_client_stream_end(struct agent *agent, struct agent_stream *stream)
{
	grpc_pending_free((struct grpc_pending *)stream);
}

static int agent_client_call(struct agent *agent, const char *method, const ProtobufCMessage *req,
			     usec_t budget, ProtobufCMessage **resp, struct coffer_error *err)
{
	return agent_call(agent, AGENT_CONTRACT, method, req, budget, resp, err);
}

/* Each step's request goes out at once; its answer is taken by agent_client_prepare(). */
static int agent_client_send(struct agent *agent, const char *method, const ProtobufCMessage *req,
			     struct grpc_pending **out, struct coffer_error *err)
{
	return grpc_client_start(agent_client_from(agent)->rpc, &sc__sandbox_context__descriptor,
				 method, req, clock_budget(AGENT_CALL_BUDGET), out, err);
}

static int agent_client_mount(struct agent *agent, const struct agent_step *step,
			      struct grpc_pending **out, struct coffer_error *err)
{
	Sc__MountRequest req = SC__MOUNT_REQUEST__INIT;

	req.type = (char *)step->type;
	req.source = (char *)step->source;
	req.destination = (char *)step->path;
	req.options = (char **)step->options;
	while (step->options && step->options[req.n_options])
		req.n_options++;
	return agent_client_send(agent, "Mount", &req.base, out, err);
}

static int agent_client_mkdir(struct agent *agent, const struct agent_step *step,
			      struct grpc_pending **out, struct coffer_error *err)
{
	Sc__MkdirRequest req = SC__MKDIR_REQUEST__INIT;

	req.path = (char *)step->path;
	req.all = true;
	req.perms = 0755;
	return agent_client_send(agent, "Mkdir", &req.base, out, err);
}

static int agent_client_link_up(struct agent *agent, const struct agent_step *step,
				struct grpc_pending **out, struct coffer_error *err)
{
	Sc__IpLinkSetRequest req = SC__IP_LINK_SET_REQUEST__INIT;

	req.interface = (char *)step->path;
	req.up = true;
	return agent_client_send(agent, "IpLinkSet", &req.base, out, err);
}

static int agent_client_any(struct agent *agent, const struct agent_step *step,
			    struct grpc_pending **out, struct coffer_error *err)
{
	return grpc_client_start(agent_client_from(agent)->rpc,
				 agent_client_services[step->request.service],
				 step->request.method, step->request.msg,
				 clock_budget(AGENT_CALL_BUDGET), out, err);
}

static const struct {
	const char *what;
	int (*send)(struct agent *agent, const struct agent_step *step, struct grpc_pending **out,
		    struct coffer_error *err);
} agent_client_steps[] = {
	[AGENT_STEP_MOUNT] = { "mount", agent_client_mount },
	[AGENT_STEP_MKDIR] = { "make directory", agent_client_mkdir },
	[AGENT_STEP_LINK_UP] = { "bring up interface", agent_client_link_up },
	[AGENT_STEP_CALL] = { NULL, agent_client_any },
};
_Static_assert(ARRAY_SIZE(agent_client_steps) == AGENT_STEP_COUNT, "a row a kind");

/*
 * All requests are sent before the first answer is waited for: the agent
 * serves a connection's requests in their order, and a round trip is dear on
 * an emulated machine.  What follows a failed step fails or is of no use, and
 * whoever prepares a sandbox in vain ends it.
 */
static int agent_client_prepare(struct agent *agent, const struct agent_step *steps, size_t nsteps,
				struct coffer_error *err)
{
	usec_t begin = clock_now(), deadline = deadline_in(clock_budget(AGENT_CALL_BUDGET));
	struct grpc_pending *calls[AGENT_STEPS_MAX] = { NULL };
	const char *what;
	int r = 0;

	if (nsteps > AGENT_STEPS_MAX)
		return err_invalid(err, "too many steps");
	for (size_t i = 0; r == 0 && i < nsteps; i++)
		r = agent_client_steps[steps[i].kind].send(agent, &steps[i], &calls[i], err);
	for (size_t i = 0; i < nsteps; i++) {
		ProtobufCMessage *msg = NULL;

		if (!calls[i])
			continue;
		what = agent_client_steps[steps[i].kind].what;
		if (!what)
			what = steps[i].request.method;
		if (r == 0) {
			r = grpc_pending_recv(calls[i], deadline, &msg, err);
			if (msg)
				protobuf_c_message_free_unpacked(msg, NULL);
			if (r < 0)
				err_wrap(err, "%s %s", what, steps[i].path);
			log_debug("%s %s: %d after %llu us", what, steps[i].path, r,
				  (unsigned long long)(clock_now() - begin));
		}
		grpc_pending_free(calls[i]);
	}
	return r;
}

/* The presence case of every request's containerID has the same meaning, but a type of its own. */
#define AGENT_CLIENT_SET_IDS(req, process, prefix)                                                 \
	do {                                                                                       \
		(req)->id = (char *)(process)->id;                                                 \
		(req)->_container_id_case = prefix##___CONTAINER_ID_CONTAINER_ID;                  \
		(req)->containerid = (char *)(process)->container;                                 \
	} while (0)

static int agent_client_create(struct agent *agent, const struct agent_create *args,
			       struct coffer_error *err)
{
	Sc__CreateProcessRequest req = SC__CREATE_PROCESS_REQUEST__INIT;

	AGENT_CLIENT_SET_IDS(&req, &args->process, SC__CREATE_PROCESS_REQUEST);
	req.configuration.data = (uint8_t *)args->spec;
	req.configuration.len = strlen(args->spec);
	if (args->ports[0]) {
		req._stdin_case = SC__CREATE_PROCESS_REQUEST___STDIN_STDIN;
		req.stdin = args->ports[0];
	}
	if (args->ports[1]) {
		req._stdout_case = SC__CREATE_PROCESS_REQUEST___STDOUT_STDOUT;
		req.stdout = args->ports[1];
	}
	if (args->ports[2]) {
		req._stderr_case = SC__CREATE_PROCESS_REQUEST___STDERR_STDERR;
		req.stderr = args->ports[2];
	}
	return agent_client_call(agent, "CreateProcess", &req.base, AGENT_CREATE_BUDGET, NULL, err);
}

static int agent_client_start(struct agent *agent, const struct agent_process *process, int *pid,
			      struct coffer_error *err)
{
	Sc__StartProcessRequest req = SC__START_PROCESS_REQUEST__INIT;
	ProtobufCMessage *resp = NULL;
	int r;

	AGENT_CLIENT_SET_IDS(&req, process, SC__START_PROCESS_REQUEST);
	r = agent_client_call(agent, "StartProcess", &req.base, AGENT_CALL_BUDGET, &resp, err);
	if (r < 0)
		return r;
	*pid = ((Sc__StartProcessResponse *)resp)->pid;
	protobuf_c_message_free_unpacked(resp, NULL);
	return 0;
}

static int agent_client_kill(struct agent *agent, const struct agent_process *process, int sig,
			     struct coffer_error *err)
{
	Sc__KillProcessRequest req = SC__KILL_PROCESS_REQUEST__INIT;

	AGENT_CLIENT_SET_IDS(&req, process, SC__KILL_PROCESS_REQUEST);
	req.signal = sig;
	return agent_client_call(agent, "KillProcess", &req.base, AGENT_CALL_BUDGET, NULL, err);
}

static int agent_client_resize(struct agent *agent, const struct agent_process *process,
			       uint16_t rows, uint16_t columns, struct coffer_error *err)
{
	Sc__ResizeProcessRequest req = SC__RESIZE_PROCESS_REQUEST__INIT;

	AGENT_CLIENT_SET_IDS(&req, process, SC__RESIZE_PROCESS_REQUEST);
	req.rows = rows;
	req.columns = columns;
	return agent_client_call(agent, "ResizeProcess", &req.base, AGENT_CALL_BUDGET, NULL, err);
}

static int agent_client_close_stdin(struct agent *agent, const struct agent_process *process,
				    struct coffer_error *err)
{
	Sc__CloseProcessStdinRequest req = SC__CLOSE_PROCESS_STDIN_REQUEST__INIT;

	AGENT_CLIENT_SET_IDS(&req, process, SC__CLOSE_PROCESS_STDIN_REQUEST);
	return agent_client_call(agent, "CloseProcessStdin", &req.base, AGENT_CALL_BUDGET, NULL,
				 err);
}

static int agent_client_remove(struct agent *agent, const struct agent_process *process,
			       struct coffer_error *err)
{
	Sc__DeleteProcessRequest req = SC__DELETE_PROCESS_REQUEST__INIT;

	AGENT_CLIENT_SET_IDS(&req, process, SC__DELETE_PROCESS_REQUEST);
	return agent_client_call(agent, "DeleteProcess", &req.base, AGENT_CALL_BUDGET, NULL, err);
}

static int agent_client_set_time(struct agent *agent, const struct timespec *now,
				 struct coffer_error *err)
{
	Sc__SetTimeRequest req = SC__SET_TIME_REQUEST__INIT;

	req.sec = now->tv_sec;
	req.usec = (int32_t)(now->tv_nsec / 1000);
	return agent_client_call(agent, "SetTime", &req.base, AGENT_CALL_BUDGET, NULL, err);
}

static int agent_client_wait_begin(struct agent *agent, const struct agent_process *process,
				   struct coffer_error *err)
{
	Sc__WaitProcessRequest req = SC__WAIT_PROCESS_REQUEST__INIT;
	struct agent_client *c = agent_client_from(agent);

	/* One that nobody waits for any more. */
	if (c->waiting)
		grpc_pending_free(steal_ptr(c->waiting));
	AGENT_CLIENT_SET_IDS(&req, process, SC__WAIT_PROCESS_REQUEST);
	return grpc_client_start(c->rpc, &sc__sandbox_context__descriptor, "WaitProcess", &req.base,
				 USEC_INFINITY, &c->waiting, err);
}

static int agent_client_wait_poll(struct agent *agent, usec_t deadline, struct agent_exit *status,
				  struct coffer_error *err)
{
	struct agent_client *c = agent_client_from(agent);
	Sc__WaitProcessResponse *resp;
	ProtobufCMessage *msg = NULL;
	int r;

	if (!c->waiting)
		return err_internal(err, "agent: nothing is waited for");
	r = grpc_pending_recv(c->waiting, deadline, &msg, err);
	if (r == -ETIMEDOUT)
		return r;
	grpc_pending_free(steal_ptr(c->waiting));
	if (r < 0)
		return r;
	if (!msg)
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "agent: no exit status came");
	resp = (Sc__WaitProcessResponse *)msg;
	*status = (struct agent_exit){ .code = resp->exitcode };
	if (resp->exited_at && resp->exited_at->nanos >= 0 && resp->exited_at->nanos < 1000000000)
		status->at = (struct timespec){ .tv_sec = resp->exited_at->seconds,
						.tv_nsec = resp->exited_at->nanos };
	protobuf_c_message_free_unpacked(msg, NULL);
	if (status->code < 0 || status->code > 255)
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "agent: exit code %d is none",
			       status->code);
	return 0;
}

static int agent_client_fd(const struct agent *agent)
{
	return grpc_client_fd(container_of(agent, const struct agent_client, agent)->rpc);
}

static void agent_client_set_cancel(struct agent *agent, int fd)
{
	grpc_client_set_cancel(agent_client_from(agent)->rpc, fd);
}

static void agent_client_close(struct agent *agent)
{
	struct agent_client *c = agent_client_from(agent);

	if (c->waiting)
		grpc_pending_free(c->waiting);
	grpc_client_free(c->rpc);
	free(c);
}

static const struct agent_ops agent_client_ops = {
	.call = agent_client_request,
	.stream_begin = agent_client_stream_begin,
	.stream_next = agent_client_stream_next,
	.stream_end = agent_client_stream_end,
	.fd = agent_client_fd,
	.prepare = agent_client_prepare,
	.create = agent_client_create,
	.start = agent_client_start,
	.kill = agent_client_kill,
	.resize = agent_client_resize,
	.close_stdin = agent_client_close_stdin,
	.remove = agent_client_remove,
	.set_time = agent_client_set_time,
	.wait_begin = agent_client_wait_begin,
	.wait_poll = agent_client_wait_poll,
	.set_cancel = agent_client_set_cancel,
	.close = agent_client_close,
};

int agent_client_new(int fd, struct agent **out, struct coffer_error *err)
{
	const struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	autofree struct agent_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_nomem(err);
	c->agent.ops = &agent_client_ops;
	r = grpc_client_new(fd, &limits, &c->rpc, err);
	if (r < 0)
		return r;
	*out = &steal_ptr(c)->agent;
	return 0;
}
