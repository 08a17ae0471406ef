/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/init.c - what a container's process does from clone to execve
 *
 * Two tables of stages, one for init and one for exec; they end alike.  A
 * stage that fails is named in the error, which goes to the parent over the
 * socket.  The namespaces are there already (launch.c).
 *
 * The order carries meaning:
 * - labels are taken at the next execve, which a hook's is not to be, so they
 *   follow the hooks that run in our place;
 * - sysctls and everything that uses /proc/self/fd come before the root is
 *   entered, while /proc is still the parent's and can be trusted;
 * - whatever needs privilege comes before "user" and "capabilities";
 * - without no_new_privs a seccomp filter takes privilege to load, so it comes
 *   early; with it as late as possible, so that it need allow next to nothing;
 * - startContainer hooks are programs of the container, so they get no more
 *   rights than the program, its filter included.
 *
 * Nothing here allocates but the making of missing mount points.
 */
#include "engine/init.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/device.h"
#include "engine/label.h"
#include "engine/loopback.h"
#include "engine/rootfs.h"
#include "engine/scheduling.h"
#include "engine/sync.h"
#include "engine/sysctl.h"

struct init_stage {
	const char *name;
	int (*run)(struct init *i, struct coffer_error *err);
};

static int init_stage_session(struct init *i, struct coffer_error *err)
{
	/* Modes below are meant as they stand; the program's own mask comes with its user. */
	i->umask = umask(0);
	if (setsid() < 0)
		return err_sys(err, "setsid");
	return 0;
}

/* Others live in a mount namespace that was joined: their root is not ours to change. */
static bool init_shares_mounts(const struct init *i)
{
	return (i->ns->join & CLONE_NEWNS) != 0;
}

static int init_stage_root(struct init *i, struct coffer_error *err)
{
	if (init_shares_mounts(i)) {
		i->rootfd = rootfs_prepare_shared(i->rootfs, i->mounts->root, err);
		return i->rootfd < 0 ? i->rootfd : 0;
	}
	i->rootfd = rootfs_prepare(i->rootfs, i->mounts->root,
				   i->spec->linux_->rootfs_propagation, err);
	return i->rootfd < 0 ? i->rootfd : 0;
}

static int init_stage_mounts(struct init *i, struct coffer_error *err)
{
	return mount_all(i->mounts, i->rootfd, err);
}

/* What can be mounted while the parent still makes the network namespace. */
static int init_stage_mounts_offline(struct init *i, struct coffer_error *err)
{
	return i->ns->lent ? mount_offline(i->mounts, i->rootfd, err) : 0;
}

static int init_stage_network(struct init *i, struct coffer_error *err)
{
	return ns_enter_network(i->ns, *i->sock, err);
}

static int init_stage_devices(struct init *i, struct coffer_error *err)
{
	return device_make_all(i->spec, i->mounts->devices, i->rootfd, err);
}

static int init_stage_console(struct init *i, struct coffer_error *err)
{
	int r = process_stage_terminal(i, err);

	if (r == 0 && i->process->terminal)
		r = terminal_bind_console(&i->terminal, i->rootfd, err);
	return r;
}

static int init_stage_names(struct init *i, struct coffer_error *err)
{
	const char *host = i->spec->hostname, *domain = i->spec->domainname;

	if (host && sethostname(host, strlen(host)) < 0)
		return err_sys(err, "set hostname %s", host);
	if (domain && setdomainname(domain, strlen(domain)) < 0)
		return err_sys(err, "set domainname %s", domain);
	return 0;
}

static int init_stage_loopback(struct init *i, struct coffer_error *err)
{
	return i->ns->create & CLONE_NEWNET ? loopback_raise(err) : 0;
}

static int init_stage_sysctl(struct init *i, struct coffer_error *err)
{
	return sysctl_apply(&i->spec->linux_->sysctl, err);
}

/*
 * Everything is mounted and the old root still there: the place for these hooks in the spec.  Some
 * mount more, also those of the runtime's side, which join our namespace for it; all of them know
 * the root by its path, and ours work in it, as with every runtime.
 */
static int init_stage_create_hooks(struct init *i, struct coffer_error *err)
{
	const struct oci_hooks *h = i->spec->hooks;
	struct hook_state state = *i->hooks;
	bool outside = h && (h->prestart.n > 0 || h->create_runtime.n > 0);
	int r;

	if (!outside && (!h || h->create_container.n == 0))
		return 0;
	state.pid = getpid();
	r = init_shares_mounts(i) ? 0 : rootfs_show(i->rootfd, i->rootfs, err);
	if (r == 0 && outside)
		r = sync_ask(*i->sock, SYNC_HOOKS, -1, err);
	if (r == 0 && fchdir(i->rootfd) < 0)
		r = err_sys(err, "change to the root");
	umask(i->umask);
	if (r == 0)
		r = hooks_run(&h->create_container, "createContainer", &state, err);
	umask(0);
	return r < 0 || init_shares_mounts(i) ? r : rootfs_show(i->rootfd, "/", err);
}

