/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_driver.c - one sandbox at the end of two pipes, for tests
 *
 *	sandbox_driver RUN ID [sandbox=KIND] [memory=MIB] [archive=PATH] [kernel=PATH] [initrd=PATH]
 *	               [share=PATH] [share-ro=PATH] [disk=PATH] [disk-ro=PATH] [nbd=URL]
 *	               [nbd-ro=URL]
 *
 * Boots it and says "ready PID", then does what lines on standard input say and
 * answers each with a line of "ok ..." or "error KIND MESSAGE".  Disks have the
 * serials disk0, disk1 ..., shares the tags of sandbox_config_share().
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "sandbox/kind.h"
#include "sandbox/nbd.h"
#include "sandbox/rundir.h"

static struct sandbox_config cfg = { .cpus = 1, .memory = UINT64_C(192) << 20, .machine = "auto",
				     .archive_fd = -1, .cancel_fd = -1 };
static const char *kind_name = "vm";
static struct sandbox *sb;

static int say(int r, const struct coffer_error *err)
{
	if (r < 0)
		printf("error %s %s\n", coffer_error_kind_str(err->kind), err->message);
	fflush(stdout);
	return r;
}

static void ok(int r, const struct coffer_error *err)
{
	if (r >= 0)
		puts("ok");
	say(r, err);
}

/* --- configuration --- */

static int add_share(const char *path, bool read_only, struct coffer_error *err)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *tag;

	return fd < 0 ? err_sys(err, "%s", path)
		      : sandbox_config_share(&cfg, fd, read_only, &tag, err);
}

static int add_fd(int fd, bool read_only, const char *export)
{
	struct sandbox_disk *d = &cfg.disks[cfg.ndisks];
	char *serial;

	if (asprintf(&serial, "disk%u", cfg.ndisks++) < 0)
		return -ENOMEM;
	*d = (struct sandbox_disk){ .fd = fd, .read_only = read_only, .serial = serial,
				    .nbd = export, .export = export };
	return 0;
}

static int add_disk(const char *path, bool read_only, struct coffer_error *err)
{
	int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);

	return fd < 0 ? err_sys(err, "%s", path) : add_fd(fd, read_only, NULL);
}

static int add_nbd(const char *url, bool read_only, struct coffer_error *err)
{
	struct nbd_address address;
	int r = nbd_parse(url, &address, err);

	if (r == 0)
		r = nbd_connect(&address, err);
	return r < 0 ? r : add_fd(r, read_only, strdup(address.export));
}

static const struct {
	const char *word;
	int (*add)(const char *value, bool read_only, struct coffer_error *err);
	bool read_only;
} options[] = {
	{ "share=", add_share }, { "share-ro=", add_share, true },
	{ "disk=", add_disk },	 { "disk-ro=", add_disk, true },
	{ "nbd=", add_nbd },	 { "nbd-ro=", add_nbd, true },
};

static int add_option(const char *arg, struct coffer_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strncmp(arg, options[i].word, strlen(options[i].word)) == 0)
			return options[i].add(arg + strlen(options[i].word), options[i].read_only,
					      err);
	if (strncmp(arg, "archive=", 8) == 0)
		cfg.archive_fd = open(arg + 8, O_RDONLY | O_CLOEXEC);
	else if (strncmp(arg, "kernel=", 7) == 0)
		cfg.kernel = arg + 7;
	else if (strncmp(arg, "initrd=", 7) == 0)
		cfg.initrd = arg + 7;
	else if (strncmp(arg, "sandbox=", 8) == 0)
		kind_name = arg + 8;
	else if (strncmp(arg, "memory=", 7) == 0)
		cfg.memory = strtoull(arg + 7, NULL, 10) << 20;
	else
		return err_invalid(err, "%s: unknown", arg);
	return 0;
}

/* --- commands --- */

static void do_pause(const char *arg)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	ok(sb->ops->pause(sb, &err), &err);
}

static void do_resume(const char *arg)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	ok(sb->ops->resume(sb, &err), &err);
}

static void do_stop(const char *arg)
{
	usec_t start = clock_now();

	sb->ops->stop(sb);
	printf("ok %" PRIu64 " us\n", clock_now() - start);
}

static void do_dial(const char *arg)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int fd = sb->ops->dial(sb, (uint32_t)atoi(arg), &err);

	ok(fd, &err);
}

static void do_cost(const char *arg)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct sandbox_cost cost;
	int r = sb->ops->cost(sb, &cost, &err);

	if (r == 0)
		fputs("ok", stdout);
	for (unsigned i = 0; r == 0 && i < cost.nprocesses; i++) {
		const struct sandbox_cost_process *p = &cost.processes[i];

		printf(" %s:%s:%d:%" PRIu64 ":%" PRIu64 ":%" PRIu64, p->process, p->tag, p->pid,
		       p->rss, p->pss, p->cpu_usec);
	}
	if (r == 0)
		puts("");
	say(r, &err);
}

/* Wait for the end as a watcher does, at most @arg milliseconds. */
static void do_end(const char *arg)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int fd = sb->ops->end_fd(sb, &err);
	struct sandbox_end end;
	int r = fd < 0 ? fd : 0;

	if (r == 0 && io_wait(fd, POLLIN, deadline_in((usec_t)atoi(arg) * 1000)) <= 0)
		r = err_timeout(&err, "no end");
	if (r == 0)
		r = sb->ops->end(sb, &end, &err);
	if (r == 0)
		printf("ok kind=%d process=%s tag=%s code=%d signal=%d oom=%d message=%s console=%s\n",
		       (int)end.kind, end.process, end.tag, end.exit_code, end.signal, end.oom,
		       end.error.message, end.console);
	say(r, &err);
}

static const struct {
	const char *name;
	void (*run)(const char *arg);
} commands[] = {
	{ "pause", do_pause }, { "resume", do_resume }, { "stop", do_stop },
	{ "dial", do_dial },   { "cost", do_cost },	{ "end", do_end },
};

static void serve(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin)) {
		char *arg = line + strcspn(line, " \n");

		*arg++ = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
			if (strcmp(line, commands[i].name) == 0)
				commands[i].run(arg);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	const struct sandbox_kind *kind;
	usec_t start;
	int r = 0;

	if (argc < 3)
		return 2;
	for (int i = 3; r == 0 && i < argc; i++)
		r = add_option(argv[i], &err);
	kind = sandbox_kind_find(kind_name);
	if (r == 0 && !kind)
		r = err_invalid(&err, "sandbox=%s: unknown", kind_name);
	if (r == 0)
		r = rundir_create(argv[1], argv[2], &cfg.dir, &err);
	if (r < 0)
		return say(r, &err) < 0;
	start = clock_now();
	r = kind->make(&cfg, &sb, &err);
	if (r == 0)
		r = sb->ops->boot(sb, &err);
	if (r == 0)
		r = sb->ops->ready(sb, &err);
	if (r == 0) {
		printf("ready %" PRIu64 " us\n", clock_now() - start);
		fflush(stdout);
		serve();
	}
	say(r, &err);
	if (sb)
		sb->ops->free(sb);
	rundir_remove(cfg.dir);
	return r < 0;
}
