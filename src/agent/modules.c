/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/modules.c - kernel modules out of the initrd
 *
 * The initrd's maker resolved dependencies and wrote a list per purpose, so
 * nothing here reads module metadata.  Modules come without the distribution's
 * signature (checking it costs as much as loading); a kernel that insists
 * answers EKEYREJECTED and gets the signed copy.
 *
 * Callers: boot.c, guestmount.c, process.c.
 */
#define LOG_CATEGORY "modules"
#include "agent/modules.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

#define MODULES_DIR	 "/modules"
#define MODULES_DISK	 "/dev/vd"
#define MODULES_LISTS	 16
#define MODULES_KEY_MAX	 32
#define MODULES_NAME_MAX 64
#define MODULES_LIST_MAX 4096

/* Keys whose lists have been worked off. */
static char modules_loaded[MODULES_LISTS][MODULES_KEY_MAX];
static int modules_dirfd = -1;

/* Return: whether @key is new, and remembered now if there is room */
static bool modules_first_time(const char *key)
{
	for (size_t i = 0; i < MODULES_LISTS; i++) {
		if (strcmp(modules_loaded[i], key) == 0)
			return false;
		if (!modules_loaded[i][0]) {
			snprintf(modules_loaded[i], MODULES_KEY_MAX, "%s", key);
			break;
		}
	}
	return true;
}

static int modules_insert_file(const char *path)
{
	autoclose int fd = openat(modules_dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST ? -errno : 0;
}

static int modules_insert(const char *file, struct coffer_error *err)
{
	char path[MODULES_NAME_MAX + sizeof("signed/")];
	usec_t start = clock_now();
	int r;

	r = modules_insert_file(file);
	if (r == -EKEYREJECTED) {
		snprintf(path, sizeof(path), "signed/%s", file);
		r = modules_insert_file(path);
	}
	if (r < 0)
		return err_sysn(err, r, "load module %s", file);
	log_debug("%s: %" PRIu64 " us", file, clock_now() - start);
	return 0;
}

int modules_load(const char *key, struct coffer_error *err)
{
	char path[MODULES_KEY_MAX + sizeof(".list")];
	autofree char *text = NULL;
	int r, first = 0;

	if (modules_dirfd < 0)
		modules_dirfd = open(MODULES_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (modules_dirfd < 0 || strlen(key) >= MODULES_KEY_MAX)
		return 0;
	snprintf(path, sizeof(path), "%s.list", key);
	/* Most file systems are built in and have no list. */
	if (faccessat(modules_dirfd, path, F_OK, 0) < 0 || !modules_first_time(key))
		return 0;
	r = io_read_file(modules_dirfd, path, MODULES_LIST_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	for (char *save = NULL, *file = strtok_r(text, "\n", &save); file;
	     file = strtok_r(NULL, "\n", &save)) {
		r = modules_insert(file, first < 0 ? NULL : err);
		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}

static void modules_load_or_log(const char *key)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (modules_load(key, &err) < 0)
		log_warning("%s: %s", key, err.message);
}

void modules_load_for_mount(const char *type, const char *source)
{
	/* The type comes from a request: a list's name and nothing else. */
	if (type && *type && !strchr(type, '/'))
		modules_load_or_log(type);
	if (source && strncmp(source, MODULES_DISK, strlen(MODULES_DISK)) == 0)
		modules_load_or_log("block");
}
