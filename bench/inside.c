/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inside.c - what bench/container compares with, run in the guest
 *
 *	inside exec CONTAINER N		N times an exec of true, asked of the guest's agent on its own
 *					port from beside it (vsock's loopback); prints microseconds
 *	inside out PORT STREAMS MIB	nothing but sockets to the host, written to at once
 *	inside pipes PORT STREAMS MIB	the same, each out of a pipe that a program writes to, which
 *					is what a container's output is
 *	inside in PORT [FILE]		one that is read, into FILE if given
 *	inside fill MIB			MIB of a pattern on each of stdout and stderr, at once
 *
 * Static: it is shared into a container as one file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "base/clock.h"
#include "rpc/grpc_client.h"
#include "sandbox_context.pb-c.h"

#define MIB	     (1u << 20)
#define LOCAL	     1 /* VMADDR_CID_LOCAL */
#define AGENT_PORT   1024
#define CALL_TIMEOUT (60 * USEC_PER_SEC)
/* No power of two, so that whatever is lost or doubled is seen. */
#define PATTERN (MIB - 13)

/* As the agent has them. */
#define PIPE_SIZE  (1 << 20)
#define PIPE_CHUNK (256u << 10)

static unsigned char buffer[2 * MIB];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int dial(unsigned cid, unsigned port)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("connect");
	return fd;
}

/* --- an exec --- */

static const char spec[] =
    "{\"ociVersion\":\"1.2.0\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"true\"],"
    "\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],"
    "\"cwd\":\"/\"},\"root\":{\"path\":\"/\"}}";

static ProtobufCMessage *call(struct grpc_client *client, const char *method,
			      const ProtobufCMessage *request)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *reply = NULL;

	if (grpc_client_call(client, &sc__sandbox_context__descriptor, method, request,
			     CALL_TIMEOUT, &reply, &err) < 0) {
		fprintf(stderr, "inside: %s\n", err.message);
		exit(1);
	}
	return reply;
}

/* Optional fields of strings are unions of their own to protobuf-c. */
#define IN_CONTAINER(request, prefix)                                                              \
	do {                                                                                       \
		(request).id = id;                                                                 \
		(request).containerid = (char *)container;                                         \
		(request)._container_id_case = prefix##___CONTAINER_ID_CONTAINER_ID;               \
	} while (0)

/* The connection is part of it, as it is of coffer exec. */
static void exec_once(const char *container, unsigned number)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	Sc__CreateProcessRequest create = SC__CREATE_PROCESS_REQUEST__INIT;
	Sc__StartProcessRequest start = SC__START_PROCESS_REQUEST__INIT;
	Sc__WaitProcessRequest wait = SC__WAIT_PROCESS_REQUEST__INIT;
	Sc__DeleteProcessRequest delete = SC__DELETE_PROCESS_REQUEST__INIT;
	struct grpc_client *client;
	ProtobufCMessage *reply;
	char id[32];

	snprintf(id, sizeof(id), "inside-%u", number);
	IN_CONTAINER(create, SC__CREATE_PROCESS_REQUEST);
	IN_CONTAINER(start, SC__START_PROCESS_REQUEST);
	IN_CONTAINER(wait, SC__WAIT_PROCESS_REQUEST);
	IN_CONTAINER(delete, SC__DELETE_PROCESS_REQUEST);
	create.configuration.data = (uint8_t *)spec;
	create.configuration.len = sizeof(spec) - 1;
	if (grpc_client_new(dial(LOCAL, AGENT_PORT), NULL, &client, &err) < 0) {
		fprintf(stderr, "inside: %s\n", err.message);
		exit(1);
	}
	protobuf_c_message_free_unpacked(call(client, "CreateProcess", &create.base), NULL);
	protobuf_c_message_free_unpacked(call(client, "StartProcess", &start.base), NULL);
	reply = call(client, "WaitProcess", &wait.base);
	if (((Sc__WaitProcessResponse *)reply)->exitcode != 0) {
		fprintf(stderr, "inside: true has failed\n");
		exit(1);
	}
	protobuf_c_message_free_unpacked(reply, NULL);
	protobuf_c_message_free_unpacked(call(client, "DeleteProcess", &delete.base), NULL);
	grpc_client_free(client);
}

