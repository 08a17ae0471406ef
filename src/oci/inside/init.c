/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/init.c - boot a sentry, run a container in it, end as it ends
 *
 * The sentry lives as long as this process: it holds the other end of its lifetime.  What came of
 * the start goes to a socket beside the document, for the command that has started us.
 *
 * Callers: main.c.
 */
#define LOG_CATEGORY "init"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "oci/inside/guard.h"
#include "oci/inside/inside.h"
#include "oci/inside/trees.h"
#include "oci/inside/verdict.h"
#include "oci/inside/view.h"
#include "sandbox/sentry.h"

#define INIT_MIB UINT64_C(1 << 20)

struct init {
	const char *id;
	int dir;		/* owned, as all below */
	int verdict;		/* connected; -1: nobody waits */
	struct rundir rundir;	/* ours alone: nobody sweeps it */
	struct oci_spec *spec;
	struct trees trees;
	struct sandbox_config config;
	struct sandbox *sandbox;
	struct inside_process process;
	struct guard guard;
};

static int init_read(struct init *i, const char *dir, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r;

	i->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (i->dir < 0)
		return err_sys(err, "open %s", dir);
	i->verdict = verdict_connect(i->dir, SENTRY_VERDICT);
	r = io_read_file(i->dir, SENTRY_DOCUMENT, OCI_JSON_MAX, &text, &len, err);
	return r < 0 ? r : oci_spec_parse(text, len, &i->spec, err);
}

static int init_sockets(struct init *i, const char *dir, struct coffer_error *err)
{
	i->rundir = (struct rundir){ .path = (char *)dir, .root_fd = -1, .fd = i->dir,
				     .vm_fd = -1, .lock_fd = -1 };
	snprintf(i->rundir.id, sizeof(i->rundir.id), "%.*s", RUNDIR_ID_MAX, i->id);
	if (mkdirat(i->dir, SENTRY_SOCKETS, 0700) < 0)
		return err_sys(err, "create %s", SENTRY_SOCKETS);
	i->rundir.vm_fd = openat(i->dir, SENTRY_SOCKETS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return i->rundir.vm_fd < 0 ? err_sys(err, "open %s", SENTRY_SOCKETS) : 0;
}

static uint64_t init_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) < 0 ? 0 : info.totalram * info.mem_unit / INIT_MIB * INIT_MIB;
}

/* A namespace that the engine has made or entered has what others have put there. */
static bool init_has_network(const struct oci_spec *spec)
{
	return oci_namespace_find(spec, "network") != NULL;
}

static int init_boot(struct init *i, struct coffer_error *err)
{
	int r;

	i->config.dir = &i->rundir;
	i->config.cpus = (unsigned)get_nprocs();
	i->config.memory = init_memory();
	i->config.archive_fd = i->config.cancel_fd = -1;
	i->config.network = init_has_network(i->spec);
	r = trees_add(&i->trees, i->spec, &i->config, err);
	if (r == 0)
		r = sandbox_sentry_new(&i->config, &i->sandbox, err);
	if (r == 0)
		r = i->sandbox->ops->boot(i->sandbox, err);
	return r < 0 ? r : i->sandbox->ops->ready(i->sandbox, err);
}

static int init_mount(const struct init *i, struct coffer_error *err)
{
	autoagent struct agent *agent = NULL;
	int r = inside_connect(i->rundir.vm_fd, &agent, err);

	return r < 0 ? r : trees_mount(&i->trees, &i->config, i->id, agent, err);
}

static int init_start(struct init *i, const char *dir, struct coffer_error *err)
{
	int r = init_read(i, dir, err);

	if (r == 0)
		r = init_sockets(i, dir, err);
	if (r == 0)
		r = init_boot(i, err);
	if (r == 0)
		r = init_mount(i, err);
	if (r < 0)
		return r;
	i->process.key = (struct agent_process){ .container = i->id, .id = i->id };
	i->process.sockets = i->rundir.vm_fd;
	r = inside_start(&i->process, i->spec, err);
	if (r == 0)
		r = guard_begin(&i->guard, &i->process, err);
	return r < 0 ? r : view_enter(&i->trees, i->spec->root->readonly, err);
}

static void init_free(struct init *i)
{
	inside_free(&i->process);
	guard_end(&i->guard);
	if (i->sandbox)
		i->sandbox->ops->free(i->sandbox);
	trees_close(&i->trees);
	oci_spec_free(i->spec);
	close_fd(&i->rundir.vm_fd);
	close_fd(&i->verdict);
	close_fd(&i->dir);
}

int inside_init_main(const char *dir, const char *id)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct init *i = calloc(1, sizeof(*i));
	int r;

	if (!i)
		return 1;
	i->id = id;
	i->dir = i->verdict = i->rundir.vm_fd = -1;
	i->process = (struct inside_process)INSIDE_PROCESS_INIT;
	r = init_start(i, dir, &err);
	verdict_tell(i->verdict, r, &err);
	if (r < 0)
		r = r == -ENOENT ? INSIDE_EXIT_NOT_FOUND : INSIDE_EXIT_NOT_EXECUTABLE;
	else
		r = inside_wait(&i->process);
	init_free(i);
	free(i);
	return r;
}
