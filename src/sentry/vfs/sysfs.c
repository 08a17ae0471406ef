/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/sysfs.c - the part of /sys that programs adapt themselves to
 *
 * Processors, one memory node, the clock source, huge pages, network interfaces by name; else
 * directories that are there to be mounted on or found empty.
 *
 * Called through textfs.
 */
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/facts.h"
#include "sentry/vfs/textfs.h"

#define SYSFS_DIR(name_, dir_) { .name = (name_), .mode = S_IFDIR | 0755, .dir = (dir_) }

static const struct textfs_dir sysfs_empty;

/* --- processors --- */

static int sysfs_show_cpus(struct textfs_node *node, struct buf *out)
{
	return facts_cpu_list(out);
}

static int sysfs_show_cpu_mask(struct textfs_node *node, struct buf *out)
{
	return facts_cpu_mask(out);
}

/* key.fd is the processor's number. */
static int sysfs_show_cpu_number(struct textfs_node *node, struct buf *out)
{
	return buf_printf(out, "%d\n", node->key.fd);
}

static int sysfs_show_cpu_own_mask(struct textfs_node *node, struct buf *out)
{
	return buf_printf(out, "%x\n", node->key.fd < 32 ? 1u << node->key.fd : 0);
}

static const struct textfs_entry sysfs_topology[] = {
	TEXTFS_SHOW("core_id", sysfs_show_cpu_number),
	TEXTFS_TEXT("physical_package_id", "0\n"),
	TEXTFS_TEXT("die_id", "0\n"),
	TEXTFS_SHOW("thread_siblings_list", sysfs_show_cpu_number),
	TEXTFS_SHOW("thread_siblings", sysfs_show_cpu_own_mask),
	TEXTFS_SHOW("core_cpus_list", sysfs_show_cpu_number),
	TEXTFS_SHOW("core_cpus", sysfs_show_cpu_own_mask),
	TEXTFS_SHOW("core_siblings_list", sysfs_show_cpus),
	TEXTFS_SHOW("core_siblings", sysfs_show_cpu_mask),
	TEXTFS_SHOW("package_cpus_list", sysfs_show_cpus),
	TEXTFS_SHOW("package_cpus", sysfs_show_cpu_mask),
};
static const struct textfs_dir sysfs_topology_dir = TEXTFS_DIR(sysfs_topology);

static const struct textfs_entry sysfs_one_cpu[] = {
	TEXTFS_TEXT("online", "1\n"),
	SYSFS_DIR("topology", &sysfs_topology_dir),
};
static const struct textfs_dir sysfs_one_cpu_dir = TEXTFS_DIR(sysfs_one_cpu);
static const struct textfs_entry sysfs_one_cpu_entry = SYSFS_DIR("cpu", &sysfs_one_cpu_dir);

static void sysfs_found_cpu(unsigned cpu, struct textfs_found *out)
{
	out->entry = &sysfs_one_cpu_entry;
	out->key.fd = (int)cpu;
	snprintf(out->name, sizeof(out->name), "cpu%u", cpu);
}

static int sysfs_find_cpu(struct textfs_node *dir, const char *name, struct textfs_found *out)
{
	char *end;
	unsigned long cpu;

	if (strncmp(name, "cpu", 3) != 0 || name[3] < '0' || name[3] > '9')
		return -ENOENT;
	cpu = strtoul(name + 3, &end, 10);
	if (*end || cpu >= facts_cpus() || (name[3] == '0' && name[4]))
		return -ENOENT;
	sysfs_found_cpu((unsigned)cpu, out);
	return 0;
}

static int sysfs_next_cpu(struct textfs_node *dir, uint64_t *cursor, struct textfs_found *out)
{
	if (*cursor >= facts_cpus())
		return -ENOENT;
	sysfs_found_cpu((unsigned)(*cursor)++, out);
	return 0;
}

static const struct textfs_entry sysfs_cpu[] = {
	TEXTFS_SHOW("online", sysfs_show_cpus),
	TEXTFS_SHOW("possible", sysfs_show_cpus),
	TEXTFS_SHOW("present", sysfs_show_cpus),
	TEXTFS_TEXT("offline", "\n"),
	TEXTFS_TEXT("isolated", "\n"),
	TEXTFS_TEXT("kernel_max", "8191\n"),
};
static const struct textfs_dir sysfs_cpu_dir = {
	.entries = sysfs_cpu, .nentries = ARRAY_SIZE(sysfs_cpu),
	.find = sysfs_find_cpu, .next = sysfs_next_cpu,
};

/* --- the rest of devices/system --- */

static int sysfs_show_node_memory(struct textfs_node *node, struct buf *out)
{
	struct facts_memory memory;

	facts_memory(NULL, &memory);
	return buf_printf(out, "Node 0 MemTotal:       %8lu kB\nNode 0 MemFree:        %8lu kB\n"
			       "Node 0 MemUsed:        %8lu kB\n",
			  memory.total / 1024, (memory.total - memory.used) / 1024,
			  memory.used / 1024);
}

