/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/inquiry.c - questions to a registry, asked until they are answered
 *
 * inquiry_run() starts what is due, lets http.c go on, and judges what has
 * ended: an answer goes to its owner's hook, a redirect is followed, a 401 gets
 * the authorization that it asks for, what broke off is asked again after a
 * pause, and what fails for good goes to the next endpoint, if there is one.
 *
 * Authorization is sent to the origin of the first URL and nowhere else; a
 * redirect from HTTPS to HTTP is refused.
 *
 * It may be entered while it runs (a token is needed before the rest goes on):
 * each run looks at its own list, and http_step() moves them all.  Callers:
 * manifest.c, fetch.c, push.c, token.c, registry.c.
 */
#include "image/registry/inquiry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/registry/registry_internal.h"

#define INQUIRY_REDIRECTS 8
#define INQUIRY_DEPTH	  8 /* of the JSON of an error */
#define INQUIRY_TEXT_STOP ((size_t)1 << 20)

static bool inquiry_on_data(void *arg, const void *data, size_t n)
{
	struct inquiry *x = arg;
	bool good = x->call.status >= 200 && x->call.status < 300;

	if (good && x->data)
		return x->data(x, data, n);
	if (buf_append(&x->text, data, n) == 0)
		return true;
	if (!good) /* it was only for the error's message */
		return (x->dropped += n) < INQUIRY_TEXT_STOP;
	err_invalid(&x->error, "it sends more than %zu bytes", x->text.limit);
	return false;
}

static void inquiry_on_sent(void *arg, uint64_t n)
{
	struct inquiry *x = arg;

	if (x->sent)
		x->sent(x, n);
}

static struct endpoint *inquiry_endpoint(const struct inquiry *x)
{
	return &x->registry->endpoints[x->endpoint];
}

int inquiry_own_url(const struct inquiry *x, char **out, struct coffer_error *err)
{
	if (!x->url)
		return endpoint_url(inquiry_endpoint(x), x->tail, out, err);
	*out = strdup(x->url);
	return *out ? 0 : err_nomem(err);
}

/* inquiry_place() - Where it is asked this time, who gets the authorization, and our certificate */
static int inquiry_place(struct inquiry *x, bool *is_home, bool *is_own, struct coffer_error *err)
{
	autofree char *first = NULL, *root = NULL;
	struct origin to = { 0 }, own = { 0 };
	int r = inquiry_own_url(x, &first, err);

	if (r == 0)
		r = endpoint_url(inquiry_endpoint(x), "", &root, err);
	if (r == 0)
		r = origin_parse(root, &own, err);
	/* An upload's URL comes from the registry and may be elsewhere. */
	x->home = own;
	if (r == 0 && x->is_token)
		r = origin_parse(first, &x->home, err);
	free(x->asked);
	x->asked = x->moved ? steal_ptr(x->moved) : steal_ptr(first);
	if (r == 0)
		r = origin_parse(x->asked, &to, err);
	if (r < 0)
		return r;
	*is_home = origin_is_equal(&to, &x->home);
	*is_own = origin_is_equal(&to, &own);
	return 0;
}

static unsigned inquiry_stall(const struct inquiry *x)
{
	unsigned stall = x->registry->how.stall ? x->registry->how.stall : REGISTRY_STALL;

	return x->is_slow ? stall * 10 : stall;
}

