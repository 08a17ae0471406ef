/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/list.c - state and list: what is known of one container, or of all
 *
 * Both read without a lock.
 */
#include "oci/handle.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/log.h"
#include "base/table.h"

struct list_opts {
	bool help, quiet;
	const char *format;
};

#define OCI_OPTS struct list_opts

/* As `state` prints it; list adds the owner's name. */
static struct json_object *list_json(const struct handle *h, const char *owner)
{
	struct json_object *obj = json_object_new_object();
	const struct state *s = &h->state;
	char created[STATE_CREATED_MAX];

	if (!obj)
		return NULL;
	state_created(s, created);
	json_object_object_add(obj, "ociVersion", json_object_new_string(s->oci_version));
	json_object_object_add(obj, "id", json_object_new_string(s->id));
	json_object_object_add(
	    obj, "pid", json_object_new_int(h->status == STATUS_STOPPED ? 0 : s->pid));
	json_object_object_add(obj, "status", json_object_new_string(status_str(h->status)));
	json_object_object_add(obj, "bundle", json_object_new_string(s->bundle));
	json_object_object_add(obj, "rootfs", json_object_new_string(s->rootfs));
	json_object_object_add(obj, "created", json_object_new_string(created));
	if (s->annotations)
		json_object_object_add(obj, "annotations", json_object_get(s->annotations));
	json_object_object_add(obj, "owner", json_object_new_string(owner));
	return obj;
}

static int list_state(const struct oci *oci, const void *opts, int nargs, char *args[],
		      struct coffer_error *err)
{
	autojson struct json_object *obj = NULL;
	autohandle struct handle h = HANDLE_INIT;
	int r = handle_open(oci, args[0], STATE_UNLOCKED, 0, NULL, &h, err);

	if (r < 0)
		return r;
	obj = list_json(&h, "");
	if (!obj)
		return err_nomem(err);
	fputs(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_SPACED |
						      JSON_C_TO_STRING_NOSLASHESCAPE),
	      stdout);
	fputc('\n', stdout);
	return 0;
}

/* ---- list ---- */

static void list_owner(const struct handle *h, char *name, size_t room)
{
	struct passwd *pw;
	struct stat st;

	if (fstat(h->dir.fd, &st) < 0)
		return;
	pw = getpwuid(st.st_uid);
	if (pw)
		snprintf(name, room, "%s", pw->pw_name);
	else
		snprintf(name, room, "#%u", (unsigned)st.st_uid);
}

static void list_row(struct table *table, const struct handle *h, const char *owner)
{
	char pid[16], created[STATE_CREATED_MAX];

	state_created(&h->state, created);
	snprintf(pid, sizeof(pid), "%d", h->status == STATUS_STOPPED ? 0 : (int)h->state.pid);
	table_add(table, (const char *[]){ h->state.id, pid, status_str(h->status),
					   h->state.bundle, created, owner });
}

struct list {
	struct json_object *json; /* NULL: not asked for */
	struct table *table;      /* likewise */
};

/* One that cannot be read is a line of its own in the log, not the end of the list. */
static void list_one(const struct oci *oci, const char *id, const struct list *list)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autohandle struct handle h = HANDLE_INIT;
	char owner[64] = "";

	if (handle_open(oci, id, STATE_UNLOCKED, 0, NULL, &h, &err) < 0) {
		log_warning("%s", err.message);
		return;
	}
	list_owner(&h, owner, sizeof(owner));
	if (list->json)
		json_object_array_add(list->json, list_json(&h, owner));
	else if (list->table)
		list_row(list->table, &h, owner);
	else
		puts(h.state.id);
}

static int list_is_container(const struct dirent *de)
{
	return (de->d_type == DT_DIR || de->d_type == DT_UNKNOWN) &&
	       state_check_id(de->d_name, NULL) == 0;
}

static void list_all(const struct oci *oci, const struct list *list)
{
	struct dirent **names = NULL;
	int n = scandir(oci->root, &names, list_is_container, alphasort);

	for (int i = 0; i < n; i++) {
		list_one(oci, names[i]->d_name, list);
		free(names[i]);
	}
	free(names);
}

static int list_main(const struct oci *oci, const void *data, int nargs, char *args[],
		     struct coffer_error *err)
{
	static const char *const columns[] = { "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER" };
	CLEANUP(table_free) struct table table = TABLE_INIT(columns, ARRAY_SIZE(columns));
	autojson struct json_object *json = NULL;
	const struct list_opts *opts = data;
	bool as_json = opts->format && strcmp(opts->format, "json") == 0;
	struct list list = { 0 };

	if (as_json && !opts->quiet)
		list.json = json = json_object_new_array();
	else if (!opts->quiet)
		list.table = &table;
	list_all(oci, &list);
	if (list.json)
		puts(json_object_array_length(json) == 0
			 ? "null"
			 : json_object_to_json_string_ext(json, JSON_C_TO_STRING_NOSLASHESCAPE));
	return list.table ? table_print(&table, stdout, err) : 0;
}

const char *const oci_formats[] = { "table", "json", NULL };

static const struct opt_row list_rows[] = {
	{ "format", 'f', OPT_WORD, offsetof(struct list_opts, format), "FORMAT",
	  "table (default) or json", .words = oci_formats },
	OCI_FLAG("quiet", 'q', quiet, "Ids only"),
	OCI_ROW_HELP,
}, list_state_rows[] = { OCI_ROW_HELP };

const struct oci_command oci_list = {
	.name = "list",
	.usage = "[OPTION...]",
	.help = "List the containers",
	.fn = list_main,
	.rows = list_rows,
	.nrows = ARRAY_SIZE(list_rows),
};

const struct oci_command oci_state = {
	.name = "state",
	.usage = "ID",
	.help = "Print the state of a container as JSON",
	.fn = list_state,
	.rows = list_state_rows,
	.nrows = ARRAY_SIZE(list_state_rows),
	.min_args = 1,
	.max_args = 1,
};
