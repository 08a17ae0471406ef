/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, sleeping, timers, futexes by themselves, limits, ids: what they answer. */
#include <linux/capability.h>
#include <linux/futex.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/ucontext.h>
#include <time.h>

#include "guest.h"

#define SECOND INT64_C(1000000000)

static volatile sig_atomic_t count, enough;
static siginfo_t last;

static void counted(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	last = *info;
	/* Who is slow would get no further than the next one. */
	if (++count >= enough)
		sigaddset(&uc->uc_sigmask, sig);
}

/* Count @sig from now on, until there were @times of it. */
static void on(int sig, int times)
{
	struct sigaction sa = { .sa_sigaction = counted, .sa_flags = SA_SIGINFO };
	sigset_t set;

	signal(sig, SIG_IGN); /* what is pending goes */
	count = 0;
	enough = times;
	sigaction(sig, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void show(const char *what, long r)
{
	if (r > 0)
		printf("%s: %ld\n", what, r);
	else
		printf("%s: %s\n", what, guest_answer(r));
}

static int64_t clock_of(clockid_t clock)
{
	struct timespec ts = { 0 };

	return clock_gettime(clock, &ts) ? -1 : (int64_t)ts.tv_sec * SECOND + ts.tv_nsec;
}

static struct timespec spec(int64_t nanoseconds)
{
	return (struct timespec){ nanoseconds / SECOND, nanoseconds % SECOND };
}

/* --- clocks --- */

static void clocks(void)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
					 CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
					 CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
					 CLOCK_BOOTTIME, CLOCK_TAI };
	struct timespec ts;
	struct timeval tv, later;
	clockid_t id;
	long seconds;

	for (size_t i = 0; i < COUNT(ids); i++) {
		int64_t one = clock_of(ids[i]), two = clock_of(ids[i]);

		printf("clock %d: %d\n", ids[i], one > 0 && two >= one);
		show("resolution", clock_getres(ids[i], &ts));
		show("by call", syscall(SYS_clock_gettime, ids[i], &ts));
	}
	show("unknown", clock_gettime(99, &ts));
	show("unknown", clock_getres(99, &ts));
	show("address", syscall(SYS_clock_gettime, CLOCK_REALTIME, 8));
	clock_getcpuclockid(0, &id);
	printf("own process: %d\n", clock_of(id) > 0);
	clock_getcpuclockid(getppid(), &id);
	printf("parent: %d\n", clock_of(id) >= 0);
	printf("nobody: %d\n", clock_getcpuclockid(NOBODY, &id) == ESRCH);
	pthread_getcpuclockid(pthread_self(), &id);
	printf("own thread: %d\n", clock_of(id) > 0);
	show("gettimeofday", gettimeofday(&tv, NULL));
	seconds = syscall(SYS_time, NULL);
	gettimeofday(&later, NULL);
	printf("time: %d\n", seconds >= tv.tv_sec - 1 && seconds <= later.tv_sec);
}

/* --- sleeping --- */

static void sleeps(void)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
					 CLOCK_TAI };
	struct itimerval timer = { { 0, 10000 }, { 0, 10000 } }, off = { 0 };
	struct timespec ts = spec(2000000), rest = spec(7);
	int64_t start = clock_of(CLOCK_MONOTONIC);

	show("nanosleep", nanosleep(&ts, &rest));
	printf("long enough: %d\n", clock_of(CLOCK_MONOTONIC) - start >= 2000000);
	printf("rest untouched: %d\n", rest.tv_nsec == 7);
	for (size_t i = 0; i < COUNT(ids); i++) {
		int64_t until = clock_of(ids[i]) + 2000000;

		ts = spec(until);
		printf("until: %d, ", clock_nanosleep(ids[i], TIMER_ABSTIME, &ts, NULL));
		printf("long enough: %d\n", clock_of(ids[i]) >= until);
		ts = spec(1000);
		printf("for: %d\n", clock_nanosleep(ids[i], 0, &ts, NULL));
	}
	ts = spec(1);
	printf("past: %d\n", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL));
	printf("thread's clock: %d\n", clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL));
	printf("unknown: %d\n", clock_nanosleep(99, 0, &ts, NULL));
	ts.tv_nsec = SECOND;
	show("nanoseconds", nanosleep(&ts, NULL));
	ts = (struct timespec){ -1, 0 };
	show("negative", nanosleep(&ts, NULL));
	show("address", syscall(SYS_nanosleep, 8, NULL));
	on(SIGALRM, INT32_MAX);
	setitimer(ITIMER_REAL, &timer, NULL);
	ts = spec(100 * SECOND);
	show("interrupted", nanosleep(&ts, &rest));
	setitimer(ITIMER_REAL, &off, NULL);
	/* A host may add what it is late at most, some microseconds. */
	printf("most is left: %d\n", rest.tv_sec >= 50 && rest.tv_sec <= 100);
}

