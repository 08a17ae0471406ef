/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qemu_args.c - QEMU's command line
 *
 * microvm with virtio-mmio devices, everything else off.  What is not obvious:
 *
 * - Memory is a shared memfd, because the vsock back end in this process maps it.
 *   Without share=on QEMU would boot and the guest's first connect() hang.
 * - force-legacy=false: virtio-mmio is pre-1.0 by default.
 * - ACPI stays on: the kernel finds its virtio devices in the DSDT only.
 * - -no-reboot: the guest's reboot (its way to power off, by a triple fault) and a
 *   panic both end QEMU.
 * - tsc_early_khz, tsc=reliable: without a given rate the kernel may fail to
 *   calibrate on a busy host, and then nothing ever ticks.
 * - cryptomgr.notests, noreplace-smp: half a second of self tests and of
 *   self-modifying code, which is emulation's worst case.
 * - rcu_expedited: making cgroups and namespaces waits for grace periods, several ticks
 *   each; expediting them halves the time from agent to program.
 * - maxcpus=1 under emulation: each CPU costs up to 0.6 s of boot; the agent brings
 *   the others up when it is ready.
 * - auto-read-only=off: else QEMU opens a writable disk read-only first, and the
 *   descriptor that it was given is not.
 * - Disk errors go to the guest (report): the default on a full disk is to stop
 *   the machine, which nobody would notice.
 *
 * - An NBD server is spoken to over a connection that was made for QEMU, which has
 *   no network.
 *
 * Values that come from the config are free of commas by its own rules, but for
 * the name of an NBD export.
 */
#include "vmm/qemu_args.h"

#include <stdarg.h>
#include <stdio.h>

/* A disk's number follows. What the guest trims is given back, and its flush is one of ours. */
#define QEMU_DRIVE "if=none,id=disk%u,format=raw,cache=writeback,discard=unmap,rerror=report,"

