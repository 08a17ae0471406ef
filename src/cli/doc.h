/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/doc.h - what inspect says, taken apart
 */
#ifndef CLI_DOC_H
#define CLI_DOC_H

#include <stdint.h>
#include <time.h>

#include "base/json.h"
#include "cli/cli.h"

/* doc_get() - Member @key of member @in of @doc (@in NULL: of @doc itself), or NULL; borrowed */
struct json_object *doc_get(struct json_object *doc, const char *in, const char *key);
/* The same as a value; what is not there is "", 0, false. */
const char *doc_text(struct json_object *doc, const char *in, const char *key);
int64_t doc_number(struct json_object *doc, const char *in, const char *key);
bool doc_flag(struct json_object *doc, const char *in, const char *key);

/* doc_time() - "2026-01-02T03:04:05.6Z". Return: seconds, 0 for one that says never */
time_t doc_time(const char *text);

/* doc_age() - "5 seconds", "2 hours", as docker says it */
void doc_age(time_t seconds, char *out, size_t size);

/* doc_size() - "1.5MiB" or, in powers of 1000, "1.5kB" */
void doc_size(uint64_t bytes, bool binary, char *out, size_t size);

/* doc_load() - Of one container; doc_load_all() - of all, an array. To be put */
int doc_load(const struct cli *cli, const char *id, struct json_object **out,
	     struct coffer_error *err);
int doc_load_all(const struct cli *cli, struct json_object **out, struct coffer_error *err);

#endif /* CLI_DOC_H */
