/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qemu.c - the machine that is a QEMU process
 *
 *	            +-- QMP ---------- qmp.c: control and events
 *	            +-- vhost-user --- virtio/vhost_user.c: the vsock device's rings
 *	QEMU  ------+-- console ------ console.c: serial port
 *	            +-- stderr ------- its last words, for the error message
 *	            +-- pidfd -------- its end
 *
 * The first three are socket pairs, so there is no path to find and no race.
 * QEMU is not trusted: its guest may have taken it over.  Each channel is
 * bounded, and the loss of QMP or vhost-user ends the machine, because what is
 * left cannot be controlled or cannot talk.
 *
 * A guest that powers off or panics makes QEMU announce SHUTDOWN and exit with
 * status 0 in both cases; which of the two it was is read off the console.
 * QEMU's own exit is not waited for then: raw images need no closing.
 */
#define LOG_CATEGORY "qemu"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/log.h"
#include "base/spawn.h"
#include "virtio/vhost_user.h"
#include "vmm/machine.h"
#include "vmm/qemu_args.h"
#include "vmm/qemu_find.h"
#include "vmm/qemu_jail.h"
#include "vmm/qmp.h"
#include "vmm/share.h"
#include "vmm/tail.h"

#define QEMU_START_BUDGET (30 * USEC_PER_SEC)   /* until it answers */
#define QEMU_GRACE        USEC_PER_SEC          /* from a lost channel to its end */
#define QEMU_END_BUDGET   (5 * USEC_PER_SEC)    /* for a killed process to go away */
#define QEMU_CHUNK        4096
#define QEMU_DRAIN_MAX    256 /* chunks read from a dead QEMU */
#define QEMU_LOG_MAX      32  /* lines of stderr that are logged */

struct qemu {
	struct machine m;
	struct child child;
	int qmp_fd, vsock_fd; /* our ends, until their users take them over in attach */
	int console_fd, stderr_fd;
	struct qmp *qmp;
	struct vhost_user *vu;
	struct loop_source *on_exit, *on_console, *on_stderr, *timer;
	struct tail words;    /* stderr */
	char line[256];       /* what there is of the next line of it */
	size_t line_len;
	unsigned logged;      /* lines */
	bool running;         /* RUNNING was reported */
	bool stopping;        /* by our stop() */
	bool ended;           /* by the guest, says QEMU */
	char why[256];        /* a channel was lost, or it is too slow; "": none */
	bool cut_off;         /* by us, for that reason */
};

static void qemu_free(struct machine *m);

static void qemu_emit(struct qemu *q, struct machine_event ev)
{
	if (!ev.message)
		ev.message = "";
	q->m.args.on_event(&ev, q->m.args.data);
}

/* --- start --- */

/* QEMU's ends, closed here once it has them. */
struct qemu_ends {
	int qmp, vsock, console, words;
};

static void qemu_ends_close(struct qemu_ends *e)
{
	close_fd(&e->qmp);
	close_fd(&e->vsock);
	close_fd(&e->console);
	close_fd(&e->words);
}

static int qemu_pair(int *ours, int *theirs, struct coffer_error *err)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, "socketpair");
	*ours = sv[0];
	*theirs = sv[1];
	return io_set_nonblock(sv[0], true);
}

static int qemu_make_channels(struct qemu *q, struct qemu_ends *e, struct coffer_error *err)
{
	int p[2], r;

	r = qemu_pair(&q->qmp_fd, &e->qmp, err);
	if (r == 0)
		r = qemu_pair(&q->vsock_fd, &e->vsock, err);
	if (r == 0)
		r = qemu_pair(&q->console_fd, &e->console, err);
	if (r < 0)
		return r;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	q->stderr_fd = p[0];
	e->words = p[1];
	return io_set_nonblock(p[0], true);
}

static int qemu_spawn(struct qemu *q, const struct qemu_ends *e, const char *program,
		      struct coffer_error *err)
{
	const struct vmm_config *cfg = q->m.args.cfg;
	struct qemu_jail jail = { .jail = q->m.args.jail, .cfg = cfg, .qemu = program,
				  .kvm = q->m.type->kvm };
	struct spawn_fd fds[7 + VMM_DEVICES_MAX] = {
		{ e->words, 1 }, { e->words, 2 },
		{ e->qmp, QEMU_FD_QMP }, { e->vsock, QEMU_FD_VSOCK },
		{ e->console, QEMU_FD_CONSOLE },
		{ cfg->kernel_fd, QEMU_FD_KERNEL }, { cfg->initrd_fd, QEMU_FD_INITRD },
	};
	autofree struct qemu_args *args = malloc(sizeof(*args));
	struct spawn_args spawn = { .path = program, .fds = fds, .nfds = 7,
				    .new_session = true, .hook = qemu_jail_hook,
				    .hook_data = &jail };
	int r;

