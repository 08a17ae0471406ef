/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/log.h - where the library's log lines go
 *
 * Nothing is written anywhere until a program asks for it.  Process-wide; set
 * it before other threads use the library.
 */
#ifndef COFFER_LOG_H
#define COFFER_LOG_H

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * coffer_log_to_fd() - Write log lines to a descriptor
 * @fd:		Borrowed; must stay open. Lines are written whole
 * @format:	"text" or "json" (one object a line: level, msg, time)
 *
 * Return: 0, or -EINVAL with @err filled
 */
COFFER_PUBLIC int coffer_log_to_fd(int fd, const char *format, struct coffer_error *err);

/**
 * coffer_log_set_level() - Drop lines less grave than @level
 * @level:	"error", "warning" (the default), "info" or "debug"
 *
 * Return: 0, or -EINVAL with @err filled
 */
COFFER_PUBLIC int coffer_log_set_level(const char *level, struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_LOG_H */
