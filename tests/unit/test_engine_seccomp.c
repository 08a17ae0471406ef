/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp profiles as the kernel understands them: calls of a child with the filter loaded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/seccomp_filter.h"
#include "engine/sync.h"

/* Written by the child, which then needs no system call to tell. */
static struct shared {
	long got[64];
	int n;
	int trapped; /* number of the call that SIGSYS came for */
} *shared;

static char last_log[512];

static void test_sink(enum log_level level, const char *category, const char *msg, void *data)
{
	snprintf(last_log, sizeof(last_log), "%s", msg);
}

static int compile(const char *profile, struct seccomp_filter *f, struct coffer_error *err)
{
	static const char frame[] =
		"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\","
		"\"args\":[\"a\"],\"user\":{\"uid\":0,\"gid\":0}},\"linux\":{\"seccomp\":%s}}";
	struct buf doc = BUF_INIT(1 << 20);
	struct oci_spec *spec = NULL;
	int r;

	memset(f, 0, sizeof(*f));
	assert_int_equal(buf_printf(&doc, frame, profile), 0);
	r = oci_spec_parse((const char *)buf_data(&doc), doc.len, &spec, err);
	if (r == 0)
		r = oci_spec_validate(spec, err);
	if (r == 0)
		r = seccomp_compile(spec->linux_->seccomp, f, err);
	oci_spec_free(spec);
	buf_free(&doc);
	return r;
}

static void must_compile(const char *profile, struct seccomp_filter *f)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (compile(profile, f, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(f->n > 0);
}

/* What the kernel said to a call: its value or the negative errno. */
static long raw(long nr, long a, long b, long c)
{
	long r = syscall(nr, a, b, c, 0, 0, 0);

	return r == -1 ? -errno : r;
}

static void note(long value)
{
	shared->got[shared->n++] = value;
}

static pid_t start_under(const char *profile, void (*calls)(void), bool traced)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct seccomp_filter f;
	int listener;
	pid_t pid;

	must_compile(profile, &f);
	memset(shared, 0, sizeof(*shared));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (traced && (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0))
			_exit(99);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_apply(&f, &listener, &err) < 0)
			_exit(98);
		calls();
		/* Nothing else that a sanitizer would do on the way out. */
		syscall(SYS_exit_group, 0);
	}
	seccomp_filter_free(&f);
	return pid;
}

/* Return: wait status of a child that made @calls */
static int run_under(const char *profile, void (*calls)(void))
{
	pid_t pid = start_under(profile, calls, false);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_killed(int status)
{
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

#define PROFILE(default_, rules) \
	"{\"defaultAction\":\"SCMP_ACT_" default_ "\",\"syscalls\":[" rules "]}"
#define RULE(action, name) "{\"names\":[\"" name "\"],\"action\":\"SCMP_ACT_" action "\"}"
#define ERRNO(name, n) \
	"{\"names\":[\"" name "\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":" #n "}"
#define EXIT_ALLOWED RULE("ALLOW", "exit_group") ","

/* ---- actions ---- */

static void call_getppid(void)
{
	note(raw(SYS_getppid, 0, 0, 0));
}

static void test_errno(void **state)
{
	assert_int_equal(run_under(PROFILE("ALLOW", ERRNO("getppid", 71)), call_getppid), 0);
	assert_int_equal(shared->got[0], -71);
	assert_int_equal(run_under(PROFILE("ALLOW", RULE("ERRNO", "getppid")), call_getppid), 0);
	assert_int_equal(shared->got[0], -EPERM);
	/* 0 is a value like others: the call does nothing and succeeds. */
	assert_int_equal(run_under(PROFILE("ALLOW", ERRNO("getppid", 0)), call_getppid), 0);
	assert_int_equal(shared->got[0], 0);
}

static void test_allow_and_log(void **state)
{
	assert_int_equal(run_under(PROFILE("ALLOW", RULE("LOG", "getppid")), call_getppid), 0);
	assert_int_equal(shared->got[0], getpid());
	assert_int_equal(run_under("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":9,"
				   "\"syscalls\":[" RULE("ALLOW", "exit_group") "]}",
				   call_getppid),
			 0);
	assert_int_equal(shared->got[0], -EBADF);
	assert_int_equal(run_under(PROFILE("ERRNO", EXIT_ALLOWED RULE("ALLOW", "getppid")),
				   call_getppid),
			 0);
	assert_int_equal(shared->got[0], getpid());
}

static void test_kill(void **state)
{
	assert_killed(run_under(PROFILE("ALLOW", RULE("KILL", "getppid")), call_getppid));
	assert_killed(run_under(PROFILE("ALLOW", RULE("KILL_THREAD", "getppid")), call_getppid));
	assert_killed(run_under(PROFILE("ALLOW", RULE("KILL_PROCESS", "getppid")), call_getppid));
	assert_int_equal(shared->n, 0);
	assert_killed(run_under(PROFILE("KILL_PROCESS", RULE("ALLOW", "getppid")), call_getppid));
	assert_int_equal(shared->got[0], getpid());
}

static void on_sigsys(int sig, siginfo_t *si, void *context)
{
	shared->trapped = si->si_syscall;
}

static void call_trapped(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &sa, NULL);
	syscall(SYS_getppid);
	note(shared->trapped);
}

