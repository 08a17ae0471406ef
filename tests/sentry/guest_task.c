/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and threads as a program sees them: made, waited for, replaced, ended, grouped. */
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

#include "guest.h"

#define SELF "/proc/self/exe"

extern char **environ;

static void show(const char *what, long r)
{
	if (r > 0)
		printf("%s: %ld\n", what, r);
	else
		printf("%s: %s\n", what, guest_answer(r));
}

/* Not the number: whether it is the right one */
static void show_is(const char *what, long r, long want)
{
	printf("%s: %s\n", what, r == want ? "right" : r < 0 ? guest_answer(r) : "wrong");
}

static void await(const char *what, pid_t pid)
{
	int status = -1;

	if (waitpid(pid, &status, __WALL) != pid)
		printf("%s: wait: %s\n", what, strerrorname_np(errno));
	else
		guest_show_status(what, status);
}

static pid_t child(void)
{
	fflush(stdout);
	return fork();
}

static pid_t idle_child(void)
{
	pid_t pid = child();

	while (pid == 0)
		pause();
	return pid;
}

/* --- wait --- */

static void wait_ends(void)
{
	pid_t pid = child();

	if (pid == 0)
		_exit(7);
	await("exit", pid);
	pid = child();
	if (pid == 0)
		_exit(0x12345);
	await("exit, more than a byte", pid);
	pid = child();
	if (pid == 0)
		abort();
	await("abort", pid);
	pid = child();
	if (pid == 0)
		*(volatile int *)8 = 1;
	await("null pointer", pid);
	pid = idle_child();
	kill(pid, SIGKILL);
	await("kill", pid);
	show("nobody", wait(NULL));
}

static void wait_states(void)
{
	pid_t pid = idle_child();
	int status = 0;

	show("not yet", waitpid(pid, &status, WNOHANG));
	kill(pid, SIGSTOP);
	show_is("stopped", waitpid(pid, &status, WUNTRACED), pid);
	guest_show_status("stopped", status);
	show("told once", waitpid(pid, &status, WUNTRACED | WNOHANG));
	kill(pid, SIGCONT);
	show_is("continued", waitpid(pid, &status, WCONTINUED), pid);
	guest_show_status("continued", status);
	show("told once", waitpid(pid, &status, WCONTINUED | WNOHANG));
	kill(pid, SIGTERM);
	await("ended", pid);
	show("gone", waitpid(pid, &status, 0));
}

static void show_info(const char *what, int r, const siginfo_t *info, pid_t pid)
{
	printf("%s: %s pid %s code %d status %d signal %d\n", what, guest_answer(r),
	       info->si_pid == pid ? "right" : info->si_pid ? "wrong" : "none", info->si_code,
	       info->si_status, info->si_signo);
}

static void wait_id(void)
{
	siginfo_t info;
	pid_t pid = child();

	if (pid == 0)
		_exit(5);
	memset(&info, 0, sizeof(info));
	show_info("peek", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), &info, pid);
	memset(&info, 0, sizeof(info));
	show_info("again", waitid(P_ALL, 0, &info, WEXITED), &info, pid);
	pid = idle_child();
	memset(&info, 0, sizeof(info));
	show_info("nothing", waitid(P_ALL, 0, &info, WEXITED | WNOHANG), &info, pid);
	kill(pid, SIGSTOP);
	show_info("stop", waitid(P_ALL, 0, &info, WSTOPPED), &info, pid);
	kill(pid, SIGCONT);
	show_info("continue", waitid(P_ALL, 0, &info, WCONTINUED), &info, pid);
	kill(pid, SIGINT);
	show_info("signal", waitid(P_PGID, 0, &info, WEXITED), &info, pid);
	show("no options", waitid(P_ALL, 0, &info, 0));
	show("no such type", waitid((idtype_t)9, 0, &info, WEXITED));
	show("pid 0", waitid(P_PID, 0, &info, WEXITED));
	show("no children", waitid(P_ALL, 0, &info, WEXITED));
	show("bad options", syscall(SYS_wait4, -1, NULL, 0x10000, NULL));
	show("least pid", syscall(SYS_wait4, INT32_MIN, NULL, 0, NULL));
}