/* A sleep that is stopped and continued goes on where it was. */
static void sleep_stopped(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct timespec ts = spec(50000000);

		_exit(nanosleep(&ts, NULL) ? 1 : 0);
	}
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGCONT);
	waitpid(pid, &status, 0);
	guest_show_status("slept", status);
}

/* --- itimers --- */

static void itimers(void)
{
	static const struct {
		const char *name;
		int which, sig;
	} kinds[] = { { "real", ITIMER_REAL, SIGALRM },
		      { "virtual", ITIMER_VIRTUAL, SIGVTALRM },
		      { "profile", ITIMER_PROF, SIGPROF } };
	struct itimerval timer, old;
	unsigned left;

	for (size_t i = 0; i < COUNT(kinds); i++) {
		on(kinds[i].sig, 3);
		timer = (struct itimerval){ { 0, 5000 }, { 100, 0 } };
		show(kinds[i].name, setitimer(kinds[i].which, &timer, NULL));
		getitimer(kinds[i].which, &old);
		printf("interval: %ld, left: %d\n", (long)old.it_interval.tv_usec,
		       old.it_value.tv_sec >= 50 && old.it_value.tv_sec <= 100);
		timer.it_value = (struct timeval){ 0, 20000 };
		show("sooner", setitimer(kinds[i].which, &timer, &old));
		printf("was on: %d\n", old.it_value.tv_sec >= 50 && old.it_value.tv_sec <= 100);
		while (count < 3)
			;
		memset(&timer, 0, sizeof(timer));
		show("off", setitimer(kinds[i].which, &timer, &old));
		/* Nothing may be left of it at this very moment. */
		printf("was on: %ld, code %d\n", (long)old.it_interval.tv_usec, last.si_code);
		getitimer(kinds[i].which, &old);
		printf("is off: %d\n", old.it_value.tv_usec == 0 && old.it_value.tv_sec == 0);
	}
	show("kind", setitimer((enum __itimer_which)7, &timer, NULL));
	show("kind", getitimer((enum __itimer_which)7, &timer));
	timer.it_value.tv_usec = 1000000;
	show("microseconds", setitimer(ITIMER_REAL, &timer, NULL));
	printf("alarm: %u\n", alarm(100));
	left = alarm(0);
	printf("alarm: %d\n", left >= 50 && left <= 100);
	printf("alarm: %u\n", alarm(0));
}

/* --- timers by id --- */

static void show_timer(const char *what, timer_t timer)
{
	struct itimerspec now;

	show(what, timer_gettime(timer, &now));
	printf("on: %d, interval: %ld\n", now.it_value.tv_sec || now.it_value.tv_nsec,
	       (long)now.it_interval.tv_nsec);
}

static void timers(void)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
					 CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN,
				  .sigev_value.sival_int = 55 };
	struct itimerspec when;
	timer_t timer;

	for (size_t i = 0; i < COUNT(ids); i++) {
		on(SIGRTMIN, 4);
		show("create", timer_create(ids[i], &event, &timer));
		show_timer("not armed", timer);
		when = (struct itimerspec){ spec(0), spec(5000000) };
		show("arm", timer_settime(timer, 0, &when, NULL));
		while (!count)
			;
		printf("code %d value %d\n", last.si_code, last.si_value.sival_int);
		show_timer("once", timer);
		when = (struct itimerspec){ spec(2000000), spec(clock_of(ids[i]) + 2000000) };
		show("arm", timer_settime(timer, TIMER_ABSTIME, &when, NULL));
		while (count < 4)
			;
		show_timer("again and again", timer);
		show("delete", timer_delete(timer));
	}
	show("unknown", timer_delete(timer));
	show("clock", timer_create(99, &event, &timer));
	event.sigev_notify = 77;
	show("how", timer_create(CLOCK_MONOTONIC, &event, &timer));
	event = (struct sigevent){ .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99 };
	show("signal", timer_create(CLOCK_MONOTONIC, &event, &timer));
}

static void timer_overrun(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec when = { spec(1000000), spec(1000000) };
	sigset_t set;
	timer_t timer;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &when, NULL);
	usleep(50000);
	printf("signal: %d\n", sigwaitinfo(&set, &info) == SIGRTMIN);
	printf("missed: %d\n", info.si_overrun >= 10);
	printf("told again: %d\n", timer_getoverrun(timer) >= 10);
	timer_delete(timer);
	event = (struct sigevent){ .sigev_notify = SIGEV_NONE };
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &when, NULL);
	usleep(3000);
	show_timer("silent", timer);
	timer_delete(timer);
}

static void timer_called(union sigval value)
{
	__atomic_add_fetch((int *)value.sival_ptr, 1, __ATOMIC_SEQ_CST);
}

