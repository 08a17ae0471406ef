/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/gofer/main.c - the gofer's process, from the fork to its end
 *
 * It keeps its trees, the ports' directory and its channels, and loses all else: every other
 * descriptor, its view of the host, all capabilities but those that files of other users take, all
 * system calls but those of its lists. The threads are made before, one for each channel.
 *
 * The first thread waits for the sentry to close its end, or to say something on it, which it
 * never does, and ends the process.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOG_CATEGORY "gofer"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/ns.h"
#include "base/thread.h"
#include "sentry/gofer/wire.h"

#define MAIN_STACK   (64 * 1024)
#define MAIN_PLACE   "/proc" /* as good as any to mount over, in a mount namespace of our own */
#define MAIN_CAPS                                                                               \
	(1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID)

static const struct jail_call main_rows[] = {
	JAIL(read), /* the socket, until it ends */
};

static const struct jail_list main_calls = JAIL_LIST(main_rows);

/* Of the numbers from 0 on, all but the ones of @keep (-1: none) are closed. */
static void main_close_others(const int *keep, size_t nkeep)
{
	unsigned from = 0;

	for (;;) {
		unsigned next = ~0u;

		for (size_t i = 0; i < nkeep; i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			close_range(from, next == ~0u ? ~0u : next - 1, 0);
		if (next == ~0u)
			return;
		from = next + 1;
	}
}

/* An empty root, and the working directory in which our descriptors have names. */
static int main_enter(struct coffer_error *err)
{
	autoclose int self = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (self < 0)
		return err_sys(err, "open /proc/self/fd");
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "new mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, "make all mounts private");
	if (mount("coffer", MAIN_PLACE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		  "mode=0555,nr_inodes=1") < 0)
		return err_sys(err, "mount an empty root");
	if (chdir(MAIN_PLACE) < 0)
		return err_sys(err, "enter the empty root");
	r = ns_pivot(err);
	if (r == 0 && fchdir(self) < 0)
		r = err_sys(err, "enter /proc/self/fd");
	return r;
}

static int main_limit_caps(struct coffer_error *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = { 0 };

	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap >= 32 || !(MAIN_CAPS & (1u << cap)))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capget, &head, caps) < 0)
		return err_sys(err, "read capabilities");
	caps[0].permitted &= MAIN_CAPS;
	caps[0].effective = caps[0].permitted;
	caps[0].inheritable = caps[1].inheritable = 0;
	caps[1].permitted = caps[1].effective = 0;
	if (syscall(SYS_capset, &head, caps) < 0)
		return err_sys(err, "limit capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "set no_new_privs");
	return 0;
}

static void main_limit_files(void)
{
	const struct rlimit no_core = { 0, 0 };
	struct rlimit files;

	setrlimit(RLIMIT_CORE, &no_core);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* The C library's own calls at a thread's beginning come before the filter. */
static pthread_barrier_t main_begun;

static void *main_channel(void *data)
{
	pthread_barrier_wait(&main_begun);
	/* Out of step: the sentry would wait for ever */
	if (!gofer_serve((int)(intptr_t)data))
		_exit(1);
	return NULL;
}

/* A thread for each channel; @theirs are the sentry's ends. */
static int main_open_channels(int theirs[GOFER_CHANNELS], struct coffer_error *err)
{
	int pair[2], r;

	pthread_barrier_init(&main_begun, NULL, GOFER_CHANNELS + 1);
	for (size_t n = 0; n < GOFER_CHANNELS; n++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			return err_sys(err, "make a channel");
		theirs[n] = pair[0];
		r = thread_start(NULL, MAIN_STACK, main_channel, (void *)(intptr_t)pair[1]);
		if (r < 0)
			return err_sysn(err, r, "start a thread");
	}
	pthread_barrier_wait(&main_begun);
	return 0;
}

static int main_jail(const int *keep, size_t nkeep, int socket, struct coffer_error *err)
{
	const struct jail_list lists[] = { main_calls, gofer_serve_calls, gofer_ops_calls,
					   gofer_ports_calls };
	int theirs[GOFER_CHANNELS];
	int r = main_enter(err);

	if (r == 0)
		r = main_limit_caps(err);
	if (r < 0)
		return r;
	main_close_others(keep, nkeep);
	main_limit_files();
	r = main_open_channels(theirs, err);
	if (r == 0)
		r = jail_filter(lists, ARRAY_SIZE(lists), err);
	if (r < 0)
		return r;
	r = io_send_fds(socket, "", 1, theirs, GOFER_CHANNELS);
	for (size_t n = 0; n < GOFER_CHANNELS; n++)
		close(theirs[n]);
	return r < 0 ? err_sysn(err, r, "send the channels") : 0;
}

void gofer_main(const struct gofer_config *config, const int *trees, int socket)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int keep[GOFER_TREES_MAX + 3];
	size_t nkeep = 0;
	char c;

	mallopt(M_ARENA_MAX, 1);
	prctl(PR_SET_NAME, "coffer-gofer", 0, 0, 0);
	gofer_held.ntrees = config->ntrees;
	gofer_held.ports = config->ports_fd;
	gofer_held.uid = geteuid();
	memcpy(gofer_held.trees, trees, config->ntrees * sizeof(*trees));
	memcpy(keep, trees, config->ntrees * sizeof(*trees));
	nkeep = config->ntrees;
	keep[nkeep++] = config->ports_fd;
	keep[nkeep++] = config->log_fd >= 0 ? config->log_fd : STDERR_FILENO;
	keep[nkeep++] = socket;
	if (main_jail(keep, nkeep, socket, &err) < 0) {
		log_error("%s", err.message);
		_exit(1);
	}
	while (read(socket, &c, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}
