/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/timing.c - coffer run --timing
 *
 *	main .. create .. machine spawned .. machine running .. agent ready ..
 *	created .. start .. started .. first byte .. ended .. stopped
 *
 * A stage is the time between two marks; one whose ends are not both there is
 * left out.  The root file system is made while the machine boots, so its line
 * overlaps others.  The guest's own clock splits the boot into kernel and agent.
 */
#include "cli/timing.h"

#include <stddef.h>

#include "base/cleanup.h"

#define MARK(member) offsetof(struct timing_run, member)

static const struct timing_stage {
	const char *name;
	size_t from, to;
	const char *note;
} timing_stages[] = {
	{ "prepare", MARK(main), MARK(container.create_called), "" },
	{ "vmm spawn", MARK(container.create_called), MARK(container.machine_spawned), "" },
	{ "rootfs", MARK(container.create_called), MARK(container.rootfs_ready), "  (overlaps)" },
	{ "machine start", MARK(container.machine_spawned), MARK(container.machine_running), "" },
	{ "guest boot", MARK(container.machine_running), MARK(container.agent_ready), "" },
	{ "container create", MARK(container.agent_ready), MARK(container.created), "" },
	{ "container start", MARK(container.start_called), MARK(container.started), "" },
	{ "first byte", MARK(container.started), MARK(first_byte), "  (overlaps)" },
	{ "run", MARK(container.started), MARK(ended), "" },
	{ "stop", MARK(ended), MARK(stopped), "" },
	{ "agent to first byte", MARK(container.agent_ready), MARK(first_byte), "  (overlaps)" },
	{ "total", MARK(main), MARK(stopped), "" },
};

static uint64_t timing_mark(const struct timing_run *t, size_t offset)
{
	return *(const uint64_t *)((const char *)t + offset);
}

static void timing_line(FILE *out, const char *name, uint64_t usec, const char *note)
{
	fprintf(out, "%-20s %8llu.%llu ms%s\n", name, (unsigned long long)usec / 1000,
		(unsigned long long)usec / 100 % 10, note);
}

void timing_print(const struct timing_run *t, FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(timing_stages); i++) {
		const struct timing_stage *stage = &timing_stages[i];
		uint64_t from = timing_mark(t, stage->from), to = timing_mark(t, stage->to);

		if (from && to)
			timing_line(out, stage->name, to > from ? to - from : 0, stage->note);
		if (stage->to == MARK(container.agent_ready) && t->container.guest_kernel) {
			timing_line(out, "  guest: kernel", t->container.guest_kernel, "");
			timing_line(out, "  guest: agent", t->container.guest_agent, "");
		}
	}
}
