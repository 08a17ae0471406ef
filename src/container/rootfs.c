/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/rootfs.c - a container's root file system, from host to guest
 *
 *	directory --image/--> ext4 image of our own --> mounted as the root
 *	image --> mounted read-only as lower layer, a tmpfs as upper layer --> overlay as the root
 *	built-in archive --> unpacked by the guest's kernel at boot --> bound as the root
 *
 * The built-in one is small and every machine has it to itself in memory, so
 * it takes no disk, no file system driver and no layer.
 *
 * The image from a directory is private and has no name, so the container may
 * write into it.  It is made while the machine boots: the file has its final
 * size from the start, and the guest looks into it only when told to mount.
 */
#include "container/rootfs.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container/document.h"
#include "container/scratch.h"
#include "image/ext4.h"
#include "sandbox/paths.h"

#define ROOTFS_BUILTIN	   "busybox.cpio"
#define ROOTFS_BUILTIN_DIR "/busybox" /* where it is in the guest */
#define ROOTFS_DEVICE	   "/dev/vda" /* the only disk */
/* Sizes of a sparse file: what the device says it has, and what programs can write. */
#define ROOTFS_DISK_SIZE ((off_t)1 << 40)
#define ROOTFS_FREE	 (UINT64_C(8) << 30)

/* File systems that an image may hold, by their magic number. */
static const struct rootfs_type {
	const char *name;
	size_t offset;
	unsigned char magic[4];
	size_t len;
} rootfs_types[] = {
	{ "ext4", 1024 + 0x38, { 0x53, 0xef }, 2 },
	{ "erofs", 1024, { 0xe2, 0xe1, 0xf5, 0xe0 }, 4 },
};

/* Return: the file system's name, or NULL */
static const char *rootfs_probe(int fd)
{
	unsigned char head[2048];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	for (size_t i = 0; i < ARRAY_SIZE(rootfs_types); i++) {
		const struct rootfs_type *t = &rootfs_types[i];

		if (n >= (ssize_t)(t->offset + t->len) &&
		    memcmp(head + t->offset, t->magic, t->len) == 0)
			return t->name;
	}
	return NULL;
}

static int rootfs_open_image(const char *path, struct rootfs *out, struct coffer_error *err)
{
	struct stat st;

	/* Non-blocking, so that a fifo does not hold us before we see what it is. */
	out->disk_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (out->disk_fd < 0 || fstat(out->disk_fd, &st) < 0)
		return err_sys(err, "rootfs %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_invalid(err, "rootfs %s: neither a directory nor an image", path);
	out->fs = rootfs_probe(out->disk_fd);
	if (!out->fs)
		return err_invalid(err, "rootfs %s: neither an ext4 nor an erofs image", path);
	out->shared = true;
	return 0;
}

static int rootfs_open_dir(const char *path, struct rootfs *out, struct coffer_error *err)
{
	out->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->dir_fd < 0)
		return err_sys(err, "rootfs %s", path);
	out->disk_fd = scratch_open(err);
	if (out->disk_fd < 0)
		return steal_fd(&out->disk_fd);
	if (ftruncate(out->disk_fd, ROOTFS_DISK_SIZE) < 0)
		return err_sys(err, "size the image of rootfs %s", path);
	out->fs = "ext4";
	return 0;
}

static int rootfs_open_builtin(struct rootfs *out, struct coffer_error *err)
{
	autofree char *path = NULL;
	int r = paths_find_data(ROOTFS_BUILTIN, &path, err);

	if (r < 0)
		return r;
	out->archive_fd = open(path, O_RDONLY | O_CLOEXEC);
	return out->archive_fd < 0 ? err_sys(err, "rootfs %s", path) : 0;
}

int rootfs_open(const char *path, struct rootfs *out, struct coffer_error *err)
{
	struct stat st;

	*out = (struct rootfs)ROOTFS_INIT;
	if (!path)
		return rootfs_open_builtin(out, err);
	if (stat(path, &st) < 0)
		return err_sys(err, "rootfs %s", path);
	return S_ISDIR(st.st_mode) ? rootfs_open_dir(path, out, err)
				   : rootfs_open_image(path, out, err);
}