static void qemu_args_add(struct qemu_args *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void qemu_args_add(struct qemu_args *a, const char *fmt, ...)
{
	size_t room = sizeof(a->text) - a->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(a->text + a->used, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room || a->argc + 1 >= QEMU_ARGS_MAX) {
		a->full = true;
		return;
	}
	a->argv[a->argc++] = a->text + a->used;
	a->used += (size_t)n + 1;
}

static void qemu_args_add_fixed(struct qemu_args *a)
{
	static const char *const fixed[] = {
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-global", "virtio-mmio.force-legacy=false",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		qemu_args_add(a, "%s", fixed[i]);
}

static void qemu_args_add_machine(struct qemu_args *a, const struct vmm_config *cfg, bool kvm)
{
	unsigned mib = (unsigned)(cfg->memory >> 20);

	qemu_args_add(a, "-name");
	qemu_args_add(a, "%s", cfg->id);
	qemu_args_add(a, "-machine");
	qemu_args_add(a, "microvm,x-option-roms=off,memory-backend=mem");
	qemu_args_add(a, "-accel");
	qemu_args_add(a, "%s", kvm ? "kvm" : "tcg,tb-size=64");
	qemu_args_add(a, "-cpu");
	/* With ERMS the guest copies by "rep movsb", which emulation does a byte at a time; a fifth
	 * level of page tables lengthens every walk. */
	qemu_args_add(a, "%s", kvm ? "host" : "max,-erms,-la57");
	qemu_args_add(a, "-smp");
	qemu_args_add(a, "%u", cfg->cpus);
	qemu_args_add(a, "-m");
	qemu_args_add(a, "%u", mib);
	qemu_args_add(a, "-object");
	qemu_args_add(a, "memory-backend-memfd,id=mem,size=%uM,share=on", mib);
}

static void qemu_args_add_channels(struct qemu_args *a)
{
	qemu_args_add(a, "-chardev");
	qemu_args_add(a, "socket,id=qmp,fd=%d", QEMU_FD_QMP);
	qemu_args_add(a, "-mon");
	qemu_args_add(a, "chardev=qmp,mode=control");
	qemu_args_add(a, "-chardev");
	qemu_args_add(a, "socket,id=console,fd=%d", QEMU_FD_CONSOLE);
	qemu_args_add(a, "-serial");
	qemu_args_add(a, "chardev:console");
	qemu_args_add(a, "-chardev");
	qemu_args_add(a, "socket,id=vsock,fd=%d", QEMU_FD_VSOCK);
	qemu_args_add(a, "-device");
	qemu_args_add(a, "vhost-user-vsock-device,chardev=vsock");
}

static void qemu_args_add_kernel(struct qemu_args *a, const struct vmm_config *cfg, bool kvm,
				 uint32_t tsc_khz)
{
	char tcg[128];

	snprintf(tcg, sizeof(tcg), " tsc_early_khz=%u tsc=reliable noreplace-smp%s", tsc_khz,
		 cfg->cpus > 1 ? " maxcpus=1" : "");
	qemu_args_add(a, "-kernel");
	qemu_args_add(a, QEMU_FD_DIR "/%d", QEMU_FD_KERNEL);
	qemu_args_add(a, "-initrd");
	qemu_args_add(a, QEMU_FD_DIR "/%d", QEMU_FD_INITRD);
	qemu_args_add(a, "-append");
	qemu_args_add(a, "console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests "
			 "rcupdate.rcu_expedited=1%s%s%s",
		      kvm ? "" : tcg, cfg->cmdline[0] ? " " : "", cfg->cmdline);
}

/* In an option's value a comma stands for its end, and two for one. */
static void qemu_args_escape(const char *from, char to[static 2 * VMM_EXPORT_MAX + 1])
{
	for (; *from; from++) {
		if (*from == ',')
			*to++ = ',';
		*to++ = *from;
	}
	*to = '\0';
}

static void qemu_args_add_drive(struct qemu_args *a, const struct vmm_disk *disk, unsigned i)
{
	char export[2 * VMM_EXPORT_MAX + 1];

	qemu_args_escape(disk->export, export);
	if (!disk->nbd) {
		qemu_args_add(a, "-add-fd");
		qemu_args_add(a, "fd=%u,set=%u", QEMU_FD_DISK0 + i, i + 1);
	}
	qemu_args_add(a, "-drive");
	if (disk->nbd)
		qemu_args_add(a, QEMU_DRIVE "file.driver=nbd,file.server.type=fd,"
				 "file.server.str=%u,file.export=%s,%s", i, QEMU_FD_DISK0 + i,
			      export, disk->readonly ? "readonly=on" : "werror=report");
	else
		qemu_args_add(a, QEMU_DRIVE "file=/dev/fdset/%u,%s", i, i + 1,
			      disk->readonly ? "readonly=on"
					     : "werror=report,auto-read-only=off");
}

static void qemu_args_add_disk(struct qemu_args *a, const struct vmm_disk *disk, unsigned i)
{
	qemu_args_add_drive(a, disk, i);
	qemu_args_add(a, "-device");
	qemu_args_add(a, "virtio-blk-device,drive=disk%u,serial=%s", i, disk->serial);
}

static void qemu_args_add_share(struct qemu_args *a, const struct vmm_share *share, unsigned i,
				unsigned fd)
{
	qemu_args_add(a, "-chardev");
	qemu_args_add(a, "socket,id=share%u,fd=%u", i, fd);
	qemu_args_add(a, "-device");
	qemu_args_add(a, "vhost-user-fs-device,chardev=share%u,tag=%s", i, share->tag);
}

int qemu_args_build(struct qemu_args *out, const struct vmm_config *cfg, const char *qemu, bool kvm,
		    uint32_t tsc_khz, struct coffer_error *err)
{
	out->argc = 0;
	out->used = 0;
	out->full = false;
	qemu_args_add(out, "%s", qemu);
	qemu_args_add_fixed(out);
	qemu_args_add_machine(out, cfg, kvm);
	qemu_args_add_channels(out);
	qemu_args_add_kernel(out, cfg, kvm, tsc_khz);
	for (unsigned i = 0; i < cfg->ndisks; i++)
		qemu_args_add_disk(out, &cfg->disks[i], i);
	for (unsigned i = 0; i < cfg->nshares; i++)
		qemu_args_add_share(out, &cfg->shares[i], i, QEMU_FD_DISK0 + cfg->ndisks + i);
	out->argv[out->argc] = NULL;
	return out->full ? err_invalid(err, "qemu: command line is too long") : 0;
}