/* inquiry_start() - Ask */
static int inquiry_start(struct inquiry *x, struct coffer_error *err)
{
	struct endpoint *e = inquiry_endpoint(x);
	const char *headers[6] = { NULL };
	bool is_home = false, is_own = false;
	size_t n = 0;
	int r = x->ask ? x->ask(x, err) : 0;

	if (r == 0 && !x->is_token)
		r = token_renew(x->registry, e, err);
	if (r == 0)
		r = inquiry_place(x, &is_home, &is_own, err);
	if (r < 0)
		return r;
	if (x->accept)
		headers[n++] = x->accept;
	for (size_t i = 0; i < ARRAY_SIZE(x->header); i++)
		if (x->header[i][0])
			headers[n++] = x->header[i];
	if (is_home) {
		const char *who = x->is_token ? x->authorization : e->authorization;

		if (who)
			headers[n++] = who;
	}
	x->generation = e->generation;
	x->scheme = e->scheme;
	x->error = (struct coffer_error)COFFER_ERROR_INIT;
	x->is_ours = x->is_passing = false;
	buf_consume(&x->text, x->text.len);
	x->dropped = 0;
	x->call = (struct http_call){
		.method = x->method,
		.url = x->asked,
		.trust = &e->trust,
		.show_cert = is_own,
		.stall = inquiry_stall(x),
		.headers = headers,
		.body = x->body,
		.fd = x->fd,
		.from = x->from,
		.length = x->length,
		.data = inquiry_on_data,
		.sent = inquiry_on_sent,
		.arg = x,
	};
	r = http_start(x->registry->http, &x->call, err);
	if (r < 0)
		return r;
	x->call.headers = NULL; /* they have been copied */
	x->state = INQUIRY_RUNNING;
	return 0;
}

/* inquiry_words() - What the registry says about its refusal */
static void inquiry_words(const struct inquiry *x, char *out, size_t size)
{
	autotokener struct json_tokener *tok = json_tokener_new_ex(INQUIRY_DEPTH);
	autojson struct json_object *top = NULL;
	struct json_object *list = NULL, *message = NULL, *code = NULL, *first;

	out[0] = '\0';
	if (!tok || x->text.len == 0)
		return;
	top = json_tokener_parse_ex(tok, (const char *)buf_data(&x->text), (int)x->text.len);
	if (!json_object_object_get_ex(top, "errors", &list) ||
	    !json_object_is_type(list, json_type_array) ||
	    !(first = json_object_array_get_idx(list, 0)))
		return;
	json_object_object_get_ex(first, "code", &code);
	json_object_object_get_ex(first, "message", &message);
	snprintf(out, size, " (%.60s: %.200s)", code ? json_object_get_string(code) : "",
		 message ? json_object_get_string(message) : "");
}

int inquiry_refuse(const struct inquiry *x, struct coffer_error *err)
{
	static const struct {
		long from, to;
		enum coffer_error_kind kind;
		const char *words;
	} rows[] = {
		{ 401, 401, COFFER_ERR_INVALID_STATE, "access is denied: is a login needed?" },
		{ 403, 403, COFFER_ERR_INVALID_STATE, "access is denied" },
		{ 404, 404, COFFER_ERR_NOT_FOUND, "it is not there" },
		{ 405, 405, COFFER_ERR_UNSUPPORTED, "the registry does not do that" },
		{ 408, 408, COFFER_ERR_TIMEOUT, "the registry waited too long" },
		{ 429, 429, COFFER_ERR_INTERRUPTED, "the registry is asked too often" },
		{ 500, 599, COFFER_ERR_INTERRUPTED, "the registry has failed" },
		{ 0, 999, COFFER_ERR_INVALID_ARGUMENT, "an answer that does not fit" },
	};
	long status = x->call.status;
	char words[300], at[sizeof(x->home.host) + 8] = "";
	struct origin there;
	size_t i = 0;

	while (status < rows[i].from || status > rows[i].to)
		i++;
	inquiry_words(x, words, sizeof(words));
	if (origin_parse(x->asked, &there, NULL) == 0 && !origin_is_equal(&there, &x->home))
		snprintf(at, sizeof(at), " at %s", there.host);
	if (status == 429 && x->call.retry_after > 0)
		return err_set(err, rows[i].kind, 0, "%s; it says to come back in %u s%s%s",
			       rows[i].words, x->call.retry_after, at, words);
	return err_set(err, rows[i].kind, 0, "%s: status %ld%s%s", rows[i].words, status, at,
		       words);
}

