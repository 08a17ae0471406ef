/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals, and the sessions and groups that may use them. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "guest.h"

static void child_wait(pid_t pid, int options)
{
	int status = 0;
	pid_t got = waitpid(pid, &status, options);

	if (got != pid)
		printf("wait: %s\n", guest_answer(got));
	else
		guest_show_status("child", status);
}

static int told; /* to the parent: a signal has come */

static void show_signal(int sig)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "got %s\n", sigabbrev_np(sig));

	if (write(STDOUT_FILENO, text, (size_t)n) < 0 || write(told, "s", 1) < 0)
		_exit(9);
	if (sig == SIGHUP)
		_exit(7);
}

static int master, slave;

static void terminal_open(void)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };

	if (openpty(&master, &slave, NULL, NULL, &size) < 0)
		printf("openpty: %s\n", strerror(errno));
}

static void terminal_read(const char *what, int fd)
{
	char buf[256];
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	printf("%s: %s", what, n < 0 ? strerrorname_np(errno) : "");
	for (ssize_t i = 0; i < n; i++)
		printf(buf[i] >= ' ' && buf[i] < 127 ? "%c" : "<%d>", buf[i]);
	printf("\n");
}

/* On a host what one end writes comes to the other when there is time, and not all at once. */
static void terminal_await(int fd, int bytes)
{
	int n = 0;

	while (ioctl(fd, FIONREAD, &n) == 0 && n < bytes)
		usleep(1000);
}

static void terminal_write(int fd, const char *text)
{
	ssize_t n = write(fd, text, strlen(text));

	if (n != (ssize_t)strlen(text))
		printf("write: %s\n", guest_answer(n));
}

static void terminal_lines(void)
{
	struct termios t;
	struct winsize size;
	struct pollfd fd;
	char name[64], link[64];
	int n;

	terminal_open();
	snprintf(link, sizeof(link), "/proc/self/fd/%d", slave);
	n = (int)readlink(link, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = 0;
	printf("link %d\n", strcmp(name, ptsname(master)) == 0);
	printf("name %d tty %d %d\n", ttyname_r(slave, name, sizeof(name)) == 0 &&
	       strncmp(name, "/dev/pts/", 9) == 0, isatty(slave), isatty(master));
	ioctl(master, TIOCGWINSZ, &size);
	printf("%d x %d\n", size.ws_row, size.ws_col);
	terminal_write(master, "hello\r");
	terminal_read("line", slave);
	terminal_await(master, 7);
	terminal_read("echo", master);
	terminal_write(slave, "out\n");
	terminal_await(master, 5);
	terminal_read("output", master);
	terminal_write(master, "part");
	terminal_await(master, 4); /* its echo */
	fd = (struct pollfd){ .fd = slave, .events = POLLIN | POLLOUT };
	poll(&fd, 1, 0);
	printf("poll %x\n", (unsigned)fd.revents);
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	t.c_cc[VMIN] = 2;
	t.c_cc[VTIME] = 0;
	tcsetattr(slave, TCSANOW, &t);
	terminal_read("raw", slave);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 1;
	tcsetattr(slave, TCSANOW, &t);
	terminal_read("time", slave);
	t.c_cc[VMIN] = 10;
	tcsetattr(slave, TCSANOW, &t);
	terminal_write(master, "few");
	terminal_read("min and time", slave);
	ioctl(slave, FIONREAD, &n);
	printf("queued %d\n", n);
	close(slave);
	terminal_read("echo", master);
	terminal_read("hung up", master);
	fd = (struct pollfd){ .fd = master, .events = POLLIN };
	poll(&fd, 1, 0);
	printf("poll %x\n", (unsigned)fd.revents);
}

static void terminal_closed(void)
{
	struct pollfd fd;
	char c;

	terminal_open();
	close(master);
	fd = (struct pollfd){ .fd = slave, .events = POLLIN | POLLOUT };
	poll(&fd, 1, 0);
	printf("poll %x read %zd write %s\n", (unsigned)fd.revents, read(slave, &c, 1),
	       guest_answer(write(slave, "x", 1)));
}

static void session_child(int ready, int go)
{
	char c;

	told = ready;
	for (int sig = SIGHUP; sig <= SIGQUIT; sig++)
		signal(sig, show_signal);
	signal(SIGWINCH, show_signal);
	setsid();
	printf("group without: %s\n", guest_answer(tcgetpgrp(slave)));
	printf("control: %s\n", guest_answer(ioctl(slave, TIOCSCTTY, 0)));
	printf("group %d session %d\n", tcgetpgrp(slave) == getpid(), tcgetsid(slave) == getpid());
	printf("from master %d\n", tcgetpgrp(master) == getpid());
	close(master);
	fflush(stdout);
	if (write(ready, "x", 1) < 0 || read(go, &c, 1) < 0)
		_exit(9);
	for (;;)
		pause();
}

static void session(void)
{
	struct winsize size = { .ws_row = 10, .ws_col = 20 };
	int ready[2], go[2], status;
	pid_t pid;
	char c;

	terminal_open();
	if (pipe(ready) < 0 || pipe(go) < 0)
		return;
	pid = fork();
	if (pid == 0)
		session_child(ready[1], go[0]);
	if (read(ready[0], &c, 1) != 1 || write(go[1], "x", 1) != 1)
		return;
	terminal_write(master, "\003");
	if (read(ready[0], &c, 1) == 1) {
		terminal_await(master, 2); /* or the next one flushes its echo */
		terminal_write(master, "\034");
	}
	if (read(ready[0], &c, 1) == 1) {
		terminal_await(master, 4);
		ioctl(master, TIOCSWINSZ, &size);
		ioctl(master, TIOCSWINSZ, &size);
	}
	if (read(ready[0], &c, 1) != 1)
		printf("no signal\n");
	terminal_read("echo", master);
	close(slave);
	close(master);
	waitpid(pid, &status, 0);
	guest_show_status("session", status);
}

static void background(bool ignored)
{
	char c;

	setpgid(0, 0);
	if (ignored)
		signal(SIGTTIN, SIG_IGN);
	printf("background read: %s\n", guest_answer(read(slave, &c, 1)));
	signal(SIGTTOU, SIG_IGN);
	printf("take: %s\n", guest_answer(tcsetpgrp(slave, getpid())));
	printf("read: %s\n", guest_answer(read(slave, &c, 1)));
	fflush(stdout);
	_exit(0);
}

static void shell(void)
{
	struct termios t;
	pid_t pid;

	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	signal(SIGTTOU, SIG_IGN);
	for (int ignored = 0; ignored < 2; ignored++) {
		pid = fork();
		if (pid == 0)
			background(ignored);
		if (!ignored) {
			child_wait(pid, WUNTRACED);
			setpgid(pid, pid);
			tcsetpgrp(slave, pid);
			terminal_write(master, "a\n");
			kill(pid, SIGCONT);
		} else {
			terminal_write(master, "b\n");
		}
		child_wait(pid, 0);
		printf("back: %s\n", guest_answer(tcsetpgrp(slave, getpid())));
	}
	printf("nobody: %s\n", guest_answer(tcsetpgrp(slave, NOBODY)));
	tcgetattr(slave, &t);
	t.c_lflag |= TOSTOP;
	tcsetattr(slave, TCSANOW, &t);
	signal(SIGTTOU, SIG_DFL);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		terminal_write(slave, "x");
		_exit(0);
	}
	child_wait(pid, WUNTRACED);
	kill(pid, SIGKILL);
	child_wait(pid, 0);
	fflush(stdout);
	_exit(0);
}

