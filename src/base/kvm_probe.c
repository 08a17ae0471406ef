/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/kvm_probe.c - can this host run a virtual machine in hardware?
 */
#include "base/kvm_probe.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

#define KVM_PROBE_VMX (1u << 5) /* leaf 1, ecx */
#define KVM_PROBE_SVM (1u << 2) /* leaf 0x80000001, ecx */

/* The instruction tells what /proc/cpuinfo prints, without its milliseconds. */
static bool kvm_probe_cpu(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & KVM_PROBE_VMX))
		return true;
	return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & KVM_PROBE_SVM);
}
#else
static bool kvm_probe_cpu(void)
{
	return false; /* an x86 guest needs an x86 host */
}
#endif

int kvm_probe(struct coffer_error *err)
{
	autoclose int kvm = -1, vm = -1;
	int version;

	if (!kvm_probe_cpu())
		return err_unsupported(err, "the CPU offers neither VMX nor SVM");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return err_sys(err, "open /dev/kvm");
	version = ioctl(kvm, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return err_unsupported(err, "/dev/kvm speaks version %d, not %d", version,
				       KVM_API_VERSION);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return err_sys(err, "KVM_CREATE_VM");
	return 0;
}
