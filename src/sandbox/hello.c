/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/hello.c - the line with which an agent says that it is up
 *
 *	{"agent":"coffer-agent","version":"0.1.0","uptime_us":1100000,"init_us":900000}
 *
 * It comes from a guest nobody trusts: the caller bounds its length, here its
 * form is checked and what is kept is made printable.
 */
#include "sandbox/hello.h"

#include <string.h>

#include "base/json.h"

#define AGENT_HELLO_DEPTH 2

/* A number of microseconds that is missing or odd is nothing to fail for. */
static uint64_t agent_hello_usec(struct json_object *doc, const char *key)
{
	struct json_object *v = json_object_object_get(doc, key);

	if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0)
		return 0;
	return (uint64_t)json_object_get_int64(v);
}

int agent_hello_parse(const char *line, size_t len, struct agent_hello *out,
		      struct coffer_error *err)
{
	autotokener struct json_tokener *tok = json_tokener_new_ex(AGENT_HELLO_DEPTH);
	autojson struct json_object *doc = NULL;
	const char *name, *version;

	*out = (struct agent_hello){ 0 };
	if (!tok)
		return err_nomem(err);
	doc = json_tokener_parse_ex(tok, line, (int)len);
	if (!json_object_is_type(doc, json_type_object))
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "agent: its greeting is no JSON");
	name = json_object_get_string(json_object_object_get(doc, "agent"));
	version = json_object_get_string(json_object_object_get(doc, "version"));
	if (!name || (strcmp(name, "coffer-agent") != 0 && strcmp(name, "coffer-sentry") != 0))
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "agent: it is not coffer's");
	for (size_t i = 0; version && version[i] && i < sizeof(out->version) - 1; i++)
		out->version[i] = version[i] > ' ' && version[i] < 0x7f ? version[i] : '?';
	out->uptime_usec = agent_hello_usec(doc, "uptime_us");
	out->init_usec = agent_hello_usec(doc, "init_us");
	if (out->init_usec > out->uptime_usec)
		out->init_usec = out->uptime_usec;
	return 0;
}
