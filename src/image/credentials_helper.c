/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/credentials_helper.c - the programs docker-credential-NAME, which keep passwords
 *
 *	docker-credential-NAME get|store|erase  <standard input  >standard output
 *
 * What goes in is in a memory file: one that does not read it is no matter.
 * What comes out is bounded in size and time; with an exit status it is the
 * reason in words.  Secrets are wiped from our own buffers.  The environment is
 * passed on, since keyrings are found by it.  Callers: credentials.c.
 */
#include "image/credentials_helper.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/json_text.h"
#include "base/spawn.h"
#include "image/json_node.h"

#define HELPER_PREFIX	  "docker-credential-"
#define HELPER_OUTPUT_MAX ((size_t)64 << 10)
#define HELPER_BUDGET	  (60 * USEC_PER_SEC) /* it may ask its user */
#define HELPER_TOKEN_USER "<token>"

static void helper_wipe(struct buf *b)
{
	if (b->mem)
		explicit_bzero(b->mem, b->cap);
	buf_free(b);
}
#define autowipe CLEANUP(helper_wipe)

/* helper_find() - In $PATH; relative directories there are not trusted with passwords */
static int helper_find(const char *helper, char *path, size_t room, struct coffer_error *err)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-";
	const char *dirs = getenv("PATH"), *end;

	if (!*helper || helper[strspn(helper, chars)] != '\0')
		return err_invalid(err, "not the name of a credential helper");
	for (; dirs && *dirs; dirs = end + (*end == ':')) {
		int n;

		end = strchrnul(dirs, ':');
		n = snprintf(path, room, "%.*s/" HELPER_PREFIX "%s", (int)(end - dirs), dirs,
			     helper);
		if (*dirs == '/' && n < (int)room && access(path, X_OK) == 0)
			return 0;
	}
	return err_set(err, COFFER_ERR_NOT_FOUND, 0, "no program " HELPER_PREFIX "%s in $PATH",
		       helper);
}

static int helper_input(const char *text, size_t len, struct coffer_error *err)
{
	autoclose int fd = memfd_create("credentials", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(err, "memfd_create");
	r = io_write_full(fd, text, len);
	if (r < 0)
		return err_sysn(err, r, "write its input");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "rewind its input");
	return steal_fd(&fd);
}

static int helper_read(int fd, usec_t deadline, struct buf *out, struct coffer_error *err)
{
	for (;;) {
		uint8_t *p;
		ssize_t n;
		int r = io_wait(fd, POLLIN, deadline);

		if (r == 0)
			return err_timeout(err, "no answer in time");
		if (r > 0)
			r = buf_reserve(out, 4096, &p);
		if (r == -ENOBUFS)
			return err_invalid(err, "an answer of more than %zu bytes", out->limit);
		if (r < 0)
			return err_sysn(err, r, "read its answer");
		n = read(fd, p, 4096);
		if (n < 0 && errno != EINTR)
			return err_sys(err, "read its answer");
		if (n == 0)
			return 0;
		if (n > 0)
			buf_commit(out, (size_t)n);
	}
}

/* helper_refusal() - The reason that it gave. Return: -ENOENT when it knows nothing */
static int helper_refusal(struct buf *answer, int code, struct coffer_error *err)
{
	char quoted[JSON_QUOTE_MAX];
	const char *text;

	if (buf_append(answer, "", 1) < 0)
		return err_internal(err, "exit status %d", code);
	text = (const char *)buf_data(answer);
	if (strstr(text, "credentials not found"))
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "it has no credentials");
	((char *)answer->mem)[answer->off + strcspn(text, "\r\n")] = '\0';
	return err_internal(err, "exit status %d: %s", code, json_text_quote(quoted, text));
}

