/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/ask.c - ask a container's sentry for what cannot be had from outside
 *
 * One call of the contract, and the answer: nothing, or an error on standard error.
 *
 * Callers: main.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_extras.pb-c.h"
#include "oci/inside/inside.h"
#include "oci/inside/process.h"
#include "oci/sentry_names.h"

#define ASK_BUDGET (10 * USEC_PER_SEC)

struct ask {
	struct agent *agent; /* owned */
	char *id, *word;     /* borrowed */
};

static int ask_freeze(const struct ask *a, struct coffer_error *err)
{
	Ax__FreezeRequest req = AX__FREEZE_REQUEST__INIT;

	req.container_id = a->id;
	return agent_call(a->agent, AGENT_EXTRAS, "Freeze", &req.base, ASK_BUDGET, NULL, err);
}

static int ask_thaw(const struct ask *a, struct coffer_error *err)
{
	Ax__ThawRequest req = AX__THAW_REQUEST__INIT;

	req.container_id = a->id;
	return agent_call(a->agent, AGENT_EXTRAS, "Thaw", &req.base, ASK_BUDGET, NULL, err);
}

static int ask_signal(const struct ask *a, struct coffer_error *err)
{
	Ax__SignalRequest req = AX__SIGNAL_REQUEST__INIT;

	req.container_id = a->id;
	req.mode = AX__SIGNAL_REQUEST__MODE__ALL;
	req.signal = atoi(a->word);
	return agent_call(a->agent, AGENT_EXTRAS, "Signal", &req.base, ASK_BUDGET, NULL, err);
}

static int ask_update(const struct ask *a, struct coffer_error *err)
{
	Ax__UpdateRequest req = AX__UPDATE_REQUEST__INIT;

	req.container_id = a->id;
	req.resources.data = (uint8_t *)a->word;
	req.resources.len = strlen(a->word);
	return agent_call(a->agent, AGENT_EXTRAS, "Update", &req.base, ASK_BUDGET, NULL, err);
}

static const struct ask_verb {
	const char *name;
	int (*ask)(const struct ask *a, struct coffer_error *err);
	bool word;
} ask_verbs[] = {
	{ "freeze", ask_freeze, false },
	{ "thaw", ask_thaw, false },
	{ "signal", ask_signal, true },
	{ "update", ask_update, true },
};

static int ask_connect(struct ask *a, const char *dir, struct coffer_error *err)
{
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), sockets = -1;

	if (fd >= 0)
		sockets = openat(fd, SENTRY_SOCKETS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sockets < 0)
		return err_sys(err, "open %s/%s", dir, SENTRY_SOCKETS);
	return inside_connect(sockets, &a->agent, err);
}

int inside_ask_main(const char *verb, const char *dir, char *id, char *word)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct ask a = { .id = id, .word = word };
	const struct ask_verb *v = ask_verbs;
	int r;

	while (v < ask_verbs + ARRAY_SIZE(ask_verbs) && strcmp(v->name, verb) != 0)
		v++;
	if (v == ask_verbs + ARRAY_SIZE(ask_verbs) || v->word != (word != NULL))
		return INSIDE_EXIT_USAGE;
	r = ask_connect(&a, dir, &err);
	if (r == 0)
		r = v->ask(&a, &err);
	if (a.agent)
		agent_close(a.agent);
	if (r < 0)
		fprintf(stderr, "%s\n", err.message);
	return r < 0;
}
