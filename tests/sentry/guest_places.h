/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/sentry/guest_places.h - each case twice, in an empty directory of its own: in memory and on a
 * file system of the host
 */
#ifndef TESTS_SENTRY_GUEST_PLACES_H
#define TESTS_SENTRY_GUEST_PLACES_H

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

#include "guest.h"

static const struct guest_case *guest_chosen;

static inline void guest_remove_all(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char below[PATH_MAX];

	while (dir && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, e->d_name) >= (int)sizeof(below))
			continue;
		if (e->d_type == DT_DIR)
			guest_remove_all(below);
		else
			unlink(below);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static inline void guest_in_places(void)
{
	static const char *const places[] = { "/dev/shm", "/tmp" };

	for (size_t i = 0; i < COUNT(places); i++) {
		char dir[64];
		int status;

		snprintf(dir, sizeof(dir), "%s/guest-XXXXXX", places[i]);
		printf("-- %s\n", places[i]);
		fflush(stdout);
		if (!mkdtemp(dir) || chmod(dir, 0777) < 0)
			printf("%s: %s\n", dir, strerrorname_np(errno));
		pid_t pid = fork();

		if (pid == 0) {
			alarm(120);
			if (chdir(dir) == 0)
				guest_chosen->fn();
			fflush(stdout);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		guest_show_status(guest_chosen->name, status);
		guest_remove_all(dir);
	}
}

static inline void guest_run_places(const struct guest_case *cases, size_t n, int argc, char **argv)
{
	for (size_t i = 0; i < n; i++) {
		struct guest_case one = { cases[i].name, guest_in_places };

		guest_chosen = &cases[i];
		guest_run(&one, 1, argc, argv);
	}
}

#endif /* TESTS_SENTRY_GUEST_PLACES_H */
