/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_text.h - the small texts in gRPC's headers: time-outs and messages
 */
#ifndef RPC_GRPC_TEXT_H
#define RPC_GRPC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define GRPC_TIMEOUT_MAX 10 /* eight digits, a unit, NUL */

/* grpc_timeout_parse() - "100m" to microseconds, rounded up. Return: 0 or -EINVAL */
int grpc_timeout_parse(const uint8_t *value, size_t len, usec_t *usec);
/* grpc_timeout_format() - The finest unit that fits, rounded up */
void grpc_timeout_format(usec_t usec, char out[GRPC_TIMEOUT_MAX]);

/* grpc_percent_encode() - @text for grpc-message, cut to what fits. Return: length without NUL */
size_t grpc_percent_encode(const char *text, char *out, size_t size);
/* grpc_percent_decode() - Broken escapes stay as they are, NUL becomes '?'; cut to what fits */
size_t grpc_percent_decode(const uint8_t *value, size_t len, char *out, size_t size);

/* grpc_text_utf8() - The number of bytes of the valid, non-NUL UTF-8 that @s begins with */
size_t grpc_text_utf8(const uint8_t *s, size_t n);
/* grpc_text_clean() - Copy as one printable line: control characters and broken UTF-8 become '?' */
void grpc_text_clean(const char *text, char *out, size_t size);

#endif /* RPC_GRPC_TEXT_H */
