/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/digest.c - names of content by its hash, and computing them
 *
 * libcrypto does the work, which is several times as fast as what is small
 * enough to carry along.  It is loaded when the first hash is computed: being
 * linked to it costs every command milliseconds at its start.  Callers: the
 * rest of image/.
 */
#include "image/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>

#include "base/symbols.h"

#define DIGEST_LIBRARY	"libcrypto.so.3"
#define DIGEST_SIZE_MAX 64

static struct {
	EVP_MD_CTX *(*ctx_new)(void);
	void (*ctx_free)(EVP_MD_CTX *ctx);
	int (*init)(EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *impl);
	int (*update)(EVP_MD_CTX *ctx, const void *data, size_t n);
	int (*final)(EVP_MD_CTX *ctx, unsigned char *md, unsigned int *size);
	const EVP_MD *(*sha256)(void);
	const EVP_MD *(*sha512)(void);
} digest_lib;

static const struct {
	const char *name;
	size_t size;
	const EVP_MD *(**type)(void);
} digest_algorithms[] = {
	{ "sha256", 32, &digest_lib.sha256 },
	{ "sha512", 64, &digest_lib.sha512 },
};

struct hasher {
	EVP_MD_CTX *ctx;
	size_t algorithm;
	bool failed;
};

static pthread_once_t digest_once = PTHREAD_ONCE_INIT;
static struct coffer_error digest_load_error; /* written once */
static int digest_load_result;		      /* likewise */

static void digest_load(void)
{
	static const struct symbol symbols[] = {
		{ "EVP_MD_CTX_new", &digest_lib.ctx_new },
		{ "EVP_MD_CTX_free", &digest_lib.ctx_free },
		{ "EVP_DigestInit_ex", &digest_lib.init },
		{ "EVP_DigestUpdate", &digest_lib.update },
		{ "EVP_DigestFinal_ex", &digest_lib.final },
		{ "EVP_sha256", &digest_lib.sha256 },
		{ "EVP_sha512", &digest_lib.sha512 },
	};

	digest_load_result = symbols_load(DIGEST_LIBRARY, symbols, ARRAY_SIZE(symbols),
					  &digest_load_error);
}

/* digest_algorithm_find() - The row that @text begins with, before a colon; -1: none */
static int digest_algorithm_find(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(digest_algorithms); i++) {
		size_t n = strlen(digest_algorithms[i].name);

		if (strncmp(text, digest_algorithms[i].name, n) == 0 && text[n] == ':')
			return (int)i;
	}
	return -1;
}

/* digest_algorithm_is_word() - Such as "sha384" or "sha256+b64" (image-spec's grammar) */
static bool digest_algorithm_is_word(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+._-");

	return n > 0 && n < 32 && text[n] == ':';
}

int digest_parse(const char *text, struct digest *out, struct coffer_error *err)
{
	int i = digest_algorithm_find(text);
	const char *hex = strchr(text, ':');
	size_t n;

	*out = (struct digest){ 0 };
	if (i < 0 && digest_algorithm_is_word(text))
		return err_unsupported(err, "digest: the algorithm %.*s", (int)(hex - text), text);
	if (i < 0)
		return err_invalid(err, "not a digest, which is as sha256:0123...");
	hex++;
	n = strspn(hex, "0123456789abcdef");
	if (hex[n] != '\0' || n != digest_algorithms[i].size * 2)
		return err_invalid(err, "digest: not %zu digits in lower case after %s:",
				   digest_algorithms[i].size * 2, digest_algorithms[i].name);
	memcpy(out->text, text, strlen(text) + 1);
	return 0;
}

const char *digest_hex(const struct digest *d)
{
	const char *colon = strchr(d->text, ':');

	return colon ? colon + 1 : d->text;
}

const char *digest_algorithm(const struct digest *d)
{
	int i = digest_algorithm_find(d->text);

	return i < 0 ? "" : digest_algorithms[i].name;
}

int hasher_new(const struct digest *like, struct hasher **out, struct coffer_error *err)
{
	int algorithm = like ? digest_algorithm_find(like->text) : 0;
	struct hasher *h;

	*out = NULL;
	if (algorithm < 0)
		return err_invalid(err, "digest: none to take the algorithm of");
	pthread_once(&digest_once, digest_load);
	if (digest_load_result < 0)
		return err_unsupported(err, "load %s: %s", DIGEST_LIBRARY,
				       digest_load_error.message);
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_nomem(err);
	h->algorithm = (size_t)algorithm;
	h->ctx = digest_lib.ctx_new();
	if (!h->ctx || digest_lib.init(h->ctx, (*digest_algorithms[algorithm].type)(), NULL) != 1) {
		hasher_free(h);
		return err_internal(err, "%s: %s cannot be begun", DIGEST_LIBRARY,
				    digest_algorithms[algorithm].name);
	}
	*out = h;
	return 0;
}

void hasher_update(struct hasher *h, const void *data, size_t n)
{
	if (n > 0 && digest_lib.update(h->ctx, data, n) != 1)
		h->failed = true;
}

int hasher_end(struct hasher *h, struct digest *out, struct coffer_error *err)
{
	const char *name = digest_algorithms[h->algorithm].name;
	unsigned char md[DIGEST_SIZE_MAX];
	unsigned int size = 0;
	size_t n;

	*out = (struct digest){ 0 };
	if (digest_lib.final(h->ctx, md, &size) != 1 || h->failed ||
	    size != digest_algorithms[h->algorithm].size)
		return err_internal(err, "%s: %s failed", DIGEST_LIBRARY, name);
	n = (size_t)snprintf(out->text, sizeof(out->text), "%s:", name);
	for (unsigned int i = 0; i < size; i++, n += 2)
		snprintf(out->text + n, sizeof(out->text) - n, "%02x", md[i]);
	return 0;
}

void hasher_free(struct hasher *h)
{
	if (!h)
		return;
	if (h->ctx)
		digest_lib.ctx_free(h->ctx);
	free(h);
}

int digest_of(const void *data, size_t n, struct digest *out, struct coffer_error *err)
{
	CLEANUP(hasher_freep) struct hasher *h = NULL;
	int r = hasher_new(NULL, &h, err);

	if (r < 0)
		return r;
	hasher_update(h, data, n);
	return hasher_end(h, out, err);
}
