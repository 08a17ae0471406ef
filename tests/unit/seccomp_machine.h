/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/seccomp_machine.h - a machine for filter programs
 */
#ifndef TESTS_SECCOMP_MACHINE_H
#define TESTS_SECCOMP_MACHINE_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* Return: SECCOMP_RET_* with its data. What the kernel would not load fails the test */
uint32_t seccomp_machine_run(const struct sock_filter *insns, size_t n,
			     const struct seccomp_data *data);

#endif /* TESTS_SECCOMP_MACHINE_H */
