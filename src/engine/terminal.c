/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/terminal.c - a pseudo terminal out of the container's own devpts
 *
 * Out of its own, so that the program sees the name it has: ttyname() works
 * and /dev/pts/0 exists.  The path is the container's to fake, so what was
 * opened is checked to be the multiplexer of a devpts; the other end is taken
 * from the master itself and not by a name.
 *
 * Callers: the child's stages, for init and for exec.
 */
#include "engine/terminal.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/mount.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/* That of a container's devpts is open to all. The host's, which is met by what stays in the host's
 * mounts, mostly has no rights at all: /dev/ptmx has them. */
static int terminal_open_ptmx(int rootfd, struct coffer_error *err)
{
	static const char *const paths[] = { "/dev/pts/ptmx", "/dev/ptmx" };
	autoclose int fd = -1;
	struct stat st;

	/* Not blocking in case it is a pipe; cleared below. */
	for (size_t i = 0; i < ARRAY_SIZE(paths) && (i == 0 || fd == -EACCES); i++) {
		err_clear(err);
		fd = path_open_in_root(rootfd, paths[i], O_RDWR | O_NOCTTY | O_NONBLOCK, 0, err);
	}
	if (fd < 0)
		return fd;
	/* A device of this number is the multiplexer of some devpts, wherever it lies. */
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat /dev/pts/ptmx");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return err_invalid(err, "/dev/pts/ptmx is not that of a devpts");
	if (fcntl(fd, F_SETFL, O_RDWR) < 0)
		return err_sys(err, "set up /dev/pts/ptmx");
	return steal_fd(&fd);
}

int terminal_open(int rootfd, const struct oci_process *process, struct terminal *out,
		  struct coffer_error *err)
{
	const struct oci_console_size *size = process->console_size;
	autoclose int ptmx = terminal_open_ptmx(rootfd, err), pts = -1;
	int locked = 0;

	if (ptmx < 0)
		return ptmx;
	if (ioctl(ptmx, TIOCSPTLCK, &locked) < 0)
		return err_sys(err, "unlock the terminal");
	pts = ioctl(ptmx, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pts < 0)
		return err_sys(err, "open the terminal");
	if (size && size->height && size->width) {
		struct winsize ws = { .ws_row = (unsigned short)size->height,
				      .ws_col = (unsigned short)size->width };

		if (size->height > 0xffff || size->width > 0xffff)
			return err_invalid(err, "process.consoleSize: %u x %u is too large",
					   size->height, size->width);
		if (ioctl(ptmx, TIOCSWINSZ, &ws) < 0)
			return err_sys(err, "process.consoleSize: set");
	}
	/* The group stays that of the mount (gid=5, tty). */
	if (process->user.uid != 0 && fchown(pts, process->user.uid, (gid_t)-1) < 0)
		return err_sys(err, "give the terminal to uid %u", process->user.uid);
	*out = (struct terminal){ .ptmx = steal_fd(&ptmx), .pts = steal_fd(&pts) };
	return 0;
}

int terminal_bind_console(const struct terminal *t, int rootfd, struct coffer_error *err)
{
	autoclose int target = mount_target_itself(rootfd, "/dev/console", false, err);
	autoclose int tree = -1;

	if (target < 0)
		return target;
	tree = open_tree(t->pts, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 || mount_attach(tree, target) < 0)
		return err_sys(err, "bind /dev/console");
	return 0;
}

int terminal_control(const struct terminal *t, struct coffer_error *err)
{
	if (ioctl(t->pts, TIOCSCTTY, 0) < 0)
		return err_sys(err, "take the controlling terminal");
	return 0;
}
