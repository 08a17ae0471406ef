/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/syscalls.h - the table of system calls
 *
 * One row a call, in the file of its family, beside the handler; table.c joins the families. What
 * has no row answers ENOSYS, is counted, and named by inspect. The page docs/sentry-syscalls.md
 * is written from the rows.
 */
#ifndef SENTRY_SYSCALLS_SYSCALLS_H
#define SENTRY_SYSCALLS_SYSCALLS_H

#include <stddef.h>
#include <stdint.h>

struct task;

/* What an argument is, to write it down. */
enum syscall_arg {
	ARG_NONE, /* ends the list */
	ARG_INT,  /* signed decimal */
	ARG_UINT,
	ARG_HEX,  /* flags without names, addresses */
	ARG_OCT,  /* modes */
	ARG_FD,
	ARG_DIRFD, /* AT_FDCWD */
	ARG_PATH, /* string in */
	ARG_STR,  /* string in */
	ARG_IN,	  /* bytes in; the next argument is the length */
	ARG_OUT,  /* bytes out, as many as the result says */
	ARG_ARGV, /* array of strings in */
	ARG_SIG,  /* signal number */
	ARG_OPEN, /* O_* */
	ARG_PROT,
	ARG_MAP,
	ARG_CLONE,
	ARG_AF,
	ARG_SOCKADDR, /* in; the next argument is the length */
	ARG_TIMESPEC, /* in */
};

enum syscall_support {
	SYSCALL_FULL,
	SYSCALL_PART, /* note says what is missing */
	SYSCALL_NONE, /* known, and refused with what the handler returns; note says why */
};

/* Return: what rax gets; negative errno; one of -ERESTART*. task->event has number and arguments,
 * and with a call of TRAP_FRAME task->regs are valid. */
typedef long (*syscall_handler)(struct task *task, const uint64_t args[6]);

struct syscall_row {
	uint16_t nr;
	const char *name;
	syscall_handler handler;
	uint8_t args[6]; /* enum syscall_arg */
	uint8_t support;
	const char *note;
};

struct syscall_family {
	const char *name; /* heading of the docs page */
	const struct syscall_row *rows;
	size_t nrows;
};

#define SYSCALL_FAMILY(name_, rows_) { .name = (name_), .rows = (rows_), .nrows = ARRAY_SIZE(rows_) }

/* Each file of this folder defines one. */
extern const struct syscall_family syscalls_file, syscalls_path, syscalls_io, syscalls_poll,
	syscalls_event, syscalls_mm, syscalls_process, syscalls_thread, syscalls_cred,
	syscalls_signal, syscalls_time, syscalls_socket, syscalls_system, syscalls_xattr,
	syscalls_mount, syscalls_inotify, syscalls_ipc;

/* All of them, NULL-terminated. */
extern const struct syscall_family *const syscalls_families[];

/* syscalls_init() - Join them. Two rows for one number are a mistake: aborts. */
void syscalls_init(void);
const struct syscall_row *syscall_row(int nr); /* NULL: none */
/* syscall_serve() - Count, trace, call. Return: the result, or TASK_PARKED */
long syscall_serve(struct task *task, int nr, const uint64_t args[6]);
/* syscall_done() - A call is over that was parked */
void syscall_done(struct task *task, int nr, const uint64_t args[6], long result);

#endif /* SENTRY_SYSCALLS_SYSCALLS_H */
