/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/volume.c - directories that have a name and outlive containers
 *
 * $COFFER_DATA/volumes/<name> and nothing else: a volume is there when its
 * directory is, and any number of containers may have it at once.
 */
#include "container/volume.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/paths.h"

#define VOLUME_NAME_MAX 128

int volume_check_name(const char *name, struct coffer_error *err)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789";
	static const char further[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";
	size_t n = strspn(name, further);

	if (n == 0 || n > VOLUME_NAME_MAX || name[n] || !strchr(first, *name))
		return err_invalid(err,
				   "volume %.200s: must be 1 to %d of a-z A-Z 0-9 _ . -, "
				   "the first one a letter or digit",
				   name, VOLUME_NAME_MAX);
	return 0;
}

int volume_open(const char *name, struct coffer_error *err)
{
	autofree char *data = NULL, *folder = NULL;
	autoclose int dir = -1;
	struct stat st;
	int r = paths_find_home(&data, err), fd;

	if (r < 0)
		return r;
	folder = path_join(data, "volumes");
	if (!folder)
		return err_nomem(err);
	/* Only its owner gets through to the volumes, whose own modes are the containers'. */
	r = path_mkdirs(folder, 0700, err);
	if (r < 0)
		return err_wrap(err, "volume %s", name);
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0)
		return err_sys(err, "volume %s: %s", name, folder);
	if (st.st_uid != geteuid())
		return err_sysn(err, EPERM, "volume %s: %s is somebody else's", name, folder);
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "volume %s: make %s/%s", name, folder, name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "volume %s: %s/%s", name, folder, name) : fd;
}
