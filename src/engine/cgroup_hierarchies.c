/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_hierarchies.c - which hierarchies this host has, and where we are in them
 *
 * A host with v2 alone is told by one system call.  Else /proc/self/mountinfo
 * lists the v1 hierarchies (with one controller, several, or just a name) and,
 * beside them, often v2: kept for cgroup.kill and cgroup.freeze, and for the
 * controllers that v1 has left to it.  Of a hierarchy that is mounted twice
 * the first mount counts that is not hidden by another.
 *
 * Callers: cgroup.c.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/io.h"
#include "engine/cgroup_internal.h"

#define CGROUP_TABLE_MAX ((size_t)16 << 20) /* bytes of mountinfo */
#define CGROUP_TREES_MAX 32

static const char *const cgroup_controller_names[] = {
	[CGROUP_CPU] = "cpu",
	[CGROUP_CPUACCT] = "cpuacct",
	[CGROUP_CPUSET] = "cpuset",
	[CGROUP_MEMORY] = "memory",
	[CGROUP_DEVICES] = "devices",
	[CGROUP_FREEZER] = "freezer",
	[CGROUP_BLKIO] = "blkio",
	[CGROUP_PIDS] = "pids",
	[CGROUP_HUGETLB] = "hugetlb",
	[CGROUP_RDMA] = "rdma",
	[CGROUP_NET_CLS] = "net_cls",
	[CGROUP_NET_PRIO] = "net_prio",
	[CGROUP_PERF_EVENT] = "perf_event",
	[CGROUP_MISC] = "misc",
};

_Static_assert(ARRAY_SIZE(cgroup_controller_names) == CGROUP_CONTROLLER_COUNT, "names");

/* A line of mountinfo; strings point into it. */
struct cgroup_mount {
	unsigned major, minor;
	char *root, *point, *type, *options;
};

const char *cgroup_controller_name(enum cgroup_controller controller)
{
	return cgroup_controller_names[controller];
}

/* Return: bits of @names, or 0 */
unsigned cgroup_parse_controllers(const char *names)
{
	unsigned bits = 0;
	size_t n;

	for (const char *p = names; *p; p += n + (p[n] == ',')) {
		n = strcspn(p, ",");
		for (unsigned i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
			if (strlen(cgroup_controller_names[i]) == n &&
			    strncmp(cgroup_controller_names[i], p, n) == 0)
				bits |= 1U << i;
		}
	}
	return bits;
}

/* ---- mountinfo ---- */

/* "\040" and the like, in place. */
static void cgroup_unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && strspn(s + 1, "01234567") >= 3) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* "31 23 0:28 ROOT POINT options tags... - TYPE SOURCE OPTIONS" */
static bool cgroup_parse_mount(char *line, struct cgroup_mount *out)
{
	char *tail = strstr(line, " - cgroup"), *save = NULL, *word;

	if (!tail)
		return false;
	*tail = '\0';
	out->type = strtok_r(tail + strlen(" - "), " ", &save);
	strtok_r(NULL, " ", &save);
	out->options = strtok_r(NULL, " ", &save);
	strtok_r(line, " ", &save);
	strtok_r(NULL, " ", &save);
	word = strtok_r(NULL, " ", &save);
	out->root = strtok_r(NULL, " ", &save);
	out->point = strtok_r(NULL, " ", &save);
	if (!out->options || !out->point || sscanf(word, "%u:%u", &out->major, &out->minor) != 2)
		return false;
	cgroup_unescape(out->root);
	cgroup_unescape(out->point);
	return true;
}

/* Of "rw,cpu,cpuacct,name=x" the words that name the hierarchy. Return: malloc'd */
static char *cgroup_names_of(const char *options)
{
	char *names = calloc(1, strlen(options) + 1);
	size_t n, len = 0;

	for (const char *p = options; names && *p; p += n + (p[n] == ',')) {
		char word[64];

		n = strcspn(p, ",");
		snprintf(word, sizeof(word), "%.*s", (int)n, p);
		if (strncmp(word, "name=", 5) != 0 && !cgroup_parse_controllers(word))
			continue;
		if (len > 0)
			names[len++] = ',';
		memcpy(names + len, p, n);
		len += n;
	}
	return names;
}

