/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/process.c - the stages that init and exec have in common
 *
 * From "everything is set up" to execve: wait for the parent, put on the
 * descriptors, the limits, the user.  The table that orders them is in init.c.
 *
 * Descriptors: every one of the parent's is really closed before the working
 * directory is entered, because a directory named /proc/self/fd/N would
 * otherwise lead out of the root; the one socket left dies at execve.  And
 * before the parent sets limits: after that no new one is needed.
 *
 * Callers: init.c only.
 */
#include "engine/init.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/device.h"
#include "engine/home.h"
#include "engine/program.h"
#include "engine/scheduling.h"
#include "engine/sync.h"
#include "engine/user.h"

/* Above the descriptors the program inherits, once all others are closed. */
enum {
	PROCESS_SOCK,
	PROCESS_GATE,
	PROCESS_PTMX,
	PROCESS_FDS,
};

int process_stage_terminal(struct init *i, struct coffer_error *err)
{
	int r;

	if (!i->process->terminal)
		return 0;
	r = terminal_open(i->rootfd, i->process, &i->terminal, err);
	if (r == 0)
		i->stdio = (struct engine_stdio){ i->terminal.pts, i->terminal.pts,
						  i->terminal.pts };
	return r;
}

/*
 * The container's own null device in place of the host's, whose owner and mode root could change
 * by its descriptor. What bears the name may be anything: not blocking, in case it is a pipe.
 */
static int process_replace_null(const struct init *i, int std, struct coffer_error *err)
{
	autoclose int null = path_open_in_root(i->rootfd, "/dev/null",
					       O_RDWR | O_NOCTTY | O_NONBLOCK, 0, err);
	struct stat st;

	if (null < 0)
		return null;
	if (fstat(null, &st) < 0 || !device_is_null(&st))
		return err_invalid(err, "/dev/null of the container is something else");
	if (fcntl(null, F_SETFL, O_RDWR) < 0 || dup2(null, std) < 0)
		return err_sys(err, "place /dev/null");
	return 0;
}

static int process_own_std(const struct init *i, int std, struct coffer_error *err)
{
	uid_t uid = i->process->user.uid;
	struct stat st;

	if (i->process->terminal || fstat(std, &st) < 0)
		return 0;
	/*
	 * A pipe as stdout is opened again by programs that write to /dev/stdout. Best effort: in a
	 * user namespace it may belong to nobody there.
	 */
	if (S_ISFIFO(st.st_mode) && uid != 0 && fchown(std, uid, (gid_t)-1) < 0)
		return 0;
	return device_is_null(&st) ? process_replace_null(i, std, err) : 0;
}

static int process_slot(const struct init *i, int slot)
{
	return 3 + (int)i->preserve_fds + slot;
}

/* Take @fd to a number above all that are given out below. */
static int process_lift(const struct init *i, int *fd, struct coffer_error *err)
{
	int high;

	if (*fd < 0)
		return 0;
	high = fcntl(*fd, F_DUPFD_CLOEXEC, process_slot(i, PROCESS_FDS));
	if (high < 0)
		return err_sys(err, "duplicate descriptor %d", *fd);
	*fd = high;
	return 0;
}

static int process_place_std(struct init *i, struct coffer_error *err)
{
	int *const given[3] = { &i->stdio.in, &i->stdio.out, &i->stdio.err };
	int r = 0;

	/* First all out of the way: one may be another's target. */
	for (int std = 0; r == 0 && std < 3; std++)
		r = process_lift(i, given[std], err);
	for (int std = 0; r == 0 && std < 3; std++) {
		if (dup2(*given[std], std) < 0)
			return err_sys(err, "place descriptor %d", std);
		r = process_own_std(i, std, err);
	}
	return r;
}

/* Our own to their slots, which they leave before execve at the latest; all above are closed. */
static int process_place_own(struct init *i, struct coffer_error *err)
{
	int *const own[PROCESS_FDS] = {
		[PROCESS_SOCK] = i->sock,
		[PROCESS_GATE] = &i->gate,
		[PROCESS_PTMX] = &i->terminal.ptmx,
	};

	for (int slot = 0; slot < PROCESS_FDS; slot++) {
		int fd = process_slot(i, slot);

		if (*own[slot] < 0) {
			close(fd);
			continue;
		}
		if (dup3(*own[slot], fd, O_CLOEXEC) < 0)
			return err_sys(err, "place descriptor %d", fd);
		*own[slot] = fd;
	}
	if (syscall(SYS_close_range, process_slot(i, PROCESS_FDS), ~0U, 0) < 0)
		return err_sys(err, "close all other descriptors");
	return 0;
}

