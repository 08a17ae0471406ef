/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/blobset.c - the blobs that manifests refer to, each once
 *
 * Who pulls and who pushes want them in the order in which they were named, and
 * find them by digest.  Callers: pull_blobs.c, push.c.
 */
#include "image/blobset.h"

#include <stdlib.h>

void blobset_free(struct blobset *set)
{
	free(set->list);
	free(set->sorted);
	*set = (struct blobset){ 0 };
}

int blobset_add(struct blobset *set, const struct manifest *m, struct coffer_error *err)
{
	const struct descriptor **list;

	list = reallocarray(set->list, set->count + 1 + m->nlayers, sizeof(*list));
	if (!list)
		return err_nomem(err);
	set->list = list;
	list[set->count++] = &m->config;
	for (size_t i = 0; i < m->nlayers; i++)
		list[set->count++] = &m->layers[i];
	return 0;
}

static int blobset_compare(const void *a, const void *b, void *data)
{
	const struct blobset *set = data;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int r = strcmp(set->list[x]->digest.text, set->list[y]->digest.text);

	return r ? r : (x > y) - (x < y);
}

static int blobset_sort(struct blobset *set, struct coffer_error *err)
{
	free(set->sorted);
	set->sorted = calloc(set->count + 1, sizeof(*set->sorted));
	if (!set->sorted)
		return err_nomem(err);
	for (size_t i = 0; i < set->count; i++)
		set->sorted[i] = i;
	qsort_r(set->sorted, set->count, sizeof(*set->sorted), blobset_compare, set);
	return 0;
}

int blobset_seal(struct blobset *set, struct coffer_error *err)
{
	size_t kept = 0, before = 0;
	int r = blobset_sort(set, err);

	if (r < 0)
		return r;
	/* Of equal ones the first stays. */
	for (size_t i = 1; i < set->count; i++) {
		const struct descriptor **again = &set->list[set->sorted[i]];

		if (digest_is_equal(&set->list[set->sorted[before]]->digest, &(*again)->digest))
			*again = NULL;
		else
			before = i;
	}
	for (size_t i = 0; i < set->count; i++)
		if (set->list[i])
			set->list[kept++] = set->list[i];
	set->count = kept;
	return blobset_sort(set, err);
}

ssize_t blobset_find(const struct blobset *set, const struct digest *d)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(set->list[set->sorted[middle]]->digest.text, d->text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == set->count || !digest_is_equal(&set->list[set->sorted[low]]->digest, d))
		return -1;
	return (ssize_t)set->sorted[low];
}
