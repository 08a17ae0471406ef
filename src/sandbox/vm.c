/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm.c - a sandbox that is a virtual machine under coffer-vmm
 *
 *	boot()   listener for the agent's greeting, spawn coffer-vmm (vm_spawn.c)
 *	ready()  the monitor says "running", the agent dials in and greets
 *	stop()   close the lifetime descriptor: the monitor ends the machine and itself
 *
 * Everything is waited for by descriptor: the monitor's status, its end, the
 * agent's connection, the caller's wish to give up.  The guest is not trusted:
 * its greeting has a size and a time limit, and that is all it can cost.
 *
 * Threads: see sandbox.h.  What a second thread may meet of the machine's end is
 * under vm->lock (vm_end.c); everything else after ready() only uses the run
 * directory, which stays.
 */
#define LOG_CATEGORY "vm"
#include "sandbox/vm.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/log.h"
#include "base/paths.h"
#include "sandbox/agent_client.h"
#include "sandbox/console.h"
#include "sandbox/hello.h"
#include "sandbox/hybrid.h"
#include "sandbox/vm_control.h"
#include "sandbox/vm_end.h"

/* A boot takes 1 to 2 s emulated on a quiet machine, 10 s on one that is drowning. */
#define VM_BOOT_EMULATED (30 * USEC_PER_SEC)
#define VM_BOOT_KVM	 (10 * USEC_PER_SEC)
#define VM_BOOT_TRIES	 2
#define VM_DIAL_BUDGET	 (5 * USEC_PER_SEC)
#define VM_STOP_BUDGET	 (5 * USEC_PER_SEC)
/* For the monitor to notice what we noticed first. */
#define VM_EXPLAIN_BUDGET (2 * USEC_PER_SEC)
#define VM_INITRD_MAX	  ((off_t)256 << 20)

static struct vm *vm_from(struct sandbox *sb)
{
	return container_of(sb, struct vm, sb);
}

static int vm_boot(struct sandbox *sb, struct coffer_error *err)
{
	struct vm *vm = vm_from(sb);
	int r;

	vm->greeting_fd = hybrid_listen(vm->cfg.dir->vm_fd, AGENT_PORT, err);
	if (vm->greeting_fd < 0)
		return steal_fd(&vm->greeting_fd);
	vm_end_begin(vm);
	r = vm_spawn(vm, err);
	if (r < 0)
		return r;
	r = rundir_note_machine(vm->cfg.dir, vm->monitor.pid, err);
	if (r < 0)
		return r;
	vm_cost_note(&vm->monitor_process, "coffer-vmm", "", vm->monitor.pid);
	vm->end_fd = fcntl(vm->monitor.pidfd, F_DUPFD_CLOEXEC, 3);
	if (vm->end_fd < 0)
		return err_sys(err, "duplicate the monitor's descriptor");
	vm->info = (struct sandbox_info){ .spawned = clock_now() };
	return 0;
}

/* End of the monitor and of what we hold of it. */
static void vm_end(struct vm *vm)
{
	siginfo_t si;

	vm_end_asked(vm);
	/* Not only closed: a process that our caller forked meanwhile has a copy. */
	if (vm->lifetime_fd >= 0)
		shutdown(vm->lifetime_fd, SHUT_RDWR);
	close_fd(&vm->lifetime_fd);
	if (vm->monitor.pid && child_wait(&vm->monitor, deadline_in(VM_STOP_BUDGET), &si) < 0) {
		log_warning("coffer-vmm %d did not end in time, killing it", vm->monitor.pid);
		child_end(&vm->monitor);
	}
	close_fd(&vm->status_fd);
	close_fd(&vm->greeting_fd);
	close_fd(&vm->agent_fd);
	vm->hello_len = 0;
}

static int vm_tell_end(const struct vm *vm, struct coffer_error *err)
{
	if (err)
		*err = vm->end.error;
	return -vm->end.error.err;
}

/* The monitor wrote to its status descriptor (the console's end included), or closed it. */
static int vm_read_status(struct vm *vm, struct coffer_error *err)
{
	int r;

	pthread_mutex_lock(&vm->lock);
	vm_end_read(vm);
	r = vm->has_ended ? vm_tell_end(vm, err) : 0;
	pthread_mutex_unlock(&vm->lock);
	return r;
}

