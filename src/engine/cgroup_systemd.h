/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_systemd.h - between the files of the systemd driver
 *
 *	_names.c    "slice:prefix:name" to a slice, a unit and its path
 *	_props.c    limits to the unit's properties; _devices.c, _variant.c: devices, annotations
 *	_bus.c      systemd itself, over D-Bus
 *	(cgroup_systemd.c)  the driver
 */
#ifndef ENGINE_CGROUP_SYSTEMD_H
#define ENGINE_CGROUP_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "spec/spec.h"

#define SYSTEMD_UNIT_MAX 256 /* bytes with the NUL, as systemd has it */

/* ---- names ---- */

struct systemd_names {
	char slice[SYSTEMD_UNIT_MAX]; /* "machine.slice": the unit's parent */
	char unit[SYSTEMD_UNIT_MAX];  /* "libpod-ID.scope", or a slice */
};

/* systemd_names_parse() - linux.cgroupsPath, which may be NULL */
int systemd_names_parse(const char *path, const char *id, bool rootless, struct systemd_names *out,
			struct coffer_error *err);
/* systemd_is_slice() - Does the name end in ".slice"? */
bool systemd_is_slice(const char *unit);
/* systemd_slice_path() - "a-b.slice" to "a.slice/a-b.slice", "-.slice" to "". Return: malloc'd */
char *systemd_slice_path(const char *slice, struct coffer_error *err);
/* systemd_unit_path() - Of the unit's group, below the manager's own. Return: malloc'd */
char *systemd_unit_path(const struct systemd_names *names, struct coffer_error *err);

/* ---- properties ---- */

/* One of a(sv); what holds the value depends on the signature. */
struct systemd_prop {
	char name[64];
	/* Static: "b" "s" "y" "n" "q" "i" "u" "x" "t" "d" "as" "ay" "au" "a(ss)" */
	const char *sig;
	uint64_t n;     /* b and whole numbers, signed ones as two's complement; au: its one element */
	double d;
	char **strv;    /* s: one; as; a(ss): pairs. Owned, NULL-terminated */
	uint8_t *bytes; /* ay; owned */
	size_t nbytes;
};

struct systemd_props {
	struct systemd_prop *v; /* owned */
	size_t n;
};

void systemd_props_free(struct systemd_props *props);
#define autoprops CLEANUP(systemd_props_free)

/* systemd_props_add() - Append an empty one, or NULL without memory */
struct systemd_prop *systemd_props_add(struct systemd_props *props, const char *name,
				       const char *sig);
int systemd_props_add_number(struct systemd_props *props, const char *name, const char *sig,
			     uint64_t n, struct coffer_error *err);
/* systemd_props_add_strings() - @sig "s", "as" or "a(ss)". @values: NULL-terminated, copied */
int systemd_props_add_strings(struct systemd_props *props, const char *name, const char *sig,
			      const char *const *values, struct coffer_error *err);

/* systemd_props_limits() - What systemd has to know of @res, so that it does not undo it */
int systemd_props_limits(const struct oci_resources *res, bool v2, struct systemd_props *props,
			 struct coffer_error *err);
/* systemd_props_devices() - The same of res->devices; none when it cannot be said in its words */
int systemd_props_devices(const struct oci_resources *res, struct systemd_props *props,
			  struct coffer_error *err);
/* systemd_props_annotations() - "org.systemd.property.NAME": a value in GVariant's text form */
int systemd_props_annotations(const struct oci_pairs *annotations, struct systemd_props *props,
			      struct coffer_error *err);
/* systemd_variant_parse() - One such value */
int systemd_variant_parse(const char *text, struct systemd_prop *out, struct coffer_error *err);

/* ---- bus ---- */

/* systemd_start_unit() - StartTransientUnit, and wait until it is done */
int systemd_start_unit(bool user, const char *unit, const struct systemd_props *props,
		       struct coffer_error *err);
/* systemd_stop_unit() - StopUnit and wait; one that is gone is fine. Also forgets that it failed */
int systemd_stop_unit(bool user, const char *unit, struct coffer_error *err);
/* systemd_attach() - Move a process into a unit that is there */
int systemd_attach(bool user, const char *unit, pid_t pid, struct coffer_error *err);
int systemd_set_properties(bool user, const char *unit, const struct systemd_props *props,
			   struct coffer_error *err);
/* systemd_control_group() - The manager's own group, "/user.slice/...". Return: malloc'd */
char *systemd_control_group(bool user, struct coffer_error *err);

#endif /* ENGINE_CGROUP_SYSTEMD_H */
