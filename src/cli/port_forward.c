/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/port_forward.c - coffer port-forward: TCP ports of a container here
 *
 *	[ADDRESS:]LOCAL:REMOTE   listen here, a thread for each
 *	--stream SOCKET REMOTE   one connection, carried to a unix socket of somebody else's
 *
 * Ends with the container, or by a signal.
 */
#include "cli/target.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/io.h"
#include "cli/relay.h"

#define FORWARD_MAX 64

struct forward_opts {
	bool help;
	const char *stream;
};

#define FIELD(member) offsetof(struct forward_opts, member)
static const struct opt_row forward_rows[] = {
	{ "stream", 0, OPT_STRING, FIELD(stream), "SOCKET",
	  "Carry one connection to this unix socket; the ports are then REMOTE alone" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* One port, and the thread that serves it. */
struct forward {
	struct coffer_container *c; /* borrowed */
	pthread_t thread;
	int listen_fd, stop_fd;     /* owned; borrowed */
	int done_fd;                /* eventfd, borrowed: told when the thread ends by itself */
	uint16_t port;
	bool running;
	struct coffer_error err;
};

static int forward_parse_port(const char *text, const char *whole, bool zero, uint16_t *port,
			      struct coffer_error *err)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n > UINT16_MAX || (n == 0 && !zero))
		return err_invalid(err, "port-forward: %s: %s is not a port", whole, text);
	*port = (uint16_t)n;
	return 0;
}

/* "[ADDRESS:]LOCAL:REMOTE"; an IPv6 address stands in brackets. */
static int forward_parse(const char *text, char *address, size_t size, uint16_t *local,
			 uint16_t *remote, struct coffer_error *err)
{
	const char *last = strrchr(text, ':'), *before = last;
	char number[16];
	int r;

	if (!last)
		return err_invalid(err, "port-forward: %s: not [ADDRESS:]LOCAL:REMOTE", text);
	while (before > text && before[-1] != ':')
		before--;
	if ((size_t)(last - before) >= sizeof(number) || (size_t)(before - text) > size)
		return err_invalid(err, "port-forward: %s: not [ADDRESS:]LOCAL:REMOTE", text);
	snprintf(number, sizeof(number), "%.*s", (int)(last - before), before);
	snprintf(address, size, "127.0.0.1");
	if (before > text && *text == '[' && before[-2] == ']')
		snprintf(address, size, "%.*s", (int)(before - text) - 3, text + 1);
	else if (before > text)
		snprintf(address, size, "%.*s", (int)(before - text) - 1, text);
	r = forward_parse_port(number, text, true, local, err);
	return r < 0 ? r : forward_parse_port(last + 1, text, false, remote, err);
}

static int forward_bind(const struct addrinfo *ai, const char *text, struct coffer_error *err)
{
	autoclose int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int one = 1;

	if (fd < 0)
		return err_sys(err, "port-forward: %s: socket", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 128) < 0)
		return err_sys(err, "port-forward: %s: listen", text);
	return steal_fd(&fd);
}

static void forward_announce(int fd, uint16_t remote)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
	    getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		printf("Forwarding from %s%s%s:%s -> %u\n", strchr(host, ':') ? "[" : "", host,
		       strchr(host, ':') ? "]" : "", port, remote);
	fflush(stdout);
}

static int forward_listen(const char *text, struct forward *f, struct coffer_error *err)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
					.ai_socktype = SOCK_STREAM };
	char address[INET6_ADDRSTRLEN + 32], port[8];
	struct addrinfo *ai;
	uint16_t local = 0;
	int r = forward_parse(text, address, sizeof(address), &local, &f->port, err);

	if (r < 0)
		return r;
	snprintf(port, sizeof(port), "%u", local);
	r = getaddrinfo(address, port, &hints, &ai);
	if (r != 0)
		return err_invalid(err, "port-forward: %s: %s is not an address", text, address);
	f->listen_fd = forward_bind(ai, text, err);
	freeaddrinfo(ai);
	if (f->listen_fd < 0)
		return steal_fd(&f->listen_fd);
	return 0;
}

static void *forward_thread(void *data)
{
	struct forward *f = data;
	const uint64_t one = 1;
	ssize_t n;

	coffer_container_forward(f->c, f->listen_fd, f->port, f->stop_fd, &f->err);
	n = write(f->done_fd, &one, sizeof(one));
	(void)n;
	return NULL;
}

static int forward_start(struct forward *f, struct coffer_error *err)
{
	int r = pthread_create(&f->thread, NULL, forward_thread, f);

	if (r != 0)
		return err_sysn(err, r, "start a thread");
	f->running = true;
	forward_announce(f->listen_fd, f->port);
	return 0;
}

/* Signals that ask for an end, as a descriptor. */
static int forward_signals(struct coffer_error *err)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? err_sys(err, "signalfd") : fd;
}