/* Why the machine is gone, if it is: its monitor's last word, or what the console said. */
static void vm_explain(struct sandbox *sb, struct coffer_error *err)
{
	struct vm *vm = vm_from(sb);

	if (!vm_end_await(vm, deadline_in(VM_EXPLAIN_BUDGET)))
		console_explain(vm->cfg.dir->vm_fd, err);
	else if (vm->end.error.kind != COFFER_ERR_NONE)
		vm_tell_end(vm, err);
}

static int vm_take_greeting(struct vm *vm, size_t len, struct coffer_error *err)
{
	struct agent_hello hello;
	int r = agent_hello_parse(vm->hello, len, &hello, err);

	if (r < 0) {
		console_explain(vm->cfg.dir->vm_fd, err);
		return r;
	}
	vm->info.ready = clock_now();
	vm->info.guest_kernel = hello.init_usec;
	vm->info.guest_agent = hello.uptime_usec - hello.init_usec;
	log_debug("agent %s is up", hello.version);
	return 1;
}

/* The next piece of the greeting. Return: 0 go on waiting, 1 it is good, negative errno */
static int vm_read_greeting(struct vm *vm, struct coffer_error *err)
{
	ssize_t n =
	    read(vm->agent_fd, vm->hello + vm->hello_len, sizeof(vm->hello) - vm->hello_len);
	const char *end;

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0) {
		err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET,
			"the agent hung up in the middle of its greeting");
		/* Most likely because its machine ended, and that has a reason. */
		vm_explain(&vm->sb, err);
		return -ECONNRESET;
	}
	vm->hello_len += (size_t)n;
	end = memchr(vm->hello, '\n', vm->hello_len);
	if (end)
		return vm_take_greeting(vm, (size_t)(end - vm->hello), err);
	if (vm->hello_len < sizeof(vm->hello))
		return 0;
	err_set(err, COFFER_ERR_INTERNAL, EPROTO, "the agent's greeting is too long");
	console_explain(vm->cfg.dir->vm_fd, err);
	return -EPROTO;
}

static int vm_accept_agent(struct vm *vm, struct coffer_error *err)
{
	vm->agent_fd = accept4(vm->greeting_fd, NULL, NULL, SOCK_CLOEXEC);
	return vm->agent_fd < 0 ? err_sys(err, "accept the agent's greeting") : 0;
}

/*
 * One wait for whatever comes first.
 * Return: 0 go on waiting, 1 the agent is there, negative errno
 */
static int vm_ready_step(struct vm *vm, usec_t deadline, struct coffer_error *err)
{
	struct pollfd fds[] = { { .fd = vm->status_fd, .events = POLLIN },
				{ .fd = vm->agent_fd < 0 ? vm->greeting_fd : vm->agent_fd,
				  .events = POLLIN },
				{ .fd = vm->cfg.cancel_fd, .events = POLLIN } };
	int r = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));

	if (r < 0)
		return errno == EINTR ? 0 : err_sys(err, "poll");
	if (r == 0) {
		err_timeout(err, vm->agent_fd < 0 ? "the guest gave no sign of life"
						  : "the agent's greeting did not come");
		console_explain(vm->cfg.dir->vm_fd, err);
		return -ETIMEDOUT;
	}
	if (fds[2].revents)
		return err_set(err, COFFER_ERR_CANCELLED, 0, "given up while booting");
	if (fds[0].revents) {
		r = vm_read_status(vm, err);
		if (r < 0)
			return r;
		vm->info.running = clock_now();
	}
	if (!fds[1].revents)
		return 0;
	return vm->agent_fd < 0 ? vm_accept_agent(vm, err) : vm_read_greeting(vm, err);
}

static int vm_ready_once(struct vm *vm, struct coffer_error *err)
{
	bool kvm = strcmp(vm->cfg.machine, "qemu-kvm") == 0;
	usec_t deadline = deadline_in(kvm ? VM_BOOT_KVM : VM_BOOT_EMULATED);
	int r;

	do
		r = vm_ready_step(vm, deadline, err);
	while (r == 0);
	return r < 0 ? r : 0;
}

static void vm_stop(struct sandbox *sb)
{
	struct vm *vm = vm_from(sb);

	pthread_mutex_lock(&vm->lock);
	vm_end(vm);
	pthread_mutex_unlock(&vm->lock);
}