/* inquiry_clean() - What others have said is shown on terminals: one line, nothing that moves a
 * cursor, be it a control character of ASCII or, in UTF-8, of the other set */
static void inquiry_clean(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}

/* inquiry_again() - After a pause, if it has not been tried too often; else @why stays the error */
static int inquiry_again(struct inquiry *x, const struct coffer_error *why,
			 struct coffer_error *err)
{
	usec_t pause = retry_next(&x->retry, x->call.retry_after);
	char text[700];

	if (pause == USEC_INFINITY) {
		if (err)
			*err = *why;
		return -why->err;
	}
	snprintf(text, sizeof(text), "%s: %.400s; again in %.1f s", x->what, why->message,
		 (double)pause / (double)USEC_PER_SEC);
	inquiry_clean(text);
	registry_tell(x->registry, COFFER_PROGRESS_RETRY, text, 0, 0);
	if (x->broken)
		x->broken(x);
	free(steal_ptr(x->moved));
	x->redirects = 0;
	x->due = deadline_in(pause);
	x->state = INQUIRY_WAITING;
	return 0;
}

/* inquiry_now() - Ask at once */
static int inquiry_now(struct inquiry *x)
{
	x->due = 0;
	x->state = INQUIRY_WAITING;
	return 0;
}

/* inquiry_redirect() - Follow, if it may */
static int inquiry_redirect(struct inquiry *x, const char *location, struct coffer_error *err)
{
	struct endpoint *e = inquiry_endpoint(x);
	struct origin from = { 0 }, to = { 0 };
	int r = 0;

	if (++x->redirects > INQUIRY_REDIRECTS)
		return err_invalid(err, "it leads from one place to the next without end");
	free(steal_ptr(x->moved));
	r = origin_resolve(x->asked, location, &x->moved, err);
	if (r == 0)
		r = origin_parse(x->asked, &from, err);
	if (r == 0)
		r = origin_parse(x->moved, &to, err);
	if (r < 0)
		return r;
	if (from.secure && !endpoint_is_safe(e, &to))
		return err_invalid(err, "it leads from HTTPS to plain HTTP on %s", to.host);
	return inquiry_now(x);
}

/* inquiry_authorize() - A 401 */
static int inquiry_authorize(struct inquiry *x, struct coffer_error *err)
{
	struct endpoint *e = inquiry_endpoint(x);
	int r;

	if (x->generation == e->generation) {
		if (++x->refusals > 1)
			return inquiry_refuse(x, err);
		r = token_answer(x->registry, e, &x->call, err);
		if (r < 0)
			return r;
	}
	return inquiry_now(x);
}

static bool inquiry_is_temporary(long status)
{
	static const short temporary[] = { 408, 429, 500, 502, 503, 504 };

	for (size_t i = 0; i < ARRAY_SIZE(temporary); i++)
		if (status == temporary[i])
			return true;
	return false;
}

/* inquiry_judge_status() - There is an answer */
static int inquiry_judge_status(struct inquiry *x, struct coffer_error *err)
{
	struct coffer_error why = COFFER_ERROR_INIT;
	const char *location = http_header(&x->call, "Location", 0);
	long status = x->call.status;
	bool is_read = strcmp(x->method, "GET") == 0 || strcmp(x->method, "HEAD") == 0;
	struct origin at;
	int r;

	if (status >= 300 && status < 400 && location && is_read)
		return inquiry_redirect(x, location, err);
	if (status == 401 && !x->is_token && origin_parse(x->asked, &at, NULL) == 0 &&
	    origin_is_equal(&at, &x->home))
		return inquiry_authorize(x, err);
	if (inquiry_is_temporary(status)) {
		inquiry_refuse(x, &why);
		return inquiry_again(x, &why, err);
	}
	x->refusals = 0;
	x->error = (struct coffer_error)COFFER_ERROR_INIT;
	r = x->answered ? x->answered(x, err) : INQUIRY_DONE;
	if (r < 0)
		return r;
	if (r == INQUIRY_AGAIN)
		return inquiry_again(x, &x->error, err);
	x->state = INQUIRY_ENDED;
	if (r == INQUIRY_DONE)
		return 0;
	free(steal_ptr(x->moved));
	x->redirects = 0;
	return inquiry_now(x);
}