static int init_stage_start_hooks(struct init *i, struct coffer_error *err)
{
	const struct oci_hooks *h = i->spec->hooks;
	struct hook_state state = *i->hooks;

	/* Without any, not one call: the filter is loaded. */
	if (!h || h->start_container.n == 0)
		return 0;
	state.pid = getpid();
	state.status = "created";
	state.env = (const char *const *)i->process->env.v;
	return hooks_run(&h->start_container, "startContainer", &state, err);
}

/* A working directory that the image lacks is made, as every runtime does. */
static int init_stage_make_cwd(struct init *i, struct coffer_error *err)
{
	autoclose int fd = path_mkdirs_in_root(i->rootfd, i->process->cwd, 0755, err);

	return fd < 0 ? err_wrap(err, "process.cwd") : 0;
}

static int init_stage_hide(struct init *i, struct coffer_error *err)
{
	return rootfs_hide(i->rootfd, i->spec->linux_, err);
}

static int init_stage_readonly(struct init *i, struct coffer_error *err)
{
	int r = mount_seal(i->mounts, err);

	return r == 0 && i->spec->root->readonly ? rootfs_set_readonly(i->rootfd, err) : r;
}

static int init_stage_labels(struct init *i, struct coffer_error *err)
{
	return label_apply(i->process, err);
}

static int init_stage_affinity(struct init *i, struct coffer_error *err)
{
	return scheduling_apply_final(i->process, err);
}

static int init_stage_enter(struct init *i, struct coffer_error *err)
{
	if (init_shares_mounts(i))
		return rootfs_enter_shared(i->rootfd, err);
	return rootfs_enter(i->rootfd, i->no_pivot, i->spec->linux_->rootfs_propagation, err);
}

/* setns(2) has made "/" the container's. */
static int init_stage_find_root(struct init *i, struct coffer_error *err)
{
	i->rootfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return i->rootfd < 0 ? err_sys(err, "open /") : 0;
}

/* clang-format off */
#define INIT_STAGES_PREPARE \
	{ "descriptors", process_stage_descriptors }, \
	{ "keyring", process_stage_keyring }, \
	{ "working directory", process_stage_directory }, \
	{ NULL, process_stage_find }, \
	{ "report", process_stage_ready }
	/* The parent sets limits now and lets us go. */
#define INIT_STAGES_USER \
	{ "scheduling", process_stage_scheduling }, \
	{ "bounding capabilities", process_stage_bounding }, \
	{ "seccomp", process_stage_seccomp }, \
	{ "user", process_stage_user }, \
	{ "capabilities", process_stage_capabilities }, \
	{ "no_new_privs", process_stage_no_new_privs }
/* clang-format on */

static const struct init_stage init_stages[] = {
	{ "session", init_stage_session },
	{ "root", init_stage_root },
	{ "mount", init_stage_mounts_offline },
	{ "namespaces", init_stage_network },
	{ "mount", init_stage_mounts },
	{ "devices", init_stage_devices },
	{ "terminal", init_stage_console },
	{ "sysctl", init_stage_sysctl },
	{ "hostname", init_stage_names },
	{ "loopback", init_stage_loopback },
	{ NULL, init_stage_create_hooks },
	{ "working directory", init_stage_make_cwd },
	{ "masked and read-only paths", init_stage_hide },
	{ "read-only mounts", init_stage_readonly },
	{ "labels", init_stage_labels },
	{ "enter root", init_stage_enter },
	INIT_STAGES_PREPARE,
	INIT_STAGES_USER,
	{ NULL, init_stage_start_hooks },
	{ NULL, process_stage_execute },
};

static const struct init_stage init_exec_stages[] = {
	{ "session", init_stage_session },
	{ "root", init_stage_find_root },
	{ "terminal", process_stage_terminal },
	{ "working directory", init_stage_make_cwd },
	{ "labels", init_stage_labels },
	{ "processors", init_stage_affinity },
	INIT_STAGES_PREPARE,
	INIT_STAGES_USER,
	{ NULL, process_stage_execute },
};

static int init_run(const struct init_stage *stages, size_t n, struct init *i,
		    struct coffer_error *err)
{
	int r;

	for (size_t s = 0; s < n; s++) {
		r = stages[s].run(i, err);
		if (r < 0)
			return stages[s].name ? err_wrap(err, "%s", stages[s].name) : r;
	}
	return 0;
}

int init_main(void *data, int *sock, struct coffer_error *err)
{
	struct init *i = data;

	i->sock = sock;
	return init_run(init_stages, ARRAY_SIZE(init_stages), i, err);
}

int init_exec_main(void *data, int *sock, struct coffer_error *err)
{
	struct init *i = data;

	i->sock = sock;
	return init_run(init_exec_stages, ARRAY_SIZE(init_exec_stages), i, err);
}
