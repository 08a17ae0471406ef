/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's jail, each wall tried from inside in a child of its own.
 *
 * As root all walls stand; as an ordinary user without user namespaces only
 * those that need no rights, and the rest is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "vmm/jail.h"

#define CHILD_SKIP 77

/* Return: wait status of a child that ran @fn and exited with its result */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int enter_filter(void)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = jail_filter(&err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.message);
	return r < 0 ? 1 : r == 1 ? CHILD_SKIP : 0;
}

#define FORBIDDEN(name, call)                 \
	static int child_##name(void)         \
	{                                     \
		int r = enter_filter();       \
                                              \
		if (r)                        \
			return r;             \
		call;                         \
		return 0;                     \
	}

FORBIDDEN(getppid, syscall(SYS_getppid))
FORBIDDEN(openat, syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY))
FORBIDDEN(fork, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
FORBIDDEN(execve, execl("/bin/true", "true", NULL))
FORBIDDEN(kill_, kill(getppid(), 0))
FORBIDDEN(pidfd_open, syscall(SYS_pidfd_open, 1, 0))
FORBIDDEN(ptrace, ptrace(PTRACE_TRACEME, 0, 0, 0))
FORBIDDEN(ioctl, ioctl(0, 0, 0))
FORBIDDEN(inet, socket(AF_INET, SOCK_STREAM, 0))
FORBIDDEN(vsock, socket(AF_VSOCK, SOCK_STREAM, 0))
FORBIDDEN(mmap_exec, mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
FORBIDDEN(mprotect_exec, mprotect((void *)((uintptr_t)child_ioctl & ~4095ul), 4096,
				  PROT_READ | PROT_EXEC))

static void test_forbidden_calls_kill(void **state)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} calls[] = {
		{ "getppid", child_getppid }, { "openat", child_openat }, { "fork", child_fork },
		{ "execve", child_execve }, { "kill", child_kill_ },
		{ "pidfd_open", child_pidfd_open }, { "ptrace", child_ptrace },
		{ "ioctl", child_ioctl }, { "socket inet", child_inet },
		{ "socket vsock", child_vsock }, { "mmap exec", child_mmap_exec },
		{ "mprotect exec", child_mprotect_exec },
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int status = in_child(calls[i].fn);

		if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIP)
			skip();
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: wait status 0x%x", calls[i].name, status);
	}
}

static int child_allowed(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	int ep = epoll_create1(0), sv[2], r = enter_filter();
	char *p;

	if (r)
		return r;
	if (timer < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, timer, &ev) < 0 ||
	    epoll_pwait(ep, &ev, 1, 0, NULL) != 0)
		return 2;
	sv[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sv[0] < 0 || close(sv[0]) < 0)
		return 3;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || munmap(p, 4096) < 0)
		return 4;
	/* Large and small, as the allocator's ways differ. */
	free(malloc(1 << 20));
	free(malloc(100));
	return 0;
}

static void test_allowed_calls_work(void **state)
{
	int status = in_child(child_allowed);

	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIP)
		skip();
	assert_int_equal(status, 0);
}

static char dir[] = "/tmp/coffer-test-XXXXXX";

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	return path_remove_tree(AT_FDCWD, dir, NULL);
}

static bool no_caps_left(void)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct c[2];

	if (syscall(SYS_capget, &hdr, c) < 0)
		return false;
	for (int i = 0; i < 2; i++)
		if (c[i].effective | c[i].permitted | c[i].inheritable)
			return false;
	return true;
}

static bool no_bounding_set_left(void)
{
	for (unsigned long cap = 0; cap < 40; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
			return false;
	return true;
}

#define CHECK(what)                                                        \
	do {                                                               \
		if (!(what)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #what); \
			return 1;                                          \
		}                                                          \
	} while (0)

static int child_privs(void)
{
	struct privs p = { .set_ids = geteuid() == 0, .uid = 70001, .gid = 70002 };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct rlimit core;
	gid_t groups[8];

	CHECK(privs_drop(&p, &err) == 0);
	CHECK(no_caps_left());
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
	if (!p.set_ids)
		return 0;
	CHECK(no_bounding_set_left());
	CHECK(getuid() == 70001 && geteuid() == 70001);
	CHECK(getgid() == 70002 && getegid() == 70002);
	CHECK(getgroups(8, groups) == 0);
	CHECK(setresuid(0, 0, 0) < 0);
	return 0;
}

static void test_privs(void **state)
{
	assert_int_equal(in_child(child_privs), 0);
}

static int child_inside(void)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct jail j = JAIL_INIT;
	struct vmm_config cfg;
	struct stat root, up;
	bool was_root = geteuid() == 0;
	int fd, dirfd;

	vmm_config_init(&cfg);
	snprintf(cfg.vm_dir, sizeof(cfg.vm_dir), "%s", dir);
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(dirfd >= 0);
	fd = openat(dirfd, "inside", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(jail_prepare(&j, &cfg, dirfd, &err) == 0);
	if (jail_enter(&j, &cfg, &dirfd, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	CHECK(no_caps_left());
	if (was_root)
		CHECK(getuid() != 0 && getgid() != 0);
	if (!j.namespaces)
		return CHILD_SKIP;
	CHECK(access("/inside", F_OK) == 0);
	CHECK(access("/proc", F_OK) < 0 && access("/etc", F_OK) < 0);
	CHECK(fstat(dirfd, &root) == 0 && fstatat(dirfd, "..", &up, 0) == 0);
	CHECK(root.st_ino == up.st_ino && root.st_dev == up.st_dev);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0); /* the filter is not there yet ... */
	/* ... but the directory is ours to clean up */
	CHECK(unlinkat(dirfd, "inside", 0) == 0);
	return 0;
}

static void test_nothing_else_to_see(void **state)
{
	int status = in_child(child_inside);

	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIP)
		skip();
	assert_int_equal(status, 0);
}

static int child_foreign_ids(void)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct jail j = JAIL_INIT;
	struct vmm_config cfg;
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (geteuid() == 0 && setresuid(70001, 70001, 70001) < 0)
		return 1;
	vmm_config_init(&cfg);
	cfg.uid = 70009;
	CHECK(jail_prepare(&j, &cfg, dirfd, &err) == -EINVAL);
	CHECK(strcmp(err.message, "uid, gid: only root can change to other ids") == 0);
	return 0;
}

static void test_user_cannot_choose_ids(void **state)
{
	assert_int_equal(in_child(child_foreign_ids), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden_calls_kill),
		cmocka_unit_test(test_allowed_calls_work),
		cmocka_unit_test(test_privs),
		cmocka_unit_test(test_nothing_else_to_see),
		cmocka_unit_test(test_user_cannot_choose_ids),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
