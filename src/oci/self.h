/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/self.h - keep containers from writing to the program that makes them
 */
#ifndef OCI_SELF_H
#define OCI_SELF_H

#include "base/error.h"

/**
 * self_protect() - Go on in a copy of this program that nobody can write to
 * @argv:	Our own, for the copy
 *
 * Return: 0 when we are such a copy (or need none), negative errno; or not at all: the copy
 * starts from main() again
 */
int self_protect(char *argv[], struct coffer_error *err);

/**
 * self_image_exchange() - Become what an execve of @fd would have made of us, and go on
 * @fd:	A file with the content of ours, open for reading
 *
 * Return: 0, negative errno: our program is still the old file
 */
int self_image_exchange(int fd, char *argv[]);

#endif /* OCI_SELF_H */
