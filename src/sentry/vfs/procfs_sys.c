/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs_sys.c - /proc/sys
 *
 * Values that programs read to adapt themselves. Few can be changed: what would act on the kernel
 * says so, and what has no effect here is not taken.
 *
 * Called through procfs.c's table.
 */
#include "sentry/vfs/procfs.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "sentry/net/socket.h"
#include "sentry/vfs/facts.h"

#define PROCFS_PID_MAX "32768\n"

static int procfs_show_name(const char name[65], struct buf *out)
{
	char copy[66] = { 0 };

	pthread_mutex_lock(&kernel.tasks_lock);
	memcpy(copy, name, 64);
	procfs_unlock();
	return buf_printf(out, "%s\n", copy);
}

static int procfs_store_name(char name[65], const char *text, size_t len)
{
	size_t n = strcspn(text, "\n");

	if (!task_current || !cred_capable(task_current->cred, CAP_SYS_ADMIN))
		return -EPERM;
	if (n > 64)
		n = 64;
	pthread_mutex_lock(&kernel.tasks_lock);
	memset(name, 0, 65);
	memcpy(name, text, n);
	procfs_unlock();
	return 0;
}

static int procfs_show_hostname(struct textfs_node *node, struct buf *out)
{
	return procfs_show_name(textfs_container(node)->hostname, out);
}

static int procfs_store_hostname(struct textfs_node *node, const char *text, size_t len)
{
	return procfs_store_name(textfs_container(node)->hostname, text, len);
}

static int procfs_show_domainname(struct textfs_node *node, struct buf *out)
{
	return procfs_show_name(textfs_container(node)->domainname, out);
}

static int procfs_store_domainname(struct textfs_node *node, const char *text, size_t len)
{
	return procfs_store_name(textfs_container(node)->domainname, text, len);
}

static int procfs_print_uuid(struct buf *out, uint8_t b[16])
{
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	return buf_printf(out,
			  "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n",
			  b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
			  b[12], b[13], b[14], b[15]);
}

static int procfs_show_uuid(struct textfs_node *node, struct buf *out)
{
	uint8_t bytes[16];

	if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) != sizeof(bytes))
		return -EAGAIN;
	return procfs_print_uuid(out, bytes);
}

/* One for the life of this kernel. */
static int procfs_show_boot_id(struct textfs_node *node, struct buf *out)
{
	static uint8_t id[16]; /* tasks_lock */
	static bool known;     /* tasks_lock */
	uint8_t bytes[16];

	pthread_mutex_lock(&kernel.tasks_lock);
	if (!known)
		known = getrandom(id, sizeof(id), GRND_NONBLOCK) == sizeof(id);
	memcpy(bytes, id, sizeof(bytes));
	procfs_unlock();
	return procfs_print_uuid(out, bytes);
}

static int procfs_show_threads_max(struct textfs_node *node, struct buf *out)
{
	return buf_printf(out, "%u\n", kernel.pids_max ? kernel.pids_max : 32768);
}

static const struct textfs_entry procfs_sys_random[] = {
	TEXTFS_TEXT("entropy_avail", "256\n"),
	TEXTFS_TEXT("poolsize", "256\n"),
	TEXTFS_SHOW("boot_id", procfs_show_boot_id),
	TEXTFS_SHOW("uuid", procfs_show_uuid),
};
static const struct textfs_dir procfs_sys_random_dir = TEXTFS_DIR(procfs_sys_random);

static const struct textfs_entry procfs_sys_yama[] = {
	TEXTFS_TEXT("ptrace_scope", "0\n"),
};
static const struct textfs_dir procfs_sys_yama_dir = TEXTFS_DIR(procfs_sys_yama);

