/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/device_tree.c - nodes that the root of a user namespace may not make
 *
 *	parent --clone3(mount namespace, shared descriptors)--> helper
 *	helper: tmpfs, mknod(2) in it, each node as a detached mount, exit
 *	child:  puts the mounts where the document wants the nodes
 *
 * The helper is there because only what is mounted in one's own namespace can
 * be cloned, and the parent's is not ours to mount in.  Its tmpfs goes with
 * it, but for the nodes that are held.  Where the parent may not make nodes
 * either (it lives in a user namespace itself) the child binds those that are
 * outside; see device.c.
 *
 * Caller: container.c.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/device.h"

/* Memory that helper and parent share. */
struct device_helper {
	struct coffer_error err;
	int r;
	int fds[]; /* one for each of linux.devices; -1: none */
};

/* Return: the id outside, or -1 when the namespace has none for it */
static int64_t device_map_id(const struct oci_id_mappings *maps, uint32_t id)
{
	for (size_t i = 0; i < maps->n; i++) {
		const struct oci_id_mapping *m = &maps->v[i];

		if (id >= m->container_id && id - m->container_id < m->size)
			return (int64_t)m->host_id + (id - m->container_id);
	}
	return -1;
}

static int device_tree_mount(struct coffer_error *err)
{
	autoclose int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	autoclose int root = -1;

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sys(err, "make a tmpfs");
	root = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (root < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
	    move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, "mount a tmpfs");
	return steal_fd(&root);
}

static int device_tree_make(const struct oci_linux *l, size_t i, int root, struct coffer_error *err)
{
	const struct oci_device *d = &l->devices.v[i];
	int64_t uid = device_map_id(&l->uid_mappings, d->uid.v);
	int64_t gid = device_map_id(&l->gid_mappings, d->gid.v);
	mode_t mode = d->file_mode.set ? d->file_mode.v & 07777 : 0666;
	mode_t type = d->type[0] == 'b' ? S_IFBLK : S_IFCHR;
	char name[24];
	int tree;

	if (uid < 0 || gid < 0)
		return err_invalid(err, "%u:%u is nobody in the user namespace", d->uid.v, d->gid.v);
	snprintf(name, sizeof(name), "%zu", i);
	if (mknodat(root, name, type | mode, makedev((unsigned)d->major, (unsigned)d->minor)) < 0)
		return errno == EPERM ? -1 : err_sys(err, "mknod %s", d->path);
	if (fchownat(root, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "chown %s", d->path);
	tree = open_tree(root, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return tree < 0 ? err_sys(err, "open %s", d->path) : tree;
}

static bool device_tree_wants(const struct oci_device *d)
{
	return d->path && d->type && (d->type[0] == 'c' || d->type[0] == 'b' || d->type[0] == 'u');
}

/* In the helper. */
static int device_tree_make_all(const struct oci_linux *l, struct device_helper *h)
{
	autoclose int root = device_tree_mount(&h->err);

	if (root < 0)
		return root;
	umask(0);
	for (size_t i = 0; i < l->devices.n; i++) {
		if (!device_tree_wants(&l->devices.v[i]))
			continue;
		h->fds[i] = device_tree_make(l, i, root, &h->err);
		if (h->fds[i] < -1)
			return err_wrap(&h->err, "linux.devices[%zu]", i);
	}
	return 0;
}

/* Return: 0, or -errno with the helper's own words in h->err; it is gone by then */
static int device_tree_run(const struct oci_linux *l, struct device_helper *h)
{
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_FILES, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return err_sys(&h->err, "clone3");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		h->r = device_tree_make_all(l, h);
		_exit(0);
	}
	while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	return h->r;
}

int device_tree_open(const struct oci_spec *spec, const struct ns_plan *ns, int **out,
		     struct coffer_error *err)
{
	const struct oci_linux *l = spec->linux_;
	size_t bytes = sizeof(struct device_helper) + l->devices.n * sizeof(int);
	struct device_helper *h;
	int r;

	*out = NULL;
	if (!(ns->create & CLONE_NEWUSER) || l->devices.n == 0 || geteuid() != 0)
		return 0;
	/* cppcheck-suppress invalidFunctionArg ; no file */
	h = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED)
		return err_nomem(err);
	h->r = -EINTR;
	for (size_t i = 0; i < l->devices.n; i++)
		h->fds[i] = -1;
	r = device_tree_run(l, h);
	*out = calloc(l->devices.n, sizeof(**out));
	for (size_t i = 0; i < l->devices.n; i++) {
		if (*out)
			(*out)[i] = h->fds[i];
		else if (h->fds[i] >= 0)
			close(h->fds[i]);
	}
	/* One that may not even mount leaves it to the child. */
	if (r == -EPERM)
		r = 0;
	if (r < 0 && err)
		*err = h->err;
	munmap(h, bytes);
	return r == 0 && !*out ? err_nomem(err) : r;
}
