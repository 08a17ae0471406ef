/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/job.h - a call's work on files, in a forked child that answers as it goes
 */
#ifndef AGENT_JOB_H
#define AGENT_JOB_H

#include "agent/agent.h"
#include "agent/guestpath.h"

/* What the child has in its hands. */
struct job {
	const struct agent *agent; /* as it was at the fork; for link_dial() */
	struct guestpath gp;	   /* the place, opened */
	int up;			   /* to the agent; -1: in the agent itself */
	struct grpc_call *call;	   /* then */
	int data;		   /* what the client streams, end of file at its end; else -1 */
};

/* Runs in the child, or in the agent if it is quick; fills @err on failure. @arg is the caller's,
 * as it was at the fork. */
typedef int (*job_fn)(struct job *job, const void *arg, struct coffer_error *err);

/* job_say() - One reply. A call that is not a stream has exactly one */
int job_say(struct job *job, const ProtobufCMessage *reply, struct coffer_error *err);

/* job_mark() - For fn(): an error that keeps its own status in the contract's calls, where
 * nearly every other is INTERNAL. Return: @r */
int job_mark(int r, struct coffer_error *err);

struct job_call;

struct job_args {
	job_fn fn;
	const void *arg;
	const struct guestplace *place;
	const ProtobufCMessageDescriptor *reply;
	bool quick;    /* not worth a child where only the agent's own files are touched */
	bool contract; /* errors are INTERNAL but for those that job_mark() has seen */
	int data;      /* for job.data; borrowed, -1: none */
	void (*ended)(void *data); /* the call is over, however; may be NULL */
	void *ended_data;
};

/**
 * job_answer() - Run args->fn aside and answer @call with what it says
 *
 * The call is always answered.  When its client is gone the child is killed.
 *
 * Return: it, while it is under way; NULL when @call has been answered and args->ended() has run
 */
struct job_call *job_answer(struct agent *agent, struct grpc_call *call, const struct job_args *args);

/* job_give_up() - Kill it, and answer its call with the error */
void job_give_up(struct job_call *job, const struct coffer_error *err);

/* job_refuse() - Answer @call with an error found before there was a job */
void job_refuse(struct grpc_call *call, bool contract, const struct coffer_error *err);

#endif /* AGENT_JOB_H */