static const struct textfs_entry procfs_sys_kernel[] = {
	TEXTFS_TEXT("ostype", FACTS_SYSNAME "\n"),
	TEXTFS_TEXT("osrelease", FACTS_RELEASE "\n"),
	TEXTFS_TEXT("version", FACTS_VERSION "\n"),
	TEXTFS_TEXT("arch", FACTS_MACHINE "\n"),
	{ .name = "hostname", .mode = S_IFREG | 0644, .show = procfs_show_hostname,
	  .store = procfs_store_hostname },
	{ .name = "domainname", .mode = S_IFREG | 0644, .show = procfs_show_domainname,
	  .store = procfs_store_domainname },
	TEXTFS_TEXT("pid_max", PROCFS_PID_MAX),
	TEXTFS_SHOW("threads-max", procfs_show_threads_max),
	TEXTFS_TEXT("ngroups_max", "65536\n"),
	TEXTFS_TEXT("cap_last_cap", "40\n"),
	TEXTFS_TEXT("overflowuid", "65534\n"),
	TEXTFS_TEXT("overflowgid", "65534\n"),
	TEXTFS_TEXT("core_pattern", "core\n"),
	TEXTFS_TEXT("core_uses_pid", "0\n"),
	TEXTFS_TEXT("dmesg_restrict", "1\n"),
	TEXTFS_TEXT("kptr_restrict", "1\n"),
	TEXTFS_TEXT("perf_event_paranoid", "3\n"),
	TEXTFS_TEXT("randomize_va_space", "2\n"),
	TEXTFS_TEXT("sched_child_runs_first", "0\n"),
	TEXTFS_TEXT("sched_rt_period_us", "1000000\n"),
	TEXTFS_TEXT("sched_rt_runtime_us", "950000\n"),
	TEXTFS_TEXT("tainted", "0\n"),
	TEXTFS_TEXT("unprivileged_bpf_disabled", "2\n"),
	TEXTFS_TEXT("printk", "4\t4\t1\t7\n"),
	TEXTFS_TEXT("shmmax", "18446744073692774399\n"),
	TEXTFS_TEXT("shmall", "18446744073692774399\n"),
	TEXTFS_TEXT("shmmni", "4096\n"),
	TEXTFS_TEXT("msgmax", "8192\n"),
	TEXTFS_TEXT("msgmnb", "16384\n"),
	TEXTFS_TEXT("msgmni", "4096\n"),
	TEXTFS_TEXT("sem", "32000\t1024000000\t500\t4096\n"),
	TEXTFS_TEXT("seccomp_actions_avail", "\n"),
	{ .name = "random", .mode = S_IFDIR | 0555, .dir = &procfs_sys_random_dir },
	{ .name = "yama", .mode = S_IFDIR | 0555, .dir = &procfs_sys_yama_dir },
};
static const struct textfs_dir procfs_sys_kernel_dir = TEXTFS_DIR(procfs_sys_kernel);

static const struct textfs_entry procfs_sys_vm[] = {
	TEXTFS_TEXT("overcommit_memory", "1\n"),
	TEXTFS_TEXT("overcommit_ratio", "50\n"),
	TEXTFS_TEXT("overcommit_kbytes", "0\n"),
	TEXTFS_TEXT("max_map_count", "65530\n"),
	TEXTFS_TEXT("mmap_min_addr", "65536\n"),
	TEXTFS_TEXT("swappiness", "0\n"),
	TEXTFS_TEXT("nr_hugepages", "0\n"),
	TEXTFS_TEXT("min_free_kbytes", "8192\n"),
	TEXTFS_TEXT("vfs_cache_pressure", "100\n"),
	TEXTFS_TEXT("dirty_ratio", "20\n"),
	TEXTFS_TEXT("dirty_background_ratio", "10\n"),
	TEXTFS_TEXT("panic_on_oom", "0\n"),
	TEXTFS_TEXT("oom_kill_allocating_task", "0\n"),
};
static const struct textfs_dir procfs_sys_vm_dir = TEXTFS_DIR(procfs_sys_vm);

static const struct textfs_entry procfs_sys_inotify[] = {
	TEXTFS_TEXT("max_queued_events", "16384\n"),
	TEXTFS_TEXT("max_user_instances", "128\n"),
	TEXTFS_TEXT("max_user_watches", "65536\n"),
};
static const struct textfs_dir procfs_sys_inotify_dir = TEXTFS_DIR(procfs_sys_inotify);

static const struct textfs_entry procfs_sys_epoll[] = {
	TEXTFS_TEXT("max_user_watches", "1048576\n"),
};
static const struct textfs_dir procfs_sys_epoll_dir = TEXTFS_DIR(procfs_sys_epoll);

static int procfs_sys_show_file_max(struct textfs_node *node, struct buf *out)
{
	unsigned max;

	file_count(&max);
	return buf_printf(out, "%u\n", max);
}

static int procfs_sys_show_file_nr(struct textfs_node *node, struct buf *out)
{
	unsigned max, count = file_count(&max);

	return buf_printf(out, "%u\t0\t%u\n", count, max);
}

static const struct textfs_entry procfs_sys_fs[] = {
	TEXTFS_SHOW("file-max", procfs_sys_show_file_max),
	TEXTFS_SHOW("file-nr", procfs_sys_show_file_nr),
	TEXTFS_TEXT("nr_open", "1048576\n"),
	TEXTFS_TEXT("pipe-max-size", "1048576\n"),
	TEXTFS_TEXT("pipe-user-pages-soft", "16384\n"),
	TEXTFS_TEXT("pipe-user-pages-hard", "0\n"),
	TEXTFS_TEXT("aio-max-nr", "65536\n"),
	TEXTFS_TEXT("aio-nr", "0\n"),
	TEXTFS_TEXT("lease-break-time", "45\n"),
	TEXTFS_TEXT("overflowuid", "65534\n"),
	TEXTFS_TEXT("overflowgid", "65534\n"),
	TEXTFS_TEXT("protected_fifos", "0\n"),
	TEXTFS_TEXT("protected_hardlinks", "0\n"),
	TEXTFS_TEXT("protected_regular", "0\n"),
	TEXTFS_TEXT("protected_symlinks", "0\n"),
	TEXTFS_TEXT("suid_dumpable", "0\n"),
	{ .name = "inotify", .mode = S_IFDIR | 0555, .dir = &procfs_sys_inotify_dir },
	{ .name = "epoll", .mode = S_IFDIR | 0555, .dir = &procfs_sys_epoll_dir },
};
static const struct textfs_dir procfs_sys_fs_dir = TEXTFS_DIR(procfs_sys_fs);

