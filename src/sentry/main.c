/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/main.c - coffer-sentry, the application kernel of one sandbox
 *
 *	configuration -> gofer -> zygote -> machine -> jail -> serve
 *
 * What needs rights is started before they are given up. It ends when its owner closes the lifetime
 * descriptor, when the gofer or the zygote has died (the reason goes to the status descriptor), or
 * not at all: no guest can make it.
 */
#define LOG_CATEGORY "sentry"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "sentry/control/boot.h"
#include "sentry/control/control.h"
#include "sentry/control/jail.h"
#include "sentry/control/machine.h"
#include "sentry/gofer/gofer.h"
#include "sentry/kernel.h"
#include "sentry/trace.h"

#ifndef SENTRY_VERSION
#define SENTRY_VERSION "unknown"
#endif

static const char main_usage[] =
	"usage: coffer-sentry --config-fd N\n"
	"\n"
	"Runs containers on a kernel of its own, as told by the configuration read from\n"
	"descriptor N. Started by coffer; see coffer-sentry(8).\n"
	"\n"
	"  --config-fd N   descriptor to read the configuration from\n"
	"  --version       print the version\n"
	"  --help          print this\n";

static struct control main_control = { .ended_fd = -1 };

static int main_read_config(int fd, struct sentry_config *cfg, struct coffer_error *err)
{
	autoclose int owned = fd;
	ssize_t n = io_read_full(owned, cfg, sizeof(*cfg));

	if (n < 0)
		return err_sysn(err, (int)n, "read descriptor %d", owned);
	if ((size_t)n != sizeof(*cfg) || cfg->magic != SENTRY_CONFIG_MAGIC ||
	    cfg->size != sizeof(*cfg) || cfg->ntrees > SENTRY_TREES_MAX ||
	    cfg->ndisks > SENTRY_DISKS_MAX)
		return err_invalid(err, "configuration: of another version of coffer");
	return 0;
}

/* The owner reads one line: a greeting, later perhaps what was the end. */
static void main_tell(const struct sentry_config *cfg, const char *text)
{
	if (cfg->status_fd >= 0 && io_write_full(cfg->status_fd, text, strlen(text)) < 0)
		log_debug("nobody reads the status");
}

static void main_greet(const struct sentry_config *cfg, usec_t started)
{
	char line[160];
	usec_t now = clock_now();

	snprintf(line, sizeof(line),
		 "{\"agent\":\"coffer-sentry\",\"version\":\"%s\",\"uptime_us\":%ju,\"init_us\":0}\n",
		 SENTRY_VERSION, (uintmax_t)(now - started));
	main_tell(cfg, line);
}

static void main_lifetime_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	loop_quit(main_control.loop, 0);
}

static void main_broken_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	char line[96];

	snprintf(line, sizeof(line), "%s has died\n", (const char *)data);
	log_error("%s", line);
	main_tell(main_control.config, line);
	loop_quit(main_control.loop, 1);
}

static void main_ended_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) > 0)
		control_reap(&main_control);
}

static int main_start_gofer(const struct sentry_config *cfg, int *socket, struct child *child,
			    struct coffer_error *err)
{
	struct gofer_tree trees[SENTRY_TREES_MAX];
	struct gofer_config gofer = { .trees = trees, .ntrees = cfg->ntrees,
				      .ports_fd = cfg->ports_fd, .log_fd = -1 };
	int r;

	for (unsigned i = 0; i < cfg->ntrees; i++)
		trees[i] = (struct gofer_tree){ .fd = cfg->trees[i].fd,
						.read_only = cfg->trees[i].read_only,
						.file = cfg->trees[i].file };
	r = gofer_start(&gofer, child, socket, err);
	for (unsigned i = 0; r == 0 && i < cfg->ntrees; i++)
		close(cfg->trees[i].fd);
	return r;
}

static int main_boot(const struct sentry_config *cfg, struct child *gofer, struct coffer_error *err)
{
	struct boot_args boot = { .memory_max = cfg->memory,
				  .pids_max = cfg->pids,
				  .cpus = cfg->cpus,
				  .how = cfg->how,
				  .strace = cfg->strace,
				  .gofer = -1 };
	int r;

	trace_to(cfg->trace_fd);
	r = main_start_gofer(cfg, &boot.gofer, gofer, err);

	if (r == 0)
		r = jail_network(!cfg->network, err);
	if (r == 0)
		r = boot_kernel(&boot, err);
	return r ? r : machine_start(cfg, err);
}

static int main_watch(struct control *control, const struct sentry_config *cfg,
		      struct coffer_error *err)
{
	int r = loop_add_fd(control->loop, control->ended_fd, EPOLLIN, main_ended_handler, NULL,
			    NULL, err);

	if (r == 0 && cfg->lifetime_fd >= 0)
		r = loop_add_fd(control->loop, cfg->lifetime_fd, EPOLLIN | EPOLLRDHUP,
				main_lifetime_handler, NULL, NULL, err);
	if (r == 0)
		r = loop_add_fd(control->loop, gofer_broken_fd(kernel.gofer), 0,
				main_broken_handler, (void *)"coffer-gofer", NULL, err);
	if (r == 0)
		r = loop_add_fd(control->loop, trap_pool_broken_fd(kernel.stubs), EPOLLIN,
				main_broken_handler, (void *)"the zygote of guest processes", NULL, err);
	return r;
}

static int main_serve(struct control *control, const struct sentry_config *cfg, usec_t started,
		      struct coffer_error *err)
{
	int r = loop_new(&control->loop, err);

	if (r < 0)
		return r;
	control->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control->ended_fd < 0)
		return err_sys(err, "eventfd");
	r = main_watch(control, cfg, err);
	if (r == 0)
		r = rpc_start(control, err);
	if (r == 0)
		r = jail_enter(err);
	if (r == 0)
		/* Without a network of the host's, the loopback device is still one. */
		r = jail_shut(cfg->ntrees > 0, true, err);
	if (r < 0)
		return r;
	log_debug("%d system calls of the host are left", r);
	main_greet(cfg, started);
	return loop_run(control->loop, err);
}

static int main_run(int fd, usec_t started)
{
	static struct sentry_config cfg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct child gofer = CHILD_INIT;
	int r = main_read_config(fd, &cfg, &err);

	if (r == 0) {
		log_set_level(cfg.log_level);
		log_to_fd(STDERR_FILENO, cfg.log_format);
		main_control.config = &cfg;
		r = main_boot(&cfg, &gofer, &err);
	}
	if (r == 0)
		r = main_serve(&main_control, &cfg, started, &err);
	if (r < 0) {
		char line[sizeof(err.message) + 2];

		snprintf(line, sizeof(line), "%s\n", err.message);
		fprintf(stderr, "coffer-sentry: %s", line);
		if (cfg.magic == SENTRY_CONFIG_MAGIC)
			main_tell(&cfg, line);
		r = 1;
	}
	/* Whatever still runs of guests dies with us. */
	_exit(r);
}

int main(int argc, char **argv)
{
	usec_t started = clock_now();
	char *end;
	long fd;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* The C library reads the time zone at its first need, even for UTC; later it could not. */
	tzset();
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("coffer-sentry " SENTRY_VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(main_usage, stdout) < 0;
	if (argc != 3 || strcmp(argv[1], "--config-fd") != 0) {
		fputs(main_usage, stderr);
		return 2;
	}
	fd = strtol(argv[2], &end, 10);
	if (*end || end == argv[2] || fd < 0 || fd > 1 << 20) {
		fputs(main_usage, stderr);
		return 2;
	}
	return main_run((int)fd, started);
}
