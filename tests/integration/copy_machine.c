/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_machine.c - copies, relays, streams and forwards, in a machine, through the library
 *
 * One machine without a network serves all tests.  What arrived is told by
 * programs inside (sha256sum, stat) and by diff(1) on this host, never by what
 * the library says.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "coffer/coffer.h"
#include "in_sentry.h"

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SECOND	   UINT64_C(1000000)
#define MIB	   (UINT64_C(1) << 20)
#define CLIENTS	   32

static char scratch[] = "/tmp/coffer-copy-XXXXXX";
static char output[65536];
static struct coffer_container *box;
static struct coffer_error error;

/* --- this host --- */

static const char *at(const char *name)
{
	static _Thread_local char paths[16][256];
	static _Thread_local unsigned turn;
	char *path = paths[turn++ % 16];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	return path;
}

/* A command of the shell in the scratch directory. Return: its exit code */
static int host(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int host(const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int n, status;

	n = snprintf(text, sizeof(text), "cd %s; ", scratch);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	status = system(text); /* NOLINT(cert-env33-c): a test's own words */
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void host_says(char *out, size_t room, const char *command)
{
	char text[1024];
	FILE *f;
	size_t n;

	snprintf(text, sizeof(text), "cd %s; %s", scratch, command);
	f = popen(text, "re"); /* NOLINT(cert-env33-c) */
	assert_non_null(f);
	n = fread(out, 1, room - 1, f);
	out[n] = '\0';
	assert_int_equal(pclose(f), 0);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- the container --- */

static int run(const char *script)
{
	struct coffer_process_config config = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_exit status;
	struct coffer_process *p;
	char text[4096];
	size_t used = 0;
	ssize_t n;
	int fd;

	snprintf(text, sizeof(text), "exec 2>&1; %s", script);
	config.args = WORDS("/bin/sh", "-c", text);
	config.stdio[COFFER_STDOUT].mode = COFFER_STDIO_PIPE;
	if (coffer_container_exec(box, NULL, &config, &p, &error) < 0)
		fail_msg("%s: %s", script, error.message);
	fd = coffer_process_take_stream(p, COFFER_STDOUT);
	while ((n = read(fd, output + used, sizeof(output) - 1 - used)) > 0)
		used += (size_t)n;
	output[used] = '\0';
	close(fd);
	if (coffer_process_wait(p, 120 * SECOND, &status, &error) < 0)
		fail_msg("%s: %s", script, error.message);
	return status.code;
}

#define assert_run(script)                                                                         \
	do {                                                                                       \
		int code_ = run(script);                                                           \
		if (code_ != 0)                                                                    \
			fail_msg("%s: exit code %d: %s", script, code_, output);                   \
	} while (0)

#define assert_says(script, text)                                                                  \
	do {                                                                                       \
		assert_run(script);                                                                \
		assert_string_equal(output, text);                                                 \
	} while (0)

#define assert_done(call)                                                                          \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, error.message);                                  \
	} while (0)

#define assert_refused(call, want)                                                                 \
	do {                                                                                       \
		assert_true((call) < 0);                                                           \
		if (error.kind != (want))                                                          \
			fail_msg("%s: kind %s: %s", #call, coffer_error_kind_str(error.kind),      \
				 error.message);                                                   \
	} while (0)

static int copy_in(const char *source, const char *target)
{
	struct coffer_copy_options o = COFFER_COPY_OPTIONS_INIT;

	o.keep_owners = true;
	return coffer_container_copy_in(box, source, target, &o, &error);
}

static int copy_out(const char *source, const char *target)
{
	struct coffer_copy_options o = COFFER_COPY_OPTIONS_INIT;

	o.keep_owners = true;
	return coffer_container_copy_out(box, source, target, &o, &error);
}

/* --- copies --- */

static const char make_tree[] =
    "mkdir -p tree/empty tree/deep/a/b/c tree/private && cd tree && "
    "echo hello > file && echo run > program && chmod 4755 program && chmod 700 private && "
    "ln -s file link && ln -s /nowhere/at/all dangling && ln file hard && mkfifo fifo && "
    "truncate -s 100M sparse && printf x | dd of=sparse bs=1 seek=50000000 conv=notrunc 2>/dev/null && "
    "truncate -s 1G hole && : > none && "
    "head -c 3000000 /dev/urandom > random && "
    "touch \"$(printf 'caf\\303\\251')\" \"$(printf 'cafe\\314\\201')\" \"$(printf 'bytes\\377')\" 'new\nline' && "
    "touch \"$(printf '%0250d' 7)\" && "
    "mkdir -p \"$(printf '%0200d' 1)/$(printf '%0200d' 2)\" && "
    "echo far > \"$(printf '%0200d' 1)/$(printf '%0200d' 2)/end\" && "
    "chown 1000:2000 file 2>/dev/null; chown 3000000:4000000 random 2>/dev/null; "
    "for i in $(seq 100); do echo $i > deep/a/b/c/$i; done; "
    "touch -d '2001-02-03 04:05:06.789' random deep/a link; touch -hd '2002-03-04' link; exit 0";

/* All that stat(1) sees, but for what a copy can't keep. */
static const char list_tree[] =
    "find . -type d -printf '%P %m %U:%G %T@\\n' -o -printf '%P %l %y %m %U:%G %s %T@ %n\\n' | "
    "LC_ALL=C sort";

static void test_round_trip(void **state)
{
	struct stat st;

	assert_int_equal(host("%s", make_tree), 0);
	if (in_sentry_without("a hole of 1 GiB, which comes out as bytes"))
		assert_int_equal(host("truncate -s 64M tree/hole"), 0);
	assert_done(copy_in(at("tree"), "/"));
	assert_says("cat /tree/file /tree/link; readlink /tree/dangling; stat -c %a:%u:%g /tree/program",
		    "hello\nhello\n/nowhere/at/all\n4755:0:0\n");
	assert_says("stat -c %u:%g /tree/random; ls /tree/deep/a/b/c | wc -l", "3000000:4000000\n100\n");
	assert_run("test $(stat -c %b /tree/hole) = 0");
	assert_done(copy_out("/tree", at("back")));
	assert_int_equal(host("diff -r --no-dereference --exclude=fifo tree back"), 0);
	assert_int_equal(host("(cd tree; %s) > a; (cd back; %s) > b; diff a b", list_tree, list_tree), 0);
	assert_int_equal(stat(at("back/hole"), &st), 0);
	if (!in_sentry_without("holes of what is copied out"))
		assert_int_equal(st.st_blocks, 0);
}

static void test_big_file(void **state)
{
	char sum[256], want[256];
	double begin;

	assert_int_equal(host("head -c 104857600 /dev/urandom > big"), 0);
	host_says(want, sizeof(want), "sha256sum < big");
	begin = now();
	assert_done(copy_in(at("big"), "/big"));
	print_message("100 MiB in: %.2f s\n", now() - begin);
	assert_says("sha256sum < /big", want);
	begin = now();
	assert_done(copy_out("/big", at("big.back")));
	print_message("100 MiB out: %.2f s\n", now() - begin);
	host_says(sum, sizeof(sum), "sha256sum < big.back");
	assert_string_equal(sum, want);
	assert_run("rm /big");
}

static void test_rules(void **state)
{
	assert_int_equal(host("mkdir -p r/dir/sub r/into r/out; echo f > r/file; echo s > r/dir/sub/s; "
			      "ln -s file r/link; ln -s dir r/dirlink"),
			 0);
	assert_run("mkdir -p /r/into; echo old > /r/old; ln -s old /r/tolink; ln -s late /r/dangling; "
		   "ln -s into /r/todir");
	/* Into: each row of the rules. */
	assert_done(copy_in(at("r/file"), "/r/new"));
	assert_refused(copy_in(at("r/file"), "/r/missing/"), COFFER_ERR_INVALID_ARGUMENT);
	assert_done(copy_in(at("r/file"), "/r/old"));
	assert_done(copy_in(at("r/file"), "/r/into"));
	assert_done(copy_in(at("r/dir"), "/r/newdir"));
	assert_refused(copy_in(at("r/dir"), "/r/old"), COFFER_ERR_INVALID_ARGUMENT);
	assert_done(copy_in(at("r/dir"), "/r/into"));
	assert_done(copy_in(at("r/dir/."), "/r/todir"));
	assert_done(copy_in(at("r/link"), "/r/"));
	assert_done(copy_in(at("r/dirlink/"), "/r/dirlink"));
	assert_says("cd /r; cat new old tolink into/file newdir/sub/s into/dir/sub/s into/sub/s; "
		    "readlink link; stat -c %F dirlink",
		    "f\nf\nf\nf\ns\ns\ns\nfile\ndirectory\n");
	assert_refused(copy_in(at("r/nothing"), "/r"), COFFER_ERR_NOT_FOUND);
	assert_refused(copy_in(at("r/file"), "/r/no/such"), COFFER_ERR_NOT_FOUND);
	assert_refused(copy_in(at("r/file/"), "/r"), COFFER_ERR_INVALID_ARGUMENT);
	/* Links at the target lead on, also to nothing. */
	assert_run("echo old > /r/old");
	assert_done(copy_in(at("r/file"), "/r/tolink"));
	assert_done(copy_in(at("r/file"), "/r/dangling"));
	assert_says("cd /r; cat old late; readlink tolink", "f\nf\nold\n");
	/* Out of it. */
	assert_done(copy_out("/r/into/../new", at("r/out/new")));
	assert_done(copy_out("/r/newdir", at("r/out")));
	assert_done(copy_out("/r/newdir/.", at("r/out")));
	assert_done(copy_out("/r/link", at("r/out")));
	assert_refused(copy_out("/r/newdir", at("r/file")), COFFER_ERR_INVALID_ARGUMENT);
	assert_refused(copy_out("/r/new", at("r/missing/")), COFFER_ERR_INVALID_ARGUMENT);
	assert_refused(copy_out("/r/nothing", at("r")), COFFER_ERR_NOT_FOUND);
	assert_int_equal(host("cd r/out; test $(cat new newdir/sub/s sub/s | tr -d '\\n') = fss && "
			      "test $(readlink link) = file"),
			 0);
}

/* What a process sees, mounts and links included, and nothing of the machine around it. */
static void test_view(void **state)
{
	assert_int_equal(host("echo seen > seen; mkdir -p passwd"), 0);
	assert_done(copy_in(at("seen"), "/mnt/tmpfs/seen"));
	assert_says("cat /mnt/tmpfs/seen", "seen\n");
	assert_run("ln -s / /escape; ln -s ../../../../../../etc /up; echo mine > /etc/marker");
	assert_done(copy_out("/escape/etc/marker", at("marker")));
	assert_done(copy_out("/up/marker", at("marker2")));
	assert_int_equal(host("test $(cat marker marker2 | tr -d '\\n') = minemine"), 0);
}

static void test_archives(void **state)
{
	static const char *const ways[] = { "cat", "gzip -c", "zstd -qc", "xz -c" };
	struct coffer_path_stat st = { .size = sizeof(st) };
	int fd;

	assert_int_equal(host("mkdir -p t/in; echo tarred > t/in/file; tar cf t.tar -C t in"), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(host("%s < t.tar > t.any", ways[i]), 0);
		assert_run("rm -rf /t; mkdir /t");
		fd = open(at("t.any"), O_RDONLY | O_CLOEXEC);
		assert_done(coffer_container_put_archive(box, fd, "/t", NULL, &error));
		close(fd);
		assert_says("cat /t/in/file", "tarred\n");
	}
	fd = open(at("got.tar"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_done(coffer_container_get_archive(box, "/t/in", fd, NULL, &error));
	close(fd);
	assert_int_equal(host("test \"$(tar tf got.tar | tr '\\n' ' ')\" = 'in/ in/file '"), 0);
	assert_done(coffer_container_stat(box, "/t/in/file", true, &st, &error));
	assert_int_equal(st.bytes, 7);
	assert_true(S_ISREG(st.mode));
	assert_string_equal(st.name, "file");
	assert_refused(coffer_container_stat(box, "/t/none", true, &st, &error),
		       COFFER_ERR_NOT_FOUND);
}

static void *copy_big(void *data)
{
	return (void *)(intptr_t)copy_in(at("sparse.big"), "/mnt/tmpfs/sparse.big");
}

/* A copy holds up neither an exec nor a signal, and ends when it is called off. */
static void test_meanwhile(void **state)
{
	struct coffer_process_config config = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_copy_options o = COFFER_COPY_OPTIONS_INIT;
	const uint64_t one = 1;
	struct coffer_process *p;
	struct coffer_exit status;
	pthread_t thread;
	double begin;

	assert_int_equal(host("head -c 150000000 /dev/zero > sparse.big"), 0);
	config.args = WORDS("/bin/sleep", "1000");
	assert_done(coffer_container_exec(box, NULL, &config, &p, &error));
	assert_int_equal(pthread_create(&thread, NULL, copy_big, NULL), 0);
	usleep(100000);
	begin = now();
	assert_done(coffer_process_kill(p, 9, &error));
	assert_done(coffer_process_wait(p, 120 * SECOND, &status, &error));
	print_message("kill during a copy: %.3f s\n", now() - begin);
	assert_int_equal(status.code, 137);
	pthread_join(thread, NULL);
	o.cancel_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(write(o.cancel_fd, &one, sizeof(one)), sizeof(one));
	assert_true(coffer_container_copy_in(box, at("sparse.big"), "/mnt/tmpfs/x", &o, &error) < 0);
	assert_int_equal(error.kind, COFFER_ERR_CANCELLED);
	close(o.cancel_fd);
	assert_run("rm -f /mnt/tmpfs/*");
}

/* --- sockets --- */

static int unix_socket(const char *path, bool listening)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (listening) {
		assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
		assert_int_equal(listen(fd, 64), 0);
	} else if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		fail_msg("connect to %s: %s", path, strerror(errno));
	}
	return fd;
}

static void *echo_one(void *data)
{
	char buf[65536];
	int fd = (int)(intptr_t)data;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0; done < n;) {
			ssize_t w = send(fd, buf + done, (size_t)(n - done), MSG_NOSIGNAL);

			if (w <= 0)
				goto out;
			done += w;
		}
	/* The end passes on as well, and only then does ours. */
	send(fd, "end", 3, MSG_NOSIGNAL);
out:
	close(fd);
	return NULL;
}

static void *echo_server(void *data)
{
	int fd = (int)(intptr_t)data, client;
	pthread_t thread;

	while ((client = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		pthread_create(&thread, NULL, echo_one, (void *)(intptr_t)client);
		pthread_detach(thread);
	}
	close(fd);
	return NULL;
}

static void test_relay_into(void **state)
{
	struct coffer_relay relay = {
		.id = "0123456789012345678901234567890123456789012345678901234567890123",
		.direction = COFFER_RELAY_INTO,
		.host_path = at("echo.sock"),
		.guest_path = "/mnt/tmpfs/late.sock",
		.mode = 0640,
	};
	double begin;

	/* The configured one is found through /var/run -> /run. */
	assert_says("stat -c '%F %a' /run/echo.sock", "socket 666\n");
	assert_says("/payload unix /var/run/echo.sock 5", "5 end\n");
	assert_done(coffer_container_relay_add(box, &relay, &error));
	assert_refused(coffer_container_relay_add(box, &relay, &error), COFFER_ERR_ALREADY_EXISTS);
	assert_says("stat -c '%F %a' /mnt/tmpfs/late.sock", "socket 640\n");
	begin = now();
	assert_says("{ for i in $(seq 32); do /payload unix /mnt/tmpfs/late.sock 2000000 & done; wait; } | "
		    "sort | uniq -c | tr -s ' '",
		    " 32 2000000 end\n");
	print_message("32 clients x 2 MB both ways: %.2f s\n", now() - begin);
	assert_done(coffer_container_relay_remove(box, relay.id, &error));
	assert_refused(coffer_container_relay_remove(box, relay.id, &error), COFFER_ERR_NOT_FOUND);
	assert_int_not_equal(run("test -e /mnt/tmpfs/late.sock"), 0);
}

static void *client(void *data)
{
	size_t total = 2 * MIB, sent = 0, got = 0, room = 65536;
	int fd = unix_socket(at("out.sock"), false);
	char *buf = calloc(1, room);
	bool right = true;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (true) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (sent < total)
			p.events |= POLLOUT;
		if (poll(&p, 1, 300000) <= 0)
			break;
		if (p.revents & POLLOUT) {
			size_t want = total - sent < room ? total - sent : room;

			memset(buf, (int)(intptr_t)data, want);
			n = send(fd, buf, want, MSG_NOSIGNAL);
			sent += n > 0 ? (size_t)n : 0;
			if (sent == total)
				shutdown(fd, SHUT_WR);
		}
		n = p.revents & (POLLIN | POLLHUP) ? read(fd, buf, room) : -1;
		if (n == 0)
			break;
		for (ssize_t i = 0; i < n; i++, got++)
			right = right && (got >= total || buf[i] == (char)(intptr_t)data);
	}
	close(fd);
	free(buf);
	return (void *)(intptr_t)(right && got == total + 3);
}

static void test_relay_out_of(void **state)
{
	struct coffer_relay relay = { .id = "out", .direction = COFFER_RELAY_OUT_OF,
				      .host_path = at("out.sock"),
				      .guest_path = "/run/inner.sock" };
	pthread_t threads[CLIENTS];
	struct stat st;
	void *ok;
	double begin = now();

	if (in_sentry_without("a socket out of a container that leads into it again"))
		skip();
	/* Inside, the relay above leads to our echo server again. */
	assert_run("ln -s echo.sock /run/inner.sock");
	assert_int_equal(host("echo x > out.sock"), 0);
	assert_refused(coffer_container_relay_add(box, &relay, &error), COFFER_ERR_ALREADY_EXISTS);
	unlink(at("out.sock"));
	close(unix_socket(at("out.sock"), true));
	assert_done(coffer_container_relay_add(box, &relay, &error));
	assert_int_equal(stat(at("out.sock"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	for (intptr_t i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, client, (void *)(i + 1)), 0);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], &ok);
		assert_true((intptr_t)ok);
	}
	print_message("32 clients x 2 MiB, out of and into: %.2f s\n", now() - begin);
	assert_done(coffer_container_relay_remove(box, "out", &error));
	assert_int_not_equal(access(at("out.sock"), F_OK), 0);
}

