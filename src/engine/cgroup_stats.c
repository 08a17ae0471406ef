/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_stats.c - what the container has used, from its groups' files
 *
 * A file that is not there is a figure that this host does not count: it stays
 * zero.  Each part comes from the v1 group of its controller where there is
 * one, else from the v2 group.
 *
 * Callers: control.c.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "engine/cgroup_stats.h"

#define STATS_GROW 16 /* a power of two */

void engine_stats_free(struct engine_stats *s)
{
	struct stats_list *const lists[] = { &s->cpu.percpu, &s->cpu.percpu_kernel,
					     &s->cpu.percpu_user, &s->cpuset.cpus,
					     &s->cpuset.mems };
	struct stats_blkio *b = &s->blkio;
	struct stats_blkio_list *const io[] = { &b->service_bytes, &b->serviced, &b->queued,
						&b->service_time,  &b->wait_time, &b->merged,
						&b->time,	   &b->sectors };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		free(lists[i]->v);
	for (size_t i = 0; i < ARRAY_SIZE(io); i++)
		free(io[i]->v);
	free(s->memory.raw);
	free(s->hugetlb);
	free(s->rdma);
	free(s->interfaces);
	*s = (struct engine_stats){ 0 };
}

/* ---- reading ---- */

void *stats_grow(void *list, size_t n, size_t size)
{
	void **v = list, *p;

	if (n % STATS_GROW == 0) {
		p = reallocarray(*v, n + STATS_GROW, size);
		if (!p)
			return NULL;
		*v = p;
	}
	return memset((char *)*v + n * size, 0, size);
}

char *stats_read(struct cgroup_tree *t, const char *file)
{
	char *text = NULL;
	int fd = t ? cgroup_tree_fd(t) : -1;

	if (fd < 0 || io_read_file(fd, file, CGROUP_FILE_MAX, &text, NULL, NULL) < 0)
		return NULL;
	return text;
}

uint64_t stats_number(struct cgroup_tree *t, const char *file)
{
	uint64_t v = 0;

	return cgroup_get(t, file, &v) < 0 ? 0 : v;
}

uint64_t stats_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (strncmp(p, key, n) == 0 && p[n] == ' ')
			return strtoull(p + n + 1, NULL, 10);
	}
	return 0;
}

int stats_add_number(struct stats_list *list, uint64_t value)
{
	uint64_t *v = stats_grow(&list->v, list->n, sizeof(*v));

	if (!v)
		return -ENOMEM;
	*v = value;
	list->n++;
	return 0;
}

