/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/kvm_probe.h - can this host run a virtual machine in hardware?
 */
#ifndef BASE_KVM_PROBE_H
#define BASE_KVM_PROBE_H

#include "base/error.h"

/**
 * kvm_probe() - Try, up to an empty virtual machine
 *
 * A /dev/kvm alone means little: it exists where the CPU flags are masked, and
 * may be closed to this user.
 *
 * Return: 0 it works, negative errno and @err says which step does not
 */
int kvm_probe(struct coffer_error *err);

#endif /* BASE_KVM_PROBE_H */
