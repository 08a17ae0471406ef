/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/symbols.h - functions of a library that is loaded when it is first needed
 */
#ifndef BASE_SYMBOLS_H
#define BASE_SYMBOLS_H

#include <stddef.h>

#include "base/error.h"

struct symbol {
	const char *name;
	void *at; /* the pointer to a function that is to be set */
};

/**
 * symbols_load() - Load @library for good, and set all of @list
 *
 * Errors: unsupported (it is not there, or lacks one of them; then it is unloaded, and what is in
 * @list must not be called)
 */
int symbols_load(const char *library, const struct symbol *list, size_t count,
		 struct coffer_error *err);

#endif /* BASE_SYMBOLS_H */
