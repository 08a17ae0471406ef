/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/init.c - PID 1 of a guest that means harm
 *
 * Static.  Mounts /proc, loads the core modules as the agent does, reads the
 * case's name from /case and runs it.  The cases live in files by what they
 * attack.
 */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static const struct hostile_case *const hostile_tables[] = {
	hostile_end_cases,
	hostile_greeting_cases,
	hostile_flood_cases,
};

void hostile_say(const char *fmt, ...)
{
	va_list ap;

	fputs("hostile: ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void hostile_power_off(void)
{
	int state = 0;

	/* What the serial port still has would go with the machine. */
	tcdrain(STDOUT_FILENO);
	while (ioctl(STDOUT_FILENO, TIOCSERGETLSR, &state) == 0 && !(state & TIOCSER_TEMT))
		usleep(1000);
	reboot(RB_AUTOBOOT);
	_exit(1);
}

void hostile_sleep(void)
{
	for (;;)
		pause();
}

uint32_t hostile_random(void)
{
	static uint32_t x = 2463534242;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static struct sockaddr_vm hostile_address(unsigned cid, uint32_t port)
{
	return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
}

int hostile_dial(uint32_t port)
{
	struct sockaddr_vm sa = hostile_address(VMADDR_CID_HOST, port);
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int hostile_listen(uint32_t port)
{
	struct sockaddr_vm sa = hostile_address(VMADDR_CID_ANY, port);
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 64) < 0) {
		hostile_say("listen: %s", strerror(errno));
		hostile_power_off();
	}
	return fd;
}

int hostile_write(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t r = send(fd, p, n, MSG_NOSIGNAL);

		if (r <= 0)
			return -1;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

int hostile_greet(void)
{
	static const char line[] = "{\"agent\":\"coffer-agent\",\"version\":\"0.1.0\","
				   "\"uptime_us\":2000,\"init_us\":1000}\n";
	int fd = hostile_dial(HOSTILE_HOST_PORT);

	if (fd < 0 || hostile_write(fd, line, strlen(line)) < 0) {
		hostile_say("greet: %s", strerror(errno));
		hostile_power_off();
	}
	return fd;
}

static void hostile_load(const char *file)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/modules/%s", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
		hostile_say("%s: %s", path, strerror(errno));
	close(fd);
}

static void hostile_load_all(void)
{
	FILE *f = fopen("/modules/core.list", "re");
	char line[100];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		hostile_load(line);
	}
	if (f)
		fclose(f);
}

static void hostile_run(const char *name)
{
	for (size_t i = 0; i < sizeof(hostile_tables) / sizeof(hostile_tables[0]); i++) {
		for (const struct hostile_case *c = hostile_tables[i]; c->name; c++) {
			if (strcmp(c->name, name) != 0)
				continue;
			c->run();
			return;
		}
	}
	hostile_rpc(name);
	hostile_say("no case %s", name);
	hostile_power_off();
}

int main(void)
{
	char name[64] = "";
	FILE *f = fopen("/case", "re");

	if (f && fgets(name, sizeof(name), f))
		name[strcspn(name, "\n")] = '\0';
	signal(SIGCHLD, SIG_IGN);
	mount("proc", "/proc", "proc", 0, NULL);
	hostile_load_all();
	hostile_say("case %s", name);
	hostile_run(name);
	return 0;
}