static void wait_choice(void)
{
	pid_t a = child(), b;
	int status;

	if (a == 0)
		_exit(1);
	b = child();
	if (b == 0) {
		setpgid(0, 0);
		_exit(2);
	}
	setpgid(b, b);
	show_is("by group", waitpid(-b, &status, 0), b);
	show_is("own group", waitpid(0, &status, 0), a);
	show("no such group", waitpid(-b, &status, 0));
	/* One that says nothing when it ends is another kind of child */
	a = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (a == 0)
		_exit(3);
	show("quiet", waitpid(a, &status, 0));
	show_is("quiet, clone", waitpid(a, &status, __WCLONE), a);
	signal(SIGUSR1, SIG_IGN);
	a = (pid_t)syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0);
	if (a == 0)
		_exit(4);
	show_is("other signal, all", waitpid(a, &status, __WALL), a);
	signal(SIGCHLD, SIG_IGN);
	a = child();
	if (a == 0)
		_exit(5);
	show("unwanted", waitpid(a, &status, 0));
}

static void wait_usage(void)
{
	struct rusage usage;
	struct tms before, after;
	int status;
	pid_t pid = child();

	if (pid == 0) {
		struct tms now;

		do
			times(&now);
		while (now.tms_utime + now.tms_stime < 5);
		_exit(0);
	}
	times(&before);
	show_is("wait4", wait4(pid, &status, 0, &usage), pid);
	times(&after);
	printf("child's time: %d\n", usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 40000 ||
					     usage.ru_utime.tv_sec || usage.ru_stime.tv_sec);
	printf("children's ticks: %d\n", after.tms_cutime + after.tms_cstime -
							 before.tms_cutime - before.tms_cstime >= 4);
	show("children", getrusage(RUSAGE_CHILDREN, &usage));
	printf("children's time: %d\n", usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 0 ||
						usage.ru_utime.tv_sec || usage.ru_stime.tv_sec);
	show("thread", getrusage(RUSAGE_THREAD, &usage));
	show("nobody", getrusage(55, &usage));
}

/* --- relatives --- */

static void *idle(void *data)
{
	while (data != idle)
		pause();
	return NULL;
}

static void orphans(void)
{
	int fd[2], status;
	char byte = 0;
	pid_t pid, mine = getpid();

	show("pipe", pipe(fd));
	show("subreaper", prctl(PR_SET_CHILD_SUBREAPER, 1));
	pid = child();
	if (pid == 0) {
		if (fork() == 0) {
			while (getppid() != mine)
				usleep(100);
			_exit(5);
		}
		_exit(0);
	}
	await("parent", pid);
	printf("grandchild: %s\n", wait(&status) > 0 ? "came" : "lost");
	guest_show_status("grandchild", status);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	pid = child();
	if (pid == 0) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			close(fd[0]);
			if (write(fd[1], "x", 1) == 1)
				idle(NULL);
		}
		_exit(read(fd[0], &byte, 1) != 1);
	}
	await("parent", pid);
	close(fd[1]);
	show("its child has ended with it", read(fd[0], &byte, 1));
	close(fd[0]);
}

static void groups(void)
{
	pid_t pid;

	show_is("setsid", setsid(), getpid());
	show_is("session", getsid(0), getpid());
	show_is("group", getpgrp(), getpid());
	show("setsid again", setsid());
	show("leader's group", setpgid(0, 0));
	show("negative", setpgid(0, -1));
	show("nobody", setpgid(NOBODY, 0));
	pid = idle_child();
	show("child's", setpgid(pid, pid));
	show_is("child's", getpgid(pid), pid);
	show("back", setpgid(pid, getpid()));
	show("another session's", setpgid(pid, 1));
	show("unknown group", setpgid(pid, NOBODY));
	kill(pid, SIGKILL);
	await("child", pid);
	show("gone", getpgid(pid));
	show("gone", getsid(pid));
	pid = child();
	if (pid == 0) {
		execl(SELF, SELF, "pause", NULL);
		_exit(1);
	}
	while (waitpid(pid, NULL, WUNTRACED | WNOHANG) != pid)
		usleep(1000);
	show("after execve", setpgid(pid, pid));
	kill(pid, SIGKILL);
	await("child", pid);
}

