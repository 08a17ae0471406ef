/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/release.c - freeing parsed documents by the field tables
 *
 * Works on half-filled structs too (a parse that failed midway): everything
 * starts as zero bytes, and a list's count covers only allocated elements.
 */
#include "spec/schema.h"

static void release_elems(struct spec_list l, const struct spec_type *type, bool keyed)
{
	size_t i;

	for (i = 0; i < l.n; i++) {
		void *elem = spec_elem(l, type, i);

		if (keyed)
			free(spec_get_ptr(elem));
		spec_release(type, elem);
	}
	free(l.v);
}

static void release_strv(void *at)
{
	struct oci_strv *list = at;
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
}

static void release_pairs(void *at)
{
	struct oci_pairs *map = at;
	size_t i;

	for (i = 0; i < map->n; i++) {
		free(map->v[i].key);
		free(map->v[i].value);
	}
	free(map->v);
}

static void release_ptr(const struct spec_type *type, void *obj)
{
	if (obj == NULL)
		return;
	spec_release(type, obj);
	free(obj);
}

static void release_field(const struct spec_field *f, void *at)
{
	switch (f->kind) {
	case SPEC_STR:
	case SPEC_U32V: /* the list's first member is its memory */
		free(spec_get_ptr(at));
		break;
	case SPEC_STRV:
		release_strv(at);
		break;
	case SPEC_PAIRS:
		release_pairs(at);
		break;
	case SPEC_OBJ:
		spec_release(f->type, at);
		break;
	case SPEC_PTR:
		release_ptr(f->type, spec_get_ptr(at));
		break;
	case SPEC_OBJV:
	case SPEC_MAP:
		release_elems(spec_get_list(at), f->type, f->kind == SPEC_MAP);
		break;
	case SPEC_BOOL:
	case SPEC_INT:
	case SPEC_KIND_COUNT:
		break;
	}
}

void spec_release(const struct spec_type *type, void *obj)
{
	size_t i;

	for (i = 0; i < type->n; i++)
		release_field(&type->fields[i], spec_at(obj, &type->fields[i]));
	memset(obj, 0, type->size);
}

void oci_spec_free(struct oci_spec *spec)
{
	release_ptr(&spec_type_spec, spec);
}

void oci_process_free(struct oci_process *process)
{
	release_ptr(&spec_type_process, process);
}

void oci_resources_free(struct oci_resources *res)
{
	release_ptr(&spec_type_resources, res);
}
