/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/json_node.h - a place in a foreign JSON document, and what has to be there
 *
 * A node knows the way to it, so that an error can name it:
 *
 *	manifest: layers[3].size: expected an integer, got a string
 *
 * Nodes live on the stack of who reads; the ones above outlive the ones below.
 */
#ifndef IMAGE_JSON_NODE_H
#define IMAGE_JSON_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "image/digest.h"

#define JSON_NODE_DEPTH 16    /* nested objects and arrays of a document */
#define JSON_NODE_LIST	16384 /* elements, where nothing else is said */

struct json_node {
	const struct json_node *up; /* NULL: the document */
	const char *name;	    /* of the member, or the document; NULL: an element */
	size_t index;
	struct json_object *json; /* borrowed; NULL: missing, or null */
};

/**
 * json_node_read() - The tree of a document's text, whose root is an object
 * @what:	The document, for errors
 * @max:	Most bytes
 *
 * Equal names in one object are refused: readers differ in which of them counts.
 */
int json_node_read(const char *what, const void *text, size_t len, size_t max,
		   struct json_object **tree, struct coffer_error *err);

static inline struct json_node json_node_root(const char *what, struct json_object *tree)
{
	return (struct json_node){ .name = what, .json = tree };
}
/* json_node_member() - @of is an object, or missing */
static inline struct json_node json_node_member(const struct json_node *of, const char *name)
{
	return (struct json_node){ .up = of,
				   .name = name,
				   .json =
				       of->json ? json_object_object_get(of->json, name) : NULL };
}
static inline struct json_node json_node_element(const struct json_node *of, size_t i)
{
	return (struct json_node){ .up = of,
				   .index = i,
				   .json = json_object_array_get_idx(of->json, i) };
}

/* json_node_fail() - "document: a.b[0]: <message>". Return: -EINVAL */
int json_node_fail(const struct json_node *node, struct coffer_error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* json_node_unsupported() - The same with that kind */
int json_node_unsupported(const struct json_node *node, struct coffer_error *err, const char *fmt,
			  ...) __attribute__((format(printf, 3, 4)));
/* Compilers cannot see that an error is never 0. */
#define json_node_fail(...)	   err_negative((json_node_fail)(__VA_ARGS__))
#define json_node_unsupported(...) err_negative((json_node_unsupported)(__VA_ARGS__))

/* json_node_expect() - It is there and of @type */
int json_node_expect(const struct json_node *node, json_type type, struct coffer_error *err);
/* json_node_text() - Borrowed from the tree; NULL when missing and not @required, which
 * then must not be empty either */
int json_node_text(const struct json_node *node, bool required, const char **out,
		   struct coffer_error *err);
/* json_node_copy() - The same as a string of its own; empty is NULL */
int json_node_copy(const struct json_node *node, char **out, struct coffer_error *err);
/* json_node_fit() - Into a field of @size bytes; missing is empty */
int json_node_fit(const struct json_node *node, bool required, char *dst, size_t size,
		  struct coffer_error *err);
/* json_node_size() - From 0 to INT64_MAX */
int json_node_size(const struct json_node *node, uint64_t *out, struct coffer_error *err);
/* json_node_bool() - Missing is false */
int json_node_bool(const struct json_node *node, bool *out, struct coffer_error *err);
/* json_node_digest() - It has to be there */
int json_node_digest(const struct json_node *node, struct digest *out, struct coffer_error *err);
/* json_node_object() - An object or missing, with at most JSON_NODE_LIST members */
int json_node_object(const struct json_node *node, struct coffer_error *err);
/* json_node_list() - An array of at most @max elements; missing has none */
int json_node_list(const struct json_node *node, size_t max, size_t *count,
		   struct coffer_error *err);
/* json_node_strings() - An array of strings, owned, NULL-terminated; NULL when there are none */
int json_node_strings(const struct json_node *node, char ***out, struct coffer_error *err);

/* json_node_strings_free() - NULL-terminated or NULL */
void json_node_strings_free(char **list);
DEFINE_CLEANUP(char **, json_node_strings_free);

/* json_node_emit() - Append @json's text, without spaces */
int json_node_emit(struct json_object *json, struct buf *out, struct coffer_error *err);

#endif /* IMAGE_JSON_NODE_H */
