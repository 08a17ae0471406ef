/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_remote.c - a container used through its owner's socket
 *
 * Both sides are this process: the owner serves from threads of its own.
 */
#include "fake_sandbox.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/un.h>

#include "container/remote.h"

#define OTHERS 40

static const char *const test_args[] = { "sleep", "9", NULL };

static struct coffer_container *test_owned(const char *id, bool keep)
{
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container *c;

	p.args = test_args;
	cfg.rootfs = fake_image;
	cfg.run_dir = fake_root;
	cfg.process = &p;
	cfg.keep = keep;
	fake_reset();
	assert_int_equal(container_new(id, &cfg, fake_maker, &c, NULL), 0);
	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_start(c, NULL), 0);
	return c;
}

static struct coffer_container *test_opened(const char *id)
{
	struct coffer_container *c;

	assert_int_equal(coffer_container_open(fake_root, id, &c, NULL), 0);
	return c;
}

static void test_await_beat(void)
{
	int beats;

	do {
		usleep(1000);
		pthread_mutex_lock(&fake.lock);
		beats = fake.beats;
		pthread_mutex_unlock(&fake.lock);
	} while (!beats);
}

/* Descriptors of this process. */
static int test_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_calls(void **state)
{
	struct coffer_container *own = test_owned("calls", false), *c = test_opened("calls");
	struct coffer_timing timing = { .size = sizeof(timing) };
	struct coffer_death death = { .size = sizeof(death) };
	struct coffer_error err = COFFER_ERROR_INIT;
	char *json;

	assert_int_equal(coffer_container_state(c), COFFER_STATE_STARTED);
	assert_int_equal(coffer_container_pause(c, NULL), 0);
	assert_int_equal(coffer_container_state(own), COFFER_STATE_PAUSED);
	assert_int_equal(coffer_container_pause(c, &err), -EBUSY);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	assert_non_null(strstr(err.message, "paused"));
	assert_int_equal(coffer_container_resume(c, NULL), 0);
	assert_int_equal(coffer_process_kill(coffer_container_process(c), SIGUSR1, NULL), 0);
	assert_int_equal(fake.last_signal, SIGUSR1);
	assert_int_equal(coffer_process_kill(coffer_container_process(c), 99, &err), -EINVAL);
	assert_int_equal(coffer_process_pid(coffer_container_process(c)),
			 coffer_process_pid(coffer_container_process(own)));
	assert_int_equal(coffer_container_death(c, &death, &err), -ENODATA);
	assert_int_equal(err.kind, COFFER_ERR_EMPTY);
	coffer_container_timing(c, &timing);
	assert_true(timing.started > 0);
	assert_int_equal(coffer_container_create(c, &err), -EOPNOTSUPP);
	assert_int_equal(coffer_container_inspect(c, &json, NULL), 0);
	assert_non_null(strstr(json, "\"Id\":\"calls\""));
	assert_non_null(strstr(json, "\"Status\":\"running\""));
	free(json);
	coffer_container_free(c);
	/* A handle's end is not the container's. */
	assert_int_equal(coffer_container_state(own), COFFER_STATE_STARTED);
	coffer_container_free(own);
}

static void test_wait_and_stop(void **state)
{
	struct coffer_container *own = test_owned("wait", false), *c = test_opened("wait");
	struct coffer_process *p = coffer_container_process(c);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_exit end;
	int cancel[2];

	assert_int_equal(coffer_process_wait(p, 0, &end, &err), -ETIMEDOUT);
	assert_int_equal(pipe(cancel), 0);
	assert_int_equal(write(cancel[1], "x", 1), 1);
	assert_int_equal(coffer_process_wait_or(p, COFFER_FOREVER, cancel[0], &end, &err),
			 -ECANCELED);
	close(cancel[0]);
	close(cancel[1]);
	assert_true(coffer_process_wait_fd(p) >= 0);
	fake_end_process(42);
	assert_int_equal(coffer_process_wait(p, COFFER_FOREVER, &end, &err), 0);
	assert_int_equal(end.code, 42);
	assert_int_equal(io_wait(coffer_process_wait_fd(p), POLLIN, 0) & POLLIN, POLLIN);
	/* Again, and by one that came late. */
	assert_int_equal(coffer_process_wait(p, 0, &end, NULL), 0);
	coffer_container_free(c);
	c = test_opened("wait");
	assert_int_equal(coffer_process_wait(coffer_container_process(c), COFFER_FOREVER, &end,
					     NULL), 0);
	assert_int_equal(end.code, 42);
	assert_int_equal(coffer_container_stop(c, 0, NULL), 0);
	assert_int_equal(coffer_container_state(own), COFFER_STATE_STOPPED);
	assert_int_equal(coffer_container_pause(c, &err), -ECONNRESET);
	assert_int_equal(err.kind, COFFER_ERR_INTERRUPTED);
	coffer_container_free(c);
	coffer_container_free(own);
}

