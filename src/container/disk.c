/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/disk.c - images of file systems: found out about, locked, made
 *
 * The lock is a flock(2), which belongs to the open file: QEMU, who has a copy
 * of the descriptor, keeps it up for as long as the machine lives, even when
 * the process that made the machine is gone.
 *
 * What the file system says about itself is looked at only to refuse early what
 * cannot work; the guest's kernel judges the rest.
 */
#include "container/disk.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "container/scratch.h"
#include "image/ext4.h"

#define DISK_SIZE_MIN (UINT64_C(1) << 20)
#define DISK_SIZE_MAX (UINT64_C(16) << 40)
/* How long somebody who is about to let go is waited for. */
#define DISK_LOCK_BUDGET (300 * USEC_PER_MSEC)
#define DISK_LOCK_STEP	 (20 * USEC_PER_MSEC)
#define DISK_HEAD	 2048 /* bytes that are looked at */
#define DISK_SUPER	 1024 /* where both file systems have their superblock */

/* In ext4's superblock. */
#define DISK_EXT4_BLOCKS      0x04
#define DISK_EXT4_LOG_SIZE    0x18
#define DISK_EXT4_COMPAT      0x5c
#define DISK_EXT4_INCOMPAT    0x60
#define DISK_EXT4_BLOCKS_HI   0x150
#define DISK_EXT4_HAS_JOURNAL 0x4u
#define DISK_EXT4_IS_64BIT    0x80u

/* File systems that an image may hold, by their magic number. */
static const struct disk_type {
	const char *name;
	size_t offset;
	unsigned char magic[4];
	size_t len;
} disk_types[] = {
	{ "ext4", DISK_SUPER + 0x38, { 0x53, 0xef }, 2 },
	{ "erofs", DISK_SUPER, { 0xe2, 0xe1, 0xf5, 0xe0 }, 4 },
};

static uint32_t disk_u32(const unsigned char *super, size_t offset)
{
	uint32_t v;

	memcpy(&v, super + offset, sizeof(v));
	return le32toh(v);
}

/* Return: bytes that the file system believes to have */
static uint64_t disk_ext4_size(const unsigned char *super)
{
	uint64_t blocks = disk_u32(super, DISK_EXT4_BLOCKS);
	uint32_t log_size = disk_u32(super, DISK_EXT4_LOG_SIZE);

	if (disk_u32(super, DISK_EXT4_INCOMPAT) & DISK_EXT4_IS_64BIT)
		blocks |= (uint64_t)disk_u32(super, DISK_EXT4_BLOCKS_HI) << 32;
	if (log_size > 6 || blocks >> 44)
		return UINT64_MAX;
	return blocks << (10 + log_size);
}

static int disk_size(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*size = (uint64_t)st.st_size;
	return S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, size) < 0 ? -errno : 0;
}

static int disk_probe(const char *what, const char *path, struct disk *d, struct coffer_error *err)
{
	unsigned char head[DISK_HEAD] = { 0 };
	ssize_t n = pread(d->fd, head, sizeof(head), 0);
	uint64_t have = 0, want;
	int r;

	if (n < 0)
		return err_sys(err, "%s %s: read", what, path);
	for (size_t i = 0; i < ARRAY_SIZE(disk_types) && !d->fs; i++)
		if (memcmp(head + disk_types[i].offset, disk_types[i].magic, disk_types[i].len) ==
		    0)
			d->fs = disk_types[i].name;
	if (!d->fs)
		return err_invalid(err, "%s %s: neither an ext4 nor an erofs image", what, path);
	if (strcmp(d->fs, "ext4") != 0)
		return 0;
	d->journal = disk_u32(head + DISK_SUPER, DISK_EXT4_COMPAT) & DISK_EXT4_HAS_JOURNAL;
	r = disk_size(d->fd, &have);
	if (r < 0)
		return err_sysn(err, r, "%s %s: size", what, path);
	want = disk_ext4_size(head + DISK_SUPER);
	if (want > have)
		return err_invalid(err, "%s %s: its file system does not fit into it", what, path);
	return 0;
}

static int disk_lock_fail(const char *what, const char *path, bool read_only,
			  struct coffer_error *err)
{
	return err_set(err, COFFER_ERR_INVALID_STATE, EBUSY, "%s %s: is in use%s", what, path,
		       read_only ? " by somebody who writes to it" : "");
}

/* A machine that was killed lets go of it a moment later. */
static int disk_lock(const char *what, const char *path, int fd, bool read_only,
		     struct coffer_error *err)
{
	usec_t deadline = deadline_in(DISK_LOCK_BUDGET);

	while (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
		/* Without locks a reader misses a warning, no more. */
		if (read_only && (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS))
			return 0;
		if (errno != EWOULDBLOCK)
			return err_sys(err, "%s %s: lock", what, path);
		if (deadline_left(deadline) == 0)
			return disk_lock_fail(what, path, read_only, err);
		usleep(DISK_LOCK_STEP);
	}
	return 0;
}

