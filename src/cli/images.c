/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/images.c - what commands on images share
 */
#include "cli/images.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/doc.h"

const char *const images_pull_words[] = { "missing", "always", "never", NULL };

enum images_pull images_pull_parse(const char *word)
{
	int i = IMAGES_PULL_MISSING;

	while (word && images_pull_words[i] && strcmp(images_pull_words[i], word) != 0)
		i++;
	return (enum images_pull)i;
}

int images_get(struct coffer_images *images, const char *name, enum images_pull pull,
	       const struct coffer_transfer *how, struct coffer_image **out,
	       struct coffer_error *err)
{
	int r;

	/* No registry has that. */
	if (pull != IMAGES_PULL_ALWAYS || strcmp(name, COFFER_IMAGE_BUILTIN) == 0) {
		r = coffer_image_find(images, name, how->platform, out, err);
		if (r == 0 || pull == IMAGES_PULL_NEVER || err->kind != COFFER_ERR_NOT_FOUND)
			return r;
		err_clear(err);
	}
	return coffer_image_pull(images, name, how, out, err);
}

int images_failed(const struct coffer_error *err)
{
	cli_fail(err);
	return CLI_EXIT_FAILED;
}

int images_each(int n, char *names[],
		int (*fn)(struct coffer_images *images, const char *name, void *data,
			  struct coffer_error *err),
		void *data)
{
	autoimages struct coffer_images *images = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	int code = CLI_EXIT_OK;

	if (coffer_images_open(NULL, &images, &err) < 0)
		return images_failed(&err);
	for (int i = 0; i < n; i++) {
		err_clear(&err);
		if (fn(images, names[i], data, &err) < 0)
			code = images_failed(&err);
		else
			printf("%s\n", names[i]);
	}
	return code;
}

void images_short(const char *digest, bool whole, char *out, size_t size)
{
	const char *colon = strchr(digest, ':');

	if (whole)
		snprintf(out, size, "%s", digest);
	else
		snprintf(out, size, "%.*s", IMAGES_ID_SHOWN, colon ? colon + 1 : digest);
}

int images_parse(const char *text, struct json_object **out, struct coffer_error *err)
{
	*out = json_tokener_parse(text);
	return *out ? 0 : err_internal(err, "what the library tells of images is no JSON");
}

void images_created(const char *text, char *out, size_t size)
{
	time_t at = doc_time(text), now = time(NULL);
	char age[64];

	if (at == 0) {
		snprintf(out, size, "N/A");
		return;
	}
	doc_age(now > at ? now - at : 0, age, sizeof(age));
	snprintf(out, size, "%s ago", age);
}
