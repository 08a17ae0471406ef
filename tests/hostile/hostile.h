/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/hostile.h - what the hostile guests share
 *
 * A case is a name and a function that does the harm.  The name comes in the
 * file /case of the initrd.  A function that returns ends PID 1, so that the
 * kernel panics.
 */
#ifndef HOSTILE_HOSTILE_H
#define HOSTILE_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

#define HOSTILE_HOST_PORT  1024	      /* where the host waits for the greeting */
#define HOSTILE_RPC_PORT   1024	      /* where the agent would serve */
#define HOSTILE_STDIO_PORT 0x10000000 /* the host's ports for streams are above */

struct hostile_case {
	const char *name;
	void (*run)(void);
};

/* Ended by an empty name. */
extern const struct hostile_case hostile_end_cases[];
extern const struct hostile_case hostile_greeting_cases[];
extern const struct hostile_case hostile_flood_cases[];

/* The cases that serve calls; comes back when there is none of that name. */
void hostile_rpc(const char *name);

/* One line on the console. */
void hostile_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Return: connected descriptor, or -1 */
int hostile_dial(uint32_t port);

/* Return: listening descriptor; ends the machine when there is none */
int hostile_listen(uint32_t port);

/* Write all of it. Return: 0, or -1 when the other end is gone */
int hostile_write(int fd, const void *data, size_t n);

/* Greet as the true agent does. Return: the greeting's connection, kept open */
int hostile_greet(void);

/* A cheap random number, the same ones in each run. */
uint32_t hostile_random(void);

void hostile_power_off(void) __attribute__((noreturn));
void hostile_sleep(void) __attribute__((noreturn));

#endif /* HOSTILE_HOSTILE_H */