/* A connection to an NBD server has been used up by the first machine. */
static bool vm_can_try_again(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->cfg.ndisks; i++)
		if (vm->cfg.disks[i].nbd)
			return false;
	return true;
}

static int vm_ready(struct sandbox *sb, struct coffer_error *err)
{
	struct vm *vm = vm_from(sb);
	struct coffer_error first;
	int r;

	for (int i = 1;; i++) {
		r = vm_ready_once(vm, &first);
		if (r == 0)
			return 0;
		if (r != -ETIMEDOUT || i == VM_BOOT_TRIES || !vm_can_try_again(vm))
			break;
		log_warning("boot: %s; trying once more", first.message);
		vm_stop(sb);
		close_fd(&vm->end_fd);
		r = rundir_clear_vm(vm->cfg.dir, err);
		if (r == 0)
			r = vm_boot(sb, err);
		if (r < 0)
			return r;
	}
	if (err)
		*err = first;
	return err_wrap(err, "boot");
}

static int vm_dialled(int fd, struct coffer_error *err)
{
	return hybrid_dialled(fd, deadline_in(clock_budget(VM_DIAL_BUDGET)), err);
}

static int vm_dial(struct sandbox *sb, uint32_t port, struct coffer_error *err)
{
	autoclose int fd = hybrid_dial(vm_from(sb)->cfg.dir->vm_fd, port, err);
	int r = fd < 0 ? fd : vm_dialled(fd, err);

	return r < 0 ? r : steal_fd(&fd);
}

static int vm_connect_begin(struct sandbox *sb, struct coffer_error *err)
{
	int r = hybrid_dial(vm_from(sb)->cfg.dir->vm_fd, AGENT_PORT, err);

	return r < 0 ? err_wrap(err, "connect to the agent") : r;
}

static int vm_connect_end(struct sandbox *sb, int fd, struct agent **out, struct coffer_error *err)
{
	autoclose int own = fd;
	int r = vm_dialled(own, err);

	if (r == 0)
		r = agent_client_new(own, out, err);
	if (r < 0)
		return err_wrap(err, "connect to the agent");
	steal_fd(&own);
	return 0;
}

static int vm_listen(struct sandbox *sb, uint32_t port, struct coffer_error *err)
{
	return hybrid_listen(vm_from(sb)->cfg.dir->vm_fd, port, err);
}

static void vm_unlisten(struct sandbox *sb, uint32_t port)
{
	hybrid_unlisten(vm_from(sb)->cfg.dir->vm_fd, port);
}

static int vm_pause(struct sandbox *sb, struct coffer_error *err)
{
	return vm_control(vm_from(sb)->cfg.dir->vm_fd, VM_CONTROL_PAUSE, err);
}

static int vm_resume(struct sandbox *sb, struct coffer_error *err)
{
	return vm_control(vm_from(sb)->cfg.dir->vm_fd, VM_CONTROL_RESUME, err);
}

static int vm_end_fd(struct sandbox *sb, struct coffer_error *err)
{
	int fd = fcntl(vm_from(sb)->end_fd, F_DUPFD_CLOEXEC, 3);

	return fd < 0 ? err_sys(err, "duplicate the monitor's descriptor") : fd;
}

static int vm_how_ended(struct sandbox *sb, struct sandbox_end *out, struct coffer_error *err)
{
	struct vm *vm = vm_from(sb);

	if (!vm_end_await(vm, deadline_in(VM_EXPLAIN_BUDGET)))
		return err_state(err, "the machine has not ended");
	/* Once known it stays. */
	*out = vm->end;
	return 0;
}

static int vm_cost(struct sandbox *sb, struct sandbox_cost *out, struct coffer_error *err)
{
	struct vm *vm = vm_from(sb);
	bool monitor;

	out->nprocesses = 0;
	pthread_mutex_lock(&vm->lock);
	monitor = vm_cost_read(&vm->monitor_process, &out->processes[0]);
	if (monitor)
		out->nprocesses = 1;
	for (unsigned i = 0; monitor && i < vm->nprocesses; i++)
		if (vm_cost_read(&vm->processes[i], &out->processes[out->nprocesses]))
			out->nprocesses++;
	pthread_mutex_unlock(&vm->lock);
	if (monitor && !out->processes[0].pss)
		out->processes[0].pss = vm_control_pss(vm->cfg.dir->vm_fd);
	return monitor ? 0 : err_state(err, "the machine has ended");
}

