/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/sentry.h - a sandbox that is an application kernel, coffer-sentry
 */
#ifndef SANDBOX_SENTRY_H
#define SANDBOX_SENTRY_H

#include "sandbox/sandbox.h"

/* sandbox_sentry_new() - Nothing runs yet */
int sandbox_sentry_new(const struct sandbox_config *config, struct sandbox **out,
		       struct coffer_error *err);

#endif /* SANDBOX_SENTRY_H */
