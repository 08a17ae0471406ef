/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine.c - which machine runs the guest
 */
#define LOG_CATEGORY "machine"

#include "vmm/machine.h"

#include "base/log.h"
#include "base/kvm_probe.h"

/* Best first. */
static const struct machine_type machine_types[] = {
	{ VMM_MACHINE_QEMU_KVM, .kvm = true, .probe = kvm_probe, .ops = &qemu_machine_ops },
	{ VMM_MACHINE_QEMU_TCG, .ops = &qemu_machine_ops },
};

int machine_choose(enum vmm_machine kind, const struct machine_type **out,
		   struct coffer_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(machine_types); i++) {
		const struct machine_type *type = &machine_types[i];
		struct coffer_error why = COFFER_ERROR_INIT;

		if (kind != VMM_MACHINE_AUTO && kind != type->kind)
			continue;
		if (!type->probe || type->probe(&why) == 0) {
			*out = type;
			return 0;
		}
		if (kind == type->kind)
			return err_unsupported(err, "machine %s does not work here: %s",
					       vmm_machine_str(kind), why.message);
		log_info("machine %s: %s", vmm_machine_str(type->kind), why.message);
	}
	return err_unsupported(err, "no machine works here");
}
