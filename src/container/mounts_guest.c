/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/mounts_guest.c - mounts, from the machine's devices to the container
 *
 * The guest mounts each device once, before there is a container; what the
 * container gets are binds of that, in its document.  The engine makes them, and
 * keeps their targets inside the container's root.
 */
#include "container/mounts.h"

#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "container/config.h"
#include "spec/mount_options.h"
#include "sandbox_context.pb-c.h"

#define MOUNTS_SHARES  "/run/virtiofs"
#define MOUNTS_VOLUMES "/run/volumes"

static bool mounts_word_is_of_fs(const char *word)
{
	for (size_t i = 0; mount_options_word(i); i++)
		if (strcmp(mount_options_word(i), word) == 0)
			return false;
	return true;
}

const char *mounts_volume(const struct mounts_entry *e, struct guest_steps *g)
{
	const struct mounts_entry *own = e->same ? e->same : e;

	return *own->device ? guest_text(g, MOUNTS_VOLUMES "/%s", strrchr(own->device, '/') + 1)
			    : NULL;
}

/* "ro", and what the file system is told beside. */
static const char *const *mounts_disk_options(const struct mounts_entry *e, struct guest_steps *g)
{
	const char **words = guest_words(g, MOUNTS_OPTIONS_MAX + 1);
	size_t n = 0;

	if (e->device_read_only)
		words[n++] = "ro";
	for (const char *const *o = e->config->options; o && *o; o++)
		if (mounts_word_is_of_fs(*o))
			words[n++] = *o;
	return words;
}

static bool mounts_share_is_first(const struct mounts *mounts, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(mounts->v[k].tag, mounts->v[i].tag) == 0)
			return false;
	return true;
}

void mounts_prepare(const struct mounts *mounts, struct guest_steps *g)
{
	for (size_t i = 0; i < mounts->n; i++) {
		const struct mounts_entry *e = &mounts->v[i];

		if (*e->tag && mounts_share_is_first(mounts, i))
			guest_mount(g, guest_text(g, MOUNTS_SHARES "/%s", e->tag), "virtiofs",
				    e->tag, NULL);
		if (*e->device && e->disk.fs)
			guest_mount(g, mounts_volume(e, g), e->disk.fs, e->device,
				    mounts_disk_options(e, g));
	}
}

static int mounts_try(const struct mounts_entry *e, const char *fs, struct agent *agent,
		      struct coffer_error *err)
{
	autosteps struct guest_steps g = { 0 };

	guest_mount(&g, mounts_volume(e, &g), fs, e->device, mounts_disk_options(e, &g));
	return guest_run(&g, agent, err);
}

int mounts_prepare_late(const struct mounts *mounts, struct agent *agent, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < mounts->n; i++) {
		const struct mounts_entry *e = &mounts->v[i];

		if (!*e->device || e->disk.fs)
			continue;
		r = mounts_try(e, "ext4", agent, err);
		if (r < 0 && e->device_read_only && mounts_try(e, "erofs", agent, NULL) == 0) {
			err_clear(err);
			r = 0;
		}
	}
	return r;
}

/* A target on a mount of ours is not in the root; the engine will find out. */
static bool mounts_target_is_covered(const struct mounts *mounts, const struct mounts_entry *e)
{
	for (const struct mounts_entry *other = mounts->v; other != e; other++) {
		size_t n = strlen(other->target);

		if (strncmp(e->target, other->target, n) == 0 && e->target[n] == '/')
			return true;
	}
	return false;
}

static int mounts_ask_target(const struct mounts_entry *e, const char *root, struct agent *agent,
			     struct agent_stream **out, struct coffer_error *err)
{
	autofree char *path = path_join(root, e->target + 1);
	Sc__StatRequest req = SC__STAT_REQUEST__INIT;
	const struct agent_request request = { AGENT_CONTRACT, "Stat", &req.base };

	if (!path)
		return err_nomem(err);
	req.path = path;
	return agent->ops->stream_begin(agent, &request, AGENT_CALL_BUDGET, out, err);
}

static int mounts_judge_target(const struct mounts_entry *e, struct agent *agent,
			       struct agent_stream *stream, struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(AGENT_CALL_BUDGET));
	autoreply ProtobufCMessage *reply = NULL;
	const Sc__StatResponse *resp;
	int r = agent->ops->stream_next(agent, stream, deadline, &reply, err);
	bool dir;

	resp = (const Sc__StatResponse *)reply;
	/* What is not there will be made. */
	if (r == -ENOENT)
		err_clear(err);
	if (r == -ENOENT || (r == 0 && (!resp || !resp->stat)))
		return 0;
	if (r < 0)
		return r;
	dir = S_ISDIR(resp->stat->mode);
	if (dir == !e->name)
		return 0;
	return err_invalid(err, "mount on %s: is %s, and the source is %s", e->target,
			   dir ? "a directory" : "a file",
			   dir ? "a file" : "a directory or a file system");
}

