/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_relay.c - relays and forwards; the guest's half is played here
 *
 * Behind everything is a server that sends back what it gets, and "end" after
 * the client's end: a half-close that is not passed on, or passed on as more,
 * shows.
 */
#include "fake_sandbox.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/path.h"

#define CLIENTS 32
#define BYTES	(1u << 20)

static char work[] = "/tmp/coffer-relay-XXXXXX";
static struct coffer_container *box;
static struct coffer_error error;

/* What the agent was asked for last. */
static struct {
	char id[128], path[256];
	uint32_t port, mode, stopped;
	bool out_of;
	bool refuse;
} asked;

static const char *at(const char *name)
{
	static _Thread_local char paths[8][96];
	static _Thread_local unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", work, name);
	return path;
}

/* --- the server --- */

static void *echo_one(void *data)
{
	int fd = (int)(intptr_t)data;
	char buf[32768];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t done = 0, w; done < n; done += w) {
			w = send(fd, buf + done, (size_t)(n - done), MSG_NOSIGNAL);
			if (w <= 0) {
				close(fd);
				return NULL;
			}
		}
	}
	send(fd, "end", 3, MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void echo(int fd)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, echo_one, (void *)(intptr_t)fd), 0);
	pthread_detach(thread);
}

static void *echo_server(void *data)
{
	int fd = (int)(intptr_t)data, client;

	while ((client = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		echo(client);
	close(fd);
	return NULL;
}

/* Return: the listening socket; shutdown(2) ends it */
static int serve(const char *path)
{
	int fd = io_unix_listen(AT_FDCWD, path, SOCK_STREAM, 0600, NULL);
	pthread_t thread;

	assert_true(fd >= 0);
	assert_int_equal(io_set_nonblock(fd, false), 0);
	assert_int_equal(pthread_create(&thread, NULL, echo_server, (void *)(intptr_t)fd), 0);
	pthread_detach(thread);
	return fd;
}

/* --- the guest --- */

static int guest_port(uint32_t port)
{
	char name[64];

	snprintf(name, sizeof(name), "vsock.sock_%u", port);
	return io_unix_connect(fake.cfg.dir->vm_fd, name, SOCK_STREAM, NULL);
}

/* Whatever is dialled echoes. */
static int guest_dial(uint32_t port, struct coffer_error *err)
{
	int sv[2];

	if (port != asked.port || asked.refuse)
		return err_set(err, COFFER_ERR_INTERRUPTED, ECONNREFUSED, "nobody there");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	echo(sv[1]);
	return sv[0];
}

static int guest(struct agent *agent, const struct agent_request *request,
		 ProtobufCMessage *reply, struct coffer_error *err)
{
	if (strcmp(request->method, "ProxyVsock") == 0) {
		const Sc__ProxyVsockRequest *req = (const void *)request->msg;

		if (asked.refuse)
			return err_internal(err, "the agent says no");
		snprintf(asked.id, sizeof(asked.id), "%s", req->id);
		snprintf(asked.path, sizeof(asked.path), "%s", req->guestpath);
		asked.port = req->vsock_port;
		asked.mode = req->guestsocketpermissions;
		asked.out_of = req->action == SC__PROXY_VSOCK_REQUEST__ACTION__OUT_OF;
	} else if (strcmp(request->method, "StopVsockProxy") == 0) {
		asked.stopped++;
	} else if (strcmp(request->method, "ForwardTcp") == 0) {
		int fd = asked.refuse ? -1
				      : guest_port(((const Ax__ForwardTcpRequest *)request->msg)->vsock_port);

		if (fd < 0)
			return err_set(err, COFFER_ERR_INTERRUPTED, ECONNREFUSED,
				       "nobody listens");
		echo(fd);
	}
	return 0;
}

/* --- clients --- */

struct client {
	pthread_t thread;
	int (*connect)(void);
	unsigned char seed;
	bool ok;
};

static int connect_out(void)
{
	return io_unix_connect(AT_FDCWD, at("out.sock"), SOCK_STREAM, NULL);
}

static int connect_into(void)
{
	return guest_port(asked.port);
}

static void *client_send(void *data)
{
	autofree unsigned char *buf = malloc(BYTES);
	int fd = *(int *)data;

	for (size_t i = 0; i < BYTES; i++)
		buf[i] = (unsigned char)(i * 7 + i / 4096);
	for (size_t done = 0; done < BYTES;) {
		ssize_t n = send(fd, buf + done, BYTES - done, MSG_NOSIGNAL);

		if (n <= 0)
			return NULL;
		done += (size_t)n;
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

static void *client_run(void *data)
{
	autofree unsigned char *buf = malloc(BYTES + 16);
	struct client *c = data;
	autoclose int fd = c->connect();
	pthread_t sender;
	size_t got = 0;
	ssize_t n;

	if (fd < 0)
		return NULL;
	pthread_create(&sender, NULL, client_send, &fd);
	while (got < BYTES + 16 && (n = read(fd, buf + got, BYTES + 16 - got)) > 0)
		got += (size_t)n;
	pthread_join(sender, NULL);
	c->ok = got == BYTES + 3 && memcmp(buf + BYTES, "end", 3) == 0;
	for (size_t i = 0; i < BYTES && c->ok; i++)
		c->ok = buf[i] == (unsigned char)(i * 7 + i / 4096);
	return NULL;
}

static int clients(int (*connect)(void), int n)
{
	struct client all[CLIENTS] = { 0 };
	int good = 0;

	for (int i = 0; i < n; i++) {
		all[i].connect = connect;
		assert_int_equal(pthread_create(&all[i].thread, NULL, client_run, &all[i]), 0);
	}
	for (int i = 0; i < n; i++) {
		pthread_join(all[i].thread, NULL);
		good += all[i].ok;
	}
	return good;
}

/* Return: whether the other end hangs up soon */
static bool hangs_up(int fd)
{
	char byte;

	return io_wait(fd, POLLIN, deadline_in(60 * USEC_PER_SEC)) > 0 && read(fd, &byte, 1) <= 0;
}

/* Return: a connection that is known to go all the way */
static int connect_echoed(int (*connect)(void))
{
	int fd = connect();
	char byte;

	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(fd, &byte, 1), 1);
	return fd;
}

/* --- */

static struct coffer_container *start(const struct coffer_relay *relay)
{
	static const char *const args[] = { "sleep", "9", NULL };
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container *c;

	p.args = args;
	cfg.rootfs = fake_image;
	cfg.run_dir = fake_root;
	cfg.process = &p;
	cfg.relays = relay;
	cfg.nrelays = relay != NULL;
	assert_int_equal(container_new("box", &cfg, fake_maker, &c, NULL), 0);
	assert_int_equal(coffer_container_create(c, NULL), 0);
	if (coffer_container_start(c, &error) == 0)
		return c;
	coffer_container_free(c);
	return NULL;
}

static int test_setup(void **state)
{
	fake_reset();
	fake.no_log = true;
	fake.guest = guest;
	fake.guest_dial = guest_dial;
	memset(&asked, 0, sizeof(asked));
	assert_non_null(mkdtemp(strcpy(work, "/tmp/coffer-relay-XXXXXX")));
	box = start(NULL);
	return box ? 0 : -1;
}

static int test_teardown(void **state)
{
	coffer_container_free(box);
	return path_remove_tree(AT_FDCWD, work, NULL);
}

static struct coffer_relay into(void)
{
	return (struct coffer_relay){ .id = "one", .direction = COFFER_RELAY_INTO,
				      .host_path = at("echo.sock"),
				      .guest_path = "/run/inside.sock" };
}

static struct coffer_relay out_of(void)
{
	return (struct coffer_relay){ .id = "two", .direction = COFFER_RELAY_OUT_OF,
				      .host_path = at("out.sock"),
				      .guest_path = "/run/inside.sock", .mode = 0622 };
}

static void test_into(void **state)
{
	struct coffer_relay relay = into();
	autoclose int server = serve(at("echo.sock")), idle = -1;

	assert_int_equal(coffer_container_relay_add(box, &relay, &error), 0);
	assert_string_equal(asked.path, "/run/container/box/rootfs/run/inside.sock");
	assert_int_equal(asked.mode, 0666);
	assert_false(asked.out_of);
	assert_int_equal(clients(connect_into, CLIENTS), CLIENTS);
	assert_int_equal(coffer_container_relay_add(box, &relay, &error), -EEXIST);
	idle = connect_into();
	assert_int_equal(coffer_container_relay_remove(box, "one", &error), 0);
	assert_true(hangs_up(idle));
	assert_int_equal(asked.stopped, 1);
	assert_int_equal(connect_into(), -ENOENT);
	assert_int_equal(coffer_container_relay_remove(box, "one", &error), -ENOENT);
	/* Its name and its paths are free again. */
	assert_int_equal(coffer_container_relay_add(box, &relay, &error), 0);
	assert_int_equal(clients(connect_into, 1), 1);
	shutdown(server, SHUT_RDWR);
	steal_fd(&server);
}

static void test_out_of(void **state)
{
	struct coffer_relay relay = out_of();
	autoclose int idle = -1;
	struct stat st;

	/* A socket gives way, anything else does not. */
	assert_int_equal(mkdir(at("out.sock"), 0700), 0);
	assert_int_equal(coffer_container_relay_add(box, &relay, &error), -EEXIST);
	assert_int_equal(asked.stopped, 1);
	assert_int_equal(rmdir(at("out.sock")), 0);
	close(io_unix_listen(AT_FDCWD, at("out.sock"), SOCK_STREAM, 0600, NULL));
	assert_int_equal(coffer_container_relay_add(box, &relay, &error), 0);
	assert_true(asked.out_of);
	assert_int_equal(stat(at("out.sock"), &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0622);
	assert_int_equal(clients(connect_out, CLIENTS), CLIENTS);
	/* One whose partner can't be had is closed, and the others are not. */
	idle = connect_echoed(connect_out);
	asked.refuse = true;
	assert_int_equal(clients(connect_out, 4), 0);
	asked.refuse = false;
	assert_int_equal(shutdown(idle, SHUT_WR), 0);
	char buf[8] = "";
	assert_int_equal(io_read_full(idle, buf, sizeof(buf)), 3);
	assert_string_equal(buf, "end");
	assert_int_equal(coffer_container_relay_remove(box, "two", &error), 0);
	assert_int_equal(stat(at("out.sock"), &st), -1);
}

/* Whoever stops it takes what it made away, and cuts what is connected. */
static void test_stop(void **state)
{
	struct coffer_relay relay = out_of();
	autoclose int idle = -1;
	struct stat st;

	assert_int_equal(coffer_container_relay_add(box, &relay, &error), 0);
	idle = connect_echoed(connect_out);
	assert_int_equal(coffer_container_stop(box, 0, &error), 0);
	assert_int_equal(stat(at("out.sock"), &st), -1);
	assert_true(hangs_up(idle));
	assert_true(coffer_container_relay_add(box, &relay, &error) < 0);
	assert_int_equal(error.kind, COFFER_ERR_INVALID_STATE);
	/* Somebody else's socket of that name stays. */
	assert_int_equal(coffer_container_create(box, &error), 0);
	assert_int_equal(coffer_container_start(box, &error), 0);
	assert_int_equal(coffer_container_relay_add(box, &relay, &error), 0);
	assert_int_equal(unlink(at("out.sock")), 0);
	close(io_unix_listen(AT_FDCWD, at("out.sock"), SOCK_STREAM, 0600, NULL));
	assert_int_equal(coffer_container_stop(box, 0, &error), 0);
	assert_int_equal(stat(at("out.sock"), &st), 0);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *id, *host, *guest;
		mode_t mode;
		int direction;
		const char *text;
	} rows[] = {
		{ "", "/tmp/x", "/x", 0, 0, "named" },
		{ "a/b", "/tmp/x", "/x", 0, 0, "named" },
		{ NULL, "/tmp/x", "/x", 0, 0, "named" },
		{ "a", "/tmp/x", "x", 0, 0, "guest_path" },
		{ "a", "/tmp/x", NULL, 0, 0, "guest_path" },
		{ "a", "", "/x", 0, 0, "host_path" },
		{ "a", "/tmp/", "/x", 0, 0, "host_path" },
		{ "a", NULL, "/x", 0, 0, "host_path" },
		{ "a", "/tmp/x", "/x", 04777, 0, "mode" },
		{ "a", "/tmp/x", "/x", 0, 2, "direction" },
	};
	struct coffer_relay relay;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		relay = (struct coffer_relay){ rows[i].id, rows[i].direction, rows[i].host,
					       rows[i].guest, rows[i].mode };
		assert_int_equal(coffer_container_relay_add(box, &relay, &error), -EINVAL);
		if (!strstr(error.message, rows[i].text))
			fail_msg("%zu: %s", i, error.message);
	}
	relay = out_of();
	relay.host_path = at("no/such/out.sock");
	assert_int_equal(coffer_container_relay_add(box, &relay, &error), -ENOENT);
	relay = into();
	asked.refuse = true;
	assert_true(coffer_container_relay_add(box, &relay, &error) < 0);
	assert_non_null(strstr(error.message, "the agent says no"));
	asked.refuse = false;
	assert_int_equal(coffer_container_relay_add(box, &relay, &error), 0);
}

static void test_configured(void **state)
{
	struct coffer_relay relay = into();
	autoclose int server = serve(at("echo.sock"));

	coffer_container_free(box);
	box = start(&relay);
	assert_non_null(box);
	assert_string_equal(asked.path, "/run/sockets/one.sock");
	assert_non_null(strstr(fake.spec, "/run/sockets/one.sock"));
	assert_non_null(strstr(fake.spec, "/run/inside.sock"));
	assert_int_equal(clients(connect_into, 4), 4);
	coffer_container_free(box);
	asked.refuse = true;
	box = start(&relay);
	assert_null(box);
	assert_non_null(strstr(error.message, "relay one"));
	shutdown(server, SHUT_RDWR);
	steal_fd(&server);
}

/* --- forwards --- */

static struct forward {
	pthread_t thread;
	struct sockaddr_in sa;
	int listen_fd, stop_fd, r;
	struct coffer_error err;
} forward;

static void *forward_run(void *data)
{
	forward.r = coffer_container_forward(box, forward.listen_fd, 80, forward.stop_fd,
					     &forward.err);
	return NULL;
}

static void forward_start(void)
{
	socklen_t len = sizeof(forward.sa);

	forward = (struct forward){ .sa = { .sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
	forward.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(forward.listen_fd, (struct sockaddr *)&forward.sa, len), 0);
	assert_int_equal(listen(forward.listen_fd, 64), 0);
	assert_int_equal(getsockname(forward.listen_fd, (struct sockaddr *)&forward.sa, &len), 0);
	forward.stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&forward.thread, NULL, forward_run, NULL), 0);
}

static int connect_forward(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&forward.sa, sizeof(forward.sa)) < 0 ? -errno : fd;
}

