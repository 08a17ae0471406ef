/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/console.h - the terminal's master, for somebody else
 */
#ifndef OCI_CONSOLE_H
#define OCI_CONSOLE_H

#include <stdbool.h>

#include "base/error.h"

/* console_check() - A terminal that we do not stay with has a receiver, and only that */
int console_check(bool terminal, bool detach, const char *path, struct coffer_error *err);
/* console_connect() - To the receiver, before anything is made. @sock: owned by the caller */
int console_connect(const char *path, int *sock, struct coffer_error *err);
int console_send(int sock, int ptmx, struct coffer_error *err);

#endif /* OCI_CONSOLE_H */
