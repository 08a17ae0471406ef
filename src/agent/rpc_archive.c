/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_archive.c - ArchiveStat, ArchiveGet, ArchivePut: files as Docker copies them
 *
 * One uncompressed pax archive over a connection that the guest dials.  What
 * goes out is named by the last component of the path; what comes in is made
 * below a directory that exists.  Where that is the container's root, links
 * there lead where the container would go, else nothing beyond the directory
 * is reached.
 *
 * What a container's root holds beneath its mounts is read in the agent's own
 * mount namespace, where nothing is mounted on it.
 */
#include "agent/rpc_archive.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guestfile.h"
#include "agent/job.h"
#include "agent/transfer.h"
#include "agent_extras.pb-c.h"
#include "archive/pack.h"
#include "archive/unpack.h"
#include "rpc/grpc_text.h"

static void rpc_archive_answer(struct agent *agent, struct grpc_call *call, const char *id,
			       const char *path, struct job_args *args)
{
	autoguestplace struct guestplace place = GUESTPLACE_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;

	if (guestplace_of_container(agent, id, path, &place, &err) < 0) {
		job_refuse(call, false, &err);
		return;
	}
	args->place = &place;
	args->data = -1;
	job_answer(agent, call, args);
}

/* The same for a path of the agent's own. */
static void rpc_archive_answer_own(struct agent *agent, struct grpc_call *call, const char *path,
				   struct job_args *args)
{
	struct guestplace place = GUESTPLACE_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;

	if (path[0] != '/') {
		err_invalid(&err, "path \"%.200s\" is not absolute", path);
		job_refuse(call, false, &err);
		return;
	}
	place.root = (char *)"/";
	place.path = path;
	args->place = &place;
	args->data = -1;
	job_answer(agent, call, args);
}

static int rpc_archive_find(struct job *job, bool follow, struct stat *st,
			    struct coffer_error *err)
{
	return guestfile_find(&job->gp, follow ? 0 : O_NOFOLLOW, st, err);
}

/* A file's name need not be text, a field has to be. */
static void rpc_archive_text(char *s)
{
	size_t n = strlen(s);

	if (grpc_text_utf8((const uint8_t *)s, n) == n)
		return;
	for (; *s; s++)
		if (*s & 0x80)
			*s = '?';
}

/* The last component of @path, "/" for the root. Where that is ".." the kernel knows it. */
static void rpc_archive_name(const char *path, int node, char name[PATH_MAX])
{
	char proc[32], real[PATH_MAX];
	size_t n = strlen(path), start;
	ssize_t len;

	for (;;) {
		while (n > 0 && path[n - 1] == '/')
			n--;
		if (n < 2 || path[n - 1] != '.' || path[n - 2] != '/')
			break;
		n--;
	}
	for (start = n; start > 0 && path[start - 1] != '/';)
		start--;
	snprintf(name, PATH_MAX, "%.*s", n == start ? 1 : (int)(n - start),
		 n == start ? "/" : path + start);
	if (strcmp(name, "..") != 0)
		return;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", node);
	len = readlink(proc, real, sizeof(real) - 1);
	real[len < 0 ? 0 : len] = '\0';
	snprintf(name, PATH_MAX, "%s", strrchr(real, '/') ? strrchr(real, '/') + 1 : "");
	if (!*name)
		snprintf(name, PATH_MAX, "/");
}

/* ---- stat ---- */

static int rpc_archive_stat_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const Ax__ArchiveStatRequest *req = arg;
	Google__Protobuf__Timestamp mtime = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Ax__ArchiveStatResponse reply = AX__ARCHIVE_STAT_RESPONSE__INIT;
	char name[PATH_MAX], target[PATH_MAX] = "";
	struct stat st;
	autoclose int node = rpc_archive_find(job, req->follow, &st, err);
	ssize_t n = 0;

	if (node < 0)
		return node;
	if (S_ISLNK(st.st_mode))
		n = readlinkat(node, "", target, sizeof(target) - 1);
	if (n < 0)
		return err_sys(err, "read the link %s", req->path);
	target[n] = '\0';
	rpc_archive_name(req->path, node, name);
	rpc_archive_text(name);
	rpc_archive_text(target);
	mtime.seconds = st.st_mtim.tv_sec;
	mtime.nanos = (int32_t)st.st_mtim.tv_nsec;
	reply.name = name;
	reply.size = (uint64_t)st.st_size;
	reply.mode = st.st_mode;
	reply.mtime = &mtime;
	if (n)
		reply.link_target = target;
	return job_say(job, &reply.base, err);
}

