/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_calls.c - which number a system call has on which interface of the kernel
 *
 * libseccomp knows the numbers of every machine; calls newer than it are in a
 * table of ours.  On 32-bit x86 it answers with a number of its own for the
 * calls that come in two ways, directly or through socketcall(2) and ipc(2):
 * we want both.
 *
 * Deliberately absent: machines whose kernel we do not run on.  Their calls
 * cannot happen here, so a profile may name them and nothing comes of it.
 *
 * Caller: seccomp_filter.c.
 */
#include "engine/seccomp_calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <string.h>

#include "base/cleanup.h"

#if defined(__x86_64__)
#define SECCOMP_X32_BIT 0x40000000U
const struct seccomp_abi seccomp_abis[] = {
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0, SECCOMP_X32_BIT, true },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64, SECCOMP_X32_BIT, UINT32_MAX, false },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86, AUDIT_ARCH_I386, 0, UINT32_MAX, false },
};
#elif defined(__aarch64__)
const struct seccomp_abi seccomp_abis[] = {
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, 0, UINT32_MAX, true },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM, AUDIT_ARCH_ARM, 0, UINT32_MAX, false },
};
#else
#error "the ways into this machine's kernel are not listed here"
#endif
const size_t seccomp_abis_n = ARRAY_SIZE(seccomp_abis);

/* Newer than Debian 12's libseccomp. Since 424 a call has one number on all architectures. */
static const struct {
	const char *name;
	int nr;
} seccomp_new_calls[] = {
	{ "cachestat", 451 },         { "fchmodat2", 452 },         { "map_shadow_stack", 453 },
	{ "futex_wake", 454 },        { "futex_wait", 455 },        { "futex_requeue", 456 },
	{ "statmount", 457 },         { "listmount", 458 },         { "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 }, { "lsm_list_modules", 461 },  { "mseal", 462 },
	{ "setxattrat", 463 },        { "getxattrat", 464 },        { "listxattrat", 465 },
	{ "removexattrat", 466 },     { "open_tree_attr", 467 },    { "file_getattr", 468 },
	{ "file_setattr", 469 },
};

/* libseccomp's numbers for cases of socketcall(2) are -100 less the case, for ipc(2) -200. */
#define SECCOMP_MUX_SOCKET (-100)
#define SECCOMP_MUX_IPC	   (-200)
#define SECCOMP_MUX_CASES  25

/* The direct numbers on 32-bit x86, by the case; 0: there is none. */
static const struct {
	int base, nr;
	uint32_t mask; /* ipc(2) takes a version above its case */
	uint16_t direct[SECCOMP_MUX_CASES];
} seccomp_muxes[] = {
	{ SECCOMP_MUX_SOCKET, 102, UINT32_MAX,
	  { [1] = 359, [2] = 361, [3] = 362, [4] = 363, [6] = 367, [7] = 368, [8] = 360,
	    [11] = 369, [12] = 371, [13] = 373, [14] = 366, [15] = 365, [16] = 370, [17] = 372,
	    [18] = 364, [19] = 337, [20] = 345 } },
	{ SECCOMP_MUX_IPC, 117, 0xffff,
	  { [2] = 393, [3] = 394, [11] = 400, [12] = 401, [13] = 399, [14] = 402, [21] = 397,
	    [22] = 398, [23] = 395, [24] = 396 } },
};

static int seccomp_new_call(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(seccomp_new_calls); i++)
		if (strcmp(seccomp_new_calls[i].name, name) == 0)
			return seccomp_new_calls[i].nr;
	return __NR_SCMP_ERROR;
}

bool seccomp_call_known(const char *name)
{
	return seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR ||
	       seccomp_new_call(name) != __NR_SCMP_ERROR;
}

struct seccomp_number seccomp_call_number(const struct seccomp_abi *abi, const char *name)
{
	struct seccomp_number out = { .direct = -1, .muxed = -1 };
	int nr = seccomp_syscall_resolve_name_arch(abi->token, name);

	if (nr == __NR_SCMP_ERROR)
		nr = seccomp_new_call(name);
	if (nr >= 0)
		/* With or without the bit that marks this interface. */
		out.direct = (uint32_t)nr | abi->base;
	for (size_t i = 0; abi->token == SCMP_ARCH_X86 && i < ARRAY_SIZE(seccomp_muxes); i++) {
		int which = seccomp_muxes[i].base - nr;

		if (which <= 0 || which >= SECCOMP_MUX_CASES)
			continue;
		out.muxed = seccomp_muxes[i].nr;
		out.muxed_mask = seccomp_muxes[i].mask;
		out.muxed_case = (uint32_t)which;
		if (seccomp_muxes[i].direct[which] > 0)
			out.direct = seccomp_muxes[i].direct[which];
	}
	return out;
}
