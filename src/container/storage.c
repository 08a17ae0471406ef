/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/storage.c - the file systems of a container, from host to guest
 *
 * Nothing but the order of things; each file system is a file of its own.
 */
#define LOG_CATEGORY "storage"
#include "container/storage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "container/document.h"
#include "container/files.h"
#include "container/mounts.h"
#include "container/platform.h"
#include "container/rootfs.h"
#include "sandbox_context.pb-c.h"

/* All that was written in the guest's memory goes to the disk. */
#define STORAGE_SYNC_BUDGET (60 * USEC_PER_SEC)

struct storage {
	char base[sizeof(DOCUMENT_STATE_DIR) + COFFER_ID_MAX +
		  1]; /* of the container, in the guest */
	char root[sizeof(DOCUMENT_STATE_DIR) + COFFER_ID_MAX + 8];
	char written[sizeof(DOCUMENT_STATE_DIR) + COFFER_ID_MAX + sizeof("//" LAYER_WRITTEN)];
	const char *id; /* borrowed, as is config */
	const struct coffer_container_config *config;
	struct rootfs rootfs;
	struct mounts mounts;
	struct platform_emulator emulator;
	bool mounted;
};

int storage_check(const struct coffer_container_config *config, struct coffer_error *err)
{
	int r = layer_check(&config->layer, err);

	if (r == 0 && config->rootfs_share && !config->rootfs)
		r = err_invalid(err, "rootfs_share: no rootfs is given");
	if (r == 0)
		r = mounts_check(config->mounts, config->nmounts, err);
	if (r == 0)
		r = files_check(config, err);
	return r < 0 ? r : platform_check(config->platform, err);
}

int storage_open(const char *id, const struct coffer_container_config *config, struct storage **out,
		 struct coffer_error *err)
{
	CLEANUP(storage_freep) struct storage *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return err_nomem(err);
	s->id = id;
	s->config = config;
	s->emulator = (struct platform_emulator)PLATFORM_EMULATOR_INIT;
	snprintf(s->base, sizeof(s->base), "%s/%s", DOCUMENT_STATE_DIR, id);
	snprintf(s->root, sizeof(s->root), "%s/rootfs", s->base);
	snprintf(s->written, sizeof(s->written), "%s/" LAYER_WRITTEN, s->base);
	r = rootfs_open(config, &s->rootfs, err);
	if (r == 0)
		r = mounts_plan(config->mounts, config->nmounts, &s->mounts, err);
	if (r == 0)
		r = mounts_open(&s->mounts, err);
	if (r == 0)
		r = platform_open(config->platform, &s->emulator, err);
	if (r == 0)
		*out = steal_ptr(s);
	return r;
}

int storage_attach(struct storage *s, struct sandbox_config *sandbox, struct coffer_error *err)
{
	int r = rootfs_attach(&s->rootfs, sandbox, err);

	if (r == 0)
		r = mounts_attach(&s->mounts, sandbox, err);
	return r < 0 ? r : platform_attach(&s->emulator, sandbox, err);
}

int storage_fill(struct storage *s, int cancel_fd, struct coffer_error *err)
{
	return rootfs_fill(&s->rootfs, cancel_fd, err);
}

int storage_mount(struct storage *s, struct agent *agent, struct coffer_error *err)
{
	autosteps struct guest_steps g = { 0 };
	int r;

	guest_link_up(&g, "lo");
	rootfs_mount(&s->rootfs, s->base, s->root, &g);
	mounts_prepare(&s->mounts, &g);
	files_write(s->config, s->id, s->root, &g);
	platform_prepare(&s->emulator, &g);
	r = guest_run(&g, agent, err);
	if (r == 0)
		r = mounts_check_targets(&s->mounts, s->root, agent, err);
	if (r == 0)
		r = mounts_prepare_late(&s->mounts, agent, err);
	s->mounted = r == 0;
	return r;
}

int storage_emit(const struct storage *s, struct oci_spec *spec, struct coffer_error *err)
{
	return mounts_emit(&s->mounts, spec, err);
}

