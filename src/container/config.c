/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/config.c - the caller's configuration, checked and owned
 *
 * All that can be told without touching files is told here, so that a wrong
 * value never costs a boot.
 */
#include "container/config.h"

#include <ctype.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/sized.h"
#include "base/spawn.h"
#include "container/document.h"
#include "container/relay.h"
#include "container/storage.h"
#include "sandbox/kind.h"
#include "vmm/config.h"

#define CONFIG_MEMORY_SPARE (UINT64_C(128) << 20) /* of the machine, beside a limit */

/* What a copy owns beside itself. */
struct config_block {
	struct config_block *next;
	_Alignas(max_align_t) char data[];
};

struct config_process {
	struct coffer_process_config config;
	struct config_block *blocks;
	int fds[COFFER_STREAM_COUNT]; /* owned; -1: none */
};

struct config_container {
	struct coffer_container_config config;
	struct config_block *blocks;
};

static void config_free_blocks(struct config_block *blocks)
{
	while (blocks) {
		struct config_block *next = blocks->next;

		free(blocks);
		blocks = next;
	}
}

/* @n bytes of @src. Return: NULL when there is no memory */
static void *config_copy_bytes(struct config_block **blocks, const void *src, size_t n)
{
	struct config_block *b = malloc(sizeof(*b) + n);

	if (!b)
		return NULL;
	memcpy(b->data, src, n);
	b->next = *blocks;
	*blocks = b;
	return b->data;
}

/* Have *@text be a copy of itself. */
static int config_own(struct config_block **blocks, const char **text, struct coffer_error *err)
{
	if (!*text)
		return 0;
	*text = config_copy_bytes(blocks, *text, strlen(*text) + 1);
	return *text ? 0 : err_nomem(err);
}

/* The same for a NULL-terminated list. */
static int config_own_words(struct config_block **blocks, const char *const **list,
			    const char *what, struct coffer_error *err)
{
	size_t n = 0, bytes = 0;
	const char **words;
	int r = 0;

	if (!*list)
		return 0;
	while ((*list)[n]) {
		bytes += strlen((*list)[n++]);
		if (n > CONFIG_WORDS_MAX || bytes > CONFIG_TEXT_MAX)
			return err_set(err, COFFER_ERR_INVALID_ARGUMENT, E2BIG, "%s: too long",
				       what);
	}
	words = config_copy_bytes(blocks, *list, (n + 1) * sizeof(*words));
	if (!words)
		return err_nomem(err);
	*list = words;
	for (size_t i = 0; i < n && r == 0; i++)
		r = config_own(blocks, &words[i], err);
	return r;
}

/* And for @n rows of @size bytes. The rows are the caller's to go through. */
static int config_own_rows(struct config_block **blocks, void *rows, size_t n, size_t size,
			   size_t max, const char *what, struct coffer_error *err)
{
	const void **list = rows;

	if (n == 0) {
		*list = NULL;
		return 0;
	}
	if (!*list)
		return err_invalid(err, "%s: %zu, but none are given", what, n);
	if (n > max)
		return err_invalid(err, "%s: %zu: at most %zu", what, n, max);
	*list = config_copy_bytes(blocks, *list, n * size);
	return *list ? 0 : err_nomem(err);
}

static int config_check_env(const struct coffer_process_config *p, struct coffer_error *err)
{
	for (const char *const *e = p->env; e && *e; e++)
		if (**e == '=' || !strchr(*e, '='))
			return err_invalid(err, "env: %s: not of the form KEY=VALUE", *e);
	return 0;
}

static int config_check_stdio(const struct coffer_process_config *p, struct coffer_error *err)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };

	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		if (p->stdio[i].mode < COFFER_STDIO_NULL || p->stdio[i].mode > COFFER_STDIO_FD)
			return err_invalid(err, "%s: unknown mode %d", names[i], p->stdio[i].mode);
		if (p->stdio[i].mode == COFFER_STDIO_FD && fcntl(p->stdio[i].fd, F_GETFD) < 0)
			return err_invalid(err, "%s: descriptor %d is not open", names[i],
					   p->stdio[i].fd);
	}
	if (p->terminal && p->stdio[COFFER_STDERR].mode != COFFER_STDIO_NULL)
		return err_invalid(err, "stderr: a terminal has none of its own");
	return 0;
}

static int config_check_process(const struct coffer_process_config *p, struct coffer_error *err)
{
	int r;

	if (!p->args || !p->args[0] || !*p->args[0])
		return err_invalid(err, "args: no program given");
	if (p->cwd && *p->cwd != '/')
		return err_invalid(err, "working directory %s: not an absolute path", p->cwd);
	if (p->user && !*p->user)
		return err_invalid(err, "user: empty");
	r = config_check_stdio(p, err);
	if (r == 0)
		r = config_check_env(p, err);
	return r < 0 ? r : document_check_process(p, err);
}