static bool cgroup_is_known(const struct cgroup *cg, const char *names)
{
	for (size_t i = 0; i < cg->n; i++) {
		if (strcmp(cg->trees[i].names, names) == 0)
			return true;
	}
	return false;
}

static bool cgroup_is_visible(const struct cgroup_mount *m)
{
	struct stat st;

	return stat(m->point, &st) == 0 && major(st.st_dev) == m->major &&
	       minor(st.st_dev) == m->minor;
}

static int cgroup_add_tree(struct cgroup *cg, const struct cgroup_mount *m,
			   struct coffer_error *err)
{
	bool v2 = strcmp(m->type, "cgroup2") == 0;
	autofree char *names = v2 ? strdup("") : cgroup_names_of(m->options);
	struct cgroup_tree *t = &cg->trees[cg->n];

	if (!names)
		return err_nomem(err);
	if ((!v2 && !names[0]) || cgroup_is_known(cg, names))
		return 0;
	if (cg->n == CGROUP_TREES_MAX)
		return err_sysn(err, E2BIG, "more than %d cgroup hierarchies", CGROUP_TREES_MAX);
	*t = (struct cgroup_tree){ .dir = strdup(m->point), .shows = strdup(m->root),
				   .controllers = cgroup_parse_controllers(names),
				   .root_len = strlen(m->point), .fd = -1 };
	t->names = steal_ptr(names);
	cg->n++;
	return t->dir && t->shows ? 0 : err_nomem(err);
}

static int cgroup_discover_mounts(struct cgroup *cg, struct coffer_error *err)
{
	autofree char *text = NULL;
	struct cgroup_mount m;
	int r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", CGROUP_TABLE_MAX, &text, NULL, err);

	for (char *line = text, *next; r == 0 && *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (cgroup_parse_mount(line, &m) && cgroup_is_visible(&m))
			r = cgroup_add_tree(cg, &m, err);
	}
	return r;
}

int cgroup_discover(struct cgroup *cg, struct coffer_error *err)
{
	char type[] = "cgroup2", root[] = "/", point[] = CGROUP_ROOT;
	struct cgroup_mount m = { .type = type, .root = root, .point = point, .options = root };
	struct statfs fs;

	cg->n = 0;
	cg->trees = calloc(CGROUP_TREES_MAX + 1, sizeof(*cg->trees));
	if (!cg->trees)
		return err_nomem(err);
	if (statfs(CGROUP_ROOT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
		return cgroup_add_tree(cg, &m, err);
	return cgroup_discover_mounts(cg, err);
}

/* ---- our own place ---- */

/* The line of /proc/PID/cgroup of @t's hierarchy: "3:cpu,cpuacct:/path". Return: path or NULL */
char *cgroup_find_line(char *text, const struct cgroup_tree *t)
{
	size_t n;

	for (char *line = text, *end; *line; line = end) {
		char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;

		end = line + strcspn(line, "\n");
		end += *end == '\n';
		if (!path || path > end)
			return NULL;
		n = (size_t)(path - names) - 1;
		if (strlen(t->names) != n || strncmp(names + 1, t->names, n) != 0)
			continue;
		path++;
		path[strcspn(path, "\n")] = '\0';
		return path;
	}
	return NULL;
}

/*
 * The mount may show a part of the hierarchy only; from outside of that part
 * (another cgroup namespace) its root stands for us.
 */
const char *cgroup_path_below_mount(const struct cgroup_tree *t, const char *path)
{
	const char *shows = t->shows ? t->shows : "/";
	size_t n = strcmp(shows, "/") == 0 ? 0 : strlen(shows);

	if (!path || strncmp(path, shows, n) != 0 || (path[n] != '/' && path[n] != '\0') ||
	    strstr(path, "/../"))
		return "";
	return path + n;
}

bool cgroup_hierarchy(const struct cgroup *cg, size_t i, struct cgroup_hierarchy *out)
{
	if (!cg || i >= cg->n)
		return false;
	*out = (struct cgroup_hierarchy){ .names = cg->trees[i].names, .dir = cg->trees[i].dir,
					  .mount_len = cg->trees[i].root_len,
					  .fd = cgroup_tree_fd(&cg->trees[i]) };
	if (out->fd < 0)
		out->fd = -1;
	return true;
}