struct forward {
	int listen_fd, stop_fd, r;
};

static void *forward(void *data)
{
	struct forward *f = data;

	f->r = coffer_container_forward(box, f->listen_fd, 8080, f->stop_fd, &error);
	return NULL;
}

static void test_forward(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct forward f = { .stop_fd = eventfd(0, EFD_CLOEXEC) };
	const uint64_t one = 1;
	socklen_t len = sizeof(sa);
	pthread_t thread;
	int port, fd;

	assert_refused(coffer_container_connect(box, 8081, &error), COFFER_ERR_INTERRUPTED);
	assert_run("netstat -ltn | grep -q :8080 && exit 0; mkdir -p /www; head -c 3000000 /dev/zero | tr '\\0' w > /www/page; "
		   "httpd -p 127.0.0.1:8080 -h /www");
	fd = coffer_container_connect(box, 8080, &error);
	assert_done(fd);
	close(fd);
	f.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f.listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(f.listen_fd, 16), 0);
	assert_int_equal(getsockname(f.listen_fd, (struct sockaddr *)&sa, &len), 0);
	port = ntohs(sa.sin_port);
	assert_int_equal(pthread_create(&thread, NULL, forward, &f), 0);
	assert_int_equal(host("for i in 1 2 3 4; do python3 -c \"import urllib.request as u; "
			      "d=u.urlopen('http://127.0.0.1:%d/page').read(); "
			      "assert d == b'w'*3000000\" & p=\"$p $!\"; done; "
			      "for i in $p; do wait $i || exit 1; done",
			      port),
			 0);
	assert_int_equal(write(f.stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(thread, NULL);
	assert_int_equal(f.r, 0);
	close(f.listen_fd);
	close(f.stop_fd);
}

static void test_streams(void **state)
{
	int fd = coffer_container_listen(box, 5000, &error);

	assert_done(fd);
	close(fd);
	coffer_container_unlisten(box, 5000);
	assert_refused(coffer_container_listen(box, 80, &error), COFFER_ERR_INVALID_ARGUMENT);
	fd = coffer_container_dial(box, 1024, &error);
	assert_done(fd);
	close(fd);
	assert_true(coffer_container_dial(box, 4711, &error) < 0);
}

/* Another process's handle does the same: only descriptors come from the owner. */
static void test_from_outside(void **state)
{
	struct coffer_container *owned = box;
	struct coffer_relay relay = { .id = "remote", .direction = COFFER_RELAY_OUT_OF,
				      .host_path = at("out.sock"),
				      .guest_path = "/run/echo.sock" };
	int fd;

	assert_done(coffer_container_open(at("run"), coffer_container_id(owned), &box, &error));
	assert_done(copy_in(at("tree"), "/from-outside"));
	assert_done(copy_out("/from-outside", at("back.outside")));
	assert_int_equal(host("diff -r --no-dereference --exclude=fifo tree back.outside"), 0);
	assert_refused(copy_out("/nothing", at("nothing")), COFFER_ERR_NOT_FOUND);
	assert_done(coffer_container_relay_add(box, &relay, &error));
	fd = unix_socket(at("out.sock"), false);
	if (!in_sentry_without("a socket out of a container that leads into it again")) {
		assert_int_equal(write(fd, "x", 1), 1);
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		assert_int_equal(recv(fd, output, 4, MSG_WAITALL), 4);
		assert_int_equal(memcmp(output, "xend", 4), 0);
	}
	close(fd);
	assert_done(coffer_container_relay_remove(box, "remote", &error));
	test_forward(state);
	test_streams(state);
	coffer_container_free(box);
	box = owned;
}

/* By the container's own process; image_commit_test.py has the other way, and images below. */
static void test_export_and_commit(void **state)
{
	struct coffer_images_config config = COFFER_IMAGES_CONFIG_INIT;
	struct coffer_image_config said = { .size = sizeof(said) };
	struct coffer_transfer how = COFFER_TRANSFER_INIT;
	struct coffer_process_config again = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_process *process;
	struct coffer_images *images;
	struct coffer_image *image;
	int fd = open(at("export.tar"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	again.args = WORDS("/bin/true");
	assert_int_equal(run("echo exported > /exported"), 0);
	if (coffer_container_export(box, fd, NULL, &error) < 0)
		fail_msg("%s", error.message);
	close(fd);
	assert_int_equal(host("tar xOf export.tar exported | grep -qx exported"), 0);
	assert_int_equal(host("tar tf export.tar | grep -qx bin/busybox"), 0);
	assert_int_not_equal(host("tar tf export.tar | grep -q '^proc/.'"), 0);
	config.dir = at("images");
	assert_int_equal(coffer_images_open(&config, &images, &error), 0);
	if (coffer_container_commit(box, images, NULL, "made", WORDS("CMD [\"echo\", \"hi\"]"), "why",
				    true, &how, &image, &error) < 0)
		fail_msg("%s", error.message);
	coffer_image_get_config(image, &said);
	assert_string_equal(said.cmd[1], "hi");
	coffer_image_free(image);
	how.cancel_fd = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(coffer_container_commit(box, images, NULL, "never", NULL, NULL, true, &how,
						 NULL, &error),
			 -ECANCELED);
	close(how.cancel_fd);
	assert_int_equal(coffer_image_find(images, "never", NULL, &image, &error), -ENOENT);
	assert_int_equal(coffer_images_check(images, false, NULL, NULL, &error), 0);
	coffer_images_close(images);
	/* Its processes go on; after one that was called off, soon. */
	for (int i = 0; coffer_container_exec(box, NULL, &again, &process, &error) < 0; i++) {
		if (i == 600)
			fail_msg("%s", error.message);
		usleep(100000);
	}
	assert_int_equal(run("true"), 0);
}

/* One copy after the other, until there is nothing any more to copy to. */
static void *copy_for_ever(void *data)
{
	struct coffer_copy_options o = COFFER_COPY_OPTIONS_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;

	while (coffer_container_copy_in(box, at("sparse.big"), "/mnt/tmpfs/sparse.big", &o, &err) == 0)
		;
	return NULL;
}

/* A stop is the end of a copy, too: who does not end it waits for ever. */
static void test_stop_meanwhile(void **state)
{
	pthread_t thread;
	double begin;

	assert_int_equal(pthread_create(&thread, NULL, copy_for_ever, NULL), 0);
	usleep(50000);
	begin = now();
	assert_done(coffer_container_stop(box, 0, &error));
	pthread_join(thread, NULL);
	print_message("stop during a copy: %.2f s\n", now() - begin);
	assert_true(now() - begin < 120);
	assert_int_equal(coffer_container_state(box), COFFER_STATE_STOPPED);
}

/* --- */

static int group_setup(void **state)
{
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config process = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_mount mount = { .kind = COFFER_MOUNT_TMPFS, .target = "/mnt/tmpfs" };
	struct coffer_relay relay = { .id = "echo", .direction = COFFER_RELAY_INTO,
				      .guest_path = "/var/run/echo.sock" };
	pthread_t thread;
	int fd;

	assert_non_null(mkdtemp(scratch));
	fd = unix_socket(at("echo.sock"), true);
	assert_int_equal(pthread_create(&thread, NULL, echo_server, (void *)(intptr_t)fd), 0);
	pthread_detach(thread);
	relay.host_path = at("echo.sock");
	process.args = WORDS("/bin/sleep", "100000");
	config.process = &process;
	config.memory = 1024 * MIB;
	config.run_dir = at("run");
	config.mounts = &mount;
	config.nmounts = 1;
	config.relays = &relay;
	config.nrelays = 1;
	if (coffer_container_new(NULL, &config, &box, &error) < 0 ||
	    coffer_container_create(box, &error) < 0 || coffer_container_start(box, &error) < 0) {
		print_error("%s\n", error.message);
		return -1;
	}
	return copy_in(getenv("COFFER_PAYLOAD"), "/payload");
}

static int group_teardown(void **state)
{
	if (coffer_container_stop(box, 0, &error) < 0)
		print_error("%s\n", error.message);
	coffer_container_free(box);
	host("rm -rf %s", scratch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_big_file),
		cmocka_unit_test(test_rules),	     cmocka_unit_test(test_view),
		cmocka_unit_test(test_archives),     cmocka_unit_test(test_meanwhile),
		cmocka_unit_test(test_relay_into),   cmocka_unit_test(test_relay_out_of),
		cmocka_unit_test(test_forward),	     cmocka_unit_test(test_streams),
		cmocka_unit_test(test_from_outside), cmocka_unit_test(test_export_and_commit),
		cmocka_unit_test(test_stop_meanwhile),
	};

	if (geteuid() != 0) {
		puts("owners are compared, which takes root: skipped");
		return 77;
	}
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
