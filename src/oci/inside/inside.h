/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/inside.h - the things coffer-oci-sentry does
 *
 * @dir: the container's directory, as in oci/sentry_names.h. Return: exit code
 */
#ifndef OCI_INSIDE_INSIDE_H
#define OCI_INSIDE_INSIDE_H

#define INSIDE_EXIT_USAGE 2

int inside_init_main(const char *dir, const char *id);
/* inside_ask_main() - @verb: "freeze" ...; @word: what follows the id, or NULL */
int inside_ask_main(const char *verb, const char *dir, char *id, char *word);
int inside_exec_main(const char *dir, const char *id, const char *process);

#endif /* OCI_INSIDE_INSIDE_H */
