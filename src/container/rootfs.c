/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/rootfs.c - a container's root file system, from host to guest
 *
 *	built-in archive --> unpacked by the guest's kernel at boot
 *	directory --> copied into an ext4 image of our own --> disk
 *	directory --> shared as it is --> virtiofs
 *	image --> disk
 *
 * Each is either the root itself or the lower layer of an overlay (layer.c).
 * The built-in one is small and every machine has it to itself in memory, so
 * it takes no disk, no file system driver and by default no layer.
 *
 * The copy is private and has no name, so the container may write into it.  It
 * is made while the machine boots: the file has its final size from the start,
 * and the guest looks into it only when told to mount.
 *
 * A root that is only read gets a layer in memory all the same, if it is not
 * ours: the files of ours in it (files.c) have to go somewhere.
 */
#include "container/rootfs.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/paths.h"
#include "container/scratch.h"
#include "image/ext4.h"
#include "sandbox/kind.h"

#define ROOTFS_ARCHIVE	   "busybox.cpio"
#define ROOTFS_ARCHIVE_DIR "/busybox" /* where it is in the guest */
/* Sizes of a sparse file: what the device says it has, and what programs can write. */
#define ROOTFS_DISK_SIZE ((off_t)1 << 40)
#define ROOTFS_FREE	 (UINT64_C(8) << 30)

static int rootfs_open_builtin(const char *path, struct rootfs *out, struct coffer_error *err)
{
	autofree char *archive = NULL;
	int r = paths_find_data(ROOTFS_ARCHIVE, &archive, err);

	if (r < 0)
		return r;
	out->archive_fd = open(archive, O_RDONLY | O_CLOEXEC);
	return out->archive_fd < 0 ? err_sys(err, "rootfs %s", archive) : 0;
}

static int rootfs_open_share(const char *path, struct rootfs *out, struct coffer_error *err)
{
	out->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return out->dir_fd < 0 ? err_sys(err, "rootfs %s", path) : 0;
}

static int rootfs_open_copy(const char *path, struct rootfs *out, struct coffer_error *err)
{
	int r = rootfs_open_share(path, out, err);

	if (r < 0)
		return r;
	out->disk.fd = scratch_open(err);
	if (out->disk.fd < 0)
		return steal_fd(&out->disk.fd);
	if (ftruncate(out->disk.fd, ROOTFS_DISK_SIZE) < 0)
		return err_sys(err, "size the image of rootfs %s", path);
	out->disk.fs = "ext4";
	return 0;
}

static int rootfs_open_image(const char *path, struct rootfs *out, struct coffer_error *err)
{
	return disk_open("rootfs", path, out->read_only, &out->disk, err);
}

static const struct {
	int (*open)(const char *path, struct rootfs *out, struct coffer_error *err);
	bool ours; /* nobody else has it, so it can be written to */
} rootfs_kinds[] = {
	[ROOTFS_BUILTIN] = { rootfs_open_builtin, true },
	[ROOTFS_COPY] = { rootfs_open_copy, true },
	[ROOTFS_SHARE] = { rootfs_open_share, false },
	[ROOTFS_IMAGE] = { rootfs_open_image, false },
};

static int rootfs_find_kind(const struct coffer_container_config *config, enum rootfs_kind *kind,
			    struct coffer_error *err)
{
	struct stat st;

	*kind = ROOTFS_BUILTIN;
	if (!config->rootfs)
		return 0;
	if (stat(config->rootfs, &st) < 0)
		return err_sys(err, "rootfs %s", config->rootfs);
	if (S_ISDIR(st.st_mode))
		*kind = config->rootfs_share || sandbox_kind_find(config->sandbox)->layers_directories
			    ? ROOTFS_SHARE : ROOTFS_COPY;
	else
		*kind = ROOTFS_IMAGE;
	if (config->rootfs_share && *kind != ROOTFS_SHARE)
		return err_invalid(err, "rootfs_share: %s is no directory", config->rootfs);
	return 0;
}

int rootfs_open(const struct coffer_container_config *config, struct rootfs *out,
		struct coffer_error *err)
{
	enum coffer_layer_kind layer = config->layer.kind;
	int r;