static void test_trap(void **state)
{
	assert_int_equal(run_under(PROFILE("ALLOW", RULE("TRAP", "getppid")), call_trapped), 0);
	assert_int_equal(shared->got[0], SYS_getppid);
}

static void test_trace(void **state)
{
	static const char profile[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getppid\"],"
		"\"action\":\"SCMP_ACT_TRACE\",\"errnoRet\":4242}]}";
	unsigned long message = 0;
	int status;
	pid_t pid;

	/* Nobody traces. */
	assert_int_equal(run_under(profile, call_getppid), 0);
	assert_int_equal(shared->got[0], -ENOSYS);
	pid = start_under(profile, call_getppid, true);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESECCOMP), 0);
	assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status >> 8, SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
	assert_int_equal(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &message), 0);
	assert_int_equal(message, 4242);
	assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(shared->got[0], getpid());
}

/* ---- somebody else answers ---- */

static void __attribute__((noreturn)) ask_agent(const struct seccomp_filter *f, int sock)
{
	int listener;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_apply(f, &listener, NULL) < 0 ||
	    sync_pass_listener(sock, listener, NULL) < 0)
		syscall(SYS_exit_group, 98);
	note(raw(SYS_getppid, 17, 0, 0));
	syscall(SYS_exit_group, 0);
	__builtin_unreachable();
}

static void answer_one(int listener, pid_t pid)
{
	struct seccomp_notif ask = { 0 };
	struct seccomp_notif_resp answer = { .val = 4711 };

	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask), 0);
	assert_int_equal(ask.pid, pid);
	assert_int_equal(ask.data.nr, SYS_getppid);
	assert_int_equal(ask.data.args[0], 17);
	answer.id = ask.id;
	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
}

/* @sent: the parent may not take the listener out of the child */
static void check_notify(bool sent)
{
	struct seccomp_filter f;
	struct sync_msg msg;
	int pair[2], listener, pidfd, status;
	pid_t pid;

	must_compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\",\"flags\":["
		     "\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],"
		     "\"syscalls\":[" RULE("NOTIFY", "getppid") "]}",
		     &f);
	memset(shared, 0, sizeof(*shared));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		ask_agent(&f, pair[1]);
	close(pair[1]);
	assert_int_equal(sync_recv(pair[0], &msg, &listener), SYNC_LISTENER);
	if (sent) {
		assert_int_equal(sync_send(pair[0], SYNC_LISTENER, 0, -1), 0);
		assert_int_equal(sync_recv(pair[0], &msg, &listener), SYNC_LISTENER);
	} else {
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		listener = (int)syscall(SYS_pidfd_getfd, pidfd, msg.pid, 0);
		close(pidfd);
	}
	assert_true(listener >= 0);
	assert_int_equal(sync_send(pair[0], SYNC_CONTINUE, 0, -1), 0);
	answer_one(listener, pid);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(shared->got[0], 4711);
	close(listener);
	close(pair[0]);
	seccomp_filter_free(&f);
}

static void test_notify(void **state)
{
	check_notify(false);
	check_notify(true);
}

/* ---- arguments ---- */

