/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_sandbox.h - a sandbox made of sockets, for the container room's tests
 *
 * It notes the calls it gets, fails where a test wants it, and keeps the
 * contract as an agent would: connects a process's streams during create and
 * answers waits with what fake_end_process() says.  Any number of threads may
 * use it at once.
 */
#ifndef FAKE_SANDBOX_H
#define FAKE_SANDBOX_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent_extras.pb-c.h"
#include "base/clock.h"
#include "base/io.h"
#include "container/container.h"
#include "sandbox/hybrid.h"
#include "sandbox_context.pb-c.h"

#define FAKE_PROCS_MAX 4096

/* A process that the agent has been told of. */
struct fake_proc {
	char id[COFFER_ID_MAX + 1];
	bool started, ended, removed;
	unsigned char code;
	int fd; /* eventfd, readable once it has ended */
	int streams[3];
};

/* What the test wants, and what happened. Tests run one after the other. */
static struct fake {
	pthread_mutex_t lock;  /* guards log and procs */
	const char *fail;      /* name of the call that fails */
	bool no_streams;       /* the agent does not connect them */
	bool ends_on_term;
	bool silent;           /* streams of calls get no answer */
	bool chatty;	       /* there is always another event */
	bool no_log;           /* many threads: nobody reads it */
	bool exits_at_once;    /* whatever is started */
	usec_t delay;          /* of each create */
	bool create_hangs;     /* until the sandbox is stopped */
	int create_together;   /* until so many of them are under way at once */
	_Atomic int creating;
	int boots, frees, connections;
	char log[4096];
	char spec[65536];      /* of the last create */
	int end_fd;            /* eventfd, readable: the machine has ended */
	struct sandbox_end end;
	struct fake_proc procs[FAKE_PROCS_MAX];
	int nprocs;
	int streams[3];        /* the agent's ends, of the last create */
	int last_signal, last_mode;
	int beats;             /* answered */
	/* What else a call does; @reply is empty, or NULL. */
	int (*guest)(struct agent *agent, const struct agent_request *request,
		     ProtobufCMessage *reply, struct coffer_error *err);
	int (*guest_dial)(uint32_t port, struct coffer_error *err);
	struct sandbox_config cfg;
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER, .end_fd = -1 };

struct fake_agent {
	struct agent agent;
	struct fake_proc *waited;
	int fd; /* eventfd: readable when there is something to look at */
	int cancel_fd;
};

struct fake_stream {
	char method[32];
	bool done;
};

static int fake_note(const char *call, struct coffer_error *err)
{
	bool fails;

	pthread_mutex_lock(&fake.lock);
	if (!fake.no_log && strlen(fake.log) + strlen(call) + 2 < sizeof(fake.log)) {
		strcat(fake.log, call);
		strcat(fake.log, " ");
	}
	fails = fake.fail && strcmp(fake.fail, call) == 0;
	pthread_mutex_unlock(&fake.lock);
	return fails ? err_internal(err, "%s failed", call) : 0;
}

/* Return when a call has been made. */
static inline void fake_await(const char *call)
{
	bool made = false;

	while (!made) {
		pthread_mutex_lock(&fake.lock);
		made = strstr(fake.log, call);
		pthread_mutex_unlock(&fake.lock);
		usleep(1000);
	}
}

static void fake_reset(void)
{
	for (int i = 0; i < fake.nprocs; i++) {
		close(fake.procs[i].fd);
		for (int k = 0; k < 3; k++)
			close_fd(&fake.procs[i].streams[k]);
	}
	close_fd(&fake.end_fd);
	memset(&fake, 0, sizeof(fake));
	pthread_mutex_init(&fake.lock, NULL);
	for (int i = 0; i < 3; i++)
		fake.streams[i] = -1;
	fake.end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake.end = (struct sandbox_end){ .exit_code = -1 };
}