/* Who writes to a file system that is frozen can't be killed. */
static void storage_thaw(const struct guest_steps *g, struct agent *agent)
{
	Sc__FilesystemOperationRequest req = SC__FILESYSTEM_OPERATION_REQUEST__INIT;
	Sc__FiThawParams thaw = SC__FI_THAW_PARAMS__INIT;

	req.operation_case = SC__FILESYSTEM_OPERATION_REQUEST__OPERATION_THAW;
	req.thaw = &thaw;
	for (size_t i = 0; i < g->n; i++) {
		req.path = (char *)g->v[i].path;
		agent_call(agent, AGENT_CONTRACT, "FilesystemOperation", &req.base,
			   AGENT_CALL_BUDGET, NULL, NULL);
	}
}

/* A process that still runs would keep the file systems in use. */
static void storage_end_processes(const struct storage *s, struct agent *agent)
{
	const struct agent_process init = { .container = s->id, .id = s->id };
	struct coffer_error err = COFFER_ERROR_INIT;
	Sc__KillRequest req = SC__KILL_REQUEST__INIT;

	req.pid = -1;
	req.signal = SIGKILL;
	if (agent_call(agent, AGENT_CONTRACT, "Kill", &req.base, AGENT_CALL_BUDGET, NULL, &err) <
		0 ||
	    (agent->ops->remove(agent, &init, &err) < 0 && err.kind != COFFER_ERR_NOT_FOUND))
		log_info("end the processes of %s: %s", s->id, err.message);
}

static int storage_run_each(const struct guest_steps *g, struct agent *agent,
			    struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	int first = g->failed;

	if (first < 0)
		err_sysn(err, first, "unmount");
	for (size_t i = 0; i < g->n; i++) {
		/* With the last process the agent has unmounted the root. */
		if (agent->ops->call(agent, &g->v[i].request, AGENT_CALL_BUDGET, NULL, &own) == 0 ||
		    own.kind == COFFER_ERR_INVALID_ARGUMENT || first < 0)
			continue;
		first = err_wrap(&own, "unmount %s", g->v[i].path);
		if (err)
			*err = own;
	}
	return first;
}

/*
 * File systems on disks that somebody else can look into afterwards are
 * unmounted, so that they are clean; should the kernel be using one still, at
 * least all is written.  What is in a shared directory is on the host already.
 */
int storage_unmount(struct storage *s, struct agent *agent, struct coffer_error *err)
{
	Sc__SyncRequest sync = SC__SYNC_REQUEST__INIT;
	autosteps struct guest_steps g = { 0 };
	int r, r2;

	if (!s->mounted)
		return 0;
	s->mounted = false;
	rootfs_unmount(&s->rootfs, s->base, s->root, &g);
	mounts_unmount(&s->mounts, &g);
	if (g.n == 0)
		return g.failed;
	storage_thaw(&g, agent);
	storage_end_processes(s, agent);
	r = storage_run_each(&g, agent, err);
	r2 = agent_call(agent, AGENT_CONTRACT, "Sync", &sync.base, STORAGE_SYNC_BUDGET, NULL,
			r < 0 ? NULL : err);
	return r < 0 ? r : r2;
}

bool storage_outlives(const struct storage *s)
{
	autosteps struct guest_steps g = { 0 };

	rootfs_unmount(&s->rootfs, s->base, s->root, &g);
	mounts_unmount(&s->mounts, &g);
	return s->mounted && (g.n > 0 || g.failed < 0);
}

bool storage_has_disks(const struct storage *s)
{
	bool any = s->rootfs.disk.fd >= 0 || s->rootfs.layer.disk.fd >= 0;

	for (size_t i = 0; i < s->mounts.n; i++)
		any |= s->mounts.v[i].disk.fd >= 0;
	return any;
}

const char *storage_root(const struct storage *s)
{
	return s->root;
}

const char *storage_written(const struct storage *s)
{
	return s->rootfs.layer.kind == COFFER_LAYER_NONE ? NULL : s->written;
}

int storage_layer_fd(const struct storage *s)
{
	return s->rootfs.layer.disk.fd;
}

void storage_free(struct storage *s)
{
	if (!s)
		return;
	platform_close(&s->emulator);
	mounts_close(&s->mounts);
	rootfs_close(&s->rootfs);
	free(s);
}
