/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/credentials.c - who we are to a registry: docker's config.json and its helpers
 *
 *	credHelpers[registry], else credsStore --> a program keeps them
 *	auths[registry] = {auth: base64(user:password)}, {identitytoken}
 *
 * As docker and podman have it, so that who has logged in with one of them is
 * in here, and the other way round.  A helper that knows nothing leaves it to
 * auths.  All else in the file stays as it is.  Callers: registry/, login and
 * logout.
 */
#include "image/credentials.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>

#include "base/io.h"
#include "base/path.h"
#include "image/base64.h"
#include "image/credentials_helper.h"
#include "image/json_node.h"
#include "image/reference.h"

#define CREDENTIALS_FILE_MAX ((size_t)1 << 20)
#define CREDENTIALS_FILE     "the file of credentials"
#define CREDENTIALS_HUB	     "https://index.docker.io/v1/"

static void credentials_wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void credentials_free(struct credentials *c)
{
	credentials_wipe(c->user);
	credentials_wipe(c->password);
	credentials_wipe(c->token);
	*c = (struct credentials){ 0 };
}

/* credentials_is_hub() - Docker's own registry, by one of its names; the first @n bytes are it */
static bool credentials_is_hub(const char *registry, size_t n)
{
	static const char *const names[] = { REFERENCE_DEFAULT_REGISTRY, "index.docker.io",
					     "registry-1.docker.io" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == n && strncasecmp(registry, names[i], n) == 0)
			return true;
	return false;
}

/* credentials_key() - What docker calls it */
static const char *credentials_key(const char *registry)
{
	return credentials_is_hub(registry, strlen(registry)) ? CREDENTIALS_HUB : registry;
}

/* credentials_is_key() - @key is a way to write @registry: "https://r.example/v2/". What has a
 * path but no scheme is a part of a registry, which is not the whole of it */
static bool credentials_is_key(const char *key, const char *registry)
{
	const char *host = strncmp(key, "https://", 8) == 0  ? key + 8
			   : strncmp(key, "http://", 7) == 0 ? key + 7
							     : key;
	size_t n = host == key ? strlen(host) : strcspn(host, "/");

	if (strlen(registry) == n && strncasecmp(host, registry, n) == 0)
		return true;
	return credentials_is_hub(registry, strlen(registry)) && credentials_is_hub(host, n);
}

/* ---- the file ---- */

/* credentials_load() - Its tree; an empty one when there is no file */
static int credentials_load(const char *file, struct json_object **tree, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len = 0;
	int r = io_read_file(AT_FDCWD, file, CREDENTIALS_FILE_MAX, &text, &len, err);

	*tree = NULL;
	if (r == -ENOENT || r == -ENOTDIR || (r == 0 && len == 0)) {
		err_clear(err);
		*tree = json_object_new_object();
		return *tree ? 0 : err_nomem(err);
	}
	if (r < 0)
		return err_wrap(err, CREDENTIALS_FILE);
	r = json_node_read(file, text, len, CREDENTIALS_FILE_MAX, tree, err);
	explicit_bzero(text, len);
	return r;
}

/* credentials_helper() - Which program keeps them; NULL: none */
static int credentials_helper(const struct json_node *root, const char *registry, const char **out,
			      struct coffer_error *err)
{
	struct json_node helpers = json_node_member(root, "credHelpers");
	struct json_node store = json_node_member(root, "credsStore");
	int r = json_node_object(&helpers, err);

	*out = NULL;
	if (r < 0)
		return r;
	if (helpers.json) {
		json_object_object_foreach(helpers.json, key, value)
		{
			struct json_node here = { .up = &helpers, .name = key, .json = value };

			if (credentials_is_key(key, registry))
				return json_node_text(&here, true, out, err);
		}
	}
	r = json_node_text(&store, false, out, err);
	if (*out && **out == '\0')
		*out = NULL;
	return r;
}

/* credentials_split() - base64 of "user:password" */
static int credentials_split(const struct json_node *node, struct credentials *out,
			     struct coffer_error *err)
{
	const char *text;
	char *plain, *colon;
	int r = json_node_text(node, false, &text, err);
	size_t n;

	if (r < 0 || !text || *text == '\0')
		return r;
	plain = base64_decode(text, &n);
	if (!plain && errno == ENOMEM)
		return err_nomem(err);
	colon = plain ? strchr(plain, ':') : NULL;
	/* What stands behind a zero is not read: docker has padded passwords with them. */
	if (!colon || colon == plain) {
		credentials_wipe(plain);
		return json_node_fail(node, err, "not user:password in base64");
	}
	out->user = strndup(plain, (size_t)(colon - plain));
	out->password = strdup(colon + 1);
	credentials_wipe(plain);
	if (out->user && out->password)
		return 0;
	credentials_free(out);
	return err_nomem(err);
}

