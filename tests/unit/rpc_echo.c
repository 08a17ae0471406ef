/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_echo.c - a small SandboxContext server whose methods exercise the rpc layer */
#include "rpc_echo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RPC_ECHO_SIZE_MAX   (8u << 20)
#define RPC_ECHO_COPIES_MAX 10000

static void echo_getenv(struct grpc_call *call, const ProtobufCMessage *m, void *data)
{
	const Sc__GetenvRequest *req = (const Sc__GetenvRequest *)m;
	Sc__GetenvResponse resp = SC__GETENV_RESPONSE__INIT;

	if (!strcmp(req->key, "fail")) {
		grpc_call_finish(call, GRPC_NOT_FOUND, "100% kaputt:\nzwei Zeilen, \xc3\xbc");
		return;
	}
	if (strcmp(req->key, "none")) {
		resp._value_case = SC__GETENV_RESPONSE___VALUE_VALUE;
		/* protobuf-c leaves a default out by its address, so not req->key itself. */
		resp.value = *req->key ? req->key : (char *)"";
	}
	grpc_call_reply(call, &resp.base);
}

static void echo_write_file(struct grpc_call *call, const ProtobufCMessage *m, void *data)
{
	const Sc__WriteFileRequest *req = (const Sc__WriteFileRequest *)m;
	Sc__WriteFileResponse resp = SC__WRITE_FILE_RESPONSE__INIT;
	struct rpc_echo *echo = data;

	echo->written = req->data.len;
	grpc_call_reply(call, &resp.base);
}

static void echo_copy(struct grpc_call *call, const ProtobufCMessage *m, void *data)
{
	const Sc__CopyRequest *req = (const Sc__CopyRequest *)m;
	Sc__CopyResponse resp = SC__COPY_RESPONSE__INIT;
	unsigned n = 0, size = 0;

	if (sscanf(req->path, "%u %u", &n, &size) != 2 || size > RPC_ECHO_SIZE_MAX) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "path is not N SIZE");
		return;
	}
	autofree char *text = malloc(size + 1);

	memset(text, 'x', size);
	text[size] = '\0';
	resp.error = text;
	for (unsigned i = 0; i < n && i < RPC_ECHO_COPIES_MAX; i++) {
		resp.total_size = i;
		if (grpc_call_send(call, &resp.base) < 0) {
			grpc_call_finish(call, GRPC_ABORTED, "the peer is too slow");
			return;
		}
	}
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void echo_copy_more(struct grpc_call *call, const ProtobufCMessage *m, void *data)
{
	const Scc__CopyInChunk *chunk = (const Scc__CopyInChunk *)m;
	Scc__CopyInResponse resp = SCC__COPY_IN_RESPONSE__INIT;
	struct rpc_echo *echo = data;

	if (!chunk) {
		grpc_call_reply(call, &resp.base);
		return;
	}
	if (chunk->content_case == SCC__COPY_IN_CHUNK__CONTENT_DATA)
		echo->written += chunk->data.len;
	grpc_call_receive(call, echo_copy_more, echo);
}

static void echo_copy_gone(struct grpc_call *call, void *data)
{
	struct rpc_echo *echo = data;

	if (echo->stalled == call)
		echo->stalled = NULL;
	echo->cancelled++;
}

static void echo_copy_in(struct grpc_call *call, const ProtobufCMessage *m, void *data)
{
	const Scc__CopyInChunk *chunk = (const Scc__CopyInChunk *)m;
	const char *path = chunk->content_case == SCC__COPY_IN_CHUNK__CONTENT_INIT ?
			       chunk->init->path : "";
	struct rpc_echo *echo = data;

	echo->written = 0;
	echo->copies++;
	grpc_call_on_cancel(call, echo_copy_gone, echo);
	if (!strcmp(path, "fail"))
		grpc_call_finish(call, GRPC_NOT_FOUND, "no");
	else if (!strcmp(path, "stall"))
		echo->stalled = call;
	else
		echo_copy_more(call, m, data);
}

static void echo_forget(struct rpc_echo *echo, unsigned i)
{
	free(echo->ids[i]);
	echo->ids[i] = NULL;
	echo->waiters[i] = NULL;
	echo->held--;
}

static void echo_cancelled(struct grpc_call *call, void *data)
{
	struct rpc_echo *echo = data;

	for (unsigned i = 0; i < RPC_ECHO_WAITERS; i++) {
		if (echo->waiters[i] == call)
			echo_forget(echo, i);
	}
	echo->cancelled++;
}

static void echo_wait(struct grpc_call *call, const ProtobufCMessage *m, void *data)
{
	const Sc__WaitProcessRequest *req = (const Sc__WaitProcessRequest *)m;
	struct rpc_echo *echo = data;

	for (unsigned i = 0; i < RPC_ECHO_WAITERS; i++) {
		if (echo->waiters[i])
			continue;
		echo->waiters[i] = call;
		echo->ids[i] = strdup(req->id);
		echo->held++;
		if (strcmp(req->id, "deaf"))
			grpc_call_on_cancel(call, echo_cancelled, echo);
		return;
	}
	grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "no room for a waiter");
}

