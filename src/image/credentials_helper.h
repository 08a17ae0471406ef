/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/credentials_helper.h - the programs docker-credential-NAME, which keep passwords
 */
#ifndef IMAGE_CREDENTIALS_HELPER_H
#define IMAGE_CREDENTIALS_HELPER_H

#include "image/credentials.h"

/* credentials_helper_get() - Return: 0, also when it knows nothing (all of @out is NULL) */
int credentials_helper_get(const char *helper, const char *server, struct credentials *out,
			   struct coffer_error *err);
int credentials_helper_store(const char *helper, const char *server, const struct credentials *c,
			     struct coffer_error *err);
int credentials_helper_erase(const char *helper, const char *server, struct coffer_error *err);

#endif /* IMAGE_CREDENTIALS_HELPER_H */
