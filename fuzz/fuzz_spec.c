/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_spec.c - OCI JSON: parse, validate, emit, parse again
 *
 * Whatever parses has to survive the round trip unchanged: the second emission
 * equals the first.  Emission may refuse only for its limits: it writes keys that
 * the input left out.
 */
#include <stdlib.h>
#include <string.h>

#include "spec/spec.h"

static void fuzz_round_trip(const struct oci_spec *spec)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	auto_oci_spec struct oci_spec *again = NULL;
	autofree char *once = oci_spec_to_json(spec, &err), *twice = NULL;

	if (once == NULL) {
		if (strncmp(err.message, "config: ", 8) != 0)
			abort();
		return;
	}
	if (oci_spec_parse(once, strlen(once), &again, &err) != 0)
		abort();
	twice = oci_spec_to_json(again, &err);
	if (twice == NULL || strcmp(once, twice) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	auto_oci_spec struct oci_spec *spec = NULL;
	auto_oci_process struct oci_process *process = NULL;
	auto_oci_resources struct oci_resources *res = NULL;

	if (oci_process_parse((const char *)data, size, &process, &err) == 0)
		(void)oci_process_validate(process, "process", &err);
	else if (err.message[0] == '\0')
		abort();
	if (oci_resources_parse((const char *)data, size, &res, &err) == 0)
		(void)oci_resources_validate(res, "resources", &err);
	if (oci_spec_parse((const char *)data, size, &spec, &err) != 0)
		return 0;
	(void)oci_spec_validate(spec, &err);
	fuzz_round_trip(spec);
	return 0;
}