/* inquiry_judge_failure() - There is none */
static int inquiry_judge_failure(struct inquiry *x, struct coffer_error *err)
{
	static const struct {
		const char *words;
		enum coffer_error_kind kind;
		bool again;
	} rows[] = {
		[HTTP_REFUSED] = { "cannot be reached", COFFER_ERR_INTERRUPTED, true },
		[HTTP_NOT_TLS] = { "TLS fails", COFFER_ERR_INTERRUPTED, false },
		[HTTP_DISTRUST] = { "it is not trusted", COFFER_ERR_INVALID_STATE, false },
		[HTTP_BROKEN] = { "the connection broke off", COFFER_ERR_INTERRUPTED, true },
		[HTTP_STOPPED] = { "an answer without end", COFFER_ERR_INVALID_ARGUMENT, false },
		[HTTP_IMPOSSIBLE] = { "it does not speak HTTP as it should",
				      COFFER_ERR_INVALID_ARGUMENT, false },
	};
	const struct endpoint *e = inquiry_endpoint(x);
	struct coffer_error why = COFFER_ERROR_INIT;
	enum http_end end = x->call.end;

	if (x->call.stalled)
		err_timeout(&why, "it stalls: %s", x->call.reason);
	else
		err_set(&why, rows[end].kind, 0, "%s: %s", rows[end].words, x->call.reason);
	if (e->plain_status && end == HTTP_NOT_TLS)
		err_wrap(&why, "plain HTTP was answered with status %ld", e->plain_status);
	/* Nobody there is seldom somebody a second later; and another endpoint can be asked. */
	if (end == HTTP_REFUSED)
		x->retry.tries += x->endpoint + 1 < x->registry->count && !x->pinned ? 100 : 1;
	if (rows[end].again)
		return inquiry_again(x, &why, err);
	if (err)
		*err = why;
	return -why.err;
}

/* inquiry_scheme() - Whether the other one of HTTP and HTTPS has to be tried now */
static bool inquiry_scheme(struct inquiry *x)
{
	struct endpoint *e = inquiry_endpoint(x);
	bool plain = strcmp(e->schemes[x->scheme], "http") == 0;
	const struct http_call *c = &x->call;

	if (x->is_token || e->scheme_known)
		return false;
	if (c->status != 0 && !(plain && c->status == 400)) {
		e->scheme_known = true;
		return false;
	}
	if (x->scheme != e->scheme)
		return true; /* another inquiry has seen it */
	if (c->end == HTTP_NOT_TLS && x->scheme == 1 && e->plain_status == 0) {
		/* It had not been TLS that the plain connection broke off for. */
		e->scheme = 0;
		e->scheme_known = true;
		return true;
	}
	if (e->scheme + 1 >= e->nschemes || c->end == HTTP_DISTRUST || c->stalled ||
	    (plain && c->end == HTTP_REFUSED))
		return false;
	e->plain_status = c->status;
	e->scheme++;
	return true;
}

/* inquiry_judge() - One has come to an end, of some kind */
static int inquiry_judge(struct inquiry *x, struct coffer_error *err)
{
	const struct http_call *c = &x->call;

	if (x->error.kind != COFFER_ERR_NONE) {
		if (x->is_passing)
			return inquiry_again(x, &x->error, err);
		if (err)
			*err = x->error;
		return -x->error.err;
	}
	if (inquiry_scheme(x))
		return inquiry_now(x);
	/* Who refuses an upload may do so before it has been sent. */
	if (c->end == HTTP_ANSWERED || (c->status >= 400 && c->end != HTTP_IMPOSSIBLE))
		return inquiry_judge_status(x, err);
	return inquiry_judge_failure(x, err);
}