/* All are asked before the first answer is waited for. */
int mounts_check_targets(const struct mounts *mounts, const char *root, struct agent *agent,
			 struct coffer_error *err)
{
	struct agent_stream *streams[CONFIG_MOUNTS_MAX] = { NULL };
	struct coffer_error own = COFFER_ERROR_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < mounts->n && i < ARRAY_SIZE(streams); i++)
		if (!mounts_target_is_covered(mounts, &mounts->v[i]))
			r = mounts_ask_target(&mounts->v[i], root, agent, &streams[i], &own);
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		if (!streams[i])
			continue;
		if (r == 0)
			r = mounts_judge_target(&mounts->v[i], agent, streams[i], &own);
		agent->ops->stream_end(agent, streams[i]);
	}
	if (r < 0 && err)
		*err = own;
	return r;
}

void mounts_unmount(const struct mounts *mounts, struct guest_steps *g)
{
	for (size_t i = 0; i < mounts->n; i++) {
		const struct mounts_entry *e = &mounts->v[i];

		if (*e->device && !e->device_read_only)
			guest_unmount(g, mounts_volume(e, g));
	}
}

/* --- in the container --- */

static const char *mounts_source(const struct mounts_entry *e, struct guest_steps *g)
{
	if (!*e->tag)
		return mounts_volume(e, g);
	if (e->name)
		return guest_text(g, MOUNTS_SHARES "/%s/%s", e->tag, e->name);
	return guest_text(g, MOUNTS_SHARES "/%s", e->tag);
}

static int mounts_emit_bind(const struct mounts_entry *e, struct guest_steps *g,
			    struct oci_spec *spec, struct coffer_error *err)
{
	const char **words = guest_words(g, MOUNTS_OPTIONS_MAX + 2);
	size_t n = 0;

	words[n++] = "bind";
	if (e->read_only)
		words[n++] = "ro";
	for (const char *const *o = e->config->options; o && *o; o++)
		if (!mounts_word_is_of_fs(*o))
			words[n++] = *o;
	return oci_mount_add(spec, e->target, "bind", mounts_source(e, g), words, err);
}

static int mounts_emit_tmpfs(const struct mounts_entry *e, struct guest_steps *g,
			     struct oci_spec *spec, struct coffer_error *err)
{
	const char **words = guest_words(g, MOUNTS_OPTIONS_MAX + 5);
	size_t n = 0;

	/* Else its mode would be that of the directory that is made for it. */
	words[n++] = "mode=1777";
	words[n++] = "nosuid";
	words[n++] = "nodev";
	if (e->config->size)
		words[n++] = guest_text(g, "size=%llu", (unsigned long long)e->config->size);
	if (e->read_only)
		words[n++] = "ro";
	for (const char *const *o = e->config->options; o && *o; o++)
		words[n++] = *o;
	return oci_mount_add(spec, e->target, "tmpfs", "tmpfs", words, err);
}

static unsigned mounts_depth(const char *target)
{
	unsigned depth = 0;

	for (; *target; target++)
		depth += *target == '/';
	return depth;
}

/* Those that every container has are in it already; one on the same target comes after its. */
static void mounts_sort_emitted(struct oci_spec *spec)
{
	for (size_t i = 1; i < spec->mounts.n; i++) {
		struct oci_mount m = spec->mounts.v[i];
		size_t at = i;

		for (; at > 0 && mounts_depth(spec->mounts.v[at - 1].destination) >
				     mounts_depth(m.destination);
		     at--)
			spec->mounts.v[at] = spec->mounts.v[at - 1];
		spec->mounts.v[at] = m;
	}
}

int mounts_emit(const struct mounts *mounts, struct oci_spec *spec, struct coffer_error *err)
{
	autosteps struct guest_steps g = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < mounts->n; i++) {
		const struct mounts_entry *e = &mounts->v[i];

		r = e->config->kind == COFFER_MOUNT_TMPFS ? mounts_emit_tmpfs(e, &g, spec, err)
							  : mounts_emit_bind(e, &g, spec, err);
	}
	if (r == 0 && g.failed < 0)
		r = err_nomem(err);
	if (r == 0 && mounts->n > 0)
		mounts_sort_emitted(spec);
	return r;
}
