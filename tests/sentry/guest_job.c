/* SPDX-License-Identifier: Apache-2.0 */
/* Signals between processes: interrupted calls, stopping and continuing, default actions. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <linux/futex.h>
#include <time.h>

#include "guest.h"

/* --- calls that a signal interrupts; those that go on by themselves a later one lets end --- */

static volatile sig_atomic_t alarms;
static int alarms_end;		/* the how manieth does; 0: none */
static long patience = 100000;	/* microseconds: of calls that end by themselves */
static int ends[2];

static void alarm_handler(int sig)
{
	(void)sig;
	if (++alarms == alarms_end && write(ends[1], "x", 1) < 0)
		_exit(9);
}

static void alarms_start(int flags)
{
	struct itimerval timer = { .it_value = { 0, 40000 }, .it_interval = { 0, 40000 } };
	struct sigaction sa = { .sa_handler = alarm_handler, .sa_flags = flags };

	alarms = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void alarms_stop(void)
{
	struct itimerval none = { 0 };

	setitimer(ITIMER_REAL, &none, NULL);
}

static long call_read(void)
{
	char c;

	return read(ends[0], &c, 1);
}

static long call_poll(void)
{
	struct pollfd fd = { .fd = ends[0], .events = POLLIN };

	return poll(&fd, 1, -1);
}

static long call_ppoll(void)
{
	struct pollfd fd = { .fd = ends[0], .events = POLLIN };
	sigset_t none;

	sigemptyset(&none);
	return ppoll(&fd, 1, NULL, &none);
}

static long call_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	return select(ends[0] + 1, &set, NULL, NULL, NULL);
}

static long call_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);
	long r;

	epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &event);
	r = epoll_wait(fd, &event, 1, -1);
	close(fd);
	return r;
}

static struct timespec patience_time(void)
{
	return (struct timespec){ patience / 1000000, patience % 1000000 * 1000 };
}

static long call_nanosleep(void)
{
	struct timespec time = patience_time(), left;
	long r = nanosleep(&time, &left), rest = left.tv_sec * 1000000 + left.tv_nsec / 1000;

	/* A host may add what it is late at most, 50 of them. */
	if (r < 0 && (rest <= 0 || rest > patience + 1000))
		printf("rest is wrong ");
	return r;
}

static long call_futex(void)
{
	static uint32_t word;

	return syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL);
}

static long call_futex_timeout(void)
{
	static uint32_t word;
	struct timespec time = patience_time();

	return syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time);
}

static long call_wait(void)
{
	struct timespec time = patience_time();
	pid_t pid = fork();
	long r;

	if (pid == 0) {
		nanosleep(&time, NULL);
		_exit(0);
	}
	r = waitpid(pid, NULL, 0) == pid ? 1 : -1;
	if (r < 0) {
		int error = errno;

		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		errno = error;
	}
	return r;
}

static long call_accept(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr addr = { .sa_family = AF_UNIX };
	struct timeval time = { .tv_sec = 1000 };
	long r;

	bind(fd, &addr, sizeof(addr.sa_family));
	listen(fd, 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	r = accept(fd, NULL, NULL);
	close(fd);
	return r;
}

static long call_recv(void)
{
	char c;

	return recv(ends[0], &c, 1, 0);
}

static long call_flock(void)
{
	char name[] = "/tmp/guest_job.XXXXXX";
	int one = mkstemp(name), two = open(name, O_RDWR), r;
	struct flock lock = { .l_type = F_WRLCK };

	fcntl(one, F_OFD_SETLK, &lock);
	r = fcntl(two, F_OFD_SETLKW, &lock);
	close(one);
	close(two);
	unlink(name);
	return r;
}

static const struct {
	const char *name;
	long (*fn)(void);
	bool writes;  /* with SA_RESTART it ends by what is written */
	bool endless; /* with SA_RESTART */
} interrupted[] = {
	{ "read", call_read, true, false },
	{ "poll", call_poll, false, false },
	{ "ppoll", call_ppoll, false, false },
	{ "select", call_select, false, false },
	{ "epoll_wait", call_epoll, false, false },
	{ "nanosleep", call_nanosleep, false, false },
	{ "futex", call_futex, false, true },
	{ "futex, time", call_futex_timeout, false, false },
	{ "waitpid", call_wait, false, false },
	{ "accept", call_accept, false, false },
	{ "recv", call_recv, true, false },
	{ "lock", call_flock, false, true },
};

/* Made before anything else happens: whoever is to write finds it. */
static int open_ends(long (*fn)(void))
{
	return fn == call_recv ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends);
}

