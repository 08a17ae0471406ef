/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm_spawn.c - coffer-vmm as a child: its configuration and descriptors
 *
 * The configuration travels in a memory file, everything it needs of us as
 * descriptors with fixed numbers from VM_FD_CONFIG on, so that the monitor can
 * drop its ids and its view of the file system first thing.
 */
#include "sandbox/vm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/io.h"
#include "sandbox/vm_internal.h"
#include "vmm/config.h"

/* Numbers in the child. */
enum vm_fd {
	VM_FD_CONFIG = 3,
	VM_FD_LIFETIME,
	VM_FD_STATUS,
	VM_FD_KERNEL,
	VM_FD_INITRD,
	VM_FD_DISK, /* and on, and after them the shares */
};

#define VM_FDS_MAX (1 + VM_FD_DISK - VM_FD_CONFIG + SANDBOX_DISKS_MAX + SANDBOX_SHARES_MAX)

static void vm_fill_devices(const struct vm *vm, struct vmm_config *cfg)
{
	cfg->ndisks = vm->cfg.ndisks;
	for (unsigned i = 0; i < cfg->ndisks; i++) {
		const struct sandbox_disk *disk = &vm->cfg.disks[i];
		struct vmm_disk *d = &cfg->disks[i];

		*d = (struct vmm_disk){ .fd = VM_FD_DISK + (int)i, .readonly = disk->read_only,
					.nbd = disk->nbd };
		snprintf(d->serial, sizeof(d->serial), "%s", disk->serial);
		snprintf(d->export, sizeof(d->export), "%s", disk->export ? disk->export : "");
	}
	cfg->nshares = vm->cfg.nshares;
	for (unsigned i = 0; i < cfg->nshares; i++) {
		const struct sandbox_share *share = &vm->cfg.shares[i];
		struct vmm_share *s = &cfg->shares[i];

		*s = (struct vmm_share){ .fd = VM_FD_DISK + (int)(cfg->ndisks + i),
					 .readonly = share->read_only };
		snprintf(s->file, sizeof(s->file), "%s", share->file);
		snprintf(s->tag, sizeof(s->tag), "%s", share->tag);
	}
}

static int vm_fill_config(const struct vm *vm, struct vmm_config *cfg, struct coffer_error *err)
{
	int machine = vmm_machine_parse(vm->cfg.machine);

	if (machine < 0)
		return err_invalid(err, "machine %s: unknown", vm->cfg.machine);
	vmm_config_init(cfg);
	snprintf(cfg->id, sizeof(cfg->id), "%s", vm->cfg.dir->id);
	cfg->machine = machine;
	cfg->cpus = vm->cfg.cpus;
	cfg->memory = vm->cfg.memory;
	cfg->kernel_fd = VM_FD_KERNEL;
	cfg->initrd_fd = VM_FD_INITRD;
	cfg->lifetime_fd = VM_FD_LIFETIME;
	cfg->status_fd = VM_FD_STATUS;
	if (snprintf(cfg->vm_dir, sizeof(cfg->vm_dir), "%s/" RUNDIR_VM, vm->cfg.dir->path) >=
	    (int)sizeof(cfg->vm_dir))
		return err_sysn(err, ENAMETOOLONG, "%s", vm->cfg.dir->path);
	vm_fill_devices(vm, cfg);
	cfg->log_level = LOG_LEVEL_ERROR;
	while (cfg->log_level < LOG_LEVEL_DEBUG && log_enabled(cfg->log_level + 1))
		cfg->log_level++;
	cfg->log_format = sandbox_log.format;
	/* The agent writes its log to the console. */
	if (log_enabled(LOG_LEVEL_INFO))
		snprintf(cfg->cmdline, sizeof(cfg->cmdline), "coffer_log=%s",
			 log_level_str(cfg->log_level));
	return 0;
}

/* Return: memory file with the configuration, at its start; or negative errno */
static int vm_write_config(const struct vm *vm, struct coffer_error *err)
{
	autoclose int fd = memfd_create("coffer-vmm.json", MFD_CLOEXEC);
	autofree struct vmm_config *cfg = malloc(sizeof(*cfg));
	autofree char *text = NULL;
	int r;

	if (fd < 0)
		return err_sys(err, "memfd_create");
	if (!cfg)
		return err_nomem(err);
	r = vm_fill_config(vm, cfg, err);
	if (r < 0)
		return r;
	r = vmm_config_serialise(cfg, &text, err);
	if (r < 0)
		return r;
	r = io_write_full(fd, text, strlen(text));
	if (r < 0)
		return err_sysn(err, r, "write the monitor's configuration");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "rewind the monitor's configuration");
	return steal_fd(&fd);
}

/* QEMU is looked for in PATH; nothing else of our environment is the monitor's business. */
static int vm_exec(struct vm *vm, const struct spawn_fd *fds, size_t nfds, struct coffer_error *err)
{
	const char *path = getenv("PATH");
	autofree char *env = NULL;
	const char *argv[] = { "coffer-vmm", "--config-fd", "3", NULL };
	const char *envp[] = { NULL, NULL };
	struct spawn_args args = { .path = vm->program,
				   .argv = argv,
				   .envp = envp,
				   .fds = fds,
				   .nfds = nfds,
				   .new_session = true };

	if (asprintf(&env, "PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin") < 0) {
		env = NULL;
		return err_nomem(err);
	}
	envp[0] = env;
	return spawn_exec(&args, &vm->monitor, err);
}

int vm_spawn(struct vm *vm, struct coffer_error *err)
{
	autoclose int config_fd = vm_write_config(vm, err);
	struct spawn_fd fds[VM_FDS_MAX];
	int lifetime[2], status[2], r;
	size_t n = 0;

	if (config_fd < 0)
		return config_fd;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lifetime) < 0)
		return err_sys(err, "socketpair");
	vm->lifetime_fd = lifetime[0];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status) < 0) {
		close(lifetime[1]);
		return err_sys(err, "socketpair");
	}
	vm->status_fd = status[0];
	fds[n++] = (struct spawn_fd){ config_fd, VM_FD_CONFIG };
	fds[n++] = (struct spawn_fd){ lifetime[1], VM_FD_LIFETIME };
	fds[n++] = (struct spawn_fd){ status[1], VM_FD_STATUS };
	fds[n++] = (struct spawn_fd){ vm->kernel_fd, VM_FD_KERNEL };
	fds[n++] = (struct spawn_fd){ vm->initrd_fd, VM_FD_INITRD };
	for (unsigned i = 0; i < vm->cfg.ndisks; i++)
		fds[n++] = (struct spawn_fd){ vm->cfg.disks[i].fd, VM_FD_DISK + (int)i };
	for (unsigned i = 0; i < vm->cfg.nshares; i++)
		fds[n++] = (struct spawn_fd){ vm->cfg.shares[i].fd,
					      VM_FD_DISK + (int)(vm->cfg.ndisks + i) };
	if (sandbox_log.fd >= 0)
		fds[n++] = (struct spawn_fd){ sandbox_log.fd, 2 };
	r = vm_exec(vm, fds, n, err);
	close(lifetime[1]);
	close(status[1]);
	return r < 0 ? err_wrap(err, "start %s", vm->program) : 0;
}