static void test_exec(void **state)
{
	static const char *const args[] = { "cat", "-", NULL };
	static const char *const env[] = { "A=b", NULL };
	struct coffer_container *own = test_owned("exec", false), *c = test_opened("exec");
	struct coffer_process_config cfg = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_process *p, *same;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_exit end;
	char got[8] = "";
	int in, out;

	cfg.args = args;
	cfg.env = env;
	cfg.cwd = "/where";
	cfg.stdio[COFFER_STDIN].mode = cfg.stdio[COFFER_STDOUT].mode = COFFER_STDIO_PIPE;
	assert_int_equal(coffer_container_exec(c, "e1", &cfg, &p, &err), 0);
	assert_non_null(strstr(fake.spec, "/where"));
	assert_non_null(strstr(fake.spec, "A=b"));
	assert_string_equal(coffer_process_id(p), "e1");
	in = coffer_process_take_stream(p, COFFER_STDIN);
	out = coffer_process_take_stream(p, COFFER_STDOUT);
	assert_true(in >= 0 && out >= 0);
	assert_int_equal(coffer_process_take_stream(p, COFFER_STDERR), -1);
	/* The bytes do not go through the owner: these are the agent's own sockets. */
	assert_int_equal(write(in, "to", 2), 2);
	assert_int_equal(read(fake.streams[0], got, sizeof(got)), 2);
	assert_int_equal(write(fake.streams[1], "from", 4), 4);
	assert_int_equal(read(out, got, sizeof(got)), 4);
	close(in);
	close(out);
	assert_int_equal(coffer_container_exec(c, "e1", &cfg, &same, &err), -EEXIST);
	assert_int_equal(coffer_container_find_process(c, "e1", &same, NULL), 0);
	assert_ptr_equal(same, p);
	assert_int_equal(coffer_container_find_process(c, "e2", &same, &err), -ENOENT);
	fake_end_named("e1", 5);
	assert_int_equal(coffer_process_wait(p, COFFER_FOREVER, &end, NULL), 0);
	assert_int_equal(end.code, 5);
	assert_int_equal(coffer_process_delete(p, false, NULL), 0);
	/* The owner forgets it by itself, a moment later. */
	for (int i = 0; i < 12000 && coffer_container_find_process(own, "e1", &p, NULL) == 0; i++)
		usleep(5000);
	assert_int_equal(coffer_container_find_process(own, "e1", &p, NULL), -ENOENT);
	coffer_container_free(c);
	coffer_container_free(own);
}

static void test_inherited_streams(void **state)
{
	static const char *const args[] = { "echo", NULL };
	struct coffer_container *own = test_owned("inherit", false), *c = test_opened("inherit");
	struct coffer_process_config cfg = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_process *p;
	char got[16];
	int ours[2];

	assert_int_equal(pipe(ours), 0);
	cfg.args = args;
	cfg.stdio[COFFER_STDOUT] = (struct coffer_stdio){ COFFER_STDIO_FD, ours[1] };
	assert_int_equal(coffer_container_exec(c, NULL, &cfg, &p, NULL), 0);
	assert_int_equal(write(fake.streams[1], "hello", 5), 5);
	assert_int_equal(read(ours[0], got, sizeof(got)), 5);
	assert_int_equal(write(fake.streams[1], " you", 4), 4);
	close(fake.streams[1]);
	fake.streams[1] = -1;
	fake_end_named(coffer_process_id(p), 0);
	assert_int_equal(coffer_process_wait(p, COFFER_FOREVER, NULL, NULL), 0);
	/* What it wrote is there before its end is told. */
	assert_int_equal(io_wait(ours[0], POLLIN, 0), POLLIN);
	close(ours[0]);
	close(ours[1]);
	coffer_container_free(c);
	coffer_container_free(own);
}

