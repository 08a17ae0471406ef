/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/monitor.c - one machine's monitor: its stages, its state, its end
 *
 * The start is a table of stages.  The machine's process is started in the
 * middle of it: loading QEMU takes tens of milliseconds, in which the rest
 * happens.
 *
 *	STARTING --RUNNING event--> RUNNING <--pause/resume--> PAUSED
 *	    any of them --final event--> STOPPED, then the process ends
 *
 * Who can end the machine: a caller (Shutdown, SIGTERM), the caller's death
 * (EOF on lifetime_fd), the guest, QEMU.  All ways lead through the machine's
 * final event to monitor_finish(), once; so there is one place that reports and
 * removes.
 */
#define LOG_CATEGORY "monitor"

#include "vmm/monitor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/io.h"
#include "base/log.h"
#include "virtio/vsock.h"
#include "vmm/control.h"
#include "vmm/share.h"

#define MONITOR_FORCE_BUDGET (5 * USEC_PER_SEC) /* a killed process that does not go away */
#define MONITOR_STUCK        2 /* seconds that a system call of the loop may block */
#define MONITOR_CONSOLE_LINES 5
#define MONITOR_RECORD_LINES  24
#define MONITOR_FDS_RESERVED 64 /* not for vsock connections */
#define MONITOR_FDS_USUAL    1024
#define MONITOR_EMULATED_SCALE 3 /* of all budgets that wait for a guest */

static const char *const monitor_state_words[] = {
	[MONITOR_STARTING] = "starting",
	[MONITOR_RUNNING] = "running",
	[MONITOR_PAUSED] = "paused",
	[MONITOR_STOPPED] = "stopped",
};
_Static_assert(ARRAY_SIZE(monitor_state_words) == MONITOR_STATE_COUNT, "a word for each state");

const char *monitor_state_str(enum monitor_state state)
{
	return monitor_state_words[state];
}

/* --- reports --- */

/* Who has a status descriptor words the error for the user; else the log is all there is. */
static void monitor_report(struct monitor *mon, const struct vmm_status *status)
{
	if (status->kind != VMM_STATUS_RUNNING)
		log_emit(mon->status_fd < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, LOG_CATEGORY, "%s",
			 status->error.message);
	if (mon->status_fd < 0)
		return;
	/* The caller may have closed its end; that is its right. */
	if (io_write_full(mon->status_fd, status, sizeof(*status)) < 0)
		close_fd(&mon->status_fd);
}

static void monitor_report_failure(struct monitor *mon, const struct coffer_error *err)
{
	struct vmm_status status = { .kind = VMM_STATUS_FAILED, .error = *err };

	monitor_report(mon, &status);
}

/* The error of an unasked end, with what the guest said last. */
static void monitor_explain_end(struct monitor *mon, const struct machine_event *ev,
				struct coffer_error *err)
{
	char last[COFFER_ERROR_MESSAGE_MAX / 2];

	err_set(err, ev->kind == MACHINE_DIED ? COFFER_ERR_INTERNAL : COFFER_ERR_INTERRUPTED, 0,
		ev->kind == MACHINE_PANIC ? "the guest's kernel panicked: %.900s" : "%.900s",
		ev->message);
	if (ev->kind != MACHINE_PANIC &&
	    tail_last(&mon->console.tail, MONITOR_CONSOLE_LINES, last, sizeof(last))) {
		size_t n = strlen(err->message);

		snprintf(err->message + n, sizeof(err->message) - n, " (last on the console: %s)",
			 last);
	}
}

static void monitor_report_end(struct monitor *mon, const struct machine_event *ev)
{
	static const enum vmm_status_kind kinds[MACHINE_EVENT_COUNT] = {
		[MACHINE_SHUTDOWN] = VMM_STATUS_POWER_OFF,
		[MACHINE_PANIC] = VMM_STATUS_PANIC,
		[MACHINE_DIED] = VMM_STATUS_DIED,
	};
	struct vmm_status status = { .kind = kinds[ev->kind], .nprocesses = 1,
				     .processes = { ev->process } };

	monitor_explain_end(mon, ev, &status.error);
	tail_last(&mon->console.tail, MONITOR_RECORD_LINES, status.console, sizeof(status.console));
	monitor_report(mon, &status);
}

/* --- the end --- */

