/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_pile WHAT - piles up one kind of thing until there is no more of it, tells how that ended,
 * and waits for the end of its input with all of it held
 *
 * Each piece() makes the next one. What a process may have of its own is raised to the most, so that
 * it is the kernel that says no.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MANY 3000000u

/* Return: 0, or -1 with errno: that was all */
typedef int (*pile_piece)(unsigned n);

static char pile_fill[65536];

static int pile_files(unsigned n)
{
	char name[256];

	if (n % 4096 == 0) {
		snprintf(name, sizeof(name), "/tmp/pile%u", n);
		if (mkdir(name, 0700) < 0 || chdir(name) < 0)
			return -1;
	}
	snprintf(name, sizeof(name), "%0200u", n);
	return mknod(name, S_IFREG | 0600, 0);
}

static int pile_links(unsigned n)
{
	char name[32], target[128];

	memset(target, 'x', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	snprintf(name, sizeof(name), "/tmp/link%u", n);
	return symlink(target, name);
}

/* One in the other */
static int pile_deep(unsigned n)
{
	if (!n && chdir("/tmp") < 0)
		return -1;
	return mkdir("d", 0700) < 0 || chdir("d") < 0 ? -1 : 0;
}

static int pile_xattrs(unsigned n)
{
	char name[32], attr[32];

	snprintf(name, sizeof(name), "/tmp/attr%u", n - n % 10);
	if (n % 10 == 0 && mknod(name, S_IFREG | 0600, 0) < 0)
		return -1;
	snprintf(attr, sizeof(attr), "user.%u", n);
	return setxattr(name, attr, pile_fill, 6000, 0);
}

static int pile_opens(unsigned n)
{
	return open("/dev/null", O_RDONLY) < 0 ? -1 : 0;
}

static int pile_texts(unsigned n)
{
	int fd = open("/proc/self/maps", O_RDONLY);

	/* Each makes another line; the text is made when it is read */
	if (n < 3000)
		mmap(NULL, 4096, n & 1 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return fd < 0 || read(fd, pile_fill, sizeof(pile_fill)) < 0 ? -1 : 0;
}

static int pile_tables(unsigned n)
{
	pid_t pid;

	if (!n && dup2(0, 1048575) < 0)
		return -1;
	if (n >= 200)
		return errno = E2BIG, -1;
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	return pid < 0 ? -1 : 0;
}

static int pile_pipes(unsigned n)
{
	int ends[2];

	if (pipe2(ends, O_NONBLOCK) < 0)
		return -1;
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
	while (write(ends[1], pile_fill, sizeof(pile_fill)) > 0)
		;
	return 0;
}

static int pile_events(unsigned n)
{
	sigset_t set;

	sigemptyset(&set);
	switch (n % 4) {
	case 0:
		return eventfd(0, 0) < 0 ? -1 : 0;
	case 1:
		return timerfd_create(CLOCK_MONOTONIC, 0) < 0 ? -1 : 0;
	case 2:
		return signalfd(-1, &set, 0) < 0 ? -1 : 0;
	default:
		return memfd_create("m", 0) < 0 ? -1 : 0;
	}
}

static int pile_epolls(unsigned n)
{
	static int events[100];
	int fd = epoll_create1(0);

	if (fd < 0)
		return -1;
	for (int i = 0; i < 100; i++) {
		struct epoll_event event = { .events = EPOLLIN };

		if (!n)
			events[i] = eventfd(0, 0);
		if (epoll_ctl(fd, EPOLL_CTL_ADD, events[i], &event) < 0)
			return -1;
	}
	return 0;
}

static int pile_watches(unsigned n)
{
	static int fd = -1;
	static unsigned here;
	char name[32];

	if (n < 1000) {
		snprintf(name, sizeof(name), "/tmp/w%u", n);
		return mkdir(name, 0700);
	}
	if (fd < 0 || here == 1000) {
		fd = inotify_init1(IN_NONBLOCK);
		here = 0;
		if (fd < 0)
			return -1;
	}
	snprintf(name, sizeof(name), "/tmp/w%u", here++);
	return inotify_add_watch(fd, name, IN_ALL_EVENTS) < 0 ? -1 : 0;
}

static int pile_locks(unsigned n)
{
	static int fd = -1;
	struct flock lock = { .l_type = F_WRLCK, .l_start = (off_t)n * 2, .l_len = 1 };

	if (fd < 0)
		fd = open("/tmp/locks", O_RDWR | O_CREAT, 0600);
	return fcntl(fd, F_SETLK, &lock);
}

static int pile_mounts(unsigned n)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL);
}

/* Each with a name, at which nobody accepts */
static int pile_backlogs(unsigned n)
{
	static int listener = -1;
	static struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (n % 4000 == 0) {
		snprintf(addr.sun_path + 1, 20, "pile%u", n);
		listener = socket(AF_UNIX, SOCK_STREAM, 0);
		if (listener < 0 || bind(listener, (void *)&addr, 20) < 0 || listen(listener, 4096) < 0)
			return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (void *)&addr, 20) < 0)
		return -1;
	return close(fd);
}

static int pile_bytes(unsigned n)
{
	int ends[2], size = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
		return -1;
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	while (send(ends[0], pile_fill, sizeof(pile_fill), MSG_NOSIGNAL) > 0)
		;
	return errno == EAGAIN ? 0 : -1;
}