static int config_own_process(struct config_process *p, struct coffer_error *err)
{
	struct coffer_process_config *c = &p->config;
	const struct {
		const char *const **list;
		const char *what;
	} words[] = {
		{ &c->args, "args" },
		{ &c->env, "env" },
		{ &c->cap_add, "cap_add" },
		{ &c->cap_drop, "cap_drop" },
	};
	const char **const texts[] = { &c->cwd, &c->user, &c->seccomp };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words) && r == 0; i++)
		r = config_own_words(&p->blocks, words[i].list, words[i].what, err);
	for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
		r = config_own(&p->blocks, texts[i], err);
	if (r == 0)
		r = config_own_rows(&p->blocks, &c->groups, c->ngroups, sizeof(*c->groups),
				    CONFIG_WORDS_MAX, "groups", err);
	if (r == 0)
		r = config_own_rows(&p->blocks, &c->rlimits, c->nrlimits, sizeof(*c->rlimits), 16,
				    "rlimits", err);
	for (size_t i = 0; i < c->nrlimits && r == 0; i++)
		r = config_own(&p->blocks, (const char **)&c->rlimits[i].type, err);
	return r;
}

/* The caller may close his. */
static int config_own_fds(struct config_process *p, struct coffer_error *err)
{
	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		struct coffer_stdio *s = &p->config.stdio[i];

		if (s->mode != COFFER_STDIO_FD)
			continue;
		p->fds[i] = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
		if (p->fds[i] < 0)
			return err_sys(err, "duplicate descriptor %d", s->fd);
		s->fd = p->fds[i];
	}
	return 0;
}

int config_take_process(const struct coffer_process_config *in, struct coffer_process_config **out,
			struct coffer_error *err)
{
	struct config_process *p = calloc(1, sizeof(*p));
	int r;

	*out = NULL;
	if (!p)
		return err_nomem(err);
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		p->fds[i] = -1;
	r = in ? sized_import(&p->config, sizeof(p->config), in, "process", err)
	       : err_invalid(err, "process: not given");
	if (r == 0)
		r = config_own_process(p, err);
	if (r == 0)
		r = config_check_process(&p->config, err);
	if (r == 0)
		r = config_own_fds(p, err);
	if (r < 0)
		config_free_process(&p->config);
	else
		*out = &p->config;
	return r;
}

static int config_check_hostname(const char *name, struct coffer_error *err)
{
	size_t n = strlen(name);
	bool good = n >= 1 && n <= 64;

	for (size_t i = 0; i < n && good; i++)
		good = isalnum((unsigned char)name[i]) || name[i] == '-' || name[i] == '.' ||
		       name[i] == '_';
	return good ? 0 : err_invalid(err, "hostname %s: not a host name", name);
}

static int config_check_container(const struct coffer_container_config *c,
				  struct coffer_error *err)
{
	int r;

	if (c->hostname && config_check_hostname(c->hostname, err) < 0)
		return -EINVAL;
	if (c->cpus > CONFIG_CPUS_MAX)
		return err_invalid(err, "cpus: %u: at most %d", c->cpus, CONFIG_CPUS_MAX);
	if (c->memory < COFFER_MEMORY_MIN || c->memory > VMM_MEMORY_MAX)
		return err_invalid(err, "memory: %llu bytes: must be %lluM to %lluM",
				   (unsigned long long)c->memory,
				   (unsigned long long)COFFER_MEMORY_MIN >> 20,
				   (unsigned long long)VMM_MEMORY_MAX >> 20);
	if (c->resources.memory > c->memory)
		return err_invalid(err, "resources.memory: %llu bytes: the machine has %llu",
				   (unsigned long long)c->resources.memory,
				   (unsigned long long)c->memory);
	if (!sandbox_kind_find(c->sandbox))
		return err_invalid(err, "sandbox %s: want vm, sentry or auto", c->sandbox);
	if (c->resources.cpu_quota && !sandbox_kind_find(c->sandbox)->shares_processors)
		return err_unsupported(err, "resources.cpu_quota: a %s has whole processors (cpus)",
				       c->sandbox);
	if ((c->strace || c->trace) && !sandbox_kind_find(c->sandbox)->counts_calls)
		return err_unsupported(err, "%s: a %s has a kernel of its own",
				       c->strace ? "strace" : "trace", c->sandbox);
	if (vmm_machine_parse(c->machine) < 0)
		return err_invalid(err, "machine %s: unknown", c->machine);
	if (c->stop_signal && spawn_signal_parse(c->stop_signal) < 1)
		return err_invalid(err, "stop_signal %s: there is none", c->stop_signal);
	for (const char *const *l = c->labels; l && *l; l++)
		if (**l == '=' || !**l)
			return err_invalid(err, "label %s: without a name", *l);
	r = document_check_container(c, err);
	if (r == 0)
		r = relay_check(c, err);
	return r < 0 ? r : storage_check(c, err);
}