/* Above, below and beside the interesting borders of 32 and 64 bits. */
static const uint64_t values[] = {
	0, 1, 2, 7, 8, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x100000000,
	0x100000001, 0x1ffffffff, 0x200000000, 0x8000000000000000, 0x8000000000000001,
	0xfffffffffffffffe, 0xffffffffffffffff,
};

static void call_values(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		note(raw(SYS_getppid, 5, (long)values[i], 6));
}

static bool holds(const char *op, uint64_t arg, uint64_t a, uint64_t b)
{
	return strcmp(op, "NE") == 0 ? arg != a :
	       strcmp(op, "LT") == 0 ? arg < a :
	       strcmp(op, "LE") == 0 ? arg <= a :
	       strcmp(op, "EQ") == 0 ? arg == a :
	       strcmp(op, "GE") == 0 ? arg >= a :
	       strcmp(op, "GT") == 0 ? arg > a :
				       (arg & a) == (b & a);
}

static void check_operator(const char *op, uint64_t a, uint64_t b)
{
	char profile[512];

	snprintf(profile, sizeof(profile),
		 "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getppid\"],"
		 "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":71,\"args\":[{\"index\":1,"
		 "\"value\":%llu,\"valueTwo\":%llu,\"op\":\"SCMP_CMP_%s\"}]}]}",
		 (unsigned long long)a, (unsigned long long)b, op);
	assert_int_equal(run_under(profile, call_values), 0);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		bool is = shared->got[i] == -71;

		if (is != holds(op, values[i], a, b))
			fail_msg("%#llx %s %#llx,%#llx: %d", (unsigned long long)values[i], op,
				 (unsigned long long)a, (unsigned long long)b, is);
	}
}

static void test_operators(void **state)
{
	static const char *const ops[] = { "NE", "LT", "LE", "EQ", "GE", "GT" };

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		for (size_t k = 0; k < ARRAY_SIZE(values); k += i % 2 ? 1 : 2)
			check_operator(ops[i], values[k], 0);
	check_operator("MASKED_EQ", 0xffffffff, 1);
	check_operator("MASKED_EQ", 0x100000001, 0x100000000);
	check_operator("MASKED_EQ", 0x8000000000000001, 0x8000000000000000);
	check_operator("MASKED_EQ", 0, 0);
	check_operator("MASKED_EQ", 1, 2);
	check_operator("MASKED_EQ", 6, 0);
	check_operator("MASKED_EQ", 1, 0x100000003);
}

static void call_pairs(void)
{
	note(raw(SYS_getppid, 1, 2, 3));
	note(raw(SYS_getppid, 1, 9, 3));
	note(raw(SYS_getppid, 9, 2, 3));
	note(raw(SYS_getppid, 3, 2, 3));
}

#define EQ(index, value) "{\"index\":" #index ",\"value\":" #value ",\"op\":\"SCMP_CMP_EQ\"}"

static void test_conditions_together(void **state)
{
	int us = getpid();

	assert_int_equal(run_under(PROFILE("ALLOW", "{\"names\":[\"getppid\"],\"action\":"
						    "\"SCMP_ACT_ERRNO\",\"args\":[" EQ(0, 1) "," EQ(
							    1, 2) "," EQ(2, 3) "]}"),
				   call_pairs),
			 0);
	assert_int_equal(shared->got[0], -EPERM);
	assert_int_equal(shared->got[1], us);
	assert_int_equal(shared->got[2], us);
	/* Two for one argument: each for itself. */
	assert_int_equal(run_under(PROFILE("ALLOW", "{\"names\":[\"getppid\"],\"action\":"
						    "\"SCMP_ACT_ERRNO\",\"args\":[" EQ(0, 1) "," EQ(
							    0, 3) "]}"),
				   call_pairs),
			 0);
	assert_int_equal(shared->got[0], -EPERM);
	assert_int_equal(shared->got[1], -EPERM);
	assert_int_equal(shared->got[2], us);
	assert_int_equal(shared->got[3], -EPERM);
}

#define IF(action, errno_, index, value)                                         \
	"{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_" action "\"" errno_ "," \
	"\"args\":[" EQ(index, value) "]}"