static const struct textfs_entry sysfs_node0[] = {
	TEXTFS_SHOW("cpulist", sysfs_show_cpus),
	TEXTFS_SHOW("cpumap", sysfs_show_cpu_mask),
	TEXTFS_TEXT("distance", "10\n"),
	TEXTFS_SHOW("meminfo", sysfs_show_node_memory),
};
static const struct textfs_dir sysfs_node0_dir = TEXTFS_DIR(sysfs_node0);

static const struct textfs_entry sysfs_node[] = {
	TEXTFS_TEXT("online", "0\n"),
	TEXTFS_TEXT("possible", "0\n"),
	TEXTFS_TEXT("has_cpu", "0\n"),
	TEXTFS_TEXT("has_memory", "0\n"),
	TEXTFS_TEXT("has_normal_memory", "0\n"),
	SYSFS_DIR("node0", &sysfs_node0_dir),
};
static const struct textfs_dir sysfs_node_dir = TEXTFS_DIR(sysfs_node);

static const struct textfs_entry sysfs_clocksource0[] = {
	TEXTFS_TEXT("current_clocksource", "tsc\n"),
	TEXTFS_TEXT("available_clocksource", "tsc\n"),
};
static const struct textfs_dir sysfs_clocksource0_dir = TEXTFS_DIR(sysfs_clocksource0);
static const struct textfs_entry sysfs_clocksource[] = {
	SYSFS_DIR("clocksource0", &sysfs_clocksource0_dir),
};
static const struct textfs_dir sysfs_clocksource_dir = TEXTFS_DIR(sysfs_clocksource);

static const struct textfs_entry sysfs_system[] = {
	SYSFS_DIR("cpu", &sysfs_cpu_dir),
	SYSFS_DIR("node", &sysfs_node_dir),
	SYSFS_DIR("clocksource", &sysfs_clocksource_dir),
};
static const struct textfs_dir sysfs_system_dir = TEXTFS_DIR(sysfs_system);

static const struct textfs_entry sysfs_devices[] = {
	SYSFS_DIR("system", &sysfs_system_dir),
	SYSFS_DIR("virtual", &sysfs_empty),
};
static const struct textfs_dir sysfs_devices_dir = TEXTFS_DIR(sysfs_devices);

/* --- kernel --- */

static const struct textfs_entry sysfs_huge[] = {
	TEXTFS_TEXT("enabled", "always madvise [never]\n"),
	TEXTFS_TEXT("defrag", "always defer defer+madvise madvise [never]\n"),
	TEXTFS_TEXT("shmem_enabled", "always within_size advise [never] deny force\n"),
	TEXTFS_TEXT("use_zero_page", "1\n"),
	TEXTFS_TEXT("hpage_pmd_size", "2097152\n"),
};
static const struct textfs_dir sysfs_huge_dir = TEXTFS_DIR(sysfs_huge);

static const struct textfs_entry sysfs_mm[] = {
	SYSFS_DIR("transparent_hugepage", &sysfs_huge_dir),
	SYSFS_DIR("hugepages", &sysfs_empty),
};
static const struct textfs_dir sysfs_mm_dir = TEXTFS_DIR(sysfs_mm);

static const struct textfs_entry sysfs_kernel[] = {
	SYSFS_DIR("mm", &sysfs_mm_dir),
};
static const struct textfs_dir sysfs_kernel_dir = TEXTFS_DIR(sysfs_kernel);

/* --- the root --- */

static const struct textfs_entry sysfs_class[] = {
	SYSFS_DIR("net", &sysfs_empty),
	SYSFS_DIR("block", &sysfs_empty),
	SYSFS_DIR("tty", &sysfs_empty),
};
static const struct textfs_dir sysfs_class_dir = TEXTFS_DIR(sysfs_class);

static const struct textfs_entry sysfs_fs[] = {
	SYSFS_DIR("cgroup", &sysfs_empty),
};
static const struct textfs_dir sysfs_fs_dir = TEXTFS_DIR(sysfs_fs);

static const struct textfs_entry sysfs_root[] = {
	SYSFS_DIR("block", &sysfs_empty),
	SYSFS_DIR("bus", &sysfs_empty),
	SYSFS_DIR("class", &sysfs_class_dir),
	SYSFS_DIR("dev", &sysfs_empty),
	SYSFS_DIR("devices", &sysfs_devices_dir),
	SYSFS_DIR("firmware", &sysfs_empty),
	SYSFS_DIR("fs", &sysfs_fs_dir),
	SYSFS_DIR("kernel", &sysfs_kernel_dir),
	SYSFS_DIR("module", &sysfs_empty),
	SYSFS_DIR("power", &sysfs_empty),
};
static const struct textfs_dir sysfs_root_dir = TEXTFS_DIR(sysfs_root);

static const struct textfs_type sysfs_type = {
	.ops = TEXTFS_OPS("sysfs"),
	.root = { .name = "/", .mode = S_IFDIR | 0555, .dir = &sysfs_root_dir },
	.magic = SYSFS_MAGIC,
	.size = 4096,
};

int sysfs_new(struct super **out)
{
	return textfs_new(&sysfs_type, NULL, out);
}
