/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing, moving bytes between files, and waiting for many of them: results and errors. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>

#include "guest.h"

/* What no program means to pass. */
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wnonnull"

#define BAD ((void *)0x10)

static char buf[200000] __attribute__((aligned(4096)));

static void say(const char *what, long r)
{
	if (r < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, r);
}

#define SAY(call) say(#call, (long)(call))

static int file_with(const char *name, size_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i * 7 + i / 256);
	if (write(fd, buf, size) != (ssize_t)size)
		printf("%s: short\n", name);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static unsigned sum_of(int fd)
{
	static unsigned char all[400000];
	ssize_t n = pread(fd, all, sizeof(all), 0);
	unsigned sum = 0;

	for (ssize_t i = 0; i < n; i++)
		sum = sum * 31 + all[i];
	return sum;
}

/* --- read and write --- */

static void test_vectors(void)
{
	struct iovec iov[3] = { { buf, 10 }, { NULL, 0 }, { buf + 100, 20 } };
	struct iovec huge[2] = { { buf, SSIZE_MAX }, { buf, 10 } };
	struct iovec negative = { buf, (size_t)-1 };
	struct iovec half[2] = { { buf, 10 }, { BAD, 10 } };
	int fd = file_with("v", 5000);
	int pfd[2];

	SAY(readv(fd, iov, 3));
	SAY(readv(fd, iov, 0));
	SAY(readv(fd, iov, -1));
	SAY(readv(fd, iov, 1025));
	SAY(readv(fd, BAD, 1));
	SAY(readv(fd, huge, 2));
	SAY(readv(fd, &negative, 1));
	SAY(readv(fd, half, 2));
	SAY(lseek(fd, 0, SEEK_CUR));
	SAY(read(fd, BAD, 10));
	SAY(read(fd, BAD, 0));
	SAY(read(fd, buf, SIZE_MAX / 2));
	SAY(read(fd, buf, 10));
	SAY(read(99, buf, 10));
	SAY(write(99, buf, 0));
	SAY(pread(fd, buf, 10, -1));
	SAY(pread(fd, buf, 10, 4995));
	SAY(pread(fd, buf, 10, INT64_MAX));
	SAY(pwrite(fd, buf, 10, INT64_MAX));
	SAY(preadv(fd, iov, 3, 4990));
	SAY(pwritev(fd, iov, 3, 4990));
	SAY(preadv2(fd, iov, 3, -1, 0));
	SAY(preadv2(fd, iov, 3, -2, 0));
	SAY(preadv2(fd, iov, 3, 0, 0x4000));
	SAY(preadv2(fd, iov, 3, 0, RWF_HIPRI));
	SAY(pwritev2(fd, iov, 3, 0, RWF_APPEND));
	SAY(lseek(fd, 0, SEEK_END));
	SAY(pwritev2(fd, iov, 3, -1, RWF_DSYNC));
	SAY(pipe(pfd));
	SAY(pread(pfd[0], buf, 1, 0));
	SAY(pwritev(pfd[1], iov, 3, 0));
	SAY(preadv2(pfd[0], iov, 3, -1, RWF_NOWAIT));
	SAY(read(pfd[1], buf, 1));
	SAY(write(pfd[0], buf, 1));
	SAY(write(pfd[1], BAD, 1));
	SAY(lseek(pfd[0], 0, SEEK_SET));
	SAY(ftruncate(pfd[1], 0));
	SAY(fsync(pfd[1]));
	close(pfd[0]);
	signal(SIGPIPE, SIG_IGN);
	SAY(write(pfd[1], buf, 0));
	SAY(write(pfd[1], buf, 1));
	close(pfd[1]);
	close(fd);
	fd = open(".", O_RDONLY);
	SAY(read(fd, buf, 1));
	SAY(write(fd, buf, 1));
	close(fd);
	fd = open("v", O_PATH);
	SAY(read(fd, buf, 1));
	SAY(sendfile(fd, fd, NULL, 1));
	close(fd);
}

/* --- pipes --- */