static void test_several_rules(void **state)
{
	int us = getpid();

	/* Whatever the order, the strictest that holds. */
	assert_int_equal(run_under(PROFILE("ERRNO", EXIT_ALLOWED IF("ALLOW", "", 1, 2)
					   "," IF("ERRNO", ",\"errnoRet\":71", 0, 1)),
				   call_pairs),
			 0);
	assert_int_equal(shared->got[0], -71);
	assert_int_equal(shared->got[1], -71);
	assert_int_equal(shared->got[2], us);
	/* A condition that is stricter than what holds without one. */
	assert_int_equal(run_under(PROFILE("ERRNO", EXIT_ALLOWED RULE("ALLOW", "getppid")
					   "," IF("ERRNO", ",\"errnoRet\":71", 0, 1)),
				   call_pairs),
			 0);
	assert_int_equal(shared->got[0], -71);
	assert_int_equal(shared->got[2], us);
	/* More lenient than that: void. Of two without conditions the first one stands. */
	assert_int_equal(run_under(PROFILE("ALLOW", ERRNO("getppid", 5) ","
					   IF("ALLOW", "", 0, 1) "," ERRNO("getppid", 6)),
				   call_pairs),
			 0);
	assert_int_equal(shared->got[0], -5);
	assert_int_equal(shared->got[3], -5);
	/* The same without conditions, the default last: as if it were not there. */
	assert_int_equal(run_under(PROFILE("ERRNO", EXIT_ALLOWED RULE("ALLOW", "getppid")
					   "," RULE("ERRNO", "getppid")),
				   call_pairs),
			 0);
	assert_int_equal(shared->got[0], us);
}

/* ---- numbers ---- */

static void call_new_ones(void)
{
	note(raw(436, 0, 0, 0));
	note(raw(437, 0, 0, 0));
	note(raw(438, 0, 0, 0));
	note(raw(470, 0, 0, 0));
	note(raw(4096, 0, 0, 0));
	note(raw(-1, 0, 0, 0));
}

static void test_newer_than_the_profile(void **state)
{
	/* 437 is openat2; exit_group is below. */
	assert_int_equal(run_under(PROFILE("ERRNO", EXIT_ALLOWED ERRNO("openat2", 71)),
				   call_new_ones),
			 0);
	assert_int_equal(shared->got[0], -EPERM);
	assert_int_equal(shared->got[1], -71);
	assert_int_equal(shared->got[2], -ENOSYS);
	assert_int_equal(shared->got[3], -ENOSYS);
	assert_int_equal(shared->got[4], -ENOSYS);
	assert_int_equal(shared->got[5], -EPERM); /* what a tracer leaves of a skipped call */
	/* A call that the profile names as what happens anyway is known to it, too. */
	assert_int_equal(run_under(PROFILE("ERRNO", EXIT_ALLOWED RULE("ERRNO", "openat2")),
				   call_new_ones),
			 0);
	assert_int_equal(shared->got[1], -EPERM);
	assert_int_equal(shared->got[2], -ENOSYS);
	/* Stricter than an errno: that is meant. */
	assert_killed(run_under(PROFILE("KILL_PROCESS", RULE("ALLOW", "exit_group")), call_new_ones));
}

static void test_names(void **state)
{
	struct seccomp_filter f;

	/* Newer than the library. */
	assert_int_equal(run_under(PROFILE("ERRNO", EXIT_ALLOWED ERRNO("mseal", 71)
					   "," RULE("ERRNO", "file_setattr")),
				   call_new_ones),
			 0);
	assert_int_equal(shared->got[2], -EPERM);
	assert_int_equal(shared->got[3], -ENOSYS);
	last_log[0] = '\0';
	must_compile(PROFILE("ERRNO", RULE("ALLOW", "no_such_call")), &f);
	seccomp_filter_free(&f);
	assert_string_equal(last_log, "");
	must_compile(PROFILE("ALLOW", RULE("ERRNO", "no_such_call")), &f);
	seccomp_filter_free(&f);
	assert_string_equal(last_log, "unknown system call no_such_call cannot be restricted");
}

#ifdef __x86_64__
#define OLD_GETPPID    64
#define OLD_SOCKETCALL 102
#define OLD_SOCKET     359
#define X32_BIT	       0x40000000

static long old_call(long nr, long a, long b, long c)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "0"(nr), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}

