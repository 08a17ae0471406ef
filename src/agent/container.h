/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/container.h - the table of containers and their processes
 */
#ifndef AGENT_CONTAINER_H
#define AGENT_CONTAINER_H

#include "agent/agent.h"
#include "agent/process.h"

#define CONTAINER_ID_MAX 128

struct events_oom;
struct freezer;

struct container {
	struct container *next;		 /* in agent->containers */
	struct agent *agent;		 /* borrowed */
	char *id;			 /* owned */
	char *bundle;			 /* owned; <state_dir>/<id> */
	char *rootfs;			 /* owned; absolute, once init's spec is read */
	struct engine_container *engine; /* owned; once made */
	struct process *processes;	 /* owned list, newest first */
	struct freezer *freezer;	 /* owned; while it is frozen: freezer.c */
	struct events_oom *oom;		 /* owned; while it is watched: events.c */
};

/* container_find(), container_process() - Return: NULL when there is none */
struct container *container_find(const struct agent *agent, const char *id);
struct process *container_process(const struct container *c, const char *id);

/* container_new() - An empty entry in the table. @id: letters, digits, "_.-", no leading dot */
int container_new(struct agent *agent, const char *id, struct container **out,
		  struct coffer_error *err);

/* container_free() - Forget it and its processes; the engine's part must be gone or is deleted */
void container_free(struct container *c);

/**
 * container_delete() - Kill what runs, unmount the rootfs, remove the directories, forget it
 *
 * Every step runs; the first failure is returned, and the container is gone either way.
 */
int container_delete(struct container *c, struct coffer_error *err);

/* container_reap() - @pid is dead. Return: whether it was one of ours and has been reaped */
bool container_reap(struct agent *agent, pid_t pid);

#endif /* AGENT_CONTAINER_H */
