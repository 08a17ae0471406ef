/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_calls.h - which number a system call has on which interface of the kernel
 */
#ifndef ENGINE_SECCOMP_CALLS_H
#define ENGINE_SECCOMP_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One way into this kernel: the machine's own, its 32-bit forerunner ... */
struct seccomp_abi {
	const char *name;   /* "SCMP_ARCH_X86_64" */
	uint32_t token;     /* libseccomp's */
	uint32_t audit;     /* what the kernel tells a filter; may be shared */
	uint32_t base, end; /* its numbers, when it shares @audit */
	bool wide;          /* arguments have 64 bits */
};

/* The machine's own is the first; those that share @audit stand together, by their numbers. */
extern const struct seccomp_abi seccomp_abis[];
extern const size_t seccomp_abis_n;

struct seccomp_number {
	int64_t direct; /* -1: there is no such call */
	int64_t muxed;  /* also a case of this call; or -1 */
	uint32_t muxed_mask, muxed_case; /* which the first argument tells */
};

/* seccomp_call_known() - Does anybody know @name, on whatever machine? */
bool seccomp_call_known(const char *name);
struct seccomp_number seccomp_call_number(const struct seccomp_abi *abi, const char *name);

#endif /* ENGINE_SECCOMP_CALLS_H */
