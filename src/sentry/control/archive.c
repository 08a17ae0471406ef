/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/archive.c - ArchiveStat, ArchiveGet, ArchivePut: files as Docker copies them
 *
 *	path found, host's port dialled --> thread: archive <-> files --> eventfd --> answer
 *
 * One uncompressed pax archive over a connection that we dial. Paths are resolved with the
 * container's root as "/". The thread holds references to where it begins, and nothing of the
 * control loop's but its job; a container that goes ends its transfers first.
 *
 * Called by rpc_extras.c and process.c, on the control loop.
 */
#define LOG_CATEGORY "archive"
#include "sentry/control/archive.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/thread.h"
#include "rpc/grpc_text.h"
#include "sentry/control/copy.h"
#include "sentry/control/machine.h"
#include "sentry/gofer/gofer.h"

#define ARCHIVE_STACK	 ((size_t)1 << 20)
#define ARCHIVE_JOBS_MAX 32

static struct archive_job *archive_jobs;
static unsigned archive_count;

void archive_begin(const struct vfs_path *at, struct walk *walk)
{
	machine_walk_at(walk, at);
}

/* ---- directories ---- */

struct archive_names {
	struct dir_sink sink;
	struct buf names; /* each with its NUL */
	int64_t next;
	int error;
};

static int archive_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
			unsigned char type, int64_t next)
{
	struct archive_names *n = container_of(sink, struct archive_names, sink);

	n->next = next;
	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	n->error = buf_append(&n->names, name, len);
	if (n->error == 0)
		n->error = buf_append(&n->names, "", 1);
	return n->error;
}

static int archive_names(const struct vfs_path *dir, struct archive_names *n)
{
	autofile struct file *file = NULL;
	int64_t before = -1;
	int r = vfs_open_path(dir, machine_cred(), NULL, O_RDONLY | O_DIRECTORY, &file);

	if (r == 0 && !file->ops->readdir)
		r = -ENOTDIR;
	while (r == 0 && n->error == 0 && file->offset != before) {
		pthread_mutex_lock(&file->offset_lock);
		before = file->offset;
		r = file->ops->readdir(file, &n->sink);
		pthread_mutex_unlock(&file->offset_lock);
	}
	return r < 0 ? r : n->error;
}

#define ARCHIVE_NAMES_MAX (64u << 20)

int archive_each(const struct vfs_path *dir, int (*fn)(const char *name, void *data), void *data)
{
	struct archive_names n = { .sink.emit = archive_emit,
				   .names = BUF_INIT(ARCHIVE_NAMES_MAX) };
	int r = archive_names(dir, &n);
	const char *names = (const char *)buf_data(&n.names);

	for (size_t at = 0; r == 0 && at < n.names.len; at += strlen(names + at) + 1)
		r = fn(names + at, data);
	buf_free(&n.names);
	return r;
}

/* ---- paths ---- */

static int archive_container(const struct control *control, const char *id,
			     struct control_container **out, struct coffer_error *err)
{
	*out = control_container_find(control, id);
	if (!*out)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "container \"%.*s\" does not exist",
			       CONTROL_ID_MAX, id);
	return (*out)->kernel ? 0 : err_state(err, "container %s is not ready", id);
}

static int archive_find(struct sandbox_container *container, const char *path, bool follow,
			struct vfs_path *out, struct vfs_path *root, struct coffer_error *err)
{
	struct walk walk;
	int r;

	if (path[0] != '/')
		return err_invalid(err, "path \"%.200s\" is not absolute", path);
	machine_walk_container(&walk, container);
	if (root) {
		*root = walk.start;
		path_get(root);
	}
	r = vfs_walk(&walk, path, WALK_IN_ROOT | (follow ? 0 : WALK_NOFOLLOW));
	if (r == 0) {
		*out = walk.path;
		path_get(out);
	}
	walk_end(&walk);
	return r < 0 ? err_sysn(err, r, "%.200s", path) : 0;
}

/* The last component of @path; where that is no name, the one the file has in @root. */
static void archive_name(const char *path, const struct vfs_path *at, const struct vfs_path *root,
			 char *name, size_t size)
{
	size_t n = strlen(path), start;
	char whole[PATH_MAX], *last;

	while (n > 0 && (path[n - 1] == '/' || (path[n - 1] == '.' && n > 1 && path[n - 2] == '/')))
		n--;
	for (start = n; start > 0 && path[start - 1] != '/';)
		start--;
	snprintf(name, size, "%.*s", n == start ? 1 : (int)(n - start), n == start ? "/" : path + start);
	if (strcmp(name, "..") != 0 && strcmp(name, ".") != 0)
		return;
	last = vfs_path_name(at, root, whole, sizeof(whole)) < 0 ? NULL : strrchr(whole, '/');
	snprintf(name, size, "%s", last && last[1] ? last + 1 : "/");
}

/* ---- stat ---- */

/* A file's name need not be text, a field has to be. */
static void archive_text(char *s)
{
	size_t n = strlen(s);

	if (grpc_text_utf8((const uint8_t *)s, n) == n)
		return;
	for (; *s; s++)
		if (*s & 0x80)
			*s = '?';
}

