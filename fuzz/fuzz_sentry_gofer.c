/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_sentry_gofer.c - whatever a sentry sends, its gofer changes nothing outside of its trees
 *
 * A packet of any bytes, with up to two descriptors of a directory that is nearly empty. Beside that
 * directory lies a file that must stay as it is, and a link to it from inside.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "sentry/gofer/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char fuzz_dir[] = "/tmp/coffer-fuzz-gofer-XXXXXX";
static int fuzz_base = -1, fuzz_tree;

static void fuzz_end(void)
{
	path_remove_tree(AT_FDCWD, fuzz_dir, NULL);
}

static void fuzz_begin(void)
{
	int fd;

	if (!mkdtemp(fuzz_dir))
		abort();
	atexit(fuzz_end);
	fuzz_base = open(fuzz_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(fuzz_base, "kept", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0 || write(fd, "kept", 4) != 4 || chdir("/proc/self/fd") < 0)
		abort();
	close(fd);
	gofer_held.uid = geteuid();
}

static void fuzz_fill(void)
{
	if (mkdirat(fuzz_base, "tree", 0755) < 0 && errno != EEXIST)
		abort();
	fuzz_tree = openat(fuzz_base, "tree", O_PATH | O_DIRECTORY | O_CLOEXEC);
	mkdirat(fuzz_tree, "d", 0755);
	mknodat(fuzz_tree, "f", S_IFREG | 0644, 0);
	mknodat(fuzz_tree, "p", S_IFIFO | 0644, 0);
	symlinkat("../kept", fuzz_tree, "l");
	gofer_held.trees[0] = gofer_held.ports = fuzz_tree;
	gofer_held.ntrees = 1;
}

static void fuzz_check(void)
{
	char text[8] = "";
	struct stat st;
	int fd = openat(fuzz_base, "kept", O_RDONLY | O_CLOEXEC);

	assert(fd >= 0 && read(fd, text, sizeof(text)) == 4 && memcmp(text, "kept", 4) == 0);
	assert(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640 && st.st_nlink == 1);
	assert(st.st_uid == geteuid());
	close(fd);
	close(fuzz_tree);
	path_remove_tree(fuzz_base, "tree", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2], fds[2];
	size_t nfds;

	if (fuzz_base < 0)
		fuzz_begin();
	if (size < 2 || size > 4096)
		return 0;
	fuzz_fill();
	nfds = data[0] % 3;
	fds[0] = fuzz_tree;
	fds[1] = data[0] & 64 ? openat(fuzz_tree, "f", O_PATH | O_CLOEXEC) : fuzz_tree;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	if (io_send_fds(pair[0], data + 1, size - 1, fds, nfds) < 0)
		abort();
	if (fds[1] != fuzz_tree && fds[1] >= 0)
		close(fds[1]);
	shutdown(pair[0], SHUT_WR);
	gofer_serve(pair[1]);
	close(pair[0]);
	fuzz_check();
	return 0;
}