/* Only files and sockets: the monitor makes no directories and its callers neither. */
static void monitor_remove_files(struct monitor *mon)
{
	DIR *dir = mon->owns_dir ? fdopendir(mon->dirfd) : NULL;
	struct dirent *de;

	if (!dir)
		return;
	rewinddir(dir);
	while ((de = readdir(dir)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0 &&
		    unlinkat(mon->dirfd, de->d_name, 0) < 0 && errno != ENOENT)
			log_warning("remove %s: %s", de->d_name, strerror(errno));
	closedir(dir);
	mon->dirfd = -1;
	mon->owns_dir = false;
}

static void monitor_finish(struct monitor *mon, const struct machine_event *ev)
{
	bool in_order = mon->asked || ev->kind == MACHINE_SHUTDOWN;

	if (mon->state == MONITOR_STOPPED)
		return; /* given up before, and it came after all */
	mon->state = MONITOR_STOPPED;
	if (mon->asked)
		log_info("machine ended: %s", ev->message);
	else
		monitor_report_end(mon, ev);
	monitor_remove_files(mon);
	control_event(mon->control, ev);
	loop_quit(mon->loop, in_order ? 0 : 1);
}

static void monitor_end_timer_handler(struct loop_source *src, void *data)
{
	struct monitor *mon = data;

	if (!mon->forced) {
		monitor_end(mon, true, 0);
		return;
	}
	monitor_finish(mon, &(struct machine_event){ .kind = MACHINE_DIED,
						     .message = "the machine cannot be killed" });
}

void monitor_end(struct monitor *mon, bool force, usec_t timeout)
{
	if (mon->state == MONITOR_STOPPED || mon->forced)
		return;
	mon->asked = true;
	mon->forced = force;
	mon->machine->type->ops->stop(mon->machine, force);
	loop_arm(mon->end_timer, force ? MONITOR_FORCE_BUDGET : timeout, 0);
}

static void monitor_lifetime_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	char ignored[64];
	ssize_t n = read(fd, ignored, sizeof(ignored));

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	loop_remove(src);
	log_info("the parent is gone");
	monitor_end(data, true, 0);
}

static void monitor_signal_handler(struct loop_source *src, const struct signalfd_siginfo *si,
				   void *data)
{
	log_info("signal %u", si->ssi_signo);
	monitor_end(data, true, 0);
}

/* --- state --- */

/* Which machine it is goes along: the caller's time budgets depend on it. */
static void monitor_report_running(struct monitor *mon)
{
	struct vmm_status status = { .kind = VMM_STATUS_RUNNING, .nprocesses = 1 };

	snprintf(status.error.message, sizeof(status.error.message), "%s",
		 vmm_machine_str(mon->type->kind));
	vmm_process_set(&status.processes[0], "qemu", NULL,
			mon->type->ops->pid(mon->machine));
	status.nprocesses += shares_list(mon->shares, status.processes + 1);
	monitor_report(mon, &status);
}

static void monitor_event_handler(const struct machine_event *ev, void *data)
{
	struct machine_event death;
	struct monitor *mon = data;

	/* QEMU may have said more than was read before its end. */
	if (mon->state == MONITOR_STOPPED)
		return;
	switch (ev->kind) {
	case MACHINE_RUNNING:
		mon->state = MONITOR_RUNNING;
		mon->timing.control_ready = mon->machine->control_ready;
		mon->timing.machine_running = clock_now();
		monitor_report_running(mon);
		break;
	case MACHINE_PAUSED:
		mon->state = MONITOR_PAUSED;
		break;
	case MACHINE_RESUMED:
		mon->state = MONITOR_RUNNING;
		break;
	default:
		if (ev->kind == MACHINE_DIED && shares_find_death(mon->shares, &death))
			ev = &death;
		monitor_finish(mon, ev);
		return;
	}
	control_event(mon->control, ev);
}

struct monitor_change {
	struct monitor *mon;
	machine_done done;
	void *data;
};

static void monitor_change_done(const struct coffer_error *err, void *data)
{
	struct monitor_change change = *(struct monitor_change *)data;

	free(data);
	change.mon->changing = false;
	change.done(err, change.data);
}

static int monitor_change(struct monitor *mon, enum monitor_state from, machine_done done,
			  void *data, struct coffer_error *err)
{
	const struct machine_ops *ops = mon->type->ops;
	autofree struct monitor_change *change = NULL;
	int r;

	if (mon->changing)
		return err_state(err, "a pause or resume is under way");
	if (mon->asked || mon->state != from)
		return err_state(err, "machine is %s, not %s",
				 mon->asked ? "ending" : monitor_state_str(mon->state),
				 monitor_state_str(from));
	change = malloc(sizeof(*change));
	if (!change)
		return err_nomem(err);
	*change = (struct monitor_change){ mon, done, data };
	r = (from == MONITOR_RUNNING ? ops->pause : ops->resume)(mon->machine, monitor_change_done,
								 change, err);
	if (r == 0) {
		mon->changing = true;
		steal_ptr(change);
	}
	return r;
}