static void job_control(void)
{
	pid_t pid;

	terminal_open();
	pid = fork();
	if (pid == 0)
		shell();
	child_wait(pid, 0);
}

static void errors(void)
{
	int n = 5;

	terminal_open();
	printf("PTLCK %s\n", guest_answer(ioctl(slave, TIOCSPTLCK, &n)));
	printf("GPTN %s\n", guest_answer(ioctl(slave, TIOCGPTN, &n)));
	printf("SCTTY %s\n", guest_answer(ioctl(slave, TIOCSCTTY, 0)));
	printf("NOTTY %s\n", guest_answer(ioctl(slave, TIOCNOTTY, 0)));
	printf("GSID %s\n", guest_answer(ioctl(slave, TIOCGSID, &n)));
	printf("TCFLSH %s\n", guest_answer(ioctl(slave, TCFLSH, 7)));
	printf("TCXONC %s\n", guest_answer(ioctl(slave, TCXONC, 7)));
	printf("SETD %s\n", guest_answer(ioctl(slave, TIOCSETD, &n)));
	printf("unknown %s\n", guest_answer(ioctl(slave, 0x5499, &n)));
	printf("pointer %s\n", guest_answer(ioctl(slave, TCGETS, 8)));
	printf("seek %s\n", guest_answer(lseek(slave, 0, SEEK_SET)));
	n = 1;
	ioctl(master, TIOCSPTLCK, &n);
	printf("locked %s\n", guest_answer(open(ptsname(master), O_RDWR | O_NOCTTY)));
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "terminal_lines", terminal_lines },
		{ "terminal_closed", terminal_closed },
		{ "session", session },
		{ "job_control", job_control },
		{ "errors", errors },
	};

	return guest_run(cases, COUNT(cases), argc, argv);
}