struct archive_seen {
	struct stat st;
	char name[PATH_MAX], target[PATH_MAX];
};

static int archive_see(const struct control *control, const Ax__ArchiveStatRequest *req,
		       struct archive_seen *seen, struct coffer_error *err)
{
	struct vfs_path at = { NULL, NULL }, root = { NULL, NULL };
	struct control_container *c;
	int r = archive_container(control, req->container_id, &c, err);

	if (r == 0)
		r = archive_find(c->kernel, req->path, req->follow, &at, &root, err);
	if (r == 0 && (r = vfs_stat(&at, &seen->st)) < 0)
		err_sysn(err, r, "%.200s", req->path);
	if (r == 0 && at.dentry && S_ISLNK(seen->st.st_mode) && at.dentry->inode->ops->readlink) {
		r = at.dentry->inode->ops->readlink(at.dentry->inode, seen->target,
						    sizeof(seen->target));
		r = r < 0 ? err_sysn(err, r, "read the link %.200s", req->path) : 0;
	}
	if (r == 0)
		archive_name(req->path, &at, &root, seen->name, sizeof(seen->name));
	if (at.mount)
		path_put(&at);
	if (root.mount)
		path_put(&root);
	return r;
}

RPC_METHOD(archive_stat)
{
	const Ax__ArchiveStatRequest *req = (const void *)msg;
	Google__Protobuf__Timestamp mtime = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Ax__ArchiveStatResponse reply = AX__ARCHIVE_STAT_RESPONSE__INIT;
	autofree struct archive_seen *seen = calloc(1, sizeof(*seen));
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = seen ? archive_see(data, req, seen, &err) : err_nomem(&err);

	if (r < 0) {
		grpc_call_fail(call, &err);
		return;
	}
	archive_text(seen->name);
	archive_text(seen->target);
	mtime.seconds = seen->st.st_mtim.tv_sec;
	mtime.nanos = (int32_t)seen->st.st_mtim.tv_nsec;
	reply.name = seen->name;
	reply.size = (uint64_t)seen->st.st_size;
	reply.mode = seen->st.st_mode;
	reply.mtime = &mtime;
	if (seen->target[0])
		reply.link_target = seen->target;
	grpc_call_reply(call, &reply.base);
}

/* ---- jobs ---- */

void archive_free(struct archive_job *job)
{
	if (!job)
		return;
	*job->link = job->next;
	if (job->next)
		job->next->link = job->link;
	archive_count--;
	loop_remove(job->source);
	close_fd(&job->event_fd);
	close_fd(&job->work.sock);
	if (job->work.at.mount)
		path_put(&job->work.at);
	if (job->work.root.mount)
		path_put(&job->work.root);
	if (job->work.file)
		file_put(job->work.file);
	free(job->work.name);
	free(job);
}

static void *archive_thread(void *data)
{
	const uint64_t one = 1;
	struct archive_job *job = data;

	job->result = job->run(&job->work, &job->err);
	/* It cannot be full. */
	if (write(job->event_fd, &one, sizeof(one)) < 0)
		return NULL;
	return NULL;
}

static void archive_reply(const struct archive_job *job)
{
	Ax__ArchiveGetResponse got = AX__ARCHIVE_GET_RESPONSE__INIT;
	Ax__ArchivePutResponse put = AX__ARCHIVE_PUT_RESPONSE__INIT;

	got.bytes = put.entries = job->work.count;
	if (job->result < 0)
		grpc_call_fail(job->call, &job->err);
	else if (job->run == archive_get_run)
		grpc_call_reply(job->call, &got.base);
	else
		grpc_call_reply(job->call, &put.base);
}

/* Whoever waits for the answer has heard the connection's end before. */

static void archive_ended(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct archive_job *job = data;

	pthread_join(job->thread, NULL);
	close_fd(&job->work.sock);
	if (job->call)
		job->reply(job);
	archive_free(job);
}

static void archive_halt(struct archive_job *job)
{
	job->work.stop = true;
	if (job->work.sock >= 0)
		shutdown(job->work.sock, SHUT_RDWR);
}

static void archive_cancelled(struct grpc_call *call, void *data)
{
	struct archive_job *job = data;

	job->call = NULL;
	archive_halt(job);
}

void archive_stop(const struct control_container *container)
{
	copy_stop(container);
	for (struct archive_job *job = archive_jobs, *next; job; job = next) {
		next = job->next;
		if (job->container != container)
			continue;
		archive_halt(job);
		archive_ended(NULL, -1, 0, job);
	}
}

