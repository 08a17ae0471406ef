/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/file_calls.h - handlers of the file family that have a file of their own
 */
#ifndef SENTRY_SYSCALLS_FILE_CALLS_H
#define SENTRY_SYSCALLS_FILE_CALLS_H

#include <stdint.h>

struct task;

/* file_fcntl.c */
long file_fcntl(struct task *task, const uint64_t args[6]);
long file_flock(struct task *task, const uint64_t args[6]);
/* file_ioctl.c */
long file_ioctl(struct task *task, const uint64_t args[6]);
/* file_size.c */
long file_lseek(struct task *task, const uint64_t args[6]);
long file_truncate_path(struct task *task, const uint64_t args[6]);
long file_ftruncate(struct task *task, const uint64_t args[6]);
long file_fallocate(struct task *task, const uint64_t args[6]);
long file_fsync(struct task *task, const uint64_t args[6]);
long file_fdatasync(struct task *task, const uint64_t args[6]);
long file_sync(struct task *task, const uint64_t args[6]);
long file_syncfs(struct task *task, const uint64_t args[6]);
long file_sync_range(struct task *task, const uint64_t args[6]);
long file_fadvise(struct task *task, const uint64_t args[6]);
long file_readahead(struct task *task, const uint64_t args[6]);

#endif /* SENTRY_SYSCALLS_FILE_CALLS_H */