static void test_failing_exec(void **state)
{
	static const char *const args[] = { "nosuch", NULL };
	struct coffer_container *own = test_owned("fexec", false), *c = test_opened("fexec");
	struct coffer_process_config cfg = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_process *p;

	assert_int_equal(coffer_container_exec(c, NULL, &cfg, &p, &err), -EINVAL);
	cfg.args = args;
	fake.fail = "start";
	assert_int_equal(coffer_container_exec(c, "x", &cfg, &p, &err), -ENOENT);
	assert_int_equal(err.kind, COFFER_ERR_NOT_FOUND);
	assert_null(p);
	fake.fail = NULL;
	assert_int_equal(coffer_container_exec(c, "../x", &cfg, &p, &err), -EINVAL);
	assert_int_equal(coffer_container_exec(c, "x", &cfg, &p, &err), 0);
	coffer_container_free(c);
	coffer_container_free(own);
}

static void test_events(void **state)
{
	struct coffer_container *own = test_owned("events", false), *c = test_opened("events");
	struct coffer_event event = { .size = sizeof(event) };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_events *events;

	assert_int_equal(coffer_container_events(c, &events, NULL), 0);
	assert_int_equal(coffer_events_next(events, 0, &event, &err), -ETIMEDOUT);
	assert_int_equal(coffer_container_pause(own, NULL), 0);
	assert_int_equal(coffer_events_next(events, COFFER_FOREVER, &event, NULL), 0);
	assert_int_equal(event.type, COFFER_EVENT_PAUSE);
	assert_int_equal(coffer_container_stop(own, 0, NULL), 0);
	do
		assert_int_equal(coffer_events_next(events, COFFER_FOREVER, &event, NULL), 0);
	while (event.type != COFFER_EVENT_STOP);
	/* Its end is the end of the owner's object. */
	coffer_container_free(own);
	assert_true(coffer_events_next(events, COFFER_FOREVER, &event, &err) < 0);
	assert_int_equal(err.kind, COFFER_ERR_INTERRUPTED);
	coffer_events_free(events);
	coffer_container_free(c);
}

struct other {
	pthread_t thread;
	int r, code;
};

static void *other_thread(void *data)
{
	struct coffer_process_config cfg = COFFER_PROCESS_CONFIG_INIT;
	struct other *o = data;
	struct coffer_container *c;
	struct coffer_process *p;
	struct coffer_exit end;

	cfg.args = test_args;
	o->r = coffer_container_open(fake_root, "many", &c, NULL);
	if (o->r < 0)
		return NULL;
	o->r = coffer_container_exec(c, NULL, &cfg, &p, NULL);
	if (o->r == 0)
		o->r = coffer_process_wait(p, COFFER_FOREVER, &end, NULL);
	o->code = end.code;
	coffer_container_free(c);
	return NULL;
}

static void test_many_at_once(void **state)
{
	struct coffer_container *own = test_owned("many", false);
	struct other others[OTHERS] = { 0 };

	fake.exits_at_once = true;
	for (int i = 0; i < OTHERS; i++)
		assert_int_equal(pthread_create(&others[i].thread, NULL, other_thread, &others[i]),
				 0);
	for (int i = 0; i < OTHERS; i++) {
		pthread_join(others[i].thread, NULL);
		assert_int_equal(others[i].r, 0);
		assert_int_equal(others[i].code, 0);
	}
	coffer_container_free(own);
}

/* ---- peers that mean no good ---- */

