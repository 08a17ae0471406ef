/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_sandbox.h - a sandbox made of sockets, for the container room's tests
 *
 * It notes the calls it gets, fails where a test wants it, and keeps the
 * contract as an agent would: connects a process's streams during create and
 * answers waits with what fake_end_process() says.
 */
#ifndef FAKE_SANDBOX_H
#define FAKE_SANDBOX_H

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent_extras.pb-c.h"
#include "base/clock.h"
#include "base/io.h"
#include "container/container.h"
#include "sandbox/hybrid.h"
#include "sandbox_context.pb-c.h"

/* What the test wants, and what happened. Tests run one after the other. */
static struct fake {
	const char *fail;      /* name of the call that fails */
	bool no_streams;       /* the agent does not connect them */
	bool ends_on_term;
	int boots, frees;
	char log[1024];
	char spec[65536];      /* of the last create */
	int process_end;       /* write the exit code here; close it: machine lost */
	int streams[3];        /* the agent's ends */
	int last_signal;
	unsigned char verdict; /* how a process ended that nobody waits for yet; 0: not */
	struct sandbox_config cfg;
} fake;

struct fake_agent {
	struct agent agent;
	int wait_fd;
};

static int fake_note(const char *call, struct coffer_error *err)
{
	if (strlen(fake.log) + strlen(call) + 2 < sizeof(fake.log)) {
		strcat(fake.log, call);
		strcat(fake.log, " ");
	}
	if (fake.fail && strcmp(fake.fail, call) == 0)
		return err_internal(err, "%s failed", call);
	return 0;
}

static void fake_reset(void)
{
	for (int i = 0; i < 3; i++)
		if (fake.streams[i] > 0)
			close(fake.streams[i]);
	if (fake.process_end > 0)
		close(fake.process_end);
	fake = (struct fake){ .process_end = -1, .streams = { -1, -1, -1 } };
}

static void fake_end_process(unsigned char code)
{
	/* Nobody waits yet, or nobody any more. */
	if (fake.process_end < 0)
		fake.verdict = code;
	else if (write(fake.process_end, &code, 1) < 0)
		assert_int_equal(errno, EPIPE);
}

static int fake_call(struct agent *agent, const struct agent_request *request, usec_t budget,
		     ProtobufCMessage **reply, struct coffer_error *err)
{
	const ProtobufCMethodDescriptor *m = protobuf_c_service_descriptor_get_method_by_name(
	    request->service == AGENT_EXTRAS ? &ax__extras__descriptor
					     : &sc__sandbox_context__descriptor,
	    request->method);
	int r = fake_note(request->method, err);

	assert_non_null(m);
	assert_ptr_equal(m->input, request->msg->descriptor);
	/* An empty reply of the right type. */
	if (r == 0 && reply)
		*reply = protobuf_c_message_unpack(m->output, NULL, 0, NULL);
	return r;
}

static int fake_stream_begin(struct agent *agent, const struct agent_request *request,
			     usec_t budget, struct agent_stream **out, struct coffer_error *err)
{
	return err_unsupported(err, "%s", request->method);
}

static int fake_stream_next(struct agent *agent, struct agent_stream *stream, usec_t deadline,
			    ProtobufCMessage **reply, struct coffer_error *err)
{
	return err_timeout(err, "no message");
}

static void fake_stream_end(struct agent *agent, struct agent_stream *stream)
{
}

static int fake_prepare(struct agent *agent, const struct agent_step *steps, size_t nsteps,
			struct coffer_error *err)
{
	return fake_note("prepare", err);
}

static int fake_create(struct agent *agent, const struct agent_create *args,
		       struct coffer_error *err)
{
	snprintf(fake.spec, sizeof(fake.spec), "%s", args->spec);
	for (int i = 0; i < 3; i++) {
		char name[64];

		if (!args->ports[i] || fake.no_streams)
			continue;
		snprintf(name, sizeof(name), "vsock.sock_%u", args->ports[i]);
		fake.streams[i] = io_unix_connect(fake.cfg.dir->vm_fd, name, SOCK_STREAM, err);
		if (fake.streams[i] < 0)
			return fake.streams[i];
	}
	return fake_note("create", err);
}

static int fake_start(struct agent *agent, const struct agent_process *process, int *pid,
		      struct coffer_error *err)
{
	int r = fake_note("start", err);

	if (r < 0)
		fake_end_process(127);
	*pid = 42;
	return r;
}

static int fake_kill(struct agent *agent, const struct agent_process *process, int sig,
		     struct coffer_error *err)
{
	fake.last_signal = sig;
	if (sig == SIGTERM && fake.ends_on_term)
		fake_end_process(143);
	if (sig == SIGKILL)
		fake_end_process(137);
	return fake_note("kill", err);
}

static int fake_resize(struct agent *agent, const struct agent_process *process, uint16_t rows,
		       uint16_t columns, struct coffer_error *err)
{
	return fake_note("resize", err);
}

static int fake_close_stdin(struct agent *agent, const struct agent_process *process,
			    struct coffer_error *err)
{
	return fake_note("close_stdin", err);
}

static int fake_remove(struct agent *agent, const struct agent_process *process,
		       struct coffer_error *err)
{
	return fake_note("remove", err);
}

static int fake_set_time(struct agent *agent, const struct timespec *now, struct coffer_error *err)
{
	return fake_note("set_time", err);
}

