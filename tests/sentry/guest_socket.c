/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets, inet sockets over loopback, and questions about interfaces: results and errors. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "guest.h"

#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"

#define BAD ((void *)0x10)

static char buf[300000];

static void say(const char *what, long r)
{
	if (r < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, r);
}

#define SAY(call) say(#call, (long)(call))

static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
static const char *const type_names[] = { "stream", "dgram", "seqpacket" };

static void show_poll(const char *what, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI };

	poll(&pfd, 1, 0);
	printf("%s: poll %#x\n", what, (unsigned)pfd.revents);
}

/* What was sent comes when the host has time. */
static void await_input(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	poll(&pfd, 1, -1);
}

static socklen_t un_addr(struct sockaddr_un *un, const char *name, size_t len)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, name, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int un_bind(int fd, const char *name)
{
	struct sockaddr_un un;
	socklen_t len = un_addr(&un, name, strlen(name));

	return bind(fd, (struct sockaddr *)&un, len);
}

static int un_connect(int fd, const char *name)
{
	struct sockaddr_un un;
	socklen_t len = un_addr(&un, name, strlen(name));

	return connect(fd, (struct sockaddr *)&un, len);
}

static void show_name(const char *what, int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_un un = { 0 };
	socklen_t len = sizeof(un);

	if (ask(fd, (struct sockaddr *)&un, &len) < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: family %d, %u bytes, \"%s\"\n", what, un.sun_family, len,
		       len > 2 ? un.sun_path + !un.sun_path[0] : "");
}

/* --- unix --- */

static void pair_ends(const char *name, int type, int s[2])
{
	printf("-- %s, one end closed\n", name);
	SAY(send(s[0], "unread", 6, 0));
	close(s[1]);
	show_poll("closed", s[0]);
	SAY(recv(s[0], buf, 10, MSG_DONTWAIT));
	SAY(recv(s[0], buf, 10, MSG_DONTWAIT));
	SAY(send(s[0], "x", 1, MSG_NOSIGNAL));
	if (type != SOCK_STREAM)
		SAY(send(s[0], "x", 1, MSG_NOSIGNAL));
	close(s[0]);
}

static void case_pairs(void)
{
	for (size_t i = 0; i < COUNT(types); i++) {
		int s[2];

		printf("-- %s\n", type_names[i]);
		SAY(socketpair(AF_UNIX, types[i], 0, s));
		show_poll("fresh", s[0]);
		SAY(send(s[0], "hello", 5, 0));
		SAY(ioctl(s[1], FIONREAD, buf));
		printf("FIONREAD %d\n", *(int *)(void *)buf);
		SAY(recv(s[1], buf, 3, MSG_PEEK));
		SAY(recv(s[1], buf, 3, 0));
		SAY(recv(s[1], buf, 9, MSG_DONTWAIT));
		SAY(send(s[0], "", 0, 0));
		SAY(recv(s[1], buf, 9, MSG_DONTWAIT));
		SAY(send(s[0], "0123456789", 10, 0));
		SAY(recv(s[1], buf, 4, MSG_TRUNC | MSG_DONTWAIT));
		SAY(recv(s[1], buf, 40, MSG_DONTWAIT));
		SAY(send(s[0], "x", 1, MSG_OOB) < 0 || types[i] == SOCK_STREAM);
		SAY(recv(s[0], buf, 1, MSG_ERRQUEUE | MSG_DONTWAIT));
		SAY(send(s[0], BAD, 10, 0));
		SAY(send(s[0], "ok", 2, 0));
		SAY(recv(s[1], BAD, 10, 0));
		while (recv(s[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		SAY(shutdown(s[0], SHUT_WR));
		show_poll("after SHUT_WR", s[0]);
		show_poll("its peer", s[1]);
		SAY(send(s[0], "x", 1, MSG_NOSIGNAL));
		SAY(recv(s[1], buf, 1, MSG_DONTWAIT));
		SAY(send(s[1], "back", 4, MSG_NOSIGNAL));
		SAY(recv(s[0], buf, 10, MSG_DONTWAIT));
		SAY(shutdown(s[1], SHUT_RDWR));
		show_poll("after SHUT_RDWR", s[0]);
		SAY(recv(s[1], buf, 1, MSG_DONTWAIT));
		SAY(recv(s[1], buf, 1, 0));
		SAY(shutdown(s[1], 3));
		close(s[0]);
		close(s[1]);
		SAY(socketpair(AF_UNIX, types[i] | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s));
		printf("flags %#x %d\n", (unsigned)fcntl(s[0], F_GETFL), fcntl(s[0], F_GETFD));
		SAY(recv(s[0], buf, 1, 0));
		pair_ends(type_names[i], types[i], s);
	}
	SAY(socketpair(AF_UNIX, SOCK_RDM, 0, (int[2]){ 0 }));
	SAY(socketpair(AF_UNIX, SOCK_STREAM, 9, (int[2]){ 0 }));
	SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD));
	SAY(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){ 0 }));
	SAY(socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
	SAY(socket(12345, SOCK_STREAM, 0));
	SAY(socket(-1, SOCK_STREAM, 0));
	SAY(socket(AF_UNIX, 0, 0));
}

