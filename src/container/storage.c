/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/storage.c - the file systems of a container, from host to guest
 *
 * Nothing but the order of things; each file system is a file of its own.
 */
#include "container/storage.h"

#include <stdio.h>
#include <stdlib.h>

#include "container/document.h"
#include "container/rootfs.h"

struct storage {
	char base[sizeof(DOCUMENT_STATE_DIR) + COFFER_ID_MAX +
		  1]; /* of the container, in the guest */
	char root[sizeof(DOCUMENT_STATE_DIR) + COFFER_ID_MAX + 8];
	struct rootfs rootfs;
};

int storage_check(const struct coffer_container_config *config, struct coffer_error *err)
{
	return layer_check(&config->layer, err);
}

int storage_open(const char *id, const struct coffer_container_config *config, struct storage **out,
		 struct coffer_error *err)
{
	CLEANUP(storage_freep) struct storage *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return err_nomem(err);
	snprintf(s->base, sizeof(s->base), "%s/%s", DOCUMENT_STATE_DIR, id);
	snprintf(s->root, sizeof(s->root), "%s/rootfs", s->base);
	r = rootfs_open(config, &s->rootfs, err);
	if (r == 0)
		*out = steal_ptr(s);
	return r;
}

int storage_attach(struct storage *s, struct sandbox_config *sandbox, struct coffer_error *err)
{
	return rootfs_attach(&s->rootfs, sandbox, err);
}

int storage_fill(struct storage *s, int cancel_fd, struct coffer_error *err)
{
	return rootfs_fill(&s->rootfs, cancel_fd, err);
}

int storage_mount(struct storage *s, struct agent *agent, struct coffer_error *err)
{
	autosteps struct guest_steps g = { 0 };

	guest_link_up(&g, "lo");
	rootfs_mount(&s->rootfs, s->base, s->root, &g);
	return guest_run(&g, agent, err);
}

int storage_emit(const struct storage *s, struct oci_spec *spec, struct coffer_error *err)
{
	return 0;
}

int storage_unmount(struct storage *s, struct agent *agent, struct coffer_error *err)
{
	return 0;
}

bool storage_has_disks(const struct storage *s)
{
	return s->rootfs.disk.fd >= 0 || s->rootfs.layer.disk.fd >= 0;
}

int storage_layer_fd(const struct storage *s)
{
	return s->rootfs.layer.disk.fd;
}

void storage_free(struct storage *s)
{
	if (!s)
		return;
	rootfs_close(&s->rootfs);
	free(s);
}
