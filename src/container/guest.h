/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/guest.h - what a guest is told to prepare, step by step
 *
 * Steps are gathered with texts of their own and sent as one, so that a round
 * trip is paid once.  A failure sticks: whoever gathers looks once, at the end.
 */
#ifndef CONTAINER_GUEST_H
#define CONTAINER_GUEST_H

#include "base/error.h"
#include "sandbox/agent.h"

#define GUEST_WORDS_MAX 64

struct guest_text;

struct guest_steps {
	struct agent_step v[AGENT_STEPS_MAX];
	size_t n;
	struct guest_text *texts;		  /* owned */
	int failed;				  /* 0, or a failure */
	const char *nowhere[GUEST_WORDS_MAX + 1]; /* for a list that there is no memory for */
};

void guest_steps_free(struct guest_steps *g);
#define autosteps CLEANUP(guest_steps_free)

/* guest_memory() - Zeros that live as long as @g. Return: NULL when that failed */
void *guest_memory(struct guest_steps *g, size_t size);
/* guest_text() - A text that lives as long as @g. Return: "" when that failed */
const char *guest_text(struct guest_steps *g, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* guest_words() - A list of @n texts and a NULL, empty, that lives as long as @g; n <=
 * GUEST_WORDS_MAX */
const char **guest_words(struct guest_steps *g, size_t n);

/* guest_mount() - All texts are borrowed. @options: NULL-terminated or NULL */
void guest_mount(struct guest_steps *g, const char *path, const char *type, const char *source,
		 const char *const *options);
void guest_mkdir(struct guest_steps *g, const char *path);
void guest_link_up(struct guest_steps *g, const char *interface);
/* guest_call() - A call of the contract. @what: named in errors; @msg: borrowed */
void guest_call(struct guest_steps *g, const char *method, const char *what,
		const ProtobufCMessage *msg);

/* guest_unmount() - An Umount of the contract */
void guest_unmount(struct guest_steps *g, const char *path);

/* guest_run() - Send them all; empties @g. Return: 0 or negative errno */
int guest_run(struct guest_steps *g, struct agent *agent, struct coffer_error *err);

#endif /* CONTAINER_GUEST_H */
