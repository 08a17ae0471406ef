/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_soak ROUNDS - everything that comes and goes, over and over
 *
 * A line when a batch of rounds is over, then a line is read; until there is none. Whoever started
 * it looks at the application kernel in between.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

#define PAGE 4096ul

static const char *self;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	printf("%s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void ended(pid_t pid, int flags)
{
	int status = -1;

	must(pid > 0 && waitpid(pid, &status, flags) == pid && !status, "child");
}

static void processes(void)
{
	pid_t pid = fork();

	if (!pid) {
		pid_t grandchild = fork();

		if (!grandchild) {
			setsid();
			_exit(0);
		}
		_exit(waitpid(grandchild, NULL, 0) != grandchild);
	}
	ended(pid, 0);
	pid = vfork();
	if (!pid) {
		execl(self, self, NULL);
		_exit(1);
	}
	ended(pid, 0);
	pid = fork();
	if (!pid)
		raise(SIGKILL);
	must(waitpid(pid, NULL, 0) == pid, "killed");
	pid = fork(); /* its child is ours, who are init */
	if (!pid)
		_exit(fork() < 0);
	ended(pid, 0);
	while (wait(NULL) > 0)
		;
}

static void *in_thread(void *data)
{
	return data;
}

static void *idle(void *data)
{
	for (;;)
		pause();
	return data;
}

static void *in_thread_exec(void *data)
{
	execl(self, self, NULL);
	return data;
}

static void threads(void)
{
	pthread_t t[4];
	pid_t pid;

	for (size_t i = 0; i < COUNT(t); i++)
		must(!pthread_create(&t[i], NULL, in_thread, NULL), "thread");
	for (size_t i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	pid = fork(); /* the others are taken by exec */
	if (!pid) {
		pthread_create(&t[0], NULL, idle, NULL);
		pthread_create(&t[1], NULL, in_thread_exec, NULL);
		pause();
	}
	ended(pid, 0);
	pid = fork(); /* and by the end */
	if (!pid) {
		pthread_create(&t[0], NULL, idle, NULL);
		_exit(0);
	}
	ended(pid, 0);
}

static void memory(void)
{
	size_t size = 64 * PAGE;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("soak", 0);
	char *file, *moved, *twice;
	pid_t pid;

	must(p != MAP_FAILED && shared != MAP_FAILED, "memory");
	must(fd >= 0 && !ftruncate(fd, (off_t)size), "file of memory");
	file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(file != MAP_FAILED, "map a file");
	memset(p, 1, size);
	memset(shared, 1, size);
	memset(file, 1, size);
	for (size_t i = 0; i < 64; i += 2)
		mprotect(p + i * PAGE, PAGE, PROT_READ);
	madvise(p + size / 2, size / 4, MADV_WIPEONFORK);
	madvise(p, size / 4, MADV_DONTFORK);
	pid = fork();
	if (!pid) {
		p[size / 2 + PAGE] = 2;
		shared[PAGE] = 2;
		madvise(p + size / 2, PAGE, MADV_DONTNEED);
		_exit(0);
	}
	ended(pid, 0);
	madvise(shared, size / 2, MADV_REMOVE);
	must(!ftruncate(fd, (off_t)PAGE), "cut");
	munmap(p, size);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(p + size / 2, size / 2, size, MREMAP_MAYMOVE);
	twice = mremap(shared, 0, size, MREMAP_MAYMOVE);
	must(moved != MAP_FAILED && twice != MAP_FAILED, "mremap");
	munmap(p, size / 2);
	munmap(moved, size);
	munmap(shared, size);
	munmap(twice, size);
	close(fd);
	munmap(file, size);
}

static void *wait_word(void *data)
{
	const struct timespec soon = { 0, 100000000 };

	syscall(SYS_futex, data, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0);
	return NULL;
}

static void futexes(void)
{
	static uint32_t words[2];
	pthread_mutexattr_t attr;
	pthread_mutex_t mutex;
	pthread_t t[2];

	for (size_t i = 0; i < COUNT(t); i++)
		must(!pthread_create(&t[i], NULL, wait_word, &words[0]), "thread");
	sched_yield();
	syscall(SYS_futex, &words[0], FUTEX_REQUEUE_PRIVATE, 1, 1, &words[1], 0);
	syscall(SYS_futex, &words[0], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0);
	syscall(SYS_futex, &words[1], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0);
	for (size_t i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&mutex, &attr);
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
}

static void timers(void)
{
	const struct itimerspec soon = { { 0, 1000000 }, { 0, 1000000 } };
	const struct timespec moment = { 0, 100000 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	timer_t timer[4];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < COUNT(timer); i++) {
		must(!timer_create(CLOCK_MONOTONIC, &event, &timer[i]), "timer");
		timer_settime(timer[i], 0, &soon, NULL);
	}
	sigwaitinfo(&set, NULL);
	for (size_t i = 0; i < COUNT(timer); i++)
		timer_delete(timer[i]);
	while (sigtimedwait(&set, NULL, &moment) > 0)
		;
	for (int i = 0; i < 8; i++)
		sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i });
	if (!fork()) { /* ends with timers armed and signals pending */
		timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer[0]);
		timer_settime(timer[0], 0, &soon, NULL);
		alarm(100);
		sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 1 });
		_exit(0);
	}
	wait(NULL);
	while (sigtimedwait(&set, NULL, &moment) > 0)
		;
}

static void descriptors(void)
{
	int pair[2], pipes[2], fds[4];
	struct epoll_event event = { .events = EPOLLIN };
	char byte = 0;

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && !pipe(pipes), "pair");
	fds[0] = eventfd(0, 0);
	fds[1] = timerfd_create(CLOCK_MONOTONIC, 0);
	fds[2] = epoll_create1(0);
	fds[3] = (int)syscall(SYS_pidfd_open, getpid(), 0);
	for (int i = 0; i < 2; i++)
		epoll_ctl(fds[2], EPOLL_CTL_ADD, fds[i], &event);
	for (size_t i = 0; i < COUNT(fds); i++) { /* on their way when both ends are closed */
		struct iovec iov = { &byte, 1 };
		char control[CMSG_SPACE(sizeof(int))] = { 0 };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				      .msg_controllen = sizeof(control) };
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fds[i], sizeof(int));
		must(sendmsg(pair[0], &msg, 0) == 1, "send");
		close(fds[i]);
	}
	must(write(pipes[1], "12", 2) == 2 && read(pipes[0], &byte, 1) == 1, "pipe");
	close(pair[0]);
	close(pair[1]);
	close(pipes[0]);
	close(pipes[1]);
}

static void files(void)
{
	int fd = open("/tmp/soak", O_CREAT | O_RDWR, 0600);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	must(fd >= 0 && write(fd, "soak", 4) == 4 && !fcntl(fd, F_SETLK, &lock), "file");
	must(!rename("/tmp/soak", "/tmp/soaked") && !unlink("/tmp/soaked"), "rename");
	must(!mkdir("/tmp/d", 0700) && !rmdir("/tmp/d"), "directory");
	close(fd);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 0;
	char line[16];

	self = argv[0];
	if (!rounds)
		return 0;
	do {
		for (int i = 0; i < rounds; i++) {
			processes();
			threads();
			memory();
			futexes();
			timers();
			descriptors();
			files();
		}
		printf("done\n");
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin));
	return 0;
}
