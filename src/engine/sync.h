/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/sync.h - what a container's process and its parent tell each other before execve
 *
 *	child                          parent
 *	SYNC_PLACE  -----------------> moves it into control groups that the clone did not enter
 *	            <----------------- SYNC_CONTINUE
 *	SYNC_FORKED (pid, pidfd) ----> the process to keep; the sender is a helper and ends
 *	            <----------------- SYNC_NETWORK (namespace), unasked, when the parent makes it
 *	SYNC_MAP    -----------------> writes the user namespace's maps
 *	            <----------------- SYNC_CONTINUE
 *	SYNC_HOOKS  -----------------> namespaces and mounts are there: prestart, createRuntime hooks
 *	            <----------------- SYNC_CONTINUE
 *	SYNC_CREATED (terminal) -----> everything is set up
 *	            <----------------- SYNC_CONTINUE
 *	SYNC_EXEC   -----------------> about to execve
 *	SYNC_LISTENER (number) ------> the filter is loaded and has a listener, to be taken out of us;
 *	            <----------------- SYNC_LISTENER where the parent may not do that,
 *	SYNC_LISTENER (listener) ----> then it is sent.  Before SYNC_EXEC where the filter must be
 *	            <----------------- SYNC_CONTINUE
 *	end of file -----------------> execve has closed the socket: success
 *	SYNC_ERROR  -----------------> at any time instead: the error object, then exit
 *
 * One SOCK_SEQPACKET pair, closed by execve; the program sees nothing of it.
 * The answer to SYNC_CREATED is engine_start()'s word to go.  With a gate it
 * only says that the container's record is safe: the child then leaves the pair,
 * waits for a connection at the gate and takes SYNC_CONTINUE and the rest there.
 */
#ifndef ENGINE_SYNC_H
#define ENGINE_SYNC_H

#include <stdint.h>

#include "base/error.h"

enum sync_type {
	SYNC_ERROR = 1, /* @err tells */
	SYNC_PLACE,
	SYNC_FORKED,    /* @pid, one descriptor */
	SYNC_NETWORK,   /* one descriptor */
	SYNC_MAP,
	SYNC_HOOKS,
	SYNC_CREATED,   /* one descriptor when there is a terminal */
	SYNC_EXEC,
	SYNC_LISTENER,  /* @pid is a descriptor's number, or one descriptor */
	SYNC_CONTINUE,
};

struct sync_msg {
	int32_t type;
	int32_t pid;
	struct coffer_error err; /* on the wire only in SYNC_ERROR */
};

/* sync_send() - @fd: passed along unless -1. Return: 0 or -errno */
int sync_send(int sock, enum sync_type type, int32_t pid, int fd);
/* sync_send_error() - The child's last words; the parent may be gone */
void sync_send_error(int sock, const struct coffer_error *e);
/**
 * sync_recv() - One message
 * @fd:	Set to the descriptor that came, or -1; the caller owns it
 *
 * Return: its type, 0 on end of file, -errno
 */
int sync_recv(int sock, struct sync_msg *msg, int *fd);
/* sync_pass_listener() - SYNC_LISTENER, all of it, by calls that the filter may be asked to allow */
int sync_pass_listener(int sock, int listener, struct coffer_error *err);
/* sync_ask() - Send @type and wait for SYNC_CONTINUE */
int sync_ask(int sock, enum sync_type type, int fd, struct coffer_error *err);

#endif /* ENGINE_SYNC_H */