int stats_add_io(struct stats_blkio_list *list, uint64_t major, uint64_t minor, const char *op,
		 uint64_t value)
{
	struct stats_blkio_entry *e = stats_grow(&list->v, list->n, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->major = major;
	e->minor = minor;
	e->value = value;
	snprintf(e->op, sizeof(e->op), "%s", op);
	list->n++;
	return 0;
}

int stats_read_raw(struct cgroup_tree *t, struct stats_memory *out)
{
	autofree char *text = stats_read(t, "memory.stat");
	struct stats_value v, *slot;

	for (const char *p = text; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (sscanf(p, "%47s %" SCNu64, v.key, &v.value) != 2)
			continue;
		slot = stats_grow(&out->raw, out->raw_n, sizeof(*slot));
		if (!slot)
			return -ENOMEM;
		*slot = v;
		out->raw_n++;
	}
	return 0;
}

uint64_t stats_raw_value(const struct stats_memory *m, const char *key)
{
	for (size_t i = 0; i < m->raw_n; i++) {
		if (strcmp(m->raw[i].key, key) == 0)
			return m->raw[i].value;
	}
	return 0;
}

/* ---- the same on v1 and v2 ---- */

static void stats_read_pressure_line(const char *text, const char *key,
				     struct stats_pressure_line *out)
{
	const char *p = text ? strstr(text, key) : NULL;

	if (p)
		sscanf(p + strlen(key), " avg10=%lf avg60=%lf avg300=%lf total=%" SCNu64,
		       &out->avg10, &out->avg60, &out->avg300, &out->total);
}

static void stats_read_pressure(struct cgroup_tree *t, const char *file,
				struct stats_pressure *out)
{
	autofree char *text = stats_read(t, file);

	out->set = text && text[0];
	stats_read_pressure_line(text, "some", &out->some);
	stats_read_pressure_line(text, "full", &out->full);
}

/* Without the controller the processes are counted. */
static int stats_read_pids(const struct cgroup *cg, struct stats_pids *out,
			   struct coffer_error *err)
{
	struct cgroup_tree *t = cgroup_find(cg, CGROUP_PIDS);
	pid_t *pids = NULL;
	size_t n = 0;
	int r;

	t = t ? t : cgroup_unified(cg);
	out->set = true;
	out->limit = stats_number(t, "pids.max");
	if (out->limit == STATS_UNLIMITED)
		out->limit = 0;
	if (t && cgroup_get(t, "pids.current", &out->current) == 0)
		return 0;
	r = cgroup_pids(cg, &pids, &n, err);
	out->current = n;
	free(pids);
	return r;
}

/* "mlx4_0 hca_handle=2 hca_object=max" a line */
static int stats_read_rdma_file(struct cgroup_tree *t, const char *file, bool max,
				struct engine_stats *out)
{
	autofree char *text = stats_read(t, file);
	char device[64], handles[24], objects[24];
	struct stats_rdma *d;
	size_t i;

	for (const char *p = text; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (sscanf(p, "%63s hca_handle=%23s hca_object=%23s", device, handles, objects) !=
		    3)
			continue;
		for (i = 0; i < out->rdma_n && strcmp(out->rdma[i].device, device) != 0; i++)
			;
		d = i < out->rdma_n ? &out->rdma[i] :
				      stats_grow(&out->rdma, out->rdma_n++, sizeof(*d));
		if (!d)
			return -ENOMEM;
		memcpy(d->device, device, sizeof(device));
		*(max ? &d->handles_max : &d->handles) =
			handles[0] == 'm' ? STATS_UNLIMITED : strtoull(handles, NULL, 10);
		*(max ? &d->objects_max : &d->objects) =
			objects[0] == 'm' ? STATS_UNLIMITED : strtoull(objects, NULL, 10);
	}
	return 0;
}

static int stats_read_rdma(struct cgroup_tree *t, struct engine_stats *out)
{
	int r = stats_read_rdma_file(t, "rdma.current", false, out);

	return r < 0 ? r : stats_read_rdma_file(t, "rdma.max", true, out);
}

static int stats_add_hugetlb(struct cgroup_tree *t, const char *size, bool v2,
			     struct engine_stats *out)
{
	struct stats_hugetlb *h = stats_grow(&out->hugetlb, out->hugetlb_n, sizeof(*h));
	autofree char *events = NULL;
	char file[64];

	if (!h)
		return -ENOMEM;
	out->hugetlb_n++;
	snprintf(h->page_size, sizeof(h->page_size), "%s", size);
	snprintf(file, sizeof(file), "hugetlb.%s.%s", size, v2 ? "current" : "usage_in_bytes");
	h->usage = stats_number(t, file);
	snprintf(file, sizeof(file), "hugetlb.%s.%s", size, v2 ? "events" : "max_usage_in_bytes");
	if (v2) {
		events = stats_read(t, file);
		h->failcnt = stats_value(events, "max");
		return 0;
	}
	h->max = stats_number(t, file);
	snprintf(file, sizeof(file), "hugetlb.%s.failcnt", size);
	h->failcnt = stats_number(t, file);
	return 0;
}

/* The page sizes are those that the group has files for. */
static int stats_read_hugetlb(struct cgroup_tree *t, struct engine_stats *out)
{
	bool v2 = cgroup_tree_is_v2(t);
	int fd = cgroup_tree_fd(t), own, r = 0;
	autoclosedir DIR *d = NULL;
	struct dirent *de;
	char size[16], tail[24];

	own = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = own < 0 ? NULL : fdopendir(own);
	while (d && r == 0 && (de = readdir(d))) {
		if (sscanf(de->d_name, "hugetlb.%15[^.].%23s", size, tail) == 2 &&
		    strcmp(tail, v2 ? "current" : "usage_in_bytes") == 0)
			r = stats_add_hugetlb(t, size, v2, out);
	}
	return r;
}

int cgroup_stats(const struct cgroup *cg, struct engine_stats *out, struct coffer_error *err)
{
	struct cgroup_tree *v2 = cgroup_unified(cg), *t;
	int r;

	*out = (struct engine_stats){ 0 };
	if (!cg->exists || cg->n == 0 || cgroup_tree_fd(&cg->trees[0]) < 0)
		return err_state(err, "the container has no cgroup");
	r = stats_read_pids(cg, &out->pids, err);
	if (r == 0)
		r = stats_read_v1(cg, out);
	if (r == 0 && v2)
		r = stats_read_v2(cg, v2, out);
	t = cgroup_find(cg, CGROUP_HUGETLB);
	t = t ? t : v2;
	if (r == 0 && t)
		r = stats_read_hugetlb(t, out);
	t = cgroup_find(cg, CGROUP_RDMA);
	t = t ? t : v2;
	if (r == 0 && t)
		r = stats_read_rdma(t, out);
	stats_read_pressure(v2, "cpu.pressure", &out->cpu.psi);
	stats_read_pressure(v2, "memory.pressure", &out->memory.psi);
	stats_read_pressure(v2, "io.pressure", &out->blkio.psi);
	if (r == 0)
		return 0;
	engine_stats_free(out);
	return r == -ENOMEM ? err_nomem(err) : r;
}