int monitor_pause(struct monitor *mon, machine_done done, void *data, struct coffer_error *err)
{
	return monitor_change(mon, MONITOR_RUNNING, done, data, err);
}

int monitor_resume(struct monitor *mon, machine_done done, void *data, struct coffer_error *err)
{
	return monitor_change(mon, MONITOR_PAUSED, done, data, err);
}

uint64_t monitor_pss(const struct monitor *mon)
{
	char text[2048];
	const char *line;
	ssize_t n = mon->memory_fd < 0 ? -1 : pread(mon->memory_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, "\nPss:");
	return line ? strtoull(line + 5, NULL, 10) << 10 : 0;
}

/* --- stages of the start --- */

/* First, so that no signal can end the process without its cleaning up. */
static int monitor_make_loop(struct monitor *mon, struct coffer_error *err)
{
	sigset_t set;
	int r = loop_new(&mon->loop, err);

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (r == 0)
		r = loop_add_signals(mon->loop, &set, monitor_signal_handler, mon, NULL, err);
	if (r == 0)
		r = loop_add_timer(mon->loop, monitor_end_timer_handler, mon, &mon->end_timer, err);
	if (r == 0 && mon->cfg->lifetime_fd >= 0)
		r = loop_add_fd(mon->loop, mon->cfg->lifetime_fd, EPOLLIN,
				monitor_lifetime_handler, mon, NULL, err);
	return r;
}

static int monitor_open_dir(struct monitor *mon, struct coffer_error *err)
{
	mon->dirfd = open(mon->cfg->vm_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (mon->dirfd < 0)
		return err_sys(err, "open %s", mon->cfg->vm_dir);
	if (fchdir(mon->dirfd) < 0)
		return err_sys(err, "chdir %s", mon->cfg->vm_dir);
	umask(0077);
	mon->vsock_fd = io_unix_listen(AT_FDCWD, "vsock.sock", SOCK_STREAM, 0600, err);
	if (mon->vsock_fd < 0)
		return mon->vsock_fd;
	/* No other monitor has its sockets here. */
	mon->owns_dir = true;
	mon->control_fd = io_unix_listen(AT_FDCWD, "vmm.sock", SOCK_STREAM, 0600, err);
	if (mon->control_fd < 0)
		return mon->control_fd;
	return console_open(&mon->console, mon->dirfd, "console.log", mon->cfg->console_limit, err);
}

static int monitor_start_shares(struct monitor *mon, struct coffer_error *err)
{
	int r = jail_init(&mon->jail, err);

	/* Later neither we nor, if it is an ordinary user's, our caller could open it. */
	mon->memory_fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	return r < 0 ? r : shares_start(mon->cfg, mon->dirfd, &mon->jail, &mon->shares, err);
}

static int monitor_prepare_jail(struct monitor *mon, struct coffer_error *err)
{
	return jail_prepare(&mon->jail, mon->cfg, mon->dirfd, err);
}

static int monitor_start_machine(struct monitor *mon, struct coffer_error *err)
{
	struct machine_args args = { .cfg = mon->cfg, .shares = mon->shares, .jail = &mon->jail,
				     .tsc_start = mon->tsc_start, .console = &mon->console,
				     .on_event = monitor_event_handler, .data = mon };
	int r = machine_choose(mon->cfg->machine, &mon->type, err);

	if (r == 0 && !mon->type->kvm)
		clock_set_scale(MONITOR_EMULATED_SCALE);
	if (r == 0)
		r = mon->type->ops->start(mon->type, &args, &mon->machine, err);
	mon->timing.machine_spawned = clock_now();
	return r;
}

/* The machine has them now; here they would only be something to steal. */
static int monitor_close_files(struct monitor *mon, struct coffer_error *err)
{
	close(mon->cfg->kernel_fd);
	close(mon->cfg->initrd_fd);
	for (uint32_t i = 0; i < mon->cfg->ndisks; i++)
		close(mon->cfg->disks[i].fd);
	for (uint32_t i = 0; i < mon->cfg->nshares; i++)
		close(mon->cfg->shares[i].fd);
	shares_close_sockets(mon->shares);
	return 0;
}

static int monitor_enter_jail(struct monitor *mon, struct coffer_error *err)
{
	return jail_enter(&mon->jail, mon->cfg, &mon->dirfd, err);
}

static unsigned monitor_max_connections(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur < 2 * MONITOR_FDS_RESERVED)
		rl.rlim_cur = MONITOR_FDS_USUAL;
	return (unsigned)rl.rlim_cur - MONITOR_FDS_RESERVED;
}

