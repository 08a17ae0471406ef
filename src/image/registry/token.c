/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/token.c - what a 401 asks for: a password, or a token for it
 *
 * Basic: user and password with each request from now on.  Bearer: the token
 * server that the challenge names is asked, with user and password (GET), with
 * an identity token (POST, OAuth 2), or by nobody in particular; the scope is
 * what this object was opened for, so that one token does for all of it, and
 * what the challenge says besides.  A password is sent over HTTPS or to this
 * machine itself, or where registries.json allows everything.  A token is asked
 * for again when its time is over, or the registry says so.
 *
 * Callers: inquiry.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/base64.h"
#include "image/registry/registry_internal.h"

#define TOKEN_ANSWER_MAX   ((size_t)256 << 10)
#define TOKEN_LENGTH_MAX   ((size_t)64 << 10)
#define TOKEN_QUESTION_MAX ((size_t)64 << 10)
#define TOKEN_DEPTH	   8
#define TOKEN_LIFE	   60 /* seconds, when nothing is said */
#define TOKEN_MARGIN	   5
#define TOKEN_LIFE_MAX	   86400

/* token_add_escaped() - For a query or a form */
static int token_add_escaped(struct buf *out, const char *text)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/,";
	int r = 0;

	for (; *text && r == 0; text++)
		r = strchr(plain, *text) ? buf_append(out, text, 1)
					 : buf_printf(out, "%%%02X", (unsigned char)*text);
	return r;
}

static int token_add_field(struct buf *out, const char *name, const char *value)
{
	int r = buf_printf(out, "%s=", name);

	if (r == 0)
		r = token_add_escaped(out, value);
	return r == 0 ? buf_append(out, "&", 1) : r;
}

static void token_wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* token_basic() - The header for user and password */
static int token_basic(const struct credentials *who, char **out, struct coffer_error *err)
{
	char *pair = NULL, *text = NULL;
	int n = asprintf(&pair, "%s:%s", who->user, who->password ? who->password : "");

	*out = NULL;
	if (n >= 0)
		text = base64_encode(pair, (size_t)n);
	if (!text || asprintf(out, "Authorization: Basic %s", text) < 0)
		*out = NULL;
	if (n >= 0)
		token_wipe(pair);
	token_wipe(text);
	return *out ? 0 : err_nomem(err);
}

/* token_keep() - @header is the authorization from now on; taken over */
static void token_keep(struct endpoint *e, char *header, usec_t expires)
{
	token_wipe(e->authorization);
	e->authorization = header;
	e->expires = expires;
	e->generation++;
}

/* token_add_scopes() - Fields of what we want to do, and of what the challenge says in addition */
static int token_add_scopes(const struct registry *r, const struct endpoint *e,
			    const struct auth_challenge *c, struct buf *out)
{
	char own[600];
	int bad = 0;

	snprintf(own, sizeof(own), "repository:%s:%s", e->repository,
		 r->how.push ? "pull,push" : "pull");
	if (e->repository[0])
		bad = token_add_field(out, "scope", own);
	/* What it asks for is mostly a part of that. */
	if (!bad && c->scope[0] && strncmp(c->scope, own, strlen(c->scope)) != 0)
		bad = token_add_field(out, "scope", c->scope);
	return bad;
}

static int token_add_mounts(const struct registry *r, struct buf *out)
{
	char scope[600];
	int bad = 0;

	for (size_t i = 0; i < r->nmounts && !bad; i++) {
		snprintf(scope, sizeof(scope), "repository:%s:pull", r->mounts[i]);
		bad = token_add_field(out, "scope", scope);
	}
	return bad;
}

/* token_take() - The server's answer */
static int token_take(struct endpoint *e, const struct buf *answer, struct coffer_error *err)
{
	autotokener struct json_tokener *tok = json_tokener_new_ex(TOKEN_DEPTH);
	autojson struct json_object *top = NULL;
	struct json_object *token = NULL, *life = NULL;
	int64_t seconds = TOKEN_LIFE;
	char *header = NULL;
	const char *text;
	size_t n;

	if (!tok)
		return err_nomem(err);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (answer->len > 0)
		top = json_tokener_parse_ex(tok, (const char *)buf_data(answer), (int)answer->len);
	if (!json_object_is_type(top, json_type_object))
		return err_invalid(err, "its answer is not a JSON object");
	if (!json_object_object_get_ex(top, "token", &token))
		json_object_object_get_ex(top, "access_token", &token);
	text = json_object_is_type(token, json_type_string) ? json_object_get_string(token) : "";
	n = strlen(text);
	if (n == 0)
		return err_invalid(err, "there is no token in its answer");
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f || n > TOKEN_LENGTH_MAX)
			return err_invalid(err, "its token is not one that can be sent");
	if (json_object_object_get_ex(top, "expires_in", &life))
		seconds = json_object_get_int64(life);
	if (seconds < TOKEN_LIFE || seconds > TOKEN_LIFE_MAX)
		seconds = seconds < TOKEN_LIFE ? TOKEN_LIFE : TOKEN_LIFE_MAX;
	if (asprintf(&header, "Authorization: Bearer %s", text) < 0)
		return err_nomem(err);
	token_keep(e, header, deadline_in((usec_t)(seconds - TOKEN_MARGIN) * USEC_PER_SEC));
	return 0;
}

