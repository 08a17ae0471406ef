/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/json.h - ownership by scope for json-c's objects
 *
 * Only for rooms that link json-c; base itself does not.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct json_tokener *, json_tokener_free);
#define autotokener CLEANUP(json_tokener_freep)

/* json_object_put() answers whether it freed, so it is no DEFINE_CLEANUP() function as it is. */
static inline void json_object_putp(struct json_object **obj)
{
	json_object_put(*obj);
}
#define autojson CLEANUP(json_object_putp)

/* json_add() - Member @key, with no memory for @value as a failure; @value is taken over always */
static inline bool json_add(struct json_object *obj, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(obj, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

#endif /* BASE_JSON_H */