static void fake_signal_fd(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* With the lock. */
static struct fake_proc *fake_find(const char *id)
{
	for (int i = fake.nprocs - 1; i >= 0; i--)
		if (strcmp(fake.procs[i].id, id) == 0 && !fake.procs[i].removed)
			return &fake.procs[i];
	return NULL;
}

/* With the lock. Its streams end with it. */
static void fake_end_it(struct fake_proc *p, unsigned char code)
{
	if (!p || p->ended)
		return;
	p->ended = true;
	p->code = code;
	for (int k = 0; k < 3; k++)
		close_fd(&p->streams[k]);
	fake_signal_fd(p->fd);
}

static inline void fake_end_named(const char *id, unsigned char code)
{
	pthread_mutex_lock(&fake.lock);
	fake_end_it(fake_find(id), code);
	pthread_mutex_unlock(&fake.lock);
}

/* The latest. */
static inline void fake_end_process(unsigned char code)
{
	pthread_mutex_lock(&fake.lock);
	fake_end_it(&fake.procs[fake.nprocs - 1], code);
	pthread_mutex_unlock(&fake.lock);
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
	if (r == 0 && strcmp(request->method, "Signal") == 0) {
		const Ax__SignalRequest *s = (const Ax__SignalRequest *)request->msg;

		pthread_mutex_lock(&fake.lock);
		fake.last_signal = s->signal;
		fake.last_mode = s->mode;
		for (int i = 0; i < fake.nprocs && s->signal == SIGKILL; i++)
			fake_end_it(&fake.procs[i], 137);
		pthread_mutex_unlock(&fake.lock);
	}
	/* An empty reply of the right type. */
	if (r == 0 && reply)
		*reply = protobuf_c_message_unpack(m->output, NULL, 0, NULL);
	if (r == 0 && fake.guest)
		r = fake.guest(agent, request, reply ? *reply : NULL, err);
	if (r < 0 && reply) {
		agent_reply_free(*reply);
		*reply = NULL;
	}
	return r;
}

static int fake_stream_begin(struct agent *agent, const struct agent_request *request,
			     usec_t budget, struct agent_stream **out, struct coffer_error *err)
{
	struct fake_stream *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	snprintf(s->method, sizeof(s->method), "%s", request->method);
	*out = (struct agent_stream *)s;
	return 0;
}

static int fake_stream_next(struct agent *agent, struct agent_stream *stream, usec_t deadline,
			    ProtobufCMessage **reply, struct coffer_error *err)
{
	struct fake_stream *s = (struct fake_stream *)stream;
	bool silent, chatty;

	pthread_mutex_lock(&fake.lock);
	chatty = fake.chatty && strcmp(s->method, "Events") == 0;
	silent = fake.silent || strcmp(s->method, "Events") == 0;
	if (!silent && !s->done)
		fake.beats++;
	pthread_mutex_unlock(&fake.lock);
	*reply = NULL;
	if (chatty) {
		*reply = calloc(1, sizeof(Ax__Event));
		assert_non_null(*reply);
		ax__event__init((Ax__Event *)*reply);
		return 0;
	}
	if (silent)
		return err_timeout(err, "no message");
	s->done = true;
	return 0;
}

static void fake_stream_end(struct agent *agent, struct agent_stream *stream)
{
	free(stream);
}

static int fake_prepare(struct agent *agent, const struct agent_step *steps, size_t nsteps,
			struct coffer_error *err)
{
	return fake_note("prepare", err);
}

static int fake_create(struct agent *agent, const struct agent_create *args,
		       struct coffer_error *err)
{
	struct fake_proc *p;

	if (fake.delay)
		usleep((useconds_t)fake.delay);
	fake.creating++;
	while (fake.creating < fake.create_together)
		usleep(1000);
	if (fake.create_hangs) {
		fake_note("creating", NULL);
		fake_await("stop");
	}
	pthread_mutex_lock(&fake.lock);
	assert_null(fake_find(args->process.id));
	assert_true(fake.nprocs < FAKE_PROCS_MAX);
	p = &fake.procs[fake.nprocs++];
	snprintf(p->id, sizeof(p->id), "%s", args->process.id);
	snprintf(fake.spec, sizeof(fake.spec), "%s", args->spec);
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < 3; i++) {
		char name[64];

		p->streams[i] = -1;
		if (!args->ports[i] || fake.no_streams)
			continue;
		snprintf(name, sizeof(name), "vsock.sock_%u", args->ports[i]);
		p->streams[i] = io_unix_connect(fake.cfg.dir->vm_fd, name, SOCK_STREAM, err);
		assert_true(p->streams[i] >= 0);
		fake.streams[i] = p->streams[i];
	}
	pthread_mutex_unlock(&fake.lock);
	return fake_note("create", err);
}

