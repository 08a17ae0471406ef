/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/path_calls.h - handlers of the path family that have a file of their own
 */
#ifndef SENTRY_SYSCALLS_PATH_CALLS_H
#define SENTRY_SYSCALLS_PATH_CALLS_H

#include <stdint.h>

struct task;

/* path_stat.c */
long path_stat(struct task *task, const uint64_t args[6]);
long path_lstat(struct task *task, const uint64_t args[6]);
long path_fstat(struct task *task, const uint64_t args[6]);
long path_newfstatat(struct task *task, const uint64_t args[6]);
long path_statx(struct task *task, const uint64_t args[6]);
long path_access(struct task *task, const uint64_t args[6]);
long path_faccessat(struct task *task, const uint64_t args[6]);
long path_faccessat2(struct task *task, const uint64_t args[6]);
long path_statfs(struct task *task, const uint64_t args[6]);
long path_fstatfs(struct task *task, const uint64_t args[6]);
/* path_attr.c */
long path_chmod(struct task *task, const uint64_t args[6]);
long path_fchmod(struct task *task, const uint64_t args[6]);
long path_fchmodat(struct task *task, const uint64_t args[6]);
long path_fchmodat2(struct task *task, const uint64_t args[6]);
long path_chown(struct task *task, const uint64_t args[6]);
long path_lchown(struct task *task, const uint64_t args[6]);
long path_fchown(struct task *task, const uint64_t args[6]);
long path_fchownat(struct task *task, const uint64_t args[6]);
long path_utime(struct task *task, const uint64_t args[6]);
long path_utimes(struct task *task, const uint64_t args[6]);
long path_futimesat(struct task *task, const uint64_t args[6]);
long path_utimensat(struct task *task, const uint64_t args[6]);
/* path_dir.c */
long path_chdir(struct task *task, const uint64_t args[6]);
long path_fchdir(struct task *task, const uint64_t args[6]);
long path_chroot(struct task *task, const uint64_t args[6]);
long path_getcwd(struct task *task, const uint64_t args[6]);
long path_getdents(struct task *task, const uint64_t args[6]);
long path_getdents64(struct task *task, const uint64_t args[6]);

#endif /* SENTRY_SYSCALLS_PATH_CALLS_H */
