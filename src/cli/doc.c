/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/doc.c - what inspect says, taken apart
 */
#include "cli/doc.h"

#include <stdio.h>
#include <string.h>

#include "cli/target.h"

struct json_object *doc_get(struct json_object *doc, const char *in, const char *key)
{
	struct json_object *obj = doc, *value = NULL;

	if (in && !json_object_object_get_ex(doc, in, &obj))
		return NULL;
	json_object_object_get_ex(obj, key, &value);
	return value;
}

const char *doc_text(struct json_object *doc, const char *in, const char *key)
{
	struct json_object *value = doc_get(doc, in, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

int64_t doc_number(struct json_object *doc, const char *in, const char *key)
{
	return json_object_get_int64(doc_get(doc, in, key));
}

bool doc_flag(struct json_object *doc, const char *in, const char *key)
{
	return json_object_get_boolean(doc_get(doc, in, key));
}

time_t doc_time(const char *text)
{
	struct tm tm = { 0 };
	time_t t;

	if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	t = timegm(&tm);
	return t > 0 ? t : 0;
}

void doc_age(time_t seconds, char *out, size_t size)
{
	static const struct {
		time_t below, unit;
		const char *word;
	} units[] = {
		{ 60, 1, "second" },	     { 3600, 60, "minute" },
		{ 48 * 3600, 3600, "hour" }, { 14 * 86400, 86400, "day" },
		{ 60 * 86400, 7 * 86400, "week" },
	};
	long long n;

	if (seconds < 1) {
		snprintf(out, size, "Less than a second");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (seconds >= units[i].below)
			continue;
		n = seconds / units[i].unit;
		snprintf(out, size, "%lld %s%s", n, units[i].word, n == 1 ? "" : "s");
		return;
	}
	n = seconds / (30 * 86400);
	snprintf(out, size, "%lld months", n);
}

void doc_size(uint64_t bytes, bool binary, char *out, size_t size)
{
	static const char *const units[][6] = {
		{ "B", "kB", "MB", "GB", "TB", "PB" },
		{ "B", "KiB", "MiB", "GiB", "TiB", "PiB" },
	};
	double n = (double)bytes, base = binary ? 1024 : 1000;
	size_t i = 0;

	for (; n >= base && i + 1 < ARRAY_SIZE(units[0]); i++)
		n /= base;
	snprintf(out, size, "%.4g%s", n, units[binary][i]);
}

static int doc_parse(const char *text, struct json_object **out, struct coffer_error *err)
{
	*out = json_tokener_parse(text);
	return *out ? 0 : err_internal(err, "what the library tells of containers is no JSON");
}

int doc_load(const struct cli *cli, const char *id, struct json_object **out,
	     struct coffer_error *err)
{
	autofree char *text = NULL;
	int r = coffer_record_inspect(target_run_dir(cli), id, &text, err);

	*out = NULL;
	return r < 0 ? r : doc_parse(text, out, err);
}

int doc_load_all(const struct cli *cli, struct json_object **out, struct coffer_error *err)
{
	autofree char *text = NULL;
	int r = coffer_record_list(target_run_dir(cli), &text, err);

	*out = NULL;
	return r < 0 ? r : doc_parse(text, out, err);
}
