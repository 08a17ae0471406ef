/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/run_config.h - the options of coffer run, and the container they describe
 */
#ifndef CLI_RUN_CONFIG_H
#define CLI_RUN_CONFIG_H

#include "cli/run_image.h"
#include "cli/session.h"
#include "cli/words.h"

struct run_opts {
	bool help, strace, interactive, tty, read_only, timing, detach, rm, init, rootfs_share, quiet;
	const char *rootfs, *name, *workdir, *user, *hostname, *sandbox, *trace, *machine, *kernel, *initrd;
	const char *platform, *container_cpus, *layer, *journal, *stop_signal, *cidfile;
	const char *entrypoint, *pull;
	struct opt_list env, env_file, mount, volume, tmpfs, cap_add, cap_drop, ulimit, security,
	    add_host, dns, dns_search, dns_option, sysctl, group_add, socket_in, socket_out, label;
	unsigned cpus, pids, stop_timeout;
	uint64_t memory, container_memory, layer_size;
};

#define RUN_TIMEOUT_UNSET UINT32_MAX
#define RUN_OPTS_INIT { .stop_timeout = RUN_TIMEOUT_UNSET }

#define RUN_NROWS 53
extern const struct opt_row run_rows[RUN_NROWS];

void run_opts_free(struct run_opts *opts);

/* run_rootfs() - --rootfs, or the configuration's; NULL: an image is to be named */
const char *run_rootfs(const struct run_opts *opts, const struct cli *cli);

/* run_check() - Options that exclude each other, and what is ours to check. @nargs: words */
int run_check(const struct run_opts *opts, const struct cli *cli, int nargs,
	      struct coffer_error *err);

/**
 * run_new() - The container
 * @image:	Without a name with a root file system of the caller's
 * @args:	The command; may be empty, then it is the image's
 * @session:	Told what its first process is given
 */
int run_new(const struct run_opts *opts, const struct cli *cli, const struct run_image *image,
	    char *args[], struct session *session, struct coffer_container **out,
	    struct coffer_error *err);

#endif /* CLI_RUN_CONFIG_H */