static int monitor_attach(struct monitor *mon, struct coffer_error *err)
{
	struct vsock_args args = { .guest_cid = mon->cfg->cid, .listen_fd = mon->vsock_fd,
				   .name = "vsock.sock",
				   .max_connections = monitor_max_connections() };
	int r = vsock_new(mon->loop, &args, &mon->vsock, err);

	if (r < 0)
		return r;
	steal_fd(&mon->vsock_fd);
	r = mon->type->ops->attach(mon->machine, mon->loop, mon->vsock, err);
	return r < 0 ? r : shares_attach(mon->shares, mon->loop, monitor_event_handler, mon, err);
}

static int monitor_open_control(struct monitor *mon, struct coffer_error *err)
{
	int r = control_new(mon, mon->control_fd, &mon->control, err);

	if (r == 0)
		steal_fd(&mon->control_fd);
	return r;
}

static void monitor_interrupt(int sig)
{
}

/*
 * QEMU and others share descriptors with us and can make them block again.  A
 * signal that does nothing, without SA_RESTART, gets the loop out of that, so
 * that it still hears of its caller's end.
 */
static int monitor_stay_awake(struct monitor *mon, struct coffer_error *err)
{
	const struct itimerval every = { { MONITOR_STUCK, 0 }, { MONITOR_STUCK, 0 } };
	const struct sigaction sa = { .sa_handler = monitor_interrupt };

	if (sigaction(SIGALRM, &sa, NULL) < 0 || setitimer(ITIMER_REAL, &every, NULL) < 0)
		return err_sys(err, "set the alarm");
	return 0;
}

static int monitor_filter(struct monitor *mon, struct coffer_error *err)
{
	return jail_filter(err);
}

static const struct {
	const char *name;
	int (*run)(struct monitor *mon, struct coffer_error *err);
} monitor_stages[] = {
	{ "event loop", monitor_make_loop },
	{ "directory", monitor_open_dir },
	{ "shares", monitor_start_shares },
	{ "jail", monitor_prepare_jail },
	{ "machine", monitor_start_machine },
	{ "hand-over", monitor_close_files },
	{ "jail of the monitor", monitor_enter_jail },
	{ "devices", monitor_attach },
	{ "control", monitor_open_control },
	{ "alarm", monitor_stay_awake },
	{ "filter", monitor_filter },
};

static int monitor_start(struct monitor *mon, struct coffer_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(monitor_stages); i++) {
		int r = monitor_stages[i].run(mon, err);

		if (r < 0)
			return r;
		log_debug("%s: done after %ju us", monitor_stages[i].name,
			  (uintmax_t)(clock_now() - mon->timing.vmm_started));
	}
	return 0;
}

/* The machine first: what waits for it is told, and its devices come to rest. What takes time, as
 * giving back its memory does, is done while who wants to see our end still finds our socket. */
static void monitor_free(struct monitor *mon)
{
	machine_free(mon->machine);
	shares_free(mon->shares);
	vsock_free(mon->vsock);
	close_fd(&mon->memory_fd);
	control_free(mon->control);
	monitor_remove_files(mon);
	close_fd(&mon->dirfd);
	console_close(&mon->console);
	close_fd(&mon->vsock_fd);
	close_fd(&mon->control_fd);
	close_fd(&mon->jail.self_pidfd);
	loop_free(mon->loop);
	close_fd(&mon->status_fd);
}

int monitor_run(const struct vmm_config *cfg, usec_t started, const struct tsc_sample *tsc)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct monitor mon = { .cfg = cfg, .tsc_start = tsc, .timing.vmm_started = started,
			       .jail = JAIL_INIT, .console = CONSOLE_INIT, .dirfd = -1,
			       .vsock_fd = -1, .control_fd = -1, .status_fd = cfg->status_fd,
			       .memory_fd = -1 };
	int r = monitor_start(&mon, &err);

	if (r == 0)
		r = loop_run(mon.loop, &err);
	if (r < 0)
		monitor_report_failure(&mon, &err);
	monitor_free(&mon);
	return r == 0 ? 0 : 1;
}