static void echo_kill(struct grpc_call *call, const ProtobufCMessage *m, void *data)
{
	const Sc__KillProcessRequest *req = (const Sc__KillProcessRequest *)m;
	Sc__WaitProcessResponse exited = SC__WAIT_PROCESS_RESPONSE__INIT;
	Sc__KillProcessResponse resp = SC__KILL_PROCESS_RESPONSE__INIT;
	struct rpc_echo *echo = data;

	exited.exitcode = req->signal;
	for (unsigned i = 0; i < RPC_ECHO_WAITERS; i++) {
		if (!echo->waiters[i] || strcmp(echo->ids[i], req->id))
			continue;
		grpc_call_reply(echo->waiters[i], &exited.base);
		echo_forget(echo, i);
	}
	if (echo->stalled && !strcmp(req->id, "stall"))
		grpc_call_receive(steal_ptr(echo->stalled), echo_copy_more, echo);
	grpc_call_reply(call, &resp.base);
}

static void echo_stat(struct grpc_call *call, const ProtobufCMessage *m, void *data)
{
	Sc__Stat stat = SC__STAT__INIT;
	Sc__StatResponse resp = SC__STAT_RESPONSE__INIT;
	struct rpc_echo *echo = data;

	stat.size = (int64_t)echo->written;
	stat.nlink = echo->held;
	stat.blocks = echo->cancelled;
	stat.ino = echo->copies;
	resp.stat = &stat;
	grpc_call_reply(call, &resp.base);
}

static const struct grpc_method echo_methods[] = {
	{ "Getenv", echo_getenv },    { "WriteFile", echo_write_file }, { "Copy", echo_copy },
	{ "WaitProcess", echo_wait }, { "KillProcess", echo_kill },	{ "Stat", echo_stat },
};

static const struct grpc_method echo_copy_methods[] = {
	{ "CopyIn", echo_copy_in, .stream = true },
};

void rpc_echo_init(struct rpc_echo *echo)
{
	*echo = (struct rpc_echo){
		.services = {
			{
				.desc = &sc__sandbox_context__descriptor,
				.methods = echo_methods,
				.nmethods = ARRAY_SIZE(echo_methods),
				.data = echo,
			},
			{
				.desc = &scc__sandbox_context__descriptor,
				.methods = echo_copy_methods,
				.nmethods = ARRAY_SIZE(echo_copy_methods),
				.data = echo,
			},
		},
	};
}

void rpc_echo_clear(struct rpc_echo *echo)
{
	for (unsigned i = 0; i < RPC_ECHO_WAITERS; i++) {
		if (echo->waiters[i])
			grpc_call_finish(echo->waiters[i], GRPC_CANCELLED, NULL);
		free(echo->ids[i]);
	}
}

static void echo_thread_adopt(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct rpc_echo_thread *t = data;
	int c;

	if (read(fd, &c, sizeof(c)) == sizeof(c) && grpc_server_adopt(t->srv, c, NULL) < 0)
		close(c);
}

static void echo_thread_end(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct rpc_echo_thread *t = data;

	loop_quit(t->loop, 0);
}

static void *echo_thread_main(void *data)
{
	struct rpc_echo_thread *t = data;

	loop_run(t->loop, NULL);
	grpc_server_free(t->srv);
	rpc_echo_clear(&t->echo);
	loop_free(t->loop);
	return NULL;
}

int rpc_echo_start(struct rpc_echo_thread *t, const struct grpc_limits *limits)
{
	rpc_echo_init(&t->echo);
	if (pipe(t->wake) < 0 || pipe(t->adopt) < 0 || loop_new(&t->loop, NULL) < 0)
		return -1;
	if (grpc_server_new(t->loop, t->echo.services, 2, limits, &t->srv, NULL) < 0)
		return -1;
	loop_add_fd(t->loop, t->adopt[0], EPOLLIN, echo_thread_adopt, t, NULL, NULL);
	loop_add_fd(t->loop, t->wake[0], 0, echo_thread_end, t, NULL, NULL);
	return pthread_create(&t->thread, NULL, echo_thread_main, t) ? -1 : 0;
}

int rpc_echo_connect(struct rpc_echo_thread *t)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	if (write(t->adopt[1], &sv[1], sizeof(sv[1])) != sizeof(sv[1]))
		return -1;
	return sv[0];
}

void rpc_echo_stop(struct rpc_echo_thread *t)
{
	close(t->wake[1]);
	pthread_join(t->thread, NULL);
	close(t->wake[0]);
	close(t->adopt[0]);
	close(t->adopt[1]);
}