static void case_names(void)
{
	struct sockaddr_un un;
	int a = socket(AF_UNIX, SOCK_STREAM, 0), b = socket(AF_UNIX, SOCK_STREAM, 0);
	char where[] = "/tmp/guest-socket-XXXXXX", abstract[8] = "\0a\0";
	pid_t pid = getpid();
	struct stat st;
	socklen_t len;

	if (!mkdtemp(where) || chdir(where) < 0)
		printf("no place\n");
	umask(027);
	show_name("unbound", a, getsockname);
	show_name("unconnected", a, getpeername);
	SAY(listen(a, 1));
	SAY(un_bind(a, "here"));
	SAY(un_bind(a, "there"));
	SAY(un_bind(b, "here"));
	SAY(un_bind(b, "no/such/place"));
	SAY(un_bind(b, ""));
	SAY(stat("here", &st));
	printf("mode %o\n", st.st_mode);
	SAY(open("here", O_RDONLY));
	show_name("bound", a, getsockname);
	SAY(un_connect(b, "here"));
	SAY(listen(a, 1));
	SAY(un_connect(b, "nowhere"));
	SAY(un_connect(b, "/tmp"));
	SAY(un_connect(b, "here/x"));
	SAY(un_connect(b, "here"));
	SAY(un_connect(b, "here"));
	show_name("connected", b, getpeername);
	SAY(rename("here", "moved"));
	SAY(un_connect(socket(AF_UNIX, SOCK_STREAM, 0), "here"));
	SAY(un_connect(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), "moved"));
	SAY(un_connect(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), "moved"));
	SAY(fcntl(b, F_SETFL, O_NONBLOCK));
	SAY(un_connect(b, "moved"));
	SAY(fcntl(b, F_SETFL, 0));
	SAY(symlink("moved", "link"));
	close(accept(a, NULL, NULL));
	SAY(un_connect(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), "link"));
	SAY(un_connect(socket(AF_UNIX, SOCK_DGRAM, 0), "moved"));
	SAY(un_connect(socket(AF_UNIX, SOCK_SEQPACKET, 0), "moved"));
	close(a);
	SAY(un_connect(socket(AF_UNIX, SOCK_STREAM, 0), "moved"));
	SAY(recv(b, buf, 1, 0) == 0);
	SAY(un_bind(socket(AF_UNIX, SOCK_STREAM, 0), "moved"));
	SAY(unlink("moved"));
	unlink("link");
	a = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(abstract + 3, &pid, sizeof(pid)); /* nobody else's, also on the host */
	len = un_addr(&un, abstract, sizeof(abstract));
	SAY(bind(a, (struct sockaddr *)&un, len));
	SAY(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&un, len));
	SAY(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&un, len + 1));
	show_name("abstract", a, getsockname);
	SAY(listen(a, 5));
	SAY(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&un, len));
	SAY(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&un, len - 1));
	SAY(bind(b, (struct sockaddr *)&un, 1));
	SAY(bind(b, (struct sockaddr *)&un, 200));
	SAY(bind(b, (struct sockaddr *)&un, (socklen_t)-1));
	SAY(bind(b, BAD, 20));
	un.sun_family = AF_INET;
	SAY(bind(b, (struct sockaddr *)&un, len));
	a = socket(AF_UNIX, SOCK_DGRAM, 0);
	un.sun_family = AF_UNIX;
	SAY(bind(a, (struct sockaddr *)&un, 2));
	len = sizeof(un);
	SAY(getsockname(a, (struct sockaddr *)&un, &len));
	printf("autobound: %u bytes\n", len);
	SAY(accept(a, NULL, NULL));
	SAY(listen(a, 1));
	rmdir(where);
}

