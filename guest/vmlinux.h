/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/vmlinux.h - checks on and slimming of an ELF kernel that boots by PVH
 */
#ifndef GUEST_VMLINUX_H
#define GUEST_VMLINUX_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/**
 * vmlinux_compact() - Keep of an ELF kernel only what a PVH boot loads
 * @elf:	The kernel; must be 64-bit x86 with a PVH entry note
 * @len:	Its size
 * @out:	Set to malloc'd memory with the slim kernel, owned by the caller
 * @out_len:	Set to its size
 *
 * Return: 0 or negative errno with @err filled
 */
int vmlinux_compact(const uint8_t *elf, size_t len, uint8_t **out, size_t *out_len,
		    struct coffer_error *err);

#endif /* GUEST_VMLINUX_H */
