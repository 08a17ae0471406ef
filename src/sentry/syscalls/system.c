/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/system.c - calls about the machine as a whole
 *
 * Names, memory, randomness; and those that act on a machine that a container does not have:
 * modules, other kernels, swap, ports, keys, programs in the kernel. These are refused, with the
 * errno that a Linux without the part gives, or the one for the missing right.
 */
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"
#include "sentry/vfs/facts.h"

/* system_disguise() - What setarch(8) makes programs believe: 6.1 is 2.6.61, the machine an i686 */
static void system_disguise(struct utsname *name, uint32_t personality)
{
	unsigned long minor = strtoul(strchr(FACTS_RELEASE, '.') + 1, NULL, 10);

	if (personality & UNAME26)
		snprintf(name->release, sizeof(name->release), "2.6.%lu", 60 + minor);
	if ((personality & PER_MASK) == PER_LINUX32)
		strcpy(name->machine, "i686");
}

static long system_uname(struct task *task, const uint64_t args[6])
{
	struct sandbox_container *container = task->process->container;
	struct utsname name = {
		.sysname = FACTS_SYSNAME,
		.release = FACTS_RELEASE,
		.version = FACTS_VERSION,
		.machine = FACTS_MACHINE,
	};
	uint32_t personality;

	pthread_mutex_lock(&kernel.tasks_lock);
	personality = task->process->personality;
	memcpy(name.nodename, container->hostname, sizeof(name.nodename) - 1);
	memcpy(name.domainname, container->domainname, sizeof(name.domainname) - 1);
	pthread_mutex_unlock(&kernel.tasks_lock);
	system_disguise(&name, personality);
	return user_write(task->mm, args[0], &name, sizeof(name));
}

