/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A monitor in a child process, with a fake QEMU (see vmm_fake_qemu.c).
 */
#ifndef TEST_VMM_FAKE_H
#define TEST_VMM_FAKE_H

#include <stdbool.h>
#include <sys/types.h>

#include "vmm/config.h"

struct run {
	char dir[64], vm[80];
	int lifetime, status; /* our ends */
	pid_t pid;
	int kernel;
};

/* run_start() - @mode is for the fake; @change may spoil the config */
void run_start(struct run *run, const char *mode, void (*change)(struct vmm_config *));
/* run_record() - Return: true with the monitor's next record, false at the end */
bool run_record(struct run *run, struct vmm_status *status);
/* run_status() - The same, of which the error is all that counts */
bool run_status(struct run *run, struct coffer_error *err);
void run_expect_running(struct run *run);
/* run_machine_pid() - The fake: the monitor's only child */
pid_t run_machine_pid(const struct run *run);
void run_expect_gone(pid_t pid);
unsigned run_count_files(const char *path);
/* run_wait() - Return: the monitor's exit status, 128+n for a signal */
int run_wait(struct run *run);
void run_clean(struct run *run);
/* run_expect_end() - The monitor exits so, leaving nothing */
void run_expect_end(struct run *run, int exit_status);

#endif /* TEST_VMM_FAKE_H */
