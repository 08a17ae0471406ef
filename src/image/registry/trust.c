/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/trust.c - authorities and certificates of one registry
 *
 * Authorities are read into memory; certificates and keys stay files, since
 * libcurl's TLS library asks for their passwords itself.  What registries.json
 * names comes first; of the directories, the first that has a certificate.
 * Callers: endpoint.c.
 */
#include "image/registry/trust.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

#define TRUST_CA_MAX ((size_t)4 << 20)

static int trust_add_ca(struct trust *t, const char *path, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r = io_read_file(AT_FDCWD, path, TRUST_CA_MAX, &text, &len, err);

	if (r < 0)
		return err_wrap(err, "an authority's certificate");
	r = buf_append(&t->ca, text, len);
	if (r == 0)
		r = buf_append(&t->ca, "\n", 1);
	return r < 0 ? err_sysn(err, r, "certificates of authorities up to %s", path) : 0;
}

static bool trust_has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return n > k && strcmp(name + n - k, suffix) == 0;
}

/* trust_set_cert() - @cert with the key that has the same name */
static int trust_set_cert(struct trust *t, const char *cert, struct coffer_error *err)
{
	size_t stem = strlen(cert) - strlen(".cert");
	autofree char *key = NULL;

	if (asprintf(&key, "%.*s.key", (int)stem, cert) < 0)
		return err_nomem(err);
	if (access(key, F_OK) < 0)
		return err_sys(err, "the key of %s: %s", cert, key);
	t->cert = strdup(cert);
	t->key = steal_ptr(key);
	return t->cert ? 0 : err_nomem(err);
}

/* trust_add_dir() - What there is below @base for @host; none is fine */
static int trust_add_dir(struct trust *t, const char *base, const char *host,
			 struct coffer_error *err)
{
	autofree char *path = path_join(base, host);
	autoclosedir DIR *dir = path ? opendir(path) : NULL;
	const struct dirent *e;
	int r = 0;

	if (!path)
		return err_nomem(err);
	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(err, "open %s", path);
	while (r == 0 && (e = readdir(dir))) {
		autofree char *file = path_join(path, e->d_name);

		if (!file)
			return err_nomem(err);
		if (trust_has_suffix(e->d_name, ".crt"))
			r = trust_add_ca(t, file, err);
		else if (trust_has_suffix(e->d_name, ".cert") && !t->cert)
			r = trust_set_cert(t, file, err);
	}
	return r;
}

static int trust_add_dirs(struct trust *t, const char *host, struct coffer_error *err)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	autofree char *own = NULL;
	const char *bases[] = { NULL, "/etc/containers/certs.d", "/etc/docker/certs.d" };
	int r = 0;

	if (xdg && xdg[0] == '/')
		own = path_join(xdg, "containers/certs.d");
	else if (home && home[0] == '/')
		own = path_join(home, ".config/containers/certs.d");
	bases[0] = own;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(bases); i++)
		if (bases[i])
			r = trust_add_dir(t, bases[i], host, err);
	return r;
}

int trust_load(const struct settings *settings, const char *host, struct trust *out,
	       struct coffer_error *err)
{
	const struct settings_registry *said = settings_registry(settings, host);
	int r = 0;

	*out = (struct trust){ .insecure = said->insecure, .ca = BUF_INIT(TRUST_CA_MAX) };
	if (said->cert) {
		out->cert = strdup(said->cert);
		out->key = strdup(said->key ? said->key : said->cert);
		if (!out->cert || !out->key)
			r = err_nomem(err);
	}
	if (r == 0 && said->ca)
		r = trust_add_ca(out, said->ca, err);
	if (r == 0)
		r = trust_add_dirs(out, host, err);
	if (r < 0)
		trust_free(out);
	return r;
}

void trust_free(struct trust *t)
{
	buf_free(&t->ca);
	free(t->cert);
	free(t->key);
	*t = (struct trust){ 0 };
}
