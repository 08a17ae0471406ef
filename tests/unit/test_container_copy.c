/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_copy.c - copies with guests of every kind, from decent to hostile
 *
 * The guest is a directory of this host and a function that does the agent's
 * part; what it does wrong is chosen by the test.
 */
#include "fake_sandbox.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "archive/pack.h"
#include "archive/unpack.h"
#include "base/path.h"
#include "container/copy_run.h"

static char work[] = "/tmp/coffer-copy-XXXXXX";
static int inside = -1; /* the guest's root */

/* What the guest does to a transfer. */
static enum guest_fault {
	GUEST_DECENT,
	GUEST_REFUSES,	      /* instead of connecting */
	GUEST_NEVER_CONNECTS, /* nor answers */
	GUEST_LIES_DONE,      /* says so at once */
	GUEST_CUTS,	      /* ends in the middle, and does not say why */
	GUEST_CUTS_WITH_CAUSE,
	GUEST_MISCOUNTS,
	GUEST_FAILS_LATE,  /* the data is whole, and then it says no */
	GUEST_NEVER_SAYS,  /* the data is whole, and then it hangs up */
	GUEST_STANDS_STILL,
	GUEST_GARBAGE,
	GUEST_ENDLESS, /* an archive whose file never ends */
	GUEST_ESCAPES, /* names that lead out */
} fault;

static _Atomic bool hanging; /* a guest is in guest_hang() */

static int guest_fail(struct coffer_error *err)
{
	return err_set(err, COFFER_ERR_INTERNAL, ENOSPC, "the guest's own reason");
}

/* Until whoever asked has given up. */
static int guest_hang(struct agent *agent, struct coffer_error *err)
{
	hanging = true;
	io_wait(((struct fake_agent *)agent)->cancel_fd, POLLIN,
		deadline_in(60 * USEC_PER_SEC));
	return err_set(err, COFFER_ERR_CANCELLED, 0, "hung up");
}

/* Nobody listens any more where the copy has been given up. */
static int guest_connect(uint32_t port, struct coffer_error *err)
{
	char name[64];

	snprintf(name, sizeof(name), "vsock.sock_%u", port);
	return io_unix_connect(fake.cfg.dir->vm_fd, name, SOCK_STREAM, err);
}

static int guest_stat(const Ax__ArchiveStatRequest *req, Ax__ArchiveStatResponse *reply,
		      struct coffer_error *err)
{
	char target[4096] = "";
	struct stat st;

	if (fstatat(inside, req->path[1] ? req->path + 1 : ".", &st,
		    req->follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "%s", req->path);
	reply->mode = st.st_mode;
	reply->size = (uint64_t)st.st_size;
	if (S_ISLNK(st.st_mode) && readlinkat(inside, req->path + 1, target, sizeof(target) - 1) > 0)
		reply->link_target = strdup(target);
	return 0;
}

static void guest_send(int fd, const void *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		p = (const char *)p + sent;
		n -= (size_t)sent;
	}
}

/* A header of one file, whose size and name the test chooses. */
static void guest_header(char block[512], const char *name, unsigned long long size)
{
	unsigned sum = 0;

	memset(block, 0, 512);
	snprintf(block, 100, "%s", name);
	strcpy(block + 100, "0000644");
	strcpy(block + 108, "0000000");
	strcpy(block + 116, "0000000");
	snprintf(block + 124, 12, "%011llo", size);
	strcpy(block + 136, "00000000000");
	memset(block + 148, ' ', 8);
	block[156] = '0';
	memcpy(block + 257, "ustar\00000", 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
}

static void guest_endless(int fd)
{
	static char zeros[65536];
	char block[512];

	guest_header(block, "file", 077777777777ull);
	guest_send(fd, block, sizeof(block));
	while (send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL) > 0)
		;
}

static void guest_escape(int fd)
{
	char block[512];

	guest_header(block, "../escaped", 0);
	guest_send(fd, block, sizeof(block));
	memset(block, 0, sizeof(block));
	guest_send(fd, block, sizeof(block));
	guest_send(fd, block, sizeof(block));
}