static void *connector(void *arg)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	un_connect(fd, arg);
	return (void *)(intptr_t)fd;
}

static void case_backlog(void)
{
	char where[] = "/tmp/guest-backlog-XXXXXX", name[] = "listener";
	int l = socket(AF_UNIX, SOCK_STREAM, 0), fds[4];
	pthread_t thread;
	void *late;

	if (!mkdtemp(where) || chdir(where) < 0)
		printf("no place\n");
	SAY(un_bind(l, name));
	SAY(listen(l, 1));
	for (int i = 0; i < 3; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		SAY(un_connect(fds[i], name));
	}
	show_poll("listener", l);
	pthread_create(&thread, NULL, connector, name);
	usleep(50000);
	for (int i = 0; i < 3; i++)
		SAY(accept(l, NULL, NULL) > 0);
	pthread_join(thread, &late);
	show_name("the late one", (int)(intptr_t)late, getsockname);
	SAY(fcntl(l, F_SETFL, O_NONBLOCK));
	SAY(accept4(l, NULL, NULL, 0));
	SAY(accept4(l, NULL, NULL, 0x40));
	SAY(shutdown(l, SHUT_RDWR));
	SAY(accept(l, NULL, NULL));
	SAY(fcntl(l, F_SETFL, 0));
	SAY(accept(l, NULL, NULL));
	SAY(un_connect(socket(AF_UNIX, SOCK_STREAM, 0), name));
	unlink(name);
	rmdir(where);
}

static void case_packets(void)
{
	char where[] = "/tmp/guest-packets-XXXXXX", a_name[] = "a", b_name[] = "b";
	int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0);
	int c = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un un, from;
	socklen_t len, got = sizeof(from);

	if (!mkdtemp(where) || chdir(where) < 0)
		printf("no place\n");
	SAY(un_bind(a, a_name));
	len = un_addr(&un, a_name, strlen(a_name));
	SAY(send(b, "x", 1, 0));
	SAY(sendto(b, "one", 3, 0, (struct sockaddr *)&un, len));
	SAY(recvfrom(a, buf, 10, 0, (struct sockaddr *)&from, &got));
	printf("from %u bytes\n", got);
	SAY(un_bind(b, b_name));
	SAY(un_connect(b, a_name));
	SAY(send(b, "two", 3, 0));
	got = sizeof(from);
	SAY(recvfrom(a, buf, 2, MSG_TRUNC, (struct sockaddr *)&from, &got));
	printf("from %d\n", strcmp(from.sun_path, b_name));
	SAY(un_connect(a, b_name));
	SAY(sendto(c, "three", 5, 0, (struct sockaddr *)&un, len));
	un.sun_family = AF_UNSPEC;
	SAY(connect(a, (struct sockaddr *)&un, 2));
	un.sun_family = AF_UNIX;
	SAY(sendto(c, "three", 5, MSG_DONTWAIT, (struct sockaddr *)&un, len));
	SAY(sendto(c, buf, 290000, 0, (struct sockaddr *)&un, len));
	close(a);
	SAY(send(b, "x", 1, 0));
	SAY(send(b, "x", 1, 0));
	SAY(sendto(c, "x", 1, 0, (struct sockaddr *)&un, len));
	SAY(un_connect(c, b_name));
	SAY(un_connect(b, b_name));
	SAY(send(b, "self", 4, 0));
	SAY(recv(b, buf, 10, 0));
	unlink(a_name);
	unlink(b_name);
	rmdir(where);
}

/* --- messages --- */

