/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/main.c - coffer-agent: arguments, the two modes, the loop
 *
 *	PID 1       no arguments; kernel parameter coffer_log=LEVEL sets the log level
 *	otherwise   --listen unix:PATH, for tests: same RPCs, none of PID 1's duties
 *
 * Under the name of .coffer-init it is none of these but init_wrapper.c.
 */
#define LOG_CATEGORY "agent"
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/container.h"
#include "agent/init_wrapper.h"
#include "agent/link.h"
#include "agent/proxy.h"
#include "agent/reaper.h"
#include "agent/rpc.h"
#include "agent/timing.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "contract/forward.h"

struct main_options {
	const char *listen; /* unix socket path */
	const char *stdio_dir, *root, *log;
};

static const char main_usage[] =
    "usage: coffer-agent --listen unix:PATH [--stdio-dir DIR] [--root DIR] [--log LEVEL]\n"
    "       coffer-agent --version\n"
    "As PID 1 of a guest it takes no arguments.\n";

/* Return: -1 to go on, or the exit status to end with */
static int main_parse(int argc, char **argv, struct main_options *o)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "stdio-dir", required_argument, NULL, 's' },
		{ "root", required_argument, NULL, 'r' },
		{ "log", required_argument, NULL, 'g' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			if (strncmp(optarg, "unix:", 5) != 0) {
				fputs("coffer-agent: --listen: want unix:PATH\n", stderr);
				return EXIT_FAILURE;
			}
			o->listen = optarg + 5;
			break;
		case 's':
			o->stdio_dir = optarg;
			break;
		case 'r':
			o->root = optarg;
			break;
		case 'g':
			o->log = optarg;
			break;
		case 'v':
			puts("coffer-agent " COFFER_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(main_usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs(main_usage, stderr);
			return EXIT_FAILURE;
		}
	}
	if (o->listen && optind == argc)
		return -1;
	fputs(main_usage, stderr);
	return EXIT_FAILURE;
}

static void main_init_log(const char *level)
{
	int r = level ? log_level_parse(level) : -1;

	log_to_fd(STDERR_FILENO, LOG_FORMAT_TEXT);
	if (r >= 0)
		log_set_level((enum log_level)r);
}

static int main_init_agent(struct agent *agent, struct coffer_error *err)
{
	int r;

	signal(SIGPIPE, SIG_IGN);
	umask(022);
	r = loop_new(&agent->loop, err);
	return r < 0 ? r : reaper_init(agent, err);
}

static int main_listen(struct agent *agent, int fd, struct coffer_error *err)
{
	int r = rpc_init(agent, err);

	return r < 0 ? r : grpc_server_listen(agent->server, fd, err);
}

/* Up to the loop. Only here may PID 1 give up, since nobody can reach it yet. */
static int main_boot(struct agent *agent, uint64_t init_us, struct coffer_error *err)
{
	uint64_t begin;
	int r, fd;

	timing_stage("kernel", 0, init_us);
	r = main_init_agent(agent, err);
	if (r < 0)
		return r;
	timing_stage("agent", init_us, link_uptime());
	fd = boot_early(err);
	if (fd < 0)
		return fd;
	begin = link_uptime();
	link_ready(agent, init_us);
	timing_stage("ready", begin, link_uptime());
	boot_settle();
	begin = link_uptime();
	r = main_listen(agent, fd, err);
	if (r < 0)
		return r;
	timing_stage("serve", begin, link_uptime());
	boot_background(agent);
	log_debug("serving after %" PRIu64 " us, init at %" PRIu64 " us", link_uptime(), init_us);
	return 0;
}

static _Noreturn void main_guest(uint64_t init_us)
{
	struct agent agent = { .state_dir = AGENT_STATE_DIR, .init = true };
	struct coffer_error err = COFFER_ERROR_INIT;

	main_init_log(getenv("coffer_log"));
	if (main_boot(&agent, init_us, &err) < 0)
		boot_power_off(&err);
	for (;;) {
		loop_run(agent.loop, &err);
		/* Only lack of memory stops a loop that nobody quits: wait and go on. */
		log_error("loop: %s", err.message);
		usleep(100000);
	}
}

static void main_stop_handler(struct loop_source *src, const struct signalfd_siginfo *info,
			      void *data)
{
	struct agent *agent = data;

	loop_quit(agent->loop, 0);
}

static int main_stop_on_signals(struct agent *agent, struct coffer_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return loop_add_signals(agent->loop, &set, main_stop_handler, agent, NULL, err);
}

static void main_free(struct agent *agent)
{
	while (agent->containers)
		container_free(agent->containers);
	grpc_server_free(agent->server);
	proxy_stop_below("");
	forward_stop(NULL);
	loop_free(agent->loop);
}
#define autoagent CLEANUP(main_free)

static int main_serve(const struct main_options *o, struct coffer_error *err)
{
	autoagent struct agent agent = { .state_dir = o->root ? o->root : AGENT_STATE_DIR,
					 .socket_dir = o->stdio_dir ? o->stdio_dir : "." };
	int r, fd;

	r = main_init_agent(&agent, err);
	if (r < 0)
		return r;
	r = main_stop_on_signals(&agent, err);
	if (r < 0)
		return r;
	unlink(o->listen);
	fd = io_unix_listen(AT_FDCWD, o->listen, SOCK_STREAM, 0600, err);
	if (fd < 0)
		return fd;
	r = main_listen(&agent, fd, err);
	if (r < 0)
		return r;
	link_ready(&agent, link_uptime());
	return loop_run(agent.loop, err);
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct main_options o = { 0 };
	int r;

	if (init_wrapper_is_meant(argv[0]))
		return init_wrapper_main(argc, argv);
	/* The kernel hands parameters it does not know to its init; none begins with dashes. */
	if (getpid() == 1 && (argc == 1 || strncmp(argv[1], "--", 2) != 0))
		main_guest(link_uptime());
	r = main_parse(argc, argv, &o);
	if (r >= 0)
		return r;
	main_init_log(o.log);
	r = main_serve(&o, &err);
	if (r < 0)
		fprintf(stderr, "coffer-agent: %s\n", err.message);
	return r < 0;
}
