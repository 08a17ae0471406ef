/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/inside.h - the two things coffer-oci-sentry does
 *
 * @dir: the container's directory, as in oci/sentry_names.h. Return: exit code
 */
#ifndef OCI_INSIDE_INSIDE_H
#define OCI_INSIDE_INSIDE_H

#include <stdbool.h>

int inside_init_main(const char *dir, const char *id);
/* inside_freeze_main() - @freeze: or let go on */
int inside_freeze_main(const char *dir, const char *id, bool freeze);
int inside_exec_main(const char *dir, const char *id, const char *process);

#endif /* OCI_INSIDE_INSIDE_H */
