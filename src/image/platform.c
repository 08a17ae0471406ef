/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/platform.c - systems and processors that images are for
 *
 * Names are Go's ("amd64"); others' names for the same are understood
 * ("x86_64").  A variant is a generation of a processor: what was made for an
 * older one runs on a newer one.  Callers: document.c, config.c, and what is
 * asked for a platform by its user.
 */
#include <ctype.h>
#include <stdio.h>

#include "image/document.h"
#include "image/platform.h"

#define PLATFORM_OS "linux"
#if defined(__x86_64__)
#define PLATFORM_ARCH "amd64"
#elif defined(__aarch64__)
#define PLATFORM_ARCH "arm64"
#elif defined(__riscv) && __riscv_xlen == 64
#define PLATFORM_ARCH "riscv64"
#else
#error "which processor is this?"
#endif

#define PLATFORM_BEST 100

/* What others call it. */
static const struct {
	const char *alias, *arch, *variant;
} platform_aliases[] = {
	{ "x86_64", "amd64", "" }, { "x86-64", "amd64", "" },  { "i386", "386", "" },
	{ "i686", "386", "" },	   { "aarch64", "arm64", "" }, { "armhf", "arm", "v7" },
	{ "armel", "arm", "v6" },
};

/* Variants that need not be said. */
static const struct {
	const char *arch, *variant;
	bool drop; /* it is not said when it is this one */
	int generation;
} platform_defaults[] = {
	{ "amd64", "v1", true, 1 },
	{ "arm64", "v8", true, 8 },
	{ "arm", "v7", false, 7 },
};

/* What a processor runs besides its own. */
static const struct {
	const char *arch, *runs;
	int generation;
} platform_also[] = {
	{ "amd64", "386", 0 },
	{ "arm64", "arm", 8 },
};

static const char *const platform_systems[] = { "linux",   "darwin", "windows", "freebsd",
						"openbsd", "netbsd", "solaris", "plan9" };

static void platform_lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static bool platform_put(char dst[static 32], const char *src)
{
	return snprintf(dst, 32, "%s", src) < 32;
}

/* platform_normalise() - Others' names to Go's; variants that go without saying are dropped */
static void platform_normalise(struct platform *p)
{
	platform_lower(p->os);
	platform_lower(p->arch);
	platform_lower(p->variant);
	if (strcmp(p->os, "macos") == 0)
		platform_put(p->os, "darwin");
	for (size_t i = 0; i < ARRAY_SIZE(platform_aliases); i++) {
		if (strcmp(p->arch, platform_aliases[i].alias) != 0)
			continue;
		platform_put(p->arch, platform_aliases[i].arch);
		if (platform_aliases[i].variant[0])
			platform_put(p->variant, platform_aliases[i].variant);
	}
	if (isdigit((unsigned char)p->variant[0]) && strlen(p->variant) < 31) {
		memmove(p->variant + 1, p->variant, strlen(p->variant) + 1);
		p->variant[0] = 'v';
	}
	for (size_t i = 0; i < ARRAY_SIZE(platform_defaults); i++) {
		if (strcmp(p->arch, platform_defaults[i].arch) != 0)
			continue;
		if (platform_defaults[i].drop &&
		    strcmp(p->variant, platform_defaults[i].variant) == 0)
			p->variant[0] = '\0';
		else if (!platform_defaults[i].drop && p->variant[0] == '\0')
			platform_put(p->variant, platform_defaults[i].variant);
	}
}

/* platform_word_is_valid() - What an os, arch or variant can be */
static bool platform_word_is_valid(const char *s)
{
	return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789_.-")] == '\0';
}

static bool platform_is_system(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(platform_systems); i++)
		if (strcasecmp(s, platform_systems[i]) == 0)
			return true;
	return strcasecmp(s, "macos") == 0;
}

/* platform_split() - "os/arch/variant", "os/arch", and either of them alone */
static bool platform_split(char *text, struct platform *out)
{
	char *words[3] = { 0 };
	size_t n = 0;
	bool ok = true;

	for (char *word; (word = strsep(&text, "/"));) {
		if (n == ARRAY_SIZE(words) || !platform_word_is_valid(word))
			return false;
		words[n++] = word;
	}
	if (n == 1 && !platform_is_system(words[0]))
		return platform_put(out->os, PLATFORM_OS) && platform_put(out->arch, words[0]);
	ok = platform_put(out->os, words[0]);
	ok = platform_put(out->arch, n > 1 ? words[1] : PLATFORM_ARCH) && ok;
	return platform_put(out->variant, n > 2 ? words[2] : "") && ok;
}

int platform_parse(const char *text, struct platform *out, struct coffer_error *err)
{
	char copy[100];

	*out = (struct platform){ .os = PLATFORM_OS, .arch = PLATFORM_ARCH };
	if (!text)
		return 0;
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy) ||
	    !platform_split(copy, out))
		return err_invalid(err, "platform \"%.40s\": not as linux/amd64 or linux/arm/v7",
				   text);
	platform_normalise(out);
	return 0;
}

int platform_read(const struct json_node *node, bool required, struct platform *out,
		  struct coffer_error *err)
{
	const struct {
		const char *name;
		char *dst;
		bool required;
	} rows[] = {
		{ "os", out->os, required },
		{ "architecture", out->arch, required },
		{ "variant", out->variant, false },
	};

	*out = (struct platform){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_node word = json_node_member(node, rows[i].name);
		int r = json_node_fit(&word, rows[i].required, rows[i].dst, sizeof(out->os), err);

		if (r < 0)
			return r;
		if (rows[i].dst[0] && !platform_word_is_valid(rows[i].dst))
			return json_node_fail(&word, err, "not a word of letters and digits");
	}
	platform_normalise(out);
	return 0;
}

void platform_format(const struct platform *p, char out[100])
{
	snprintf(out, 100, "%s/%s%s%s", p->os, p->arch, p->variant[0] ? "/" : "", p->variant);
}

/* platform_generation() - 7 for "v7"; -1: the variant is some other word */
static int platform_generation(const struct platform *p)
{
	if (p->variant[0] == 'v' && isdigit((unsigned char)p->variant[1]))
		return atoi(p->variant + 1);
	for (size_t i = 0; p->variant[0] == '\0' && i < ARRAY_SIZE(platform_defaults); i++)
		if (strcmp(p->arch, platform_defaults[i].arch) == 0)
			return platform_defaults[i].generation;
	return p->variant[0] ? -1 : 0;
}

/* platform_rank_older() - Of what was made for generation @have on one of @want */
static int platform_rank_older(int want, int have, int best)
{
	if (have < 0 || have > want)
		return 0;
	return want - have >= best ? 1 : best - (want - have);
}

int platform_rank(const struct platform *want, const struct platform *have)
{
	int generation = platform_generation(have);

	if (strcmp(want->os, have->os) != 0)
		return 0;
	if (strcmp(want->arch, have->arch) == 0)
		return strcmp(want->variant, have->variant) == 0
			   ? PLATFORM_BEST
			   : platform_rank_older(platform_generation(want), generation,
						 PLATFORM_BEST);
	for (size_t i = 0; i < ARRAY_SIZE(platform_also); i++)
		if (strcmp(want->arch, platform_also[i].arch) == 0 &&
		    strcmp(have->arch, platform_also[i].runs) == 0)
			return platform_rank_older(platform_also[i].generation, generation,
						   PLATFORM_BEST / 2);
	return 0;
}
