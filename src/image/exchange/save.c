/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/save.c - images of the store into an archive or a layout
 *
 * An archive says at its end what is in it, so it is written while images are
 * gone through; blobs that several of them have are in it once.
 *
 * Callers: the public API.
 */
#include "base/json.h"
#include "image/exchange/exchange.h"

struct save {
	struct exchange x;
	struct sink *sink;
	enum coffer_archive_kind kind;
	struct index index;
	struct json_object *docker;
};

/* What an archive can call it: a digest is no tag. */
static const char *save_name(const struct coffer_image *image, bool familiar,
			     char out[REFERENCE_TEXT_MAX])
{
	struct reference ref;

	if (!image->name || reference_parse(image->name, NULL, &ref, NULL) < 0 || !ref.tag[0])
		return NULL;
	ref.digest = (struct digest){ "" };
	if (familiar)
		reference_familiar(&ref, out);
	else
		reference_canonical(&ref, out);
	return out;
}

static int save_image(struct save *s, const struct coffer_transfer *how, const char *name,
		      struct coffer_error *err)
{
	CLEANUP(coffer_image_freep) struct coffer_image *image = NULL;
	char text[REFERENCE_TEXT_MAX];
	int r = coffer_image_find(s->x.images, name, how->platform, &image, err);

	if (r < 0)
		return r;
	if (image->builtin)
		return err_unsupported(err, "it is built in: there is nothing to save");
	if (s->kind == COFFER_ARCHIVE_DOCKER)
		return docker_archive_write(&s->x, s->sink, image, save_name(image, true, text),
					    s->docker, err);
	return layout_write(&s->x, s->sink, image, save_name(image, false, text),
			    how->all_platforms, &s->index, err);
}

static int save_all(struct save *s, const char *const *names, int fd,
		    const struct coffer_transfer *how, struct coffer_error *err)
{
	int r = s->kind == COFFER_ARCHIVE_OCI_DIR ? sink_open_dir(fd, &s->sink, err)
						  : sink_open_tar(fd, &s->sink, err);

	for (size_t i = 0; r == 0 && names[i]; i++) {
		r = save_image(s, how, names[i], err);
		if (r < 0 && r != -ECANCELED)
			r = err_wrap(err, "save %s", names[i]);
	}
	if (r == 0 && s->kind == COFFER_ARCHIVE_DOCKER)
		r = docker_archive_finish(s->sink, s->docker, err);
	else if (r == 0)
		r = layout_finish(s->sink, &s->index, err);
	return r < 0 ? r : sink_finish(s->sink, err);
}

static int save_check(const char *const *names, enum coffer_archive_kind kind,
		      const struct coffer_transfer *how, struct coffer_error *err)
{
	if (!names || !names[0])
		return err_invalid(err, "save: no image is named");
	if ((unsigned)kind > COFFER_ARCHIVE_OCI_DIR)
		return err_invalid(err, "save: archive kind %d: unknown", kind);
	if (kind == COFFER_ARCHIVE_DOCKER && how->all_platforms)
		return err_unsupported(err, "save: a docker archive has one platform of an image");
	return 0;
}

int coffer_images_save(struct coffer_images *images, const char *const *names,
		       enum coffer_archive_kind kind, int fd, const struct coffer_transfer *how,
		       struct coffer_error *err)
{
	struct save s = { .kind = kind };
	struct progress progress;
	int r = progress_open(&progress, how, err);

	if (r < 0)
		return r;
	r = save_check(names, kind, &progress.how, err);
	if (r == 0)
		r = exchange_open(&s.x, images, &progress, err);
	s.docker = json_object_new_array();
	if (r == 0)
		r = s.docker ? save_all(&s, names, fd, &progress.how, err) : err_nomem(err);
	if (s.sink)
		sink_free(s.sink);
	index_free(&s.index);
	json_object_put(s.docker);
	exchange_close(&s.x);
	progress_close(&progress);
	return r;
}
