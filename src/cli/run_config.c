/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/run_config.c - the options of coffer run, and the container they describe
 *
 * Options win over the configuration file, that over the library's defaults.
 * The library checks what the values mean.
 */
#include "cli/run_config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/target.h"

static const char *const run_sandboxes[] = { "vm", "sentry", "auto", NULL };
static const char *const run_machines[] = { "auto", "qemu-kvm", "qemu-tcg", NULL };
static const char *const run_journals[] = { "none", "writeback", "ordered", "data", NULL };

#define MAX_SIZE    (UINT64_C(1) << 40)
#define FIELD(member) offsetof(struct run_opts, member)
const struct opt_row run_rows[RUN_NROWS] = {
	{ "name", 0, OPT_STRING, FIELD(name), "NAME", "The container's id (default: random)" },
	{ "detach", 'd', OPT_FLAG, FIELD(detach), NULL, "In the background; print the id" },
	{ "rm", 0, OPT_FLAG, FIELD(rm), NULL, "With -d: keep nothing after its end" },
	{ "cidfile", 0, OPT_STRING, FIELD(cidfile), "FILE", "Write the id to a new file" },
	{ "interactive", 'i', OPT_FLAG, FIELD(interactive), NULL, "Pass stdin on" },
	{ "tty", 't', OPT_FLAG, FIELD(tty), NULL, "Run on a terminal of its own; includes -i" },
	{ "pull", 0, OPT_WORD, FIELD(pull), "WHEN",
	  "Ask the registry for IMAGE: missing (default), always or never",
	  .words = images_pull_words },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Tell nothing of the pull" },
	{ "entrypoint", 0, OPT_STRING, FIELD(entrypoint), "PROGRAM",
	  "Run this, with COMMAND as its arguments, instead of the image's" },
	{ "env", 'e', OPT_LIST, FIELD(env), "KEY=VALUE",
	  "Set a variable (KEY alone: as it is here)" },
	{ "env-file", 0, OPT_LIST, FIELD(env_file), "FILE", "Set those in the lines of a file" },
	{ "workdir", 'w', OPT_STRING, FIELD(workdir), "DIR",
	  "Working directory (default: the image's, else /)" },
	{ "user", 'u', OPT_STRING, FIELD(user), "USER[:GROUP]",
	  "Names or numbers (default: the image's, else root)" },
	{ "group-add", 0, OPT_LIST, FIELD(group_add), "GID", "A further group" },
	{ "init", 0, OPT_FLAG, FIELD(init), NULL,
	  "Run it below an init that reaps orphans and passes signals on" },
	{ "stop-signal", 0, OPT_STRING, FIELD(stop_signal), "SIGNAL",
	  "What coffer stop sends first (default: the image's, else TERM)" },
	{ "stop-timeout", 0, OPT_COUNT, FIELD(stop_timeout), "SECONDS",
	  "How long it then waits (default: 10)", 0, 1 << 30 },
	{ "label", 'l', OPT_LIST, FIELD(label), "KEY=VALUE", "For inspect and ps" },
	{ "hostname", 0, OPT_STRING, FIELD(hostname), "NAME", "Host name (default: the id)" },
	{ "add-host", 0, OPT_LIST, FIELD(add_host), "NAME:ADDRESS", "For /etc/hosts" },
	{ "dns", 0, OPT_LIST, FIELD(dns), "ADDRESS", "Name server" },
	{ "dns-search", 0, OPT_LIST, FIELD(dns_search), "DOMAIN", "Search domain" },
	{ "dns-option", 0, OPT_LIST, FIELD(dns_option), "OPTION", "For /etc/resolv.conf" },
	{ "sysctl", 0, OPT_LIST, FIELD(sysctl), "KEY=VALUE", "Kernel setting" },
	{ "rootfs", 0, OPT_STRING, FIELD(rootfs), "PATH",
	  "Instead of an image: a directory (copied) or a file with ext4 or erofs" },
	{ "rootfs-share", 0, OPT_FLAG, FIELD(rootfs_share), NULL,
	  "Share a --rootfs directory instead of copying it" },
	{ "read-only", 0, OPT_FLAG, FIELD(read_only), NULL, "Refuse writes to the root" },
	{ "layer", 0, OPT_STRING, FIELD(layer), "KIND|FILE",
	  "Where writes to the root go: auto, none, tmpfs, disk, or a disk kept in FILE" },
	{ "layer-size", 0, OPT_SIZE, FIELD(layer_size), "SIZE", "Of it", 1 << 20,
	  UINT64_C(1) << 44 },
	{ "journal", 0, OPT_WORD, FIELD(journal), "MODE",
	  "Of a disk's layer: none, writeback, ordered (default) or data",
	  .words = run_journals },
	{ "mount", 0, OPT_LIST, FIELD(mount), "FIELDS",
	  "type=bind|volume|tmpfs|disk|nbd,source=S,target=T[,readonly][,option=O]" },
	{ "volume", 'v', OPT_LIST, FIELD(volume), "SOURCE:TARGET[:OPTIONS]",
	  "Share a directory or file, or a named volume" },
	{ "tmpfs", 0, OPT_LIST, FIELD(tmpfs), "TARGET[:OPTIONS]", "Memory" },
	{ "socket-in", 0, OPT_LIST, FIELD(socket_in), "HERE:THERE[:MODE]",
	  "A unix socket of ours appears in the container" },
	{ "socket-out", 0, OPT_LIST, FIELD(socket_out), "THERE:HERE[:MODE]",
	  "One of the container appears here" },
	{ "cap-add", 0, OPT_LIST, FIELD(cap_add), "CAP", "Add a capability, or ALL" },
	{ "cap-drop", 0, OPT_LIST, FIELD(cap_drop), "CAP", "Drop a capability, or ALL" },
	{ "security-opt", 0, OPT_LIST, FIELD(security), "OPTION",
	  "no-new-privileges, or seccomp=FILE with a profile" },
	{ "ulimit", 0, OPT_LIST, FIELD(ulimit), "NAME=SOFT[:HARD]", "Limit of a process" },
	{ "pids-limit", 0, OPT_COUNT, FIELD(pids), "N", "Processes of the container", 1, 1 << 22 },
	{ "container-memory", 0, OPT_SIZE, FIELD(container_memory), "SIZE",
	  "Memory of the container in its machine", 1 << 20, MAX_SIZE },
	{ "container-cpus", 0, OPT_STRING, FIELD(container_cpus), "N",
	  "CPU time of the container in its machine, such as 0.5" },
	{ "cpus", 0, OPT_COUNT, FIELD(cpus), "N", "CPUs of the machine (default: 1)", 1, 64 },
	{ "memory", 'm', OPT_SIZE, FIELD(memory), "SIZE", "Memory of the machine (default: 256M)",
	  COFFER_MEMORY_MIN, MAX_SIZE },
	{ "platform", 0, OPT_STRING, FIELD(platform), "OS/ARCH[/VARIANT]",
	  "Of the image's or root's programs (default: this machine's)" },
	{ "sandbox", 0, OPT_WORD, FIELD(sandbox), "KIND",
	  "The wall: vm, sentry or auto (default: $COFFER_SANDBOX, else vm)",
	  .words = run_sandboxes },
	{ "trace", 0, OPT_STRING, FIELD(trace), "FILE",
	  "Add what processes do to FILE, as JSON; of a sentry" },
	{ "strace", 0, OPT_FLAG, FIELD(strace), NULL,
	  "Log the program's system calls; of a sentry" },
	{ "machine", 0, OPT_WORD, FIELD(machine), "NAME", "auto, qemu-kvm or qemu-tcg",
	  .words = run_machines },
	{ "kernel", 0, OPT_STRING, FIELD(kernel), "FILE", "Kernel to boot" },
	{ "initrd", 0, OPT_STRING, FIELD(initrd), "FILE", "Initial ramdisk with the agent" },
	{ "timing", 0, OPT_FLAG, FIELD(timing), NULL, "At the end, tell where the time went" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

void run_opts_free(struct run_opts *opts)
{
	for (size_t i = 0; i < RUN_NROWS; i++)
		if (run_rows[i].type == OPT_LIST)
			opt_list_free((struct opt_list *)((char *)opts + run_rows[i].offset));
}

const char *run_rootfs(const struct run_opts *opts, const struct cli *cli)
{
	return opts->rootfs ? opts->rootfs : cli->config.rootfs;
}

int run_check(const struct run_opts *opts, const struct cli *cli, int nargs,
	      struct coffer_error *err)
{
	const char *rootfs = run_rootfs(opts, cli);

	if (nargs == 0 && !rootfs)
		return err_invalid(err, "run: no image given (see coffer run --help)");
	if (nargs == 0 && !(opts->entrypoint && *opts->entrypoint))
		return err_invalid(err, "run: no command given (see coffer run --help)");
	if (opts->timing && opts->detach)
		return err_invalid(err, "run: options --timing and --detach exclude each other; "
					"see coffer analyze");
	if (opts->cidfile && access(opts->cidfile, F_OK) == 0)
		return err_invalid(err, "run: option --cidfile: %s is there already",
				   opts->cidfile);
	return opts->tty && !opts->detach ? session_check_tty("run", err) : 0;
}

static const char *run_pick(const char *option, const char *config)
{
	return option ? option : config;
}

static const char *run_sandbox(const struct run_opts *opts, const struct cli *cli)
{
	const char *env = getenv("COFFER_SANDBOX");

	return run_pick(opts->sandbox, env && *env ? env : cli->config.sandbox);
}

static int run_fill_root(const struct run_opts *opts, struct coffer_container_config *cfg,
			 struct coffer_error *err)
{
	cfg->rootfs_share = opts->rootfs_share;
	cfg->read_only = opts->read_only;
	cfg->platform = opts->platform;
	return words_layer(opts->layer, opts->layer_size, opts->journal, &cfg->layer, err);
}

static void run_fill_machine(const struct run_opts *opts, const struct cli *cli,
			     struct coffer_container_config *cfg)
{
	cfg->cpus = opts->cpus ? opts->cpus : cli->config.cpus;
	cfg->memory = opts->memory ? opts->memory : cli->config.memory;
	cfg->sandbox = run_sandbox(opts, cli);
	cfg->strace = opts->strace;
	cfg->trace = opts->trace;
	cfg->machine = run_pick(opts->machine, cli->config.machine);
	cfg->kernel = opts->kernel;
	cfg->initrd = opts->initrd;
	/* The configuration's are for those that boot. */
	if (!cfg->sandbox || strcmp(cfg->sandbox, "sentry") != 0) {
		cfg->kernel = run_pick(opts->kernel, cli->config.kernel);
		cfg->initrd = run_pick(opts->initrd, cli->config.initrd);
	}
	cfg->run_dir = target_run_dir(cli);
}

static int run_fill_lists(const struct run_opts *opts, struct words *words,
			  struct coffer_container_config *cfg, struct coffer_error *err)
{
	int r = words_mounts(words, &opts->mount, &opts->volume, &opts->tmpfs, &cfg->mounts,
			     &cfg->nmounts, err);

	cfg->hosts = opts->add_host.v;
	cfg->dns.nameservers = opts->dns.v;
	cfg->dns.searches = opts->dns_search.v;
	cfg->dns.options = opts->dns_option.v;
	cfg->sysctls = opts->sysctl.v;
	cfg->labels = opts->label.v;
	if (r < 0)
		return r;
	return words_relays(words, &opts->socket_in, &opts->socket_out, &cfg->relays,
			    &cfg->nrelays, err);
}

static int run_fill_container(const struct run_opts *opts, struct coffer_container_config *cfg,
			      struct coffer_error *err)
{
	struct coffer_resources *limits = &cfg->resources;

	cfg->hostname = opts->hostname;
	cfg->init = opts->init;
	cfg->keep = opts->detach && !opts->rm;
	cfg->stop_signal = opts->stop_signal;
	if (opts->stop_timeout != RUN_TIMEOUT_UNSET)
		/* 0 is the default there; a microsecond is as short. */
		cfg->stop_grace = opts->stop_timeout ? opts->stop_timeout * USEC_PER_SEC : 1;
	limits->memory = opts->container_memory;
	limits->pids = opts->pids;
	if (!opts->container_cpus)
		return 0;
	return words_cpus(opts->container_cpus, &limits->cpu_quota, &limits->cpu_period, err);
}

static int run_fill_process(const struct run_opts *opts, struct words *words,
			    struct coffer_process_config *p, struct coffer_error *err)
{
	int r;

	p->cwd = opts->workdir;
	p->user = opts->user;
	p->cap_add = opts->cap_add.v;
	p->cap_drop = opts->cap_drop.v;
	r = words_env(words, &opts->env_file, &opts->env, &p->env, err);
	if (r == 0)
		r = words_rlimits(words, &opts->ulimit, &p->rlimits, &p->nrlimits, err);
	if (r == 0)
		r = words_groups(words, &opts->group_add, &p->groups, &p->ngroups, err);
	if (r == 0)
		r = words_security(words, &opts->security, &p->no_new_privs, &p->seccomp, err);
	return r;
}

/* @block: as coffer_image_apply() has it */
static int run_fill_image(const struct run_opts *opts, const struct cli *cli,
			  const struct run_image *image, struct coffer_container_config *cfg,
			  struct coffer_process_config *p, void **block, struct coffer_error *err)
{
	const char *entry = opts->entrypoint;
	const char *const entrypoint[] = { entry && *entry ? entry : NULL, NULL };
	int r;

	if (!image->name) {
		cfg->rootfs = run_rootfs(opts, cli);
	} else {
		cfg->image = image->name;
		cfg->image_id = image->id;
		cfg->rootfs = image->rootfs;
		cfg->platform = image->platform ? image->platform : opts->platform;
	}
	r = coffer_image_apply(&image->said, entry ? entrypoint : NULL, cfg, p, block, err);
	return r < 0 && image->name ? err_wrap(err, "image %s", image->name) : r;
}

int run_new(const struct run_opts *opts, const struct cli *cli, const struct run_image *image,
	    char *args[], struct session *session, struct coffer_container **out,
	    struct coffer_error *err)
{
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;
	CLEANUP(words_free) struct words words = { 0 };
	autofree void *block = NULL;
	int r;

	run_fill_machine(opts, cli, &cfg);
	r = run_fill_root(opts, &cfg, err);
	if (r == 0)
		r = run_fill_container(opts, &cfg, err);
	if (r == 0)
		r = run_fill_lists(opts, &words, &cfg, err);
	if (r == 0)
		r = run_fill_process(opts, &words, &p, err);
	p.args = (const char *const *)args;
	if (r == 0)
		r = run_fill_image(opts, cli, image, &cfg, &p, &block, err);
	if (r < 0)
		return r;
	session_stdio(session, opts->interactive, opts->tty, true, &p);
	cfg.process = &p;
	r = coffer_container_new(opts->name, &cfg, out, err);
	if (r == 0)
		session->process = coffer_container_process(*out);
	return r;
}
