/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/image_list.c - coffer images and history: what there is, and what it is made of
 */
#include "cli/images.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/table.h"
#include "base/tty.h"
#include "cli/doc.h"

#define LIST_COMMAND_MAX 45 /* bytes of a history's command, unless all are wanted */

struct list_opts {
	bool help, all, quiet, whole, digests;
	const char *format, *platform;
};

static const char *const list_formats[] = { "table", "json", NULL };

#define FIELD(member) offsetof(struct list_opts, member)
static const struct opt_row list_rows[] = {
	{ "all", 'a', OPT_FLAG, FIELD(all), NULL, "Accepted; all are listed anyway" },
	{ "digests", 0, OPT_FLAG, FIELD(digests), NULL, "With their digests" },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Only ids" },
	{ "no-trunc", 0, OPT_FLAG, FIELD(whole), NULL, "Whole ids" },
	{ "format", 0, OPT_WORD, FIELD(format), "FORMAT",
	  "table (default), or json: an object a line", .words = list_formats },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static const struct opt_row list_history_rows[] = {
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Only ids" },
	{ "no-trunc", 0, OPT_FLAG, FIELD(whole), NULL, "Whole ids and commands" },
	{ "format", 0, OPT_WORD, FIELD(format), "FORMAT",
	  "table (default), or json: an object a line", .words = list_formats },
	{ "platform", 0, OPT_STRING, FIELD(platform), "OS/ARCH[/VARIANT]",
	  "Of an image with several" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* Words of whoever made the image. */
static void list_clean(char *text)
{
	for (char *p = text; *p; p++) {
		size_t n = tty_control(p);

		if (n)
			memset(p, ' ', n);
	}
}

/* Cut if need be, but not inside a character. Return: malloc'd, NULL: no memory */
static char *list_cut(const char *text, bool whole)
{
	size_t n = strlen(text);
	char *out = NULL;

	if (whole || n <= LIST_COMMAND_MAX)
		return strdup(text);
	for (n = LIST_COMMAND_MAX - 1; n > 0 && (text[n] & 0xc0) == 0x80; n--)
		;
	return asprintf(&out, "%.*s…", (int)n, text) < 0 ? NULL : out;
}

/* One image by one name, or one step of its history. */
struct list_row {
	char *name; /* owned: repository, or the command of a step */
	const char *tag;
	char id[160], created[80], size[32];
};

static void list_row_free(struct list_row *row)
{
	free(row->name);
}

/* @obj: as coffer_images_list() and coffer_image_history() have it */
static void list_fill(struct json_object *obj, const struct list_opts *opts, struct list_row *row)
{
	const char *id = doc_text(obj, NULL, "id");

	images_short(*id ? id : "<missing>", opts->whole, row->id, sizeof(row->id));
	if (!*id)
		snprintf(row->id, sizeof(row->id), "<missing>");
	images_created(doc_text(obj, NULL, "created"), row->created, sizeof(row->created));
	doc_size((uint64_t)doc_number(obj, NULL, "size"), false, row->size, sizeof(row->size));
}

/* Columns that are text for whoever reads lines of JSON. Return: 0 or -ENOMEM */
static int list_print_json(struct json_object *from, const struct list_row *row,
			   const char *const (*more)[2], size_t nmore, struct coffer_error *err)
{
	autojson struct json_object *obj = json_object_new_object();
	bool ok = obj && json_add(obj, "ID", json_object_new_string(row->id)) &&
		  json_add(obj, "CreatedAt",
			   json_object_new_string(doc_text(from, NULL, "created"))) &&
		  json_add(obj, "CreatedSince", json_object_new_string(row->created)) &&
		  json_add(obj, "Size", json_object_new_string(row->size));

	for (size_t i = 0; i < nmore && ok; i++)
		ok = json_add(obj, more[i][0], json_object_new_string(more[i][1]));
	if (!ok)
		return err_nomem(err);
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
						     JSON_C_TO_STRING_NOSLASHESCAPE));
	return 0;
}

static bool list_is_json(const struct list_opts *opts)
{
	return strcmp(opts->format, "json") == 0;
}

/* "localhost:5000/a/b:tag" in two; one without a tag has a digest instead. */
static void list_split(struct list_row *row)
{
	char *slash = strrchr(row->name, '/'), *at = strchr(row->name, '@'), *colon;

	if (at)
		*at = '\0';
	colon = strrchr(slash ? slash : row->name, ':');
	row->tag = colon ? colon + 1 : "<none>";
	if (colon)
		*colon = '\0';
}

static int list_image_by(struct json_object *obj, const char *name, const struct list_opts *opts,
			 struct table *table, struct coffer_error *err)
{
	CLEANUP(list_row_free) struct list_row row = { .tag = "<none>" };
	const char *digest = doc_text(obj, NULL, "digest");

	row.name = strdup(name ? name : "<none>");
	if (!row.name)
		return err_nomem(err);
	list_fill(obj, opts, &row);
	if (name)
		list_split(&row);
	if (opts->quiet) {
		puts(row.id);
	} else if (list_is_json(opts)) {
		const char *const more[][2] = {
			{ "Repository", row.name }, { "Tag", row.tag }, { "Digest", digest },
			{ "Platform", doc_text(obj, NULL, "platform") },
		};

		return list_print_json(obj, &row, more, ARRAY_SIZE(more), err);
	} else if (opts->digests) {
		table_add(table, (const char *[]){ row.name, row.tag, digest, row.id, row.created,
						   row.size });
	} else {
		table_add(table, (const char *[]){ row.name, row.tag, row.id, row.created,
						   row.size });
	}
	return 0;
}

static bool list_is_named(const char *name, const char *wanted)
{
	size_t n = wanted ? strlen(wanted) : 0;

	return !wanted || (strncmp(name, wanted, n) == 0 && strchr(":@", name[n]));
}

static int list_image(struct json_object *obj, const char *wanted, const struct list_opts *opts,
		      struct table *table, struct coffer_error *err)
{
	struct json_object *names = doc_get(obj, NULL, "names");
	size_t n = names ? json_object_array_length(names) : 0;
	int r = 0;

	if (n == 0 && !wanted)
		return list_image_by(obj, NULL, opts, table, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(names, i));

		/* What has a tag needs no row for its digest. */
		if (!list_is_named(name, wanted) || (i > 0 && strchr(name, '@')))
			continue;
		r = list_image_by(obj, name, opts, table, err);
		if (opts->quiet)
			break;
	}
	return r;
}