/* @name is one of the container's, 65 bytes. */
static long system_set_name(struct task *task, char name[65], const uint64_t args[6])
{
	int len = (int)args[1];
	char value[65] = { 0 };
	int r;

	if (!cred_capable(task->cred, CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len > 64)
		return -EINVAL;
	r = user_read(task->mm, value, args[0], (size_t)len);
	if (r)
		return r;
	pthread_mutex_lock(&kernel.tasks_lock);
	memcpy(name, value, sizeof(value));
	pthread_mutex_unlock(&kernel.tasks_lock);
	return 0;
}

static long system_sethostname(struct task *task, const uint64_t args[6])
{
	return system_set_name(task, task->process->container->hostname, args);
}

static long system_setdomainname(struct task *task, const uint64_t args[6])
{
	return system_set_name(task, task->process->container->domainname, args);
}

static long system_sysinfo(struct task *task, const uint64_t args[6])
{
	struct sandbox_container *container = task->process->container;
	struct facts_memory memory;
	struct facts_load load;
	struct sysinfo info = { .mem_unit = 1 };

	facts_memory(container, &memory);
	pthread_mutex_lock(&kernel.tasks_lock);
	facts_load(container, &load);
	pthread_mutex_unlock(&kernel.tasks_lock);
	info.uptime = (long)(facts_uptime() / USEC_PER_SEC);
	info.totalram = memory.total;
	info.freeram = memory.total - memory.used;
	info.procs = (unsigned short)(load.tasks < UINT16_MAX ? load.tasks : UINT16_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(info.loads); i++)
		info.loads[i] = load.average[i];
	return user_write(task->mm, args[0], &info, sizeof(info));
}

static long system_getrandom(struct task *task, const uint64_t args[6])
{
	const unsigned both = GRND_RANDOM | GRND_INSECURE, known = both | GRND_NONBLOCK;
	uint64_t len = args[1] < MAX_RW_COUNT ? args[1] : MAX_RW_COUNT;
	unsigned flags = (unsigned)args[2];
	uint8_t bytes[1024];
	uint64_t done = 0;

	if ((flags & ~known) || (flags & both) == both)
		return -EINVAL;
	while (done < len) {
		size_t n = len - done < sizeof(bytes) ? (size_t)(len - done) : sizeof(bytes);
		ssize_t got = getrandom(bytes, n, GRND_NONBLOCK);

		if (got <= 0)
			return done ? (long)done : -EAGAIN;
		if (user_write(task->mm, args[0] + done, bytes, (size_t)got))
			return done ? (long)done : -EFAULT;
		done += (uint64_t)got;
		/* As Linux: short requests are never cut by a signal. */
		if (done >= 4096 && atomic_load(&task->interrupted))
			break;
	}
	return (long)done;
}

static long system_not_permitted(struct task *task, const uint64_t args[6])
{
	return -EPERM;
}

static long system_not_here(struct task *task, const uint64_t args[6])
{
	return -ENOSYS;
}

static const char system_right[] = "acts on a machine that a container does not have";
static const char system_absent[] = "as a Linux built without it";

#define SYSTEM_REFUSED(nr_, name_, handler_, note_) \
	{ .nr = (nr_), .name = (name_), .handler = (handler_), \
	  .args = { ARG_HEX, ARG_HEX, ARG_HEX, ARG_HEX }, .support = SYSCALL_NONE, .note = (note_) }
#define SYSTEM_RIGHT(name_)  SYSTEM_REFUSED(SYS_##name_, #name_, system_not_permitted, system_right)
#define SYSTEM_ABSENT(name_) SYSTEM_REFUSED(SYS_##name_, #name_, system_not_here, system_absent)

static const struct syscall_row system_rows[] = {
	{ SYS_uname, "uname", system_uname, { ARG_HEX } },
	{ SYS_sysinfo, "sysinfo", system_sysinfo, { ARG_HEX } },
	{ SYS_sethostname, "sethostname", system_sethostname, { ARG_IN, ARG_INT } },
	{ SYS_setdomainname, "setdomainname", system_setdomainname, { ARG_IN, ARG_INT } },
	{ SYS_getrandom, "getrandom", system_getrandom, { ARG_OUT, ARG_UINT, ARG_HEX } },
	SYSTEM_RIGHT(syslog),
	SYSTEM_RIGHT(reboot),
	SYSTEM_RIGHT(bpf),
	SYSTEM_RIGHT(perf_event_open),
	SYSTEM_RIGHT(init_module),
	SYSTEM_RIGHT(finit_module),
	SYSTEM_RIGHT(delete_module),
	SYSTEM_RIGHT(kexec_load),
	SYSTEM_RIGHT(kexec_file_load),
	SYSTEM_RIGHT(swapon),
	SYSTEM_RIGHT(swapoff),
	SYSTEM_RIGHT(acct),
	SYSTEM_RIGHT(iopl),
	SYSTEM_RIGHT(ioperm),
	SYSTEM_RIGHT(vhangup),
	SYSTEM_RIGHT(quotactl),
	SYSTEM_RIGHT(fanotify_init),
	SYSTEM_RIGHT(fanotify_mark),
	SYSTEM_RIGHT(userfaultfd),
	SYSTEM_RIGHT(open_by_handle_at),
	SYSTEM_RIGHT(lookup_dcookie),
	SYSTEM_ABSENT(io_uring_setup),
	SYSTEM_ABSENT(io_uring_enter),
	SYSTEM_ABSENT(io_uring_register),
	SYSTEM_ABSENT(add_key),
	SYSTEM_ABSENT(request_key),
	SYSTEM_ABSENT(keyctl),
	SYSTEM_ABSENT(seccomp),
	SYSTEM_ABSENT(modify_ldt),
	SYSTEM_ABSENT(uselib),
	SYSTEM_ABSENT(ustat),
	SYSTEM_ABSENT(sysfs),
	SYSTEM_ABSENT(_sysctl),
};

const struct syscall_family syscalls_system = SYSCALL_FAMILY("system", system_rows);
