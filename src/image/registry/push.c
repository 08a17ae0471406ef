/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/push.c - blobs and manifests to a registry
 *
 *	HEAD blob --200--> there already
 *	  |404
 *	POST uploads/?mount&from --201--> taken from another repository
 *	  |202
 *	(POST uploads/ --202-->) Location
 *	  |
 *	small: PUT it, whole           large: PATCH a piece, and the next, then PUT
 *	  |broken off                    |broken off
 *	GET Location: how much is there? PATCH from there, or all over again
 *
 * Each step is the next question of the blob's one inquiry.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/registry/registry_internal.h"

#define PUSH_PIECE ((uint64_t)64 << 20) /* some proxies take no more than 100 MB in a request */
#define PUSH_TELL  (100 * USEC_PER_MSEC)
#define PUSH_TYPE  "Content-Type: application/octet-stream"

enum push_step {
	PUSH_LOOK,
	PUSH_MOUNT,
	PUSH_BEGIN,
	PUSH_WHOLE,
	PUSH_PIECES,
	PUSH_COMMIT,
	PUSH_STATUS,
	PUSH_STEP_COUNT,
};

struct push {
	const struct registry_upload *upload; /* borrowed */
	struct registry *registry;
	enum push_step step;
	uint64_t have;	/* bytes that the registry has */
	char *location; /* owned; where the upload goes on */
	char tail[REFERENCE_NAME_MAX + DIGEST_TEXT_MAX + 64];
	usec_t told;
};

static void push_tell(const struct push *p, enum coffer_progress_kind kind, uint64_t done)
{
	const struct descriptor *d = p->upload->desc;

	registry_tell(p->registry, kind, d->digest.text, done, d->size);
}

static void push_sent(struct inquiry *x, uint64_t n)
{
	struct push *p = x->owner;

	if (clock_now() - p->told <= PUSH_TELL)
		return;
	p->told = clock_now();
	push_tell(p, COFFER_PROGRESS_BLOB, x->from + n);
}

/* push_goto() - Make @step the question */
static int push_goto(struct inquiry *x, enum push_step step, struct coffer_error *err)
{
	static const struct {
		const char *method;
		bool at_location, with_digest, with_body;
	} rows[PUSH_STEP_COUNT] = {
		[PUSH_LOOK] = { "HEAD", false, false, false },
		[PUSH_MOUNT] = { "POST", false, false, false },
		[PUSH_BEGIN] = { "POST", false, false, false },
		[PUSH_WHOLE] = { "PUT", true, true, true },
		[PUSH_PIECES] = { "PATCH", true, false, true },
		[PUSH_COMMIT] = { "PUT", true, true, false },
		[PUSH_STATUS] = { "GET", true, false, false },
	};
	struct push *p = x->owner;
	const char *digest = p->upload->desc->digest.text;
	uint64_t left = p->upload->desc->size - p->have;

	p->step = step;
	x->method = rows[step].method;
	x->is_slow = step == PUSH_COMMIT; /* all of it is read once more to see its digest */
	x->from = p->have;
	x->length = !rows[step].with_body ? 0 : left < PUSH_PIECE ? left : PUSH_PIECE;
	snprintf(x->header[0], sizeof(x->header[0]), "%s",
		 rows[step].with_body ? PUSH_TYPE : "Content-Type:");
	x->header[1][0] = '\0';
	if (step == PUSH_PIECES)
		snprintf(x->header[1], sizeof(x->header[1]), "Content-Range: %llu-%llu",
			 (unsigned long long)x->from,
			 (unsigned long long)(x->from + x->length - 1));
	if (step == PUSH_LOOK)
		snprintf(p->tail, sizeof(p->tail), "blobs/%s", digest);
	else if (step == PUSH_MOUNT)
		snprintf(p->tail, sizeof(p->tail), "blobs/uploads/?mount=%s&from=%s", digest,
			 p->upload->mount_from);
	else
		snprintf(p->tail, sizeof(p->tail), "blobs/uploads/");
	free(steal_ptr(x->url));
	if (!rows[step].at_location)
		return INQUIRY_NEXT;
	if (asprintf(&x->url, "%s%s%s%s", p->location,
		     !rows[step].with_digest	? ""
		     : strchr(p->location, '?') ? "&"
						: "?",
		     rows[step].with_digest ? "digest=" : "",
		     rows[step].with_digest ? digest : "") < 0) {
		x->url = NULL;
		return err_nomem(err);
	}
	return INQUIRY_NEXT;
}

/* push_goto_body() - What is left, however it is sent */
static int push_goto_body(struct inquiry *x, struct coffer_error *err)
{
	const struct push *p = x->owner;
	uint64_t size = p->upload->desc->size;

	if (p->have == size)
		return push_goto(x, PUSH_COMMIT, err);
	return push_goto(x, p->have == 0 && size <= PUSH_PIECE ? PUSH_WHOLE : PUSH_PIECES, err);
}