static int forward_await(int signal_fd, int done_fd)
{
	struct pollfd fds[] = { { .fd = signal_fd, .events = POLLIN },
				{ .fd = done_fd, .events = POLLIN } };
	struct signalfd_siginfo si;

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		;
	if (!fds[0].revents || read(signal_fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	return CLI_EXIT_SIGNAL + (int)si.ssi_signo;
}

static int forward_run(struct coffer_container *c, struct forward *v, int n, int signal_fd,
		       struct coffer_error *err)
{
	autoclose int stop_fd = eventfd(0, EFD_CLOEXEC), done_fd = eventfd(0, EFD_CLOEXEC);
	const uint64_t one = 1;
	int r = 0, code = 0;

	if (stop_fd < 0 || done_fd < 0)
		return err_sys(err, "eventfd");
	for (int i = 0; r == 0 && i < n; i++) {
		v[i].c = c;
		v[i].stop_fd = stop_fd;
		v[i].done_fd = done_fd;
		r = forward_start(&v[i], err);
	}
	if (r == 0)
		code = forward_await(signal_fd, done_fd);
	if (write(stop_fd, &one, sizeof(one)) < 0 && r == 0)
		r = err_sys(err, "write to an eventfd");
	for (int i = 0; i < n && v[i].running; i++) {
		pthread_join(v[i].thread, NULL);
		if (r == 0 && !code && v[i].err.kind) {
			*err = v[i].err;
			r = -v[i].err.err;
		}
	}
	return r < 0 ? r : code;
}

static int forward_ports(const struct cli *cli, const char *name, int n, char *ports[],
			 struct coffer_error *err)
{
	autocontainer struct coffer_container *c = NULL;
	autoclose int signal_fd = -1;
	struct forward v[FORWARD_MAX];
	int r = 0, made = 0;

	if (n > FORWARD_MAX)
		return err_invalid(err, "port-forward: more than %d ports", FORWARD_MAX);
	for (; r == 0 && made < n; made++) {
		v[made] = (struct forward){ .listen_fd = -1 };
		r = forward_listen(ports[made], &v[made], err);
	}
	if (r == 0)
		r = target_open(cli, name, &c, err);
	if (r == 0)
		r = signal_fd = forward_signals(err);
	if (r >= 0)
		r = forward_run(c, v, n, signal_fd, err);
	for (int i = 0; i < made; i++)
		close_fd(&v[i].listen_fd);
	return r;
}

/* Each direction a thread; over when both have ended. */
static int forward_carry(int a, int b, struct coffer_error *err)
{
	autoclose int never = eventfd(0, EFD_CLOEXEC);
	struct relay there = { .from = a, .to = b, .ended_fd = never };
	struct relay back = { .from = b, .to = a, .ended_fd = never };
	int r = never < 0 ? err_sys(err, "eventfd") : relay_start(&there, err);

	if (r == 0)
		r = relay_start(&back, err);
	if (there.running)
		pthread_join(there.thread, NULL);
	if (back.running)
		pthread_join(back.thread, NULL);
	return r;
}

static int forward_stream(const struct cli *cli, const char *name, const char *path,
			  const char *port_text, struct coffer_error *err)
{
	autocontainer struct coffer_container *c = NULL;
	autoclose int inside = -1, outside = -1;
	uint16_t port;
	int r = forward_parse_port(port_text, port_text, false, &port, err);

	if (r == 0)
		r = target_open(cli, name, &c, err);
	if (r < 0)
		return r;
	inside = coffer_container_connect(c, port, err);
	if (inside < 0)
		return inside;
	outside = io_unix_connect(AT_FDCWD, path, SOCK_STREAM, err);
	if (outside < 0)
		return err_wrap(err, "port-forward: option --stream");
	signal(SIGPIPE, SIG_IGN);
	return forward_carry(inside, outside, err);
}

static int cli_port_forward(const struct cli *cli, const struct cli_verb *verb, int argc,
			    char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct forward_opts opts = { 0 };
	int rest, code, r;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 2, INT_MAX, &rest);
	if (code >= 0)
		return code;
	if (opts.stream && argc - rest > 2)
		r = err_invalid(&err, "port-forward: option --stream carries one port");
	else if (opts.stream)
		r = forward_stream(cli, argv[rest], opts.stream, argv[rest + 1], &err);
	else
		r = forward_ports(cli, argv[rest], argc - rest - 1, argv + rest + 1, &err);
	if (r >= 0)
		return r;
	cli_fail(&err);
	return err.kind == COFFER_ERR_INVALID_ARGUMENT ? CLI_EXIT_ERROR : CLI_EXIT_FAILED;
}

const struct cli_verb cli_verb_port_forward = {
	.name = "port-forward",
	.fn = cli_port_forward,
	.usage = "[OPTION...] CONTAINER [ADDRESS:]LOCAL:REMOTE...",
	.help = "Have TCP ports of a container here",
	.rows = forward_rows,
	.nrows = ARRAY_SIZE(forward_rows),
};