static long send_control(int fd, const char *data, int level, int type, const void *payload,
			 size_t len)
{
	union {
		struct cmsghdr header;
		char space[2048];
	} control = { .header = { .cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type } };
	struct iovec iov = { (void *)data, strlen(data) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = CMSG_SPACE(len) };

	memcpy(CMSG_DATA(&control.header), payload, len);
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Descriptors that come are closed. */
static void show_message(const char *what, int fd, size_t size, size_t room, int flags)
{
	union {
		struct cmsghdr header;
		char space[2048];
	} control;
	struct iovec iov = { buf, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room ? &control : NULL,
			      .msg_controllen = room };
	long n = recvmsg(fd, &msg, flags | MSG_DONTWAIT);

	if (n < 0) {
		printf("%s: %s\n", what, strerrorname_np(errno));
		return;
	}
	printf("%s: %ld bytes \"%.*s\", flags %#x, control %zu", what, n, (int)n, buf,
	       (unsigned)msg.msg_flags, msg.msg_controllen);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		printf(", level %d type %d length %zu", c->cmsg_level, c->cmsg_type, len);
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			int *fds = (int *)(void *)CMSG_DATA(c);

			for (size_t i = 0; i < len / sizeof(int); i++) {
				printf(" cloexec %d", fcntl(fds[i], F_GETFD));
				close(fds[i]);
			}
		}
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			printf(" uid %u gid %u pid %s", cred.uid, cred.gid,
			       cred.pid == getpid() ? "mine" : "another");
		}
	}
	printf("\n");
}

static void case_rights(void)
{
	int s[2], fds[300], on = 1;

	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = STDOUT_FILENO;
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	SAY(send_control(s[0], "a", SOL_SOCKET, SCM_RIGHTS, fds, 3 * sizeof(int)));
	show_message("all", s[1], 10, 200, 0);
	send_control(s[0], "b", SOL_SOCKET, SCM_RIGHTS, fds, 3 * sizeof(int));
	show_message("room for one", s[1], 10, CMSG_LEN(sizeof(int)), 0);
	send_control(s[0], "c", SOL_SOCKET, SCM_RIGHTS, fds, 3 * sizeof(int));
	show_message("no room", s[1], 10, 0, 0);
	send_control(s[0], "d", SOL_SOCKET, SCM_RIGHTS, fds, 3 * sizeof(int));
	show_message("a bit of room", s[1], 10, 8, 0);
	send_control(s[0], "e", SOL_SOCKET, SCM_RIGHTS, fds, sizeof(int));
	show_message("looked at", s[1], 10, 200, MSG_PEEK);
	show_message("cloexec", s[1], 10, 200, MSG_CMSG_CLOEXEC);
	SAY(send(s[0], "one", 3, 0));
	SAY(send(s[0], "two", 3, 0));
	SAY(send_control(s[0], "three", SOL_SOCKET, SCM_RIGHTS, fds, sizeof(int)));
	SAY(send_control(s[0], "four", SOL_SOCKET, SCM_RIGHTS, fds, sizeof(int)));
	SAY(send(s[0], "five", 4, 0));
	show_message("some", s[1], 4, 200, 0);
	show_message("up to them", s[1], 100, 200, 0);
	show_message("a part", s[1], 2, 200, 0);
	show_message("the rest", s[1], 100, 200, 0);
	fds[1] = 999;
	SAY(send_control(s[0], "x", SOL_SOCKET, SCM_RIGHTS, fds, 2 * sizeof(int)));
	fds[1] = 1;
	SAY(send_control(s[0], "x", SOL_SOCKET, SCM_RIGHTS, fds, 253 * sizeof(int)));
	show_message("many", s[1], 10, 2000, 0);
	SAY(send_control(s[0], "x", SOL_SOCKET, SCM_RIGHTS, fds, 254 * sizeof(int)));
	SAY(send_control(s[0], "x", SOL_SOCKET, 99, fds, 4));
	SAY(send_control(s[0], "x", IPPROTO_TCP, 99, fds, 4));
	SAY(recv(s[1], buf, 10, MSG_DONTWAIT));
	SAY(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	SAY(send(s[0], "who", 3, 0));
	show_message("credentials", s[1], 10, 200, 0);
	SAY(send_control(s[0], "f", SOL_SOCKET, SCM_CREDENTIALS,
			 &(struct ucred){ getpid(), getuid(), getgid() }, sizeof(struct ucred)));
	show_message("claimed", s[1], 10, 200, 0);
	SAY(send_control(s[0], "f", SOL_SOCKET, SCM_CREDENTIALS, &fds, 4));
	send_control(s[0], "g", SOL_SOCKET, SCM_RIGHTS, fds, sizeof(int));
	show_message("both", s[1], 10, 200, 0);
	send_control(s[0], "g", SOL_SOCKET, SCM_RIGHTS, fds, sizeof(int));
	show_message("room for the first", s[1], 10, CMSG_SPACE(sizeof(struct ucred)), 0);
}

/* Sockets in their own queues, in circles, and deep in each other. */
static void case_circles(void)
{
	struct rlimit limit = { 64, 1024 };
	int s[2], t[2], ends[2];

	if (getuid() == 0)
		setresuid(12345, 12345, 12345);
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0, tries = 0; i < 300 && tries < 2000; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
			printf("socketpair: %s\n", strerrorname_np(errno));
		if (send_control(s[0], "x", SOL_SOCKET, SCM_RIGHTS, s, sizeof(s)) < 0 ||
		    send_control(s[1], "x", SOL_SOCKET, SCM_RIGHTS, s, sizeof(s)) < 0) {
			/* The host collects them when it has time. */
			usleep(1000);
			tries++;
			i--;
		}
		close(s[0]);
		close(s[1]);
	}
	printf("circles end\n");
	limit.rlim_cur = 1024;
	setrlimit(RLIMIT_NOFILE, &limit);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	if (pipe(ends) < 0 ||
	    send_control(s[0], "p", SOL_SOCKET, SCM_RIGHTS, &ends[1], sizeof(int)) < 0)
		printf("pipe: %s\n", strerrorname_np(errno));
	close(ends[1]);
	for (int i = 0; i < 20; i++) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, t);
		send_control(t[0], "n", SOL_SOCKET, SCM_RIGHTS, s, sizeof(s));
		close(s[0]);
		close(s[1]);
		memcpy(s, t, sizeof(s));
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	SAY(read(ends[0], buf, 1));
	close(s[0]);
	close(s[1]);
	fcntl(ends[0], F_SETFL, 0);
	SAY(read(ends[0], buf, 1));
	/* More than RLIMIT_NOFILE cannot be on their way. */
	limit.rlim_cur = 64;
	setrlimit(RLIMIT_NOFILE, &limit);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	for (int i = 0; i < 200; i++) {
		if (send_control(s[0], "m", SOL_SOCKET, SCM_RIGHTS, s, sizeof(s)) < 0) {
			printf("bound: %s\n", strerrorname_np(errno));
			break;
		}
	}
}