static void test_forward(void **state)
{
	const uint64_t one = 1;
	autoclose int idle = -1;

	forward_start();
	assert_int_equal(clients(connect_forward, CLIENTS), CLIENTS);
	asked.refuse = true;
	assert_int_equal(clients(connect_forward, 2), 0);
	asked.refuse = false;
	assert_int_equal(clients(connect_forward, 2), 2);
	idle = connect_echoed(connect_forward);
	assert_int_equal(write(forward.stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(forward.thread, NULL);
	assert_int_equal(forward.r, 0);
	assert_true(hangs_up(idle));
	/* The caller's socket is as it was. */
	assert_int_equal(fcntl(forward.listen_fd, F_GETFL) & O_NONBLOCK, 0);
	close(forward.listen_fd);
	close(forward.stop_fd);
}

static void test_forward_ends_with_the_container(void **state)
{
	forward_start();
	assert_int_equal(clients(connect_forward, 1), 1);
	assert_int_equal(coffer_container_stop(box, 0, &error), 0);
	pthread_join(forward.thread, NULL);
	assert_int_equal(forward.r, -ECONNRESET);
	assert_non_null(strstr(forward.err.message, "no longer started"));
	assert_true(coffer_container_forward(box, forward.listen_fd, 80, -1, &error) < 0);
	assert_int_equal(error.kind, COFFER_ERR_INVALID_STATE);
	close(forward.listen_fd);
	close(forward.stop_fd);
}

static void test_streams(void **state)
{
	autoclose int fd = coffer_container_listen(box, 5000, &error), from = -1, got = -1;

	assert_true(fd >= 0);
	from = guest_port(5000);
	got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(from >= 0 && got >= 0);
	coffer_container_unlisten(box, 5000);
	assert_int_equal(guest_port(5000), -ENOENT);
	assert_int_equal(coffer_container_listen(box, 1024, &error), -EINVAL);
	assert_int_equal(coffer_container_listen(box, 0x10000000, &error), -EINVAL);
	assert_int_equal(coffer_container_connect(box, 0, &error), -EINVAL);
	asked.refuse = true;
	assert_int_equal(coffer_container_connect(box, 80, &error), -ECONNREFUSED);
	assert_int_equal(error.kind, COFFER_ERR_INTERRUPTED);
	close_fd(&got);
	asked.refuse = false;
	got = coffer_container_connect(box, 80, &error);
	assert_true(got >= 0);
}

/* More than are ever on their way to a partner at once. */
static void test_many_connections(void **state)
{
	struct coffer_relay relay = out_of();
	int fds[300];

	assert_int_equal(coffer_container_relay_add(box, &relay, &error), 0);
	for (int i = 0; i < (int)ARRAY_SIZE(fds); i++) {
		fds[i] = connect_out();
		assert_true(fds[i] >= 0);
		assert_int_equal(write(fds[i], "y", 1), 1);
	}
	for (int i = 0; i < (int)ARRAY_SIZE(fds); i++) {
		char buf[8] = "";

		assert_int_equal(shutdown(fds[i], SHUT_WR), 0);
		assert_int_equal(io_read_full(fds[i], buf, sizeof(buf)), 4);
		assert_string_equal(buf, "yend");
		close(fds[i]);
	}
}

/* A guest of its own process: what it holds open is not ours. Return: its pid */
static pid_t guest_crowd(int n)
{
	int told[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(told), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < n; i++)
			if (guest_port(asked.port) < 0)
				_exit(1);
		if (write(told[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(told[1]);
	assert_int_equal(read(told[0], &c, 1), 1);
	close(told[0]);
	return pid;
}

static void test_descriptors_are_left(void **state)
{
	struct coffer_relay relay = into();
	struct rlimit before, few;
	int server;
	pid_t pid;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ 400, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	server = serve(at("echo.sock"));
	assert_int_equal(coffer_container_relay_add(box, &relay, &error), 0);
	pid = guest_crowd(200);
	for (int i = 0; i < 20; i++) {
		int fd = dup(server);

		assert_true(fd >= 0);
		close(fd);
		usleep(25000);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	shutdown(server, SHUT_RDWR);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

#define RELAY(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY(test_into),
		RELAY(test_out_of),
		RELAY(test_stop),
		RELAY(test_refusals),
		RELAY(test_configured),
		RELAY(test_forward),
		RELAY(test_forward_ends_with_the_container),
		RELAY(test_streams),
		RELAY(test_many_connections),
		RELAY(test_descriptors_are_left),
	};

	return cmocka_run_group_tests(tests, fake_group_setup, fake_group_teardown);
}