static int fake_start(struct agent *agent, const struct agent_process *process, int *pid,
		      struct coffer_error *err)
{
	int r = fake_note("start", err);

	pthread_mutex_lock(&fake.lock);
	fake_find(process->id)->started = true;
	if (r < 0 || fake.exits_at_once)
		fake_end_it(fake_find(process->id), r < 0 ? 127 : 0);
	pthread_mutex_unlock(&fake.lock);
	*pid = 42;
	return r;
}

static int fake_kill(struct agent *agent, const struct agent_process *process, int sig,
		     struct coffer_error *err)
{
	pthread_mutex_lock(&fake.lock);
	fake.last_signal = sig;
	if (sig == SIGTERM && fake.ends_on_term)
		fake_end_it(fake_find(process->id), 143);
	if (sig == SIGKILL)
		fake_end_it(fake_find(process->id), 137);
	pthread_mutex_unlock(&fake.lock);
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
	pthread_mutex_lock(&fake.lock);
	if (fake_find(process->id))
		fake_find(process->id)->removed = true;
	pthread_mutex_unlock(&fake.lock);
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

	pthread_mutex_lock(&fake.lock);
	a->waited = fake_find(process->id);
	assert_non_null(a->waited);
	pthread_mutex_unlock(&fake.lock);
	return fake_note("wait", err);
}

static int fake_wait_poll(struct agent *agent, usec_t deadline, struct agent_exit *status,
			  struct coffer_error *err)
{
	struct fake_agent *a = (struct fake_agent *)agent;

	assert_non_null(a->waited);
	if (io_wait(a->waited->fd, POLLIN, deadline) == 0)
		return err_timeout(err, "not yet");
	pthread_mutex_lock(&fake.lock);
	*status = (struct agent_exit){ .code = a->waited->code, .at = { .tv_sec = 1 } };
	a->waited = NULL;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static int fake_fd(const struct agent *agent)
{
	const struct fake_agent *a = (const struct fake_agent *)agent;

	return a->waited ? a->waited->fd : a->fd;
}

static void fake_close(struct agent *agent)
{
	struct fake_agent *a = (struct fake_agent *)agent;

	pthread_mutex_lock(&fake.lock);
	fake.connections--;
	pthread_mutex_unlock(&fake.lock);
	close_fd(&a->fd);
	free(a);
}

static void fake_set_cancel(struct agent *agent, int fd)
{
	((struct fake_agent *)agent)->cancel_fd = fd;
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
	/* A new agent knows nobody. */
	for (int i = 0; i < fake.nprocs; i++)
		fake.procs[i].removed = true;
	fake.boots++;
	return fake_note("boot", err);
}

static int fake_ready(struct sandbox *sb, struct coffer_error *err)
{
	if (fake.fail && strcmp(fake.fail, "never ready") == 0) {
		if (io_wait(fake.cfg.cancel_fd, POLLIN, deadline_in(60 * USEC_PER_SEC)) > 0)
			return err_set(err, COFFER_ERR_CANCELLED, 0, "given up while booting");
	}
	return fake_note("ready", err);
}

static void fake_stop(struct sandbox *sb)
{
	fake_note("stop", NULL);
}

static int fake_pause(struct sandbox *sb, struct coffer_error *err)
{
	return fake_note("pause", err);
}

static int fake_resume(struct sandbox *sb, struct coffer_error *err)
{
	return fake_note("resume", err);
}

static int fake_connect_begin(struct sandbox *sb, struct coffer_error *err)
{
	int r = fake_note("connect", err);

	/* Readable at once, as is a connection that is there. */
	return r < 0 ? r : eventfd(1, EFD_CLOEXEC);
}

static int fake_connect_end(struct sandbox *sb, int fd, struct agent **out,
			    struct coffer_error *err)
{
	struct fake_agent *a = calloc(1, sizeof(*a));