static void interrupts(void)
{
	for (size_t i = 0; i < COUNT(interrupted); i++) {
		for (int restart = 0; restart < 2; restart++) {
			long r;

			if (restart && interrupted[i].endless)
				continue;
			if (open_ends(interrupted[i].fn) < 0)
				return;
			/* No other ends by what is written, unless it goes on where it must not. */
			alarms_end = !restart ? 0 : interrupted[i].writes ? 3 : 250;
			/* Most of them are meant to be interrupted, however late. */
			patience = restart && interrupted[i].fn == call_wait ? 100000 : 30000000;
			alarms_start(restart ? SA_RESTART : 0);
			r = interrupted[i].fn();
			alarms_stop();
			printf("%s, %s: %ld %s\n", interrupted[i].name, restart ? "again" : "once",
			       r < 0 ? -1 : r, guest_answer(r));
			close(ends[0]);
			close(ends[1]);
		}
	}
}

/* --- a stop in the middle of a call: no handler runs, most calls do not notice --- */

static void stop_child(long (*fn)(void))
{
	long r = fn();

	printf("%ld %s\n", r, guest_answer(r));
	fflush(stdout);
	_exit(0);
}

static void stops_in_calls(void)
{
	patience = 100000;
	for (size_t i = 0; i < COUNT(interrupted); i++) {
		int status;
		pid_t pid;

		if (interrupted[i].endless)
			continue;
		if (open_ends(interrupted[i].fn) < 0)
			return;
		printf("%s: ", interrupted[i].name);
		fflush(stdout);
		pid = fork();
		if (pid == 0)
			stop_child(interrupted[i].fn);
		guest_await_sleep(pid, pid);
		kill(pid, SIGSTOP);
		waitpid(pid, &status, WUNTRACED);
		kill(pid, SIGCONT);
		usleep(30000);
		if (write(ends[1], "x", 1) < 0)
			_exit(9);
		waitpid(pid, &status, 0);
		guest_show_status("then", status);
		close(ends[0]);
		close(ends[1]);
	}
}

/* --- job control --- */

static volatile sig_atomic_t nchild;
static volatile int child_codes[8], child_status[8];

static void child_handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (nchild < 8) {
		child_codes[nchild] = info->si_code;
		child_status[nchild++] = info->si_status;
	}
}

static void child_watch(int flags)
{
	struct sigaction sa = { .sa_sigaction = child_handler,
				.sa_flags = SA_SIGINFO | SA_RESTART | flags };

	nchild = 0;
	sigaction(SIGCHLD, &sa, NULL);
}

static void child_wait(pid_t pid, int options)
{
	int status = 0;
	pid_t got = waitpid(pid, &status, options);

	if (got != pid)
		printf("wait: %s\n", guest_answer(got));
	else
		guest_show_status("child", status);
}

static void count_signal(int sig)
{
	static int n;

	if (sig == SIGUSR2)
		_exit(n);
	n++;
}

/* A signal that comes while another one is pending would be lost. */
static void child_told(int n)
{
	while (nchild < n)
		usleep(1000);
}

static void stop_and_continue(int flags)
{
	int n = flags & SA_NOCLDSTOP ? 0 : 1;
	struct sigaction sa = { .sa_handler = count_signal };
	pid_t pid;

	child_watch(flags);
	/* before there is a child to send to, and one after the other */
	sigfillset(&sa.sa_mask);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	pid = fork();
	if (pid == 0) {
		for (;;)
			pause();
	}
	kill(pid, SIGSTOP);
	child_wait(pid, WUNTRACED);
	child_told(n);
	kill(pid, SIGUSR1); /* waits for the continuation */
	usleep(20000);
	printf("nothing more: %d\n", waitpid(pid, NULL, WUNTRACED | WNOHANG | WCONTINUED));
	kill(pid, SIGCONT);
	child_wait(pid, WCONTINUED);
	child_told(2 * n);
	usleep(20000);
	kill(pid, SIGUSR2);
	child_wait(pid, 0);
	child_told(2 * n + 1);
	for (int i = 0; i < nchild; i++)
		printf("SIGCHLD code %d status %d\n", child_codes[i], child_status[i]);
}

static void stops(void)
{
	pid_t pid;

	stop_and_continue(0);
	stop_and_continue(SA_NOCLDSTOP);
	pid = fork();
	if (pid == 0) {
		raise(SIGSTOP);
		_exit(4);
	}
	child_wait(pid, WUNTRACED);
	kill(pid, SIGKILL);
	child_wait(pid, 0);
	/* a stop that is pending is taken away by SIGCONT, and the other way round */
	pid = fork();
	if (pid == 0) {
		sigset_t set;

		sigfillset(&set);
		sigprocmask(SIG_BLOCK, &set, NULL);
		raise(SIGTSTP);
		raise(SIGCONT);
		sigpending(&set);
		printf("TSTP %d CONT %d\n", sigismember(&set, SIGTSTP), sigismember(&set, SIGCONT));
		raise(SIGTTIN);
		sigpending(&set);
		printf("TTIN %d CONT %d\n", sigismember(&set, SIGTTIN), sigismember(&set, SIGCONT));
		fflush(stdout);
		_exit(0);
	}
	child_wait(pid, 0);
}

static volatile uint32_t *ticks;