static void case_many(void)
{
	struct mmsghdr out[3] = { 0 }, in[5] = { 0 };
	struct iovec iov[3] = { { "one", 3 }, { "four", 4 }, { "seven", 5 } };
	struct iovec into[5];
	struct timespec now = { 0 }, bad = { 0, -1 };
	static char bytes[5][16];
	int s[2];

	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	for (int i = 0; i < 3; i++) {
		out[i].msg_hdr.msg_iov = &iov[i];
		out[i].msg_hdr.msg_iovlen = 1;
	}
	for (int i = 0; i < 5; i++) {
		into[i] = (struct iovec){ bytes[i], 16 };
		in[i].msg_hdr.msg_iov = &into[i];
		in[i].msg_hdr.msg_iovlen = 1;
	}
	SAY(sendmmsg(s[0], out, 3, 0));
	SAY(recvmmsg(s[1], in, 5, MSG_DONTWAIT, NULL));
	printf("%u %u %u\n", in[0].msg_len, in[1].msg_len, in[2].msg_len);
	SAY(recvmmsg(s[1], in, 5, MSG_DONTWAIT, NULL));
	SAY(sendmmsg(s[0], out, 2, 0));
	SAY(recvmmsg(s[1], in, 5, MSG_WAITFORONE, NULL));
	SAY(sendmmsg(s[0], out, 3, 0));
	SAY(recvmmsg(s[1], in, 5, 0, &now));
	SAY(recvmmsg(s[1], in, 5, 0, &bad));
	SAY(recvmmsg(s[1], in, 0, 0, NULL));
	SAY(sendmmsg(s[0], BAD, 1, 0));
	out[1].msg_hdr.msg_iov = BAD;
	SAY(sendmmsg(s[0], out, 3, 0));
	out[0].msg_hdr.msg_iovlen = 2000;
	SAY(sendmsg(s[0], &out[0].msg_hdr, 0));
	out[0].msg_hdr.msg_iovlen = 1;
	out[0].msg_hdr.msg_controllen = 1 << 30;
	out[0].msg_hdr.msg_control = bytes;
	SAY(sendmsg(s[0], &out[0].msg_hdr, 0));
}