static int list_images(const struct list_opts *opts, const char *wanted, struct coffer_error *err)
{
	static const char *const plain[] = { "REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE" };
	static const char *const digests[] = { "REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED",
					       "SIZE" };
	CLEANUP(table_free) struct table table =
	    TABLE_INIT(opts->digests ? digests : plain,
		       opts->digests ? ARRAY_SIZE(digests) : ARRAY_SIZE(plain));
	autoimages struct coffer_images *images = NULL;
	autojson struct json_object *list = NULL;
	autofree char *text = NULL;
	int r = coffer_images_open(NULL, &images, err);

	if (r == 0)
		r = coffer_images_list(images, &text, err);
	if (r == 0)
		r = images_parse(text, &list, err);
	for (size_t i = 0; r == 0 && i < json_object_array_length(list); i++)
		r = list_image(json_object_array_get_idx(list, i), wanted, opts, &table, err);
	if (r < 0 || opts->quiet || list_is_json(opts))
		return r;
	return table_print(&table, stdout, err);
}

static int cli_images(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct list_opts opts = { .format = "table" };
	struct coffer_error err = COFFER_ERROR_INIT;
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 0, 1, &rest);
	if (code >= 0)
		return code;
	return list_images(&opts, argv[rest], &err) < 0 ? images_failed(&err) : CLI_EXIT_OK;
}

static int list_step(struct json_object *obj, const struct list_opts *opts, struct table *table,
		     struct coffer_error *err)
{
	CLEANUP(list_row_free) struct list_row row = { 0 };
	const char *by = doc_text(obj, NULL, "created_by");
	autofree char *comment = strdup(doc_text(obj, NULL, "comment"));

	row.name = list_cut(by, opts->whole);
	if (!row.name || !comment)
		return err_nomem(err);
	list_fill(obj, opts, &row);
	if (opts->quiet) {
		puts(row.id);
		return 0;
	}
	if (list_is_json(opts)) {
		const char *const more[][2] = { { "CreatedBy", row.name }, { "Comment", comment } };

		return list_print_json(obj, &row, more, ARRAY_SIZE(more), err);
	}
	list_clean(row.name);
	list_clean(comment);
	table_add(table,
		  (const char *[]){ row.id, row.created, row.name, row.size, comment });
	return 0;
}

static int list_history(const struct list_opts *opts, const char *name, struct coffer_error *err)
{
	static const char *const titles[] = { "IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT" };
	CLEANUP(table_free) struct table table = TABLE_INIT(titles, ARRAY_SIZE(titles));
	autoimages struct coffer_images *images = NULL;
	autoimage struct coffer_image *image = NULL;
	autojson struct json_object *list = NULL;
	autofree char *text = NULL;
	int r = coffer_images_open(NULL, &images, err);

	if (r == 0)
		r = coffer_image_find(images, name, opts->platform, &image, err);
	if (r == 0)
		r = coffer_image_history(image, &text, err);
	if (r == 0)
		r = images_parse(text, &list, err);
	for (size_t i = 0; r == 0 && i < json_object_array_length(list); i++)
		r = list_step(json_object_array_get_idx(list, i), opts, &table, err);
	if (r < 0 || opts->quiet || list_is_json(opts))
		return r;
	return table_print(&table, stdout, err);
}

static int cli_history(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct list_opts opts = { .format = "table" };
	struct coffer_error err = COFFER_ERROR_INIT;
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, 1, &rest);
	if (code >= 0)
		return code;
	return list_history(&opts, argv[rest], &err) < 0 ? images_failed(&err) : CLI_EXIT_OK;
}

const struct cli_verb cli_verb_images = {
	.name = "images",
	.fn = cli_images,
	.usage = "[OPTION...] [REPOSITORY]",
	.help = "List images",
	.rows = list_rows,
	.nrows = ARRAY_SIZE(list_rows),
};

const struct cli_verb cli_verb_history = {
	.name = "history",
	.fn = cli_history,
	.usage = "[OPTION...] IMAGE",
	.help = "Show what an image is made of",
	.rows = list_history_rows,
	.nrows = ARRAY_SIZE(list_history_rows),
};