static int helper_talk(const char *path, const char *verb, int input, struct buf *answer,
		       struct coffer_error *err)
{
	usec_t deadline = deadline_in(HELPER_BUDGET);
	autochild struct child child = CHILD_INIT;
	autoclose int rd = -1, wr = -1;
	const char *const argv[] = { path, verb, NULL };
	struct spawn_fd fds[] = { { input, 0 }, { -1, 1 } };
	const struct spawn_args args = { .path = path,
					 .argv = argv,
					 .envp = (const char *const *)environ,
					 .fds = fds,
					 .nfds = ARRAY_SIZE(fds) };
	int p[2], r;
	siginfo_t si;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	rd = p[0];
	fds[1].fd = wr = p[1];
	r = spawn_exec(&args, &child, err);
	close_fd(&wr);
	if (r == 0)
		r = helper_read(rd, deadline, answer, err);
	if (r < 0)
		return r;
	r = child_wait(&child, deadline, &si);
	if (r == -ETIMEDOUT)
		return err_timeout(err, "did not end in time");
	if (r < 0)
		return err_sysn(err, r, "wait");
	r = spawn_exit_code(&si);
	return r ? helper_refusal(answer, r, err) : 0;
}

static int helper_run(const char *helper, const char *verb, const char *text, size_t len,
		      struct buf *answer, struct coffer_error *err)
{
	autoclose int input = -1;
	char path[4096];
	int r = helper_find(helper, path, sizeof(path), err);

	if (r == 0)
		r = input = helper_input(text, len, err);
	if (r >= 0)
		r = helper_talk(path, verb, input, answer, err);
	return r < 0 ? err_wrap(err, "credential helper %.64s: %s", helper, verb) : 0;
}

static int helper_read_answer(const struct buf *answer, struct credentials *out,
			      struct coffer_error *err)
{
	autojson struct json_object *tree = NULL;
	struct json_node root, user, secret;
	int r;

	r = json_node_read("answer", buf_data(answer), answer->len, HELPER_OUTPUT_MAX, &tree, err);
	if (r < 0)
		return r;
	root = json_node_root("answer", tree);
	user = json_node_member(&root, "Username");
	secret = json_node_member(&root, "Secret");
	r = json_node_copy(&user, &out->user, err);
	if (r == 0)
		r = json_node_copy(&secret, &out->password, err);
	if (r < 0 || !out->user || strcmp(out->user, HELPER_TOKEN_USER) != 0)
		return r;
	out->token = steal_ptr(out->password);
	free(steal_ptr(out->user));
	return 0;
}

int credentials_helper_get(const char *helper, const char *server, struct credentials *out,
			   struct coffer_error *err)
{
	autowipe struct buf answer = BUF_INIT(HELPER_OUTPUT_MAX);
	struct coffer_error why = COFFER_ERROR_INIT;
	int r;

	*out = (struct credentials){ 0 };
	r = helper_run(helper, "get", server, strlen(server), &answer, &why);
	if (r == -ENOENT && strstr(why.message, "it has no credentials"))
		return 0;
	if (r == 0) {
		r = helper_read_answer(&answer, out, &why);
		if (r < 0)
			err_wrap(&why, "credential helper %.64s: get", helper);
	}
	if (r < 0) {
		credentials_free(out);
		if (err)
			*err = why;
	}
	return r;
}

int credentials_helper_store(const char *helper, const char *server, const struct credentials *c,
			     struct coffer_error *err)
{
	const char *user = c->token ? HELPER_TOKEN_USER : c->user;
	const char *secret = c->token ? c->token : c->password;
	autojson struct json_object *json = json_object_new_object();
	autowipe struct buf text = BUF_INIT(HELPER_OUTPUT_MAX),
			    answer = BUF_INIT(HELPER_OUTPUT_MAX);
	int r;

	if (!json || !json_add(json, "ServerURL", json_object_new_string(server)) ||
	    !json_add(json, "Username", json_object_new_string(user)) ||
	    !json_add(json, "Secret", json_object_new_string(secret)))
		return err_nomem(err);
	r = json_node_emit(json, &text, err);
	if (r < 0)
		return r;
	return helper_run(helper, "store", (const char *)buf_data(&text), text.len, &answer, err);
}

int credentials_helper_erase(const char *helper, const char *server, struct coffer_error *err)
{
	autowipe struct buf answer = BUF_INIT(HELPER_OUTPUT_MAX);

	return helper_run(helper, "erase", server, strlen(server), &answer, err);
}