static int raw_connect(const char *id)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/" RUNDIR_CONTROL, fake_root, id);
	fd = io_unix_connect(AT_FDCWD, path, SOCK_STREAM, NULL);
	assert_true(fd >= 0);
	return fd;
}

/* Send a request as it is. Return: kind of the verdict, -1: hung up on */
static int raw_ask(const char *id, const Ct__Request *req)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	usec_t limit = deadline_in(60 * USEC_PER_SEC);
	ProtobufCMessage *msg;
	int fd = raw_connect(id), kind = -1;

	assert_int_equal(wire_send(fd, &req->base, NULL), 0);
	assert_int_equal(wire_receive(fd, &ct__hello__descriptor, limit, &msg, NULL, &err), 0);
	assert_int_equal(((Ct__Hello *)msg)->version, WIRE_VERSION);
	protobuf_c_message_free_unpacked(msg, NULL);
	if (wire_receive(fd, &ct__reply__descriptor, limit, &msg, NULL, &err) == 0) {
		kind = (int)((Ct__Reply *)msg)->kind;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	close(fd);
	return kind;
}

static void test_hostile_requests(void **state)
{
	struct coffer_container *own = test_owned("hostile", false);
	Ct__Request req = CT__REQUEST__INIT;
	Ct__Exec exec = CT__EXEC__INIT;
	ProtobufCBinaryData words[2] = { wire_text("true"), { .len = 3, .data = (uint8_t *)"a\0b" } };

	req.version = 77;
	req.method = CT__METHOD__STATE;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_UNSUPPORTED);
	req.version = WIRE_VERSION;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_NONE);
	req.method = 0;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_UNSUPPORTED);
	req.method = 100000;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_UNSUPPORTED);
	req.method = -1;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_UNSUPPORTED);
	req.method = CT__METHOD__EXEC;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_INVALID_ARGUMENT);
	/* A text without its end, and one with two. */
	req.exec = &exec;
	exec.args = words;
	exec.n_args = 2;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_INVALID_ARGUMENT);
	words[1] = (ProtobufCBinaryData){ .len = 1, .data = (uint8_t *)"a" };
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_INVALID_ARGUMENT);
	req.method = CT__METHOD__KILL;
	req.number = UINT64_MAX;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_INVALID_ARGUMENT);
	req.method = CT__METHOD__UPDATE;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_INVALID_ARGUMENT);
	req.method = CT__METHOD__FREEZE;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_INVALID_ARGUMENT);
	req.method = CT__METHOD__TRANSFER;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_INVALID_ARGUMENT);
	req.method = CT__METHOD__RESIZE;
	req.rows = 70000;
	assert_int_equal(raw_ask("hostile", &req), COFFER_ERR_INVALID_ARGUMENT);
	coffer_container_free(own);
}

static void test_hostile_bytes(void **state)
{
	struct coffer_container *own = test_owned("bytes", false), *c;
	const uint32_t huge[] = { 0x72666643, 0xffffffff }, odd[] = { 0, 4 },
		       half[] = { 0x72666643, 100 };
	const struct {
		const void *data;
		size_t n;
	} cases[] = { { huge, sizeof(huge) }, { odd, sizeof(odd) }, { half, sizeof(half) },
		      { "x", 1 }, { "", 0 } };
	int before, fds[ARRAY_SIZE(cases)], with[2];

	/* The watcher's own connection comes a moment after the start, and stays. */
	test_await_beat();
	before = test_count_fds();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fds[i] = raw_connect("bytes");
		assert_int_equal(send(fds[i], cases[i].data, cases[i].n, MSG_NOSIGNAL),
				 cases[i].n);
	}
	/* Descriptors nobody asked for. */
	assert_int_equal(pipe(with), 0);
	assert_int_equal(io_send_fds(fds[4], "C", 1, with, 2), 0);
	close(with[0]);
	close(with[1]);
	/* Nobody is held up by any of them. */
	c = test_opened("bytes");
	assert_int_equal(coffer_container_state(c), COFFER_STATE_STARTED);
	coffer_container_free(c);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		close(fds[i]);
	for (int i = 0; i < 12000 && test_count_fds() > before; i++)
		usleep(5000);
	assert_int_equal(test_count_fds(), before);
	coffer_container_free(own);
}

