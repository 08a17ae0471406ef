/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/boot.c - PID 1 of a guest: from the kernel's hand-over to serving, and the end
 *
 *	boot_early()       modules up to the vsock device, listener
 *	(link_ready())     the host is being told; meanwhile:
 *	boot_settle()      mounts, own cgroup, limits, the remaining core modules
 *	boot_background()  further CPUs, by a child
 *
 * Under emulation each page of code that runs for the first time costs a tenth
 * of a millisecond and more, so the order is by what the host waits for.
 *
 * The initramfs cannot be left by pivot_root(2): it has no parent mount.  So
 * it is bound over itself first; containers then pivot away from that mount as
 * they would on any other root.
 *
 * Callers: main.c.
 */
#define LOG_CATEGORY "boot"
#include "agent/boot.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/link.h"
#include "agent/modules.h"
#include "base/io.h"
#include "base/log.h"
#include "base/spawn.h"

#define BOOT_VSOCK_MODULE "vmw_vsock_virtio_transport"
#define BOOT_CGROUP	  "/sys/fs/cgroup"
#define BOOT_AGENT_CGROUP BOOT_CGROUP "/agent"
#define BOOT_CPUS_MAX	  1024
#define BOOT_NOFILE	  1048576

struct boot_mount {
	const char *source, *target, *type, *data;
	unsigned long flags;
};

static const struct boot_mount boot_mounts[] = {
	{ "proc", "/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "devtmpfs", "/dev", "devtmpfs", "mode=755", MS_NOSUID },
	{ "sysfs", "/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "tmpfs", "/run", "tmpfs", "mode=755", MS_NOSUID | MS_NODEV },
	{ "tmpfs", "/tmp", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV },
	{ "devpts", "/dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC },
	{ "cgroup2", BOOT_CGROUP, "cgroup2", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
};

int boot_early(struct coffer_error *err)
{
	/* A module that fails, a disk's say, need not keep the agent from serving. */
	if (modules_load("core", BOOT_VSOCK_MODULE, err) < 0) {
		log_error("%s", err->message);
		err_clear(err);
	}
	return link_listen_vsock(err);
}

static void boot_make_pivotable(void)
{
	if (mount("/", "/run", NULL, MS_BIND, NULL) < 0 || chdir("/run") < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		log_error("bind the root over itself: %s", strerror(errno));
	if (chdir("/") < 0)
		log_error("chdir /: %s", strerror(errno));
}

static void boot_mount_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(boot_mounts); i++) {
		const struct boot_mount *m = &boot_mounts[i];

		/* Most targets are there; devtmpfs comes without its pts. */
		if (mount(m->source, m->target, m->type, m->flags, m->data) == 0)
			continue;
		if (errno == ENOENT && mkdir(m->target, 0755) == 0 &&
		    mount(m->source, m->target, m->type, m->flags, m->data) == 0)
			continue;
		log_error("mount %s: %s", m->target, strerror(errno));
	}
}

/* So that a container's limits never bind the agent, nor the agent's cgroup a container. */
static void boot_enter_cgroup(void)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (mkdir(BOOT_AGENT_CGROUP, 0755) < 0 && errno != EEXIST)
		log_error("mkdir %s: %s", BOOT_AGENT_CGROUP, strerror(errno));
	if (io_write_file(AT_FDCWD, BOOT_AGENT_CGROUP "/cgroup.procs", "0", &err) < 0)
		log_error("%s", err.message);
}

/* One word at a time: a controller that this kernel lacks must not refuse the others. */
static void boot_enable_controllers(void)
{
	static const char *const controllers[] = { "+cpuset", "+cpu",	  "+io",
						   "+memory", "+hugetlb", "+pids" };
	autoclose int fd = open(BOOT_CGROUP "/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
	static const char all[] = "+cpuset +cpu +io +memory +hugetlb +pids";

	if (fd < 0 || write(fd, all, strlen(all)) > 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (write(fd, controllers[i], strlen(controllers[i])) < 0)
			log_debug("cgroup controller %s: %s", controllers[i], strerror(errno));
}

static void boot_raise_limits(void)
{
	struct rlimit nofile = { BOOT_NOFILE, BOOT_NOFILE };

	if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
		log_warning("raise RLIMIT_NOFILE: %s", strerror(errno));
}

void boot_settle(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} stages[] = {
		{ "root", boot_make_pivotable },
		{ "mounts", boot_mount_all },
		{ "limits", boot_raise_limits },
		{ "cgroup", boot_enter_cgroup },
		{ "controllers", boot_enable_controllers },
	};
	struct coffer_error err = COFFER_ERROR_INIT;
	usec_t start;

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		start = clock_now();
		stages[i].fn();
		log_debug("%s: %" PRIu64 " us", stages[i].name, clock_now() - start);
	}
	if (modules_load("core", NULL, &err) < 0)
		log_error("%s", err.message);
}

/* Bringing up a CPU takes tens of milliseconds, in which the loop must not stand still. */
static void boot_online_cpus(void)
{
	char path[64];

	for (int cpu = 1; cpu < BOOT_CPUS_MAX; cpu++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
		if (io_write_file(AT_FDCWD, path, "1", NULL) == -ENOENT)
			return;
	}
}

void boot_background(void)
{
	struct child child = CHILD_INIT;
	int r;

	if (access("/sys/devices/system/cpu/cpu1", F_OK) < 0)
		return;
	r = spawn_fork(0, &child, NULL);
	if (r == 0) {
		boot_online_cpus();
		_exit(0);
	}
	/* Reaped like any orphan. */
	close_fd(&child.pidfd);
}

_Noreturn void boot_power_off(const struct coffer_error *why)
{
	log_error("cannot serve: %s", why->message);
	sync();
	/* The monitor runs the machine so that a reset ends it. */
	reboot(RB_AUTOBOOT);
	_exit(1);
}
