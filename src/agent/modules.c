/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/modules.c - kernel modules out of the initrd
 *
 * The initrd's maker resolved dependencies and wrote a list per purpose, so
 * nothing here reads module metadata.  Modules come without the distribution's
 * signature (checking it costs as much as loading); a kernel that insists
 * answers EKEYREJECTED and gets the signed copy.
 *
 * Callers: boot.c, guestmount.c.
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
#define MODULES_LISTS	 16
#define MODULES_NAME_MAX 64
#define MODULES_LIST_MAX 4096

/* How far each list has been worked off. */
struct modules_list {
	char key[32];
	size_t done;   /* bytes */
	bool complete; /* to its end, or there is no such list */
};

static struct modules_list modules_lists[MODULES_LISTS];
static int modules_dirfd = -1;

static struct modules_list *modules_list_get(const char *key)
{
	for (size_t i = 0; i < MODULES_LISTS; i++) {
		struct modules_list *l = &modules_lists[i];

		if (!l->key[0] && strlen(key) < sizeof(l->key))
			snprintf(l->key, sizeof(l->key), "%s", key);
		if (strcmp(l->key, key) == 0)
			return l;
	}
	return NULL;
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

/* Return: whether @file, "name.ko", is the module @name */
static bool modules_is(const char *file, const char *name)
{
	size_t n = strlen(name);

	return strncmp(file, name, n) == 0 && strcmp(file + n, ".ko") == 0;
}

int modules_load(const char *key, const char *until, struct coffer_error *err)
{
	struct modules_list *list = modules_list_get(key);
	autofree char *text = NULL;
	char path[48];
	size_t len, n;
	int r, first = 0;

	if (modules_dirfd < 0)
		modules_dirfd = open(MODULES_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!list || list->complete || modules_dirfd < 0)
		return 0;
	snprintf(path, sizeof(path), "%s.list", key);
	r = io_read_file(modules_dirfd, path, MODULES_LIST_MAX, &text, &len, err);
	list->complete = r == -ENOENT || (r == 0 && !until);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while (list->done < len) {
		char *file = text + list->done;

		n = strcspn(file, "\n");
		list->done += n + (file[n] == '\n');
		file[n] = '\0';
		if (n == 0 || n >= MODULES_NAME_MAX)
			continue;
		r = modules_insert(file, first < 0 ? NULL : err);
		if (r < 0 && first == 0)
			first = r;
		if (until && modules_is(file, until))
			break;
	}
	return first;
}

void modules_load_for_filesystem(const char *type)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	/* The type comes from a request: a list's name and nothing else. */
	if (!*type || strchr(type, '/') || strcmp(type, "core") == 0)
		return;
	if (modules_load(type, NULL, &err) < 0)
		log_warning("%s: %s", type, err.message);
}
