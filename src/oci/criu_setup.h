/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/criu_setup.h - what checkpoint and restore ask of criu alike
 */
#ifndef OCI_CRIU_SETUP_H
#define OCI_CRIU_SETUP_H

#include "oci/criu.h"
#include "oci/oci.h"
#include "spec/spec.h"

/* Options of both commands; the first member of each one's struct. */
struct criu_opts {
	bool help, tcp_established, ext_unix_sk, shell_job, file_locks, auto_dedup, lazy_pages;
	const char *image_path, *work_path, *manage_cgroups_mode;
	struct opt_list empty_ns;
};

extern const char *const criu_cgroup_modes[];

/* Rows for them; in OCI_OPTS they are the member "criu". */
#define CRIU_ROWS                                                                                 \
	OCI_TEXT("image-path", 0, criu.image_path, "DIR", "Where the images are (default: checkpoint)"), \
	OCI_TEXT("work-path", 0, criu.work_path, "DIR", "Where logs go (default: to the images)"), \
	OCI_FLAG("tcp-established", 0, criu.tcp_established, "Allow open TCP connections"),       \
	OCI_FLAG("ext-unix-sk", 0, criu.ext_unix_sk, "Allow unix sockets of outside"),            \
	OCI_FLAG("shell-job", 0, criu.shell_job, "Allow a session or terminal of outside"),       \
	OCI_FLAG("file-locks", 0, criu.file_locks, "Allow file locks, and take them again"),      \
	OCI_FLAG("auto-dedup", 0, criu.auto_dedup, "Do not keep memory twice"),                   \
	OCI_FLAG("lazy-pages", 0, criu.lazy_pages, "Move memory when it is asked for"),           \
	{ "manage-cgroups-mode", 0, OPT_WORD, offsetof(OCI_OPTS, criu.manage_cgroups_mode),       \
	  "MODE", "soft (default), full, strict or ignore", .words = criu_cgroup_modes },         \
	OCI_MANY("empty-ns", 0, criu.empty_ns, "KIND", "Leave a namespace of this kind empty"),   \
	OCI_ROW_HELP

/* The directories of one run. */
struct criu_dirs {
	int images, work;   /* owned; work may be -1: the images' */
	const char *log_in; /* name of where the log is */
};

#define CRIU_DIRS_INIT { .images = -1, .work = -1 }

void criu_dirs_close(struct criu_dirs *dirs);
#define autocriudirs CLEANUP(criu_dirs_close)

/* criu_dirs_open() - @mode: of the images' directory, made when it is missing; 0: it must be there */
int criu_dirs_open(const struct criu_opts *opts, mode_t mode, struct criu_dirs *out,
		   struct coffer_error *err);

/* criu_dirs_send(), criu_dirs_receive() - Those that another process has opened in place of ours */
int criu_dirs_send(const struct criu_dirs *dirs, int sock, struct coffer_error *err);
int criu_dirs_receive(struct criu_dirs *dirs, int sock, struct coffer_error *err);

/* criu_setup() - Say in @o what the user and the document ask for */
int criu_setup(struct criu_options *o, const struct criu_opts *opts, const struct criu_dirs *dirs,
	       const char *log_file, const struct oci_spec *spec, struct coffer_error *err);

/* criu_program() - The one to run */
static inline const char *criu_program(const struct oci *oci)
{
	return oci->criu && *oci->criu ? oci->criu : "criu";
}

/* criu_namespace() - CRIU's word for a type of the document, NULL for none */
const char *criu_namespace(const char *type);

/* Namespaces that a path names are not in the images but taken from there again: of these kinds
 * by a key both times. */
#define CRIU_NS_KEY_MAX 32
/* criu_ns_key() - Return: false when @ns is none of those */
bool criu_ns_key(const struct oci_namespace *ns, char key[CRIU_NS_KEY_MAX]);

/* Standard descriptors that the container shares with outside, by the name CRIU gives them. */
#define CRIU_DESCRIPTORS     "descriptors.json" /* in the images: three texts, "" or a name each */
#define CRIU_DESCRIPTOR_NULL "/dev/null "	/* in front of the name of one that is it */

#endif /* OCI_CRIU_SETUP_H */
