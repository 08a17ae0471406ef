/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/cgroup_fixture.h - control groups for the tests, on this host's hierarchies
 *
 * A program runs its tests as the host is, and again in a child whose
 * /sys/fs/cgroup is v2 alone, whatever controllers that has.
 */
#ifndef TESTS_CGROUP_FIXTURE_H
#define TESTS_CGROUP_FIXTURE_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "engine/cgroup_internal.h"

struct group {
	struct oci_spec *spec;
	char id[64];
	char path[128];        /* linux.cgroupsPath */
	struct cgroup *cg;
	struct coffer_error err;
};

int group_setup(void **state);
int group_teardown(void **state);
/* group_both() - Run the tests here and on v2 alone. Return: what main returns */
int group_both(int (*run)(void));

/* group_plan() - cgroup_plan(). Return: its value */
int group_plan(struct group *g);
/* group_make() - Plan and create; fails the test if that does */
void group_make(struct group *g);
/* group_spawn() - A process in the group that runs @fn and exits with its value; fn NULL: it waits
 * for a signal. Return: its pid, once it is in the group */
pid_t group_spawn(struct group *g, int (*fn)(void));
/* group_reap() - Wait. Return: exit code, or 128 + signal */
int group_reap(pid_t pid);
/* group_file() - The controller's file, on v1 or v2, without its line end; NULL: not there.
 * Overwritten by the next call */
const char *group_file(struct group *g, enum cgroup_controller controller, const char *v1,
		       const char *v2);
/* group_has() - Has this host the controller, on v1 or v2? */
bool group_has(struct group *g, enum cgroup_controller controller);
/* group_is_gone() - Are all directories of @words gone? */
bool group_is_gone(const struct oci_strv *words);

#endif /* TESTS_CGROUP_FIXTURE_H */
