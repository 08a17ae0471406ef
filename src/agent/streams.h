/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/streams.h - a process' standard streams: connections to the host and relays
 */
#ifndef AGENT_STREAMS_H
#define AGENT_STREAMS_H

#include "agent/agent.h"
#include "contract/relay.h"
#include "engine/engine.h"

enum { STREAM_IN, STREAM_OUT, STREAM_ERR, STREAM_COUNT };

/* One of the three. */
struct stream {
	bool wanted;
	uint32_t port; /* on the host */
	int sock;      /* owned until the relay takes it over; connecting or connected */
	struct loop_source *dialling; /* while connecting */
	int ours, childs;	      /* pipe ends; owned until relay and process have them */
	struct relay *relay;	      /* owned; once started */
};

typedef void (*streams_dialled)(void *data, const struct coffer_error *err);

struct streams {
	struct agent *agent;
	struct stream stream[STREAM_COUNT];
	bool stdin_closed; /* CloseProcessStdin came before the start */
	streams_dialled done;
	void *data;
};

/* streams_init() - Nothing wanted, nothing open. Set .wanted and .port afterwards */
void streams_init(struct streams *s, struct agent *agent);

/**
 * streams_dial() - Begin the connections of all wanted streams
 *
 * On failure nothing is connecting any more.
 */
int streams_dial(struct streams *s, struct coffer_error *err);

/**
 * streams_when_dialled() - Call @done once all of them are made or one has failed
 *
 * @done gets NULL or the first error; it may free the streams.  It runs before
 * this returns when there is nothing to wait for.  Call it before the loop
 * turns again after streams_dial().
 */
void streams_when_dialled(struct streams *s, streams_dialled done, void *data);

/* streams_pipes() - Make the pipes; @out gets the process' ends, borrowed, -1 for no stream */
int streams_pipes(struct streams *s, struct engine_stdio *out, struct coffer_error *err);

/* streams_close_child() - The process has its ends now */
void streams_close_child(struct streams *s);

/* streams_start() - Relay between the connections and the pipes, or @ptmx when it is not -1
 * (borrowed) */
int streams_start(struct streams *s, int ptmx, struct coffer_error *err);

/* streams_close_stdin() - Deliver what has arrived, then close; safe to repeat */
void streams_close_stdin(struct streams *s);

/* streams_process_ended() - Deliver what the process left in pipe or terminal, then close */
void streams_process_ended(struct streams *s);

/* streams_free() - Close everything at once */
void streams_free(struct streams *s);

#endif /* AGENT_STREAMS_H */