static int config_own_mounts(struct config_container *p, struct coffer_error *err)
{
	struct coffer_container_config *c = &p->config;
	int r = config_own_rows(&p->blocks, &c->mounts, c->nmounts, sizeof(*c->mounts),
				CONFIG_MOUNTS_MAX, "mounts", err);

	for (size_t i = 0; i < c->nmounts && r == 0; i++) {
		struct coffer_mount *m = (struct coffer_mount *)&c->mounts[i];

		r = config_own(&p->blocks, &m->source, err);
		if (r == 0)
			r = config_own(&p->blocks, &m->target, err);
		if (r == 0)
			r = config_own_words(&p->blocks, &m->options, "mount options", err);
	}
	return r;
}

static int config_own_relays(struct config_container *p, struct coffer_error *err)
{
	struct coffer_container_config *c = &p->config;
	int r = config_own_rows(&p->blocks, &c->relays, c->nrelays, sizeof(*c->relays),
				CONFIG_RELAYS_MAX, "relays", err);

	for (size_t i = 0; i < c->nrelays && r == 0; i++) {
		struct coffer_relay *relay = (struct coffer_relay *)&c->relays[i];

		r = config_own(&p->blocks, &relay->id, err);
		if (r == 0)
			r = config_own(&p->blocks, &relay->host_path, err);
		if (r == 0)
			r = config_own(&p->blocks, &relay->guest_path, err);
	}
	return r;
}

static int config_own_container(struct config_container *p, struct coffer_error *err)
{
	struct coffer_container_config *c = &p->config;
	const struct {
		const char *const **list;
		const char *what;
	} words[] = {
		{ &c->hosts, "hosts" },
		{ &c->dns.nameservers, "dns.nameservers" },
		{ &c->dns.searches, "dns.searches" },
		{ &c->dns.options, "dns.options" },
		{ &c->sysctls, "sysctls" },
		{ &c->labels, "labels" },
	};
	const char **const texts[] = { &c->rootfs,   &c->layer.path, &c->hostname, &c->dns.domain,
				       &c->platform, &c->machine,    &c->kernel,   &c->initrd,
				       &c->sandbox,  &c->trace,
				       &c->run_dir,  &c->stop_signal, &c->image,  &c->image_id };
	int r = 0;

	/* Now, since the environment may change. */
	if (!c->sandbox)
		c->sandbox = sandbox_kind_default();
	for (size_t i = 0; i < ARRAY_SIZE(words) && r == 0; i++)
		r = config_own_words(&p->blocks, words[i].list, words[i].what, err);
	for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
		r = config_own(&p->blocks, texts[i], err);
	if (r == 0)
		r = config_own_mounts(p, err);
	return r < 0 ? r : config_own_relays(p, err);
}

static void config_fill(struct coffer_container_config *c)
{
	uint64_t limit = c->resources.memory;

	c->process = NULL;
	if (!c->cpus)
		c->cpus = 1;
	if (!c->machine)
		c->machine = "auto";
	if (!c->stop_signal)
		c->stop_signal = "TERM";
	if (!c->stop_grace)
		c->stop_grace = 10 * USEC_PER_SEC;
	if (!c->memory && limit <= VMM_MEMORY_MAX)
		c->memory = limit ? limit + CONFIG_MEMORY_SPARE : VMM_MEMORY_DEFAULT;
	if (c->memory <= VMM_MEMORY_MAX)
		c->memory = (c->memory + (1 << 20) - 1) >> 20 << 20;
}

int config_take_container(const struct coffer_container_config *in,
			  struct coffer_container_config **out, struct coffer_error *err)
{
	struct config_container *p = calloc(1, sizeof(*p));
	int r;

	*out = NULL;
	if (!p)
		return err_nomem(err);
	r = sized_import(&p->config, sizeof(p->config), in, "container", err);
	if (r == 0) {
		config_fill(&p->config);
		r = config_own_container(p, err);
	}
	if (r == 0)
		r = config_check_container(&p->config, err);
	if (r < 0)
		config_free_container(&p->config);
	else
		*out = &p->config;
	return r;
}

void config_free_process(struct coffer_process_config *config)
{
	struct config_process *p;

	if (!config)
		return;
	p = container_of(config, struct config_process, config);
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		close_fd(&p->fds[i]);
	config_free_blocks(p->blocks);
	free(p);
}

void config_free_container(struct coffer_container_config *config)
{
	struct config_container *p;

	if (!config)
		return;
	p = container_of(config, struct config_container, config);
	config_free_blocks(p->blocks);
	free(p);
}
