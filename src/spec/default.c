/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/default.c - the config a container gets when nobody says otherwise
 *
 * The mounts and namespaces of `runc spec` on cgroup v2, docker's capabilities
 * and its masked and read-only paths.  What depends on the container (args,
 * env, hostname, root, limits) is for the caller to set.
 */
#include "spec/schema.h"

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const char *const default_namespaces[] = {
	"pid", "network", "ipc", "uts", "mount", "cgroup"
};

static const char *const default_capabilities[] = {
	"CAP_AUDIT_WRITE", "CAP_CHOWN",	  "CAP_DAC_OVERRIDE",	  "CAP_FOWNER",	    "CAP_FSETID",
	"CAP_KILL",	   "CAP_MKNOD",	  "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",    "CAP_SETFCAP",
	"CAP_SETGID",	   "CAP_SETPCAP", "CAP_SETUID",		  "CAP_SYS_CHROOT", NULL,
};

static const char *const default_masked[] = {
	"/proc/acpi",	       "/proc/asound",
	"/proc/kcore",	       "/proc/keys",
	"/proc/latency_stats", "/proc/sched_debug",
	"/proc/scsi",	       "/proc/timer_list",
	"/proc/timer_stats",   "/sys/devices/virtual/powercap",
	"/sys/firmware",       NULL,
};

static const char *const default_readonly[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

static const struct {
	const char *destination, *type, *source;
	const char *const *options;
} default_mounts[] = {
	{ "/proc", "proc", "proc", NULL },
	{ "/dev", "tmpfs", "tmpfs", OPTIONS("nosuid", "strictatime", "mode=755", "size=65536k") },
	{ "/dev/pts", "devpts", "devpts",
	  OPTIONS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5") },
	{ "/dev/shm", "tmpfs", "shm",
	  OPTIONS("nosuid", "noexec", "nodev", "mode=1777", "size=65536k") },
	{ "/dev/mqueue", "mqueue", "mqueue", OPTIONS("nosuid", "noexec", "nodev") },
	{ "/sys", "sysfs", "sysfs", OPTIONS("nosuid", "noexec", "nodev", "ro") },
	{ "/sys/fs/cgroup", "cgroup", "cgroup",
	  OPTIONS("nosuid", "noexec", "nodev", "relatime", "ro") },
};

static int default_process(struct oci_process *p, struct coffer_error *err)
{
	struct oci_capabilities *caps = calloc(1, sizeof(*caps));
	int r;

	if (caps == NULL)
		return err_nomem(err);
	p->capabilities = caps;
	p->no_new_privileges = true;
	r = oci_strv_set(&p->args, OPTIONS("sh"), err);
	if (r == 0)
		r = oci_strv_set(&p->env,
				 OPTIONS("PATH=/usr/local/sbin:/usr/local/bin:"
					 "/usr/sbin:/usr/bin:/sbin:/bin",
					 "TERM=xterm"),
				 err);
	if (r == 0)
		r = oci_str_set(&p->cwd, "/", err);
	if (r == 0)
		r = oci_strv_set(&caps->bounding, default_capabilities, err);
	if (r == 0)
		r = oci_strv_set(&caps->effective, default_capabilities, err);
	return r == 0 ? oci_strv_set(&caps->permitted, default_capabilities, err) : r;
}

static int default_add_mounts(struct oci_spec *spec, struct coffer_error *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(default_mounts); i++)
		r = oci_mount_add(spec, default_mounts[i].destination, default_mounts[i].type,
				  default_mounts[i].source, default_mounts[i].options, err);
	return r;
}

/* default_deny_devices() - One rule: nothing but what the runtime itself supplies */
static int default_deny_devices(struct oci_spec *spec, struct coffer_error *err)
{
	struct oci_resources *res = oci_resources_get(spec);
	struct oci_device_rule *rule;

	if (res == NULL)
		return err_nomem(err);
	rule = calloc(1, sizeof(*rule));
	if (rule == NULL)
		return err_nomem(err);
	res->devices.v = rule;
	res->devices.n = 1;
	return oci_str_set(&rule->access, "rwm", err);
}

static int default_linux(struct oci_spec *spec, struct coffer_error *err)
{
	size_t i;
	int r = default_deny_devices(spec, err);

	for (i = 0; r == 0 && i < ARRAY_SIZE(default_namespaces); i++)
		r = oci_namespace_add(spec, default_namespaces[i], NULL, err);
	if (r == 0)
		r = oci_strv_set(&spec->linux_->masked_paths, default_masked, err);
	return r == 0 ? oci_strv_set(&spec->linux_->readonly_paths, default_readonly, err) : r;
}

int oci_spec_default(struct oci_spec **out, struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *spec = calloc(1, sizeof(*spec));
	int r;

	*out = NULL;
	if (spec == NULL)
		return err_nomem(err);
	spec->process = calloc(1, sizeof(*spec->process));
	spec->root = calloc(1, sizeof(*spec->root));
	if (spec->process == NULL || spec->root == NULL)
		return err_nomem(err);
	r = oci_str_set(&spec->oci_version, OCI_VERSION, err);
	if (r == 0)
		r = oci_str_set(&spec->root->path, "rootfs", err);
	if (r == 0)
		r = default_process(spec->process, err);
	if (r == 0)
		r = default_add_mounts(spec, err);
	if (r == 0)
		r = default_linux(spec, err);
	if (r == 0)
		*out = steal_ptr(spec);
	return r;
}