static void vm_info(struct sandbox *sb, struct sandbox_info *out)
{
	*out = vm_from(sb)->info;
}

static void vm_free(struct sandbox *sb)
{
	struct vm *vm = vm_from(sb);

	vm_end(vm);
	close_fd(&vm->kernel_fd);
	close_fd(&vm->initrd_fd);
	free(vm->program);
	close_fd(&vm->end_fd);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
DEFINE_CLEANUP(struct sandbox *, vm_free);

static const struct sandbox_ops vm_ops = {
	.boot = vm_boot,
	.ready = vm_ready,
	.stop = vm_stop,
	.pause = vm_pause,
	.resume = vm_resume,
	.connect_begin = vm_connect_begin,
	.connect_end = vm_connect_end,
	.dial = vm_dial,
	.listen = vm_listen,
	.unlisten = vm_unlisten,
	.end_fd = vm_end_fd,
	.end = vm_how_ended,
	.explain = vm_explain,
	.cost = vm_cost,
	.info = vm_info,
	.free = vm_free,
};

/* @path as given, or our own file @name. */
static int vm_open_file(const char *what, const char *path, const char *name, int *fd,
			struct coffer_error *err)
{
	autofree char *own = NULL;
	int r;

	if (!path) {
		r = paths_find_data(name, &own, err);
		if (r < 0)
			return r;
		path = own;
	}
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? err_sys(err, "%s %s", what, path) : 0;
}

static int vm_append(int out, int in, struct coffer_error *err)
{
	off_t off = 0;
	ssize_t n;

	do
		n = sendfile(out, in, &off, VM_INITRD_MAX);
	while (n > 0 && off < VM_INITRD_MAX);
	if (n < 0)
		return err_sys(err, "copy the initrd");
	return n == 0 ? 0 : err_set(err, COFFER_ERR_INVALID_ARGUMENT, EFBIG, "initrd: too large");
}

/* The kernel unpacks archives that follow each other, each at a multiple of four bytes. */
static int vm_join_initrd(int *initrd_fd, int archive_fd, struct coffer_error *err)
{
	autoclose int joined = memfd_create("initrd", MFD_CLOEXEC);
	off_t end;
	int r;

	if (joined < 0)
		return err_sys(err, "memfd_create");
	r = vm_append(joined, *initrd_fd, err);
	if (r < 0)
		return r;
	end = lseek(joined, 0, SEEK_CUR);
	if (end < 0 || lseek(joined, (end + 3) & ~(off_t)3, SEEK_SET) < 0)
		return err_sys(err, "seek in the initrd");
	r = vm_append(joined, archive_fd, err);
	if (r < 0)
		return r;
	close_fd(initrd_fd);
	*initrd_fd = steal_fd(&joined);
	return 0;
}

int sandbox_vm_new(const struct sandbox_config *config, struct sandbox **out,
		   struct coffer_error *err)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	CLEANUP(vm_freep) struct sandbox *sb = vm ? &vm->sb : NULL;
	int r;

	if (!vm)
		return err_nomem(err);
	vm->sb.ops = &vm_ops;
	vm->cfg = *config;
	vm->kernel_fd = vm->initrd_fd = vm->lifetime_fd = -1;
	vm->status_fd = vm->greeting_fd = vm->agent_fd = vm->end_fd = -1;
	vm->monitor = (struct child)CHILD_INIT;
	pthread_mutex_init(&vm->lock, NULL);
	r = paths_find_program("coffer-vmm", &vm->program, err);
	if (r == 0)
		r = vm_open_file("kernel", config->kernel, "vmlinux", &vm->kernel_fd, err);
	if (r == 0)
		r = vm_open_file("initrd", config->initrd, "initrd.cpio", &vm->initrd_fd, err);
	if (r == 0 && config->archive_fd >= 0)
		r = vm_join_initrd(&vm->initrd_fd, config->archive_fd, err);
	if (r < 0)
		return r;
	*out = steal_ptr(sb);
	return 0;
}