int process_stage_descriptors(struct init *i, struct coffer_error *err)
{
	int r = i->process->terminal ? terminal_control(&i->terminal, err) : 0;

	if (r == 0)
		r = process_lift(i, i->sock, err);
	if (r == 0)
		r = process_lift(i, &i->gate, err);
	if (r == 0)
		r = process_lift(i, &i->terminal.ptmx, err);
	if (r == 0)
		r = process_place_std(i, err);
	return r < 0 ? r : process_place_own(i, err);
}

/*
 * Wait for a connection that tells to go.  One that only looks whether we are still here says
 * nothing and is let go.
 */
static int process_pass_gate(struct init *i, struct coffer_error *err)
{
	struct sync_msg msg;
	int r, fd = -1, sock;

	close_fd(i->sock);
	for (;;) {
		sock = accept4(i->gate, NULL, NULL, SOCK_CLOEXEC);
		if (sock < 0)
			return err_sys(err, "wait at the gate");
		r = sync_recv(sock, &msg, &fd);
		close_fd(&fd);
		if (r == SYNC_CONTINUE)
			break;
		close(sock);
	}
	close_fd(&i->gate);
	*i->sock = sock;
	return 0;
}

int process_stage_ready(struct init *i, struct coffer_error *err)
{
	int r;

	/* From here to the answer the socket's end tells of the parent's; after it we live on. */
	if (prctl(PR_SET_PDEATHSIG, 0) < 0)
		return err_sys(err, "outlive the parent");
	r = sync_ask(*i->sock, SYNC_CREATED, i->terminal.ptmx, err);
	close_fd(&i->terminal.ptmx);
	if (r < 0)
		return r;
	return i->gate < 0 ? 0 : process_pass_gate(i, err);
}

int process_stage_keyring(struct init *i, struct coffer_error *err)
{
	char name[128];

	if (i->no_new_keyring)
		return 0;
	snprintf(name, sizeof(name), "_ses.%s", i->id);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 && errno != ENOSYS)
		return err_sys(err, "join session keyring");
	return 0;
}

int process_stage_scheduling(struct init *i, struct coffer_error *err)
{
	int r = scheduling_apply(i->process, err);

	return r < 0 ? r : scheduling_apply_personality(i->spec->linux_->personality, err);
}

static int process_enter_cwd(const struct init *i, struct coffer_error *err)
{
	char cwd[PATH_MAX];

	if (chdir(i->process->cwd) < 0)
		return err_sys(err, "change to %s", i->process->cwd);
	if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/')
		return err_invalid(err, "%s is outside of the container's root", i->process->cwd);
	return 0;
}

int process_stage_directory(struct init *i, struct coffer_error *err)
{
	int r = process_enter_cwd(i, err);

	/* A file system that trusts only its user: again as that user. */
	i->cwd_later = r == -EACCES;
	return i->cwd_later ? 0 : r;
}

int process_stage_find(struct init *i, struct coffer_error *err)
{
	int r = home_complete(i->process, &i->env, err);

	/* One that only its user may look at is left to execve. */
	return r < 0 || i->cwd_later || !i->find_program ? r : program_find(i->process, err);
}

int process_stage_bounding(struct init *i, struct coffer_error *err)
{
	return caps_limit_bounding(&i->caps, err);
}

static int process_load_filter(const struct init *i, struct coffer_error *err)
{
	int listener;
	int r = seccomp_apply(i->seccomp, &listener, err);

	return r < 0 || listener < 0 ? r : sync_pass_listener(*i->sock, listener, err);
}

int process_stage_seccomp(struct init *i, struct coffer_error *err)
{
	return i->process->no_new_privileges ? 0 : process_load_filter(i, err);
}

int process_stage_user(struct init *i, struct coffer_error *err)
{
	int r;

	r = caps_keep(err);
	if (r == 0)
		r = user_apply(&i->process->user, user_keeps_groups(i->spec), err);
	if (r == 0 && i->cwd_later)
		r = process_enter_cwd(i, err);
	return r;
}

int process_stage_capabilities(struct init *i, struct coffer_error *err)
{
	return caps_apply(&i->caps, err);
}

int process_stage_no_new_privs(struct init *i, struct coffer_error *err)
{
	int r;

	/* The last words but an error; a filter may forbid more. */
	r = sync_send(*i->sock, SYNC_EXEC, 0, -1);
	if (r < 0)
		return err_sysn(err, r, "report to parent");
	if (!i->process->no_new_privileges)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "set no_new_privs");
	r = process_load_filter(i, err);
	return r < 0 ? err_wrap(err, "seccomp") : 0;
}

int process_stage_execute(struct init *i, struct coffer_error *err)
{
	return program_execute(i->process, i->env, err);
}