static int verb_exec(char **argv)
{
	for (unsigned i = 0, n = (unsigned)atoi(argv[1]); i < n; i++) {
		usec_t begin = clock_now();

		exec_once(argv[0], (unsigned)getpid() * 1000 + i);
		printf("%llu\n", (unsigned long long)(clock_now() - begin));
	}
	return 0;
}

/* --- streams --- */

static void write_all(int fd, const unsigned char *data, size_t n)
{
	while (n > 0) {
		ssize_t r = write(fd, data, n);

		if (r <= 0)
			die("write");
		data += r;
		n -= (size_t)r;
	}
}

/* @fds are written to by a process each. */
static int write_streams(const int *fds, unsigned n, size_t mib)
{
	int failed = 0, status;

	for (size_t i = 0; i < sizeof(buffer); i++)
		buffer[i] = (unsigned char)((i % PATTERN) * 2654435761u >> 24);
	for (unsigned i = 0; i < n; i++) {
		size_t left = mib * MIB, at = 0;

		if (fork() > 0)
			continue;
		while (left > 0) {
			size_t part = left < MIB ? left : MIB;

			write_all(fds[i], buffer + at, part);
			at = (at + part) % PATTERN;
			left -= part;
		}
		_exit(0);
	}
	for (unsigned i = 0; i < n; i++)
		failed |= wait(&status) < 0 || status != 0;
	return failed;
}

static int verb_out(char **argv)
{
	unsigned n = (unsigned)atoi(argv[1]);
	int fds[16];

	for (unsigned i = 0; i < n; i++)
		fds[i] = dial(VMADDR_CID_HOST, (unsigned)atoi(argv[0]));
	return write_streams(fds, n, (size_t)atoi(argv[2]));
}

/* In a process of its own. Return: the end of a pipe that is carried to @fd */
static int carry(int fd, const int *others, unsigned n)
{
	int p[2];
	ssize_t got;

	if (pipe(p) < 0 || fcntl(p[0], F_SETPIPE_SZ, PIPE_SIZE) < 0)
		die("pipe");
	if (fork() > 0) {
		close(p[0]);
		close(fd);
		return p[1];
	}
	close(p[1]);
	while (n > 0)
		close(others[--n]);
	while ((got = read(p[0], buffer, PIPE_CHUNK)) > 0)
		write_all(fd, buffer, (size_t)got);
	_exit(got < 0);
}

static int verb_pipes(char **argv)
{
	unsigned n = (unsigned)atoi(argv[1]);
	int fds[16] = { 0 }, failed, status;

	for (unsigned i = 0; i < n; i++)
		fds[i] = carry(dial(VMADDR_CID_HOST, (unsigned)atoi(argv[0])), fds, i);
	failed = write_streams(fds, n, (size_t)atoi(argv[2]));
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	for (unsigned i = 0; i < n; i++)
		failed |= wait(&status) < 0 || status != 0;
	return failed;
}

static int verb_fill(char **argv)
{
	return write_streams((const int[]){ STDOUT_FILENO, STDERR_FILENO }, 2, (size_t)atoi(argv[0]));
}

static int verb_in(char **argv)
{
	int fd = dial(VMADDR_CID_HOST, (unsigned)atoi(argv[0]));
	int file = argv[1] ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		if (file >= 0)
			write_all(file, buffer, (size_t)n);
	write_all(fd, buffer, 1);
	return n < 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int nargs;
		int (*fn)(char **argv);
	} verbs[] = {
		{ "exec", 2, verb_exec }, { "out", 3, verb_out },   { "pipes", 3, verb_pipes },
		{ "in", 1, verb_in },	  { "fill", 1, verb_fill },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, argv[1]) == 0 && argc >= 2 + verbs[i].nargs)
			return verbs[i].fn(argv + 2);
	fprintf(stderr, "inside: exec, out, pipes, in or fill\n");
	return 2;
}
