/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_systemd_words.c - what a document says to systemd
 *
 * One text is tried as linux.cgroupsPath, as a list of processors, as a line
 * of linux.resources.unified and as the value of an annotation.
 */
#include <assert.h>
#include <string.h>

#include "engine/cgroup_systemd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_name(const char *text)
{
	struct systemd_names names = { 0 };
	char *path;

	if (systemd_names_parse(text, "id", false, &names, NULL) < 0)
		return;
	path = systemd_unit_path(&names, NULL);
	assert(path && !strstr(path, "/../") && strncmp(path, "../", 3) != 0 && path[0] != '/');
	free(path);
}

static void try_limits(char *text)
{
	struct oci_cpu cpu = { .cpus = text };
	struct oci_pair pairs[] = { { (char *)"cpu.max", text }, { (char *)"memory.max", text } };
	struct oci_resources res = { .cpu = &cpu, .unified = { pairs, ARRAY_SIZE(pairs) } };
	struct systemd_props props = { 0 };

	systemd_props_limits(&res, true, &props, NULL);
	systemd_props_free(&props);
}

static void try_annotation(char *text)
{
	struct oci_pair pair = { (char *)"org.systemd.property.TimeoutStopSec", text };
	struct oci_pairs annotations = { &pair, 1 };
	struct systemd_props props = { 0 };

	if (systemd_props_annotations(&annotations, &props, NULL) == 0)
		assert(props.n == 1 && strcmp(props.v[0].sig, "t") == 0);
	systemd_props_free(&props);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	if (!text)
		return 0;
	try_name(text);
	try_limits(text);
	try_annotation(text);
	free(text);
	return 0;
}