static int credentials_read_entry(const struct json_node *node, struct credentials *out,
				  struct coffer_error *err)
{
	struct json_node auth = json_node_member(node, "auth");
	struct json_node user = json_node_member(node, "username");
	struct json_node password = json_node_member(node, "password");
	struct json_node token = json_node_member(node, "identitytoken");
	int r = json_node_object(node, err);

	if (r == 0)
		r = credentials_split(&auth, out, err);
	if (r == 0 && !out->user) {
		r = json_node_copy(&user, &out->user, err);
		if (r == 0)
			r = json_node_copy(&password, &out->password, err);
	}
	if (r == 0)
		r = json_node_copy(&token, &out->token, err);
	if (r < 0)
		credentials_free(out);
	return r;
}

/* credentials_read_auths() - Docker's own way to write @registry counts before all others */
static int credentials_read_auths(const struct json_node *root, const char *registry,
				  struct credentials *out, struct coffer_error *err)
{
	struct json_node auths = json_node_member(root, "auths");
	struct json_node exact = json_node_member(&auths, credentials_key(registry));
	int r = json_node_object(&auths, err);

	if (r < 0 || !auths.json)
		return r;
	if (exact.json) {
		r = credentials_read_entry(&exact, out, err);
		if (r < 0 || out->user || out->token)
			return r;
		credentials_free(out);
	}
	json_object_object_foreach(auths.json, key, value)
	{
		struct json_node here = { .up = &auths, .name = key, .json = value };

		if (!credentials_is_key(key, registry))
			continue;
		r = credentials_read_entry(&here, out, err);
		if (r < 0 || out->user || out->token)
			return r;
		credentials_free(out);
	}
	return 0;
}

/* credentials_settle() - A user without a password has an empty one; a password alone is nothing */
static int credentials_settle(struct credentials *c, struct coffer_error *err)
{
	if (!c->user) {
		credentials_wipe(steal_ptr(c->password));
		return 0;
	}
	if (!c->password)
		c->password = strdup("");
	if (c->password)
		return 0;
	credentials_free(c);
	return err_nomem(err);
}

int credentials_find(const char *file, const char *registry, struct credentials *out,
		     struct coffer_error *err)
{
	autojson struct json_object *tree = NULL;
	struct json_node root;
	const char *helper;
	int r;

	*out = (struct credentials){ 0 };
	if (!file)
		return 0;
	r = credentials_load(file, &tree, err);
	if (r < 0)
		return r;
	root = json_node_root(file, tree);
	r = credentials_helper(&root, registry, &helper, err);
	if (r == 0 && helper)
		r = credentials_helper_get(helper, credentials_key(registry), out, err);
	if (r == 0 && !out->user && !out->token)
		r = credentials_read_auths(&root, registry, out, err);
	return r == 0 ? credentials_settle(out, err) : r;
}

/* ---- changing it ---- */

/* What is being changed: nobody else of us changes it meanwhile. */
struct credentials_edit {
	char *path; /* owned; behind links, so that they stay */
	char *name; /* in it */
	int dir;    /* locked */
	struct json_object *tree;
};

static void credentials_edit_free(struct credentials_edit *e)
{
	free(e->path);
	close_fd(&e->dir);
	json_object_put(e->tree);
}

static int credentials_edit_open(const char *file, struct credentials_edit *e,
				 struct coffer_error *err)
{
	autofree char *copy = NULL;
	char *dir;
	int r;

	if (!file)
		return err_invalid(err, CREDENTIALS_FILE ": neither it nor a home is known");
	e->path = realpath(file, NULL);
	if (!e->path && errno != ENOENT)
		return err_sys(err, "%s", file);
	if (!e->path)
		e->path = strdup(file);
	copy = e->path ? strdup(e->path) : NULL;
	if (!copy)
		return err_nomem(err);
	dir = dirname(copy);
	e->name = strrchr(e->path, '/') ? strrchr(e->path, '/') + 1 : e->path;
	r = path_mkdirs(dir, 0700, err);
	if (r < 0)
		return err_wrap(err, CREDENTIALS_FILE);
	e->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->dir < 0)
		return err_sys(err, "open %s", dir);
	while (flock(e->dir, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(err, "lock %s", dir);
	return credentials_load(e->path, &e->tree, err);
}

static int credentials_edit_write(struct credentials_edit *e, struct coffer_error *err)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    e->tree,
	    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_PRETTY_TAB | JSON_C_TO_STRING_NOSLASHESCAPE,
	    &len);
	int r;

	if (!text)
		return err_nomem(err);
	r = io_replace_file(e->dir, e->name, text, len, 0600, err);
	return r < 0 ? err_wrap(err, CREDENTIALS_FILE) : 0;
}

