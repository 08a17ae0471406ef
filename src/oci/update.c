/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/update.c - update: other limits for a container that exists
 *
 * From a linux.resources document or from single options, not both.  In either
 * a zero means "as it is", as callers write out whole documents of zeros.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "oci/handle.h"
#include "oci/sentry.h"

struct update_opts {
	bool help;
	const char *resources, *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *cpu_share,
	    *cpu_rt_period, *cpu_rt_runtime, *cpu_idle, *cpuset_cpus, *cpuset_mems, *kernel_memory,
	    *kernel_memory_tcp, *memory, *memory_reservation, *memory_swap, *pids_limit,
	    *l3_cache_schema, *mem_bw_schema;
};

#define OCI_OPTS struct update_opts

static int update_read(const char *path, char **text, size_t *len, struct coffer_error *err)
{
	if (strcmp(path, "-") == 0)
		return io_read_stream(STDIN_FILENO, "standard input", OCI_JSON_MAX, text, len, err);
	return io_read_file(AT_FDCWD, path, OCI_JSON_MAX, text, len, err);
}

/* ---- single options ---- */

static int update_number(const char *option, const char *text, int64_t min, int64_t max,
			 int64_t *out, struct coffer_error *err)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, 10);
	if (end == text || *end || errno || *out < min || *out > max)
		return err_invalid(err, "option --%s: %s: not a number in its range", option, text);
	return 0;
}

/* Bytes, with a unit or without, or -1 */
static int update_bytes(const char *option, const char *text, int64_t *out,
			struct coffer_error *err)
{
	uint64_t bytes;

	if (strcmp(text, "-1") == 0) {
		*out = -1;
		return 0;
	}
	if (opt_parse_size(text, &bytes) < 0 || bytes > INT64_MAX)
		return err_invalid(err, "option --%s: %s: not a size (such as 256M) or -1", option,
				   text);
	*out = (int64_t)bytes;
	return 0;
}

static int update_memory(const struct update_opts *o, struct oci_memory *m,
			 struct coffer_error *err)
{
	const struct {
		const char *option, *text;
		struct oci_opt_i64 *field;
	} rows[] = {
		{ "memory", o->memory, &m->limit },
		{ "memory-reservation", o->memory_reservation, &m->reservation },
		{ "memory-swap", o->memory_swap, &m->swap },
		{ "kernel-memory", o->kernel_memory, &m->kernel },
		{ "kernel-memory-tcp", o->kernel_memory_tcp, &m->kernel_tcp },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++) {
		rows[i].field->set = rows[i].text != NULL;
		if (rows[i].text)
			r = update_bytes(rows[i].option, rows[i].text, &rows[i].field->v, err);
	}
	return r;
}

static int update_signed(const char *option, const char *text, struct oci_opt_i64 *field,
			 struct coffer_error *err)
{
	field->set = text != NULL;
	return text ? update_number(option, text, INT64_MIN, INT64_MAX, &field->v, err) : 0;
}

static int update_unsigned(const char *option, const char *text, struct oci_opt_u64 *field,
			   struct coffer_error *err)
{
	int64_t v = 0;
	int r = text ? update_number(option, text, 0, INT64_MAX, &v, err) : 0;

	*field = (struct oci_opt_u64){ .set = text != NULL, .v = (uint64_t)v };
	return r;
}

static int update_cpu(const struct update_opts *o, struct oci_cpu *c, struct coffer_error *err)
{
	int r = update_unsigned("cpu-period", o->cpu_period, &c->period, err);

	if (r == 0)
		r = update_signed("cpu-quota", o->cpu_quota, &c->quota, err);
	if (r == 0)
		r = update_unsigned("cpu-burst", o->cpu_burst, &c->burst, err);
	if (r == 0)
		r = update_unsigned("cpu-share", o->cpu_share, &c->shares, err);
	if (r == 0)
		r = update_unsigned("cpu-rt-period", o->cpu_rt_period, &c->realtime_period, err);
	if (r == 0)
		r = update_signed("cpu-rt-runtime", o->cpu_rt_runtime, &c->realtime_runtime, err);
	if (r == 0)
		r = update_signed("cpu-idle", o->cpu_idle, &c->idle, err);
	if (r == 0)
		r = oci_str_set(&c->cpus, o->cpuset_cpus, err);
	return r < 0 ? r : oci_str_set(&c->mems, o->cpuset_mems, err);
}

static int update_others(const struct update_opts *o, struct oci_resources *res,
			 struct coffer_error *err)
{
	int64_t v = 0;
	int r = 0;

	res->pids = calloc(1, sizeof(*res->pids));
	res->block_io = calloc(1, sizeof(*res->block_io));
	if (!res->pids || !res->block_io)
		return err_nomem(err);
	if (o->pids_limit)
		r = update_number("pids-limit", o->pids_limit, INT64_MIN, INT64_MAX,
				  &res->pids->limit, err);
	if (r == 0 && o->blkio_weight)
		r = update_number("blkio-weight", o->blkio_weight, 0, 1000, &v, err);
	res->block_io->weight = (struct oci_opt_u16){ .set = v != 0, .v = (uint16_t)v };
	return r;
}

static int update_from_options(const struct update_opts *o, struct oci_resources *res,
			       struct coffer_error *err)
{
	int r;

	res->memory = calloc(1, sizeof(*res->memory));
	res->cpu = calloc(1, sizeof(*res->cpu));
	if (!res->memory || !res->cpu)
		return err_nomem(err);
	r = update_memory(o, res->memory, err);
	if (r == 0)
		r = update_cpu(o, res->cpu, err);
	return r < 0 ? r : update_others(o, res, err);
}

