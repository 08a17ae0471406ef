/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/bundle_config.c - an image's configuration as an OCI runtime's document
 *
 * The default document, changed as image-spec's conversion.md says.  Volumes
 * are left as they are in the root file system, which is the bundle's own.
 *
 * In a user namespace the process has no additional groups: not every runtime
 * is able to set them.  Where only one's own id is mapped there is no other user
 * to run as: the process is root, as all files are root's.
 *
 * Callers: bundle.c; unit tests.
 */
#define LOG_CATEGORY "bundle"
#include "container/bundle.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/account.h"

#define BUNDLE_CONFIG	  "config.json"
#define BUNDLE_ANNOTATION "org.opencontainers.image."
#define BUNDLE_VERSION	  "1.0.2" /* nothing newer is used, and some runtimes take no other */
#define BUNDLE_PORTS_MAX  ((size_t)1 << 20)

/* ---- process ---- */

static int bundle_add_args(struct oci_strv *args, char **list, struct coffer_error *err)
{
	int r = 0;

	for (char **s = list; r == 0 && s && *s; s++)
		r = oci_strv_add(args, *s, err);
	return r;
}

/* An image that names no program leaves the default one. */
static int bundle_set_args(struct oci_process *p, const struct image_config *image,
			   struct coffer_error *err)
{
	int r = 0;

	if ((image->entrypoint && *image->entrypoint) || (image->cmd && *image->cmd))
		r = oci_strv_set(&p->args, NULL, err);
	if (r == 0)
		r = bundle_add_args(&p->args, image->entrypoint, err);
	return r < 0 ? r : bundle_add_args(&p->args, image->cmd, err);
}

static int bundle_set_env(struct oci_process *p, char **env, struct coffer_error *err)
{
	int r = 0;

	for (char **e = env; r == 0 && e && *e; e++) {
		const char *value = strchrnul(*e, '=');
		autofree char *key = strndup(*e, (size_t)(value - *e));

		r = key ? oci_env_set(p, key, *value ? value + 1 : "", err) : err_nomem(err);
	}
	return r;
}

static int bundle_set_cwd(struct oci_process *p, const char *workdir, struct coffer_error *err)
{
	autofree char *path = NULL;

	if (!workdir || !*workdir)
		return 0;
	if (asprintf(&path, "%s%s", *workdir == '/' ? "" : "/", workdir) < 0)
		return err_nomem(err);
	return oci_str_set(&p->cwd, path, err);
}

static int bundle_set_user(struct oci_process *p, int rootfs_fd, const char *user,
			   const struct subids *ids, struct coffer_error *err)
{
	int r = oci_str_set(&p->user.username, user && *user ? user : "0", err);

	if (r == 0)
		r = account_resolve(rootfs_fd, p, err);
	if (r < 0)
		return r;
	oci_str_set(&p->user.username, NULL, NULL);
	if (ids)
		p->user.additional_gids.n = 0;
	if (!ids || ids->ranges)
		return 0;
	if (p->user.uid != 0 || p->user.gid != 0)
		log_warning("user %s: root instead, since no ids of /etc/subuid and /etc/subgid "
			    "are there for others",
			    user);
	p->user.uid = p->user.gid = 0;
	return 0;
}

static int bundle_set_process(struct oci_process *p, int rootfs_fd,
			      const struct image_config *image, const struct subids *ids,
			      struct coffer_error *err)
{
	int r = bundle_set_args(p, image, err);

	if (r == 0)
		r = bundle_set_env(p, image->env, err);
	if (r == 0)
		r = bundle_set_cwd(p, image->workdir, err);
	return r < 0 ? r : bundle_set_user(p, rootfs_fd, image->user, ids, err);
}

/* ---- annotations ---- */

static int bundle_annotate(struct oci_spec *spec, const char *key, const char *value,
			   struct coffer_error *err)
{
	char full[128];

	if (!value || !*value)
		return 0;
	snprintf(full, sizeof(full), BUNDLE_ANNOTATION "%s", key);
	return oci_pairs_set(&spec->annotations, full, value, err);
}

