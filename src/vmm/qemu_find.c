/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qemu_find.c - where QEMU is, and whether it can be given what it gets
 *
 * QEMU's own words about a missing or unsuitable file are late and terse, so
 * what can be told beforehand is told here.
 */
#include "vmm/qemu_find.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define QEMU_PROGRAM      "qemu-system-x86_64"
#define QEMU_PACKAGE      "qemu-system-x86"
#define QEMU_DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static const char *qemu_find_path(void)
{
	const char *path = getenv("PATH");

	return path && *path ? path : QEMU_DEFAULT_PATH;
}

bool qemu_find_in_path(const char *program, char real[static PATH_MAX])
{
	for (const char *p = qemu_find_path(); *p; p += *p == ':') {
		size_t n = strcspn(p, ":");
		char candidate[PATH_MAX];

		if (n && p[0] == '/' &&
		    snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)n, p, program) <
			    (int)sizeof(candidate) &&
		    access(candidate, X_OK) == 0 && realpath(candidate, real))
			return true;
		p += n;
	}
	return false;
}

int qemu_find(const struct vmm_config *cfg, char real[static PATH_MAX], struct coffer_error *err)
{
	if (!cfg->qemu[0]) {
		if (qemu_find_in_path(QEMU_PROGRAM, real))
			return 0;
		return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT, QEMU_PROGRAM
			       ": not found in PATH (%.300s); install the package " QEMU_PACKAGE,
			       qemu_find_path());
	}
	if (!realpath(cfg->qemu, real) || access(real, X_OK) < 0)
		return err_sys(err, "qemu %s", cfg->qemu);
	return 0;
}

static int qemu_check_regular(int fd, const char *what, struct coffer_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "%s: descriptor %d", what, fd);
	if (!S_ISREG(st.st_mode))
		return err_invalid(err, "%s: not a regular file", what);
	if (st.st_size == 0)
		return err_invalid(err, "%s: is empty", what);
	return 0;
}

/* QEMU would take any file for an old kernel and jump into it. */
static int qemu_check_kernel(int fd, struct coffer_error *err)
{
	unsigned char head[0x206] = { 0 };
	int r = qemu_check_regular(fd, "kernel", err);

	if (r < 0)
		return r;
	if (pread(fd, head, sizeof(head), 0) < 0)
		return err_sys(err, "kernel: read");
	/* ELF, 64 bit, x86-64; or the boot protocol's mark in a bzImage */
	if (!memcmp(head, "\177ELF\2", 5) && head[18] == 62 && head[19] == 0)
		return 0;
	if (!memcmp(head + 0x202, "HdrS", 4))
		return 0;
	return err_invalid(err, "kernel: neither a bzImage nor an x86-64 ELF file");
}

static int qemu_check_disk(const struct vmm_disk *disk, struct coffer_error *err)
{
	int flags = fcntl(disk->fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(disk->fd, &st) < 0)
		return err_sys(err, "disk %s: descriptor %d", disk->serial, disk->fd);
	if (disk->nbd)
		return S_ISSOCK(st.st_mode) ? 0 : err_invalid(err, "disk %s: not a socket",
							      disk->serial);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_invalid(err, "disk %s: neither a file nor a block device", disk->serial);
	if ((flags & O_ACCMODE) != (disk->readonly ? O_RDONLY : O_RDWR))
		return err_invalid(err, "disk %s: must be opened %s", disk->serial,
				   disk->readonly ? "read-only" : "for reading and writing");
	return 0;
}

int qemu_check_files(const struct vmm_config *cfg, struct coffer_error *err)
{
	int r = qemu_check_kernel(cfg->kernel_fd, err);

	if (r == 0)
		r = qemu_check_regular(cfg->initrd_fd, "initrd", err);
	for (uint32_t i = 0; r == 0 && i < cfg->ndisks; i++)
		r = qemu_check_disk(&cfg->disks[i], err);
	return r;
}