/* The archive to memory first, so that it can be cut. */
static int guest_pack(const char *path, uint64_t *bytes)
{
	struct pack_options o = { .root = strrchr(path, '/') + 1 };
	autoclose int node = openat(inside, path + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int fd = memfd_create("archive", MFD_CLOEXEC);

	assert_int_equal(pack_tree(fd, node, &o, bytes, NULL), 0);
	return fd;
}

static int guest_get(struct agent *agent, const Ax__ArchiveGetRequest *req,
		     Ax__ArchiveGetResponse *reply, struct coffer_error *err)
{
	autoclose int fd = guest_connect(req->vsock_port, err);
	autoclose int archive = guest_pack(req->path, &reply->bytes);
	autofree char *data = calloc(1, reply->bytes);
	uint64_t n = reply->bytes;

	if (fd < 0)
		return fd;
	assert_int_equal(pread(archive, data, n, 0), n);
	switch (fault) {
	case GUEST_STANDS_STILL:
		guest_send(fd, data, n / 2);
		return guest_hang(agent, err);
	case GUEST_GARBAGE:
		memset(data, 'x', n);
		break;
	case GUEST_ENDLESS:
		guest_endless(fd);
		return guest_hang(agent, err);
	case GUEST_ESCAPES:
		guest_escape(fd);
		return 0;
	case GUEST_CUTS:
	case GUEST_CUTS_WITH_CAUSE:
		n = n > 3000 ? 700 : n / 2;
		break;
	default:
		break;
	}
	guest_send(fd, data, n);
	close_fd(&fd);
	if (fault == GUEST_MISCOUNTS)
		reply->bytes++;
	if (fault == GUEST_CUTS_WITH_CAUSE || fault == GUEST_FAILS_LATE)
		return guest_fail(err);
	if (fault == GUEST_CUTS || fault == GUEST_NEVER_SAYS)
		return err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET, "connection lost");
	return 0;
}

static int guest_put(struct agent *agent, const Ax__ArchivePutRequest *req,
		     Ax__ArchivePutResponse *reply, struct coffer_error *err)
{
	const struct unpack_options o = { .keep_types = req->keep_types,
					  .keep_owners = req->keep_owners,
					  .absolute = true };
	autoclose int fd = -1, dest = -1;
	struct unpack_done done;
	char some[1000];
	int r;

	dest = openat(inside, req->path[1] ? req->path + 1 : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dest < 0)
		return err_sys(err, "%s", req->path);
	fd = guest_connect(req->vsock_port, err);
	if (fd < 0)
		return fd;
	switch (fault) {
	case GUEST_STANDS_STILL:
		return guest_hang(agent, err);
	case GUEST_CUTS:
	case GUEST_CUTS_WITH_CAUSE:
		assert_true(read(fd, some, sizeof(some)) > 0);
		close_fd(&fd);
		return fault == GUEST_CUTS
			   ? err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET, "connection lost")
			   : guest_fail(err);
	default:
		break;
	}
	r = unpack_tree(fd, dest, &o, &done, err);
	if (r < 0)
		return r;
	reply->entries = done.entries;
	return fault == GUEST_FAILS_LATE ? guest_fail(err) : 0;
}

static int guest(struct agent *agent, const struct agent_request *request,
		 ProtobufCMessage *reply, struct coffer_error *err)
{
	bool get = strcmp(request->method, "ArchiveGet") == 0;

	if (strcmp(request->method, "ArchiveStat") == 0)
		return guest_stat((const void *)request->msg, (void *)reply, err);
	if (!get && strcmp(request->method, "ArchivePut") != 0)
		return 0;
	if (fault == GUEST_REFUSES)
		return guest_fail(err);
	if (fault == GUEST_NEVER_CONNECTS)
		return guest_hang(agent, err);
	if (fault == GUEST_LIES_DONE)
		return 0;
	return get ? guest_get(agent, (const void *)request->msg, (void *)reply, err)
		   : guest_put(agent, (const void *)request->msg, (void *)reply, err);
}

/* --- */

static struct coffer_container *box;
static struct coffer_error error;

static const char *at(const char *name)
{
	static _Thread_local char paths[8][128];
	static _Thread_local unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", work, name);
	return path;
}

static int shell(const char *text)
{
	char line[1024];

	snprintf(line, sizeof(line), "cd %s && { %s; }", work, text);
	return system(line); /* NOLINT(cert-env33-c) */
}