void rpc_archive_stat(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Ax__ArchiveStatRequest *req = (const void *)msg;
	struct job_args args = { .fn = rpc_archive_stat_job,
				 .arg = req,
				 .reply = &ax__archive_stat_response__descriptor };

	rpc_archive_answer(data, call, req->container_id, req->path, &args);
}

/* ---- get ---- */

/* What we or the host have put into the root, and is about this container alone. */
static const char *const rpc_archive_own_files[] = { "etc/hosts", "etc/hostname",
						     "etc/resolv.conf", ".coffer-init", NULL };

static int rpc_archive_get_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const Ax__ArchiveGetRequest *req = arg;
	Ax__ArchiveGetResponse reply = AX__ARCHIVE_GET_RESPONSE__INIT;
	bool seen = req->view == AX__ARCHIVE_GET_REQUEST__VIEW__CONTAINER;
	bool layer = req->view == AX__ARCHIVE_GET_REQUEST__VIEW__LAYER;
	struct pack_options o = { .alone = !seen, .layer = layer };
	char name[PATH_MAX];
	struct stat st;
	autoclose int node = rpc_archive_find(job, req->follow, &st, err), sock = -1;
	int r;

	if (node < 0)
		return node;
	if (S_ISSOCK(st.st_mode))
		return err_unsupported(err, "%.200s: a socket has no content", req->path);
	rpc_archive_name(req->path, node, name);
	if (seen)
		o.root = strcmp(name, "/") == 0 ? "." : name;
	if (layer)
		o.without = rpc_archive_own_files;
	sock = transfer_dial(job, req->vsock_port, err);
	if (sock < 0)
		return sock;
	r = pack_tree(sock, node, &o, &reply.bytes, err);
	if (r < 0)
		return err_wrap(err, "copy %.200s", req->path);
	close_fd(&sock);
	return job_say(job, &reply.base, err);
}

void rpc_archive_get(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Ax__ArchiveGetRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct job_args args = { .fn = rpc_archive_get_job,
				 .arg = req,
				 .reply = &ax__archive_get_response__descriptor };
	int r = transfer_check_port(req->vsock_port, &err);

	if (r == 0 && !protobuf_c_enum_descriptor_get_value(
			      &ax__archive_get_request__view__descriptor, (int)req->view))
		r = err_invalid(&err, "view %d: there is none", (int)req->view);
	if (r < 0)
		job_refuse(call, false, &err);
	else if (req->view == AX__ARCHIVE_GET_REQUEST__VIEW__CONTAINER)
		rpc_archive_answer(data, call, req->container_id, req->path, &args);
	else
		rpc_archive_answer_own(data, call, req->path, &args);
}

/* ---- put ---- */

static bool rpc_archive_is_root(const struct job *job, const struct stat *st)
{
	struct stat root;

	return fstat(job->gp.rootfd, &root) == 0 && root.st_dev == st->st_dev &&
	       root.st_ino == st->st_ino;
}

static int rpc_archive_put_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const Ax__ArchivePutRequest *req = arg;
	Ax__ArchivePutResponse reply = AX__ARCHIVE_PUT_RESPONSE__INIT;
	struct unpack_options o = { .keep_types = req->keep_types,
				    .keep_owners = req->keep_owners,
				    .absolute = true };
	struct unpack_done done;
	struct stat st;
	autoclose int dest = rpc_archive_find(job, true, &st, err), sock = -1;
	int r;

	if (dest < 0)
		return dest;
	if (!S_ISDIR(st.st_mode))
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOTDIR,
			       "%.200s: not a directory", req->path);
	o.rooted = rpc_archive_is_root(job, &st);
	sock = transfer_dial(job, req->vsock_port, err);
	if (sock < 0)
		return sock;
	r = unpack_tree(sock, dest, &o, &done, err);
	if (r < 0)
		return err_wrap(err, "copy to %.200s", req->path);
	reply.entries = done.entries;
	return job_say(job, &reply.base, err);
}

void rpc_archive_put(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Ax__ArchivePutRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct job_args args = { .fn = rpc_archive_put_job,
				 .arg = req,
				 .reply = &ax__archive_put_response__descriptor };

	if (transfer_check_port(req->vsock_port, &err) < 0)
		job_refuse(call, false, &err);
	else
		rpc_archive_answer(data, call, req->container_id, req->path, &args);
}
