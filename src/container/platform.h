/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/platform.h - roots whose programs are for another processor
 */
#ifndef CONTAINER_PLATFORM_H
#define CONTAINER_PLATFORM_H

#include "base/error.h"
#include "container/guest.h"
#include "sandbox/sandbox.h"

struct platform;

struct platform_emulator {
	const struct platform *of; /* NULL: none is needed */
	int dir_fd;		   /* the directory it is in; owned, -1: none */
	char tag[SANDBOX_TAG_MAX + 1];
};

#define PLATFORM_EMULATOR_INIT                                                                     \
	{                                                                                          \
		.dir_fd = -1                                                                       \
	}

/* platform_check() - Is @name, "linux/ARCH" or NULL, one we know? */
int platform_check(const char *name, struct coffer_error *err);

/* platform_open() - The emulator that @name needs here. Errors: not-found (which package has it) */
int platform_open(const char *name, struct platform_emulator *out, struct coffer_error *err);
int platform_attach(struct platform_emulator *e, struct sandbox_config *sandbox,
		    struct coffer_error *err);
void platform_prepare(const struct platform_emulator *e, struct guest_steps *g);
void platform_close(struct platform_emulator *e);

#endif /* CONTAINER_PLATFORM_H */