/* push_take_location() - Where the upload goes on. Elsewhere it is without our authorization */
static int push_take_location(struct inquiry *x, bool is_needed, struct coffer_error *err)
{
	const char *location = http_header(&x->call, "Location", 0);
	struct push *p = x->owner;
	char *next;
	struct origin from, to;
	int r;

	if (!location)
		return is_needed ? err_invalid(err, "it is not said where to upload it") : 0;
	r = origin_resolve(x->asked, location, &next, err);
	if (r < 0)
		return r;
	free(p->location);
	p->location = next;
	r = origin_parse(x->asked, &from, err);
	if (r == 0)
		r = origin_parse(next, &to, err);
	if (r == 0 && from.secure && !endpoint_is_safe(registry_self(x->registry), &to))
		r = err_invalid(err, "it wants the upload over plain HTTP on %s", to.host);
	return r;
}

/* push_told() - "0-99" as 100; "0-0" is what an empty upload has. Return: whether it is said */
static bool push_told(const struct inquiry *x, uint64_t *have)
{
	const char *range = http_header(&x->call, "Range", 0);
	unsigned long long to;

	if (range && strncmp(range, "bytes=", 6) == 0)
		range += 6;
	if (!range || sscanf(range, "0-%20llu", &to) != 1)
		return false;
	*have = to == 0 ? 0 : to + 1;
	return true;
}

static int push_end(struct inquiry *x, enum coffer_progress_kind kind)
{
	const struct push *p = x->owner;

	push_tell(p, kind, p->upload->desc->size);
	return INQUIRY_DONE;
}

static int push_looked(struct inquiry *x, struct coffer_error *err)
{
	const struct push *p = x->owner;

	if (x->call.status == 200)
		return push_end(x, COFFER_PROGRESS_BLOB_HAVE);
	if (x->call.status != 404)
		return inquiry_refuse(x, err);
	return push_goto(x, p->upload->mount_from ? PUSH_MOUNT : PUSH_BEGIN, err);
}

static int push_begun(struct inquiry *x, struct coffer_error *err)
{
	struct push *p = x->owner;
	int r;

	if (p->step == PUSH_MOUNT && x->call.status == 201)
		return push_end(x, COFFER_PROGRESS_BLOB_HAVE);
	if (p->step == PUSH_MOUNT && x->call.status >= 400)
		return push_goto(x, PUSH_BEGIN, err);
	if (x->call.status != 202)
		return inquiry_refuse(x, err);
	p->have = 0;
	r = push_take_location(x, true, err);
	return r < 0 ? r : push_goto_body(x, err);
}

static int push_patched(struct inquiry *x, struct coffer_error *err)
{
	struct push *p = x->owner;
	uint64_t sent = x->from + x->length, told = sent;
	int r;

	if (x->call.status != 416 && (x->call.status < 200 || x->call.status > 299))
		return inquiry_refuse(x, err);
	if (x->call.status == 416)
		told = x->from;
	else if (push_told(x, &told) && (told > sent || told < x->from))
		return err_invalid(err, "the registry says that it has %llu bytes of %llu sent",
				   (unsigned long long)told, (unsigned long long)sent);
	r = push_take_location(x, false, err);
	if (r < 0)
		return r;
	p->have = told;
	if (told > x->from)
		retry_achieved(&x->retry);
	if (told == sent)
		return push_goto_body(x, err);
	err_set(&x->error, COFFER_ERR_INTERRUPTED, 0, "it has kept %llu of %llu bytes sent",
		(unsigned long long)(told - x->from), (unsigned long long)x->length);
	return INQUIRY_AGAIN;
}

static int push_put(struct inquiry *x, struct coffer_error *err)
{
	const char *told = http_header(&x->call, "Docker-Content-Digest", 0);
	const struct push *p = x->owner;
	const char *want = p->upload->desc->digest.text;

	if (x->call.status != 201 && x->call.status != 204)
		return inquiry_refuse(x, err);
	if (told && strncmp(told, "sha256:", 7) == 0 && strncmp(want, "sha256:", 7) == 0 &&
	    strcmp(told, want) != 0)
		return err_invalid(err, "the registry has got %.80s", told);
	push_tell(p, COFFER_PROGRESS_BLOB, p->upload->desc->size);
	return push_end(x, COFFER_PROGRESS_BLOB_DONE);
}

/* push_status() - How much of a broken upload is there. Who does not say begins again, and sees
 * first whether it had not been whole */
static int push_status(struct inquiry *x, struct coffer_error *err)
{
	struct push *p = x->owner;
	uint64_t have;

	if (x->call.status < 200 || x->call.status > 299 || !push_told(x, &have) ||
	    have > p->upload->desc->size || have < p->have ||
	    push_take_location(x, false, NULL) < 0)
		return push_goto(x, PUSH_LOOK, err);
	if (have > p->have)
		retry_achieved(&x->retry);
	p->have = have;
	return push_goto_body(x, err);
}

