/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/guest.c - what a guest is told to prepare, step by step
 *
 * Callers: the files of storage.c.
 */
#include "container/guest.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "sandbox_context.pb-c.h"

struct guest_text {
	struct guest_text *next;
	_Alignas(max_align_t) char text[];
};

void guest_steps_free(struct guest_steps *g)
{
	while (g->texts) {
		struct guest_text *next = g->texts->next;

		free(g->texts);
		g->texts = next;
	}
	g->n = 0;
}

void *guest_memory(struct guest_steps *g, size_t size)
{
	struct guest_text *t = calloc(1, sizeof(*t) + size);

	if (!t) {
		g->failed = -ENOMEM;
		return NULL;
	}
	t->next = g->texts;
	g->texts = t;
	return t->text;
}

const char *guest_text(struct guest_steps *g, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = guest_memory(g, (size_t)n + 1);
	if (!text)
		return "";
	va_start(ap, fmt);
	vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return text;
}

const char **guest_words(struct guest_steps *g, size_t n)
{
	const char **words = guest_memory(g, (n + 1) * sizeof(*words));

	/* What is written there is never sent: the failure sticks. */
	return words ? words : g->nowhere;
}

static void guest_add(struct guest_steps *g, struct agent_step step)
{
	if (g->n == AGENT_STEPS_MAX)
		g->failed = -E2BIG;
	else
		g->v[g->n++] = step;
}

void guest_mount(struct guest_steps *g, const char *path, const char *type, const char *source,
		 const char *const *options)
{
	guest_add(g, (struct agent_step){ .kind = AGENT_STEP_MOUNT,
					  .path = path,
					  .type = type,
					  .source = source,
					  .options = options });
}

void guest_mkdir(struct guest_steps *g, const char *path)
{
	guest_add(g, (struct agent_step){ .kind = AGENT_STEP_MKDIR, .path = path });
}

void guest_link_up(struct guest_steps *g, const char *interface)
{
	guest_add(g, (struct agent_step){ .kind = AGENT_STEP_LINK_UP, .path = interface });
}

void guest_call(struct guest_steps *g, const char *method, const char *what,
		const ProtobufCMessage *msg)
{
	guest_add(g, (struct agent_step){ .kind = AGENT_STEP_CALL,
					  .path = what,
					  .request = { AGENT_CONTRACT, method, msg } });
}

void guest_unmount(struct guest_steps *g, const char *path)
{
	Sc__UmountRequest *req = guest_memory(g, sizeof(*req));

	if (!req)
		return;
	sc__umount_request__init(req);
	req->path = (char *)path;
	guest_call(g, "Umount", path, &req->base);
}

int guest_run(struct guest_steps *g, struct agent *agent, struct coffer_error *err)
{
	int r = g->failed;

	if (r < 0)
		err_sysn(err, r, "prepare the guest");
	else if (g->n > 0)
		r = agent->ops->prepare(agent, g->v, g->n, err);
	guest_steps_free(g);
	return r;
}
