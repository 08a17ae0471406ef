/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/support.h - refuse what the engine does not do
 */
#ifndef ENGINE_SUPPORT_H
#define ENGINE_SUPPORT_H

#include "base/error.h"
#include "engine/namespaces.h"
#include "spec/spec.h"

/* support_check_spec() - The whole document, before anything is done. @ns: its namespaces */
int support_check_spec(const struct oci_spec *spec, const struct ns_plan *ns,
		       struct coffer_error *err);
/* support_check_process() - The part that exec takes, too */
int support_check_process(const struct oci_process *process, struct coffer_error *err);

#endif /* ENGINE_SUPPORT_H */
