/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/remote.h - the public calls on a container that another process owns
 *
 * Each is the body of the public function of the same name for a container with
 * ->remote.  Of the other members only id, lock, init and execs are used.
 */
#ifndef CONTAINER_REMOTE_H
#define CONTAINER_REMOTE_H

#include "container/container.h"
#include "container/wire.h"

struct remote {
	struct rundir *dir; /* only looked at */
	usec_t limit;       /* for the answer to FIND and INSPECT */
	/* Names of phases, which callers may keep; guarded by the container's lock. */
	char names[COFFER_PHASES_MAX][32];
};

/* remote_open() - coffer_container_open() with at most @limit microseconds for the owner's answer */
int remote_open(const char *run_dir, const char *id, usec_t limit, struct coffer_container **out,
		struct coffer_error *err);

/**
 * remote_begin() - Send a request on a connection of its own
 *
 * Return: the connection, on which the Hello has been read, or negative errno
 */
int remote_begin(struct coffer_container *c, Ct__Request *req, struct coffer_error *err);

/**
 * remote_reply() - Take one reply
 * @cancel_fd:	Readable: give up with -ECANCELED; -1: never
 * @out:	The reply of a call that succeeded; free with remote_reply_free(). May be NULL
 * @fds:	As for wire_receive(); fewer or more than it has room for (fds->n on entry) is an
 *		error
 */
int remote_reply(struct coffer_container *c, int sock, int cancel_fd, usec_t deadline,
		 Ct__Reply **out, struct wire_fds *fds, struct coffer_error *err);

/* remote_call() - Both */
int remote_call(struct coffer_container *c, Ct__Request *req, Ct__Reply **out,
		struct wire_fds *fds, struct coffer_error *err);

static inline void remote_reply_free(Ct__Reply *reply)
{
	ct__reply__free_unpacked(reply, NULL);
}
DEFINE_CLEANUP(Ct__Reply *, remote_reply_free);
#define autoremote CLEANUP(remote_reply_freep)

/* remote_hand_over() - A struct of the API of ours to a caller's, of whatever size he knows */
void remote_hand_over(const void *full, size_t size, void *out);

void remote_free(struct coffer_container *c);
enum coffer_state remote_state(struct coffer_container *c);
int remote_stop(struct coffer_container *c, uint64_t grace, struct coffer_error *err);
/* remote_stop_within() - At once, and with a limit for the owner's answer */
int remote_stop_within(struct coffer_container *c, usec_t limit, struct coffer_error *err);
int remote_pause(struct coffer_container *c, struct coffer_error *err);
int remote_resume(struct coffer_container *c, struct coffer_error *err);
int remote_kill_all(struct coffer_container *c, int sig, struct coffer_error *err);
int remote_update(struct coffer_container *c, const struct coffer_resources *resources,
		  struct coffer_error *err);
int remote_death(struct coffer_container *c, struct coffer_death *out, struct coffer_error *err);
int remote_inspect(struct coffer_container *c, char **json, struct coffer_error *err);
void remote_timing(struct coffer_container *c, struct coffer_timing *timing);
size_t remote_phases(struct coffer_container *c, struct coffer_phase out[COFFER_PHASES_MAX]);
int remote_stats(struct coffer_container *c, unsigned categories, struct coffer_stats *out,
		 struct coffer_error *err);
int remote_fs_freeze(struct coffer_container *c, const char *path, struct coffer_error *err);
int remote_fs_thaw(struct coffer_container *c, const char *path, struct coffer_error *err);
int remote_fs_trim(struct coffer_container *c, const char *path, uint64_t *bytes,
		   struct coffer_error *err);
/* remote_refuse() - create and start are for the owner alone */
int remote_refuse(const struct coffer_container *c, const char *what, struct coffer_error *err);

/* remote_events() - Return: the connection on which the subscription stands, or negative errno */
int remote_events(struct coffer_container *c, struct coffer_error *err);
/* remote_events_next() - coffer_events_next() on it */
int remote_events_next(struct coffer_container *c, int sock, uint64_t timeout,
		       struct coffer_event *out, struct coffer_error *err);

/* remote_init() - c->init, at open */
int remote_init(struct coffer_container *c, struct coffer_error *err);
int remote_exec(struct coffer_container *c, const char *id,
		const struct coffer_process_config *config, struct coffer_process **out,
		struct coffer_error *err);
int remote_find_process(struct coffer_container *c, const char *id, struct coffer_process **out,
			struct coffer_error *err);
void remote_process_free(struct coffer_process *p);
int remote_process_wait_or(struct coffer_process *p, uint64_t timeout, int cancel_fd,
			   struct coffer_exit *status, struct coffer_error *err);
int remote_process_wait_fd(struct coffer_process *p);
int remote_process_kill(struct coffer_process *p, int sig, struct coffer_error *err);
int remote_process_kill_foreground(struct coffer_process *p, int sig, struct coffer_error *err);
int remote_process_resize(struct coffer_process *p, uint16_t rows, uint16_t columns,
			  struct coffer_error *err);
int remote_process_close_stdin(struct coffer_process *p, struct coffer_error *err);
int remote_process_delete(struct coffer_process *p, bool force, struct coffer_error *err);

#endif /* CONTAINER_REMOTE_H */
