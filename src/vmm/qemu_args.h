/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qemu_args.h - QEMU's command line
 */
#ifndef VMM_QEMU_ARGS_H
#define VMM_QEMU_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/config.h"

/* Where QEMU finds its descriptors. */
enum qemu_fd {
	QEMU_FD_QMP = 3,
	QEMU_FD_VSOCK = 4,
	QEMU_FD_CONSOLE = 5,
	QEMU_FD_KERNEL = 6,
	QEMU_FD_INITRD = 7,
	QEMU_FD_DISK0 = 8, /* further disks follow, and then the shares' sockets */
};

/* QEMU opens these two by name; see vmm/qemu_jail.c for what stands there. */
#define QEMU_FD_DIR "/proc/self/fd"

#define QEMU_ARGS_MAX  256
#define QEMU_ARGS_TEXT 24576

struct qemu_args {
	const char *argv[QEMU_ARGS_MAX]; /* NULL-terminated; point into text[] */
	size_t argc;
	char text[QEMU_ARGS_TEXT];
	size_t used;
	bool full;
};

/**
 * qemu_args_build() - The whole command line of a machine
 * @qemu:	Path of the program
 * @tsc_khz:	See vmm/tsc.h; used without KVM only
 */
int qemu_args_build(struct qemu_args *out, const struct vmm_config *cfg, const char *qemu, bool kvm,
		    uint32_t tsc_khz, struct coffer_error *err);

#endif /* VMM_QEMU_ARGS_H */
