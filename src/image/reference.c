/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/reference.c - names of images, as docker writes them
 *
 *	text -> [registry/]rest -> path[:tag][@digest]
 *
 * Small parsers of the grammar's words, each of which says how many bytes it
 * takes; 0 is "not one".  Whether there is such an image is asked elsewhere.
 * Callers: the rest of image/.
 */
#include "image/reference.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#define REFERENCE_LIBRARY "library/"
#define REFERENCE_LOWER	  "abcdefghijklmnopqrstuvwxyz0123456789"
#define REFERENCE_ALNUM	  REFERENCE_LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* A text without its end. */
struct reference_part {
	const char *s;
	size_t n;
};

static bool part_is(struct reference_part p, const char *text)
{
	return p.n == strlen(text) && memcmp(p.s, text, p.n) == 0;
}

static bool part_has(struct reference_part p, const char *chars)
{
	return strcspn(p.s, chars) < p.n;
}

static bool part_has_upper(struct reference_part p)
{
	return part_has(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* reference_host_length() - A name or IPv4 address: letters, digits, hyphens within, dots between
 */
static size_t reference_host_length(const char *s)
{
	size_t n = 0, part;

	for (;; n++) {
		part = strspn(s + n, REFERENCE_ALNUM "-");
		if (part == 0 || s[n] == '-' || s[n + part - 1] == '-')
			return 0;
		n += part;
		if (s[n] != '.')
			return n;
	}
}

/* reference_v6_length() - "[::1]" */
static size_t reference_v6_length(const char *s)
{
	size_t n = strspn(s + 1, "0123456789abcdefABCDEF:.");
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (n >= sizeof(text) || s[n + 1] != ']')
		return 0;
	memcpy(text, s + 1, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &addr) == 1 ? n + 2 : 0;
}

/* reference_port_length() - ":5000" */
static size_t reference_port_length(const char *s)
{
	size_t n = strspn(s + 1, "0123456789");
	long port = strtol(s + 1, NULL, 10);

	return n > 0 && n <= 5 && port > 0 && port < 65536 ? n + 1 : 0;
}

bool reference_is_registry(const char *s)
{
	size_t n = *s == '[' ? reference_v6_length(s) : reference_host_length(s);

	if (n > 0 && s[n] == ':') {
		size_t port = reference_port_length(s + n);

		n = port > 0 ? n + port : 0;
	}
	return n > 0 && s[n] == '\0';
}

/* reference_separator_length() - Between letters of a path's component: . _ __ -... */
static size_t reference_separator_length(const char *s)
{
	if (*s == '-')
		return strspn(s, "-");
	if (*s == '_')
		return s[1] == '_' ? 2 : 1;
	return *s == '.';
}

static bool reference_is_path(const char *s)
{
	for (;;) {
		size_t n = strspn(s, REFERENCE_LOWER);

		if (n == 0)
			return false;
		s += n;
		if (*s == '\0')
			return true;
		n = *s == '/' ? 1 : reference_separator_length(s);
		if (n == 0)
			return false;
		s += n;
	}
}

static bool reference_is_tag(const char *s)
{
	return strlen(s) <= REFERENCE_TAG_MAX && (*s == '_' || isalnum((unsigned char)*s)) &&
	       s[strspn(s, REFERENCE_ALNUM "_.-")] == '\0';
}

/* reference_looks_like_registry() - What stands before the first slash is no part of the path */
static bool reference_looks_like_registry(struct reference_part p)
{
	return part_has(p, ".:") || part_is(p, "localhost") || part_has_upper(p);
}

/* reference_take() - @part into a field of @size bytes */
static int reference_take(struct reference_part part, const char *what, char *dst, size_t size,
			  struct coffer_error *err)
{
	if (part.n >= size)
		return err_invalid(err, "%s: longer than %zu bytes", what, size - 1);
	memcpy(dst, part.s, part.n);
	dst[part.n] = '\0';
	return 0;
}

/* reference_split_registry() - Registry and what follows it; short names get their defaults */
static int reference_split_registry(const char **text, const char *registry, struct reference *out,
				    bool *named, struct coffer_error *err)
{
	struct reference_part first = { *text, strcspn(*text, "/") };

	*named = (*text)[first.n] == '/' && reference_looks_like_registry(first);
	if (!*named)
		first = (struct reference_part){ registry, strlen(registry) };
	else
		*text += first.n + 1;
	/* Where docker kept its images once, and still says so in its files. */
	if (part_is(first, "index.docker.io"))
		first = (struct reference_part){ REFERENCE_DEFAULT_REGISTRY,
						 strlen(REFERENCE_DEFAULT_REGISTRY) };
	return reference_take(first, "registry", out->registry, sizeof(out->registry), err);
}

/* reference_split_rest() - "path[:tag][@digest]" */
static int reference_split_rest(const char *text, struct reference *out, struct coffer_error *err)
{
	bool library = strcmp(out->registry, REFERENCE_DEFAULT_REGISTRY) == 0;
	struct reference_part path = { text, strcspn(text, ":@") }, tag;
	int r;

	if (part_has(path, "/"))
		library = false;
	if (library && path.n < REFERENCE_NAME_MAX - strlen(REFERENCE_LIBRARY)) {
		snprintf(out->path, sizeof(out->path), REFERENCE_LIBRARY "%.*s", (int)path.n, text);
	} else {
		r = reference_take(path, "path", out->path, sizeof(out->path), err);
		if (r < 0)
			return r;
	}
	text += path.n;
	if (*text == ':') {
		tag = (struct reference_part){ text + 1, strcspn(text + 1, "@") };
		r = reference_take(tag, "tag", out->tag, sizeof(out->tag), err);
		if (r < 0)
			return r;
		if (!reference_is_tag(out->tag))
			return err_invalid(err, "tag: only letters, digits and _ . - inside");
		text += 1 + tag.n;
	}
	if (*text == '@')
		return digest_parse(text + 1, &out->digest, err);
	if (out->tag[0] == '\0')
		memcpy(out->tag, REFERENCE_DEFAULT_TAG, sizeof(REFERENCE_DEFAULT_TAG));
	return 0;
}

static int reference_check(const struct reference *ref, bool named, struct coffer_error *err)
{
	const char *name = ref->path;

	if (!reference_is_registry(ref->registry))
		return err_invalid(err, "registry: not a host name or address with perhaps a port");
	if (strlen(ref->registry) + 1 + strlen(ref->path) > REFERENCE_NAME_MAX)
		return err_invalid(err, "longer than %d bytes", REFERENCE_NAME_MAX);
	if (part_has_upper((struct reference_part){ name, strlen(name) }))
		return err_invalid(err, "path: upper-case letters are for tags only");
	if (!reference_is_path(name))
		return err_invalid(err, "path: only a-z, 0-9, and single . _ - between them");
	/* Else nobody could tell it from an image's id. */
	if (strncmp(name, REFERENCE_LIBRARY, strlen(REFERENCE_LIBRARY)) == 0)
		name += strlen(REFERENCE_LIBRARY);
	if (!named && strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64)
		return err_invalid(err, "path: 64 hexadecimal digits are an id, not a name");
	return 0;
}

static int reference_parse_text(const char *text, const char *registry, struct reference *out,
				struct coffer_error *err)
{
	bool named;
	int r;

	if (*text == '\0')
		return err_invalid(err, "empty");
	r = reference_split_registry(&text, registry, out, &named, err);
	if (r == 0)
		r = reference_split_rest(text, out, err);
	if (r == 0)
		r = reference_check(out, named, err);
	return r;
}

int reference_parse(const char *text, const char *registry, struct reference *out,
		    struct coffer_error *err)
{
	char shown[64];
	size_t n;
	int r;

	*out = (struct reference){ 0 };
	r = reference_parse_text(text, registry ? registry : REFERENCE_DEFAULT_REGISTRY, out, err);
	if (r == 0)
		return 0;
	for (n = 0; n < sizeof(shown) - 1 && text[n]; n++)
		shown[n] = isprint((unsigned char)text[n]) ? text[n] : '?';
	shown[n] = '\0';
	*out = (struct reference){ 0 };
	return err_wrap(err, "image name \"%s%s\"", shown, text[n] ? "..." : "");
}

static void reference_format(const struct reference *ref, const char *registry, const char *path,
			     char out[REFERENCE_TEXT_MAX])
{
	snprintf(out, REFERENCE_TEXT_MAX, "%s%s%s%s%s%s%s", registry, *registry ? "/" : "", path,
		 ref->tag[0] ? ":" : "", ref->tag, digest_is_empty(&ref->digest) ? "" : "@",
		 ref->digest.text);
}

void reference_canonical(const struct reference *ref, char out[REFERENCE_TEXT_MAX])
{
	reference_format(ref, ref->registry, ref->path, out);
}

void reference_familiar(const struct reference *ref, char out[REFERENCE_TEXT_MAX])
{
	const char *path = ref->path;
	struct reference_part first = { path, strcspn(path, "/") };
	size_t library = strlen(REFERENCE_LIBRARY);

	/* What would be taken for a registry has to stay behind the real one. */
	if (strcmp(ref->registry, REFERENCE_DEFAULT_REGISTRY) != 0 ||
	    (path[first.n] == '/' && reference_looks_like_registry(first))) {
		reference_canonical(ref, out);
		return;
	}
	if (strncmp(path, REFERENCE_LIBRARY, library) == 0 && !strchr(path + library, '/'))
		path += library;
	reference_format(ref, "", path, out);
}
