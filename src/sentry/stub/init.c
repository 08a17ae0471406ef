/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stub/init.c - the first process of a container that wants one in front of its program
 *
 *	/.coffer-init -- PROGRAM ARGS...
 *
 * Starts the program, passes signals on to it, reaps what is orphaned, and ends as the program ends;
 * with it the kernel ends the rest of the container. What a virtual machine has agent/init_wrapper.c
 * for, here a guest's program of two pages: without a C library, so that it costs a container no
 * memory to speak of. Bytes of the sentry's library; control/machine.c makes the file.
 *
 * Signals are never handled but taken out of the queue one by one, so none can come at a bad moment.
 * Those that tell of a fault in this program keep their default action and are not passed on. With a
 * terminal the program gets a process group of its own in the foreground: what the terminal sends
 * goes to that group, and once.
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <linux/limits.h>
#include <linux/prctl.h>
#include <linux/signal.h>
#include <linux/wait.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/* As shells have them. */
enum {
	INIT_NOT_STARTED = 125,
	INIT_NOT_EXECUTABLE = 126,
	INIT_NOT_FOUND = 127,
	INIT_SIGNAL = 128,
};

#define INIT_BIT(sig)	 (UINT64_C(1) << ((sig) - 1))
#define INIT_FAULTS                                                                                \
	(INIT_BIT(SIGFPE) | INIT_BIT(SIGILL) | INIT_BIT(SIGSEGV) | INIT_BIT(SIGBUS) |              \
	 INIT_BIT(SIGABRT) | INIT_BIT(SIGTRAP) | INIT_BIT(SIGSYS))
#define INIT_MASK_SIZE	 sizeof(uint64_t)
#define INIT_SIGINFO	 128 /* bytes */
#define INIT_PATH	 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void init_main(const uint64_t *stack);

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call init_main\n"
	"	hlt\n");

static long init_call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	register uint64_t r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

static _Noreturn void init_exit(int code)
{
	for (;;)
		init_call(__NR_exit_group, (uint64_t)code, 0, 0, 0);
}

static size_t init_length(const char *text, char end)
{
	size_t n = 0;

	while (text[n] && text[n] != end)
		n++;
	return n;
}

static void init_write(const char *text)
{
	init_call(__NR_write, 2, (uint64_t)text, init_length(text, '\0'), 0);
}

static void init_say(const char *what, long error)
{
	static const struct {
		int error;
		char text[28];
	} texts[] = {
		{ ENOENT, "No such file or directory" }, { EACCES, "Permission denied" },
		{ ENOTDIR, "Not a directory" },		 { ENOEXEC, "Exec format error" },
		{ EAGAIN, "Too many processes" },	 { ENOMEM, "Out of memory" },
		{ 0, "cannot be executed" },
	};
	size_t i = 0;

	while (texts[i].error && texts[i].error != -error)
		i++;
	init_write("coffer-init: ");
	init_write(what);
	init_write(": ");
	init_write(texts[i].text);
	init_write("\n");
}

static const char *init_path(char *const *env)
{
	static const char key[] = "PATH=";

	for (; *env; env++) {
		size_t n = 0;

		while (key[n] && (*env)[n] == key[n])
			n++;
		if (!key[n])
			return *env + n;
	}
	return INIT_PATH;
}

/* Return: what kept it from being executed; directories without it do not count */
static long init_execute_in(const char *path, char **argv, char *const *env)
{
	char file[PATH_MAX];
	size_t name = init_length(argv[0], '\0');
	long result = -ENOENT;

	for (;;) {
		size_t n = init_length(path, ':'), at = 0;
		long r = -ENAMETOOLONG;

		if (n + name + 2 <= sizeof(file)) {
			while (at < n) {
				file[at] = path[at];
				at++;
			}
			if (n)
				file[at++] = '/';
			for (size_t i = 0; i <= name; i++)
				file[at++] = argv[0][i];
			r = init_call(__NR_execve, (uint64_t)file, (uint64_t)argv, (uint64_t)env, 0);
		}
		if (r != -ENOENT && r != -ENOTDIR)
			result = r;
		if ((result != -ENOENT && result != -EACCES) || !path[n])
			return result;
		path += n + 1;
	}
}

/* The terminal may belong to a session that is not ours: then there is no foreground to take. */
static void init_take_foreground(void)
{
	int group;

	if (init_call(__NR_ioctl, 0, TIOCGPGRP, (uint64_t)&group, 0) < 0)
		return;
	/* SIGTTOU is blocked. */
	if (init_call(__NR_setpgid, 0, 0, 0, 0) < 0)
		return;
	group = (int)init_call(__NR_getpid, 0, 0, 0, 0);
	init_call(__NR_ioctl, 0, TIOCSPGRP, (uint64_t)&group, 0);
}

static _Noreturn void init_execute(char **argv, char *const *env, const uint64_t *mask)
{
	const char *name = argv[0];
	long r;

	init_take_foreground();
	init_call(__NR_rt_sigprocmask, SIG_SETMASK, (uint64_t)mask, 0, INIT_MASK_SIZE);
	if (name[init_length(name, '/')] || !*name)
		r = init_call(__NR_execve, (uint64_t)name, (uint64_t)argv, (uint64_t)env, 0);
	else
		r = init_execute_in(init_path(env), argv, env);
	init_say(name, r);
	init_exit(r == -ENOENT || r == -ENOTDIR ? INIT_NOT_FOUND : INIT_NOT_EXECUTABLE);
}

/* Everything that has ended, the program among it or not */
static void init_reap(long child)
{
	int status = 0, code = -1;
	long pid;

	while ((pid = init_call(__NR_wait4, UINT64_MAX, (uint64_t)&status, WNOHANG, 0)) > 0) {
		if (pid != child)
			continue;
		code = status & 0x7f ? INIT_SIGNAL + (status & 0x7f) : status >> 8 & 0xff;
	}
	if (code >= 0)
		init_exit(code);
}

static _Noreturn void init_serve(long child, const uint64_t *set)
{
	char info[INIT_SIGINFO];

	for (;;) {
		long sig = init_call(__NR_rt_sigtimedwait, (uint64_t)set, (uint64_t)info, 0,
				     INIT_MASK_SIZE);

		if (sig == SIGCHLD)
			init_reap(child);
		else if (sig > 0)
			init_call(__NR_kill, (uint64_t)child, (uint64_t)sig, 0, 0);
	}
}

void init_main(const uint64_t *stack)
{
	char **argv = (char **)(stack + 1);
	char *const *env = argv + stack[0] + 1;
	const uint64_t set = ~INIT_FAULTS;
	uint64_t before = 0;
	long child;

	if (stack[0] < 3 || argv[1][0] != '-' || argv[1][1] != '-' || argv[1][2]) {
		init_write("usage: .coffer-init -- PROGRAM [ARG...]\n");
		init_exit(INIT_NOT_STARTED);
	}
	init_call(__NR_rt_sigprocmask, SIG_SETMASK, (uint64_t)&set, (uint64_t)&before,
		  INIT_MASK_SIZE);
	/* As the first process of a container it gets the orphans anyway. */
	init_call(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0);
	child = init_call(__NR_fork, 0, 0, 0, 0);
	if (child < 0) {
		init_say("fork", child);
		init_exit(INIT_NOT_STARTED);
	}
	if (child == 0)
		init_execute(argv + 2, env, &before);
	init_serve(child, &set);
}