	*out = (struct rootfs)ROOTFS_INIT;
	r = rootfs_find_kind(config, &out->kind, err);
	if (r < 0)
		return r;
	if (rootfs_kinds[out->kind].ours && layer == COFFER_LAYER_AUTO)
		layer = COFFER_LAYER_NONE;
	else if (layer == COFFER_LAYER_AUTO ||
		 (layer == COFFER_LAYER_NONE && !rootfs_kinds[out->kind].ours &&
		  (config->read_only || (out->kind == ROOTFS_SHARE && !config->rootfs_share))))
		layer = COFFER_LAYER_TMPFS;
	out->read_only = layer != COFFER_LAYER_NONE;
	r = rootfs_kinds[out->kind].open(config->rootfs, out, err);
	return r < 0 ? r : layer_open(&config->layer, layer, &out->layer, err);
}

int rootfs_attach(struct rootfs *rootfs, struct sandbox_config *sandbox, struct coffer_error *err)
{
	const struct sandbox_disk disk = { .fd = rootfs->disk.fd,
					   .read_only = rootfs->read_only,
					   .serial = "rootfs" };
	const char *tag;
	int r = 0;

	sandbox->archive_fd = rootfs->archive_fd;
	if (rootfs->kind == ROOTFS_SHARE) {
		r = sandbox_config_share(sandbox, rootfs->dir_fd, rootfs->read_only, &tag, err);
		if (r == 0)
			snprintf(rootfs->tag, sizeof(rootfs->tag), "%s", tag);
	} else if (disk.fd >= 0) {
		r = disk_attach(&disk, sandbox, rootfs->device, err);
	}
	return r < 0 ? r : layer_attach(&rootfs->layer, sandbox, err);
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

	if (rootfs->kind != ROOTFS_COPY)
		return 0;
	r = ext4_build_from_dir(rootfs->dir_fd, rootfs->disk.fd, &args, err);
	if (r < 0)
		return err_wrap(err, "make an image of the rootfs");
	if (ftruncate(rootfs->disk.fd, ROOTFS_DISK_SIZE) < 0)
		return err_sys(err, "size the image of the rootfs");
	return 0;
}

void rootfs_close(struct rootfs *rootfs)
{
	close_fd(&rootfs->archive_fd);
	close_fd(&rootfs->dir_fd);
	disk_close(&rootfs->disk);
	layer_close(&rootfs->layer);
}

static void rootfs_mount_itself(const struct rootfs *rootfs, const char *at, struct guest_steps *g)
{
	static const char *const bind[] = { "bind", NULL }, *const ro[] = { "ro", NULL };
	const char *const *options = rootfs->read_only ? ro : NULL;

	if (rootfs->kind == ROOTFS_BUILTIN)
		guest_mount(g, at, "none", ROOTFS_ARCHIVE_DIR, bind);
	else if (rootfs->kind == ROOTFS_SHARE)
		/* Not "ro": that would go for every mount of the same directory. */
		guest_mount(g, at, "virtiofs", rootfs->tag, NULL);
	else
		guest_mount(g, at, rootfs->disk.fs, rootfs->device, options);
}

void rootfs_mount(const struct rootfs *rootfs, const char *base, const char *root,
		  struct guest_steps *g)
{
	const char *lower = ROOTFS_ARCHIVE_DIR;

	if (rootfs->layer.kind == COFFER_LAYER_NONE) {
		rootfs_mount_itself(rootfs, root, g);
		return;
	}
	if (rootfs->kind != ROOTFS_BUILTIN) {
		lower = guest_text(g, "%s/lower", base);
		rootfs_mount_itself(rootfs, lower, g);
	}
	layer_mount(&rootfs->layer, base, lower, root, g);
}

void rootfs_unmount(const struct rootfs *rootfs, const char *base, const char *root,
		    struct guest_steps *g)
{
	bool image = rootfs->kind == ROOTFS_IMAGE && !rootfs->read_only;
	bool layer = rootfs->layer.kind == COFFER_LAYER_DISK && rootfs->layer.config->path;

	if (image || layer)
		guest_unmount(g, root);
	if (layer)
		guest_unmount(g, guest_text(g, "%s/upper", base));
}