	if (!args)
		return err_nomem(err);
	for (uint32_t i = 0; i < cfg->ndisks + cfg->nshares; i++)
		fds[spawn.nfds++] = (struct spawn_fd){
			i < cfg->ndisks ? cfg->disks[i].fd
					: shares_socket(q->m.args.shares, i - cfg->ndisks),
			QEMU_FD_DISK0 + (int)i
		};
	r = qemu_args_build(args, cfg, program, jail.kvm, tsc_khz_since(q->m.args.tsc_start), err);
	if (r < 0)
		return r;
	spawn.argv = args->argv;
	return spawn_exec(&spawn, &q->child, err);
}

static int qemu_start(const struct machine_type *type, const struct machine_args *args,
		      struct machine **out, struct coffer_error *err)
{
	CLEANUP(qemu_ends_close) struct qemu_ends ends = { -1, -1, -1, -1 };
	char program[PATH_MAX];
	struct qemu *q;
	int r = qemu_check_files(args->cfg, err);

	if (r == 0)
		r = qemu_find(args->cfg, program, err);
	if (r < 0)
		return r;
	q = calloc(1, sizeof(*q));
	if (!q)
		return err_nomem(err);
	q->m.type = type;
	q->m.args = *args;
	q->child = (struct child)CHILD_INIT;
	q->qmp_fd = q->vsock_fd = q->console_fd = q->stderr_fd = -1;
	r = qemu_make_channels(q, &ends, err);
	if (r == 0)
		r = qemu_spawn(q, &ends, program, err);
	if (r < 0) {
		qemu_free(&q->m);
		return r;
	}
	*out = &q->m;
	return 0;
}

/* --- the end --- */

/* QEMU says "PROGRAM: what went wrong"; the program's name is no news. */
static const char *qemu_last_words(const struct qemu *q, char *text, size_t size)
{
	const char *colon;

	if (!tail_last(&q->words, 2, text, size))
		return NULL;
	colon = strstr(text, ": ");
	return colon && !memchr(text, ' ', (size_t)(colon - text)) ? colon + 2 : text;
}

/* Its own words are best, then how it went; why we cut it off counts when we did. */
static void qemu_explain_death(const struct qemu *q, const siginfo_t *si, char *out, size_t size)
{
	const char *late = q->running ? "" : " before the machine ran";
	char text[600];
	const char *words = qemu_last_words(q, text, sizeof(text));

	if (words)
		snprintf(out, size, "qemu: %s", words);
	else if (q->cut_off)
		snprintf(out, size, "%s", q->why);
	else if (si->si_code != CLD_EXITED)
		snprintf(out, size, "qemu was killed by signal %d (%s)%s", si->si_status,
			 si->si_status == SIGKILL ? "killed, or out of memory"
						  : strsignal(si->si_status), late);
	else
		snprintf(out, size, "qemu exited with status %d%s", si->si_status, late);
}

static void qemu_report_end(struct qemu *q, const siginfo_t *si)
{
	struct machine_event ev = { .kind = MACHINE_SHUTDOWN };
	char message[900] = "";

	if (q->stopping) {
		ev.message = "ended on request";
	} else if (!q->ended) {
		ev.kind = MACHINE_DIED;
		qemu_explain_death(q, si, message, sizeof(message));
		ev.message = message;
		vmm_process_set(&ev.process, "qemu", NULL, si->si_pid);
		ev.process.exit_code = si->si_code == CLD_EXITED ? si->si_status : -1;
		ev.process.signal = si->si_code == CLD_EXITED ? 0 : si->si_status;
	} else if (tail_find(&q->m.args.console->tail, "Kernel panic", message, sizeof(message))) {
		ev.kind = MACHINE_PANIC;
		ev.message = message;
	} else {
		ev.message = "the guest powered off";
	}
	qemu_emit(q, ev);
}

static void qemu_read_console(struct qemu *q, int max)
{
	char chunk[QEMU_CHUNK];
	ssize_t n;

	while (max-- > 0 && q->on_console) {
		n = read(q->console_fd, chunk, sizeof(chunk));
		if (n > 0) {
			console_write(q->m.args.console, chunk, (size_t)n);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			loop_remove(q->on_console);
			q->on_console = NULL;
		} else {
			return;
		}
	}
}

