/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jail.c - the walls around the monitor
 *
 * Two steps, so that the second overlaps with QEMU's start: jail_prepare()
 * decides and makes what the child inherits (user and pid namespace), and
 * jail_enter() shuts the door behind this process once the child runs.  The
 * filter comes last, when every source is in the loop.
 */
#define LOG_CATEGORY "jail"

#include "vmm/jail.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/ns.h"

#define JAIL_UID_BASE   UINT32_C(0x70000000)
#define JAIL_NOFILE_MAX 4096
#define JAIL_FD_LOW     64 /* above the numbers that children get theirs at */

static int jail_choose_ids(struct jail *j, const struct vmm_config *cfg, int dirfd,
			   struct coffer_error *err)
{
	uint32_t own = JAIL_UID_BASE + (uint32_t)getpid();

	if (geteuid() != 0) {
		if ((cfg->uid && cfg->uid != VMM_ID_AUTO && cfg->uid != geteuid()) ||
		    (cfg->gid && cfg->gid != VMM_ID_AUTO && cfg->gid != getegid()))
			return err_invalid(err, "uid, gid: only root can change to other ids");
		return 0;
	}
	if (cfg->uid == 0)
		return 0;
	j->privs.uid = cfg->uid == VMM_ID_AUTO ? own : cfg->uid;
	j->privs.gid = cfg->gid == VMM_ID_AUTO ? own : cfg->gid;
	if (fchown(dirfd, j->privs.uid, j->privs.gid) == 0) {
		j->privs.set_ids = true;
		return 0;
	}
	if (cfg->uid != VMM_ID_AUTO || (errno != EINVAL && errno != EPERM))
		return err_sys(err, "give %s to uid %u", cfg->vm_dir, j->privs.uid);
	log_warning("uid %u does not exist in this user namespace: ids are kept", j->privs.uid);
	return 0;
}

/* Root may hold the right already; everybody may get it inside a user namespace. */
static void jail_choose_namespaces(struct jail *j)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (geteuid() == 0 && unshare(CLONE_NEWPID) == 0) {
		j->namespaces = true;
		return;
	}
	/* In a user namespace of one id there would be no other id to change to. */
	if (!j->privs.set_ids && ns_enter_user(&err) == 0) {
		if (unshare(CLONE_NEWPID) == 0) {
			j->namespaces = true;
			return;
		}
		err_sys(&err, "new pid namespace");
	}
	log_info("no namespaces around this machine: %s",
		    err.message[0] ? err.message : "not permitted");
}

int jail_init(struct jail *j, struct coffer_error *err)
{
	autoclose int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	*j = (struct jail)JAIL_INIT;
	if (fd < 0)
		return err_sys(err, "pidfd_open");
	j->self_pidfd = fcntl(fd, F_DUPFD_CLOEXEC, JAIL_FD_LOW);
	return j->self_pidfd < 0 ? err_sys(err, "duplicate descriptor") : 0;
}

int jail_prepare(struct jail *j, const struct vmm_config *cfg, int dirfd, struct coffer_error *err)
{
	int r = jail_choose_ids(j, cfg, dirfd, err);

	if (r == 0)
		jail_choose_namespaces(j);
	return r;
}

int jail_tie(const struct jail *j, struct coffer_error *err)
{
	struct pollfd pfd = { .fd = j->self_pidfd, .events = POLLIN };
	int r;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(err, "set parent death signal");
	r = jail_filter_machine(err);
	if (r < 0)
		return r;
	if (poll(&pfd, 1, 0) != 0)
		return err_set(err, COFFER_ERR_INTERRUPTED, 0, "the monitor died");
	return 0;
}

/* A descriptor from before the pivot would still lead to the old tree through "..". */
static int jail_enter_dir(const struct vmm_config *cfg, int *dirfd, struct coffer_error *err)
{
	autoclose int inside = -1;
	struct stat want, have;
	int r = ns_bind(cfg->vm_dir, cfg->vm_dir,
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);

	if (r < 0)
		return r;
	if (chdir(cfg->vm_dir) < 0)
		return err_sys(err, "chdir %s", cfg->vm_dir);
	r = ns_pivot(err);
	if (r < 0)
		return r;
	inside = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (inside < 0 || fstat(inside, &have) < 0 || fstat(*dirfd, &want) < 0)
		return err_sys(err, "open the jail's root");
	if (want.st_dev != have.st_dev || want.st_ino != have.st_ino)
		return err_state(err, "%s was replaced", cfg->vm_dir);
	close_fd(dirfd);
	*dirfd = steal_fd(&inside);
	return 0;
}

static int jail_limit_files(struct coffer_error *err)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return err_sys(err, "read the limit of open files");
	if (rl.rlim_max > JAIL_NOFILE_MAX)
		rl.rlim_max = JAIL_NOFILE_MAX;
	rl.rlim_cur = rl.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &rl) < 0 ? err_sys(err, "limit open files") : 0;
}

/* Return: 0 also where the kernel forbids it */
static int jail_enter_view(const struct vmm_config *cfg, int *dirfd, struct coffer_error *err)
{
	int r = ns_enter_view(err);

	if (r == -EPERM) {
		log_info("%s: the monitor sees the host's files", err->message);
		err_clear(err);
		return 0;
	}
	return r < 0 ? r : jail_enter_dir(cfg, dirfd, err);
}

int jail_enter(struct jail *j, const struct vmm_config *cfg, int *dirfd, struct coffer_error *err)
{
	int r = j->namespaces ? jail_enter_view(cfg, dirfd, err) : 0;

	close_fd(&j->self_pidfd);
	if (r == 0)
		r = jail_limit_files(err);
	if (r == 0)
		r = privs_drop(&j->privs, err);
	return r < 0 ? err_wrap(err, "jail") : 0;
}
