/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/foreground.c - staying with a process: signals, terminal, end
 *
 *	stdin --> ptmx        one poll(2) over both directions, the signals, the process,
 *	ptmx  --> stdout      and the socket of notifications
 *
 * Without a terminal the process has our own descriptors and there is nothing
 * to copy.  Our descriptors stay as they are (blocking or not): they are shared
 * with other programs.  As a reaper of orphans we reap them.
 *
 * Callers: run.c, exec.c.
 */
#define LOG_CATEGORY "foreground"
#include "oci/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/tty.h"
#include "oci/notify.h"

/* Small enough that a descriptor ready for writing takes it at once. */
#define FOREGROUND_CHUNK 4096

/* Ours: what a fault or our terminal's job control does to us. */
static const int foreground_kept[] = { SIGSEGV, SIGBUS, SIGILL,	 SIGFPE, SIGABRT,
				       SIGSYS,	SIGTRAP, SIGTTIN, SIGTTOU };

/* One direction. */
struct foreground_pump {
	int from, to; /* -1: over */
	char buf[FOREGROUND_CHUNK];
	size_t len, off;
};

struct foreground_loop {
	struct foreground *fg;
	struct child *child;
	struct foreground_pump in, out;
};

int foreground_begin(struct foreground *fg, struct coffer_error *err)
{
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(foreground_kept); i++)
		sigdelset(&set, foreground_kept[i]);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return err_sys(err, "block signals");
	fg->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fg->signals < 0 ? err_sys(err, "signalfd") : 0;
}

static void foreground_resize(const struct foreground *fg)
{
	struct winsize ws;

	if (fg->ptmx >= 0 && fg->tty >= 0 && ioctl(fg->tty, TIOCGWINSZ, &ws) == 0 &&
	    (ws.ws_row > 0 || ws.ws_col > 0))
		ioctl(fg->ptmx, TIOCSWINSZ, &ws);
}

/* Whoever reads it through a pipe wants plain line ends. */
static void foreground_plain_lines(int ptmx)
{
	struct termios t;

	if (tcgetattr(ptmx, &t) < 0)
		return;
	t.c_oflag &= ~(tcflag_t)ONLCR;
	tcsetattr(ptmx, TCSANOW, &t);
}

int foreground_terminal(struct foreground *fg, int ptmx, struct coffer_error *err)
{
	int r = io_set_nonblock(ptmx, true);

	if (r < 0)
		return err_sysn(err, r, "set up the terminal");
	fg->ptmx = ptmx;
	for (int fd = 0; fd < 3 && fg->tty < 0; fd++)
		if (isatty(fd))
			fg->tty = fd;
	foreground_resize(fg);
	if (!isatty(STDOUT_FILENO))
		foreground_plain_lines(ptmx);
	return isatty(STDIN_FILENO) ? tty_raw(STDIN_FILENO, err) : 0;
}

/* ---- terminal ---- */

static void foreground_pump_read(struct foreground_pump *p)
{
	ssize_t n = read(p->from, p->buf, sizeof(p->buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	p->off = 0;
	p->len = n > 0 ? (size_t)n : 0;
	if (n <= 0)
		p->from = -1;
}

static void foreground_pump_write(struct foreground_pump *p)
{
	ssize_t n = write(p->to, p->buf + p->off, p->len);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		/* Nobody reads any more: what comes is dropped, so that the process goes on. */
		p->len = 0;
		if (p->to == STDOUT_FILENO)
			p->to = -1;
		return;
	}
	p->off += (size_t)n;
	p->len -= (size_t)n;
}

static void foreground_pump_move(struct foreground_pump *p, short revents)
{
	if (!revents)
		return;
	if (p->len == 0)
		foreground_pump_read(p);
	else
		foreground_pump_write(p);
	if (p->to < 0)
		p->len = 0;
}

static struct pollfd foreground_pump_poll(const struct foreground_pump *p)
{
	return p->len > 0 ? (struct pollfd){ .fd = p->to, .events = POLLOUT }
			  : (struct pollfd){ .fd = p->from, .events = POLLIN };
}

/* The process has ended; what it wrote is still in the terminal. */
static void foreground_drain(struct foreground_pump *p)
{
	while (p->from >= 0 || p->len > 0) {
		if (p->len == 0) {
			foreground_pump_read(p);
			if (p->len == 0)
				return;
		}
		if (p->to < 0 || io_write_full(p->to, p->buf + p->off, p->len) < 0)
			return;
		p->len = 0;
	}
}

/* ---- signals and children ---- */

/* Orphans that came to us; the child itself is left for the one who waits for it. */
static void foreground_reap(const struct child *child)
{
	siginfo_t si = { 0 };

	while (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid > 0 &&
	       si.si_pid != child->pid) {
		waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
		si.si_pid = 0;
	}
}

static void foreground_signal(struct foreground_loop *l)
{
	struct signalfd_siginfo si;

	while (read(l->fg->signals, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		int sig = (int)si.ssi_signo;

		if (sig == SIGCHLD)
			foreground_reap(l->child);
		else if (sig == SIGWINCH && l->fg->ptmx >= 0)
			foreground_resize(l->fg);
		else if (sig != SIGPIPE && child_kill(l->child, sig) < 0)
			log_warning("forward signal %d failed", sig);
	}
}

static void foreground_notified(struct foreground *fg)
{
	if (notify_forward(fg->notify, getpid()))
		close_fd(&fg->notify);
}

/* Return: true when the child has ended */
static bool foreground_step(struct foreground_loop *l)
{
	struct pollfd fds[] = {
		{ .fd = l->child->pidfd, .events = POLLIN },
		{ .fd = l->fg->signals, .events = POLLIN },
		{ .fd = l->fg->notify, .events = POLLIN },
		foreground_pump_poll(&l->in),
		foreground_pump_poll(&l->out),
	};

	if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		return false;
	if (fds[1].revents)
		foreground_signal(l);
	if (fds[2].revents)
		foreground_notified(l->fg);
	foreground_pump_move(&l->in, fds[3].revents);
	foreground_pump_move(&l->out, fds[4].revents);
	return fds[0].revents != 0;
}

int foreground_wait(struct foreground *fg, struct child *child, struct coffer_error *err)
{
	bool terminal = fg->ptmx >= 0;
	struct foreground_loop l = {
		.fg = fg,
		.child = child,
		.in = { .from = terminal ? STDIN_FILENO : -1, .to = fg->ptmx },
		.out = { .from = fg->ptmx, .to = STDOUT_FILENO },
	};
	siginfo_t si;
	int r;

	while (!foreground_step(&l))
		;
	foreground_drain(&l.out);
	if (fg->notify >= 0)
		foreground_notified(fg);
	tty_restore();
	r = child_wait(child, USEC_INFINITY, &si);
	return r < 0 ? err_sysn(err, r, "wait for the process") : spawn_exit_code(&si);
}

void foreground_free(struct foreground *fg)
{
	tty_restore();
	close_fd(&fg->signals);
	close_fd(&fg->notify);
}