int disk_open(const char *what, const char *path, bool read_only, struct disk *out,
	      struct coffer_error *err)
{
	struct disk d = DISK_INIT;
	autoclose int fd = -1;
	struct stat st;
	int r;

	*out = d;
	/* Non-blocking, so that a fifo does not hold us before we see what it is.  Exclusive goes
	 * for a block device, which then is not mounted here. */
	fd = open(path,
		  (read_only ? O_RDONLY : O_RDWR | O_EXCL) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "%s %s", what, path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_invalid(err, "%s %s: neither a file nor a block device", what, path);
	r = disk_lock(what, path, fd, read_only, err);
	d.fd = fd;
	if (r == 0)
		r = disk_probe(what, path, &d, err);
	if (r == 0 && !read_only && strcmp(d.fs, "ext4") != 0)
		r = err_invalid(err, "%s %s: %s can only be read", what, path, d.fs);
	if (r < 0)
		return r;
	*out = d;
	steal_fd(&fd);
	return 0;
}

void disk_close(struct disk *disk)
{
	close_fd(&disk->fd);
}

int disk_attach(const struct sandbox_disk *wanted, struct sandbox_config *sandbox,
		char device[static DISK_DEVICE_MAX], struct coffer_error *err)
{
	struct sandbox_disk *disk;

	if (sandbox->ndisks == SANDBOX_DISKS_MAX ||
	    sandbox->ndisks + sandbox->nshares == SANDBOX_DEVICES_MAX)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOSPC,
			       "more than %d disks, or %d disks and shared directories",
			       SANDBOX_DISKS_MAX, SANDBOX_DEVICES_MAX);
	snprintf(device, DISK_DEVICE_MAX, "/dev/vd%c", (char)('a' + sandbox->ndisks));
	disk = &sandbox->disks[sandbox->ndisks++];
	*disk = *wanted;
	if (!disk->serial)
		disk->serial = strrchr(device, '/') + 1;
	return 0;
}

int disk_check_size(const char *what, uint64_t size, struct coffer_error *err)
{
	if (size < DISK_SIZE_MIN || size > DISK_SIZE_MAX)
		return err_invalid(err, "%s: %llu bytes: must be 1M to 16T", what,
				   (unsigned long long)size);
	return 0;
}

/* Nobody who did not ask for one misses it in an image that is too small for it. */
static bool disk_gets_journal(uint64_t size, enum coffer_journal journal)
{
	if (journal == COFFER_JOURNAL_DEFAULT)
		return size >= EXT4_JOURNAL_MIN;
	return journal != COFFER_JOURNAL_NONE;
}

int disk_make_private(uint64_t size, enum coffer_journal journal, struct disk *out,
		      struct coffer_error *err)
{
	int r;

	*out = (struct disk)DISK_INIT;
	out->fs = "ext4";
	out->journal = disk_gets_journal(size, journal);
	out->fd = scratch_open(err);
	if (out->fd < 0)
		return steal_fd(&out->fd);
	r = ext4_create_empty(out->fd, size, out->journal, err);
	if (r < 0)
		disk_close(out);
	return r;
}

/* A name for what is complete only: whoever sees the file can use it. */
static int disk_link(int fd, const char *path, struct coffer_error *err)
{
	char from[64];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		return err_sys(err, "disk %s", path);
	return 0;
}

/* File systems without O_TMPFILE show the file while it is being made. */
static int disk_make_named(const char *path, uint64_t size, bool journal, struct coffer_error *err)
{
	autoclose int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_sys(err, "disk %s", path);
	r = ext4_create_empty(fd, size, journal, err);
	if (r < 0)
		unlink(path);
	return r < 0 ? err_wrap(err, "disk %s", path) : 0;
}

int coffer_disk_create(const char *path, uint64_t size, enum coffer_journal journal,
		       struct coffer_error *err)
{
	autofree char *folder = NULL;
	autoclose int fd = -1;
	const char *slash;
	int r;

	if (!path || !*path)
		return err_invalid(err, "disk: no path given");
	if ((unsigned)journal > COFFER_JOURNAL_DATA)
		return err_invalid(err, "disk %s: journal %d: unknown", path, journal);
	r = disk_check_size("disk", size, err);
	if (r < 0)
		return r;
	slash = strrchr(path, '/');
	folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!folder)
		return err_nomem(err);
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_sysn(err, EEXIST, "disk %s", path);
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		return disk_make_named(path, size, disk_gets_journal(size, journal), err);
	if (fd < 0)
		return err_sys(err, "disk %s", path);
	r = ext4_create_empty(fd, size, disk_gets_journal(size, journal), err);
	return r < 0 ? err_wrap(err, "disk %s", path) : disk_link(fd, path, err);
}
