/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/kernel.c - the application kernel's one object
 *
 * Filled by control/ at the start of the process, before there is any task.
 */
#include "sentry/kernel.h"

struct kernel kernel = { .tasks_lock = PTHREAD_MUTEX_INITIALIZER };
