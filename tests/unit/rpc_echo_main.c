/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_echo_main.c - the echo server, or a client of it, as a program
 *
 * For tests with another gRPC implementation at the far end.
 *
 *	rpc_echo serve SOCKET	prints "ready", serves until stdin ends
 *	rpc_echo call SOCKET	a round of calls; exit code 0 when all went as agreed
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "rpc/grpc_client.h"
#include "rpc_echo.h"

#define SD     (&sc__sandbox_context__descriptor)
#define BUDGET (60 * USEC_PER_SEC)

static void echo_main_end(struct loop_source *src, int fd, uint32_t events, void *data)
{
	loop_quit(data, 0);
}

static int echo_main_serve(const char *path, struct coffer_error *err)
{
	CLEANUP(loop_freep) struct loop *loop = NULL;
	CLEANUP(grpc_server_freep) struct grpc_server *srv = NULL;
	static struct rpc_echo echo;
	int fd, r;

	rpc_echo_init(&echo);
	r = loop_new(&loop, err);
	if (r == 0)
		r = grpc_server_new(loop, echo.services, 2, NULL, &srv, err);
	if (r < 0)
		return r;
	fd = io_unix_listen(AT_FDCWD, path, SOCK_STREAM, 0600, err);
	if (fd < 0)
		return fd;
	r = grpc_server_listen(srv, fd, err);
	if (r == 0)
		r = loop_add_fd(loop, STDIN_FILENO, EPOLLIN, echo_main_end, loop, NULL, err);
	if (r < 0)
		return r;
	puts("ready");
	fflush(stdout);
	r = loop_run(loop, err);
	grpc_server_free(steal_ptr(srv));
	rpc_echo_clear(&echo);
	return r;
}

static int echo_main_getenv(struct grpc_client *c, const char *key, struct coffer_error *err)
{
	Sc__GetenvRequest req = SC__GETENV_REQUEST__INIT;
	ProtobufCMessage *m = NULL;
	int r;

	req.key = (char *)key;
	r = grpc_client_call(c, SD, "Getenv", &req.base, BUDGET, &m, err);
	if (r < 0)
		return r;
	r = ((Sc__GetenvResponse *)m)->_value_case == SC__GETENV_RESPONSE___VALUE_VALUE &&
	    !strcmp(((Sc__GetenvResponse *)m)->value, key);
	protobuf_c_message_free_unpacked(m, NULL);
	return r;
}

static int echo_main_expect(bool ok, const char *what, struct coffer_error *err)
{
	return ok ? 0 : err_internal(err, "not as agreed: %s", what);
}

static int echo_main_stream(struct grpc_client *c, struct coffer_error *err)
{
	CLEANUP(grpc_pending_freep) struct grpc_pending *p = NULL;
	Sc__CopyRequest req = SC__COPY_REQUEST__INIT;
	ProtobufCMessage *m;
	unsigned n = 0;
	int r;

	req.path = (char *)"30 100000";
	r = grpc_client_start(c, SD, "Copy", &req.base, BUDGET, &p, err);
	while (r == 0) {
		r = grpc_pending_recv(p, USEC_INFINITY, &m, err);
		if (r < 0 || !m)
			break;
		n += strlen(((Sc__CopyResponse *)m)->error) == 100000;
		protobuf_c_message_free_unpacked(m, NULL);
	}
	return r < 0 ? r : echo_main_expect(n == 30, "thirty messages", err);
}

static int echo_main_wait(struct grpc_client *c, struct coffer_error *err)
{
	CLEANUP(grpc_pending_freep) struct grpc_pending *p = NULL;
	Sc__WaitProcessRequest req = SC__WAIT_PROCESS_REQUEST__INIT;
	ProtobufCMessage *m = NULL;
	int r;

	req.id = (char *)"nobody";
	r = grpc_client_start(c, SD, "WaitProcess", &req.base, BUDGET, &p, err);
	if (r < 0)
		return r;
	r = echo_main_expect(grpc_pending_recv(p, 0, &m, NULL) == -ETIMEDOUT, "a wait", err);
	grpc_pending_free(steal_ptr(p));
	if (r == 0)
		r = grpc_client_start(c, SD, "WaitProcess", &req.base, 300 * USEC_PER_MSEC, &p,
				      err);
	if (r == 0)
		r = echo_main_expect(grpc_pending_recv(p, USEC_INFINITY, &m, NULL) == -ETIME,
				     "a deadline", err);
	return r;
}

static int echo_main_call(const char *path, struct coffer_error *err)
{
	CLEANUP(grpc_client_freep) struct grpc_client *c = NULL;
	autoclose int fd = io_unix_connect(AT_FDCWD, path, SOCK_STREAM, err);
	int r;

	if (fd < 0)
		return fd;
	r = grpc_client_new(fd, NULL, &c, err);
	if (r < 0)
		return r;
	steal_fd(&fd);
	r = echo_main_getenv(c, "PATH", err);
	if (r >= 0)
		r = echo_main_expect(r == 1, "an echo", err);
	if (r == 0)
		r = echo_main_stream(c, err);
	if (r == 0)
		r = echo_main_wait(c, err);
	if (r == 0)
		r = echo_main_expect(
		    echo_main_getenv(c, "fail", err) == -ENOENT &&
			!strcmp(err->message, "100% kaputt:?zwei Zeilen, \xc3\xbc"),
		    "a failure", err);
	if (r == 0)
		r = echo_main_expect(echo_main_getenv(c, "again", err) == 1, "an echo", err);
	return r;
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r;

	if (argc == 3 && !strcmp(argv[1], "serve"))
		r = echo_main_serve(argv[2], &err);
	else if (argc == 3 && !strcmp(argv[1], "call"))
		r = echo_main_call(argv[2], &err);
	else
		r = err_invalid(&err, "usage: rpc_echo serve|call SOCKET");
	if (r < 0)
		fprintf(stderr, "rpc_echo: %s\n", err.message);
	return r < 0;
}
