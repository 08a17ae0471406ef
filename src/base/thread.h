/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/thread.h - threads of a library in somebody else's process
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/**
 * thread_start() - Run @fn(@data) in a thread with all signals blocked but its own faults'
 * @out:	To join it with; NULL: it is detached
 * @stack:	Bytes; 0: the default
 *
 * Return: 0 or negative errno
 */
int thread_start(pthread_t *out, size_t stack, void *(*fn)(void *), void *data);

#endif /* BASE_THREAD_H */