/* It comes in pieces of a word or two. */
static void qemu_log_words(struct qemu *q, const char *text, size_t n)
{
	for (size_t i = 0; i < n && q->logged < QEMU_LOG_MAX; i++) {
		if (text[i] != '\n' && q->line_len < sizeof(q->line)) {
			q->line[q->line_len++] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
			continue;
		}
		log_info("says: %.*s", (int)q->line_len, q->line);
		q->line_len = 0;
		q->logged++;
	}
}

static void qemu_read_stderr(struct qemu *q, int max)
{
	char chunk[QEMU_CHUNK];
	ssize_t n;

	while (max-- > 0 && q->on_stderr) {
		n = read(q->stderr_fd, chunk, sizeof(chunk));
		if (n > 0) {
			tail_add(&q->words, chunk, (size_t)n);
			qemu_log_words(q, chunk, (size_t)n);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			loop_remove(q->on_stderr);
			q->on_stderr = NULL;
		} else {
			return;
		}
	}
}

/* What the dead QEMU said last may still be in the channels, and it says how it ended. */
static void qemu_exit_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct qemu *q = data;
	siginfo_t si = { 0 };

	loop_remove(q->on_exit);
	q->on_exit = NULL;
	child_wait(&q->child, USEC_INFINITY, &si);
	if (q->qmp)
		qmp_read(q->qmp);
	qemu_read_console(q, QEMU_DRAIN_MAX);
	qemu_read_stderr(q, QEMU_DRAIN_MAX);
	loop_arm(q->timer, USEC_INFINITY, 0);
	qemu_report_end(q, &si);
}

/* A lost channel is often the first sign of QEMU's death; its own words are better than ours. */
static void qemu_lose(struct qemu *q, const struct coffer_error *err)
{
	if (!q->child.pid || q->stopping || q->ended || q->why[0])
		return;
	snprintf(q->why, sizeof(q->why), "%.255s", err->message);
	loop_arm(q->timer, QEMU_GRACE, 0);
}

/* Armed for the start's budget first, for the grace after a lost channel later. */
static void qemu_timer_handler(struct loop_source *src, void *data)
{
	struct qemu *q = data;

	if (!q->why[0])
		snprintf(q->why, sizeof(q->why), "qemu does not answer");
	q->cut_off = true;
	child_kill(&q->child, SIGKILL);
}

static void qemu_stop(struct machine *m, bool force)
{
	struct qemu *q = container_of(m, struct qemu, m);

	q->stopping = true;
	if (force || !q->qmp || qmp_command(q->qmp, "quit", NULL, NULL, NULL) < 0)
		child_kill(&q->child, SIGKILL);
}

/* --- QMP --- */

static void qemu_on_shutdown(struct qemu *q, struct json_object *info)
{
	struct json_object *guest = NULL;

	/* Not the guest: the answer to our quit, or a signal from outside; the exit tells. */
	if (!info || !json_object_object_get_ex(info, "guest", &guest) ||
	    !json_object_get_boolean(guest))
		return;
	q->ended = true;
	child_kill(&q->child, SIGKILL);
}

static void qemu_on_pause(struct qemu *q, struct json_object *info)
{
	if (q->running)
		qemu_emit(q, (struct machine_event){ .kind = MACHINE_PAUSED });
}

static void qemu_on_resume(struct qemu *q, struct json_object *info)
{
	if (q->running)
		qemu_emit(q, (struct machine_event){ .kind = MACHINE_RESUMED });
}

static const struct {
	const char *name;
	void (*handler)(struct qemu *q, struct json_object *info);
} qemu_events[] = {
	{ "SHUTDOWN", qemu_on_shutdown },
	{ "STOP", qemu_on_pause },
	{ "RESUME", qemu_on_resume },
};

static void qemu_event_handler(const char *event, struct json_object *info, void *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(qemu_events); i++) {
		if (!strcmp(event, qemu_events[i].name)) {
			qemu_events[i].handler(data, info);
			return;
		}
	}
	log_debug("event %.40s", event);
}

static void qemu_status_done(const struct coffer_error *err, struct json_object *ret, void *data)
{
	struct json_object *running = NULL;
	struct qemu *q = data;

	if (err || q->running || q->stopping)
		return;
	if (!json_object_is_type(ret, json_type_object) ||
	    !json_object_object_get_ex(ret, "running", &running) ||
	    !json_object_get_boolean(running))
		return; /* the start's budget ends it */
	q->running = true;
	loop_arm(q->timer, USEC_INFINITY, 0);
	qemu_emit(q, (struct machine_event){ .kind = MACHINE_RUNNING });
}

static void qemu_ready_handler(void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct qemu *q = data;

	q->m.control_ready = clock_now();
	if (qmp_command(q->qmp, "query-status", qemu_status_done, q, &err) < 0)
		qemu_lose(q, &err);
}

