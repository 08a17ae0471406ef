/* SPDX-License-Identifier: Apache-2.0 */
/* Indices and manifests: what is in them, which entry is for whom, and every class of error. */
#include "image_text.h"

#include <stdio.h>

#include "image/document.h"

#define OCI		 "application/vnd.oci.image."
#define DOCKER		 "application/vnd.docker."
#define CONFIG		 "'config':{'mediaType':'" OCI "config.v1+json','digest':'" TEXT_DIGEST "','size':7}"
#define LAYER(s)	 "{'mediaType':'" OCI "layer.v1.tar+gzip','digest':'" TEXT_OTHER "','size':" s "}"
#define MANIFEST(layers) "{'schemaVersion':2," CONFIG ",'layers':[" layers "]}"

static void test_media_types(void **state)
{
	static const struct {
		const char *name;
		enum media_kind kind;
		enum media_compression compression;
		bool docker;
	} rows[] = {
		{ OCI "index.v1+json", MEDIA_INDEX, MEDIA_PLAIN, false },
		{ DOCKER "distribution.manifest.list.v2+json", MEDIA_INDEX, MEDIA_PLAIN, true },
		{ DOCKER "distribution.manifest.v2+json; charset=utf-8", MEDIA_MANIFEST,
		  MEDIA_PLAIN, true },
		{ "Application/vnd.OCI.image.manifest.v1+json", MEDIA_MANIFEST, MEDIA_PLAIN,
		  false },
		{ OCI "layer.v1.tar", MEDIA_LAYER, MEDIA_PLAIN, false },
		{ OCI "layer.v1.tar+zstd", MEDIA_LAYER, MEDIA_ZSTD, false },
		{ OCI "layer.v1.tar+xz", MEDIA_LAYER, MEDIA_XZ, false },
		{ OCI "layer.nondistributable.v1.tar+gzip", MEDIA_LAYER, MEDIA_GZIP, false },
		{ DOCKER "image.rootfs.diff.tar.gzip", MEDIA_LAYER, MEDIA_GZIP, true },
		{ DOCKER "image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER, MEDIA_GZIP, true },
		{ DOCKER "container.image.v1+json", MEDIA_CONFIG, MEDIA_PLAIN, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct media_type *type = media_type_find(rows[i].name);

		assert_non_null(type);
		assert_int_equal(type->kind, rows[i].kind);
		assert_int_equal(type->compression, rows[i].compression);
		assert_int_equal(type->docker, rows[i].docker);
	}
	assert_null(media_type_find(""));
	assert_null(media_type_find("text/html"));
	assert_null(media_type_find(OCI "index.v1+jso"));
	assert_null(media_type_find(OCI "index.v1+jsonx"));
}

static void test_manifest(void **state)
{
	autofree char *json = text_json(MANIFEST(LAYER("0") "," LAYER(
	    "5,'urls':['https://r.example/x'],'annotations':{'a':'b'}") ",{'mediaType':'"
									"application/"
									"vnd.in-toto+json','digest'"
									":'" TEXT_DIGEST
									"','size':"
									"9223372036854775800}"));
	struct coffer_error err = COFFER_ERROR_INIT;
	autobuf struct buf text = BUF_INIT(1 << 16);
	struct manifest m, again;

	assert_int_equal(manifest_parse(json, strlen(json), NULL, &m, &err), 0);
	assert_string_equal(m.type->name, OCI "manifest.v1+json");
	assert_string_equal(m.config.digest.text, TEXT_DIGEST);
	assert_int_equal(m.config.size, 7);
	assert_int_equal(m.nlayers, 3);
	assert_int_equal(m.layers[0].size, 0);
	assert_int_equal(m.layers[1].type->compression, MEDIA_GZIP);
	assert_null(m.layers[2].type);
	assert_true(m.layers[2].size == UINT64_C(9223372036854775800));
	text_refused(manifest_check_image(&m, &err), &err, -EOPNOTSUPP,
		     "layers[2]: the media type \"application/vnd.in-toto+json\"");
	assert_int_equal(manifest_emit(&m, &text, &err), 0);
	assert_int_equal(
	    manifest_parse(buf_data(&text), text.len, OCI "manifest.v1+json", &again, &err), 0);
	assert_int_equal(again.nlayers, 3);
	assert_string_equal(again.layers[2].media_type, "application/vnd.in-toto+json");
	assert_true(again.layers[2].size == m.layers[2].size);
	manifest_free(&m);
	manifest_free(&again);
}

/* Of a type that is known nothing is kept but its name. */
static void test_media_type_with_parameters(void **state)
{
	autofree char *json = text_json(
	    "{'schemaVersion':2,'manifests':[{'mediaType':'" OCI
	    "manifest.v1+json;\\r\\nX-More: 1','digest':'" TEXT_DIGEST "','size':1}]}");
	struct coffer_error err = COFFER_ERROR_INIT;
	struct index x;

	assert_int_equal(index_parse(json, strlen(json), NULL, &x, &err), 0);
	assert_string_equal(x.list[0].media_type, OCI "manifest.v1+json");
	index_free(&x);
}

static void test_bad_manifests(void **state)
{
	static const struct {
		const char *text;
		const char *type;
		int code;
		const char *message;
	} rows[] = {
		{ "", NULL, -EINVAL, "manifest: empty" },
		{ "\n <!DOCTYPE html>", NULL, -EINVAL, "HTML" },
		{ "[]", NULL, -EINVAL, "manifest: expected an object, got an array" },
		{ "{'a':", NULL, -EINVAL, "ends early" },
		{ "{'a':1}}", NULL, -EINVAL, "JSON at offset 7" },
		{ "{'a':'\\u0000'}", NULL, -EINVAL, "escaped NUL, in a" },
		{ "{}", NULL, -EINVAL, "manifest: schemaVersion: missing" },
		{ "{'schemaVersion':'2'}", NULL, -EINVAL, "expected an integer, got a string" },
		{ "{'schemaVersion':3}", NULL, -EINVAL, "schemaVersion: 3, only 2" },
		{ "{'schemaVersion':1,'fsLayers':[]}", NULL, -EOPNOTSUPP, "Docker's old format" },
		{ "{}", DOCKER "distribution.manifest.v1+prettyjws", -EOPNOTSUPP, "schema 1" },
		{ "{}", "text/html", -EOPNOTSUPP, "the media type \"text/html\"" },
		{ "{}", OCI "index.v1+json", -EINVAL, "that of something else" },
		{ "{'mediaType':'" OCI "index.v1+json'}", NULL, -EINVAL, "that of something else" },
		{ "{'mediaType':'" OCI "manifest.v1+json'}", DOCKER "distribution.manifest.v2+json",
		  -EINVAL, "manifest: mediaType: " OCI "manifest.v1+json, but it came as" },
		{ "{'mediaType':'x'}", NULL, -EOPNOTSUPP, "the media type \"x\"" },
		{ "{'mediaType':7}", NULL, -EINVAL, "mediaType: expected a string" },
		{ "{'schemaVersion':2,'config':{},'manifests':[]}", NULL, -EINVAL, "both" },
		{ "{'schemaVersion':2}", NULL, -EINVAL, "manifest: config: missing" },
		{ "{'schemaVersion':2,'config':[]}", NULL, -EINVAL, "config: expected an object" },
		{ "{'schemaVersion':2,'config':{}}", NULL, -EINVAL, "config.mediaType: missing" },
		{ "{'schemaVersion':2,'config':{'mediaType':''}}", NULL, -EINVAL,
		  "config.mediaType: empty" },
		{ "{'schemaVersion':2," CONFIG "}", NULL, -EINVAL, "manifest: layers: missing" },
		{ "{'schemaVersion':2," CONFIG ",'layers':null}", NULL, -EINVAL,
		  "layers: missing" },
		{ MANIFEST("7"), NULL, -EINVAL, "layers[0]: expected an object, got an integer" },
		{ MANIFEST(LAYER("1") ",{}"), NULL, -EINVAL, "layers[1].mediaType: missing" },
		{ MANIFEST(LAYER("-1")), NULL, -EINVAL, "layers[0].size: negative" },
		{ MANIFEST(LAYER("1.5")), NULL, -EINVAL,
		  "layers[0].size: expected an integer, got a fr" },
		{ MANIFEST(LAYER("9223372036854775807")), NULL, -EINVAL,
		  "layers[0].size: too large" },
		{ MANIFEST(LAYER("99999999999999999999")), NULL, -EINVAL,
		  "64 bits, in layers[0].size" },
		{ MANIFEST(LAYER("9223372036854775806") "," LAYER("2")), NULL, -EINVAL,
		  "layers: together too large" },
		{ MANIFEST(LAYER("1,'size':2")), NULL, -EINVAL,
		  "twice in one object, in layers[0].size" },
		{ MANIFEST(LAYER("1,'\\u0073ize':2")), NULL, -EINVAL, "a name twice" },
		{ MANIFEST(LAYER("1,'annotations':[]")), NULL, -EINVAL,
		  "annotations: expected an object" },
		{ MANIFEST("{'mediaType':'x','digest':'sha256:1','size':1}"), NULL, -EINVAL,
		  "layers[0].digest: digest: not 64 digits" },
		{ MANIFEST("{'mediaType':'x','digest':'sha384:1','size':1}"), NULL, -EOPNOTSUPP,
		  "layers[0].digest: digest: the algorithm sha384" },
		{ MANIFEST("{'mediaType':'" OCI "config.v1+json','digest':'" TEXT_DIGEST
			   "','size':1}"),
		  NULL, -EINVAL, "layers[0]: its media type is " OCI "config.v1+json" },
		{ "{'schemaVersion':2,'config':" LAYER("1") ",'layers':[]}", NULL, -EINVAL,
		  "config: its media type is" },
		{ "{'schemaVersion':2,'config':{'mediaType':'" OCI
		  "config.v1+json','digest':'" TEXT_DIGEST "','size':104857600},'layers':[]}",
		  NULL, -EINVAL, "config.size: 104857600 bytes, the limit is 8388608" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *json = text_json(rows[i].text);
		struct coffer_error err = COFFER_ERROR_INIT;
		struct manifest m;

		text_refused(manifest_parse(json, strlen(json), rows[i].type, &m, &err), &err,
			     rows[i].code, rows[i].message);
		assert_int_equal(m.nlayers, 0);
		assert_null(m.layers);
	}
}

/* A chart or a signature is no image, but may be copied. */
static void test_other_artifact(void **state)
{
	autofree char *json = text_json(
	    "{'schemaVersion':2,'config':{'mediaType':'application/x','digest':'" TEXT_DIGEST
	    "','size':2},'layers':[]}");
	struct coffer_error err = COFFER_ERROR_INIT;
	struct manifest m;

	assert_int_equal(manifest_parse(json, strlen(json), NULL, &m, &err), 0);
	text_refused(manifest_check_image(&m, &err), &err, -EOPNOTSUPP,
		     "not an image of a container");
	manifest_free(&m);
}

static char *repeated(const char *head, const char *item, size_t n, const char *tail)
{
	autobuf struct buf b = BUF_INIT((size_t)16 << 20);

	assert_int_equal(buf_append(&b, head, strlen(head)), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_printf(&b, "%s%s", i ? "," : "", item), 0);
	assert_int_equal(buf_append(&b, tail, strlen(tail) + 1), 0);
	return text_json((const char *)buf_data(&b));
}

static void test_limits(void **state)
{
	static const char head[] = "{'schemaVersion':2," CONFIG ",'layers':[";
	autofree char *most = repeated(head, LAYER("1"), DOCUMENT_LAYERS_MAX, "]}");
	autofree char *more = repeated(head, LAYER("1"), DOCUMENT_LAYERS_MAX + 1, "]}");
	autofree char *deep = repeated("{'a':", "[", 0, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
	autofree char *long_text = repeated("{'a':[", "'0123456789'", 400000, "]}");
	autofree char *objects = repeated("{'a':[", "{}", 70000, "]}");
	struct coffer_error err = COFFER_ERROR_INIT;
	struct manifest m;

	assert_int_equal(manifest_parse(most, strlen(most), NULL, &m, &err), 0);
	assert_int_equal(m.nlayers, DOCUMENT_LAYERS_MAX);
	manifest_free(&m);
	text_refused(manifest_parse(more, strlen(more), NULL, &m, &err), &err, -EINVAL,
		     "layers: 1025 elements, the limit is 1024");
	text_refused(manifest_parse(deep, strlen(deep), NULL, &m, &err), &err, -EINVAL,
		     "manifest: JSON");
	text_refused(manifest_parse(long_text, strlen(long_text), NULL, &m, &err), &err, -EINVAL,
		     "the limit is 4194304");
	text_refused(manifest_parse(objects, strlen(objects), NULL, &m, &err), &err, -EINVAL,
		     "more than 65536 objects");
}

#define ENTRY(platform)                                                                            \
	"{'mediaType':'" OCI "manifest.v1+json','digest':'" TEXT_DIGEST "','size':7" platform "}"
#define FOR(os, arch, variant)                                                                     \
	ENTRY(",'platform':{'os':'" os "','architecture':'" arch "','variant':'" variant "'}")

static void index_read(const char *entries, struct index *x)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL, *json = NULL;

	assert_true(asprintf(&text, "{'schemaVersion':2,'manifests':[%s]}", entries) > 0);
	json = text_json(text);
	if (index_parse(json, strlen(json), NULL, x, &err) < 0)
		fail_msg("%s", err.message);
}

static void test_choose(void **state)
{
	static const struct {
		const char *entries, *want;
		int chosen;
	} rows[] = {
		{ FOR("linux", "arm64", "v8") "," FOR("linux", "amd64", ""), "linux/amd64", 1 },
		{ FOR("linux", "arm64", "v8") "," FOR("linux", "amd64", ""), "arm64", 0 },
		{ FOR("linux", "amd64", "v3") "," FOR("linux", "amd64", ""), "linux/amd64", 1 },
		{ FOR("linux", "amd64", "") "," FOR("linux", "amd64", "v2"), "linux/amd64/v3", 1 },
		{ FOR("linux", "x86_64", ""), "linux/amd64", 0 },
		{ FOR("linux", "arm", "v5") "," FOR("linux", "arm", "v6"), "linux/arm/v7", 1 },
		{ FOR("linux", "arm", "v5") "," FOR("linux", "arm", "v7"), "linux/arm/v6", 0 },
		{ FOR("linux", "arm", ""), "linux/arm", 0 },
		{ FOR("linux", "arm", "v7") "," FOR("linux", "arm64", ""), "linux/arm64", 1 },
		{ FOR("linux", "arm", "v6") "," FOR("linux", "arm", "v7"), "linux/arm64", 1 },
		{ FOR("linux", "386", ""), "linux/amd64", 0 },
		{ FOR("linux", "amd64", ""), "linux/386", -1 },
		{ FOR("windows", "amd64", ""), "linux/amd64", -1 },
		{ FOR("unknown", "unknown", "") "," FOR("linux", "amd64", ""), "linux/amd64", 1 },
		{ FOR("linux", "ppc64le", "power9"), "linux/ppc64le", -1 },
		{ FOR("linux", "ppc64le", "power9"), "linux/ppc64le/power9", 0 },
		{ ENTRY("") "," FOR("linux", "386", ""), "linux/amd64", 1 },
		{ ENTRY("") "," FOR("linux", "arm", ""), "linux/amd64", 0 },
		{ FOR("", "", ""), "linux/amd64", 0 },
		{ "", "linux/amd64", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct platform want;
		struct index x;
		int r;

		index_read(rows[i].entries, &x);
		assert_int_equal(platform_parse(rows[i].want, &want, &err), 0);
		r = index_choose(&x, &want, &err);
		if (r != (rows[i].chosen < 0 ? -ENOENT : rows[i].chosen))
			fail_msg("row %zu: %d", i, r);
		index_free(&x);
	}
}

static void test_choose_says_what_there_is(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct platform want;
	struct index x;

	index_read(FOR("linux", "arm64", "v8") "," FOR("unknown", "unknown",
						       "") "," FOR("linux", "arm", "v7"),
		   &x);
	assert_int_equal(platform_parse("linux/s390x", &want, &err), 0);
	text_refused(index_choose(&x, &want, &err), &err, -ENOENT,
		     "nothing for linux/s390x; there is linux/arm64, linux/arm/v7");
	assert_int_equal(err.kind, COFFER_ERR_NOT_FOUND);
	index_free(&x);
}

static void test_platforms(void **state)
{
	static const struct {
		const char *text, *formatted;
	} rows[] = {
		{ "linux/amd64", "linux/amd64" },
		{ "arm64", "linux/arm64" },
		{ "linux/aarch64", "linux/arm64" },
		{ "linux/arm64/v8", "linux/arm64" },
		{ "linux/arm", "linux/arm/v7" },
		{ "linux/arm/6", "linux/arm/v6" },
		{ "armhf", "linux/arm/v7" },
		{ "Linux/X86_64", "linux/amd64" },
		{ "linux/amd64/v1", "linux/amd64" },
		{ "macos/arm64", "darwin/arm64" },
		{ "i386", "linux/386" },
	};
	static const char *const bad[] = { "",	       "/",
					   "linux/",   "linux//v8",
					   "a/b/c/d",  "a b",
					   "linux/a?", "linux/0123456789012345678901234567890123" };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct platform p;
	char text[100];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(platform_parse(rows[i].text, &p, &err), 0);
		platform_format(&p, text);
		assert_string_equal(text, rows[i].formatted);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		text_refused(platform_parse(bad[i], &p, &err), &err, -EINVAL, "platform");
	assert_int_equal(platform_parse(NULL, &p, &err), 0);
	assert_string_equal(p.os, "linux");
}

static void test_index_again(void **state)
{
	autobuf struct buf text = BUF_INIT(1 << 16);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct index x, again;

	index_read(FOR("linux", "arm", "v7") "," ENTRY(
		       ",'annotations':{'org.opencontainers.image.ref.name':'a:b','x':'y'}"),
		   &x);
	assert_string_equal(x.list[1].ref_name, "a:b");
	assert_false(x.list[1].has_platform);
	assert_int_equal(index_emit(&x, &text, &err), 0);
	assert_int_equal(index_parse(buf_data(&text), text.len, OCI "index.v1+json", &again, &err),
			 0);
	assert_int_equal(again.count, 2);
	assert_string_equal(again.list[0].platform.variant, "v7");
	assert_string_equal(again.list[1].ref_name, "a:b");
	index_free(&x);
	index_free(&again);
}

static void test_bad_indices(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "{'schemaVersion':2}", "index: manifests: missing" },
		{ "{'schemaVersion':2,'manifests':[],'layers':[]}", "both" },
		{ "{'schemaVersion':2,'manifests':{}}", "manifests: expected an array" },
		{ "{'schemaVersion':2,'manifests':[" ENTRY(",'platform':7") "]}",
		  "manifests[0].platform: expected an object" },
		{ "{'schemaVersion':2,'manifests':[" FOR("linux", "a/b", "") "]}",
		  "manifests[0].platform.architecture: not a word" },
		{ "{'schemaVersion':2,'manifests':[" FOR("0123456789012345678901234567890123456789",
							 "a", "") "]}",
		  "manifests[0].platform.os: longer than 31" },
		{ "{'schemaVersion':2,'manifests':[{'mediaType':'" OCI
		  "manifest.v1+json','digest':'" TEXT_DIGEST "','size':4194305}]}",
		  "manifests[0].size: 4194305 bytes" },
		{ "{'schemaVersion':2,'manifests':[" ENTRY(
		      ",'annotations':{'org.opencontainers.image.ref.name':1}") "]}",
		  "ref.name: expected a string" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *json = text_json(rows[i].text);
		struct coffer_error err = COFFER_ERROR_INIT;
		struct index x;

		text_refused(index_parse(json, strlen(json), NULL, &x, &err), &err, -EINVAL,
			     rows[i].message);
		assert_int_equal(x.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_media_types),
		cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_media_type_with_parameters),
		cmocka_unit_test(test_bad_manifests),
		cmocka_unit_test(test_other_artifact),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_choose_says_what_there_is),
		cmocka_unit_test(test_platforms),
		cmocka_unit_test(test_index_again),
		cmocka_unit_test(test_bad_indices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
