/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/label.h - what a security module shall make of the program
 */
#ifndef ENGINE_LABEL_H
#define ENGINE_LABEL_H

#include "base/error.h"
#include "spec/spec.h"

/* label_check() - In the parent: are the modules there that the process' labels are for? */
int label_check(const struct oci_process *process, struct coffer_error *err);
/* label_check_mount() - The same for linux.mountLabel; NULL is fine */
int label_check_mount(const char *label, struct coffer_error *err);

/* label_apply() - In the child: take effect at its next execve, and for keyrings it makes */
int label_apply(const struct oci_process *process, struct coffer_error *err);

#endif /* ENGINE_LABEL_H */
