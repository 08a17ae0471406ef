/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/config.c - the caller's configuration, checked and owned
 *
 * A caller built against an older header hands in a shorter struct: what it
 * does not have takes the default.  One built against a newer header hands in
 * a longer struct, which is fine as long as the part we do not know is zero.
 *
 * All that can be told without touching files is told here, so that a wrong
 * value never costs a boot.
 */
#include "container/config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vmm/config.h"

/* Copy a versioned struct of a caller into ours. */
static int config_import(void *dst, size_t dst_size, const void *src, size_t src_size,
			 const char *what, struct coffer_error *err)
{
	const unsigned char *p = src;

	if (src_size < sizeof(size_t))
		return err_invalid(err, "%s: its size is not set", what);
	for (size_t i = dst_size; i < src_size; i++)
		if (p[i])
			return err_unsupported(err, "%s: made for a newer libcoffer", what);
	memset(dst, 0, dst_size);
	memcpy(dst, src, src_size < dst_size ? src_size : dst_size);
	return 0;
}

static int config_copy(char **dst, const char *src, struct coffer_error *err)
{
	if (!src)
		return 0;
	*dst = strdup(src);
	return *dst ? 0 : err_nomem(err);
}

static void config_free_words(char **words)
{
	for (char **w = words; w && *w; w++)
		free(*w);
	free(words);
}

static int config_copy_words(char ***dst, const char *const *src, const char *what,
			     struct coffer_error *err)
{
	size_t n = 0, bytes = 0;
	char **words;

	if (!src)
		return 0;
	while (src[n]) {
		bytes += strlen(src[n++]);
		if (n > CONFIG_WORDS_MAX || bytes > CONFIG_TEXT_MAX)
			return err_set(err, COFFER_ERR_INVALID_ARGUMENT, E2BIG, "%s: too long",
				       what);
	}
	words = calloc(n + 1, sizeof(*words));
	if (!words)
		return err_nomem(err);
	*dst = words;
	for (size_t i = 0; i < n; i++) {
		words[i] = strdup(src[i]);
		if (!words[i])
			return err_nomem(err);
	}
	return 0;
}

static int config_check_env(const struct process_config *p, struct coffer_error *err)
{
	for (char **e = p->env; e && *e; e++)
		if (**e == '=' || !strchr(*e, '='))
			return err_invalid(err, "env: %s: not of the form KEY=VALUE", *e);
	return 0;
}

static int config_check_process(const struct process_config *p, struct coffer_error *err)
{
	if (!p->args || !p->args[0] || !*p->args[0])
		return err_invalid(err, "args: no program given");
	if (p->cwd && *p->cwd != '/')
		return err_invalid(err, "working directory %s: not an absolute path", p->cwd);
	if (p->user && !*p->user)
		return err_invalid(err, "user: empty");
	if (p->streams >> COFFER_STREAM_COUNT)
		return err_invalid(err, "streams: unknown bits");
	if (p->terminal && (p->streams & COFFER_STREAM_BIT(COFFER_STDERR)))
		return err_invalid(err, "streams: a terminal has no stderr of its own");
	return config_check_env(p, err);
}

int config_take_process(const struct coffer_process_config *in, struct process_config *out,
			struct coffer_error *err)
{
	struct coffer_process_config full;
	int r;

	*out = (struct process_config){ 0 };
	if (!in)
		return err_invalid(err, "process: not given");
	r = config_import(&full, sizeof(full), in, in->size, "process", err);
	if (r < 0)
		return r;
	out->terminal = full.terminal;
	out->rows = full.rows;
	out->columns = full.columns;
	out->streams = full.streams;
	r = config_copy_words(&out->args, full.args, "args", err);
	if (r == 0)
		r = config_copy_words(&out->env, full.env, "env", err);
	if (r == 0)
		r = config_copy(&out->cwd, full.cwd, err);
	if (r == 0)
		r = config_copy(&out->user, full.user, err);
	return r < 0 ? r : config_check_process(out, err);
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

static int config_check_container(const struct container_config *c, struct coffer_error *err)
{
	if (c->hostname && config_check_hostname(c->hostname, err) < 0)
		return -EINVAL;
	if (c->cpus > CONFIG_CPUS_MAX)
		return err_invalid(err, "cpus: %u: at most %d", c->cpus, CONFIG_CPUS_MAX);
	if (c->memory < COFFER_MEMORY_MIN || c->memory > VMM_MEMORY_MAX)
		return err_invalid(err, "memory: %llu bytes: must be %lluM to %lluM",
				   (unsigned long long)c->memory,
				   (unsigned long long)COFFER_MEMORY_MIN >> 20,
				   (unsigned long long)VMM_MEMORY_MAX >> 20);
	if (vmm_machine_parse(c->machine) < 0)
		return err_invalid(err, "machine %s: unknown", c->machine);
	return 0;
}

int config_take_container(const struct coffer_container_config *in, struct container_config *out,
			  struct coffer_error *err)
{
	struct coffer_container_config full;
	int r;

	*out = (struct container_config){ 0 };
	r = config_import(&full, sizeof(full), in, in->size, "container", err);
	if (r < 0)
		return r;
	out->read_only = full.read_only;
	out->cpus = full.cpus ? full.cpus : 1;
	out->memory = full.memory ? full.memory : VMM_MEMORY_DEFAULT;
	r = config_copy(&out->machine, full.machine ? full.machine : "auto", err);
	if (r == 0)
		r = config_copy(&out->rootfs, full.rootfs, err);
	if (r == 0)
		r = config_copy(&out->hostname, full.hostname, err);
	if (r == 0)
		r = config_copy(&out->kernel, full.kernel, err);
	if (r == 0)
		r = config_copy(&out->initrd, full.initrd, err);
	if (r == 0)
		r = config_copy(&out->run_dir, full.run_dir, err);
	if (r == 0)
		r = config_check_container(out, err);
	out->memory = (out->memory + (1 << 20) - 1) >> 20 << 20;
	return r;
}

void config_free_process(struct process_config *config)
{
	config_free_words(config->args);
	config_free_words(config->env);
	free(config->cwd);
	free(config->user);
	*config = (struct process_config){ 0 };
}

void config_free_container(struct container_config *config)
{
	free(config->rootfs);
	free(config->hostname);
	free(config->machine);
	free(config->kernel);
	free(config->initrd);
	free(config->run_dir);
	*config = (struct container_config){ 0 };
}
