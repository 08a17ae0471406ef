/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/thread.c - threads of a library in somebody else's process
 *
 * A signal that the program means for itself must not land in a thread that it
 * does not know of, so they are blocked from the first instruction on.
 */
#include "base/thread.h"

#include <signal.h>

int thread_start(pthread_t *out, size_t stack, void *(*fn)(void *), void *data)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int r;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	pthread_attr_init(&attr);
	if (stack)
		pthread_attr_setstacksize(&attr, stack);
	if (!out)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(out ? out : &thread, &attr, fn, data);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}