static void *slow_writer(void *arg)
{
	for (int i = 0; i < 4; i++) {
		usleep(10000);
		if (send(*(int *)arg, "abc", 3, 0) != 3)
			printf("short\n");
	}
	return NULL;
}

static void case_waiting(void)
{
	struct timeval tv = { 0, 40000 }, none = { 0 }, wrong = { 0, 1000000 };
	pthread_t thread;
	long total = 0, n;
	int s[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	SAY(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	SAY(recv(s[1], buf, 1, 0));
	SAY(read(s[1], buf, 1));
	SAY(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &wrong, sizeof(wrong)));
	SAY(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &none, 4));
	SAY(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)));
	pthread_create(&thread, NULL, slow_writer, &s[0]);
	SAY(recv(s[1], buf, 12, MSG_WAITALL));
	pthread_join(thread, NULL);
	SAY(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	while ((n = send(s[0], buf, 10000, 0)) > 0)
		total += n;
	say("full", n);
	printf("took %d\n", total > 50000);
	SAY(fcntl(s[0], F_SETFL, O_NONBLOCK));
	SAY(send(s[0], buf, 1, 0));
	show_poll("full", s[0]);
	while (total > 0)
		total -= recv(s[1], buf, sizeof(buf), 0);
	show_poll("empty", s[0]);
	signal(SIGPIPE, SIG_IGN);
	close(s[1]);
	SAY(write(s[0], "x", 1));
	signal(SIGPIPE, SIG_DFL);
	SAY(send(s[0], "x", 1, MSG_NOSIGNAL));
	fflush(stdout);
	send(s[0], "x", 1, 0); /* ends the program */
}

/* --- inet --- */

static int tcp_listener(struct sockaddr_in *in)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(*in);

	*in = (struct sockaddr_in){ .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(fd, (struct sockaddr *)in, sizeof(*in)) < 0 || listen(fd, 5) < 0 ||
	    getsockname(fd, (struct sockaddr *)in, &len) < 0)
		printf("listener: %s\n", strerrorname_np(errno));
	return fd;
}

static void case_tcp(void)
{
	struct sockaddr_in in, peer;
	socklen_t len = sizeof(peer);
	int l = tcp_listener(&in), c = socket(AF_INET, SOCK_STREAM, 0), x, on = 1, got = 0, n;
	struct linger linger = { 1, 0 };

	show_poll("unconnected", c);
	SAY(recv(c, buf, 1, 0));
	SAY(send(c, buf, 1, MSG_NOSIGNAL));
	SAY(connect(c, (struct sockaddr *)&in, 3));
	SAY(connect(c, (struct sockaddr *)&in, sizeof(in)));
	SAY(connect(c, (struct sockaddr *)&in, sizeof(in)));
	x = accept4(l, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	printf("accepted %d, %u bytes, flags %#x %d\n", x > 0, len, (unsigned)fcntl(x, F_GETFL),
	       fcntl(x, F_GETFD));
	show_poll("connected", x);
	SAY(recv(x, buf, 1, 0));
	SAY(send(c, "hello", 5, 0));
	await_input(x);
	SAY(recv(x, buf, 3, MSG_PEEK));
	SAY(ioctl(x, FIONREAD, &got));
	printf("FIONREAD %d\n", got);
	SAY(recv(x, buf, 2, MSG_TRUNC));
	SAY(readv(x, &(struct iovec){ buf, 10 }, 1));
	SAY(send(c, "o", 1, MSG_OOB));
	SAY(poll(&(struct pollfd){ .fd = x, .events = POLLPRI }, 1, -1));
	SAY(recv(x, buf, 1, MSG_OOB));
	SAY(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	on = 0;
	len = sizeof(on);
	SAY(getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, &len));
	printf("nodelay %d, %u bytes\n", on, len);
	len = 1;
	SAY(getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, &len));
	printf("%u bytes\n", len);
	SAY(getsockopt(c, SOL_SOCKET, 0x7777, &on, &len));
	SAY(setsockopt(c, SOL_SOCKET, SO_KEEPALIVE, &on, 1));
	SAY(getsockopt(c, SOL_SOCKET, SO_TYPE, BAD, &len));
	len = (socklen_t)-1;
	SAY(getsockopt(c, SOL_SOCKET, SO_TYPE, &on, &len));
	SAY(shutdown(c, SHUT_WR));
	SAY(poll(&(struct pollfd){ .fd = x, .events = POLLIN }, 1, -1));
	SAY(recv(x, buf, 1, 0));
	SAY(send(x, "bye", 3, 0));
	SAY(recv(c, buf, 10, 0));
	SAY(setsockopt(x, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(x);
	SAY(poll(&(struct pollfd){ .fd = c, .events = POLLIN }, 1, -1));
	SAY(recv(c, buf, 1, 0));
	close(c);
	close(l);
	/* A port that nobody listens at, nor can begin to */
	l = socket(AF_INET, SOCK_STREAM, 0);
	in.sin_port = 0;
	len = sizeof(in);
	SAY(bind(l, (struct sockaddr *)&in, sizeof(in)));
	SAY(getsockname(l, (struct sockaddr *)&in, &len));
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	n = connect(c, (struct sockaddr *)&in, sizeof(in));
	say("refused", n);
	SAY(poll(&(struct pollfd){ .fd = c, .events = POLLOUT }, 1, -1));
	len = sizeof(on);
	getsockopt(c, SOL_SOCKET, SO_ERROR, &on, &len);
	printf("%s\n", on ? strerrorname_np(on) : "no error");
	SAY(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&in, sizeof(in)));
	in.sin_family = AF_UNIX;
	SAY(bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&in, sizeof(in)));
}