static int pile_send(int by, int what)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { pile_fill, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(&control.align), &what, sizeof(int));
	return sendmsg(by, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}

/* Pairs that lie in each other, and nobody has any more; after many, still one is to be had */
static int pile_rings(unsigned n)
{
	int a[2], b[2];

	if (n == 20000)
		return errno = 0, -1;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, a) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, b) < 0)
		return -1;
	if (pile_send(a[0], b[1]) < 0 || pile_send(b[0], a[1]) < 0)
		return -1;
	return close(a[0]) < 0 || close(a[1]) < 0 || close(b[0]) < 0 ? -1 : close(b[1]);
}

/* One within the other: a chain, whose end takes all with it */
static int pile_chain(unsigned n)
{
	static int last = -1;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -1;
	if (last >= 0) {
		if (pile_send(ends[0], last) < 0)
			return -1;
		close(last);
	}
	close(ends[0]);
	last = ends[1];
	return 0;
}

static int pile_netlinks(unsigned n)
{
	struct {
		struct nlmsghdr head;
		struct rtgenmsg body;
	} ask = { { sizeof(ask), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, { AF_UNSPEC } };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	for (int i = 0; i < 2000; i++)
		if (send(fd, &ask, sizeof(ask), 0) < 0)
			break;
	return 0;
}

static int pile_terminals(unsigned n)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);

	/* What is too long for a line is dropped, so there is NONE of it */
	return fd < 0 || unlockpt(fd) < 0 || write(fd, pile_fill, sizeof(pile_fill)) < 0 ? -1 : 0;
}

static int pile_inets(unsigned n)
{
	return socket(AF_INET, SOCK_DGRAM, 0) < 0 ? -1 : 0;
}

static int pile_hostfiles(unsigned n)
{
	return open("/guest", O_RDONLY) < 0 ? -1 : 0;
}

static int pile_signals(unsigned n)
{
	union sigval value = { .sival_int = (int)n };
	sigset_t set;

	if (!n) {
		sigemptyset(&set);
		sigaddset(&set, SIGRTMIN);
		sigprocmask(SIG_BLOCK, &set, NULL);
	}
	return sigqueue(getpid(), SIGRTMIN, value);
}

/* Whether it sleeps in the kernel; -1: it has ended, with errno as its status */
static int pile_sleeps(pid_t pid)
{
	char name[32], text[128], *end;
	int fd, status;
	ssize_t n;

	if (waitpid(pid, &status, WNOHANG) == pid)
		return errno = WEXITSTATUS(status), -1;
	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	fd = open(name, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == 'S';
}

static int pile_sleeper(pid_t pid)
{
	int r = pid < 0 ? -1 : 0;

	while (r == 0) {
		r = pile_sleeps(pid);
		if (r == 0)
			usleep(1000);
	}
	return r < 0 ? -1 : 0;
}

/* Each of them sleeps on as many files */
static int pile_polls(unsigned n)
{
	static struct pollfd fds[100000];
	pid_t pid;

	if (!n)
		memset(fds, 0xff, sizeof(fds)); /* files -1 */
	pid = fork();
	if (!pid)
		_exit(poll(fds, sizeof(fds) / sizeof(*fds), -1) < 0 ? errno : 0);
	return pile_sleeper(pid);
}

/* Each of them with mounts of its own */
static int pile_spaces(unsigned n)
{
	pid_t pid;

	for (unsigned i = 0; !n && i < 4000; i++)
		if (mount("none", "/tmp", "tmpfs", 0, NULL) < 0)
			return -1;
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNS) < 0)
			_exit(errno);
		pause();
	}
	return pile_sleeper(pid);
}

static const struct {
	const char *name;
	pile_piece piece;
} piles[] = {
	{ "files", pile_files }, { "links", pile_links }, { "deep", pile_deep },
	{ "xattrs", pile_xattrs }, { "opens", pile_opens }, { "texts", pile_texts },
	{ "tables", pile_tables }, { "pipes", pile_pipes }, { "events", pile_events },
	{ "epolls", pile_epolls }, { "watches", pile_watches }, { "locks", pile_locks },
	{ "mounts", pile_mounts }, { "backlogs", pile_backlogs }, { "bytes", pile_bytes },
	{ "rings", pile_rings }, { "chain", pile_chain }, { "netlinks", pile_netlinks },
	{ "terminals", pile_terminals }, { "inets", pile_inets }, { "hostfiles", pile_hostfiles },
	{ "signals", pile_signals }, { "polls", pile_polls }, { "spaces", pile_spaces },
};

int main(int argc, char **argv)
{
	struct rlimit files = { 1048576, 1048576 };
	unsigned n = 0;
	char c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setrlimit(RLIMIT_NOFILE, &files);
	for (size_t i = 0; i < sizeof(piles) / sizeof(*piles) && argc > 1; i++) {
		if (strcmp(argv[1], piles[i].name) != 0)
			continue;
		while (n < MANY && piles[i].piece(n) == 0)
			n++;
		printf("%s %u %s\n", argv[1], n, n < MANY ? strerrorname_np(errno) : "NONE");
		while (read(0, &c, 1) > 0)
			;
		return 0;
	}
	return 2;
}