/* credentials_drop_auths() - All the ways to write @registry. Return: how many there were */
static int credentials_drop_auths(struct json_object *tree, const char *registry)
{
	struct json_object *auths = json_object_object_get(tree, "auths");
	int n = 0;

	if (!json_object_is_type(auths, json_type_object))
		return 0;
	json_object_object_foreach(auths, key, value)
	{
		(void)value;
		if (credentials_is_key(key, registry)) {
			json_object_object_del(auths, key);
			n++;
		}
	}
	return n;
}

/* credentials_entry() - What stands in auths; with a helper that is only who it is for */
static struct json_object *credentials_entry(const struct credentials *c, bool helper)
{
	autojson struct json_object *entry = json_object_new_object();
	autofree char *plain = NULL;
	char *auth;
	bool ok;

	if (!entry || helper)
		return entry ? steal_ptr(entry) : NULL;
	if (c->token && !json_add(entry, "identitytoken", json_object_new_string(c->token)))
		return NULL;
	if (!c->user)
		return steal_ptr(entry);
	if (asprintf(&plain, "%s:%s", c->user, c->password ? c->password : "") < 0) {
		plain = NULL;
		return NULL;
	}
	auth = base64_encode(plain, strlen(plain));
	ok = auth && json_add(entry, "auth", json_object_new_string(auth));
	explicit_bzero(plain, strlen(plain));
	credentials_wipe(auth);
	return ok ? steal_ptr(entry) : NULL;
}

static int credentials_put(struct credentials_edit *e, const char *registry,
			   const struct credentials *c, bool helper, struct coffer_error *err)
{
	struct json_object *auths = json_object_object_get(e->tree, "auths");

	if (!auths) {
		auths = json_object_new_object();
		if (!json_add(e->tree, "auths", auths))
			return err_nomem(err);
	}
	credentials_drop_auths(e->tree, registry);
	if (!json_add(auths, credentials_key(registry), credentials_entry(c, helper)))
		return err_nomem(err);
	return credentials_edit_write(e, err);
}

static int credentials_check(const struct credentials *c, struct coffer_error *err)
{
	if (!c->token && (!c->user || !*c->user || !c->password || !*c->password))
		return err_invalid(err, "a user and a password, or a token, are needed");
	if (c->user && strchr(c->user, ':'))
		return err_invalid(err, "a colon in the user's name cannot be sent to a registry");
	return 0;
}

int credentials_keep(const char *file, const char *registry, const struct credentials *c,
		     struct coffer_error *err)
{
	CLEANUP(credentials_edit_free) struct credentials_edit e = { .dir = -1 };
	struct json_node root, auths;
	const char *helper = NULL;
	int r = credentials_check(c, err);

	if (r == 0)
		r = credentials_edit_open(file, &e, err);
	if (r < 0)
		return r;
	root = json_node_root(file, e.tree);
	auths = json_node_member(&root, "auths");
	r = json_node_object(&auths, err);
	if (r == 0)
		r = credentials_helper(&root, registry, &helper, err);
	if (r == 0 && helper)
		r = credentials_helper_store(helper, credentials_key(registry), c, err);
	return r < 0 ? r : credentials_put(&e, registry, c, helper, err);
}

/* credentials_erase() - From the helper. Return: 1, 0 when it had none, negative errno */
static int credentials_erase(const char *helper, const char *registry, struct coffer_error *err)
{
	CLEANUP(credentials_free) struct credentials had = { 0 };
	int r = credentials_helper_get(helper, credentials_key(registry), &had, err);

	if (r < 0 || (!had.user && !had.token))
		return r;
	r = credentials_helper_erase(helper, credentials_key(registry), err);
	return r < 0 ? r : 1;
}

int credentials_forget(const char *file, const char *registry, struct coffer_error *err)
{
	CLEANUP(credentials_edit_free) struct credentials_edit e = { .dir = -1 };
	struct json_node root;
	const char *helper;
	int r, erased = 0, dropped;

	r = credentials_edit_open(file, &e, err);
	if (r < 0)
		return r;
	root = json_node_root(file, e.tree);
	r = credentials_helper(&root, registry, &helper, err);
	if (r == 0 && helper)
		r = erased = credentials_erase(helper, registry, err);
	if (r < 0)
		return r;
	dropped = credentials_drop_auths(e.tree, registry);
	if (dropped > 0)
		return credentials_edit_write(&e, err);
	return erased ? 0
		      : err_set(err, COFFER_ERR_NOT_FOUND, 0, "not logged in to %.255s", registry);
}
