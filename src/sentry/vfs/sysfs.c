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
#include "sentry/net/links.h"
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

/* --- network interfaces; key.fd is the number --- */

static int sysfs_match_link(const struct link_info *link, void *data)
{
	struct link_info *wanted = data;

	if (link->index != wanted->index)
		return 0;
	*wanted = *link;
	return 1;
}

static int sysfs_link(const struct textfs_node *node, struct link_info *link)
{
	int r;

	*link = (struct link_info){ .index = node->key.fd };
	r = links_each(sysfs_match_link, link);
	return r < 0 ? r : link->name[0] ? 0 : -ENODEV;
}

static int sysfs_print_address(const uint8_t *bytes, size_t len, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; i < len && !r; i++)
		r = buf_printf(out, "%02x%s", bytes[i], i + 1 < len ? ":" : "");
	return r ? r : buf_append(out, "\n", 1);
}

static int sysfs_show_link(struct textfs_node *node, struct buf *out)
{
	static const char *const states[] = { "unknown", "notpresent", "down", "lowerlayerdown",
					      "testing", "dormant", "up" };
	const char *what = node->entry->name;
	struct link_info link;
	int r = sysfs_link(node, &link);

	if (r)
		return r;
	if (strcmp(what, "address") == 0)
		return sysfs_print_address(link.address, link.address_len, out);
	if (strcmp(what, "broadcast") == 0)
		return sysfs_print_address(link.broadcast, link.address_len, out);
	if (strcmp(what, "operstate") == 0)
		return buf_printf(out, "%s\n",
				  states[link.state < ARRAY_SIZE(states) ? link.state : 0]);
	if (strcmp(what, "flags") == 0)
		return buf_printf(out, "0x%x\n", link.flags);
	if (strcmp(what, "ifindex") == 0 || strcmp(what, "iflink") == 0)
		return buf_printf(out, "%d\n", link.index);
	if (strcmp(what, "mtu") == 0)
		return buf_printf(out, "%u\n", link.mtu);
	if (strcmp(what, "tx_queue_len") == 0)
		return buf_printf(out, "%u\n", link.queue);
	return buf_printf(out, "%u\n", link.type);
}

static const struct textfs_entry sysfs_link_entries[] = {
	TEXTFS_SHOW("address", sysfs_show_link),   TEXTFS_SHOW("broadcast", sysfs_show_link),
	TEXTFS_SHOW("flags", sysfs_show_link),	   TEXTFS_SHOW("ifindex", sysfs_show_link),
	TEXTFS_SHOW("iflink", sysfs_show_link),	   TEXTFS_SHOW("mtu", sysfs_show_link),
	TEXTFS_SHOW("operstate", sysfs_show_link), TEXTFS_SHOW("tx_queue_len", sysfs_show_link),
	TEXTFS_SHOW("type", sysfs_show_link),
};
static const struct textfs_dir sysfs_link_dir = TEXTFS_DIR(sysfs_link_entries);
static const struct textfs_entry sysfs_link_entry = SYSFS_DIR("link", &sysfs_link_dir);

static void sysfs_found_link(const struct link_info *link, struct textfs_found *out)
{
	out->entry = &sysfs_link_entry;
	out->key.fd = link->index;
	snprintf(out->name, sizeof(out->name), "%s", link->name);
}

static int sysfs_find_link(struct textfs_node *dir, const char *name, struct textfs_found *out)
{
	struct link_info link;

	if (links_find(name, &link))
		return -ENOENT;
	sysfs_found_link(&link, out);
	return 0;
}

/* The one with the lowest number from *cursor on. */
struct sysfs_next_link {
	uint64_t from;
	struct link_info best;
};

static int sysfs_lower_link(const struct link_info *link, void *data)
{
	struct sysfs_next_link *next = data;

	if ((uint64_t)link->index >= next->from &&
	    (!next->best.index || link->index < next->best.index))
		next->best = *link;
	return 0;
}

static int sysfs_next_link(struct textfs_node *dir, uint64_t *cursor, struct textfs_found *out)
{
	struct sysfs_next_link next = { .from = *cursor };

	if (links_each(sysfs_lower_link, &next) || !next.best.index)
		return -ENOENT;
	sysfs_found_link(&next.best, out);
	*cursor = (uint64_t)next.best.index + 1;
	return 0;
}

static const struct textfs_dir sysfs_net_dir = {
	.find = sysfs_find_link, .next = sysfs_next_link,
};

/* --- the root --- */

static const struct textfs_entry sysfs_class[] = {
	SYSFS_DIR("net", &sysfs_net_dir),
	SYSFS_DIR("block", &sysfs_empty),
	SYSFS_DIR("tty", &sysfs_empty),
};
static const struct textfs_dir sysfs_class_dir = TEXTFS_DIR(sysfs_class);

static const struct textfs_entry sysfs_dev[] = {
	SYSFS_DIR("block", &sysfs_empty),
	SYSFS_DIR("char", &sysfs_empty),
};
static const struct textfs_dir sysfs_dev_dir = TEXTFS_DIR(sysfs_dev);

static const struct textfs_entry sysfs_fs[] = {
	SYSFS_DIR("cgroup", &sysfs_empty),
};
static const struct textfs_dir sysfs_fs_dir = TEXTFS_DIR(sysfs_fs);

static const struct textfs_entry sysfs_root[] = {
	SYSFS_DIR("block", &sysfs_empty),
	SYSFS_DIR("bus", &sysfs_empty),
	SYSFS_DIR("class", &sysfs_class_dir),
	SYSFS_DIR("dev", &sysfs_dev_dir),
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