static void timer_threads(void)
{
	int called = 0;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_value.sival_ptr = &called,
				  .sigev_notify_function = timer_called };
	struct itimerspec when = { spec(1000000), spec(1000000) };
	timer_t timer;

	show("create", timer_create(CLOCK_MONOTONIC, &event, &timer));
	timer_settime(timer, 0, &when, NULL);
	while (__atomic_load_n(&called, __ATOMIC_SEQ_CST) < 5)
		usleep(1000);
	show("delete", timer_delete(timer));
}

/* --- futexes --- */

static long futex(uint32_t *word, int op, uint32_t value, const void *timeout, uint32_t *word2,
		  uint32_t value3)
{
	return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static void futexes(void)
{
	uint32_t word = 5, other = 1, *volatile low = (uint32_t *)8;
	uint32_t *odd = (uint32_t *)((char *)&word + 1);
	struct timespec ts = spec(1000000), bad = { 0, SECOND };
	struct futex_waitv v[2] = { { .val = 5, .uaddr = (uintptr_t)&word, .flags = FUTEX_32 },
				    { .val = 2, .uaddr = (uintptr_t)&other, .flags = FUTEX_32 } };

	show("changed", futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0));
	show("time", futex(&word, FUTEX_WAIT, 5, &ts, NULL, 0));
	show("past", futex(&word, FUTEX_WAIT_BITSET, 5, &ts, NULL, 1));
	show("bad time", futex(&word, FUTEX_WAIT, 5, &bad, NULL, 0));
	show("odd", futex(odd, FUTEX_WAIT, 5, &ts, NULL, 0));
	show("low", futex(low, FUTEX_WAIT, 5, &ts, NULL, 0));
	show("no bits", futex(&word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0));
	show("nobody", futex(&word, FUTEX_WAKE, 5, NULL, NULL, 0));
	show("no bits", futex(&word, FUTEX_WAKE_BITSET, 5, NULL, NULL, 0));
	show("changed", futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 9));
	show("operate", futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &other,
			      (uint32_t)FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 1)));
	printf("word: %u\n", other);
	show("operation", futex(&word, 99, 1, NULL, NULL, 0));
	show("clock", futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
	show("not ours", futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	word = 0;
	show("lock", futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	printf("owned: %d\n", word == (uint32_t)syscall(SYS_gettid));
	show("twice", futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	show("unlock", futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	printf("word: %u\n", word);
	word = NOBODY;
	show("nobody's", futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	word = 5;
	show("vector", syscall(SYS_futex_waitv, v, 2, 0, NULL, 0));
	other = 2;
	show("vector, past", syscall(SYS_futex_waitv, v, 2, 0, &ts, CLOCK_MONOTONIC));
	show("vector, flags", syscall(SYS_futex_waitv, v, 2, 1, NULL, 0));
	show("vector, none", syscall(SYS_futex_waitv, v, 0, 0, NULL, 0));
}

/* --- limits and what a process says of itself --- */

static void limits(void)
{
	struct rlimit limit, more;
	pid_t pid;
	int status;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 64;
	show("set", setrlimit(RLIMIT_NOFILE, &limit));
	show("beyond", dup2(0, 100));
	more = limit;
	more.rlim_cur = limit.rlim_max + 1;
	show("above the hard one", setrlimit(RLIMIT_NOFILE, &more));
	show("unknown", getrlimit((enum __rlimit_resource)77, &more));
	show("other", prlimit(getppid(), RLIMIT_NOFILE, NULL, &more));
	show("nobody", prlimit(NOBODY, RLIMIT_NOFILE, NULL, &more));
	pid = fork();
	if (pid == 0) {
		limit = (struct rlimit){ 1, 100 };
		on(SIGXCPU, 1);
		setrlimit(RLIMIT_CPU, &limit);
		while (!count)
			;
		_exit(count ? 3 : 4);
	}
	waitpid(pid, &status, 0);
	guest_show_status("processor time", status);
	pid = fork();
	if (pid == 0) {
		limit = (struct rlimit){ 1, 1 };
		setrlimit(RLIMIT_CPU, &limit);
		pid = fork(); /* has a limit of its own */
		while (pid == 0)
			;
		waitpid(pid, &status, 0);
		guest_show_status("inherited", status);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	guest_show_status("its parent", status);
}

static void about(void)
{
	char name[17] = "";
	int value = -1;

	show("name", prctl(PR_SET_NAME, "a name that is long"));
	prctl(PR_GET_NAME, name);
	printf("%s\n", name);
	show("unknown", prctl(12345));
	show("dumpable", prctl(PR_GET_DUMPABLE));
	show("dumpable", prctl(PR_SET_DUMPABLE, 2));
	show("death", prctl(PR_SET_PDEATHSIG, 99));
	prctl(PR_GET_PDEATHSIG, &value);
	printf("death: %d\n", value);
	show("capability", prctl(PR_CAPBSET_READ, 999));
	show("privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
	show("privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	show("privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	show("slack", prctl(PR_SET_TIMERSLACK, 1));
	show("slack", prctl(PR_GET_TIMERSLACK));
	show("personality", syscall(SYS_personality, 0xffffffff));
	show("unshare", unshare(CLONE_FS | CLONE_FILES));
	show("unshare", unshare(0x40));
}

static void scheduling(void)
{
	struct sched_param param = { 5 };
	struct timespec ts;
	cpu_set_t set;

	errno = 0;
	printf("priority: %d\n", getpriority(PRIO_PROCESS, 0));
	show("lower", setpriority(PRIO_PROCESS, 0, 5));
	printf("priority: %d\n", getpriority(PRIO_PGRP, 0));
	printf("nice: %d\n", nice(2));
	show("nobody", setpriority(PRIO_PROCESS, NOBODY, 0));
	show("what", setpriority((enum __priority_which)9, 0, 0));
	printf("policy: %d\n", sched_getscheduler(0));
	show("priority of none", sched_setscheduler(0, SCHED_OTHER, &param));
	param.sched_priority = 0;
	show("batch", sched_setscheduler(0, SCHED_BATCH, &param));
	printf("policy: %d\n", sched_getscheduler(0));
	show("fifo without priority", sched_setscheduler(0, SCHED_FIFO, &param));
	show("policy", sched_setscheduler(0, 55, &param));
	show("nobody", sched_getscheduler(NOBODY));
	printf("most: %d, least: %d\n", sched_get_priority_max(SCHED_RR),
	       sched_get_priority_min(SCHED_FIFO));
	show("policy", sched_get_priority_max(77));
	show("affinity", sched_getaffinity(0, sizeof(set), &set));
	show("small", sched_getaffinity(0, 3, &set));
	show("set", sched_setaffinity(0, sizeof(set), &set));
	CPU_ZERO(&set);
	show("none", sched_setaffinity(0, sizeof(set), &set));
	show("yield", sched_yield());
	show("interval", sched_rr_get_interval(0, &ts));
	show("io", syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 3));
	show("io", syscall(SYS_ioprio_get, 1, 0));
	show("io", syscall(SYS_ioprio_set, 1, 0, 7 << 13));
}

/* --- ids --- */

static void show_ids(const char *what)
{
	unsigned r, e, s, g, h, i;

	getresuid(&r, &e, &s);
	getresgid(&g, &h, &i);
	printf("%s: users %u %u %u groups %u %u %u of %d\n", what, r, e, s, g, h, i,
	       getgroups(0, NULL));
}

static void show_capabilities(const char *what)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &header, data);
	printf("%s: permitted %d effective %d\n", what, data[0].permitted != 0,
	       data[0].effective != 0);
}

static void ids(void)
{
	struct __user_cap_header_struct header = { 77, 0 };
	gid_t groups[] = { 5, 7 };

	show("groups", setgroups(COUNT(groups), groups));
	show_ids("root");
	show("setresuid", setresuid(1000, 1000, 0));
	show_ids("user");
	show_capabilities("user");
	show("back", setuid(0));
	show_ids("root in effect");
	show_capabilities("root in effect");
	show("seteuid", seteuid(1000));
	show_ids("user in effect");
	show("setreuid", setreuid((uid_t)-1, 0));
	show_ids("root in effect");
	show("setgid", setgid(33));
	show("setregid", setregid(34, 35));
	show_ids("groups");
	show("setuid", setuid(1000));
	show_ids("user for good");
	show_capabilities("user for good");
	show("root", setuid(0));
	show("root", setresuid(0, 0, 0));
	show("groups", setgroups(0, NULL));
	show("fsuid", syscall(SYS_setfsuid, 0));
	show("fsuid", syscall(SYS_setfsuid, -1));
	show("group", setgid(0));
	show("nice", setpriority(PRIO_PROCESS, 0, -5));
	show("version", syscall(SYS_capget, &header, &header));
	printf("version: %d\n", header.version == _LINUX_CAPABILITY_VERSION_3);
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "clocks", clocks },
		{ "sleeps", sleeps },
		{ "sleep_stopped", sleep_stopped },
		{ "itimers", itimers },
		{ "timers", timers },
		{ "timer_overrun", timer_overrun },
		{ "timer_threads", timer_threads },
		{ "futexes", futexes },
		{ "limits", limits },
		{ "about", about },
		{ "scheduling", scheduling },
		{ "ids", ids },
	};

	return guest_run(cases, COUNT(cases), argc, argv);
}
