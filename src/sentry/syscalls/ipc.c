/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/ipc.c - System V IPC: the calls' arguments
 *
 * Everything they mean is ipc/'s.
 */
#include "sentry/ipc/ipc.h"

#include <errno.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"

#define IPC_WAIT_MAX 1000000000 /* seconds: longer is for ever */

static long ipc_sys_shmget(struct task *task, const uint64_t args[6])
{
	return shm_get(task, (int32_t)args[0], args[1], (int)args[2]);
}

static long ipc_sys_shmat(struct task *task, const uint64_t args[6])
{
	return shm_attach(task, (int)args[0], args[1], (int)args[2]);
}

static long ipc_sys_shmdt(struct task *task, const uint64_t args[6])
{
	return shm_detach(task, args[0]);
}

static long ipc_sys_shmctl(struct task *task, const uint64_t args[6])
{
	return shm_control(task, (int)args[0], (int)args[1], args[2]);
}

static long ipc_sys_semget(struct task *task, const uint64_t args[6])
{
	return sem_get(task, (int32_t)args[0], (int)args[1], (int)args[2]);
}

static long ipc_sys_semop(struct task *task, const uint64_t args[6])
{
	return sem_operate(task, (int)args[0], args[1], (unsigned)args[2], USEC_INFINITY);
}

static long ipc_sys_semtimedop(struct task *task, const uint64_t args[6])
{
	usec_t deadline = USEC_INFINITY;

	if (args[3]) {
		struct timespec ts;
		int r = user_read(task->mm, &ts, args[3], sizeof(ts));

		if (r)
			return r;
		if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= 1000000000)
			return -EINVAL;
		if (ts.tv_sec < IPC_WAIT_MAX)
			deadline = deadline_in((usec_t)ts.tv_sec * USEC_PER_SEC +
					       ((usec_t)ts.tv_nsec + 999) / 1000);
	}
	return sem_operate(task, (int)args[0], args[1], (unsigned)args[2], deadline);
}

static long ipc_sys_semctl(struct task *task, const uint64_t args[6])
{
	return sem_control(task, (int)args[0], (int)args[1], (int)args[2], args[3]);
}

static long ipc_sys_msgget(struct task *task, const uint64_t args[6])
{
	return msg_get(task, (int32_t)args[0], (int)args[1]);
}

static long ipc_sys_msgsnd(struct task *task, const uint64_t args[6])
{
	return msg_send(task, (int)args[0], args[1], args[2], (int)args[3]);
}

static long ipc_sys_msgrcv(struct task *task, const uint64_t args[6])
{
	return msg_receive(task, (int)args[0], args[1], args[2], (int64_t)args[3], (int)args[4]);
}

static long ipc_sys_msgctl(struct task *task, const uint64_t args[6])
{
	return msg_control(task, (int)args[0], (int)args[1], args[2]);
}

static const struct syscall_row ipc_rows[] = {
	{ 29, "shmget", ipc_sys_shmget, { ARG_HEX, ARG_UINT, ARG_OCT }, SYSCALL_PART,
	  "no huge pages" },
	{ 30, "shmat", ipc_sys_shmat, { ARG_INT, ARG_HEX, ARG_OCT } },
	{ 31, "shmctl", ipc_sys_shmctl, { ARG_INT, ARG_INT, ARG_HEX } },
	{ 64, "semget", ipc_sys_semget, { ARG_HEX, ARG_INT, ARG_OCT } },
	{ 65, "semop", ipc_sys_semop, { ARG_INT, ARG_HEX, ARG_UINT } },
	{ 66, "semctl", ipc_sys_semctl, { ARG_INT, ARG_INT, ARG_INT, ARG_HEX } },
	{ 67, "shmdt", ipc_sys_shmdt, { ARG_HEX } },
	{ 68, "msgget", ipc_sys_msgget, { ARG_HEX, ARG_OCT } },
	{ 69, "msgsnd", ipc_sys_msgsnd, { ARG_INT, ARG_HEX, ARG_UINT, ARG_OCT } },
	{ 70, "msgrcv", ipc_sys_msgrcv, { ARG_INT, ARG_HEX, ARG_UINT, ARG_INT, ARG_OCT },
	  SYSCALL_PART, "no MSG_COPY" },
	{ 71, "msgctl", ipc_sys_msgctl, { ARG_INT, ARG_INT, ARG_HEX } },
	{ 220, "semtimedop", ipc_sys_semtimedop, { ARG_INT, ARG_HEX, ARG_UINT, ARG_TIMESPEC } },
};

const struct syscall_family syscalls_ipc = SYSCALL_FAMILY("System V IPC", ipc_rows);
