/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/settings.h - registries.json: which registries there are, and how to talk to them
 *
 *	{ "default": "docker.io",
 *	  "registries": { "docker.io": { "mirrors": ["https://mirror.example:5000/prefix"] },
 *	                  "localhost:5000": { "insecure": true },
 *	                  "r.example": { "ca": "/path.pem", "cert": "...", "key": "..." } },
 *	  "limits": { "entries": 1000000, "bytes": "64g", "ratio": 1000, "name": 4096 } }
 *
 * Beside it, as docker has them: /etc/docker/certs.d/HOST/{*.crt,*.cert,*.key},
 * $XDG_CONFIG_HOME/containers/certs.d and /etc/containers/certs.d likewise.
 * Registries on a loopback address may be plain HTTP without being named.
 */
#ifndef IMAGE_SETTINGS_H
#define IMAGE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct settings_registry {
	char *name;	  /* owned, as all here */
	char **mirrors;	  /* URLs, asked first; NULL-terminated or NULL */
	bool insecure;	  /* plain HTTP will do, and certificates are not verified */
	char *ca, *cert, *key; /* PEM files, or NULL */
};

/* How much a layer may unpack to. */
struct settings_limits {
	uint64_t entries; /* of one image */
	uint64_t bytes;	  /* of files, holes included, of one image */
	uint32_t ratio;	  /* unpacked to packed, beyond the first MiB */
	uint32_t name;	  /* bytes of a path */
};
#define SETTINGS_LIMITS_DEFAULT                                                                    \
	{                                                                                          \
		.entries = 2000000, .bytes = UINT64_C(256) << 30, .ratio = 1100, .name = 4096      \
	}

struct settings {
	char *default_registry;
	struct settings_registry *registries;
	size_t nregistries;
	struct settings_limits limits;
	char *auth; /* docker's config.json */
};

/* settings_load() - @path, @auth: as in coffer_images_config, NULL: the default places */
int settings_load(const char *path, const char *auth, struct settings *out,
		  struct coffer_error *err);
int settings_parse(const char *text, size_t len, struct settings *out, struct coffer_error *err);
void settings_free(struct settings *s);
/* settings_registry() - What is said of @host; one without settings if nothing. Borrowed */
const struct settings_registry *settings_registry(const struct settings *s, const char *host);

#endif /* IMAGE_SETTINGS_H */
