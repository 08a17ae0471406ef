/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/agent.h - the agent contract as a container sees it
 *
 * A struct agent is one connection to whoever keeps the contract in a sandbox.
 * Calls on it come from one thread at a time; every call has a time budget, so
 * an agent that does not answer costs an error, never a hang.  What comes back
 * is checked here: callers may use it as it is.
 */
#ifndef SANDBOX_AGENT_H
#define SANDBOX_AGENT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

struct agent {
	const struct agent_ops *ops;
};

/* What an agent serves on its port. */
enum agent_service {
	AGENT_CONTRACT, /* sc__*: sandbox_context.proto */
	AGENT_EXTRAS,	/* ax__*: agent_extras.proto */
	AGENT_SERVICE_COUNT,
};

struct agent_request {
	enum agent_service service;
	const char *method; /* "Mount" ... */
	const ProtobufCMessage *msg;
};

struct agent_stream; /* a call whose replies are taken one by one; opaque */

/* A step of preparing a sandbox. */
enum agent_step_kind {
	AGENT_STEP_MOUNT,   /* also makes the mount point */
	AGENT_STEP_MKDIR,   /* with parents */
	AGENT_STEP_LINK_UP, /* a network interface */
	AGENT_STEP_CALL,    /* whatever request says; its reply is of no interest */
	AGENT_STEP_COUNT,
};

#define AGENT_STEPS_MAX 64

struct agent_step {
	enum agent_step_kind kind;
	const char *path;   /* mount point, directory, or interface; call: named in errors */
	const char *type;   /* mount */
	const char *source; /* mount */
	const char *const *options;   /* mount: words of mount(8), NULL-terminated or NULL */
	struct agent_request request; /* call */
};

/* A process: the init of a container when both ids are the same. */
struct agent_process {
	const char *container;
	const char *id;
};

/* Streams by number, 0 to 2; port 0 is no stream. */
struct agent_create {
	struct agent_process process;
	uint32_t ports[3]; /* where the caller listens */
	const char *spec;  /* OCI document */
};

struct agent_exit {
	int code; /* 0 to 255 */
	struct timespec at;
};

#define AGENT_CALL_BUDGET (10 * USEC_PER_SEC) /* of a call that does no more than a system call */

struct agent_ops {
	/* A call with one reply. @budget scales under emulation, USEC_INFINITY: none. *@reply (may be
	 * NULL) is bounded, its texts are UTF-8; free it with agent_reply_free(). */
	int (*call)(struct agent *agent, const struct agent_request *request, usec_t budget,
		    ProtobufCMessage **reply, struct coffer_error *err);

	/* A call with any number of replies, or one that is not waited for at once. Several may be
	 * under way. stream_next() gives -ETIMEDOUT while there is none (@deadline 0: only look),
	 * and NULL after the last one; another error is the call's end. stream_end() ends it in
	 * any case. fd() is readable when stream_next() is worth a try. */
	int (*stream_begin)(struct agent *agent, const struct agent_request *request,
			    usec_t budget, struct agent_stream **out, struct coffer_error *err);
	int (*stream_next)(struct agent *agent, struct agent_stream *stream, usec_t deadline,
			   ProtobufCMessage **reply, struct coffer_error *err);
	void (*stream_end)(struct agent *agent, struct agent_stream *stream);
	int (*fd)(const struct agent *agent);

	/* Runs at most AGENT_STEPS_MAX steps in order; tells of the first that failed, the later
	 * ones may have been tried all the same. */
	int (*prepare)(struct agent *agent, const struct agent_step *steps, size_t nsteps,
		       struct coffer_error *err);
	int (*create)(struct agent *agent, const struct agent_create *args,
		      struct coffer_error *err);
	int (*start)(struct agent *agent, const struct agent_process *process, int *pid,
		     struct coffer_error *err);
	int (*kill)(struct agent *agent, const struct agent_process *process, int sig,
		    struct coffer_error *err);
	int (*resize)(struct agent *agent, const struct agent_process *process, uint16_t rows,
		      uint16_t columns, struct coffer_error *err);
	int (*close_stdin)(struct agent *agent, const struct agent_process *process,
			   struct coffer_error *err);
	int (*remove)(struct agent *agent, const struct agent_process *process,
		      struct coffer_error *err);
	int (*set_time)(struct agent *agent, const struct timespec *now,
			struct coffer_error *err);

	/* A wait at a time: after wait_begin() only wait_poll(), which gives -ETIMEDOUT until the
	 * process has ended (@deadline 0: only look), -EPROTO or -ECONNRESET when that will never be
	 * known. fd() is readable when it is worth a try. */
	int (*wait_begin)(struct agent *agent, const struct agent_process *process,
			  struct coffer_error *err);
	int (*wait_poll)(struct agent *agent, usec_t deadline, struct agent_exit *status,
			 struct coffer_error *err);

	/* While @fd (borrowed, -1: none) is readable, calls fail with -ECANCELED, and so do all
	 * that follow. */
	void (*set_cancel)(struct agent *agent, int fd);

	void (*close)(struct agent *agent);
};

static inline int agent_call(struct agent *agent, enum agent_service service, const char *method,
			     const ProtobufCMessage *msg, usec_t budget, ProtobufCMessage **reply,
			     struct coffer_error *err)
{
	const struct agent_request request = { .service = service, .method = method, .msg = msg };

	return agent->ops->call(agent, &request, budget, reply, err);
}

/* agent_reply_free() - NULL is fine */
static inline void agent_reply_free(ProtobufCMessage *reply)
{
	protobuf_c_message_free_unpacked(reply, NULL);
}
DEFINE_CLEANUP(ProtobufCMessage *, agent_reply_free);
#define autoreply CLEANUP(agent_reply_freep)

static inline void agent_close(struct agent *agent)
{
	agent->ops->close(agent);
}
DEFINE_CLEANUP(struct agent *, agent_close);
#define autoagent CLEANUP(agent_closep)

#endif /* SANDBOX_AGENT_H */