static int token_answered(struct inquiry *x, struct coffer_error *err)
{
	if (x->call.status != 200)
		return inquiry_refuse(x, err);
	return token_take(x->owner, &x->text, err);
}

/* token_ask() - @fields: for the query; @x has the rest */
static int token_ask(struct registry *r, struct endpoint *e, const char *realm, struct inquiry *x,
		     const struct buf *fields, struct coffer_error *err)
{
	bool is_post = e->who.token != NULL;
	int n = fields->len > 0 ? (int)fields->len - 1 : 0; /* without the last "&" */

	snprintf(x->what, sizeof(x->what), "token server %.150s", realm);
	x->method = is_post ? "POST" : "GET";
	x->is_token = x->pinned = true;
	x->owner = e;
	x->endpoint = (size_t)(e - r->endpoints);
	x->answered = token_answered;
	if (is_post) {
		snprintf(x->header[0], sizeof(x->header[0]),
			 "Content-Type: application/x-www-form-urlencoded");
		x->body = buf_data(fields);
		x->length = (uint64_t)n;
		x->url = strdup(realm);
	} else if (asprintf(&x->url, "%s%c%.*s", realm, strchr(realm, '?') ? '&' : '?', n,
			    n > 0 ? (const char *)buf_data(fields) : "") < 0) {
		x->url = NULL;
	}
	return x->url ? inquiry_run(r, x, 1, 1, err) : err_nomem(err);
}

/* token_fetch() - As a Bearer challenge wants it */
static int token_fetch(struct registry *r, struct endpoint *e, const struct auth_challenge *c,
		       struct coffer_error *err)
{
	autoinquiry struct inquiry x = INQUIRY_INIT(TOKEN_ANSWER_MAX);
	autobuf struct buf fields = BUF_INIT(TOKEN_QUESTION_MAX);
	char *basic = NULL;
	bool known = e->who.user || e->who.token;
	struct origin to;
	int bad = 0, ret = origin_parse(c->realm, &to, err);

	if (ret == 0 && known && !endpoint_is_safe(e, &to))
		ret = err_state(err, "it would read the password from plain HTTP");
	if (ret < 0)
		return err_wrap(err, "token server %.150s", c->realm);
	if (c->service[0])
		bad = token_add_field(&fields, "service", c->service);
	if (!bad && e->who.token) {
		bad |= token_add_field(&fields, "grant_type", "refresh_token");
		bad |= token_add_field(&fields, "client_id", "coffer");
		bad |= token_add_field(&fields, "refresh_token", e->who.token);
	} else if (!bad && e->who.user) {
		bad |= token_add_field(&fields, "account", e->who.user);
		ret = token_basic(&e->who, &basic, err);
	}
	if (!bad)
		bad = token_add_scopes(r, e, c, &fields);
	if (!bad)
		bad = token_add_mounts(r, &fields);
	if (bad)
		ret = err_sysn(err, bad, "a token's scope");
	x.authorization = basic;
	if (ret == 0)
		ret = token_ask(r, e, c->realm, &x, &fields, err);
	if (fields.cap > 0)
		explicit_bzero(fields.mem, fields.cap);
	token_wipe(basic);
	return ret;
}

/* token_challenge() - The best of the answer's challenges */
static void token_challenge(const struct http_call *call, struct auth_challenge *out)
{
	const char *header;

	*out = (struct auth_challenge){ 0 };
	for (size_t i = 0; i < 16 && (header = http_header(call, "WWW-Authenticate", i)); i++)
		(void)auth_parse(header, out); /* what is malformed is none */
}

int token_answer(struct registry *r, struct endpoint *e, const struct http_call *call,
		 struct coffer_error *err)
{
	struct auth_challenge c;
	char *basic = NULL;
	struct origin at;
	int ret = 0;

	token_challenge(call, &c);
	if (c.scheme == AUTH_NONE)
		return err_unsupported(err, "it wants to be authorized in a way that is not known");
	if (!e->who_known)
		ret = credentials_find(r->settings->auth, e->name, &e->who, err);
	if (ret < 0)
		return err_wrap(err, "who we are to %s", e->name);
	e->who_known = true;
	ret = origin_parse(call->url, &at, err);
	if (ret < 0)
		return ret;
	/* Anybody may have written what came over plain HTTP, also which server to send it to. */
	if ((e->who.user || e->who.token) && !endpoint_is_safe(e, &at))
		return err_state(err, "it wants a password over plain HTTP");
	if (c.scheme == AUTH_BEARER) {
		e->challenge = c;
		return token_fetch(r, e, &e->challenge, err);
	}
	if (!e->who.user)
		return err_state(err, "it wants a user and a password: log in first");
	ret = token_basic(&e->who, &basic, err);
	if (ret == 0)
		token_keep(e, basic, USEC_INFINITY);
	return ret;
}

int token_renew(struct registry *r, struct endpoint *e, struct coffer_error *err)
{
	return deadline_left(e->expires) > 0 ? 0 : token_fetch(r, e, &e->challenge, err);
}