static bool rootfs_is_cancelled(void *data)
{
	const int *cancel_fd = data;
	struct pollfd pfd = { .fd = *cancel_fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

int rootfs_fill(struct rootfs *rootfs, int cancel_fd, struct coffer_error *err)
{
	/* Without root the files are all the caller's, and only root's make sense inside. */
	const struct ext4_build_args args = {
		.extra_bytes = ROOTFS_FREE,
		.owner = geteuid() == 0 ? EXT4_OWNER_AS_IS : EXT4_OWNER_CALLER_TO_ROOT,
		.is_cancelled = rootfs_is_cancelled,
		.data = &cancel_fd,
	};
	int r;

	if (rootfs->dir_fd < 0)
		return 0;
	r = ext4_build_from_dir(rootfs->dir_fd, rootfs->disk_fd, &args, err);
	if (r < 0)
		return err_wrap(err, "make an image of the rootfs");
	if (ftruncate(rootfs->disk_fd, ROOTFS_DISK_SIZE) < 0)
		return err_sys(err, "size the image of the rootfs");
	return 0;
}

void rootfs_close(struct rootfs *rootfs)
{
	close_fd(&rootfs->archive_fd);
	close_fd(&rootfs->disk_fd);
	close_fd(&rootfs->dir_fd);
}

static int rootfs_mount_builtin(const char *root, struct agent *agent, struct coffer_error *err)
{
	const char *const bind[] = { "bind", NULL };
	const struct agent_step steps[] = {
		{ AGENT_STEP_LINK_UP, "lo" },
		{ AGENT_STEP_MOUNT, root, "none", ROOTFS_BUILTIN_DIR, bind },
	};

	return agent->ops->prepare(agent, steps, ARRAY_SIZE(steps), err);
}

static int rootfs_mount_private(const struct rootfs *rootfs, const char *root, struct agent *agent,
				struct coffer_error *err)
{
	const struct agent_step steps[] = {
		{ AGENT_STEP_LINK_UP, "lo" },
		{ AGENT_STEP_MOUNT, root, rootfs->fs, ROOTFS_DEVICE },
	};

	return agent->ops->prepare(agent, steps, ARRAY_SIZE(steps), err);
}

static int rootfs_mount_shared(const struct rootfs *rootfs, const char *base, const char *root,
			       struct agent *agent, struct coffer_error *err)
{
	char lower[128], upper[128], diff[144], work[144], opts[3][160];
	const char *const ro[] = { "ro", NULL };
	const char *const tmpfs[] = { "mode=0755", NULL };
	const char *const overlay[] = { opts[0], opts[1], opts[2], NULL };
	const struct agent_step steps[] = {
		{ AGENT_STEP_LINK_UP, "lo" },
		{ AGENT_STEP_MOUNT, lower, rootfs->fs, ROOTFS_DEVICE, ro },
		{ AGENT_STEP_MOUNT, upper, "tmpfs", "tmpfs", tmpfs },
		{ AGENT_STEP_MKDIR, diff },
		{ AGENT_STEP_MKDIR, work },
		{ AGENT_STEP_MOUNT, root, "overlay", "overlay", overlay },
	};

	snprintf(lower, sizeof(lower), "%s/lower", base);
	snprintf(upper, sizeof(upper), "%s/upper", base);
	snprintf(diff, sizeof(diff), "%s/diff", upper);
	snprintf(work, sizeof(work), "%s/work", upper);
	snprintf(opts[0], sizeof(opts[0]), "lowerdir=%s", lower);
	snprintf(opts[1], sizeof(opts[1]), "upperdir=%s", diff);
	snprintf(opts[2], sizeof(opts[2]), "workdir=%s", work);
	return agent->ops->prepare(agent, steps, ARRAY_SIZE(steps), err);
}

int rootfs_mount(const struct rootfs *rootfs, const char *id, struct agent *agent,
		 struct coffer_error *err)
{
	char base[96], root[112];

	snprintf(base, sizeof(base), DOCUMENT_STATE_DIR "/%s", id);
	snprintf(root, sizeof(root), "%s/rootfs", base);
	if (rootfs->archive_fd >= 0)
		return rootfs_mount_builtin(root, agent, err);
	if (rootfs->shared)
		return rootfs_mount_shared(rootfs, base, root, agent, err);
	return rootfs_mount_private(rootfs, root, agent, err);
}