	close(fd);
	assert_non_null(a);
	a->agent.ops = &fake_agent_ops;
	a->fd = eventfd(0, EFD_CLOEXEC);
	a->cancel_fd = -1;
	*out = &a->agent;
	pthread_mutex_lock(&fake.lock);
	fake.connections++;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static int fake_dial(struct sandbox *sb, uint32_t port, struct coffer_error *err)
{
	return fake.guest_dial ? fake.guest_dial(port, err) : err_unsupported(err, "dial");
}

static int fake_listen(struct sandbox *sb, uint32_t port, struct coffer_error *err)
{
	return hybrid_listen(fake.cfg.dir->vm_fd, port, err);
}

static void fake_unlisten(struct sandbox *sb, uint32_t port)
{
	hybrid_unlisten(fake.cfg.dir->vm_fd, port);
}

static int fake_dup_end_fd(struct sandbox *sb, struct coffer_error *err)
{
	int r = fake_note("end_fd", err);

	return r < 0 ? r : fcntl(fake.end_fd, F_DUPFD_CLOEXEC, 3);
}

/* The machine ends by itself. */
static inline void fake_die(const char *process, int signal)
{
	pthread_mutex_lock(&fake.lock);
	fake.end.kind = SANDBOX_END_PROCESS;
	fake.end.signal = signal;
	snprintf(fake.end.process, sizeof(fake.end.process), "%s", process);
	snprintf(fake.end.console, sizeof(fake.end.console), "last words");
	err_set(&fake.end.error, COFFER_ERR_INTERRUPTED, 0, "%s was killed by signal %d", process,
		signal);
	pthread_mutex_unlock(&fake.lock);
	fake_signal_fd(fake.end_fd);
}

static int fake_end(struct sandbox *sb, struct sandbox_end *out, struct coffer_error *err)
{
	pthread_mutex_lock(&fake.lock);
	*out = fake.end;
	pthread_mutex_unlock(&fake.lock);
	return out->process[0] ? 0 : err_state(err, "it runs");
}

static void fake_explain(struct sandbox *sb, struct coffer_error *err)
{
	err_wrap(err, "the machine has ended");
}

static int fake_cost(struct sandbox *sb, struct sandbox_cost *out, struct coffer_error *err)
{
	*out = (struct sandbox_cost){ .nprocesses = 3 };
	out->processes[0] = (struct sandbox_cost_process){ "coffer-vmm", "", 7, 100, 50, 5 };
	out->processes[1] = (struct sandbox_cost_process){ "qemu", "", 8, 1000, 0, 6 };
	out->processes[2] = (struct sandbox_cost_process){ "virtiofsd", "a", 9, 10, 10, 7 };
	return fake_note("cost", err);
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
	.pause = fake_pause,
	.resume = fake_resume,
	.connect_begin = fake_connect_begin,
	.connect_end = fake_connect_end,
	.dial = fake_dial,
	.listen = fake_listen,
	.unlisten = fake_unlisten,
	.end_fd = fake_dup_end_fd,
	.end = fake_end,
	.explain = fake_explain,
	.cost = fake_cost,
	.info = fake_info,
	.free = fake_free,
};

static int fake_maker(const struct sandbox_config *config, struct sandbox **out,
		      struct coffer_error *err)
{
	struct sandbox *sb;
	int r = fake_note("make", err);

	if (r < 0)
		return r;
	sb = calloc(1, sizeof(*sb));
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
