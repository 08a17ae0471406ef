/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/tools/vsock_guest.c - PID 1 of the guest that the socket device is tested with
 *
 * Static.  Loads the modules of /modules/core.list, listens on the ports of the
 * table below, and forks a child for each connection, which serves it and ends.
 * Dials host port 4000 when it listens, so that the test need not poll.
 *
 * The data on all ports is one stream of 64-bit little-endian numbers 0, 1, 2
 * ..., so each side can tell a lost, doubled or swapped byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define READY_PORT 4000
#define CHUNK      65536

static uint64_t words[CHUNK / 8];

static int guest_socket(void)
{
	return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int guest_dial(unsigned port)
{
	struct sockaddr_vm sa = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};
	int s = guest_socket();

	if (connect(s, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		close(s);
		return -errno;
	}
	return s;
}

static int guest_listen(unsigned port)
{
	struct sockaddr_vm sa = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
	int s = guest_socket();

	if (bind(s, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(s, 1024) < 0) {
		perror("vsock listen");
		return -1;
	}
	return s;
}

static int write_all(int fd, const void *buf, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = write(fd, (const char *)buf + done, n - done);

		if (r <= 0)
			return -1;
		done += (size_t)r;
	}
	return 0;
}

static int read_all(int fd, void *buf, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = read(fd, (char *)buf + done, n - done);

		if (r <= 0)
			return -1;
		done += (size_t)r;
	}
	return 0;
}

/* Send the stream's first @n bytes (a multiple of 8). */
static int send_numbers(int fd, uint64_t n, int check)
{
	uint64_t next = 0;

	for (uint64_t done = 0; done < n;) {
		size_t part = n - done < CHUNK ? (size_t)(n - done) : CHUNK;

		if (check)
			for (size_t i = 0; i < part / 8; i++)
				words[i] = next++;
		if (write_all(fd, words, part) < 0)
			return -1;
		done += part;
	}
	return 0;
}

/* Read to EOF. Return: bytes, or -1 when they are not the stream */
static int64_t receive_numbers(int fd, int check)
{
	uint64_t total = 0, next = 0;
	size_t have = 0;

	for (;;) {
		ssize_t r = read(fd, (char *)words + have, CHUNK - have);

		if (r <= 0)
			return r == 0 ? (int64_t)total : -1;
		total += (uint64_t)r;
		have += (size_t)r;
		if (check)
			for (size_t i = 0; i < have / 8; i++)
				if (words[i] != next++)
					return -1;
		memmove(words, (char *)words + have / 8 * 8, have % 8);
		have %= 8;
	}
}

static void serve_echo(int fd)
{
	ssize_t r;

	while ((r = read(fd, words, CHUNK)) > 0)
		if (write_all(fd, words, (size_t)r) < 0)
			return;
}

/* Count to EOF, then tell how much it was (-1: wrong data). */
static void serve_sink(int fd)
{
	int64_t n = receive_numbers(fd, 1);

	write_all(fd, &n, sizeof(n));
}

static void serve_raw_sink(int fd)
{
	int64_t n = receive_numbers(fd, 0);

	write_all(fd, &n, sizeof(n));
}

/* As many bytes as the first eight say. */
static void serve_source(int fd)
{
	uint64_t n;

	if (read_all(fd, &n, sizeof(n)) == 0)
		send_numbers(fd, n, 1);
}

static void serve_raw_source(int fd)
{
	uint64_t n;

	if (read_all(fd, &n, sizeof(n)) == 0)
		send_numbers(fd, n, 0);
}

/*
 * {u32 port, u32 count, u64 bytes}: dial the host's port that often at the same
 * time, send the stream, half-close, and want the stream back.  Answers with
 * how many connections went well.
 */
static void serve_dial(int fd)
{
	struct {
		uint32_t port, count;
		uint64_t bytes;
	} job;
	uint64_t good = 0;
	int status;

	if (read_all(fd, &job, sizeof(job)) < 0)
		return;
	signal(SIGCHLD, SIG_DFL);
	for (unsigned i = 0; i < job.count; i++) {
		if (fork() == 0) {
			int s = guest_dial(job.port);

			if (s < 0)
				_exit(1);
			if (send_numbers(s, job.bytes, 1) < 0 || shutdown(s, SHUT_WR) < 0)
				_exit(2);
			_exit(receive_numbers(s, 1) == (int64_t)job.bytes ? 0 : 3);
		}
	}
	for (unsigned i = 0; i < job.count; i++)
		if (wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			good++;
	write_all(fd, &good, sizeof(good));
}

/* u32 port: connect there; answers with 0 or the errno. */
static void serve_try(int fd)
{
	uint32_t port, r;
	int s;

	if (read_all(fd, &port, sizeof(port)) < 0)
		return;
	s = guest_dial(port);
	r = s < 0 ? (uint32_t)-s : 0;
	write_all(fd, &r, sizeof(r));
}

/* Read nothing, wait for the other side to go. */
static void serve_lazy(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	poll(&p, 1, -1);
}

static void serve_off(int fd)
{
	write_all(fd, "bye\n", 4);
	close(fd);
	sync();
	reboot(RB_AUTOBOOT);
}

static const struct {
	unsigned port;
	void (*serve)(int fd);
} guest_services[] = {
	{5001, serve_echo},	  {5002, serve_sink}, {5003, serve_source}, {5004, serve_raw_sink},
	{5005, serve_raw_source}, {5006, serve_dial}, {5007, serve_try},    {5008, serve_lazy},
	{5009, serve_off},
};

#define SERVICES (sizeof(guest_services) / sizeof(guest_services[0]))

static void load_modules(void)
{
	char line[128], path[160];
	FILE *f = fopen("/modules/core.list", "re");
	int fd;

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", line);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			fprintf(stderr, "load %s: %s\n", path, strerror(errno));
		close(fd);
	}
	if (f)
		fclose(f);
}

int main(void)
{
	struct pollfd p[SERVICES];
	int fd;

	load_modules();
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < SERVICES; i++)
		p[i] = (struct pollfd){.fd = guest_listen(guest_services[i].port),
				       .events = POLLIN};
	fd = guest_dial(READY_PORT);
	if (fd < 0)
		fprintf(stderr, "dial the host: %s\n", strerror(-fd));
	for (;;) {
		if (poll(p, SERVICES, -1) < 0)
			continue;
		for (unsigned i = 0; i < SERVICES; i++) {
			if (!(p[i].revents & POLLIN))
				continue;
			fd = accept4(p[i].fd, NULL, NULL, SOCK_CLOEXEC);
			if (fd >= 0 && fork() == 0) {
				guest_services[i].serve(fd);
				_exit(0);
			}
			close(fd);
		}
	}
}
