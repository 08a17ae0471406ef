/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/guestpath.h - paths of requests, confined to the container they lie in
 */
#ifndef AGENT_GUESTPATH_H
#define AGENT_GUESTPATH_H

#include <sys/types.h>

#include "agent/agent.h"

/* Where a path is resolved: below @rootfd, which acts as "/". */
struct guestpath {
	int rootfd;	  /* owned */
	const char *path; /* points into the request; never empty */
};

#define GUESTPATH_INIT                                                                             \
	{                                                                                          \
		.rootfd = -1                                                                       \
	}

static inline void guestpath_free(struct guestpath *gp)
{
	cleanup_closep(&gp->rootfd);
}

#define autoguestpath CLEANUP(guestpath_free)

/**
 * guestpath_split() - Length of the part of @path that names a container's rootfs
 * @state_dir:	Without trailing slash
 *
 * Return: length of "<state_dir>/<id>/rootfs" at the head of @path, 0 when @path is elsewhere
 */
size_t guestpath_split(const char *state_dir, const char *path);

/**
 * guestpath_open() - Find the root that @path is to be resolved in
 *
 * A path below a container's rootfs is resolved with that rootfs as "/", so
 * that a link planted by an image ends inside it; any other in the agent's
 * own root.
 *
 * Return: 0 with @gp filled, or negative errno
 */
int guestpath_open(const struct agent *agent, const char *path, struct guestpath *gp,
		   struct coffer_error *err);

/* A path of a request and whose view it means, known without looking at any file. */
struct guestplace {
	char *root;	  /* owned; directory it lies in while no init runs */
	const char *path; /* below it; points into the request, never empty */
	bool foreign;	  /* it lies in a container, so it may hold and block anything */
	pid_t init;	  /* of the container it lies in; 0: none runs */
	int pidfd;	  /* its; borrowed */
};

#define GUESTPLACE_INIT                                                                            \
	{                                                                                          \
		.pidfd = -1                                                                        \
	}

static inline void guestplace_free(struct guestplace *place)
{
	cleanup_freep(&place->root);
}

#define autoguestplace CLEANUP(guestplace_free)

/* guestplace_of_path() - A path of the contract: in a container's rootfs, or the agent's own */
int guestplace_of_path(const struct agent *agent, const char *path, struct guestplace *place,
		       struct coffer_error *err);
/* guestplace_of_container() - A path as processes of the container see it */
int guestplace_of_container(const struct agent *agent, const char *id, const char *path,
			    struct guestplace *place, struct coffer_error *err);

/* guestplace_open() - May block on what is mounted there: for workers only */
int guestplace_open(const struct guestplace *place, struct guestpath *gp,
		    struct coffer_error *err);

#endif /* AGENT_GUESTPATH_H */