static void call_old(void)
{
	note(old_call(OLD_GETPPID, 0, 0, 0));
}

static void call_x32(void)
{
	note(raw(X32_BIT + SYS_getppid, 0, 0, 0));
	note(raw(SYS_getppid, 0, 0, 0));
}

static bool kernel_has_old_calls(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(old_call(OLD_GETPPID, 0, 0, 0) == getppid() ? 0 : 1);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_other_interfaces_are_closed(void **state)
{
	/* By the number of the machine's own interface 64 is semget: no rule may apply to it. */
	assert_killed(run_under(PROFILE("ALLOW", RULE("ERRNO", "mkdir")), call_x32));
	assert_int_equal(shared->n, 0);
	if (!kernel_has_old_calls()) {
		print_message("the kernel has no 32-bit calls\n");
		skip();
	}
	assert_killed(run_under(PROFILE("ALLOW", RULE("ERRNO", "mkdir")), call_old));
	assert_killed(run_under("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":["
				"\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X32\",\"SCMP_ARCH_AARCH64\"],"
				"\"syscalls\":[]}",
				call_old));
}

#define ARCHES "\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"],"

static void test_x32(void **state)
{
	assert_int_equal(run_under("{\"defaultAction\":\"SCMP_ACT_ALLOW\"," ARCHES
				   "\"syscalls\":[" ERRNO("getppid", 71) "]}",
				   call_x32),
			 0);
	assert_int_equal(shared->got[0], -71);
	assert_int_equal(shared->got[1], -71);
}

static void call_old_socket(void)
{
	unsigned *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	note(old_call(OLD_GETPPID, 0, 0, 0));
	note(old_call(OLD_SOCKET, 77, 1, 0));
	args[0] = 77;
	args[1] = 1;
	note(old_call(OLD_SOCKETCALL, 1, (long)args, 0)); /* socket */
	note(old_call(OLD_SOCKETCALL, 4, (long)args, 0)); /* listen */
}

static void test_old_calls_in_two_ways(void **state)
{
	if (!kernel_has_old_calls())
		skip();
	assert_int_equal(run_under("{\"defaultAction\":\"SCMP_ACT_ALLOW\"," ARCHES
				   "\"syscalls\":[" ERRNO("socket", 71) "," ERRNO("getppid", 72) "]}",
				   call_old_socket),
			 0);
	assert_int_equal(shared->got[0], -72);
	assert_int_equal(shared->got[1], -71);
	assert_int_equal(shared->got[2], -71);
	assert_int_equal(shared->got[3], -EBADF);
	/* The arguments cannot be seen: forbidden altogether. */
	assert_int_equal(run_under("{\"defaultAction\":\"SCMP_ACT_ALLOW\"," ARCHES
				   "\"syscalls\":[{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\","
				   "\"errnoRet\":71,\"args\":[" EQ(0, 40) "]}]}",
				   call_old_socket),
			 0);
	assert_int_equal(shared->got[1], -EAFNOSUPPORT);
	assert_int_equal(shared->got[2], -71);
	/* Allowed under a condition: not this way. */
	assert_int_equal(run_under("{\"defaultAction\":\"SCMP_ACT_ERRNO\"," ARCHES
				   "\"syscalls\":[" EXIT_ALLOWED RULE("ALLOW", "mmap")
				   ",{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ALLOW\","
				   "\"args\":[" EQ(0, 77) "]}]}",
				   call_old_socket),
			 0);
	assert_int_equal(shared->got[1], -EAFNOSUPPORT);
	assert_int_equal(shared->got[2], -EPERM);
}
#endif

/* ---- size ---- */

static void call_many(void)
{
	for (int i = 0; i < 3; i++)
		note(raw(SYS_getppid, 17 * (i + 1), 0, 0));
	note(raw(SYS_getppid, 1, 0, 0));
	note(raw(SYS_getpgid, 0, 0, 0) > 0);
	note(raw(SYS_getsid, 0, 0, 0));
}

/* Enough conditions before and behind a call that jumps of the short kind do not reach. */
static void write_long_profile(struct buf *b, int n)
{
	static const char *const names[] = { "getpid", "getppid", "getsid" };

	assert_int_equal(buf_printf(b, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
				       ERRNO("getsid", 72)),
			 0);
	for (int k = 0; k < 3; k++)
		for (int i = 1; i <= n; i++)
			assert_int_equal(buf_printf(b, ",{\"names\":[\"%s\"],\"action\":"
						       "\"SCMP_ACT_ERRNO\",\"errnoRet\":71,\"args\":"
						       "[{\"index\":0,\"value\":%d,\"op\":"
						       "\"SCMP_CMP_EQ\"}]}",
						    names[k], i * 17),
					 0);
	assert_int_equal(buf_printf(b, "]}"), 0);
	buf_append(b, "", 1);
}

static void test_long_profiles(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct buf b = BUF_INIT(1 << 20);
	struct seccomp_filter f;

	write_long_profile(&b, 100);
	assert_int_equal(run_under((const char *)buf_data(&b), call_many), 0);
	assert_int_equal(shared->got[0], -71);
	assert_int_equal(shared->got[1], -71);
	assert_int_equal(shared->got[2], -71);
	assert_int_equal(shared->got[3], getpid());
	assert_int_equal(shared->got[4], 1);
	assert_int_equal(shared->got[5], -72);
	buf_free(&b);
	b = (struct buf)BUF_INIT(1 << 20);
	write_long_profile(&b, 500);
	assert_int_equal(compile((const char *)buf_data(&b), &f, &err), -EINVAL);
	assert_string_equal(err.message,
			    "linux.seccomp: the filter has more than the 4096 instructions that the "
			    "kernel takes");
	buf_free(&b);
}

/* What is left when nothing is asked. */
static void test_empty(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct seccomp_filter f;
	int listener;

	assert_int_equal(run_under("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", call_getppid), 0);
	assert_int_equal(shared->got[0], getpid());
	assert_int_equal(seccomp_compile(NULL, &f, &err), 0);
	assert_null(f.insns);
	assert_int_equal(seccomp_apply(&f, &listener, &err), 0);
}

static void test_flags(void **state)
{
	assert_int_equal(run_under("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":["
				   "\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_LOG\","
				   "\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\","
				   "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],\"syscalls\":["
				   ERRNO("getppid", 71) "]}",
				   call_getppid),
			 0);
	assert_int_equal(shared->got[0], -71);
}

static void test_refused(void **state)
{
	static const struct {
		const char *profile, *message;
	} cases[] = {
		{ PROFILE("NOTIFY", ""), "linux.seccomp: SCMP_ACT_NOTIFY cannot be the default action" },
		{ PROFILE("ALLOW", RULE("NOTIFY", "write")),
		  "linux.seccomp: syscalls[0]: SCMP_ACT_NOTIFY cannot be used for write" },
		{ PROFILE("ALLOW", RULE("NOTIFY", "mkdir")),
		  "linux.seccomp: SCMP_ACT_NOTIFY without listenerPath" },
		{ PROFILE("ALLOW", "{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_KILL\",\"errnoRet\":1}"),
		  "linux.seccomp: syscalls[0]: errnoRet does not go with SCMP_ACT_KILL" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}",
		  "linux.seccomp: errnoRet does not go with SCMP_ACT_ALLOW" },
		{ PROFILE("ALLOW", "{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
			  EQ(0, 1) "," EQ(0, 1) "," EQ(0, 1) "," EQ(0, 1) "," EQ(0, 1) "," EQ(0, 1) ","
			  EQ(0, 1) "]}"),
		  "linux.seccomp: syscalls[0]: more than 6 arguments" },
	};
	struct seccomp_filter f;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;

		assert_true(compile(cases[i].profile, &f, &err) < 0);
		assert_string_equal(err.message, cases[i].message);
		assert_null(f.insns);
	}
}

static int set_up(void **state)
{
	log_set_sink(test_sink, NULL);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_allow_and_log),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_trap),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_operators),
		cmocka_unit_test(test_conditions_together),
		cmocka_unit_test(test_several_rules),
		cmocka_unit_test(test_newer_than_the_profile),
		cmocka_unit_test(test_names),
#ifdef __x86_64__
		cmocka_unit_test(test_other_interfaces_are_closed),
		cmocka_unit_test(test_x32),
		cmocka_unit_test(test_old_calls_in_two_ways),
#endif
		cmocka_unit_test(test_long_profiles),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