static void test_pipes(void)
{
	struct stat st;
	int bytes = -1;
	int p[2];

	SAY(pipe2(p, 0x1));
	SAY(pipe2(BAD, 0));
	SAY(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	SAY(fcntl(p[0], F_GETFD));
	SAY(fcntl(p[0], F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	SAY(fcntl(p[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	SAY(fcntl(p[1], F_GETPIPE_SZ));
	SAY(fcntl(p[1], F_SETPIPE_SZ, 5000));
	SAY(write(p[1], buf, 10000));
	SAY(fcntl(p[1], F_SETPIPE_SZ, 1));
	SAY(write(p[1], buf, 1));
	SAY(ioctl(p[0], FIONREAD, &bytes));
	SAY(bytes);
	SAY(ioctl(p[0], FIONREAD, BAD));
	SAY(ioctl(p[0], TCGETS, buf));
	SAY(read(p[0], buf, 100000));
	SAY(read(p[0], buf, 1));
	SAY(fcntl(p[1], F_SETPIPE_SZ, 0x80000000u));
	SAY(fcntl(0, F_SETPIPE_SZ, 65536) < 0);
	SAY(fstat(p[0], &st));
	printf("mode %o, size %ld, block %ld\n", st.st_mode, (long)st.st_size, (long)st.st_blksize);
	SAY(fcntl(p[1], F_SETFL, O_DIRECT | O_NONBLOCK));
	SAY(write(p[1], buf, 10));
	SAY(write(p[1], buf, 20));
	SAY(read(p[0], buf, 5));
	SAY(read(p[0], buf, 100));
	close(p[1]);
	SAY(read(p[0], buf, 1));
	close(p[0]);
}

static void *fifo_writer(void *data)
{
	int fd = open("fifo", O_WRONLY);

	(void)data;
	if (write(fd, "hello", 5) != 5)
		puts("fifo: short");
	close(fd);
	return NULL;
}

static void test_fifo(void)
{
	char name[64];
	pthread_t t;
	int fd;
	int r;

	SAY(mkfifo("fifo", 0600));
	SAY(open("fifo", O_WRONLY | O_NONBLOCK));
	SAY((r = open("fifo", O_RDONLY | O_NONBLOCK)) >= 0);
	SAY(read(r, buf, 1));
	SAY((fd = open("fifo", O_RDWR)) >= 0);
	SAY(read(r, buf, 1));
	close(fd);
	close(r);
	pthread_create(&t, NULL, fifo_writer, NULL);
	SAY((fd = open("fifo", O_RDONLY)) >= 0);
	SAY(read(fd, buf, 100));
	SAY(read(fd, buf, 100));
	pthread_join(t, NULL);
	/* By its number it is opened once more. */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	SAY((r = open(name, O_RDWR | O_NONBLOCK)) >= 0);
	SAY(write(r, "x", 1));
	SAY(read(fd, buf, 100));
	close(r);
	close(fd);
	unlink("fifo");
}

/* --- from file to file --- */

static void test_move(void)
{
	int a = file_with("a", 150000);
	int b = open("b", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int append = open("b", O_WRONLY | O_APPEND);
	int dir = open(".", O_RDONLY);
	off_t off = 100;
	off_t off2 = 7;
	int p[2];
	int q[2];

	SAY(sendfile(b, a, NULL, 100000));
	SAY(lseek(a, 0, SEEK_CUR));
	SAY(sendfile(b, a, &off, 1000));
	SAY(off);
	SAY(sendfile(b, a, NULL, SSIZE_MAX));
	SAY(sendfile(b, a, NULL, 10));
	SAY(sendfile(append, a, &off, 10));
	SAY(sendfile(b, dir, NULL, 10) < 0);
	off = -1;
	SAY(sendfile(b, a, &off, 10));
	SAY(sendfile(b, a, BAD, 10));
	printf("sum %u\n", sum_of(b));
	SAY(pipe2(p, O_NONBLOCK));
	SAY(pipe2(q, O_NONBLOCK));
	SAY(sendfile(b, p[0], NULL, 10));
	SAY(copy_file_range(a, &(off_t){ 10 }, b, &off2, 5000, 0));
	SAY(off2);
	SAY(copy_file_range(a, &(off_t){ 0 }, a, &(off_t){ 100 }, 5000, 0));
	SAY(copy_file_range(a, NULL, b, NULL, 5000, 1));
	SAY(copy_file_range(a, NULL, append, NULL, 5000, 0));
	SAY(copy_file_range(a, NULL, p[1], NULL, 5000, 0));
	SAY(copy_file_range(dir, NULL, b, NULL, 5000, 0));
	printf("sum %u\n", sum_of(b));

	off = 4096;
	SAY(splice(a, &off, p[1], NULL, 28672, 0));
	SAY(off);
	SAY(splice(a, &off, p[1], NULL, 300000, SPLICE_F_NONBLOCK));
	SAY(splice(a, &off, p[1], NULL, 300000, SPLICE_F_NONBLOCK));
	SAY(splice(a, &off, p[1], &off2, 10, 0));
	SAY(splice(a, NULL, b, NULL, 10, 0));
	SAY(splice(p[0], NULL, p[1], NULL, 10, 0));
	SAY(splice(p[0], NULL, q[1], NULL, 10, 0x100));
	SAY(splice(p[0], NULL, q[1], NULL, 0, 0x100));
	SAY(tee(p[0], q[1], 5000, 0));
	SAY(tee(p[0], p[1], 5000, 0));
	SAY(tee(a, q[1], 5000, 0));
	SAY(splice(p[0], NULL, q[1], NULL, 7000, 0));
	SAY(read(q[0], buf, sizeof(buf)));
	off2 = 200;
	SAY(splice(p[0], NULL, b, &off2, 20000, 0));
	SAY(off2);
	SAY(splice(p[0], NULL, append, NULL, 20000, 0));
	SAY(read(p[0], buf, sizeof(buf)));
	SAY(splice(p[0], NULL, b, NULL, 20000, SPLICE_F_NONBLOCK));
	SAY(vmsplice(p[1], &(struct iovec){ buf, 4096 }, 1, 0));
	SAY(vmsplice(a, &(struct iovec){ buf, 3000 }, 1, 0));
	SAY(vmsplice(p[0], &(struct iovec){ buf, 4096 }, 1, 0));
	SAY(vmsplice(p[1], &(struct iovec){ buf, 200000 }, 1, SPLICE_F_NONBLOCK));
	close(p[1]);
	SAY(read(p[0], buf, sizeof(buf)));
	SAY(splice(p[0], NULL, b, NULL, 20000, 0));
	printf("sum %u\n", sum_of(b));
	close(p[0]);
	close(q[0]);
	SAY(splice(a, &off, q[1], NULL, 10, 0));
	close(q[1]);
	close(a);
	close(b);
	close(append);
	close(dir);
}

/* --- poll and select --- */

static void say_fds(const char *what, const struct pollfd *fds, int n)
{
	printf("%s:", what);
	for (int i = 0; i < n; i++)
		printf(" %x", (unsigned)fds[i].revents);
	puts("");
}

static void test_poll(void)
{
	struct timespec ts = { 0, 1000000 };
	struct timespec bad = { 0, 1000000000 };
	struct timeval tv = { 0, 1000 };
	fd_set in;
	fd_set out;
	fd_set ex;
	int file = file_with("p", 10);
	int p[2];
	int s[2];

	SAY(pipe(p));
	SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	struct pollfd fds[] = {
		{ p[0], POLLIN, 55 }, { p[1], POLLOUT, 55 }, { -1, POLLIN, 55 }, { 999, POLLIN, 55 },
		{ file, POLLIN | POLLOUT | POLLPRI | POLLRDNORM, 0 }, { s[0], POLLIN | POLLOUT, 0 },
		{ p[0], 0, 0 },
	};
	SAY(poll(fds, 7, -1));
	say_fds("first", fds, 7);
	SAY(write(p[1], "x", 1));
	SAY(write(s[1], "x", 1));
	SAY(poll(fds, 7, 0));
	say_fds("written", fds, 7);
	close(p[1]);
	close(s[1]);
	fds[1].fd = -7;
	SAY(poll(fds, 7, 0));
	say_fds("closed", fds, 7);
	SAY(read(p[0], buf, 1));
	SAY(poll(fds, 7, 0));
	say_fds("read", fds, 7);
	SAY(poll(NULL, 0, 1));
	SAY(poll(BAD, 1, 0));
	SAY(poll(fds, 0x7fffffff, 0));
	SAY(ppoll(fds + 2, 1, &ts, NULL));
	printf("left %ld.%09ld\n", ts.tv_sec, ts.tv_nsec);
	SAY(ppoll(fds, 1, &bad, NULL));
	SAY(syscall(SYS_ppoll, fds, 1, NULL, buf, 7));
	SAY(ppoll(fds, 1, BAD, NULL));

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&ex);
	FD_SET(file, &in);
	FD_SET(p[0], &in);
	FD_SET(s[0], &in);
	FD_SET(s[0], &out);
	FD_SET(s[0], &ex);
	SAY(select(100, &in, &out, &ex, NULL));
	printf("in %d %d %d out %d ex %d\n", !!FD_ISSET(file, &in), !!FD_ISSET(p[0], &in),
	       !!FD_ISSET(s[0], &in), !!FD_ISSET(s[0], &out), !!FD_ISSET(s[0], &ex));
	SAY(select(0, NULL, NULL, NULL, &tv));
	printf("left %ld.%06ld\n", (long)tv.tv_sec, (long)tv.tv_usec);
	SAY(select(-1, NULL, NULL, NULL, &tv));
	tv.tv_sec = -1;
	SAY(select(0, NULL, NULL, NULL, &tv));
	tv = (struct timeval){ 98, 2000000 };
	FD_ZERO(&in);
	FD_SET(file, &in);
	SAY(select(100, &in, NULL, NULL, &tv));
	printf("left %d\n", tv.tv_sec >= 50 && tv.tv_usec < 1000000);
	FD_ZERO(&in);
	FD_SET(200, &in);
	SAY(select(300, &in, NULL, NULL, NULL));
	SAY(select(100, BAD, NULL, NULL, NULL));
	SAY(pselect(0, NULL, NULL, NULL, &bad, NULL));
	close(file);
	close(p[0]);
	close(s[0]);
}

/* --- epoll --- */

static void test_epoll(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct epoll_event got[4];
	struct timespec ts = { 0, 1000000 };
	int file = file_with("e", 10);
	int e = epoll_create1(EPOLL_CLOEXEC);
	int e2 = epoll_create(1);
	int null = open("/dev/null", O_RDWR);
	int ends[2];

	SAY(epoll_create(0));
	SAY(epoll_create1(1));
	SAY(pipe(ends));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, file, &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, null, &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, e, &ev));
	SAY(epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, 99, &ev));
	SAY(epoll_ctl(99, EPOLL_CTL_ADD, ends[0], &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, ends[0], BAD));
	SAY(epoll_ctl(e, EPOLL_CTL_DEL, ends[0], NULL));
	SAY(epoll_ctl(e, EPOLL_CTL_MOD, ends[0], &ev));
	SAY(epoll_ctl(e, 9, ends[0], &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, ends[0], &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, ends[0], &ev));
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, e2, &ev));
	SAY(epoll_ctl(e2, EPOLL_CTL_ADD, e, &ev));
	SAY(epoll_wait(e, got, 0, 0));
	SAY(epoll_wait(e, got, -1, 0));
	SAY(epoll_wait(e, got, INT_MAX, 0));
	SAY(epoll_wait(ends[0], got, 1, 0));
	SAY(epoll_wait(99, got, 1, 0));
	SAY(epoll_wait(e, got, 4, 1));
	SAY(epoll_pwait2(e, got, 4, &ts, NULL));
	SAY(write(ends[1], "x", 1));
	SAY(epoll_wait(e, got, 4, -1));
	SAY(epoll_wait(e, BAD, 4, -1));
	SAY(epoll_wait(e, got, 4, -1));
	/* A member goes with its last descriptor, not with its first. */
	SAY(fcntl(ends[0], F_DUPFD, 50));
	close(ends[0]);
	SAY(epoll_wait(e, got, 4, 0));
	close(50);
	SAY(epoll_wait(e, got, 4, 0));
	SAY(read(e, buf, 10));
	SAY(write(e, buf, 10));
	close(e);
	/* All at once, but never more than there is room for. */
	e = epoll_create1(0);
	for (int i = 0; i < 300; i++) {
		epoll_ctl(e, EPOLL_CTL_ADD, eventfd(1, 0), &ev);
		if (i < 2)
			SAY(epoll_wait(e, got, 1, 0));
	}
	SAY(epoll_wait(e, (struct epoll_event *)buf, 5000, 0));
	SAY(epoll_wait(e, (struct epoll_event *)buf, 70, 0));
	close(e);
	close(e2);
	close(ends[1]);
	close(file);
	close(null);
}

/* --- events --- */

static void test_events(void)
{
	struct itimerspec its = { .it_value = { 0, 1000000 } };
	struct stat st;
	uint64_t value = 5;
	int e = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
	int t = timerfd_create(CLOCK_MONOTONIC, 0);

	SAY(read(e, &value, 8));
	SAY((long)value);
	SAY(read(e, &value, 4));
	SAY(write(e, &value, 16));
	SAY(pread(e, &value, 8, 0));
	SAY(eventfd(0, 2));
	SAY(fstat(e, &st));
	printf("mode %o\n", st.st_mode);
	SAY(lseek(e, 0, SEEK_SET));
	SAY(timerfd_create(77, 0));
	SAY(timerfd_create(CLOCK_MONOTONIC, 1));
	SAY(timerfd_settime(t, 0, &its, NULL));
	SAY(read(t, &value, 8));
	SAY((long)value);
	SAY(timerfd_settime(e, 0, &its, NULL));
	SAY(timerfd_settime(t, 0, BAD, NULL));
	SAY(timerfd_gettime(t, BAD));
	SAY(write(t, &value, 8));
	close(e);
	close(t);
}

/* --- O_ASYNC --- */

static volatile sig_atomic_t signals;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	signals = sig == SIGIO ? 1 : info->si_code == POLL_IN ? 2 : 3;
}