/* --- clone --- */

static char clone_stack[65536];

static int clone_set(void *data)
{
	*(volatile int *)data = 42;
	_exit(6);
}

static void vforks(void)
{
	char *argv[] = { (char *)"x", (char *)"status", NULL };
	volatile int x = 1;
	pid_t pid;
	int r;

	pid = clone(clone_set, clone_stack + sizeof(clone_stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
		    (void *)&x);
	printf("shared memory: %d\n", x);
	await("vfork", pid);
	pid = vfork();
	if (pid == 0) {
		x = 77;
		_exit(2);
	}
	printf("shared memory: %d\n", x);
	await("vfork", pid);
	r = posix_spawn(&pid, SELF, NULL, NULL, argv, environ);
	printf("spawn: %d\n", r);
	await("spawned", pid);
	r = posix_spawn(&pid, "/nowhere/nothing", NULL, NULL, argv, environ);
	printf("spawn nothing: %s\n", strerrorname_np(r));
	show("nobody", wait(NULL));
}

static void pidfds(void)
{
	int fd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD, .exit_signal = SIGCHLD,
				   .pidfd = (uintptr_t)&fd };
	struct pollfd poll_fd = { .events = POLLIN };
	siginfo_t info = { 0 };
	pid_t pid;

	fflush(stdout);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(11);
	poll_fd.fd = fd;
	show("ended", poll(&poll_fd, 1, -1));
	show("close on exec", fcntl(fd, F_GETFD));
	show_info("wait", waitid((idtype_t)3, (id_t)fd, &info, WEXITED), &info, pid);
	show("signal", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	close(fd);
	pid = idle_child();
	fd = (int)syscall(SYS_pidfd_open, pid, O_NONBLOCK);
	memset(&info, 0, sizeof(info));
	show("would wait", waitid((idtype_t)3, (id_t)fd, &info, WEXITED));
	show("signal", syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
	await("signalled", pid);
	close(fd);
	show("nobody", syscall(SYS_pidfd_open, NOBODY, 0));
	show("no pid", syscall(SYS_pidfd_open, 0, 0));
	show("bad flags", syscall(SYS_pidfd_open, getpid(), 1));
	show("no pidfd", syscall(SYS_pidfd_send_signal, 1, 0, NULL, 0));
}

/* What pidfds were before there was a call to open them. */
static void pidfd_directory(void)
{
	pid_t pid = idle_child();
	char path[64];
	int fd, self;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	self = open("/proc/self/task", O_RDONLY | O_DIRECTORY);
	show("probe", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	show("other flags", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 1 << 16));
	show("not a process's", syscall(SYS_pidfd_send_signal, self, 0, NULL, 0));
	show("signal", syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
	await("signalled", pid);
	show("gone", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	close(fd);
	close(self);
}

static void clone_refused(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	show("thread alone", syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
	show("handlers alone", syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
	show("thread without handlers", syscall(SYS_clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0));
	show("short", syscall(SYS_clone3, &args, 8));
	show("no address", syscall(SYS_clone3, NULL, sizeof(args)));
	show("long", syscall(SYS_clone3, &args, 8192));
	args.exit_signal = 65;
	show("signal", syscall(SYS_clone3, &args, sizeof(args)));
	args = (struct clone_args){ .flags = CLONE_THREAD, .exit_signal = SIGCHLD };
	show("thread with a signal", syscall(SYS_clone3, &args, sizeof(args)));
	args = (struct clone_args){ .flags = UINT64_C(1) << 60 };
	show("flag", syscall(SYS_clone3, &args, sizeof(args)));
	args = (struct clone_args){ .stack_size = 4096 };
	show("half a stack", syscall(SYS_clone3, &args, sizeof(args)));
}

/* --- threads --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static long turn, sum;

static void *take_turns(void *data)
{
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&lock);
		while (turn != (long)data)
			pthread_cond_wait(&turned, &lock);
		turn = !turn;
		pthread_cond_broadcast(&turned);
		pthread_mutex_unlock(&lock);
	}
	return (void *)7;
}

static void *add(void *data)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(data);
		sum++;
		pthread_mutex_unlock(data);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t all[8];
	void *result;

	for (long i = 0; i < 2; i++)
		pthread_create(&all[i], NULL, take_turns, (void *)i);
	for (int i = 0; i < 2; i++) {
		pthread_join(all[i], &result);
		printf("joined: %ld\n", (long)result);
	}
	for (int i = 0; i < 8; i++)
		pthread_create(&all[i], NULL, add, &lock);
	for (int i = 0; i < 8; i++)
		pthread_join(all[i], NULL);
	printf("sum: %ld\n", sum);
	for (int i = 0; i < 100; i++) {
		pthread_create(&all[0], NULL, idle, NULL);
		pthread_cancel(all[0]);
		pthread_join(all[0], &result);
		sum += result == PTHREAD_CANCELED;
	}
	printf("cancelled: %ld\n", sum - 160000);
}

struct thread_end {
	const char *what;
	long call, leader;
};

/* What remains of a process is the last one's status, so which one that is must be certain. */
static void *exit_later(void *data)
{
	const struct thread_end *end = data;

	if (end->leader == SYS_exit)
		guest_await_state(getpid(), getpid(), 'Z');
	else
		usleep(10000);
	syscall(end->call, 13);
	return NULL;
}

static void thread_ends(void)
{
	static const struct thread_end cases[] = {
		{ "exit after the leader", SYS_exit, SYS_exit },
		{ "exit_group after the leader", SYS_exit_group, SYS_exit },
		{ "exit_group beside the leader", SYS_exit_group, SYS_pause },
		{ "exit beside the leader", SYS_exit, SYS_exit_group },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		pid_t pid = child();

		if (pid == 0) {
			pthread_t thread;

			pthread_create(&thread, NULL, exit_later, (void *)&cases[i]);
			if (cases[i].call == SYS_exit_group)
				pthread_create(&thread, NULL, idle, NULL);
			syscall(cases[i].leader, 5);
		}
		await(cases[i].what, pid);
	}
}

/* --- mutexes with owners --- */

static void *hold_and_end(void *data)
{
	pthread_mutex_lock(data);
	return NULL;
}

static void *lock_once(void *data)
{
	int r = pthread_mutex_lock(data);

	if (r == EOWNERDEAD)
		pthread_mutex_consistent(data);
	pthread_mutex_unlock(data);
	return (void *)(long)r;
}

static void mutex_init(pthread_mutex_t *mutex, int protocol, int robust, int shared)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, protocol);
	pthread_mutexattr_setrobust(&attr, robust);
	pthread_mutexattr_setpshared(&attr, shared);
	pthread_mutex_init(mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

static void mutexes(void)
{
	static const int protocols[] = { PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT };

	for (size_t i = 0; i < COUNT(protocols); i++) {
		pthread_mutex_t mutex;
		pthread_t all[4];
		void *result;

		mutex_init(&mutex, protocols[i], PTHREAD_MUTEX_STALLED, 0);
		pthread_mutex_lock(&mutex);
		for (int k = 0; k < 4; k++)
			pthread_create(&all[k], NULL, lock_once, &mutex);
		usleep(10000);
		pthread_mutex_unlock(&mutex);
		for (int k = 0; k < 4; k++) {
			pthread_join(all[k], &result);
			printf("locked: %ld\n", (long)result);
		}
		sum = 0;
		for (int k = 0; k < 4; k++)
			pthread_create(&all[k], NULL, add, &mutex);
		for (int k = 0; k < 4; k++)
			pthread_join(all[k], NULL);
		printf("sum: %ld\n", sum);
		mutex_init(&mutex, protocols[i], PTHREAD_MUTEX_ROBUST, 0);
		pthread_create(&all[0], NULL, hold_and_end, &mutex);
		pthread_join(all[0], NULL);
		printf("owner died: %s\n", strerrorname_np(pthread_mutex_lock(&mutex)));
		pthread_mutex_consistent(&mutex);
		printf("unlocked: %d\n", pthread_mutex_unlock(&mutex));
	}
}

struct shared {
	pthread_mutex_t mutex, held;
	int value;
};

static void mutex_shared(void)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[3];

	mutex_init(&s->mutex, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_SHARED);
	mutex_init(&s->held, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_SHARED);
	for (int i = 0; i < 3; i++) {
		pids[i] = child();
		for (int k = 0; pids[i] == 0 && k < 2000; k++) {
			pthread_mutex_lock(&s->mutex);
			s->value++;
			pthread_mutex_unlock(&s->mutex);
		}
		if (pids[i] == 0)
			_exit(0);
	}
	for (int i = 0; i < 3; i++)
		await("child", pids[i]);
	printf("counted: %d\n", s->value);
	pids[0] = child();
	if (pids[0] == 0) {
		pthread_mutex_lock(&s->held);
		s->value = -1;
		pause();
	}
	while (__atomic_load_n(&s->value, __ATOMIC_SEQ_CST) != -1)
		usleep(100);
	kill(pids[0], SIGKILL);
	printf("owner was killed: %s\n", strerrorname_np(pthread_mutex_lock(&s->held)));
	await("child", pids[0]);
	munmap(s, sizeof(*s));
}

/* --- execve --- */

static void *exec_later(void *data)
{
	char *argv[] = { (char *)"x", (char *)"status", NULL };

	(void)data;
	usleep(10000);
	execv(SELF, argv);
	return NULL;
}

static void exec_from_thread(void)
{
	pid_t pid = child();
	pthread_t thread;

	if (pid == 0) {
		for (int i = 0; i < 3; i++)
			pthread_create(&thread, NULL, idle, NULL);
		pthread_create(&thread, NULL, exec_later, NULL);
		idle(NULL);
	}
	await("execve from a thread", pid);
	pid = child();
	if (pid == 0) {
		for (int i = 0; i < 3; i++)
			pthread_create(&thread, NULL, exec_later, NULL);
		idle(NULL);
	}
	await("several at once", pid);
}

static void exec_handler(int sig)
{
	(void)sig;
}

static void exec_keeps(void)
{
	char *const argv[] = { (char *)"x", (char *)"look", (char *)"a b", (char *)"", NULL };
	char *const envp[] = { (char *)"ONE=1", (char *)"TWO=", NULL };
	struct itimerval timer = { .it_value.tv_sec = 100000 };
	pid_t pid = child();

	if (pid)
		return await("looked", pid);
	fcntl(1, F_DUPFD, 50);
	fcntl(1, F_DUPFD_CLOEXEC, 51);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, exec_handler);
	sigprocmask(SIG_BLOCK, &(sigset_t){ { 1 << (SIGHUP - 1) } }, NULL);
	kill(getpid(), SIGHUP);
	setitimer(ITIMER_REAL, &timer, NULL);
	prctl(PR_SET_NAME, "before");
	umask(027);
	execve(SELF, argv, envp);
	_exit(1);
}

static void exec_look(int argc, char **argv)
{
	struct itimerval timer;
	struct sigaction sa;
	sigset_t set;
	char name[17] = "";

	printf("%d arguments: %s, %s\n", argc, argv[2], argv[3]);
	for (char **e = environ; *e; e++)
		printf("%s\n", *e);
	show("kept", fcntl(50, F_GETFD));
	show("closed", fcntl(51, F_GETFD));
	sigaction(SIGUSR1, NULL, &sa);
	printf("ignored still: %d\n", sa.sa_handler == SIG_IGN);
	sigaction(SIGUSR2, NULL, &sa);
	printf("default again: %d\n", sa.sa_handler == SIG_DFL);
	sigprocmask(SIG_BLOCK, NULL, &set);
	printf("blocked still: %d\n", sigismember(&set, SIGHUP));
	sigpending(&set);
	printf("pending still: %d\n", sigismember(&set, SIGHUP));
	getitimer(ITIMER_REAL, &timer);
	printf("timer runs on: %d\n", timer.it_value.tv_sec > 90000);
	prctl(PR_GET_NAME, name);
	printf("named before: %d\n", strcmp(name, "before") == 0);
	printf("mask: %o\n", umask(0));
}

/* The file behind @fd, open for reading only */
static void exec_close(char path[32], int fd)
{
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	close(atoi(path + 14));
	snprintf(path, 32, "/proc/self/fd/%d", fd);
}

static void exec_refused(void)
{
	char *const argv[] = { (char *)"x", NULL }, *const none[] = { NULL };
	char *const *volatile nowhere = (char *const *)8;
	int fd = memfd_create("program", MFD_CLOEXEC);
	char path[32];
	pid_t pid;

	show("nothing", execv("/nowhere/nothing", argv));
	show("directory", execv("/tmp", argv));
	show("no program", write(fd, "nothing that runs\n", 18));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	show("open for writing", execv(path, argv));
	fchmod(fd, 0644);
	show("mode", execv(path, argv));
	fchmod(fd, 0755);
	exec_close(path, fd);
	show("no format", execv(path, argv));
	fd = memfd_create("script", MFD_CLOEXEC);
	show("no interpreter", write(fd, "#!/nowhere/nothing\n", 19));
	exec_close(path, fd);
	show("no interpreter", execv(path, argv));
	show("path", execv((const char *)nowhere, argv));
	show("arguments", execv(SELF, nowhere));
	show("empty", execv("", argv));
	pid = child();
	if (pid == 0) {
		execv(SELF, none);
		_exit(99);
	}
	await("no arguments", pid);
	fd = open(SELF, O_RDONLY | O_CLOEXEC);
	pid = child();
	if (pid == 0) {
		syscall(SYS_execveat, fd, "", (char *[]){ (char *)"x", (char *)"status", NULL },
			environ, AT_EMPTY_PATH);
		_exit(98);
	}
	await("by descriptor", pid);
	show("flags", syscall(SYS_execveat, fd, "x", argv, environ, 1));
	show("descriptor", syscall(SYS_execveat, 999, "", argv, environ, AT_EMPTY_PATH));
}

static void exec_long(void)
{
	size_t size = 100000, n = 15;
	char *argv[20] = { (char *)"x", (char *)"count" }, *big = malloc(size + 1);
	pid_t pid = child();

	if (pid)
		return await("long arguments", pid);
	memset(big, 'a', size);
	big[size] = 0;
	for (size_t i = 0; i < n; i++)
		argv[i + 2] = big;
	execv(SELF, argv);
	_exit(1);
}

static void exec_count(int argc, char **argv)
{
	size_t bytes = 0;

	for (int i = 2; i < argc; i++)
		bytes += strlen(argv[i]);
	printf("%d arguments of %zu bytes\n", argc - 2, bytes);
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "wait_ends", wait_ends },
		{ "wait_states", wait_states },
		{ "wait_id", wait_id },
		{ "wait_choice", wait_choice },
		{ "wait_usage", wait_usage },
		{ "orphans", orphans },
		{ "groups", groups },
		{ "vforks", vforks },
		{ "pidfds", pidfds },
		{ "pidfd directory", pidfd_directory },
		{ "clone_refused", clone_refused },
		{ "threads", threads },
		{ "thread_ends", thread_ends },
		{ "mutexes", mutexes },
		{ "mutex_shared", mutex_shared },
		{ "exec_from_thread", exec_from_thread },
		{ "exec_keeps", exec_keeps },
		{ "exec_refused", exec_refused },
		{ "exec_long", exec_long },
	};

	if (argc == 0 || (argc == 1 && argv[0][0] == '\0'))
		return 17;
	if (argc == 2 && strcmp(argv[1], "status") == 0)
		return 23;
	if (argc == 2 && strcmp(argv[1], "pause") == 0) {
		raise(SIGSTOP);
		idle(NULL);
	}
	if (argc == 4 && strcmp(argv[1], "look") == 0) {
		exec_look(argc, argv);
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "count") == 0) {
		exec_count(argc, argv);
		return 0;
	}
	return guest_run(cases, COUNT(cases), argc, argv);
}