int archive_dial(struct archive_job *job, uint32_t port, struct coffer_error *err)
{
	int fd = gofer_dial_port(kernel.gofer, port), flags;

	if (fd < 0)
		return err_sysn(err, fd, "dial the host's port %u", port);
	job->work.sock = fd;
	flags = fcntl(job->work.sock, F_GETFL);
	if (flags < 0 || fcntl(job->work.sock, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return err_sys(err, "connection to port %u", port);
	return 0;
}

int archive_start(struct archive_job *job, struct control *control, struct grpc_call *call,
		  struct coffer_error *err)
{
	int r;

	job->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (job->event_fd < 0)
		return err_sys(err, "eventfd");
	r = loop_add_fd(control->loop, job->event_fd, EPOLLIN, archive_ended, job, &job->source, err);
	if (r < 0)
		return r;
	r = thread_start(&job->thread, ARCHIVE_STACK, archive_thread, job);
	if (r < 0)
		return err_sysn(err, r, "start a thread");
	job->call = call;
	grpc_call_on_cancel(call, archive_cancelled, job);
	return 0;
}

int archive_new(const struct control_container *c, struct archive_job **out,
		struct coffer_error *err)
{
	struct archive_job *job;

	if (archive_count == ARCHIVE_JOBS_MAX)
		return err_state(err, "%d transfers are under way already", ARCHIVE_JOBS_MAX);
	job = calloc(1, sizeof(*job));
	if (!job)
		return err_nomem(err);
	*job = (struct archive_job){ .next = archive_jobs, .link = &archive_jobs, .container = c,
				     .event_fd = -1, .work.sock = -1, .reply = archive_reply };
	if (job->next)
		job->next->link = &job->next;
	archive_jobs = job;
	archive_count++;
	*out = job;
	return 0;
}

static int archive_of(struct control *control, const char *id, struct archive_job **out,
		      struct coffer_error *err)
{
	struct control_container *c;
	int r = archive_container(control, id, &c, err);

	return r < 0 ? r : archive_new(c, out, err);
}

static void archive_go(struct archive_job *job, struct control *control, struct grpc_call *call,
		       uint32_t port, int r, struct coffer_error *err)
{
	if (r == 0 && port == 0)
		r = err_invalid(err, "vsock_port 0");
	if (r == 0)
		r = archive_dial(job, port, err);
	if (r == 0)
		r = archive_start(job, control, call, err);
	if (r < 0) {
		archive_free(job);
		grpc_call_fail(call, err);
	}
}

/* A directory of the machine, where nothing of the container is mounted. */
static int archive_find_own(struct archive_work *work, const char *path, struct coffer_error *err)
{
	int r = machine_find_own(path, &work->at, err);

	if (r == 0) {
		work->root = work->at;
		path_get(&work->root);
	}
	return r;
}

static int archive_get_find(struct archive_job *job, const Ax__ArchiveGetRequest *req,
			    struct coffer_error *err)
{
	struct archive_work *w = &job->work;
	char name[NAME_MAX + 2];
	struct stat st;
	int r;

	w->alone = req->view != AX__ARCHIVE_GET_REQUEST__VIEW__CONTAINER;
	w->layer = req->view == AX__ARCHIVE_GET_REQUEST__VIEW__LAYER;
	if (w->alone)
		return archive_find_own(w, req->path, err);
	r = archive_find(job->container->kernel, req->path, req->follow, &w->at, &w->root, err);
	if (r < 0)
		return r;
	r = vfs_stat(&w->at, &st);
	if (r < 0)
		return err_sysn(err, r, "%.200s", req->path);
	if (S_ISSOCK(st.st_mode))
		return err_unsupported(err, "%.200s: a socket has no content", req->path);
	archive_name(req->path, &w->at, &w->root, name, sizeof(name));
	w->name = strdup(strcmp(name, "/") == 0 ? "." : name);
	return w->name ? 0 : err_nomem(err);
}

RPC_METHOD(archive_get)
{
	const Ax__ArchiveGetRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct archive_job *job = NULL;
	int r = archive_of(data, req->container_id, &job, &err);

	if (r == 0 && (unsigned)req->view > AX__ARCHIVE_GET_REQUEST__VIEW__LAYER)
		r = err_invalid(&err, "view %d: there is none", (int)req->view);
	if (r == 0) {
		job->run = archive_get_run;
		r = archive_get_find(job, req, &err);
	}
	archive_go(job, data, call, req->vsock_port, r, &err);
}

static int archive_put_find(struct archive_job *job, const Ax__ArchivePutRequest *req,
			    struct coffer_error *err)
{
	struct archive_work *w = &job->work;
	int r = archive_find(job->container->kernel, req->path, true, &w->at, &w->root, err);

	if (r < 0)
		return r;
	if (!S_ISDIR(w->at.dentry->inode->attr.st_mode))
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOTDIR, "%.200s: not a directory",
			       req->path);
	w->keep_types = req->keep_types;
	w->keep_owners = req->keep_owners;
	w->absolute = true;
	w->rooted = w->at.dentry == w->root.dentry && w->at.mount == w->root.mount;
	return 0;
}

RPC_METHOD(archive_put)
{
	const Ax__ArchivePutRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct archive_job *job = NULL;
	int r = archive_of(data, req->container_id, &job, &err);

	if (r == 0) {
		job->run = archive_put_run;
		r = archive_put_find(job, req, &err);
	}
	archive_go(job, data, call, req->vsock_port, r, &err);
}
