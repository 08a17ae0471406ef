/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/trees.c - what a document names of the host, as trees of a sentry
 *
 *	root.path         /run/container/<id>/rootfs
 *	source of a bind  /run/virtiofs/<tag>, a single file /run/virtiofs/<tag>/<name>
 *
 * Devices and sockets of the host are refused: there is no way from the sentry to them.
 *
 * Callers: init.c.
 */
#include "oci/inside/trees.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TREES_SHARES "/run/virtiofs"

/* Return: descriptor that lives as long as @trees, or negative errno */
static int trees_open(struct trees *trees, const char *path, struct coffer_error *err)
{
	int fd;

	if (trees->nfds == ARRAY_SIZE(trees->fds))
		return err_invalid(err, "more than %d directories and files of the host",
				   SANDBOX_SHARES_MAX);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	trees->fds[trees->nfds++] = fd;
	return fd;
}

static bool trees_has(const struct oci_mount *m, const char *word, const char *other)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (strcmp(m->options.v[i], word) == 0 || strcmp(m->options.v[i], other) == 0)
			return true;
	return false;
}

/* There are no more of them than descriptors. */
static void trees_note(struct trees *trees, const struct oci_mount *m, int fd, const char *file,
		       bool read_only)
{
	struct trees_bind *b = &trees->binds[trees->nbinds++];

	*b = (struct trees_bind){ .fd = fd, .destination = m->destination,
				  .read_only = read_only };
	snprintf(b->file, sizeof(b->file), "%s", file);
}

static int trees_directory(struct trees *trees, struct oci_mount *m, const char *path,
			   struct sandbox_config *config, struct coffer_error *err)
{
	char at[sizeof(TREES_SHARES) + SANDBOX_TAG_MAX + 2];
	int fd = trees_open(trees, path, err), r;
	const char *tag;

	if (fd < 0)
		return fd;
	trees_note(trees, m, fd, "", trees_has(m, "ro", "rro"));
	r = sandbox_config_share(config, fd, trees_has(m, "ro", "rro"), &tag, err);
	if (r < 0)
		return r;
	snprintf(at, sizeof(at), TREES_SHARES "/%s", tag);
	return oci_str_set(&m->source, at, err);
}

static int trees_file(struct trees *trees, struct oci_mount *m, char *path,
		      struct sandbox_config *config, struct coffer_error *err)
{
	char at[sizeof(TREES_SHARES) + SANDBOX_TAG_MAX + 258], *name = strrchr(path, '/');
	const char *tag;
	int fd, r;

	*name++ = '\0';
	fd = trees_open(trees, *path ? path : "/", err);
	if (fd < 0)
		return fd;
	trees_note(trees, m, fd, name, trees_has(m, "ro", "rro"));
	r = sandbox_config_share_file(config, fd, name, trees_has(m, "ro", "rro"), &tag, err);
	if (r < 0)
		return r;
	snprintf(at, sizeof(at), TREES_SHARES "/%s/%s", tag, name);
	return oci_str_set(&m->source, at, err);
}

static int trees_bind(struct trees *trees, struct oci_mount *m, struct sandbox_config *config,
		      struct coffer_error *err)
{
	autofree char *path = realpath(m->source, NULL);
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return err_sys(err, "%s", m->source);
	if (S_ISDIR(st.st_mode))
		return trees_directory(trees, m, path, config, err);
	if (S_ISREG(st.st_mode))
		return trees_file(trees, m, path, config, err);
	return err_unsupported(err, "%s: a device, socket or pipe of the host, in a sentry",
			       m->source);
}

int trees_add(struct trees *trees, struct oci_spec *spec, struct sandbox_config *config,
	      struct coffer_error *err)
{
	/* Mount points are made in there, also when the container may not write. */
	int fd = trees_open(trees, spec->root->path, err);
	int r = fd < 0 ? fd : sandbox_config_share(config, fd, false, &trees->root, err);

	if (r == 0)
		r = oci_str_set(&spec->root->path, "rootfs", err);
	for (size_t i = 0; r == 0 && i < spec->mounts.n; i++) {
		struct oci_mount *m = &spec->mounts.v[i];

		if (!(m->type && strcmp(m->type, "bind") == 0) && !trees_has(m, "bind", "rbind"))
			continue;
		r = m->source ? trees_bind(trees, m, config, err)
			      : err_invalid(err, "a bind without a source");
		if (r < 0)
			err_wrap(err, "mount %s", m->destination);
	}
	return r;
}

int trees_mount(const struct trees *trees, const struct sandbox_config *config, const char *id,
		struct agent *agent, struct coffer_error *err)
{
	char at[SANDBOX_SHARES_MAX][sizeof(TREES_SHARES) + SANDBOX_TAG_MAX + 2];
	struct agent_step steps[SANDBOX_SHARES_MAX + 1];
	char root[128 + 32];
	size_t n = 0;

	snprintf(root, sizeof(root), "/run/container/%.128s/rootfs", id);
	steps[n++] = (struct agent_step){ .kind = AGENT_STEP_MOUNT, .path = root,
					  .type = "virtiofs", .source = trees->root };
	for (unsigned i = 0; i < config->nshares; i++) {
		const char *tag = config->shares[i].tag;

		snprintf(at[i], sizeof(at[i]), TREES_SHARES "/%s", tag);
		steps[n++] = (struct agent_step){ .kind = AGENT_STEP_MOUNT, .path = at[i],
						  .type = "virtiofs", .source = tag };
	}
	return agent->ops->prepare(agent, steps, n, err);
}

void trees_close(struct trees *trees)
{
	while (trees->nfds > 0)
		close(trees->fds[--trees->nfds]);
}
