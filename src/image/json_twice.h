/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/json_twice.h - equal names in one object of a JSON document
 */
#ifndef IMAGE_JSON_TWICE_H
#define IMAGE_JSON_TWICE_H

#include "base/json.h"
#include "base/error.h"

/* json_twice_check() - Refuse them. @text: what @tree was made of, without an error */
int json_twice_check(const char *what, const char *text, size_t len, struct json_object *tree,
		     struct coffer_error *err);

#endif /* IMAGE_JSON_TWICE_H */