static const struct textfs_entry procfs_sys_net_core[] = {
	TEXTFS_TEXT("somaxconn", "4096\n"),
	TEXTFS_TEXT("rmem_default", "212992\n"),
	TEXTFS_TEXT("rmem_max", "212992\n"),
	TEXTFS_TEXT("wmem_default", "212992\n"),
	TEXTFS_TEXT("wmem_max", "212992\n"),
	TEXTFS_TEXT("optmem_max", "20480\n"),
};
static const struct textfs_dir procfs_sys_net_core_dir = TEXTFS_DIR(procfs_sys_net_core);

/* Ours is the group that the host asks about: all may, or nobody. */
static int procfs_show_ping_group_range(struct textfs_node *node, struct buf *out)
{
	return buf_printf(out, "%s\n", host_pings ? "0\t2147483647" : "1\t0");
}

static const struct textfs_entry procfs_sys_net_ipv4[] = {
	TEXTFS_TEXT("ip_forward", "0\n"),
	TEXTFS_TEXT("ip_local_port_range", "32768\t60999\n"),
	TEXTFS_TEXT("ip_local_reserved_ports", "\n"),
	TEXTFS_TEXT("ip_nonlocal_bind", "0\n"),
	TEXTFS_TEXT("ip_unprivileged_port_start", "1024\n"),
	TEXTFS_TEXT("ip_default_ttl", "64\n"),
	TEXTFS_SHOW("ping_group_range", procfs_show_ping_group_range),
	TEXTFS_TEXT("tcp_congestion_control", "cubic\n"),
	TEXTFS_TEXT("tcp_available_congestion_control", "cubic\n"),
	TEXTFS_TEXT("tcp_allowed_congestion_control", "cubic\n"),
	TEXTFS_TEXT("tcp_fastopen", "1\n"),
	TEXTFS_TEXT("tcp_fin_timeout", "60\n"),
	TEXTFS_TEXT("tcp_keepalive_time", "7200\n"),
	TEXTFS_TEXT("tcp_keepalive_intvl", "75\n"),
	TEXTFS_TEXT("tcp_keepalive_probes", "9\n"),
	TEXTFS_TEXT("tcp_max_syn_backlog", "1024\n"),
	TEXTFS_TEXT("tcp_syncookies", "1\n"),
	TEXTFS_TEXT("tcp_tw_reuse", "2\n"),
	TEXTFS_TEXT("tcp_timestamps", "1\n"),
	TEXTFS_TEXT("tcp_sack", "1\n"),
	TEXTFS_TEXT("tcp_window_scaling", "1\n"),
	TEXTFS_TEXT("tcp_rmem", "4096\t131072\t6291456\n"),
	TEXTFS_TEXT("tcp_wmem", "4096\t16384\t4194304\n"),
};
static const struct textfs_dir procfs_sys_net_ipv4_dir = TEXTFS_DIR(procfs_sys_net_ipv4);

static const struct textfs_entry procfs_sys_net_unix[] = {
	TEXTFS_TEXT("max_dgram_qlen", "512\n"),
};
static const struct textfs_dir procfs_sys_net_unix_dir = TEXTFS_DIR(procfs_sys_net_unix);

static const struct textfs_entry procfs_sys_net[] = {
	{ .name = "core", .mode = S_IFDIR | 0555, .dir = &procfs_sys_net_core_dir },
	{ .name = "ipv4", .mode = S_IFDIR | 0555, .dir = &procfs_sys_net_ipv4_dir },
	{ .name = "unix", .mode = S_IFDIR | 0555, .dir = &procfs_sys_net_unix_dir },
};
static const struct textfs_dir procfs_sys_net_dir = TEXTFS_DIR(procfs_sys_net);

static const struct textfs_entry procfs_sys_entries[] = {
	{ .name = "kernel", .mode = S_IFDIR | 0555, .dir = &procfs_sys_kernel_dir },
	{ .name = "vm", .mode = S_IFDIR | 0555, .dir = &procfs_sys_vm_dir },
	{ .name = "fs", .mode = S_IFDIR | 0555, .dir = &procfs_sys_fs_dir },
	{ .name = "net", .mode = S_IFDIR | 0555, .dir = &procfs_sys_net_dir },
};

const struct textfs_dir procfs_sys_dir = TEXTFS_DIR(procfs_sys_entries);
