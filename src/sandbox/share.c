/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/share.c - which directories become devices
 *
 * A directory is known by its inode and the mount it was reached through: the
 * same one through a read-only mount is another.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox/sandbox.h"

static int share_identify(int fd, struct statx *st, struct coffer_error *err)
{
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_MNT_ID, st) < 0)
		return err_sys(err, "share: descriptor %d", fd);
	if (!S_ISDIR(st->stx_mode))
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOTDIR, "share: not a directory");
	return 0;
}

static bool share_is_same(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor && a->stx_mnt_id == b->stx_mnt_id;
}

int sandbox_config_share_file(struct sandbox_config *config, int fd, const char *file,
			      bool read_only, const char **tag, struct coffer_error *err)
{
	struct sandbox_share *share;
	struct statx want, have;
	int r = share_identify(fd, &want, err);

	for (unsigned i = 0; r == 0 && i < config->nshares; i++) {
		share = &config->shares[i];
		r = share_identify(share->fd, &have, err);
		if (r < 0 || !share_is_same(&want, &have) || strcmp(share->file, file) != 0)
			continue;
		share->read_only &= read_only;
		*tag = share->tag;
		return 0;
	}
	if (r < 0)
		return r;
	if (strlen(file) >= sizeof(share->file) || strchr(file, '/'))
		return err_invalid(err, "share: %.300s: not the name of a file", file);
	if (config->nshares == SANDBOX_SHARES_MAX ||
	    config->nshares + config->ndisks == SANDBOX_DEVICES_MAX)
		return err_set(
		    err, COFFER_ERR_INVALID_ARGUMENT, ENOSPC,
		    "more than %d shared directories, or %d disks and shared directories",
		    SANDBOX_SHARES_MAX, SANDBOX_DEVICES_MAX);
	share = &config->shares[config->nshares];
	*share = (struct sandbox_share){ .fd = fd, .read_only = read_only };
	snprintf(share->file, sizeof(share->file), "%s", file);
	snprintf(share->tag, sizeof(share->tag), "share%u", config->nshares);
	config->nshares++;
	*tag = share->tag;
	return 0;
}

int sandbox_config_share(struct sandbox_config *config, int fd, bool read_only, const char **tag,
			 struct coffer_error *err)
{
	return sandbox_config_share_file(config, fd, "", read_only, tag, err);
}