static int bundle_annotate_ports(struct oci_spec *spec, char **ports, struct coffer_error *err)
{
	autobuf struct buf list = BUF_INIT(BUNDLE_PORTS_MAX);
	autofree char *text = NULL;
	int r = 0;

	for (char **p = ports; r == 0 && p && *p; p++)
		r = buf_printf(&list, "%s%s", p == ports ? "" : ",", *p);
	text = r < 0 ? NULL : buf_steal_str(&list);
	return text ? bundle_annotate(spec, "exposedPorts", text, err) : err_nomem(err);
}

/* Labels come last: they win over what is told implicitly. */
static int bundle_annotate_labels(struct oci_spec *spec, char **labels, struct coffer_error *err)
{
	int r = 0;

	for (char **l = labels; r == 0 && l && *l; l++) {
		const char *value = strchrnul(*l, '=');
		autofree char *key = strndup(*l, (size_t)(value - *l));

		if (!key)
			return err_nomem(err);
		if (*key)
			r = oci_pairs_set(&spec->annotations, key, *value ? value + 1 : "", err);
	}
	return r;
}

static int bundle_set_annotations(struct oci_spec *spec, const struct image_config *image,
				  struct coffer_error *err)
{
	const struct {
		const char *key, *value;
	} told[] = {
		{ "os", image->platform.os },		{ "architecture", image->platform.arch },
		{ "variant", image->platform.variant }, { "author", image->author },
		{ "created", image->created },		{ "stopSignal", image->stop_signal },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(told); i++)
		r = bundle_annotate(spec, told[i].key, told[i].value, err);
	if (r == 0)
		r = bundle_annotate_ports(spec, image->ports, err);
	return r < 0 ? r : bundle_annotate_labels(spec, image->labels, err);
}

/* ---- the document ---- */

static bool bundle_cgroup_v2_only(void)
{
	struct statfs fs;

	return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* The caller's sysfs has them. */
static void bundle_drop_cgroup(struct oci_spec *spec)
{
	oci_namespace_drop(spec, "cgroup");
	oci_mount_drop(spec, "/sys/fs/cgroup");
}

int bundle_config_make(int rootfs_fd, const struct image_config *image, const struct subids *ids,
		       struct oci_spec **out, struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *spec = NULL;
	int r = oci_spec_default(&spec, err);

	if (r == 0)
		r = oci_str_set(&spec->oci_version, BUNDLE_VERSION, err);
	if (r == 0)
		r = bundle_set_process(spec->process, rootfs_fd, image, ids, err);
	if (r == 0)
		r = bundle_set_annotations(spec, image, err);
	if (r == 0 && ids)
		r = oci_spec_rootless(spec, &ids->uids, &ids->gids, err);
	if (r < 0)
		return r;
	if (ids)
		bundle_drop_cgroup(spec);
	else if (!bundle_cgroup_v2_only())
		oci_namespace_drop(spec, "cgroup");
	/* As on any machine, and as images expect it. */
	spec->process->no_new_privileges = false;
	r = oci_spec_validate(spec, err);
	if (r == 0)
		*out = steal_ptr(spec);
	return r;
}

int bundle_config_write(int dir, int rootfs_fd, const struct image_config *image,
			const struct subids *ids, struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *spec = NULL;
	autofree char *text = NULL;
	autoclose int fd = -1;
	int r = bundle_config_make(rootfs_fd, image, ids, &spec, err);

	if (r < 0)
		return err_wrap(err, BUNDLE_CONFIG);
	text = oci_spec_to_file(spec, err);
	if (!text)
		return err_wrap(err, BUNDLE_CONFIG);
	fd = openat(dir, BUNDLE_CONFIG, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : io_write_full(fd, text, strlen(text));
	if (r < 0 && fd >= 0)
		unlinkat(dir, BUNDLE_CONFIG, 0);
	return r < 0 ? err_sysn(err, r, "write " BUNDLE_CONFIG) : 0;
}