/* Callers that say nothing do not keep the owner's object from its end. */
static void test_silent_callers(void **state)
{
	struct coffer_container *own = test_owned("silent", false);
	int fds[20];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = raw_connect("silent");
	coffer_container_free(own);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* What an owner of ours would not say. */
struct liar {
	int listen_fd;
	pthread_t thread;
	const void *data;
	size_t n;
	const int *fds;
	size_t nfds;
	bool greet;
	pthread_mutex_t lock; /* of what it says; held while nothing is asked */
};

static void *liar_thread(void *data)
{
	struct liar *liar = data;
	Ct__Hello hello = CT__HELLO__INIT;
	char buf[4096];

	for (;;) {
		struct pollfd pfd = { .fd = liar->listen_fd, .events = POLLIN };
		int fd;

		poll(&pfd, 1, -1);
		fd = accept4(liar->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return NULL;
		hello.version = WIRE_VERSION;
		pthread_mutex_lock(&liar->lock);
		if (liar->greet)
			wire_send(fd, &hello.base, NULL);
		if (liar->n > 0)
			io_send_fds(fd, liar->data, liar->n, liar->fds, liar->nfds);
		pthread_mutex_unlock(&liar->lock);
		/* Until the other side has enough. */
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		close(fd);
	}
}

static size_t liar_pack(const Ct__Reply *reply, uint8_t *out)
{
	uint32_t head[] = { 0x72666643, (uint32_t)ct__reply__get_packed_size(reply) };

	memcpy(out, head, sizeof(head));
	return sizeof(head) + ct__reply__pack(reply, out + sizeof(head));
}

static int liar_ask(struct liar *liar, struct coffer_error *err)
{
	/* Only one that says nothing is waited for to the end. */
	usec_t budget = liar->data ? 60 * USEC_PER_SEC : 300 * USEC_PER_MSEC;
	struct coffer_container *c = NULL;
	int r;

	err_clear(err);
	pthread_mutex_unlock(&liar->lock);
	r = remote_open(fake_root, "liar", budget, &c, err);
	pthread_mutex_lock(&liar->lock);
	if (r == 0)
		coffer_container_free(c);
	return r;
}

static void test_hostile_owner(void **state)
{
	struct rundir *dir;
	struct liar liar = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct coffer_error err = COFFER_ERROR_INIT;
	Ct__Reply reply = CT__REPLY__INIT;
	uint8_t bytes[256];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), before = test_count_fds();

	assert_int_equal(rundir_create(fake_root, "liar", &dir, NULL), 0);
	pthread_mutex_lock(&liar.lock);
	liar.listen_fd = io_unix_listen(dir->fd, RUNDIR_CONTROL, SOCK_STREAM, 0600, NULL);
	assert_int_equal(pthread_create(&liar.thread, NULL, liar_thread, &liar), 0);
	/* Silence, before and after the greeting. */
	assert_int_equal(liar_ask(&liar, &err), -ETIMEDOUT);
	liar.greet = true;
	assert_int_equal(liar_ask(&liar, &err), -ETIMEDOUT);
	/* Noise. */
	liar.data = "GET / HTTP/1.1\r\n\r\n";
	liar.n = strlen(liar.data);
	assert_int_equal(liar_ask(&liar, &err), -EPROTO);
	/* A process with an impossible name, and none. */
	liar.data = bytes;
	reply.text = wire_text("../../etc");
	liar.n = liar_pack(&reply, bytes);
	assert_int_equal(liar_ask(&liar, &err), -EPROTO);
	reply.text = wire_text("");
	liar.n = liar_pack(&reply, bytes);
	assert_int_equal(liar_ask(&liar, &err), -EPROTO);
	/* An error that is none, and one whose text has no end. */
	reply.kind = 4711;
	liar.n = liar_pack(&reply, bytes);
	assert_int_equal(liar_ask(&liar, &err), -EPROTO);
	reply.kind = COFFER_ERR_INTERNAL;
	reply.errnum = 5;
	reply.message = (ProtobufCBinaryData){ .len = 3, .data = (uint8_t *)"abc" };
	liar.n = liar_pack(&reply, bytes);
	assert_int_equal(liar_ask(&liar, &err), -EPROTO);
	/* Descriptors nobody asked for: closed. */
	liar.fds = (const int[]){ null, null };
	liar.nfds = 2;
	assert_true(liar_ask(&liar, &err) < 0);
	pthread_mutex_unlock(&liar.lock);
	shutdown(liar.listen_fd, SHUT_RDWR);
	pthread_join(liar.thread, NULL);
	close(liar.listen_fd);
	rundir_remove(dir);
	assert_int_equal(test_count_fds(), before);
	close(null);
}

/* ---- records ---- */

static void test_records(void **state)
{
	struct coffer_container *own = test_owned("kept1", true), *c;
	struct coffer_error err = COFFER_ERROR_INIT;
	char id[COFFER_ID_MAX + 1], *json;

	assert_int_equal(coffer_record_find(fake_root, "kep", id, NULL), 0);
	assert_string_equal(id, "kept1");
	assert_int_equal(coffer_record_find(fake_root, "", id, &err), -ENOENT);
	assert_int_equal(coffer_record_find(fake_root, "kept12", id, &err), -ENOENT);
	assert_int_equal(coffer_record_remove(fake_root, "kept1", false, &err), -EBUSY);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	fake_end_process(3);
	assert_int_equal(coffer_process_wait(coffer_container_process(own), COFFER_FOREVER, NULL,
					     NULL), 0);
	assert_int_equal(coffer_container_stop(own, 0, NULL), 0);
	assert_int_equal(coffer_record_inspect(fake_root, "kept1", &json, NULL), 0);
	assert_non_null(strstr(json, "\"Status\":\"exited\""));
	assert_non_null(strstr(json, "\"ExitCode\":3"));
	free(json);
	assert_int_equal(coffer_container_open(fake_root, "kept1", &c, &err), -ECONNRESET);
	/* Its own object can be used again; its name is nobody else's. */
	assert_int_equal(coffer_container_create(own, NULL), 0);
	assert_int_equal(coffer_container_stop(own, 0, NULL), 0);
	coffer_container_free(own);
	assert_int_equal(coffer_record_list(fake_root, &json, NULL), 0);
	assert_non_null(strstr(json, "kept1"));
	free(json);
	assert_int_equal(coffer_record_remove(fake_root, "kept1", false, NULL), 0);
	assert_int_equal(coffer_record_remove(fake_root, "kept1", true, &err), -ENOENT);
}

static void *removal_thread(void *data)
{
	*(int *)data = coffer_record_remove(fake_root, "ending", false, NULL);
	return NULL;
}

/* One that has ended, and whose owner has yet to clear it away, does not run. */
static void test_removal_of_ended(void **state)
{
	struct coffer_container *own = test_owned("ending", true);
	pthread_t thread;
	int r = 1;

	fake_end_process(0);
	assert_int_equal(coffer_process_wait(coffer_container_process(own), COFFER_FOREVER, NULL,
					     NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, removal_thread, &r), 0);
	usleep(50000); /* so that it finds the owner there, as a rule */
	coffer_container_free(own);
	pthread_join(thread, NULL);
	assert_int_equal(r, 0);
}

/* One that lives is ended by its owner, who is asked. */
static void test_forced_removal(void **state)
{
	struct coffer_container *own = test_owned("forced", true);

	assert_int_equal(coffer_record_remove(fake_root, "forced", true, NULL), 0);
	assert_int_equal(coffer_container_state(own), COFFER_STATE_STOPPED);
	coffer_container_free(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_wait_and_stop),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_inherited_streams),
		cmocka_unit_test(test_failing_exec),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_hostile_requests),
		cmocka_unit_test(test_hostile_bytes),
		cmocka_unit_test(test_silent_callers),
		cmocka_unit_test(test_hostile_owner),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_removal_of_ended),
		cmocka_unit_test(test_forced_removal),
	};

	return cmocka_run_group_tests(tests, fake_group_setup, fake_group_teardown);
}
