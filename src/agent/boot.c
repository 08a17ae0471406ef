/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/boot.c - PID 1 of a guest: from the kernel's hand-over to serving, and the end
 *
 *	boot_early()       modules up to the vsock device, listener
 *	(link_ready())     the host is being dialled; meanwhile:
 *	boot_settle()      mounts, limits, loopback
 *	(the loop)         the ready line, requests; when there are none:
 *	boot_background()  further CPUs, and much later what nobody waits for
 *
 * Further modules are loaded by the mount that needs them.
 *
 * Under emulation each page of code that runs for the first time costs a tenth
 * of a millisecond and more, so the order is by what the host waits for, and
 * the time until its first request is used.
 *
 * The initramfs cannot be left by pivot_root(2): it has no parent mount.  So
 * it is bound over itself first; containers then pivot away from that mount as
 * they would on any other root.
 *
 * The controllers of cgroup v2 are enabled by the engine, with the first
 * container.
 *
 * Callers: main.c.
 */
#define LOG_CATEGORY "boot"
#include "agent/boot.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
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
#include "agent/timing.h"
#include "base/io.h"
#include "base/log.h"
#include "base/spawn.h"
#include "engine/loopback.h"

#define BOOT_CGROUP	    "/sys/fs/cgroup"
#define BOOT_AGENT_CGROUP   BOOT_CGROUP "/agent"
#define BOOT_CPUS_MAX	    1024
#define BOOT_NOFILE	    1048576
#define BOOT_EMULATED_SCALE 3
#define BOOT_MEMORY_HIGH    "83886080" /* 80 MiB: far above what it needs, far below a runaway */
#define BOOT_MEMORY_LOW	    "52428800" /* 50 MiB: the containers' need does not push it out */

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

/*
 * The one emulator that the machine runs on says its name where a hypervisor
 * would; everything then takes several times as long.
 */
static void boot_scale_budgets(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d;

	__cpuid(0x40000000, a, b, c, d);
	if (memcmp(&b, "TCGT", 4) == 0 && memcmp(&c, "CGTC", 4) == 0)
		clock_set_scale(BOOT_EMULATED_SCALE);
#endif
}

int boot_early(struct coffer_error *err)
{
	uint64_t begin = link_uptime(), end;
	int fd;

	boot_scale_budgets();
	/* Some kernels have a part of the list built in; the listener is the proof. */
	if (modules_load("core", err) < 0) {
		log_error("%s", err->message);
		err_clear(err);
	}
	timing_stage("modules", begin, end = link_uptime());
	fd = link_listen_vsock(AGENT_PORT, err);
	timing_stage("vsock", end, link_uptime());
	return fd;
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

/* Every machine wants its loopback; a host that asks for it as well finds it up. */
static void boot_raise_loopback(void)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (loopback_raise(&err) < 0)
		log_warning("%s", err.message);
}

static void boot_raise_limits(void)
{
	struct rlimit nofile = { BOOT_NOFILE, BOOT_NOFILE };

	if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
		log_warning("raise RLIMIT_NOFILE: %s", strerror(errno));
}

struct boot_stage {
	const char *name;
	void (*fn)(void);
};

static void boot_run_stage(const struct boot_stage *stage)
{
	uint64_t begin = link_uptime(), end;

	stage->fn();
	end = link_uptime();
	timing_stage(stage->name, begin, end);
	log_debug("%s: %" PRIu64 " us", stage->name, end - begin);
}

void boot_settle(void)
{
	static const struct boot_stage stages[] = {
		{ "root", boot_make_pivotable },
		{ "mounts", boot_mount_all },
		{ "limits", boot_raise_limits },
		{ "loopback", boot_raise_loopback },
	};

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
		boot_run_stage(&stages[i]);
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

static void boot_start_cpus(void)
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

/*
 * A group of its own lets the kernel account for and protect the agent apart
 * from everything else.  Making one and moving there wait for RCU, 15 ms and
 * more under emulation, which no short run should pay.
 */
static void boot_enter_cgroup(void)
{
	static const struct {
		const char *file, *text;
	} writes[] = {
		{ BOOT_AGENT_CGROUP "/cgroup.procs", "0" },
		{ BOOT_CGROUP "/cgroup.subtree_control", "+memory" },
		{ BOOT_AGENT_CGROUP "/memory.high", BOOT_MEMORY_HIGH },
		{ BOOT_AGENT_CGROUP "/memory.low", BOOT_MEMORY_LOW },
	};
	struct coffer_error err = COFFER_ERROR_INIT;

	/* One that is there already is a container's, whose limits are not for the agent. */
	if (mkdir(BOOT_AGENT_CGROUP, 0755) < 0) {
		log_warning("mkdir %s: %s", BOOT_AGENT_CGROUP, strerror(errno));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		if (io_write_file(AT_FDCWD, writes[i].file, writes[i].text, &err) < 0) {
			log_warning("%s", err.message);
			return;
		}
	}
}

static const struct boot_background_stage {
	struct boot_stage stage;
	usec_t after; /* time since the previous one */
} boot_background_stages[] = {
	{ { "cpus", boot_start_cpus }, 0 },
	{ { "cgroup", boot_enter_cgroup }, 5 * USEC_PER_SEC },
};

static void boot_background_handler(struct loop_source *timer, void *data)
{
	static size_t next;

	boot_run_stage(&boot_background_stages[next++].stage);
	if (next == ARRAY_SIZE(boot_background_stages))
		loop_remove(timer);
	else
		loop_arm(timer, boot_background_stages[next].after, 0);
}

void boot_background(struct agent *agent)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct loop_source *timer = NULL;

	if (loop_add_timer(agent->loop, boot_background_handler, NULL, &timer, &err) < 0)
		log_warning("%s", err.message);
	else
		loop_arm(timer, boot_background_stages[0].after, 0);
}

_Noreturn void boot_power_off(const struct coffer_error *why)
{
	log_error("cannot serve: %s", why->message);
	sync();
	/* The monitor runs the machine so that a reset ends it. */
	reboot(RB_AUTOBOOT);
	_exit(1);
}
