/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/login.c - passwords for registries, asked about and kept
 */
#include <stdint.h>
#include <string.h>

#include "image/credentials.h"
#include "image/images.h"
#include "image/registry/registry.h"

#define LOGIN_HUB_INDEX "index.docker.io" /* what docker calls its own registry there */

/* "https://index.docker.io/v1/" and "docker.io" are the same. @out: malloc'd */
static int login_registry(struct coffer_images *images, const char *registry, char **out,
			  struct coffer_error *err)
{
	const char *host = registry && *registry ? registry : images->settings.default_registry;
	const char *scheme;
	size_t n;

	if (!host)
		host = REFERENCE_DEFAULT_REGISTRY;
	scheme = strstr(host, "://");
	if (scheme)
		host = scheme + 3;
	n = strcspn(host, "/");
	if (n == strlen(LOGIN_HUB_INDEX) && strncmp(host, LOGIN_HUB_INDEX, n) == 0) {
		host = REFERENCE_DEFAULT_REGISTRY;
		n = strlen(host);
	}
	if (n == 0 || strcspn(host, " \t\n@?#") < n)
		return err_invalid(err, "registry %s: not a host's name", registry);
	*out = strndup(host, n);
	return *out ? 0 : err_nomem(err);
}

int coffer_images_login(struct coffer_images *images, const char *registry, const char *user,
			const char *password, struct coffer_error *err)
{
	/* Only looked at. */
	const struct credentials c = {
		.user = (char *)(uintptr_t)user,
		.password = (char *)(uintptr_t)password,
	};
	autofree char *host = NULL;
	int r = login_registry(images, registry, &host, err);

	if (r == 0)
		r = registry_ping(host, &images->settings, user, password, err);
	return r < 0 ? r : credentials_keep(images->settings.auth, host, &c, err);
}

int coffer_images_logout(struct coffer_images *images, const char *registry,
			 struct coffer_error *err)
{
	autofree char *host = NULL;
	int r = login_registry(images, registry, &host, err);

	return r < 0 ? r : credentials_forget(images->settings.auth, host, err);
}
