/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/layer.c - where what a container writes into its root goes
 *
 *	<base>/upper       a tmpfs, or the ext4 image of the layer
 *	<base>/upper/diff  what differs from the root below
 *	<base>/upper/work  overlay's own
 *
 * An image with a path is kept and can be laid over the same root again; the
 * others are gone with the machine.
 */
#include "container/layer.h"

#include <stdio.h>
#include <string.h>

#define LAYER_DISK_SIZE (UINT64_C(8) << 30)

/* What mount(8) calls it. */
static const char *const layer_journals[] = {
	[COFFER_JOURNAL_DEFAULT] = NULL,
	[COFFER_JOURNAL_NONE] = NULL,
	[COFFER_JOURNAL_WRITEBACK] = "data=writeback",
	[COFFER_JOURNAL_ORDERED] = "data=ordered",
	[COFFER_JOURNAL_DATA] = "data=journal",
};

static uint64_t layer_disk_size(const struct coffer_layer *config)
{
	return config->size ? config->size : LAYER_DISK_SIZE;
}

int layer_check(const struct coffer_layer *config, struct coffer_error *err)
{
	if ((unsigned)config->kind > COFFER_LAYER_DISK)
		return err_invalid(err, "layer.kind: %d: unknown", config->kind);
	if ((unsigned)config->journal > COFFER_JOURNAL_DATA)
		return err_invalid(err, "layer.journal: %d: unknown", config->journal);
	if (config->kind == COFFER_LAYER_DISK) {
		if (config->path && !*config->path)
			return err_invalid(err, "layer.path: empty");
		return disk_check_size("layer.size", layer_disk_size(config), err);
	}
	if (config->path)
		return err_invalid(err, "layer.path: only a layer on a disk has one");
	if (config->journal != COFFER_JOURNAL_DEFAULT)
		return err_invalid(err, "layer.journal: only a layer on a disk has one");
	if (config->size && config->kind != COFFER_LAYER_TMPFS)
		return err_invalid(err, "layer.size: only a layer of its own has one");
	return 0;
}

/* Two may make it at once: the one that comes second uses what the first has made, if it can. */
static int layer_open_path(const struct coffer_layer *config, struct disk *out,
			   struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	int r = disk_open("layer", config->path, false, out, &own);

	if (r == -ENOENT) {
		err_clear(&own);
		r = coffer_disk_create(config->path, layer_disk_size(config), config->journal,
				       &own);
		if (r == 0 || r == -EEXIST)
			r = disk_open("layer", config->path, false, out, &own);
	}
	if (r < 0) {
		if (err)
			*err = own;
		return r;
	}
	if (config->journal == COFFER_JOURNAL_DEFAULT ||
	    out->journal == (config->journal != COFFER_JOURNAL_NONE))
		return 0;
	return err_invalid(err, "layer.journal: %s %s a journal", config->path,
			   out->journal ? "has" : "has not");
}

int layer_open(const struct coffer_layer *config, enum coffer_layer_kind kind, struct layer *out,
	       struct coffer_error *err)
{
	*out = (struct layer)LAYER_INIT;
	out->kind = kind;
	out->config = config;
	if (kind == COFFER_LAYER_TMPFS && config->size)
		snprintf(out->size, sizeof(out->size), "size=%llu",
			 (unsigned long long)config->size);
	if (kind != COFFER_LAYER_DISK)
		return 0;
	if (config->path)
		return layer_open_path(config, &out->disk, err);
	return disk_make_private(layer_disk_size(config), config->journal, &out->disk, err);
}

void layer_close(struct layer *layer)
{
	disk_close(&layer->disk);
}

int layer_attach(struct layer *layer, struct sandbox_config *sandbox, struct coffer_error *err)
{
	const struct sandbox_disk disk = { .fd = layer->disk.fd, .serial = "layer" };

	return disk.fd < 0 ? 0 : disk_attach(&disk, sandbox, layer->device, err);
}

/* A list of at most two words that lives as long as @g. */
static const char *const *layer_words(struct guest_steps *g, const char *first, const char *second)
{
	const char **words = guest_words(g, 2);
	size_t n = 0;

	if (first)
		words[n++] = first;
	if (second)
		words[n] = second;
	return words;
}

void layer_mount(const struct layer *layer, const char *base, const char *lower, const char *root,
		 struct guest_steps *g)
{
	const char *upper = guest_text(g, "%s/upper", base);
	const char **overlay = guest_words(g, 3);

	overlay[0] = guest_text(g, "lowerdir=%s", lower);
	overlay[1] = guest_text(g, "upperdir=%s/" LAYER_WRITTEN, base);
	overlay[2] = guest_text(g, "workdir=%s/work", upper);
	if (layer->kind == COFFER_LAYER_DISK)
		guest_mount(g, upper, "ext4", layer->device,
			    layer_words(g, layer_journals[layer->config->journal], NULL));
	else
		guest_mount(g, upper, "tmpfs", "tmpfs",
			    layer_words(g, "mode=0755", *layer->size ? layer->size : NULL));
	guest_mkdir(g, guest_text(g, "%s/" LAYER_WRITTEN, base));
	guest_mkdir(g, guest_text(g, "%s/work", upper));
	guest_mount(g, root, "overlay", "overlay", overlay);
}
