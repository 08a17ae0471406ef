/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/jail.c - the walls around the sentry itself
 *
 * User and pid namespace are there when the process starts; the gofer and the zygote, which need more,
 * are started before. Then: own network, IPC and UTS namespaces, an empty root, no capabilities, and
 * a filter (jail_calls.c) made of what the rooms list beside their code.
 */
#define LOG_CATEGORY "jail"
#include "sentry/control/jail.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/ns.h"
#include "base/privs.h"
#include "sentry/net/socket.h"

/* A directory that every host has, to mount an empty one on. */
#define JAIL_PLACE "/proc"
#define JAIL_LOW_PORTS "/proc/sys/net/ipv4/ip_unprivileged_port_start"
#define JAIL_PINGS     "/proc/sys/net/ipv4/ping_group_range"

static int jail_loopback(struct coffer_error *err)
{
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo" };

	if (fd < 0)
		return err_sys(err, "socket");
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return err_sys(err, "loopback device");
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? err_sys(err, "loopback device up") : 0;
}

/* We shall have no capability, so who may bind low ports is ours to say, not the host's. */
static void jail_low_ports(void)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (io_write_file(AT_FDCWD, JAIL_LOW_PORTS, "0", &err) < 0)
		log_info("%s: ports below 1024 cannot be bound", err.message);
	else
		host_guard_ports();
}

static int jail_own_network(struct coffer_error *err)
{
	struct coffer_error ping_err = COFFER_ERROR_INIT;

	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(err, "new network namespace");
	jail_low_ports();
	/* Our group's sockets are all there are. */
	if (io_write_file(AT_FDCWD, JAIL_PINGS, "0 0", &ping_err) < 0)
		log_info("%s: no pings", ping_err.message);
	return jail_loopback(err);
}

int jail_network(bool own, struct coffer_error *err)
{
	int r = own ? jail_own_network(err) : 0;
	autoclose int ping = r == 0 ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP) : -1;

	host_pings = ping >= 0;
	return r;
}

static int jail_enter_root(struct coffer_error *err)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return err_sys(err, "new namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, "make all mounts private");
	if (mount("none", JAIL_PLACE, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=0,nr_inodes=1,mode=555") < 0)
		return err_sys(err, "mount an empty root");
	if (chdir(JAIL_PLACE) < 0)
		return err_sys(err, "chdir " JAIL_PLACE);
	return ns_pivot(err);
}

int jail_enter(struct coffer_error *err)
{
	const struct privs privs = { .set_ids = false };
	int r = jail_enter_root(err);

	if (r == -EPERM) {
		log_info("%s: the sentry sees the host's files", err->message);
		err_clear(err);
		r = 0;
	}
	if (r == 0)
		r = privs_drop(&privs, err);
	return r < 0 ? err_wrap(err, "jail") : 0;
}