static int push_answered(struct inquiry *x, struct coffer_error *err)
{
	static int (*const rows[PUSH_STEP_COUNT])(struct inquiry * x, struct coffer_error * err) = {
		[PUSH_LOOK] = push_looked,    [PUSH_MOUNT] = push_begun,
		[PUSH_BEGIN] = push_begun,    [PUSH_WHOLE] = push_put,
		[PUSH_PIECES] = push_patched, [PUSH_COMMIT] = push_put,
		[PUSH_STATUS] = push_status,
	};
	const struct push *p = x->owner;

	return rows[p->step](x, err);
}

/* push_broken() - Nothing of a body is sent twice without having asked what is there */
static void push_broken(struct inquiry *x)
{
	const struct push *p = x->owner;

	if (p->step < PUSH_WHOLE)
		return;
	if (push_goto(x, p->step == PUSH_STATUS ? PUSH_LOOK : PUSH_STATUS, NULL) < 0)
		(void)push_goto(x, PUSH_LOOK, NULL);
}

static void push_init(struct registry *r, struct push *p, struct inquiry *x,
		      const struct registry_upload *upload)
{
	*p = (struct push){ .upload = upload, .registry = r };
	*x = (struct inquiry)INQUIRY_INIT(INQUIRY_TEXT_MAX);
	snprintf(x->what, sizeof(x->what), "blob %s", upload->desc->digest.text);
	x->owner = p;
	x->pinned = true;
	x->endpoint = r->count - 1;
	x->tail = p->tail;
	x->fd = upload->fd;
	x->sent = push_sent;
	x->broken = push_broken;
	x->answered = push_answered;
	(void)push_goto(x, PUSH_LOOK, NULL);
}

/* push_set_mounts() - What a token has to be good for, besides */
static int push_set_mounts(struct registry *r, const struct registry_upload *list, size_t count,
			   struct coffer_error *err)
{
	free(r->mounts);
	r->nmounts = 0;
	r->mounts = calloc(count + 1, sizeof(*r->mounts));
	if (!r->mounts)
		return err_nomem(err);
	for (size_t i = 0; i < count; i++) {
		const char *from = list[i].mount_from;
		size_t k = 0;

		while (from && k < r->nmounts && strcmp(r->mounts[k], from) != 0)
			k++;
		if (from && k == r->nmounts)
			r->mounts[r->nmounts++] = from;
	}
	return 0;
}

int registry_push(struct registry *r, const struct registry_upload *list, size_t count,
		  struct coffer_error *err)
{
	autofree struct push *pushes = calloc(count + 1, sizeof(*pushes));
	autofree struct inquiry *inquiries = calloc(count + 1, sizeof(*inquiries));
	int bad;

	if (!pushes || !inquiries)
		return err_nomem(err);
	for (size_t i = 0; i < count; i++)
		push_init(r, &pushes[i], &inquiries[i], &list[i]);
	bad = push_set_mounts(r, list, count, err);
	if (bad == 0)
		bad = inquiry_run(r, inquiries, count, r->how.parallel, err);
	for (size_t i = 0; i < count; i++) {
		inquiry_free(&inquiries[i]);
		free(pushes[i].location);
	}
	free(steal_ptr(r->mounts));
	r->nmounts = 0;
	return bad;
}

static int push_manifest_answered(struct inquiry *x, struct coffer_error *err)
{
	const char *told = http_header(&x->call, "Docker-Content-Digest", 0);
	const struct descriptor *d = x->owner;

	if (x->call.status != 201)
		return inquiry_refuse(x, err);
	if (told && strncmp(told, d->digest.text, strcspn(d->digest.text, ":")) == 0 &&
	    strcmp(told, d->digest.text) != 0)
		return err_invalid(err, "the registry has got %.80s", told);
	return INQUIRY_DONE;
}

int registry_push_manifest(struct registry *r, const char *tag, const struct descriptor *desc,
			   const void *body, size_t len, struct coffer_error *err)
{
	autoinquiry struct inquiry x = INQUIRY_INIT(INQUIRY_TEXT_MAX);
	char tail[REFERENCE_TAG_MAX + DIGEST_TEXT_MAX + 16];

	if (strlen(desc->media_type) > 150)
		return err_invalid(err, "manifest %s: its media type is too long",
				   desc->digest.text);
	snprintf(tail, sizeof(tail), "manifests/%s", tag ? tag : desc->digest.text);
	snprintf(x.what, sizeof(x.what), "manifest %s", tag ? tag : desc->digest.text);
	snprintf(x.header[0], sizeof(x.header[0]), "Content-Type: %s", desc->media_type);
	x.owner = (void *)(uintptr_t)desc;
	x.pinned = true;
	x.endpoint = r->count - 1;
	x.method = "PUT";
	x.tail = tail;
	x.body = body;
	x.length = len;
	x.answered = push_manifest_answered;
	return inquiry_run(r, &x, 1, 1, err);
}
