/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/process_spec.c - the configuration of CreateProcess, read and completed
 *
 * An exec is configured by a whole spec too, of which only process is used; the
 * rest may say what its container's says, or nothing.
 *
 * Callers: process.c.
 */
#define LOG_CATEGORY "process"
#include "agent/process_spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "engine/account.h"

#define PROCESS_SPEC_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int process_spec_parse(const void *json, size_t len, bool is_init, struct oci_spec **out,
		       struct coffer_error *err)
{
	int r = oci_spec_parse(json, len, out, err);

	if (r < 0) {
		/* The contract's status for a configuration that cannot be decoded. */
		if (err)
			err->kind = COFFER_ERR_INTERNAL;
		return err_wrap(err, "configuration");
	}
	if (!(*out)->process)
		return err_invalid(err, "configuration: process is missing");
	if (!(*out)->root || !(*out)->root->path)
		return err_invalid(err, "configuration: root.path is missing");
	if (is_init && !(*out)->linux_)
		return err_invalid(err, "configuration: linux is missing");
	return 0;
}

int process_spec_rootfs(const struct oci_spec *spec, const char *bundle, char **rootfs,
			struct coffer_error *err)
{
	const char *path = spec->root->path;

	*rootfs = path[0] == '/' ? strdup(path) : path_join(bundle, path);
	return *rootfs ? 0 : err_nomem(err);
}

/* A read-only or empty root goes without the file; the name itself is set by the engine. */
static void process_spec_write_hostname(int rootfd, const char *hostname)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int fd = -1;
	char line[256];
	struct stat st;
	int n, r;

	n = snprintf(line, sizeof(line), "%s\n", hostname);
	fd = path_open_in_root(rootfd, "etc/hostname", O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY,
			       0644, &err);
	if (fd < 0) {
		log_debug("hostname: %s", err.message);
		return;
	}
	/* The image's name for a disk would have us write onto that. */
	if (n >= (int)sizeof(line) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	r = ftruncate(fd, 0) < 0 ? -errno : io_write_full(fd, line, (size_t)n);
	if (r < 0)
		log_debug("write etc/hostname: %s", strerror(-r));
}

static int process_spec_default_env(struct oci_process *process, struct coffer_error *err)
{
	int r = 0;

	if (!oci_env_get(process, "PATH"))
		r = oci_env_set(process, "PATH", PROCESS_SPEC_PATH, err);
	if (r == 0 && process->terminal && !oci_env_get(process, "TERM"))
		r = oci_env_set(process, "TERM", "xterm", err);
	return r;
}

static int process_spec_default_cgroup(struct oci_spec *spec, const char *container_id,
				       struct coffer_error *err)
{
	char path[256];

	if (spec->linux_->cgroups_path)
		return 0;
	snprintf(path, sizeof(path), "/container/%s", container_id);
	return oci_str_set(&spec->linux_->cgroups_path, path, err);
}

int process_spec_complete(struct oci_spec *spec, const char *container_id, const char *rootfs,
			  bool is_init, struct coffer_error *err)
{
	autoclose int rootfd = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (rootfd < 0)
		return err_sys(err, "open root %s", rootfs);
	if (is_init)
		r = process_spec_default_cgroup(spec, container_id, err);
	/* Hosts are known that leave it empty. */
	if (r == 0 && !spec->oci_version)
		r = oci_str_set(&spec->oci_version, OCI_VERSION, err);
	if (r == 0 && !spec->process->cwd)
		r = oci_str_set(&spec->process->cwd, "/", err);
	if (r == 0)
		r = process_spec_default_env(spec->process, err);
	if (r == 0)
		r = account_resolve(rootfd, spec->process, err);
	if (r == 0)
		r = oci_str_set(&spec->process->user.username, NULL, err);
	if (r == 0)
		r = is_init ? oci_spec_validate(spec, err)
			    : oci_process_validate(spec->process, "process", err);
	if (r == 0 && is_init && spec->hostname)
		process_spec_write_hostname(rootfd, spec->hostname);
	return r;
}

/* ---- exec ---- */

static bool process_spec_same_words(const struct oci_strv *asked, const struct oci_strv *given)
{
	if (asked->n == 0)
		return true;
	if (asked->n != given->n)
		return false;
	for (size_t i = 0; i < asked->n; i++)
		if (strcmp(asked->v[i], given->v[i]) != 0)
			return false;
	return true;
}

static char *process_spec_seccomp_text(struct oci_seccomp *seccomp, struct coffer_error *err)
{
	struct oci_linux linux_ = { .seccomp = seccomp };
	struct oci_spec spec = { .linux_ = &linux_ };

	return oci_spec_to_json(&spec, err);
}

static int process_spec_check_seccomp(struct oci_seccomp *asked, struct oci_seccomp *given,
				      struct coffer_error *err)
{
	autofree char *a = NULL, *g = NULL;

	if (!asked)
		return 0;
	a = process_spec_seccomp_text(asked, err);
	g = a ? process_spec_seccomp_text(given, err) : NULL;
	if (!g)
		return err_wrap(err, "linux.seccomp");
	if (strcmp(a, g) != 0)
		return err_unsupported(err, "linux.seccomp of an exec: not its container's");
	return 0;
}

int process_spec_check_exec(const struct oci_spec *spec, const struct oci_spec *init,
			    struct coffer_error *err)
{
	const struct oci_linux *asked = spec->linux_, *given = init->linux_;

	if (!asked)
		return 0;
	if (!process_spec_same_words(&asked->masked_paths, &given->masked_paths))
		return err_unsupported(err, "linux.maskedPaths of an exec: not its container's");
	if (!process_spec_same_words(&asked->readonly_paths, &given->readonly_paths))
		return err_unsupported(err, "linux.readonlyPaths of an exec: not its container's");
	return process_spec_check_seccomp(asked->seccomp, given->seccomp, err);
}
