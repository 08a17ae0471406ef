/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay_rename.c - names of an overlay that change
 *
 * Both ends are in the upper layer when it begins. A directory that a lower layer has a part in
 * stays where it is: -EXDEV, and mv(1) copies it, as with Linux's overlays. What is left behind is a
 * whiteout where a lower layer has the old name; it is made beforehand under a name of its own, so
 * that what can fail does so before anything has moved.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>

#include "sentry/vfs/dentry.h"
#include "sentry/vfs/overlay.h"

struct overlay_move {
	struct overlay_inode *old_dir, *new_dir;
	const char *old_name, *new_name;
	struct overlay_inode *from, *to; /* references; @to NULL: nothing is there */
	bool old_below, new_below;	 /* a lower layer has that name */
	bool exchange;
};

static bool overlay_may_move(const struct overlay_inode *o)
{
	return !S_ISDIR(o->inode.attr.st_mode) || !o->nlower;
}

/* @o is in the upper layer, but maybe under another of its names. */
static int overlay_move_name(struct overlay_inode *o, struct overlay_inode *dir, const char *name)
{
	struct inode *upper = overlay_upper(dir), *there;
	int r = overlay_copy_up_locked(o, UINT64_MAX);

	if (r < 0)
		return r;
	r = layer_lookup(upper, name, &there);
	if (r == 0)
		inode_put(there);
	if (r != -ENOENT)
		return r;
	r = layer_link(upper, name, overlay_upper(o));
	if (r == 0)
		overlay_unstash(o, NULL, NULL);
	return r;
}

/* Everything that can refuse it, and everything that has to be in the upper layer. */
static int overlay_move_prepare(struct overlay_move *m)
{
	int r;

	if (!overlay_may_move(m->from) || (m->exchange && !overlay_may_move(m->to)))
		return -EXDEV;
	if (m->to && !m->exchange && S_ISDIR(m->to->inode.attr.st_mode)) {
		r = overlay_is_empty(m->to);
		if (r <= 0)
			return r < 0 ? r : -ENOTEMPTY;
	}
	r = overlay_below(m->old_dir, m->old_name);
	if (r < 0)
		return r;
	m->old_below = r;
	r = overlay_below(m->new_dir, m->new_name);
	if (r < 0)
		return r;
	m->new_below = r;
	r = overlay_copy_up_locked(m->old_dir, 0);
	if (r == 0)
		r = overlay_copy_up_locked(m->new_dir, 0);
	if (r == 0)
		r = overlay_move_name(m->from, m->old_dir, m->old_name);
	if (r == 0 && m->exchange)
		r = overlay_move_name(m->to, m->new_dir, m->new_name);
	return r;
}

static int overlay_move_opaque(const struct overlay_inode *o, bool below)
{
	return below && S_ISDIR(o->inode.attr.st_mode) ? layer_set_opaque(overlay_upper(o)) : 0;
}

static int overlay_move_exchange(struct overlay_move *m)
{
	int r = overlay_move_opaque(m->from, m->new_below);

	if (r == 0)
		r = overlay_move_opaque(m->to, m->old_below);
	if (r == 0)
		r = layer_rename(overlay_upper(m->old_dir), m->old_name,
				 overlay_upper(m->new_dir), m->new_name, RENAME_EXCHANGE);
	if (r < 0)
		return r;
	overlay_inode_place(m->from, m->new_dir, m->new_name);
	overlay_inode_place(m->to, m->old_dir, m->old_name);
	return 0;
}

/* What the upper layer has at the new name must let itself be replaced: a directory is emptied of
 * whiteouts, a whiteout makes place for a directory (*@uncovered: it did), a file that is needed by
 * other names is put aside. */
static int overlay_move_make_place(struct overlay_move *m, bool *uncovered)
{
	struct inode *upper = overlay_upper(m->new_dir), *there;
	int r = layer_lookup(upper, m->new_name, &there);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (S_ISDIR(there->attr.st_mode)) {
		r = overlay_clear(there);
	} else if (overlay_is_whiteout(there) && S_ISDIR(m->from->inode.attr.st_mode)) {
		r = layer_remove(upper, m->new_name, there);
		*uncovered = r == 0;
	} else if (m->to && overlay_upper(m->to) == there) {
		r = overlay_stash(m->to, upper, m->new_name);
		r = r < 0 ? r : 0;
	}
	inode_put(there);
	return r;
}

static void overlay_move_drop(struct inode *upper, const char *name)
{
	struct inode *inode;

	if (layer_lookup(upper, name, &inode) < 0)
		return;
	layer_remove(upper, name, inode);
	inode_put(inode);
}

static int overlay_move_over(struct overlay_move *m)
{
	struct inode *from = overlay_upper(m->old_dir), *to = overlay_upper(m->new_dir);
	bool uncovered = false;
	char work[32];
	int r = overlay_move_opaque(m->from, m->new_below);

	overlay_work_name(work);
	if (r == 0 && m->old_below)
		r = layer_whiteout(from, work);
	if (r < 0)
		return r;
	r = overlay_move_make_place(m, &uncovered);
	if (r == 0)
		r = layer_rename(from, m->old_name, to, m->new_name, 0);
	if (r < 0) {
		if (uncovered)
			layer_whiteout(to, m->new_name);
		if (m->to)
			overlay_unstash(m->to, to, m->new_name);
		if (m->old_below)
			overlay_move_drop(from, work);
		return r;
	}
	if (m->old_below)
		layer_rename(from, work, from, m->old_name, 0);
	overlay_inode_place(m->from, m->new_dir, m->new_name);
	if (m->to)
		overlay_lost(m->to, m->new_dir, m->new_name);
	return 0;
}

int overlay_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		   const char *new_name, unsigned flags)
{
	struct overlay_move m = {
		.old_dir = overlay_of(old_dir), .old_name = old_name,
		.new_dir = overlay_of(new_dir), .new_name = new_name,
		.exchange = flags & RENAME_EXCHANGE,
	};
	struct inode *from, *to = NULL;
	int r = overlay_lookup(old_dir, old_name, &from);

	if (r < 0)
		return r;
	m.from = overlay_of(from);
	r = overlay_lookup(new_dir, new_name, &to);
	if (r == 0)
		m.to = overlay_of(to);
	else if (r == -ENOENT && !m.exchange)
		r = 0;
	if (r == 0)
		r = overlay_move_prepare(&m);
	if (r == 0)
		r = m.exchange ? overlay_move_exchange(&m) : overlay_move_over(&m);
	if (r == 0) {
		overlay_refresh(from);
		overlay_refresh(old_dir);
		overlay_refresh(new_dir);
	}
	inode_put(from);
	inode_put(to);
	return r;
}
