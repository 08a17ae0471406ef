/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/apply.c - what an image says, into the configuration of a container
 *
 *	program      entrypoint, then the caller's words, else the image's cmd
 *	env, labels  the image's but for those the caller has, then the caller's
 *	the rest     the caller's, else the image's
 *
 * As docker has it.  Strings stay where they are; only the lists are new, all
 * in one block.  Volumes are nothing of their own here: each container's root
 * is private, so what is written below them goes where all else goes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "coffer/container.h"
#include "coffer/image.h"

static size_t apply_count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* Where the next list of the block goes. */
static const char **apply_append(const char **at, const char *const *list)
{
	for (; list && *list; list++)
		*at++ = *list;
	return at;
}

static bool apply_has_key(const char *const *list, const char *pair)
{
	size_t n = strcspn(pair, "=");

	for (; list && *list; list++)
		if (strncmp(*list, pair, n) == 0 && ((*list)[n] == '=' || (*list)[n] == '\0'))
			return true;
	return false;
}

/* @given over @said. *@out stays as it is when neither has any. */
static const char **apply_merge(const char **at, const char *const *said,
				const char *const *given, const char *const **out)
{
	const char **first = at;

	for (; said && *said; said++)
		if (!apply_has_key(given, *said))
			*at++ = *said;
	at = apply_append(at, given);
	if (at == first)
		return at;
	*out = first;
	return at + 1;
}

static const char **apply_args(const char **at, const struct coffer_image_config *said,
			       const char *const *entrypoint, const char *const *given,
			       const char *const **out)
{
	const char **first = at;

	at = apply_append(at, entrypoint ? entrypoint : said->entrypoint);
	if (given && *given)
		at = apply_append(at, given);
	else if (!entrypoint)
		at = apply_append(at, said->cmd);
	*out = first;
	return at + 1;
}

static void apply_default(const char **given, const char *said)
{
	if (!*given && said && *said)
		*given = said;
}

int coffer_image_apply(const struct coffer_image_config *said, const char *const *entrypoint,
		       struct coffer_container_config *config,
		       struct coffer_process_config *process, void **block,
		       struct coffer_error *err)
{
	size_t words = apply_count(said->entrypoint) + apply_count(said->cmd) +
		       apply_count(entrypoint) + apply_count(process->args) +
		       apply_count(said->env) + apply_count(process->env) +
		       apply_count(said->labels) + apply_count(config->labels);
	const char **at = calloc(words + 3, sizeof(*at));

	*block = at;
	if (!at)
		return err_nomem(err);
	at = apply_args(at, said, entrypoint, process->args, &process->args);
	at = apply_merge(at, said->env, process->env, &process->env);
	apply_merge(at, said->labels, config->labels, &config->labels);
	apply_default(&process->user, said->user);
	apply_default(&process->cwd, said->workdir);
	apply_default(&config->stop_signal, said->stop_signal);
	if (!process->args[0])
		return err_invalid(err, "no command given, and the image has none");
	return 0;
}
