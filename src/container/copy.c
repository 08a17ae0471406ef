/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/copy.c - files into and out of a started container
 *
 *	copy_plan.c   which directory, which name
 *	copy_run.c    the stream, its limits, the guest's verdict
 *	archive/      the tree on this side, to or from a pax archive
 *
 * The same on either kind of container: the transfer table knows where the
 * machine is.  No lock is held, so a process can be signalled, others copied
 * and started meanwhile.
 *
 * Out of the container nothing is believed: whatever the archive says, it is
 * unpacked below the one directory that the plan names.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/pack.h"
#include "archive/unpack.h"
#include "base/sized.h"
#include "container/copy_options.h"
#include "container/copy_plan.h"
#include "container/copy_run.h"

int copy_take_options(const struct coffer_copy_options *in, struct coffer_copy_options *out,
		      struct coffer_error *err)
{
	int r = 0;

	*out = (struct coffer_copy_options)COFFER_COPY_OPTIONS_INIT;
	if (in)
		r = sized_import(out, sizeof(*out), in, "copy options", err);
	/* What an older caller does not have is zero, and that is a descriptor. */
	if (r == 0 && in && in->size <= offsetof(struct coffer_copy_options, cancel_fd))
		out->cancel_fd = -1;
	return r;
}

static int copy_stat_guest(void *data, const char *path, bool follow,
			   struct coffer_path_stat *out, struct coffer_error *err)
{
	struct coffer_container *c = data;

	return transfer_ops_of(c)->stat(c, path, follow, out, err);
}

static int copy_stat_host(void *data, const char *path, bool follow, struct coffer_path_stat *out,
			  struct coffer_error *err)
{
	struct stat st;
	ssize_t n = 0;

	if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "%s", path);
	if (S_ISLNK(st.st_mode))
		n = readlink(path, out->link_target, sizeof(out->link_target) - 1);
	if (n < 0)
		return err_sys(err, "read the link %s", path);
	out->link_target[n] = '\0';
	out->mode = st.st_mode;
	return 0;
}

static const struct copy_side copy_host = { .where = "host", .stat = copy_stat_host };

struct copy_side copy_guest(struct coffer_container *c)
{
	return (struct copy_side){ .where = "container", .absolute = true,
				   .stat = copy_stat_guest, .data = c };
}

static int copy_in_planned(struct coffer_container *c, const struct copy_plan *plan,
			   const struct coffer_copy_options *o, struct coffer_error *err)
{
	const struct transfer_request request = { .kind = TRANSFER_PUT, .path = plan->dir,
						  .keep_types = true,
						  .keep_owners = o->keep_owners };
	const struct pack_options pack = { .root = *plan->name ? plan->name : NULL };
	autoclose int node = open(plan->source,
				  O_PATH | O_CLOEXEC | (plan->follow ? 0 : O_NOFOLLOW));
	struct copy_run run;
	int r;

	if (node < 0)
		return err_sys(err, "open %s", plan->source);
	r = copy_run_begin(&run, c, &request, o->cancel_fd, err);
	if (r < 0)
		return r;
	r = pack_tree(run.t.data_fd, node, &pack, NULL, err);
	return copy_run_end(&run, r, NULL, err);
}

int coffer_container_copy_in(struct coffer_container *c, const char *source, const char *target,
			     const struct coffer_copy_options *options, struct coffer_error *err)
{
	const struct copy_side guest = copy_guest(c);
	struct coffer_error own = COFFER_ERROR_INIT;
	struct coffer_copy_options o;
	struct copy_plan plan;
	int r = copy_take_options(options, &o, &own);

	if (r == 0)
		r = copy_plan_make(&copy_host, source, o.follow_link, &guest, target, &plan, &own);
	if (r == 0)
		r = copy_in_planned(c, &plan, &o, &own);
	if (r == 0)
		return 0;
	r = err_wrap(&own, "copy %s to %s in container %s", source, target, c->id);
	if (err)
		*err = own;
	return r;
}

static int copy_out_unpack(struct copy_run *run, int dir, const struct copy_plan *plan,
			   const struct coffer_copy_options *o, struct coffer_error *err)
{
	const struct unpack_options unpack = { .keep_types = true,
					       .keep_owners = o->keep_owners && geteuid() == 0,
					       .root = plan->name,
					       .distrust = true };
	struct unpack_done done;
	uint64_t sent = 0;
	int r = unpack_tree(run->t.data_fd, dir, &unpack, &done, err);
	bool whole = r == 0;

	r = copy_run_end(run, r, &sent, err);
	if (r == 0 && sent != done.bytes)
		r = err_set(err, COFFER_ERR_INTERNAL, EPROTO,
			    "the guest sent %llu bytes and says %llu",
			    (unsigned long long)done.bytes, (unsigned long long)sent);
	/* One that looks well, but is not. */
	if (r < 0 && whole && !plan->is_dir)
		unlinkat(dir, plan->name, 0);
	return r;
}

static int copy_out_planned(struct coffer_container *c, const struct copy_plan *plan,
			    const struct coffer_copy_options *o, struct coffer_error *err)
{
	const struct transfer_request request = { .kind = TRANSFER_GET, .path = plan->source,
						  .follow = plan->follow };
	autoclose int dir = open(plan->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct copy_run run;
	int r;

	if (dir < 0)
		return err_sys(err, "open %s", plan->dir);
	r = copy_run_begin(&run, c, &request, o->cancel_fd, err);
	return r < 0 ? r : copy_out_unpack(&run, dir, plan, o, err);
}

int coffer_container_copy_out(struct coffer_container *c, const char *source, const char *target,
			      const struct coffer_copy_options *options, struct coffer_error *err)
{
	const struct copy_side guest = copy_guest(c);
	struct coffer_error own = COFFER_ERROR_INIT;
	struct coffer_copy_options o;
	struct copy_plan plan;
	int r = copy_take_options(options, &o, &own);

	if (r == 0)
		r = copy_plan_make(&guest, source, o.follow_link, &copy_host, target, &plan, &own);
	if (r == 0)
		r = copy_out_planned(c, &plan, &o, &own);
	if (r == 0)
		return 0;
	r = err_wrap(&own, "copy %s of container %s to %s", source, c->id, target);
	if (err)
		*err = own;
	return r;
}

int coffer_container_stat(struct coffer_container *c, const char *path, bool follow_link,
			  struct coffer_path_stat *out, struct coffer_error *err)
{
	struct coffer_path_stat full = { .size = sizeof(full) };
	const struct copy_side guest = copy_guest(c);
	char clean[PATH_MAX];
	int r = copy_plan_path(&guest, path, clean, err);

	if (r == 0)
		r = transfer_ops_of(c)->stat(c, clean, follow_link, &full, err);
	if (r < 0)
		return err_wrap(err, "stat %s in container %s", path, c->id);
	return sized_export(out, &full, sizeof(full), "stat", err);
}
