/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sandbox_nbd.c - URLs of NBD servers, and servers that are none
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "sandbox/nbd.h"

static void test_good_urls(void **state)
{
	static const struct {
		const char *url, *host, *port, *socket, *export;
	} cases[] = {
		{ "nbd://example", "example", "10809", "", "" },
		{ "nbd://example/", "example", "10809", "", "" },
		{ "nbd://example:1/disk", "example", "1", "", "disk" },
		{ "nbd://example:65535/a/b,c", "example", "65535", "", "a/b,c" },
		{ "nbd://[::1]:7/x%20y", "::1", "7", "", "x y" },
		{ "nbd://[fe80::1]", "fe80::1", "10809", "", "" },
		{ "nbd+unix:///?socket=/run/a.sock", "", "", "/run/a.sock", "" },
		{ "nbd+unix:///disk?socket=/run/a%2Fb", "", "", "/run/a/b", "disk" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct nbd_address a;

		if (nbd_parse(cases[i].url, &a, &err) < 0)
			fail_msg("%s: %s", cases[i].url, err.message);
		assert_string_equal(a.host, cases[i].host);
		assert_string_equal(a.port, cases[i].port);
		assert_string_equal(a.socket, cases[i].socket);
		assert_string_equal(a.export, cases[i].export);
	}
}

static void test_bad_urls(void **state)
{
	static const char *const urls[] = {
		"", "nbd", "nbd:", "http://a", "nbd://", "nbd:///x", "nbd://:7", "nbd://a:",
		"nbd://a:0", "nbd://a:65536", "nbd://a:123456", "nbd://a:7x", "nbd://a?socket=/x",
		"nbd://u@a", "nbd://[::1", "nbd://[::1]7", "nbd://a/%", "nbd://a/%0", "nbd://a/%00",
		"nbd://a/%0a", "nbd://a/\n", "nbd+unix://", "nbd+unix:///x", "nbd+unix:///?socket=",
		"nbd+unix:///?socket=x", "nbd+unix://h/?socket=/x", "nbd+unix:///?other=/x",
	};
	char longest[400] = "nbd://a/";
	struct coffer_error err = COFFER_ERROR_INIT;
	struct nbd_address a;

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		if (nbd_parse(urls[i], &a, &err) != -EINVAL)
			fail_msg("%s was taken", urls[i]);
	assert_int_equal(nbd_parse("nbds://a", &a, &err), -EOPNOTSUPP);
	assert_int_equal(err.kind, COFFER_ERR_UNSUPPORTED);
	memset(longest + 8, 'x', NBD_EXPORT_MAX);
	assert_int_equal(nbd_parse(longest, &a, &err), 0);
	longest[8 + NBD_EXPORT_MAX] = 'x';
	assert_int_equal(nbd_parse(longest, &a, &err), -EINVAL);
}

/* A server that sends @text, @pause microseconds after each byte, and hangs up with @close. */
struct server {
	const char *text;
	unsigned pause;
	bool close;
	int fd;
	struct nbd_address address;
	pthread_t thread;
};

static void *serve(void *data)
{
	struct server *s = data;
	int conn = accept(s->fd, NULL, NULL);

	for (size_t i = 0; s->text[i]; i++) {
		if (send(conn, s->text + i, 1, MSG_NOSIGNAL) < 0)
			break;
		usleep(s->pause);
	}
	if (!s->close)
		(void)!read(conn, &(char){ 0 }, 1);
	close(conn);
	return NULL;
}

static void serve_start(struct server *s, bool tcp)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	char dir[] = "/tmp/coffer-test-XXXXXX";

	if (tcp) {
		s->fd = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(bind(s->fd, (struct sockaddr *)&in, len), 0);
		assert_int_equal(getsockname(s->fd, (struct sockaddr *)&in, &len), 0);
		strcpy(s->address.host, "127.0.0.1");
		snprintf(s->address.port, sizeof(s->address.port), "%u", ntohs(in.sin_port));
		assert_int_equal(listen(s->fd, 1), 0);
	} else {
		assert_non_null(mkdtemp(dir));
		snprintf(s->address.socket, sizeof(s->address.socket), "%s/sock", dir);
		s->fd = io_unix_listen(AT_FDCWD, s->address.socket, SOCK_STREAM, 0600, NULL);
		assert_true(s->fd >= 0);
		io_set_nonblock(s->fd, false);
	}
	pthread_create(&s->thread, NULL, serve, s);
}

static void serve_end(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
	if (s->address.socket[0]) {
		unlink(s->address.socket);
		*strrchr(s->address.socket, '/') = '\0';
		rmdir(s->address.socket);
	}
}

static void test_greeting(void **state)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct server s = { .text = "NBDMAGICIHAVEOPT\1\3", .pause = 2000 };
		char head[8];
		int fd;

		nbd_budget = 60 * USEC_PER_SEC;
		serve_start(&s, tcp);
		fd = nbd_connect(&s.address, NULL);
		assert_true(fd >= 0);
		/* It is still there, for whoever negotiates. */
		assert_int_equal(io_read_full(fd, head, sizeof(head)), sizeof(head));
		assert_memory_equal(head, "NBDMAGIC", sizeof(head));
		close(fd);
		serve_end(&s);
	}
}

static void test_no_servers(void **state)
{
	static const struct {
		const char *text;
		bool close;
		int code;
		const char *words;
	} cases[] = {
		{ "SSH-2.0-x\r\n", false, -EPROTO, "no NBD server" },
		{ "NBDMAGIC", true, -EPROTO, "no NBD server" },
		{ "", true, -EPROTO, "no NBD server" },
		{ "NBD", false, -ETIMEDOUT, "does not answer" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct server s = { .text = cases[i].text, .close = cases[i].close };
		struct coffer_error err = COFFER_ERROR_INIT;

		nbd_budget = cases[i].code == -ETIMEDOUT ? USEC_PER_SEC / 2 : 60 * USEC_PER_SEC;
		serve_start(&s, i % 2);
		assert_int_equal(nbd_connect(&s.address, &err), cases[i].code);
		assert_non_null(strstr(err.message, cases[i].words));
		serve_end(&s);
	}
}

static void test_nobody(void **state)
{
	struct nbd_address a = { .host = "127.0.0.1", .port = "1" };
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(nbd_connect(&a, &err), -ECONNREFUSED);
	assert_string_equal(err.message,
			    "connect to the NBD server 127.0.0.1 port 1: Connection refused");
	a = (struct nbd_address){ .socket = "/nonexistent/sock" };
	assert_int_equal(nbd_connect(&a, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_urls),
		cmocka_unit_test(test_bad_urls),
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_no_servers),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