static void *drain(void *arg)
{
	long total = 0, n;

	while ((n = recv(*(int *)arg, buf, 70000, 0)) > 0)
		total += n;
	return (void *)total;
}

static void case_tcp_bulk(void)
{
	static char data[1 << 20];
	struct sockaddr_in in;
	int l = tcp_listener(&in), c = socket(AF_INET, SOCK_STREAM, 0), x;
	pthread_t thread;
	void *total;

	connect(c, (struct sockaddr *)&in, sizeof(in));
	x = accept(l, NULL, NULL);
	pthread_create(&thread, NULL, drain, &x);
	for (int i = 0; i < 8; i++) {
		if (send(c, data, sizeof(data), 0) != sizeof(data))
			printf("short\n");
	}
	shutdown(c, SHUT_WR);
	pthread_join(thread, &total);
	printf("%ld bytes\n", (long)total);
}

static void case_udp(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
	socklen_t len = sizeof(in);

	SAY(bind(a, (struct sockaddr *)&in, sizeof(in)));
	getsockname(a, (struct sockaddr *)&in, &len);
	SAY(send(b, "x", 1, 0));
	SAY(sendto(b, "0123456789", 10, 0, (struct sockaddr *)&in, sizeof(in)));
	await_input(a);
	show_message("cut", a, 4, 0, 0);
	show_message("nothing", a, 4, 0, 0);
	SAY(connect(b, (struct sockaddr *)&in, sizeof(in)));
	SAY(send(b, "", 0, 0));
	await_input(a);
	show_message("empty", a, 4, 0, 0);
	SAY(setsockopt(a, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)));
	SAY(setsockopt(a, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)));
	SAY(send(b, "info", 4, 0));
	await_input(a);
	show_message("info", a, 10, 200, 0);
	SAY(send(b, "info", 4, 0));
	await_input(a);
	show_message("info, little room", a, 10, 20, 0);
	on = 7;
	SAY(send_control(b, "ttl", IPPROTO_IP, IP_TTL, &on, sizeof(on)));
	await_input(a);
	show_message("ttl", a, 10, 200, 0);
	SAY(send(b, buf, 66000, 0));
	SAY(send(b, buf, 60000, 0));
	SAY(recv(a, buf, sizeof(buf), MSG_TRUNC));
	close(a);
	SAY(send(b, "x", 1, 0));
	SAY(poll(&(struct pollfd){ .fd = b, .events = POLLIN }, 1, -1));
	SAY(send(b, "x", 1, 0));
	SAY(recv(b, buf, 1, MSG_DONTWAIT));
}

/* --- interfaces --- */