static int fake_wait_begin(struct agent *agent, const struct agent_process *process,
			   struct coffer_error *err)
{
	struct fake_agent *a = (struct fake_agent *)agent;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	a->wait_fd = sv[0];
	if (fake.process_end >= 0)
		close(fake.process_end);
	fake.process_end = sv[1];
	if (fake.verdict)
		fake_end_process(fake.verdict);
	fake.verdict = 0;
	return fake_note("wait", err);
}

static int fake_wait_poll(struct agent *agent, usec_t deadline, struct agent_exit *status,
			  struct coffer_error *err)
{
	struct fake_agent *a = (struct fake_agent *)agent;
	unsigned char code;

	if (io_wait(a->wait_fd, POLLIN, deadline) == 0)
		return err_timeout(err, "not yet");
	if (read(a->wait_fd, &code, 1) != 1)
		return err_set(err, COFFER_ERR_INTERRUPTED, 0, "connection lost");
	*status = (struct agent_exit){ .code = code, .at = { .tv_sec = 1 } };
	return 0;
}

static int fake_fd(const struct agent *agent)
{
	return ((const struct fake_agent *)agent)->wait_fd;
}

static void fake_close(struct agent *agent)
{
	struct fake_agent *a = (struct fake_agent *)agent;

	close_fd(&a->wait_fd);
	free(a);
}

static void fake_set_cancel(struct agent *agent, int fd)
{
}

static const struct agent_ops fake_agent_ops = {
	.call = fake_call,
	.stream_begin = fake_stream_begin,
	.stream_next = fake_stream_next,
	.stream_end = fake_stream_end,
	.fd = fake_fd,
	.prepare = fake_prepare,
	.create = fake_create,
	.start = fake_start,
	.kill = fake_kill,
	.resize = fake_resize,
	.close_stdin = fake_close_stdin,
	.remove = fake_remove,
	.set_time = fake_set_time,
	.wait_begin = fake_wait_begin,
	.wait_poll = fake_wait_poll,
	.set_cancel = fake_set_cancel,
	.close = fake_close,
};

static int fake_boot(struct sandbox *sb, struct coffer_error *err)
{
	fake.boots++;
	return fake_note("boot", err);
}

static int fake_ready(struct sandbox *sb, struct coffer_error *err)
{
	if (fake.fail && strcmp(fake.fail, "never ready") == 0) {
		if (io_wait(fake.cfg.cancel_fd, POLLIN, deadline_in(10 * USEC_PER_SEC)) > 0)
			return err_set(err, COFFER_ERR_CANCELLED, 0, "given up while booting");
	}
	return fake_note("ready", err);
}

static void fake_stop(struct sandbox *sb)
{
	fake_note("stop", NULL);
}

static int fake_plain(struct sandbox *sb, struct coffer_error *err)
{
	return fake_note("plain", err);
}

static int fake_connect_begin(struct sandbox *sb, struct coffer_error *err)
{
	int r = fake_note("connect", err);

	return r < 0 ? r : dup(fake.cfg.cancel_fd);
}

static int fake_connect_end(struct sandbox *sb, int fd, struct agent **out,
			    struct coffer_error *err)
{
	struct fake_agent *a = calloc(1, sizeof(*a));

	close(fd);
	assert_non_null(a);
	a->agent.ops = &fake_agent_ops;
	a->wait_fd = -1;
	*out = &a->agent;
	return 0;
}

static int fake_dial(struct sandbox *sb, uint32_t port, struct coffer_error *err)
{
	return err_unsupported(err, "dial");
}

static int fake_listen(struct sandbox *sb, uint32_t port, struct coffer_error *err)
{
	return hybrid_listen(fake.cfg.dir->vm_fd, port, err);
}

static void fake_unlisten(struct sandbox *sb, uint32_t port)
{
	hybrid_unlisten(fake.cfg.dir->vm_fd, port);
}

static void fake_explain(struct sandbox *sb, struct coffer_error *err)
{
	err_wrap(err, "the machine has ended");
}

static void fake_info(struct sandbox *sb, struct sandbox_info *out)
{
	*out = (struct sandbox_info){ .ready = 5 };
}

static void fake_free(struct sandbox *sb)
{
	fake.frees++;
	free(sb);
}

static const struct sandbox_ops fake_sandbox_ops = {
	.boot = fake_boot,
	.ready = fake_ready,
	.stop = fake_stop,
	.pause = fake_plain,
	.resume = fake_plain,
	.connect_begin = fake_connect_begin,
	.connect_end = fake_connect_end,
	.dial = fake_dial,
	.listen = fake_listen,
	.unlisten = fake_unlisten,
	.explain = fake_explain,
	.info = fake_info,
	.free = fake_free,
};

static int fake_maker(const struct sandbox_config *config, struct sandbox **out,
		      struct coffer_error *err)
{
	struct sandbox *sb = calloc(1, sizeof(*sb));

	assert_non_null(sb);
	fake.cfg = *config;
	sb->ops = &fake_sandbox_ops;
	*out = sb;
	return 0;
}

/* A folder for run directories, and a file that passes for an image. */
static char fake_root[] = "/tmp/coffer-test-XXXXXX";
static char fake_image[64];

static int fake_group_setup(void **state)
{
	unsigned char image[4096] = { [1024 + 0x38] = 0x53, [1024 + 0x39] = 0xef };
	int fd;

	assert_non_null(mkdtemp(fake_root));
	snprintf(fake_image, sizeof(fake_image), "%s-image", fake_root);
	fd = open(fake_image, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
	close(fd);
	return 0;
}

static int fake_group_teardown(void **state)
{
	unlink(fake_image);
	/* Also proves that every test left it empty. */
	return rmdir(fake_root);
}

#endif /* FAKE_SANDBOX_H */