static void await_signal(const char *what, const sigset_t *mask)
{
	while (!signals)
		sigsuspend(mask);
	printf("%s: %d\n", what, (int)signals);
	signals = 0;
}

static void test_async(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigset_t block;
	sigset_t old;
	struct f_owner_ex nobody = { F_OWNER_PGRP, INT_MIN };
	int on = 1;
	int p[2];

	sigaction(SIGIO, &sa, NULL);
	sigaction(SIGRTMIN, &sa, NULL);
	sigemptyset(&block);
	sigaddset(&block, SIGIO);
	sigaddset(&block, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &block, &old);
	SAY(pipe(p));
	SAY(fcntl(p[0], F_SETOWN_EX, &nobody));
	SAY(fcntl(p[0], F_SETOWN, INT_MIN));
	SAY(fcntl(p[0], F_SETOWN, getpid()));
	SAY(fcntl(p[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	SAY(write(p[1], "x", 1));
	await_signal("written", &old);
	SAY(write(p[1], "x", 1));
	await_signal("written again", &old);
	SAY(fcntl(p[0], F_SETSIG, SIGRTMIN));
	SAY(write(p[1], "x", 1));
	await_signal("with its own", &old);
	SAY(fcntl(p[0], F_SETFL, O_NONBLOCK));
	SAY(write(p[1], "x", 1));
	SAY(signals);
	SAY(fcntl(p[0], F_SETSIG, 0));
	SAY(ioctl(p[0], FIOASYNC, &on));
	setpgid(0, 0);
	SAY(fcntl(p[0], F_SETOWN, -getpgrp()));
	close(p[1]);
	await_signal("closed", &old);
	close(p[0]);
}

/* --- inotify --- */

static void say_changes(int in)
{
	char events[4096] __attribute__((aligned(8)));
	ssize_t n = read(in, events, sizeof(events));

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *ev = (const void *)(events + at);

		printf("  %d %x %s %s\n", ev->wd, ev->mask, ev->cookie ? "cookie" : "-",
		       ev->len ? ev->name : "-");
		at += (ssize_t)(sizeof(*ev) + ev->len);
	}
}

static void test_inotify(void)
{
	int in = inotify_init1(IN_NONBLOCK);
	int fd;

	SAY(mkdir("i", 0700));
	SAY(inotify_add_watch(in, "i", IN_ALL_EVENTS));
	SAY(inotify_add_watch(in, "none", IN_ALL_EVENTS));
	SAY(inotify_add_watch(in, "i", 0));
	SAY(inotify_add_watch(in, "p", IN_ALL_EVENTS | IN_ONLYDIR));
	SAY(inotify_add_watch(0, "i", IN_ALL_EVENTS));
	SAY(inotify_rm_watch(in, 77));
	fd = open("i/a", O_RDWR | O_CREAT, 0600);
	SAY(write(fd, "abc", 3));
	SAY(pread(fd, buf, 3, 0));
	SAY(ftruncate(fd, 1));
	SAY(fchmod(fd, 0644));
	close(fd);
	say_changes(in);
	SAY(inotify_add_watch(in, "i/a", IN_ALL_EVENTS));
	SAY(rename("i/a", "i/b"));
	say_changes(in);
	SAY(link("i/b", "i/c"));
	SAY(unlink("i/b"));
	say_changes(in);
	SAY(mkdir("i/d", 0700));
	SAY(rmdir("i/d"));
	say_changes(in);
	SAY(symlink("x", "i/s"));
	SAY(unlink("i/s"));
	say_changes(in);
	SAY(unlink("i/c"));
	say_changes(in);
	SAY(rmdir("i"));
	say_changes(in);
	SAY(read(in, buf, 100));
	close(in);
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "vectors", test_vectors }, { "pipes", test_pipes }, { "fifo", test_fifo },
		{ "move", test_move },	     { "poll", test_poll },   { "epoll", test_epoll },
		{ "events", test_events },   { "async", test_async }, { "inotify", test_inotify },
	};
	char dir[] = "/tmp/guest-io-XXXXXX";

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	guest_run(cases, COUNT(cases), argc, argv);
	for (const char *const *f = (const char *const[]){ "v", "a", "b", "p", "e", NULL }; *f; f++)
		unlink(*f);
	return chdir("/") || rmdir(dir);
}