static void qemu_qmp_close_handler(const struct coffer_error *err, void *data)
{
	qemu_lose(data, err);
}

/* A machine_done waiting for a QMP command. */
struct qemu_wait {
	machine_done done;
	void *data;
};

static void qemu_command_done(const struct coffer_error *err, struct json_object *ret, void *data)
{
	struct qemu_wait wait = *(struct qemu_wait *)data;

	free(data);
	wait.done(err, wait.data);
}

static int qemu_command(struct machine *m, const char *command, machine_done done, void *data,
			struct coffer_error *err)
{
	struct qemu *q = container_of(m, struct qemu, m);
	autofree struct qemu_wait *wait = malloc(sizeof(*wait));
	int r;

	if (!wait)
		return err_nomem(err);
	*wait = (struct qemu_wait){ done, data };
	r = qmp_command(q->qmp, command, qemu_command_done, wait, err);
	if (r == 0)
		steal_ptr(wait);
	return r;
}

static int qemu_pause(struct machine *m, machine_done done, void *data, struct coffer_error *err)
{
	return qemu_command(m, "stop", done, data, err);
}

static int qemu_resume(struct machine *m, machine_done done, void *data, struct coffer_error *err)
{
	return qemu_command(m, "cont", done, data, err);
}

/* --- sources --- */

static void qemu_console_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	qemu_read_console(data, 16);
}

static void qemu_stderr_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	qemu_read_stderr(data, 16);
}

static void qemu_vsock_close_handler(struct vhost_user *vu, const struct coffer_error *err,
				     void *data)
{
	struct qemu *q = data;

	vhost_user_free(vu);
	q->vu = NULL;
	qemu_lose(q, err);
}

static int qemu_attach_devices(struct qemu *q, struct loop *loop, struct virtio_device *vsock,
			       struct coffer_error *err)
{
	struct vhost_user_args vu = { .sock = q->vsock_fd, .dev = vsock,
				      .on_close = qemu_vsock_close_handler, .data = q };
	struct qmp_args qmp = { .sock = q->qmp_fd, .on_ready = qemu_ready_handler,
				.on_event = qemu_event_handler,
				.on_close = qemu_qmp_close_handler, .data = q };
	int r = vhost_user_new(loop, &vu, &q->vu, err);

	if (r < 0)
		return r;
	steal_fd(&q->vsock_fd);
	r = qmp_new(loop, &qmp, &q->qmp, err);
	if (r < 0)
		return r;
	steal_fd(&q->qmp_fd);
	return 0;
}

static int qemu_attach(struct machine *m, struct loop *loop, struct virtio_device *vsock,
		       struct coffer_error *err)
{
	struct qemu *q = container_of(m, struct qemu, m);
	int r = qemu_attach_devices(q, loop, vsock, err);

	if (r == 0)
		r = loop_add_timer(loop, qemu_timer_handler, q, &q->timer, err);
	if (r == 0)
		r = loop_add_fd(loop, q->child.pidfd, EPOLLIN, qemu_exit_handler, q, &q->on_exit,
				err);
	if (r == 0)
		r = loop_add_fd(loop, q->console_fd, EPOLLIN, qemu_console_handler, q,
				&q->on_console, err);
	if (r == 0)
		r = loop_add_fd(loop, q->stderr_fd, EPOLLIN, qemu_stderr_handler, q, &q->on_stderr,
				err);
	return r < 0 ? r : loop_arm(q->timer, clock_budget(QEMU_START_BUDGET), 0);
}

static pid_t qemu_pid(const struct machine *m)
{
	return container_of(m, const struct qemu, m)->child.pid;
}

static void qemu_free(struct machine *m)
{
	struct qemu *q = container_of(m, struct qemu, m);
	siginfo_t si;

	q->stopping = true;
	/* One that the kernel cannot end, in a broken disk's driver perhaps, is left to it. */
	child_kill(&q->child, SIGKILL);
	child_wait(&q->child, deadline_in(QEMU_END_BUDGET), &si);
	loop_remove(q->on_exit);
	close_fd(&q->child.pidfd);
	loop_remove(q->on_console);
	loop_remove(q->on_stderr);
	loop_remove(q->timer);
	qmp_free(q->qmp);
	vhost_user_free(q->vu);
	close_fd(&q->qmp_fd);
	close_fd(&q->vsock_fd);
	close_fd(&q->console_fd);
	close_fd(&q->stderr_fd);
	free(q);
}

const struct machine_ops qemu_machine_ops = {
	.start = qemu_start,
	.attach = qemu_attach,
	.pause = qemu_pause,
	.resume = qemu_resume,
	.stop = qemu_stop,
	.pid = qemu_pid,
	.free = qemu_free,
};
