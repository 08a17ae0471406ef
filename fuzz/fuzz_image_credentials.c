/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's config.json; there is no helper to be found. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/credentials.h"

static const char *input_file(const uint8_t *data, size_t size)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("config", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		setenv("PATH", "/nonexistent", 1);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const registries[] = { "docker.io", "r.example:5000" };
	const char *file = input_file(data, size);

	for (size_t i = 0; i < ARRAY_SIZE(registries); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct credentials c;
		int r = credentials_find(file, registries[i], &c, &err);

		if (r < 0 && (err.kind == COFFER_ERR_NONE || !err.message[0] || c.user || c.token))
			abort();
		credentials_free(&c);
	}
	return 0;
}