static int test_setup(void **state)
{
	static const char *const args[] = { "sleep", "9", NULL };
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;

	fake_reset();
	fake.no_log = true;
	fake.guest = guest;
	fault = GUEST_DECENT;
	assert_non_null(mkdtemp(strcpy(work, "/tmp/coffer-copy-XXXXXX")));
	assert_int_equal(shell("mkdir -p guest/dir here && echo data > guest/file && "
			       "echo in > guest/dir/f && ln -s file guest/link && echo data > file && "
			       "mkdir tree && echo a > tree/a && ln -s a tree/l && "
			       "head -c 3000000 /dev/zero > big && cp big guest/big"),
			 0);
	inside = open(at("guest"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p.args = args;
	cfg.rootfs = fake_image;
	cfg.run_dir = fake_root;
	cfg.process = &p;
	assert_int_equal(container_new(NULL, &cfg, fake_maker, &box, NULL), 0);
	assert_int_equal(coffer_container_create(box, NULL), 0);
	assert_int_equal(coffer_container_start(box, NULL), 0);
	return 0;
}

static int test_teardown(void **state)
{
	coffer_container_free(box);
	close_fd(&inside);
	return path_remove_tree(AT_FDCWD, work, NULL);
}

static int copy_in(const char *source, const char *target)
{
	err_clear(&error);
	return coffer_container_copy_in(box, source, target, NULL, &error);
}

static int copy_out(const char *source, const char *target)
{
	err_clear(&error);
	return coffer_container_copy_out(box, source, target, NULL, &error);
}

static void assert_error(int r, enum coffer_error_kind kind, const char *text)
{
	assert_true(r < 0);
	assert_int_equal(r, -error.err);
	if (error.kind != kind || !strstr(error.message, text))
		fail_msg("%s: %s", coffer_error_kind_str(error.kind), error.message);
}

static void test_decent(void **state)
{
	struct coffer_path_stat st = { .size = sizeof(st) };

	assert_int_equal(copy_in(at("tree"), "/dir"), 0);
	assert_int_equal(copy_in(at("file"), "new"), 0);
	assert_int_equal(copy_in(at("file"), "/link"), 0);
	assert_int_equal(shell("diff -r --no-dereference tree guest/dir/tree && cmp file guest/new && "
			       "test -L guest/link"),
			 0);
	assert_int_equal(copy_out("/dir", at("here")), 0);
	assert_int_equal(copy_out("/file", at("here/renamed")), 0);
	assert_int_equal(copy_out("/link", at("here")), 0);
	assert_int_equal(shell("diff -r --no-dereference guest/dir here/dir && "
			       "cmp here/renamed file && test -L here/link"),
			 0);
	assert_int_equal(coffer_container_stat(box, "link", false, &st, &error), 0);
	assert_string_equal(st.link_target, "file");
	assert_error(copy_out("/none", at("here")), COFFER_ERR_NOT_FOUND, "/none");
	assert_error(copy_in(at("file"), "/none/x"), COFFER_ERR_NOT_FOUND, "/none");
	assert_error(copy_in(at("tree"), "/file"), COFFER_ERR_INVALID_ARGUMENT, "directory");
}

static void test_attributes(void **state)
{
	char value[16] = "";

	if (setxattr(at("file"), "user.color", "blue", 4, 0) < 0) {
		assert_int_equal(errno, EOPNOTSUPP);
		print_message("no extended attributes here: skipped\n");
		skip();
	}
	assert_int_equal(copy_in(at("file"), "/new"), 0);
	assert_int_equal(getxattr(at("guest/new"), "user.color", value, sizeof(value)), 4);
	assert_int_equal(copy_out("/new", at("here")), 0);
	assert_int_equal(getxattr(at("here/new"), "user.color", value, sizeof(value)), 4);
	assert_string_equal(value, "blue");
}

/* An older caller's structs are shorter. */
static void test_sizes(void **state)
{
	struct coffer_copy_options o = COFFER_COPY_OPTIONS_INIT;
	struct coffer_path_stat st = { .size = offsetof(struct coffer_path_stat, name) };

	st.name[0] = 'x';
	assert_int_equal(coffer_container_stat(box, "/file", true, &st, &error), 0);
	assert_int_equal(st.name[0], 'x');
	assert_int_equal(st.bytes, 5);
	o.size = offsetof(struct coffer_copy_options, cancel_fd);
	o.cancel_fd = 0;
	assert_int_equal(coffer_container_copy_in(box, at("file"), "/a", &o, &error), 0);
	o.size = 0;
	assert_int_equal(coffer_container_copy_in(box, at("file"), "/a", &o, &error), -EINVAL);
}

static void test_not_started(void **state)
{
	assert_int_equal(coffer_container_stop(box, 0, NULL), 0);
	assert_error(copy_in(at("file"), "/x"), COFFER_ERR_INVALID_STATE, "stopped");
	assert_error(copy_out("/file", at("x")), COFFER_ERR_INVALID_STATE, "stopped");
	assert_int_not_equal(access(at("x"), F_OK), 0);
}

/* Each fault in both directions. Nothing is left behind, and nobody waits long. */
static void test_faults(void **state)
{
	static const struct {
		enum guest_fault fault;
		enum coffer_error_kind out;
		const char *out_text;
		enum coffer_error_kind in; /* NONE: does not apply */
		const char *in_text;
	} rows[] = {
		{ GUEST_REFUSES, COFFER_ERR_INTERNAL, "own reason", COFFER_ERR_INTERNAL,
		  "own reason" },
		{ GUEST_LIES_DONE, COFFER_ERR_INTERNAL, "never connected", COFFER_ERR_INTERNAL,
		  "never connected" },
		{ GUEST_CUTS, COFFER_ERR_INVALID_ARGUMENT, "damaged", COFFER_ERR_INTERRUPTED, "" },
		{ GUEST_CUTS_WITH_CAUSE, COFFER_ERR_INTERNAL, "own reason", COFFER_ERR_INTERNAL,
		  "own reason" },
		{ GUEST_MISCOUNTS, COFFER_ERR_INTERNAL, "bytes and says", COFFER_ERR_NONE, "" },
		{ GUEST_FAILS_LATE, COFFER_ERR_INTERNAL, "own reason", COFFER_ERR_INTERNAL,
		  "own reason" },
		{ GUEST_NEVER_SAYS, COFFER_ERR_INTERRUPTED, "connection lost", COFFER_ERR_NONE, "" },
		{ GUEST_STANDS_STILL, COFFER_ERR_TIMEOUT, "stopped sending", COFFER_ERR_TIMEOUT,
		  "stopped taking" },
		{ GUEST_GARBAGE, COFFER_ERR_INVALID_ARGUMENT, "damaged", COFFER_ERR_NONE, "" },
		{ GUEST_ESCAPES, COFFER_ERR_INVALID_ARGUMENT, "../escaped", COFFER_ERR_NONE, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fault = rows[i].fault;
		copy_run_idle = fault == GUEST_STANDS_STILL ? USEC_PER_SEC / 5 : 30 * USEC_PER_SEC;
		assert_error(copy_out("/big", at("here/big")), rows[i].out, rows[i].out_text);
		assert_int_not_equal(access(at("here/big"), F_OK), 0);
		if (rows[i].in != COFFER_ERR_NONE)
			assert_error(copy_in(at("big"), "/in"), rows[i].in, rows[i].in_text);
	}
	copy_run_idle = 30 * USEC_PER_SEC;
	assert_int_not_equal(access(at("escaped"), F_OK), 0);
	fault = GUEST_DECENT;
	assert_int_equal(copy_out("/big", at("here/big")), 0);
}

static void *cancel_soon(void *data)
{
	const uint64_t one = 1;

	usleep(100000);
	assert_int_equal(write((int)(intptr_t)data, &one, sizeof(one)), sizeof(one));
	return NULL;
}

static void test_cancel(void **state)
{
	static const enum guest_fault ways[] = { GUEST_NEVER_CONNECTS, GUEST_STANDS_STILL,
						 GUEST_ENDLESS };
	struct coffer_copy_options o = COFFER_COPY_OPTIONS_INIT;
	pthread_t thread;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		fault = ways[i];
		o.cancel_fd = eventfd(0, EFD_CLOEXEC);
		pthread_create(&thread, NULL, cancel_soon, (void *)(intptr_t)o.cancel_fd);
		assert_error(coffer_container_copy_out(box, "/big", at("here/big"), &o, &error),
			     COFFER_ERR_CANCELLED, "given up");
		assert_int_not_equal(access(at("here/big"), F_OK), 0);
		/* Said before, it is heard as well. */
		assert_error(coffer_container_copy_in(box, at("big"), "/in", &o, &error),
			     COFFER_ERR_CANCELLED, "given up");
		pthread_join(thread, NULL);
		close(o.cancel_fd);
	}
}

static void *copy_out_thread(void *data)
{
	struct coffer_copy_options o = COFFER_COPY_OPTIONS_INIT;

	o.cancel_fd = *(int *)data;
	return (void *)(intptr_t)coffer_container_copy_out(box, "/big", at("here/big"), &o, &error);
}

/* A copy that hangs holds up nothing. */
static void test_meanwhile(void **state)
{
	autoclose int cancel = eventfd(0, EFD_CLOEXEC);
	const uint64_t one = 1;
	pthread_t thread;
	void *r;

	fault = GUEST_STANDS_STILL;
	hanging = false;
	copy_run_idle = 3600 * USEC_PER_SEC;
	pthread_create(&thread, NULL, copy_out_thread, &cancel);
	while (!hanging)
		usleep(1000);
	assert_int_equal(coffer_process_kill(coffer_container_process(box), SIGTERM, NULL), 0);
	assert_int_equal(coffer_container_state(box), COFFER_STATE_STARTED);
	assert_int_equal(pthread_tryjoin_np(thread, &r), EBUSY);
	assert_int_equal(write(cancel, &one, sizeof(one)), sizeof(one));
	pthread_join(thread, &r);
	assert_error((int)(intptr_t)r, COFFER_ERR_CANCELLED, "given up");
	copy_run_idle = 30 * USEC_PER_SEC;
}

#define MANY 20

static void *copy_many(void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	char name[32], target[128];
	int n = (int)(intptr_t)data, r;

	snprintf(name, sizeof(name), "/many%d", n);
	snprintf(target, sizeof(target), "%s/here/many%d", work, n);
	r = coffer_container_copy_in(box, at("big"), name, NULL, &err);
	if (r == 0)
		r = coffer_container_copy_out(box, name, target, NULL, &err);
	return (void *)(intptr_t)r;
}

static void test_many(void **state)
{
	pthread_t threads[MANY];
	void *r;

	for (intptr_t i = 0; i < MANY; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, copy_many, (void *)i), 0);
	for (int i = 0; i < MANY; i++) {
		pthread_join(threads[i], &r);
		assert_int_equal((intptr_t)r, 0);
	}
	assert_int_equal(shell("for f in here/many*; do cmp $f big || exit 1; done; "
			       "test $(ls here | wc -l) = 20"),
			 0);
}

static void test_archives(void **state)
{
	int fd, pair[2];

	assert_int_equal(shell("tar cf t.tar tree && gzip -k t.tar && xz -k t.tar && "
			       "printf junk > t.junk && : > t.empty"),
			 0);
	static const char *const names[] = { "t.tar", "t.tar.gz", "t.tar.xz" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		fd = open(at(names[i]), O_RDONLY | O_CLOEXEC);
		assert_int_equal(coffer_container_put_archive(box, fd, "/dir", NULL, &error), 0);
		close(fd);
		assert_int_equal(shell("diff -r --no-dereference tree guest/dir/tree && "
				       "rm -r guest/dir/tree"),
				 0);
	}
	fd = open(at("t.junk"), O_RDONLY | O_CLOEXEC);
	assert_error(coffer_container_put_archive(box, fd, "/dir", NULL, &error),
		     COFFER_ERR_INVALID_ARGUMENT, "damaged");
	close(fd);
	fd = open(at("t.tar"), O_RDONLY | O_CLOEXEC);
	assert_error(coffer_container_put_archive(box, fd, "/none", NULL, &error),
		     COFFER_ERR_NOT_FOUND, "/none");
	close(fd);
	fd = open(at("got"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(coffer_container_get_archive(box, "/dir", fd, NULL, &error), 0);
	close(fd);
	assert_int_equal(shell("test \"$(tar tf got | tr '\\n' ' ')\" = 'dir/ dir/f '"), 0);
	/* Nobody reads it: an error, not a signal. */
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	close(pair[0]);
	assert_error(coffer_container_get_archive(box, "/big", pair[1], NULL, &error),
		     COFFER_ERR_INTERRUPTED, "");
	close(pair[1]);
}

#define COPY(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		COPY(test_decent), COPY(test_attributes), COPY(test_sizes), COPY(test_not_started),
		COPY(test_faults), COPY(test_cancel),	 COPY(test_meanwhile),
		COPY(test_many),   COPY(test_archives),
	};

	return cmocka_run_group_tests(tests, fake_group_setup, fake_group_teardown);
}