/* ---- a whole document ---- */

/* Zero is no limit that anybody wants: it is what a caller writes who has no wish. */
static void update_drop_zeros(struct oci_resources *res)
{
	struct oci_memory *m = res->memory;
	struct oci_cpu *c = res->cpu;

	if (m) {
		struct oci_opt_i64 *const bytes[] = { &m->limit, &m->reservation, &m->swap,
						      &m->kernel, &m->kernel_tcp };

		for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
			bytes[i]->set &= bytes[i]->v != 0;
	}
	if (c) {
		c->shares.set &= c->shares.v != 0;
		c->period.set &= c->period.v != 0;
		c->quota.set &= c->quota.v != 0;
		c->realtime_period.set &= c->realtime_period.v != 0;
		c->realtime_runtime.set &= c->realtime_runtime.v != 0;
	}
	if (res->block_io) {
		res->block_io->weight.set &= res->block_io->weight.v != 0;
		res->block_io->leaf_weight.set &= res->block_io->leaf_weight.v != 0;
	}
}

static int update_resources(const struct update_opts *o, struct oci_resources **out,
			    struct coffer_error *err)
{
	auto_oci_resources struct oci_resources *res = NULL;
	autofree char *text = NULL;
	size_t len;
	int r;

	if (o->resources) {
		r = update_read(o->resources, &text, &len, err);
		if (r == 0)
			r = oci_resources_parse(text, len, &res, err);
	} else {
		res = calloc(1, sizeof(*res));
		r = res ? update_from_options(o, res, err) : err_nomem(err);
	}
	if (r < 0 || !res)
		return r;
	update_drop_zeros(res);
	r = oci_resources_validate(res, "resources", err);
	if (r == 0)
		*out = steal_ptr(res);
	return r;
}

static int update_main(const struct oci *oci, const void *data, int nargs, char *args[],
		       struct coffer_error *err)
{
	auto_oci_resources struct oci_resources *res = NULL;
	const struct update_opts *opts = data;
	autohandle struct handle h = HANDLE_INIT;
	int r;

	if (opts->l3_cache_schema || opts->mem_bw_schema)
		return err_unsupported(err, "Intel RDT is not supported");
	if (opts->kernel_memory || opts->kernel_memory_tcp)
		log_warning("kernel memory limits are ignored: the kernel has none any more");
	r = update_resources(opts, &res, err);
	if (r == 0)
		r = handle_open(oci, args[0], STATE_EXCLUSIVE, STATUS_LIVE, "update", &h, err);
	if (r == 0)
		r = handle_attach(&h, -1, err);
	if (r == 0 && res && sentry_inside(&h.dir)) {
		r = sentry_update(oci, &h.dir, &h.state, h.status != STATUS_CREATED, res, err);
		/* An ordinary user may have no more than what holds inside. */
		if (r == 0 && h.state.rootless && h.state.cgroup.n == 0)
			return 0;
	}
	return r < 0 ? r : engine_update(h.engine, res, err);
}

static const struct opt_row update_rows[] = {
	OCI_TEXT("resources", 'r', resources, "FILE",
		 "JSON like linux.resources, - for standard input; other options are ignored"),
	OCI_TEXT("blkio-weight", 0, blkio_weight, "N", "Weight of block devices, 10 to 1000"),
	OCI_TEXT("cpu-period", 0, cpu_period, "USEC", "Period of the processor quota"),
	OCI_TEXT("cpu-quota", 0, cpu_quota, "USEC", "Processor time in a period, -1: no limit"),
	OCI_TEXT("cpu-burst", 0, cpu_burst, "USEC", "Unused quota that may be saved up"),
	OCI_TEXT("cpu-share", 0, cpu_share, "N", "Relative weight of processor time"),
	OCI_TEXT("cpu-rt-period", 0, cpu_rt_period, "USEC", "Period of the realtime quota"),
	OCI_TEXT("cpu-rt-runtime", 0, cpu_rt_runtime, "USEC", "Realtime in a period"),
	OCI_TEXT("cpu-idle", 0, cpu_idle, "0|1", "Run only when nothing else does"),
	OCI_TEXT("cpuset-cpus", 0, cpuset_cpus, "LIST", "Processors to use"),
	OCI_TEXT("cpuset-mems", 0, cpuset_mems, "LIST", "Memory nodes to use"),
	OCI_TEXT("kernel-memory", 0, kernel_memory, "SIZE", "Ignored"),
	OCI_TEXT("kernel-memory-tcp", 0, kernel_memory_tcp, "SIZE", "Ignored"),
	OCI_TEXT("memory", 0, memory, "SIZE", "Limit of memory, -1: none"),
	OCI_TEXT("memory-reservation", 0, memory_reservation, "SIZE", "Soft limit"),
	OCI_TEXT("memory-swap", 0, memory_swap, "SIZE", "Limit of memory and swap, -1: none"),
	OCI_TEXT("pids-limit", 0, pids_limit, "N", "Limit of processes, -1: none"),
	OCI_TEXT("l3-cache-schema", 0, l3_cache_schema, "TEXT", "Not supported"),
	OCI_TEXT("mem-bw-schema", 0, mem_bw_schema, "TEXT", "Not supported"),
	OCI_ROW_HELP,
};

const struct oci_command oci_update = {
	.name = "update",
	.usage = "[OPTION...] ID",
	.help = "Change the limits of a container",
	.fn = update_main,
	.rows = update_rows,
	.nrows = ARRAY_SIZE(update_rows),
	.min_args = 1,
	.max_args = 1,
};
