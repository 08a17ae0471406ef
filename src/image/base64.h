/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/base64.h - bytes as text (RFC 4648, 4), as Basic authentication has it
 */
#ifndef IMAGE_BASE64_H
#define IMAGE_BASE64_H

#include <stddef.h>

/* base64_encode() - Return: malloc'd text, NULL without memory */
char *base64_encode(const void *data, size_t n);
/* base64_decode() - Return: malloc'd bytes with a NUL behind them; NULL with errno ENOMEM or, for
 * what is not base64 with its padding, EINVAL */
char *base64_decode(const char *text, size_t *n);

#endif /* IMAGE_BASE64_H */
