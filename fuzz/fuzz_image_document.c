/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indices and manifests: what is read must be read again, equal, from what is
 * written of it; an index always has an answer or an error.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/document.h"

static void check_error(const struct coffer_error *err)
{
	if (err->kind == COFFER_ERR_NONE || !err->message[0])
		abort();
}

static void check_equal(const struct buf *a, const struct buf *b)
{
	if (a->len != b->len || memcmp(buf_data(a), buf_data(b), a->len) != 0)
		abort();
}

static void check_index(const void *data, size_t size)
{
	autobuf struct buf first = BUF_INIT((size_t)16 << 20), second = BUF_INIT((size_t)16 << 20);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct platform here;
	struct index x, again;
	int chosen;

	if (index_parse(data, size, NULL, &x, &err) < 0) {
		check_error(&err);
		return;
	}
	if (platform_parse(NULL, &here, NULL) < 0)
		abort();
	chosen = index_choose(&x, &here, &err);
	if (chosen < 0 ? chosen != -ENOENT : (size_t)chosen >= x.count)
		abort();
	if (index_emit(&x, &first, &err) < 0 ||
	    index_parse(buf_data(&first), first.len, x.type->name, &again, &err) < 0 ||
	    index_emit(&again, &second, &err) < 0)
		abort();
	check_equal(&first, &second);
	index_free(&x);
	index_free(&again);
}

static void check_manifest(const void *data, size_t size)
{
	autobuf struct buf first = BUF_INIT((size_t)16 << 20), second = BUF_INIT((size_t)16 << 20);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct manifest m, again;

	if (manifest_parse(data, size, NULL, &m, &err) < 0) {
		check_error(&err);
		return;
	}
	if (manifest_check_image(&m, &err) < 0)
		check_error(&err);
	if (manifest_emit(&m, &first, &err) < 0 ||
	    manifest_parse(buf_data(&first), first.len, m.type->name, &again, &err) < 0 ||
	    manifest_emit(&again, &second, &err) < 0)
		abort();
	check_equal(&first, &second);
	manifest_free(&m);
	manifest_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_index(data, size);
	check_manifest(data, size);
	return 0;
}
