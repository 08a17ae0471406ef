/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/config.h - what a caller tells coffer-vmm, and how it travels
 *
 * The struct is written as one JSON object to the descriptor the monitor gets
 * with --config-fd.  Files are named by the numbers of inherited descriptors,
 * so that the monitor and its machine can live without a view of the file
 * system and without their caller's ids.  Both sides use this one file.
 *
 * status_fd receives whole struct vmm_status records: the first says how the
 * start went, a second follows if the machine ends unasked and says why, with
 * the guest's last lines.  Then comes EOF.
 *
 * With changed ids the monitor is not the user who made the listeners
 * "vsock.sock_PORT" in vm_dir: they need mode 0666.  The directory, given to the
 * monitor's user with its mode 0700, keeps others out.
 *
 * The struct has a fixed size and owns nothing; the descriptors in it belong to
 * whoever passes them.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"

#define VMM_MEMORY_MIN     (UINT64_C(72) << 20)  /* the packaged kernel panics below */
#define VMM_MEMORY_DEFAULT (UINT64_C(256) << 20)
#define VMM_MEMORY_MAX     (UINT64_C(1) << 40)
#define VMM_CPUS_MAX       64
#define VMM_DISKS_MAX      20
#define VMM_SHARES_MAX     16
#define VMM_DEVICES_MAX    22 /* disks and shares: of 24 slots one is vsock's, one stays free */
#define VMM_ID_MAX         128
#define VMM_CMDLINE_MAX    1024
#define VMM_SERIAL_MAX     20 /* virtio-blk's own limit */
#define VMM_TAG_MAX        36 /* virtio-fs' own limit */
#define VMM_EXPORT_MAX     255
#define VMM_CONSOLE_MAX    2048
#define VMM_CONFIG_TEXT_MAX 65536

/* uid or gid: a fresh one when started as root, see vmm/jail.h */
#define VMM_ID_AUTO UINT32_MAX

enum vmm_machine {
	VMM_MACHINE_AUTO,     /* qemu-kvm where it works, else qemu-tcg */
	VMM_MACHINE_QEMU_KVM, /* fails at once where KVM does not work */
	VMM_MACHINE_QEMU_TCG,
	VMM_MACHINE_COUNT,
};

struct vmm_disk {
	int fd; /* raw image, opened to match readonly; with nbd a connected socket */
	bool readonly;
	bool nbd;
	char serial[VMM_SERIAL_MAX + 1]; /* the guest finds it by this; letters, digits, "-_." */
	char export[VMM_EXPORT_MAX + 1]; /* with nbd; "": the server's default */
};

struct vmm_share {
	int fd; /* directory */
	bool readonly;
	char file[NAME_MAX + 1];   /* the one file of it that is shared; "": all */
	char tag[VMM_TAG_MAX + 1]; /* the guest mounts it by this; letters, digits, "-_." */
};

struct vmm_config {
	char id[VMM_ID_MAX + 1];    /* for logs and info */
	enum vmm_machine machine;
	uint32_t cpus;
	uint64_t memory;            /* bytes, multiple of 1 MiB */
	int kernel_fd;              /* vmlinux (PVH) or bzImage */
	int initrd_fd;
	char cmdline[VMM_CMDLINE_MAX + 1]; /* appended to the machine's own kernel command line */
	struct vmm_disk disks[VMM_DISKS_MAX]; /* vda, vdb ... in this order */
	uint32_t ndisks;
	struct vmm_share shares[VMM_SHARES_MAX];
	uint32_t nshares;
	uint32_t cid;               /* guest's vsock address, 3 or more */
	char vm_dir[PATH_MAX];      /* absolute; the monitor's directory and its jail's root */
	int lifetime_fd;            /* EOF: parent is gone, end everything. -1: outlive the parent */
	int status_fd;              /* gets the records above; -1: nobody */
	uint32_t uid, gid;          /* to drop to; 0: keep; VMM_ID_AUTO: decide (default) */
	char qemu[PATH_MAX];        /* absolute path of QEMU; "": search PATH */
	char virtiofsd[PATH_MAX];   /* of the program behind shares; "": search */
	uint64_t console_limit;     /* most bytes of console.log, 8 KiB or more */
	enum log_level log_level;
	enum log_format log_format; /* of the lines on stderr */
};

enum vmm_status_kind {
	VMM_STATUS_FAILED,    /* to start */
	VMM_STATUS_RUNNING,   /* error.message names the machine: "qemu-kvm" */
	VMM_STATUS_POWER_OFF, /* the guest ended it in order; the rest are ends, too */
	VMM_STATUS_PANIC,
	VMM_STATUS_DIED,      /* one of its processes did */
	VMM_STATUS_COUNT,
};

#define VMM_PROCESSES_MAX (1 + VMM_SHARES_MAX)

/* A process below the monitor. */
struct vmm_process {
	char name[16];             /* "qemu", "virtiofsd" */
	char tag[VMM_TAG_MAX + 1]; /* of the share */
	int32_t pid;               /* as the monitor sees it */
	int32_t exit_code;         /* DIED; -1: by a signal */
	int32_t signal;
};

/* What the monitor writes to status_fd. The reader trusts no length and no number in it. */
struct vmm_status {
	enum vmm_status_kind kind;
	uint32_t nprocesses;       /* RUNNING: all of them; DIED: the one */
	struct vmm_process processes[VMM_PROCESSES_MAX];
	struct coffer_error error;
	char console[VMM_CONSOLE_MAX]; /* an end's: last lines, " | " between them; printable */
};

/* vmm_process_set() - One that runs. @tag: NULL: none */
void vmm_process_set(struct vmm_process *p, const char *name, const char *tag, int pid);

/* vmm_config_init() - Defaults: no descriptors, 1 CPU, 256 MiB, cid 3, 512 KiB of console */
void vmm_config_init(struct vmm_config *cfg);

/**
 * vmm_config_parse() - Read and check a JSON object
 * @text:	@len bytes
 * @cfg:	Set to the defaults first, then to what the object says
 *
 * Unknown members are refused.  Whether descriptors are open is not checked.
 *
 * Return: 0 or negative errno; the message names the member ("memory: ...")
 */
int vmm_config_parse(const char *text, size_t len, struct vmm_config *cfg,
		     struct coffer_error *err);

/* vmm_config_serialise() - The inverse; checks the same rules. *@text is malloc'd */
int vmm_config_serialise(const struct vmm_config *cfg, char **text, struct coffer_error *err);

/* vmm_machine_parse() - "auto", "qemu-kvm", "qemu-tcg". Return: enum vmm_machine or -EINVAL */
int vmm_machine_parse(const char *name);
const char *vmm_machine_str(enum vmm_machine machine);

#endif /* VMM_CONFIG_H */
