/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/tty.c - the user's terminal: raw mode and size
 *
 * The old settings sit in static storage so that exit handlers and signal
 * handlers can put them back.  Signals that ask the program to end are not
 * caught here: they are forwarded (relay.c), and the program then exits in
 * order.  Only those that kill it at once are.
 */
#include "base/tty.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"

static struct {
	int fd;
	struct termios saved;
	volatile sig_atomic_t raw;
} tty = { .fd = -1 };

static const int tty_fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };

void tty_restore(void)
{
	int saved_errno = errno;

	if (tty.raw) {
		tty.raw = 0;
		tcsetattr(tty.fd, TCSADRAIN, &tty.saved);
	}
	errno = saved_errno;
}

/* SA_RESETHAND and SA_NODEFER: the second time it is the default action. */
static void tty_fatal_handler(int sig)
{
	tty_restore();
	raise(sig);
}

static int tty_guard(struct coffer_error *err)
{
	struct sigaction sa = { .sa_handler = tty_fatal_handler,
				.sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };

	if (atexit(tty_restore) != 0)
		return err_nomem(err);
	for (size_t i = 0; i < ARRAY_SIZE(tty_fatal); i++)
		if (sigaction(tty_fatal[i], &sa, NULL) < 0)
			return err_sys(err, "catch signal %d", tty_fatal[i]);
	return 0;
}

int tty_raw(int fd, struct coffer_error *err)
{
	struct termios raw;
	int r;

	if (tcgetattr(fd, &tty.saved) < 0)
		return err_sys(err, "read the terminal's settings");
	r = tty_guard(err);
	if (r < 0)
		return r;
	raw = tty.saved;
	cfmakeraw(&raw);
	tty.fd = fd;
	tty.raw = 1;
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0) {
		tty.raw = 0;
		return err_sys(err, "set the terminal to raw mode");
	}
	return 0;
}

void tty_size(int fd, uint16_t *rows, uint16_t *columns)
{
	struct winsize ws = { 0 };

	if (ioctl(fd, TIOCGWINSZ, &ws) < 0)
		ws = (struct winsize){ 0 };
	*rows = ws.ws_row;
	*columns = ws.ws_col;
}
