/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/gofer/wire.h - what travels between the sentry and the gofer
 *
 * One packet a request, one an answer, on a channel (a SOCK_SEQPACKET pair) that has one request
 * under way at most. Both ends are the same program, so these are plain structs; the gofer checks
 * every length all the same.
 *
 *	request   struct gofer_request, name, name2, data        descriptors: fd, fd2
 *	answer    struct gofer_answer, data                      descriptor: the result
 *
 * The first packet on the gofer's socket carries the sentry's ends of the channels.
 */
#ifndef SENTRY_GOFER_WIRE_H
#define SENTRY_GOFER_WIRE_H

#include <limits.h>
#include <stdint.h>

#include "sentry/gofer/gofer.h"

#define GOFER_CHANNELS 4
#define GOFER_NAME_MAX 255 /* of a file, and of an attribute */

struct gofer_request {
	uint32_t op;
	uint32_t name_len, name2_len; /* without terminators; UINT32_MAX: none */
	uint32_t data_len;
	uint32_t reply_size;
	uint64_t args[4];
};

#define GOFER_REQUEST_MAX (sizeof(struct gofer_request) + 2ul * GOFER_NAME_MAX + GOFER_DATA_MAX)

struct gofer_answer {
	int64_t result;
	uint32_t data_len;
	uint32_t nfds;
};

/* A request as the gofer's operations see it: checked, names terminated. */
struct gofer_work {
	const struct gofer_request *request;
	int fd, fd2;
	const char *name, *name2; /* NULL: none */
	const char *data;
	size_t data_len;
	char *reply;
	size_t reply_size, reply_len;
	int result_fd; /* owned */
};

/* What the gofer holds; set before its threads run. */
struct gofer_held {
	int trees[GOFER_TREES_MAX];
	size_t ntrees;
	int ports; /* -1: none */
	uid_t uid; /* its own */
};
extern struct gofer_held gofer_held;

/* gofer_serve() - A thread's life: answer what comes on @channel until it is closed. Return: false: it
 * was something else than requests */
bool gofer_serve(int channel);

/* An operation: 0 or more, or negative errno. One row each in gofer/ops.c. */
typedef long (*gofer_handler)(struct gofer_work *work);
long gofer_connect(struct gofer_work *work);
long gofer_bind(struct gofer_work *work);
long gofer_dial(struct gofer_work *work);
long gofer_listen(struct gofer_work *work);
long gofer_unlisten(struct gofer_work *work);

/* gofer_perform() - Check that the request has what its operation needs, and do it */
long gofer_perform(struct gofer_work *work);

/* gofer_object() - A descriptor of the object that a request is about. *@close is set to it if it is
 * new. Return: descriptor or negative errno */
int gofer_object(const struct gofer_work *work, int *close);
/**
 * gofer_give() - What was just made in @dir gets its owner and mode
 *
 * Somebody on the host may put something else in its place meanwhile: only what looks like one that
 * has just been made by us is given away. When it fails, the name is gone again.
 *
 * Return: 0 or negative errno
 */
long gofer_give(int dir, const char *name, mode_t mode, uid_t uid, gid_t gid);
/* gofer_name() - "N", which in the working directory is the object of descriptor N itself */
#define GOFER_FD_NAME_MAX 12
void gofer_name(int fd, char name[GOFER_FD_NAME_MAX]);

/* gofer_main() - The process; @trees are detached mounts, @socket its end */
void gofer_main(const struct gofer_config *config, const int *trees, int socket)
	__attribute__((noreturn));

extern const struct jail_list gofer_serve_calls, gofer_ops_calls, gofer_ports_calls;

#endif /* SENTRY_GOFER_WIRE_H */
