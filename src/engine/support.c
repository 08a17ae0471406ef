/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/support.c - refuse what the engine does not do
 *
 * A field that is asked for and silently ignored makes a container weaker or
 * other than its document says, so it is an error that names the field, before
 * anything is forked or mounted.  Fields whose room refuses them itself
 * (mount words, seccomp actions, resources) are not repeated here.
 *
 * Callers: container.c, exec.c.
 */
#include "engine/support.h"

#include <sched.h>

#include "engine/label.h"
#include "engine/scheduling.h"

/* linux_, root and process are there when a document was validated; a stray one must not crash. */
static int support_check_form(const struct oci_spec *spec, struct coffer_error *err)
{
	if (!spec->linux_)
		return err_invalid(err, "linux is missing");
	if (!spec->process)
		return err_invalid(err, "process is missing");
	if (!spec->root || !spec->root->path)
		return err_invalid(err, "root.path is missing");
	return 0;
}

int support_check_spec(const struct oci_spec *spec, const struct ns_plan *ns,
		       struct coffer_error *err)
{
	const struct oci_linux *l = spec->linux_;
	int r = support_check_form(spec, err);

	if (r < 0 || !ns)
		return r;
	if (l->intel_rdt)
		return err_unsupported(err, "linux.intelRdt is not supported");
	if (l->personality && l->personality->flags.n > 0)
		return err_unsupported(err, "linux.personality.flags: \"%s\" is not supported",
				       l->personality->flags.v[0]);
	if ((spec->hostname || spec->domainname) && !ns_has(ns, CLONE_NEWUTS))
		return err_invalid(err, "hostname needs a uts namespace");
	r = label_check_mount(l->mount_label, err);
	return r < 0 ? r : support_check_process(spec->process, err);
}

int support_check_process(const struct oci_process *process, struct coffer_error *err)
{
	int r;

	if (process->args.n == 0 || !process->args.v[0][0])
		return err_invalid(err, "process.args is empty");
	if (!process->cwd || process->cwd[0] != '/')
		return err_invalid(err, "process.cwd is not an absolute path");
	if (process->user.username)
		return err_unsupported(err, "process.user.username: the engine takes ids only");
	r = label_check(process, err);
	return r < 0 ? r : scheduling_check_cpus(process, err);
}