static void *thread_ticks(void *arg)
{
	volatile uint32_t *tick = arg;

	for (;;) {
		++*tick;
		if (*tick % 1024 == 0)
			usleep(100);
	}
	return NULL;
}

/* All threads of a process stop, wherever they are. */
static void stops_threads(void)
{
	uint32_t before[4];
	bool moved = false;
	pid_t pid;

	ticks = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (pid == 0) {
		pthread_t thread;

		for (int i = 0; i < 3; i++)
			pthread_create(&thread, NULL, thread_ticks, (void *)(uintptr_t)&ticks[i]);
		thread_ticks((void *)(uintptr_t)&ticks[3]);
	}
	for (int i = 0; i < 4; i++) {
		while (!ticks[i])
			usleep(1000);
	}
	kill(pid, SIGSTOP);
	child_wait(pid, WUNTRACED);
	for (int i = 0; i < 4; i++)
		before[i] = ticks[i];
	usleep(50000);
	for (int i = 0; i < 4; i++)
		moved |= before[i] != ticks[i];
	printf("moved %d\n", moved);
	kill(pid, SIGCONT);
	child_wait(pid, WCONTINUED);
	for (int i = 0; i < 4; i++) {
		while (before[i] == ticks[i])
			usleep(1000);
	}
	kill(pid, SIGTERM);
	child_wait(pid, 0);
}

static void permissions(void)
{
	int ready[2];
	pid_t pid, group;
	char c;

	if (getuid() != 0 || pipe(ready) < 0) {
		printf("not root\n");
		return;
	}
	group = fork();
	if (group == 0) {
		setpgid(0, 0);
		if (setuid(1234) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	if (read(ready[0], &c, 1) != 1)
		return;
	pid = fork();
	if (pid == 0) {
		if (setuid(1234) < 0)
			_exit(9);
		printf("parent %s\n", guest_answer(kill(getppid(), SIGUSR1)));
		printf("parent 0 %s\n", guest_answer(kill(getppid(), 0)));
		printf("parent CONT %s\n", guest_answer(kill(getppid(), SIGCONT)));
		printf("parent thread %s\n",
		       guest_answer(syscall(SYS_tgkill, getppid(), getppid(), SIGUSR1)));
		printf("same user %s\n", guest_answer(kill(group, 0)));
		printf("group %s\n", guest_answer(kill(-group, SIGTERM)));
		fflush(stdout);
		_exit(0);
	}
	child_wait(pid, 0);
	child_wait(group, 0);
}

/* Nobody could continue it: stop signals but SIGSTOP do nothing. */
static void orphans(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		raise(SIGTSTP);
		raise(SIGTTIN);
		raise(SIGTTOU);
		printf("not stopped\n");
		raise(SIGSTOP);
		_exit(0);
	}
	child_wait(pid, WUNTRACED);
	kill(pid, SIGCONT);
	child_wait(pid, 0);
}

static void defaults(void)
{
	for (int sig = 1; sig <= 64; sig++) {
		char name[32];
		pid_t pid;
		int status;

		if (sig == 32 || sig == 33)
			continue;
		pid = fork();
		if (pid == 0) {
			setpgid(0, 0);
			signal(sig, SIG_DFL);
			raise(sig);
			_exit(0);
		}
		waitpid(pid, &status, WUNTRACED);
		snprintf(name, sizeof(name), "%d", sig);
		guest_show_status(name, status & ~0x80);
		if (WIFSTOPPED(status)) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
		}
	}
}

static void children_unwanted(void)
{
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (pid == 0)
		_exit(0);
	child_wait(pid, 0);
	child_watch(SA_NOCLDWAIT);
	pid = fork();
	if (pid == 0)
		_exit(0);
	child_wait(pid, 0);
}

static void descriptor(void)
{
	struct signalfd_siginfo info[2];
	struct pollfd fd;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd.fd = signalfd(-1, &set, SFD_NONBLOCK);
	fd.events = POLLIN;
	printf("poll %d\n", poll(&fd, 1, 0));
	printf("read %s\n", guest_answer(read(fd.fd, info, sizeof(info))));
	sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 5 });
	raise(SIGUSR1);
	printf("poll %d\n", poll(&fd, 1, 0));
	printf("read %zd\n", read(fd.fd, info, sizeof(info)));
	printf("%u code %d, %d code %d value %d\n", info[0].ssi_signo, info[0].ssi_code,
	       info[1].ssi_signo == (uint32_t)SIGRTMIN, info[1].ssi_code, info[1].ssi_int);
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "interrupts", interrupts },
		{ "stops_in_calls", stops_in_calls },
		{ "stops", stops },
		{ "stops_threads", stops_threads },
		{ "permissions", permissions },
		{ "orphans", orphans },
		{ "defaults", defaults },
		{ "children_unwanted", children_unwanted },
		{ "descriptor", descriptor },
	};

	prctl(PR_SET_DUMPABLE, 0);
	return guest_run(cases, COUNT(cases), argc, argv);
}
