/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/trust.h - whom to believe that it is a registry, and how to show who we are
 *
 * From registries.json, and from certs.d directories as docker and podman have
 * them: DIR/HOST[:PORT]/{*.crt (authorities), NAME.cert and NAME.key (us)}.
 */
#ifndef IMAGE_REGISTRY_TRUST_H
#define IMAGE_REGISTRY_TRUST_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "image/settings.h"

struct trust {
	bool insecure;	  /* nothing is verified */
	struct buf ca;	  /* PEM, beside the system's; empty: none */
	char *cert, *key; /* owned; files, both or neither */
};

/* trust_load() - @host: as people write it, with its port */
int trust_load(const struct settings *settings, const char *host, struct trust *out,
	       struct coffer_error *err);
void trust_free(struct trust *t);
/* trust_is_given() - Somebody took the trouble to say how TLS is done with it */
static inline bool trust_is_given(const struct trust *t)
{
	return t->ca.len > 0 || t->cert;
}

#endif /* IMAGE_REGISTRY_TRUST_H */