/* inquiry_next_endpoint() - Whether somebody else can be asked, when that failed for good */
static bool inquiry_next_endpoint(struct inquiry *x, const struct coffer_error *why)
{
	char text[700];

	if (x->pinned || x->is_ours || x->endpoint + 1 >= x->registry->count ||
	    why->kind == COFFER_ERR_CANCELLED || why->err == ENOMEM)
		return false;
	snprintf(text, sizeof(text), "%s of %s: %.400s; asking the next", x->what,
		 inquiry_endpoint(x)->host, why->message);
	inquiry_clean(text);
	registry_tell(x->registry, COFFER_PROGRESS_RETRY, text, 0, 0);
	x->endpoint++;
	x->retry = (struct retry){ 0 };
	x->redirects = x->refusals = 0;
	free(steal_ptr(x->moved));
	if (x->broken)
		x->broken(x);
	return true;
}

/* inquiry_fail() - Try elsewhere, or give the error its context */
static int inquiry_fail(struct inquiry *x, const struct coffer_error *why, struct coffer_error *err)
{
	const struct endpoint *e = inquiry_endpoint(x);

	if (inquiry_next_endpoint(x, why))
		return inquiry_now(x);
	if (err) {
		*err = *why;
		inquiry_clean(err->message);
	}
	if (why->kind == COFFER_ERR_CANCELLED)
		return -why->err;
	if (x->is_token)
		return err_wrap(err, "%s", x->what);
	return err_wrap(err, "%s of %s%s%s", x->what, e->host, e->repository[0] ? "/" : "",
			e->repository);
}

/* inquiry_advance() - One that has ended or can be started */
static int inquiry_advance(struct inquiry *x, bool may_start, struct coffer_error *err)
{
	struct coffer_error why = COFFER_ERROR_INIT;
	int r = 0;

	if (x->state == INQUIRY_RUNNING && x->call.finished) {
		r = inquiry_judge(x, &why);
		http_end(&x->call);
	} else if (x->state == INQUIRY_WAITING && may_start && clock_now() >= x->due) {
		r = inquiry_start(x, &why);
	}
	return r < 0 ? inquiry_fail(x, &why, err) : 0;
}

/* inquiry_round() - Once over the list. @next: when one is due. Return: how many have not ended */
static int inquiry_round(struct inquiry *list, size_t count, unsigned parallel, usec_t *next,
			 struct coffer_error *err)
{
	unsigned running = 0;
	int left = 0;

	*next = USEC_INFINITY;
	for (size_t i = 0; i < count; i++)
		running += list[i].state == INQUIRY_RUNNING;
	for (size_t i = 0; i < count; i++) {
		struct inquiry *x = &list[i];
		bool was_running = x->state == INQUIRY_RUNNING;
		int r = inquiry_advance(x, running < parallel, err);

		if (r < 0)
			return r;
		running += (x->state == INQUIRY_RUNNING) - was_running;
		left += x->state != INQUIRY_ENDED;
		if (x->state == INQUIRY_WAITING && running < parallel && x->due < *next)
			*next = x->due;
	}
	return left;
}

int inquiry_run(struct registry *reg, struct inquiry *list, size_t count, unsigned parallel,
		struct coffer_error *err)
{
	usec_t next;
	int r;

	for (size_t i = 0; i < count; i++)
		list[i].registry = reg;
	while ((r = inquiry_round(list, count, parallel > 0 ? parallel : 1, &next, err)) > 0) {
		r = http_step(reg->http, next, err);
		if (r < 0)
			break;
	}
	for (size_t i = 0; i < count; i++) {
		if (list[i].state == INQUIRY_RUNNING)
			http_end(&list[i].call);
		list[i].state = INQUIRY_ENDED;
	}
	return r;
}

void inquiry_free(struct inquiry *x)
{
	free(x->url);
	free(x->asked);
	free(x->moved);
	buf_free(&x->text);
	x->url = x->asked = x->moved = NULL;
}