/* Return: how many are not themselves by their number, or by their name */
static unsigned odd_interfaces(void)
{
	struct if_nameindex *names = if_nameindex();
	unsigned odd = 0;

	for (struct if_nameindex *n = names; n && n->if_name; n++) {
		char back[IF_NAMESIZE];

		odd += n->if_index != if_nametoindex(n->if_name) ||
		       !if_indextoname(n->if_index, back) || strcmp(back, n->if_name) != 0;
	}
	if (names)
		if_freenameindex(names);
	return odd;
}

static void case_interfaces(void)
{
	struct ifaddrs *all;
	struct ifreq ifr = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned odd = odd_interfaces();

	/* On a host others may come and go meanwhile. */
	for (int i = 0; odd && i < 1000; i++) {
		usleep(10000);
		odd = odd_interfaces();
	}
	printf("%u are not themselves\n", odd);
	SAY(getifaddrs(&all));
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		char text[INET6_ADDRSTRLEN] = "";

		if (strcmp(i->ifa_name, "lo") != 0 || !i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, text,
				  sizeof(text));
		if (i->ifa_addr->sa_family == AF_INET6)
			inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr,
				  text, sizeof(text));
		printf("%s %#x family %d %s\n", i->ifa_name, i->ifa_flags, i->ifa_addr->sa_family, text);
	}
	strcpy(ifr.ifr_name, "lo");
	SAY(ioctl(s, SIOCGIFINDEX, &ifr));
	SAY(ioctl(s, SIOCGIFADDR, &ifr));
	printf("%s\n", inet_ntoa(((struct sockaddr_in *)(void *)&ifr.ifr_addr)->sin_addr));
	SAY(ioctl(s, SIOCGIFNETMASK, &ifr));
	printf("%s\n", inet_ntoa(((struct sockaddr_in *)(void *)&ifr.ifr_addr)->sin_addr));
	SAY(ioctl(s, SIOCGIFMTU, &ifr));
	printf("mtu %d\n", ifr.ifr_mtu);
	SAY(ioctl(s, SIOCGIFFLAGS, &ifr));
	printf("up %d\n", ifr.ifr_flags & IFF_UP);
	SAY(ioctl(s, SIOCGIFHWADDR, &ifr));
	strcpy(ifr.ifr_name, "nonesuch");
	SAY(ioctl(s, SIOCGIFINDEX, &ifr));
	SAY(ioctl(s, 0x12345, &ifr));
	SAY(if_nametoindex("nonesuch"));
}

static void case_epoll(void)
{
	struct sockaddr_in in;
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got[4];
	int l = tcp_listener(&in), c = socket(AF_INET, SOCK_STREAM, 0), x, s[2];
	int e = epoll_create1(0);

	connect(c, (struct sockaddr *)&in, sizeof(in));
	x = accept(l, NULL, NULL);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	event.data.fd = 1;
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, x, &event));
	event.data.fd = 2;
	SAY(epoll_ctl(e, EPOLL_CTL_ADD, s[1], &event));
	SAY(epoll_wait(e, got, 4, 0));
	SAY(send(c, "x", 1, 0));
	SAY(epoll_wait(e, got, 4, -1));
	printf("%d %#x\n", got[0].data.fd, got[0].events);
	SAY(epoll_wait(e, got, 4, 0));
	SAY(send(s[0], "x", 1, 0));
	SAY(epoll_wait(e, got, 4, -1));
	printf("%d %#x\n", got[0].data.fd, got[0].events);
	SAY(epoll_wait(e, got, 4, 0));
	SAY(send(s[0], "x", 1, 0));
	SAY(epoll_wait(e, got, 4, -1));
	SAY(recv(s[1], buf, 10, 0));
	SAY(epoll_wait(e, got, 4, 0));
	close(s[0]);
	SAY(epoll_wait(e, got, 4, -1));
	printf("%d %#x\n", got[0].data.fd, got[0].events);
}

static const struct guest_case cases[] = {
	{ "pairs", case_pairs },     { "names", case_names },	 { "backlog", case_backlog },
	{ "packets", case_packets }, { "rights", case_rights },	 { "circles", case_circles },
	{ "many", case_many },	     { "waiting", case_waiting }, { "tcp", case_tcp },
	{ "tcp_bulk", case_tcp_bulk }, { "udp", case_udp },	 { "epoll", case_epoll },
	{ "interfaces", case_interfaces },
};

int main(int argc, char **argv)
{
	return guest_run(cases, COUNT(cases), argc, argv);
}
