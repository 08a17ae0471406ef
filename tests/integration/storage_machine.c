/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage_machine.c - file systems of containers, in machines, through the library
 *
 * Each machine takes seconds, so one has many mounts that are looked at one
 * after the other.  What a mount is to be is told by programs inside and by
 * files on this host, never by what the library says.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "coffer/coffer.h"
#include "arm64_program.h"
#include "in_sentry.h"

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SECOND	   UINT64_C(1000000)
#define MIB	   (UINT64_C(1) << 20)

static char scratch[] = "/tmp/coffer-storage-XXXXXX";
static char machine_output[65536];

/* --- this host --- */

static const char *at(const char *name)
{
	static char paths[64][256];
	static unsigned turn;
	char *path = paths[turn++ % 64];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	return path;
}

/* A command of the shell here. Return: its exit code */
static int host(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int host(const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	status = system(text); /* NOLINT(cert-env33-c): a test's own words */
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void assert_file(const char *path, const char *text)
{
	char have[256] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		fail_msg("%s is missing", path);
	assert_true(fread(have, 1, sizeof(have) - 1, f) > 0 || !*text);
	fclose(f);
	assert_string_equal(have, text);
}

static long blocks_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_blocks;
}

/* It was unmounted in order, and nothing in it is wrong. */
static void assert_clean(const char *image)
{
	assert_int_equal(host("dumpe2fs -h %s 2>/dev/null | grep -q needs_recovery", image), 1);
	assert_int_equal(host("dumpe2fs -h %s 2>/dev/null | grep -q 'state: *clean$'", image), 0);
	assert_int_equal(host("e2fsck -fn %s >/dev/null 2>&1", image), 0);
}

/* --- containers --- */

static struct coffer_container *boot(const struct coffer_container_config *config)
{
	struct coffer_process_config process = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container_config all = *config;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c;

	process.args = WORDS("/bin/sleep", "100000");
	all.process = &process;
	if (coffer_container_new(NULL, &all, &c, &err) < 0 ||
	    coffer_container_create(c, &err) < 0 || coffer_container_start(c, &err) < 0)
		fail_msg("%s", err.message);
	return c;
}

static void end(struct coffer_container *c)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	time_t begin = time(NULL);

	if (coffer_container_stop(c, 0, &err) < 0)
		fail_msg("%s", err.message);
	/* Who waits for a thaw waits for ever. */
	assert_true(time(NULL) - begin < 180);
	coffer_container_free(c);
}

static struct coffer_process *start_exec(struct coffer_container *c, const char *script,
					 const char *const *caps)
{
	struct coffer_process_config config = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_process *p;

	config.args = WORDS("/bin/sh", "-c", script);
	config.stdio[COFFER_STDOUT].mode = COFFER_STDIO_PIPE;
	config.cap_add = caps;
	if (coffer_container_exec(c, NULL, &config, &p, &err) < 0)
		fail_msg("%s: %s", script, err.message);
	return p;
}

/* Run @script inside; its output is in machine_output. Return: exit code */
static int run_as(struct coffer_container *c, const char *const *caps, const char *script)
{
	char text[8192];
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_exit status;
	struct coffer_process *p;
	size_t used = 0;
	ssize_t n;
	int fd;

	snprintf(text, sizeof(text), "exec 2>&1; %s", script);
	p = start_exec(c, text, caps);
	fd = coffer_process_take_stream(p, COFFER_STDOUT);
	while ((n = read(fd, machine_output + used, sizeof(machine_output) - 1 - used)) > 0)
		used += (size_t)n;
	machine_output[used] = '\0';
	close(fd);
	if (coffer_process_wait(p, 120 * SECOND, &status, &err) < 0)
		fail_msg("%s: %s", script, err.message);
	return status.code;
}

static int run(struct coffer_container *c, const char *script)
{
	return run_as(c, NULL, script);
}

#define assert_run(c, script)                                                                      \
	do {                                                                                       \
		int code_ = run(c, script);                                                        \
		if (code_ != 0)                                                                    \
			fail_msg("%s: exit code %d: %s", script, code_, machine_output);           \
	} while (0)

#define assert_fails(c, script, why)                                                               \
	do {                                                                                       \
		if (run(c, script) == 0 || !strstr(machine_output, why))                           \
			fail_msg("%s: not \"%s\" but: %s", script, why, machine_output);           \
	} while (0)

#define assert_says(c, script, text)                                                               \
	do {                                                                                       \
		assert_run(c, script);                                                             \
		assert_string_equal(machine_output, text);                                         \
	} while (0)

/* --- one machine with a bit of everything --- */

static void check_shares(struct coffer_container *c)
{
	/* One device for the directory and its alias, read-only where that was asked for. */
	assert_run(c, "test $(stat -c %d /s/rw) = $(stat -c %d /s/ro)");
	assert_says(c, "cat /s/ro/greeting", "hello");
	assert_run(c, "echo -n inside > /s/rw/new");
	assert_file(at("share/new"), "inside");
	assert_fails(c, "echo x > /s/ro/x", "Read-only");
	assert_fails(c, "echo x > /s/only/x", "Read-only");
	put(at("share/late"), "later");
	assert_says(c, "cat /s/ro/late", "later");
	assert_run(c, "grep ' /s/only ' /proc/self/mountinfo | grep -q nosuid");
	if (!in_sentry_without("mounts that are shared"))
		assert_run(c, "grep ' /s/only ' /proc/self/mountinfo | grep -q shared:");
}

/* A container that may mount has the guest's rights: the device itself has to refuse. */
static void check_hostile(struct coffer_container *c)
{
	run_as(c, WORDS("ALL"),
	       "mkdir -p /h; for i in 0 1 2 3 4 5; do mount -t virtiofs share$i /h || continue; "
	       "test -e /h/only-read && echo x > /h/broken-in; "
	       "test -e /h/one && ls /h && echo x > /h/y; umount /h; done");
	assert_int_not_equal(access(at("only/broken-in"), F_OK), 0);
	assert_non_null(strstr(machine_output, "Read-only"));
	/* Of a single file not even the machine sees what is beside it. */
	assert_non_null(strstr(machine_output, "one\n"));
	assert_null(strstr(machine_output, "secret"));
	assert_int_not_equal(access(at("files/y"), F_OK), 0);
}

static void check_files(struct coffer_container *c)
{
	assert_says(c, "cat /etc/one.conf", "one");
	assert_run(c, "echo -n changed > /etc/one.conf");
	assert_file(at("files/one"), "changed");
	assert_says(c, "cat /etc/two.conf", "two");
	assert_fails(c, "echo x > /etc/two.conf", "Read-only");
	put(at("files/two"), "2");
	assert_says(c, "cat /etc/two.conf", "2");
	/* One that is put in its place is another file. */
	assert_int_equal(host("cd %s/files && printf new > three && mv three two", scratch), 0);
	assert_says(c, "cat /etc/two.conf", "2");
	/* Nothing of what lies beside them. */
	assert_int_not_equal(run(c, "find / -xdev -name secret | grep -q ."), 0);
	assert_int_not_equal(run(c, "ls /etc/secret /run/virtiofs"), 0);
}

static void check_tmpfs(struct coffer_container *c)
{
	assert_says(c, "stat -c %a /t", "1777\n");
	assert_fails(c, "dd if=/dev/zero of=/t/big bs=64k count=32", "No space");
	assert_run(c,
		   "rm /t/big; cp /bin/busybox /t/x 2>/dev/null; grep ' /t ' /proc/self/mounts | "
		   "grep -q noexec");
	/* Deep before shallow in the configuration, the other way around in the machine. */
	assert_run(c, "grep -q ' /disk/deep/er ' /proc/self/mounts && echo x > /disk/deep/er/x");
	assert_run(c, "test $(stat -c %d /disk) != $(stat -c %d /disk/deep/er)");
}

static void check_disks(struct coffer_container *c)
{
	assert_fails(c, "echo x > /disk-ro/x", "Read-only");
	assert_says(c, "cat /disk-ro/written", "before");
	if (in_sentry_without("disks that are written to"))
		return;
	assert_run(c, "echo -n data > /disk/written");
	/* The same one a second time. */
	assert_says(c, "cat /disk-again/written", "data");
	assert_fails(c, "echo x > /disk-again/x", "Read-only");
}

static void check_layer(struct coffer_container *c)
{
	assert_run(c, "grep -q data=journal /proc/fs/ext4/vda/options");
	assert_run(c, "df -m / | tail -n 1 | "
		      "awk '{ exit !($2 >= 80 && $2 <= 100) }'");
}

static void check_names(struct coffer_container *c)
{
	assert_run(c, "cat /etc/hosts");
	assert_non_null(strstr(machine_output, "127.0.0.1 localhost\n"));
	assert_non_null(strstr(machine_output, " box\n"));
	assert_non_null(strstr(machine_output, "10.1.2.3 db\n"));
	assert_non_null(strstr(machine_output, "fd00::5 six\n"));
	assert_says(c, "cat /etc/resolv.conf",
		    "nameserver 9.9.9.9\nnameserver 2620:fe::fe\nsearch lan\noptions ndots:2\n");
	assert_says(c, "hostname", "box\n");
}

static int output_within(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms);
}

static void check_freeze(struct coffer_container *c)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_process *p;
	char byte;
	int fd;

	assert_int_equal(coffer_container_fs_freeze(c, "/disk", &err), 0);
	assert_int_not_equal(coffer_container_fs_freeze(c, "/disk", &err), 0);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	assert_int_not_equal(coffer_container_fs_freeze(c, "/t", &err), 0);
	assert_int_equal(err.kind, COFFER_ERR_UNSUPPORTED);
	p = start_exec(c, "echo -n x; echo y > /disk/while-frozen; echo -n z", NULL);
	fd = coffer_process_take_stream(p, COFFER_STDOUT);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(output_within(fd, 1500), 0);
	assert_run(c, "cat /disk/written");
	/* What is copied now is whole, and has nothing of what waits. */
	assert_int_equal(host("cp %s %s && e2fsck -fn %s >/dev/null 2>&1", at("rw.img"),
			      at("clone.img"), at("clone.img")),
			 0);
	assert_int_equal(
	    host("debugfs -R 'cat /written' %s 2>/dev/null | grep -qx data", at("clone.img")), 0);
	assert_int_not_equal(
	    host("debugfs -R 'ls -p /' %s 2>/dev/null | grep -q while-frozen", at("clone.img")), 0);
	assert_int_equal(coffer_container_fs_thaw(c, "/disk", &err), 0);
	assert_int_equal(output_within(fd, 120000), 1);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'z');
	close(fd);
	assert_int_not_equal(coffer_container_fs_thaw(c, "/disk", &err), 0);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	assert_int_not_equal(coffer_container_fs_freeze(c, "/missing", &err), 0);
	assert_int_equal(err.kind, COFFER_ERR_NOT_FOUND);
	assert_int_equal(coffer_container_fs_freeze(c, "disk", &err), -EINVAL);
}

/* Somebody waits for a thaw that does not come, and can't be killed while he does. */
static void stop_frozen(struct coffer_container *c)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_process *p;
	char byte;
	int fd;

	assert_int_equal(coffer_container_fs_freeze(c, "/disk", &err), 0);
	p = start_exec(c, "echo -n x; echo y > /disk/at-the-end", NULL);
	fd = coffer_process_take_stream(p, COFFER_STDOUT);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(output_within(fd, 500), 0);
	close(fd);
	end(c);
}

static void check_trim(struct coffer_container *c)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	uint64_t bytes = 0;
	long full, less;

	assert_run(
	    c, "dd if=/dev/urandom of=/disk/big bs=1M count=16 && sync && rm /disk/big && sync");
	full = blocks_of(at("rw.img"));
	if (coffer_container_fs_trim(c, "/disk", &bytes, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(bytes >= 16 * MIB);
	less = blocks_of(at("rw.img"));
	if (full - less < (long)(12 * MIB / 512))
		fail_msg("%ld blocks before, %ld after the trim", full, less);
}

static void check_volume(struct coffer_container *a, struct coffer_container *b)
{
	assert_run(a, "echo -n from-a > /v/a");
	assert_says(b, "cat /v/a", "from-a");
	assert_run(b, "echo -n from-b > /v/b");
	assert_says(a, "cat /v/b", "from-b");
	assert_file(at("data/volumes/shared.1/b"), "from-b");
}

static void check_read_only(struct coffer_container *c)
{
	assert_fails(c, "touch /x", "Read-only");
	assert_fails(c, "echo x >> /etc/hosts", "Read-only");
	assert_run(c, "grep -q '10.9.8.7 other' /etc/hosts");
	assert_says(c, "cat /etc/resolv.conf", "nameserver 1.1.1.1\n");
	assert_run(c, "test \"$(cat /etc/hostname)\" = ro-box; echo y > /v/while-ro");
}

static struct coffer_container *boot_many(void)
{
	const struct coffer_mount mounts[] = {
		{ .kind = COFFER_MOUNT_TMPFS, .target = "/disk/deep/er" },
		{ .kind = COFFER_MOUNT_SHARE, .source = at("share"), .target = "/s/rw" },
		{ .kind = COFFER_MOUNT_SHARE,
		  .source = at("alias"),
		  .target = "/s/ro",
		  .read_only = true },
		{ .kind = COFFER_MOUNT_SHARE,
		  .source = at("only"),
		  .target = "/s/only",
		  .read_only = true,
		  .options = WORDS("nosuid", "rshared") },
		{ .kind = COFFER_MOUNT_SHARE, .source = at("link"), .target = "/etc/one.conf" },
		{ .kind = COFFER_MOUNT_SHARE,
		  .source = at("files/two"),
		  .target = "/etc/two.conf",
		  .read_only = true },
		{ .kind = COFFER_MOUNT_TMPFS,
		  .target = "/t",
		  .size = MIB,
		  .options = WORDS("mode=1777", "noexec") },
		{ .kind = COFFER_MOUNT_VOLUME, .source = "shared.1", .target = "/v" },
		{ .kind = COFFER_MOUNT_DISK,
		  .source = at("ro.img"),
		  .target = "/disk-ro",
		  .read_only = true },
		{ .kind = COFFER_MOUNT_DISK, .source = at("rw.img"), .target = "/disk" },
		{ .kind = COFFER_MOUNT_DISK,
		  .source = at("rw.img"),
		  .target = "/disk-again",
		  .read_only = true },
	};
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;

	config.mounts = mounts;
	config.nmounts = sizeof(mounts) / sizeof(mounts[0]);
	config.hostname = "box";
	config.hosts = WORDS("db:10.1.2.3", "six:fd00::5");
	config.dns.nameservers = WORDS("9.9.9.9", "2620:fe::fe");
	config.dns.searches = WORDS("lan");
	config.dns.options = WORDS("ndots:2");
	if (in_sentry())
		config.nmounts -= 2; /* those of the disk that is written to */
	else
		config.layer = (struct coffer_layer){ .kind = COFFER_LAYER_DISK,
						      .size = 100 * MIB,
						      .journal = COFFER_JOURNAL_DATA };
	return boot(&config);
}

static struct coffer_container *boot_read_only(void)
{
	const struct coffer_mount mounts[] = {
		{ .kind = COFFER_MOUNT_VOLUME, .source = "shared.1", .target = "/v" },
	};
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;

	config.mounts = mounts;
	config.nmounts = 1;
	config.read_only = true;
	config.hostname = "ro-box";
	config.hosts = WORDS("other:10.9.8.7");
	config.dns.nameservers = WORDS("1.1.1.1");
	return boot(&config);
}

static void make_sources(void)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(host("cd %s && mkdir share only files && ln -s share alias && "
			      "ln -s files/one link && printf hello > share/greeting && "
			      "touch only/only-read && printf one > files/one && "
			      "printf two > files/two && printf secret > files/secret && "
			      "mkdir pre && printf before > pre/written && "
			      "mke2fs -q -t ext4 -d pre ro.img 16M",
			      scratch),
			 0);
	assert_int_equal(coffer_disk_create(at("rw.img"), 64 * MIB, COFFER_JOURNAL_DEFAULT, &err),
			 0);
}

static void test_many(void **state)
{
	struct coffer_container *c, *ro;

	make_sources();
	c = boot_many();
	check_shares(c);
	if (!in_sentry_without("devices of a machine that are looked for"))
		check_hostile(c);
	check_files(c);
	check_tmpfs(c);
	check_disks(c);
	check_names(c);
	if (!in_sentry()) {
		check_layer(c);
		check_freeze(c);
		check_trim(c);
	}
	ro = boot_read_only();
	check_volume(c, ro);
	check_read_only(ro);
	end(ro);
	if (in_sentry()) {
		end(c);
		return;
	}
	stop_frozen(c);
	assert_clean(at("rw.img"));
	assert_int_equal(
	    host("debugfs -R 'cat /written' %s 2>/dev/null | grep -qx data", at("rw.img")), 0);
}

static void assert_conflict(const char *source, const char *target, const char *why)
{
	const struct coffer_mount mount = { .kind = COFFER_MOUNT_SHARE,
					    .source = source,
					    .target = target };
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config process = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c;

	process.args = WORDS("/bin/true");
	config.process = &process;
	config.mounts = &mount;
	config.nmounts = 1;
	assert_int_equal(coffer_container_new(NULL, &config, &c, &err), 0);
	if (coffer_container_create(c, &err) == 0 && coffer_container_start(c, &err) == 0)
		fail_msg("%s on %s: no conflict", source, target);
	if (!strstr(err.message, target) || !strstr(err.message, why))
		fail_msg("%s", err.message);
	coffer_container_free(c);
}

static void test_conflicts(void **state)
{
	assert_int_equal(host("mkdir -p %s", at("conflict")), 0);
	put(at("conflict/file"), "text");
	assert_conflict(at("conflict/file"), "/etc", "directory");
	assert_conflict(at("conflict"), "/etc/passwd", "directory");
}

/* --- roots --- */

static void make_root(const char *name)
{
	assert_int_equal(
	    host("cd %s && mkdir -p %s && cd %s && mkdir -p bin etc dev proc sys tmp && "
		 "cp /bin/busybox bin/ && for a in sh sleep cat touch grep df stat dd rm "
		 "mkdir mount ls uname tail awk sync; do ln -sf busybox bin/$a; done && "
		 "printf original > etc/motd",
		 scratch, name, name),
	    0);
}

/* What a tree or file is, to be compared later. */
static void fingerprint(const char *path, char out[64])
{
	char line[512];
	FILE *f;

	snprintf(line, sizeof(line),
		 "cd %s && find . | LC_ALL=C sort | tar cf - --no-recursion -T - | sha256sum",
		 path);
	f = popen(line, "r"); /* NOLINT(cert-env33-c): as above */
	assert_non_null(f);
	assert_int_equal(fread(out, 1, 64, f), 64);
	assert_int_equal(pclose(f), 0);
}

static void test_shared_root(void **state)
{
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	char before[64], after[64];
	struct coffer_container *c;

	make_root("live");
	config.rootfs = at("live");
	config.rootfs_share = true;
	config.layer.kind = COFFER_LAYER_NONE;
	c = boot(&config);
	assert_run(c, "echo -n written > /by-container");
	assert_file(at("live/by-container"), "written");
	put(at("live/by-host"), "host");
	assert_says(c, "cat /by-host", "host");
	end(c);

	/* Read-only, it is not written to at all; nor with a layer in memory, which is full at some
	 * time, or on a disk. */
	fingerprint(at("live"), before);
	config.read_only = true;
	c = boot(&config);
	assert_fails(c, "touch /x", "Read-only");
	assert_run(c, "grep -q '127.0.0.1 localhost' /etc/hosts");
	end(c);
	config.read_only = false;
	config.layer = (struct coffer_layer){ .kind = COFFER_LAYER_TMPFS, .size = 8 * MIB };
	c = boot(&config);
	assert_run(c, "echo x > /etc/motd && rm /by-host && touch /new");
	assert_fails(c, "dd if=/dev/zero of=/big bs=1M count=16", "No space");
	end(c);
	if (!in_sentry_without("a layer on a disk")) {
		config.layer = (struct coffer_layer){ .kind = COFFER_LAYER_DISK,
						      .size = 16 * MIB,
						      .journal = COFFER_JOURNAL_NONE };
		c = boot(&config);
		assert_run(c, "echo x > /etc/motd && rm /by-host && touch /new");
		assert_run(c, "grep -q rw /proc/fs/ext4/vda/options");
		assert_int_not_equal(run(c, "grep -q data= /proc/fs/ext4/vda/options"), 0);
		end(c);
	}
	fingerprint(at("live"), after);
	assert_memory_equal(before, after, 64);
}

/* Return: its exit code, 0 once it listens */
static int start_nbd(const char *name, const char *image, const char *where)
{
	return host("qemu-nbd --fork --pid-file=%s.pid -f raw -e 4 -t %s %s", at(name), where, image);
}

/* On a port that is nobody's yet, below those that are handed out. Return: the port */
static int start_nbd_tcp(const char *name, const char *image)
{
	const int first = 20000 + getpid() % 10000;
	char where[300];

	for (int port = first; port < first + 1000; port++) {
		snprintf(where, sizeof(where), "-r -b 127.0.0.1 -p %d", port);
		if (start_nbd(name, image, where) == 0)
			return port;
	}
	fail_msg("no port for qemu-nbd");
	return -1;
}

static void stop_nbd(const char *name)
{
	host("kill $(cat %s.pid)", at(name));
}

static void test_image_root(void **state)
{
	const char *image = at("root.img"), *layer = at("layer.img");
	char url[2][300], where[300];
	const struct coffer_mount mounts[] = {
		{ .kind = COFFER_MOUNT_NBD, .source = url[0], .target = "/n" },
		{ .kind = COFFER_MOUNT_NBD, .source = url[1], .target = "/m", .read_only = true },
	};
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config process = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c, *other;
	bool nbd = host("command -v qemu-nbd >/dev/null") == 0;

	if (in_sentry_without("images that are written to, network disks"))
		skip();
	make_root("tree");
	assert_int_equal(host("mke2fs -q -t ext4 -d %s %s 64M", at("tree"), image), 0);
	if (nbd) {
		assert_int_equal(
		    coffer_disk_create(at("n.img"), 32 * MIB, COFFER_JOURNAL_ORDERED, &err), 0);
		assert_int_equal(host("mkdir %s && printf m > %s/m && mke2fs -q -d %s %s 8M",
				      at("m"), at("m"), at("m"), at("m.img")),
				 0);
		snprintf(where, sizeof(where), "-k %s -x work", at("nbd.sock"));
		assert_int_equal(start_nbd("n", at("n.img"), where), 0);
		snprintf(url[0], sizeof(url[0]), "nbd+unix:///work?socket=%s", at("nbd.sock"));
		snprintf(url[1], sizeof(url[1]), "nbd://127.0.0.1:%d",
			 start_nbd_tcp("m", at("m.img")));
	} else {
		print_message("no qemu-nbd here: network disks are left out\n");
	}

	/* In place, and nobody else's meanwhile. */
	config.rootfs = image;
	config.layer.kind = COFFER_LAYER_NONE;
	config.mounts = mounts;
	config.nmounts = nbd ? 2 : 0;
	c = boot(&config);
	assert_run(c, "echo -n in-place > /written");
	if (nbd) {
		assert_run(c, "echo -n over > /n/the-net");
		assert_says(c, "cat /m/m", "m");
		assert_fails(c, "touch /m/x", "Read-only");
	}
	process.args = WORDS("/bin/true");
	config.process = &process;
	config.nmounts = 0;
	config.layer.kind = COFFER_LAYER_AUTO;
	assert_int_equal(coffer_container_new(NULL, &config, &other, &err), 0);
	assert_int_equal(coffer_container_create(other, &err), -EBUSY);
	assert_non_null(strstr(err.message, image));
	coffer_container_free(other);
	end(c);
	assert_clean(image);
	assert_int_equal(
	    host("debugfs -R 'cat /written' %s 2>/dev/null | grep -qx in-place", image), 0);
	if (nbd) {
		stop_nbd("n");
		stop_nbd("m");
		assert_clean(at("n.img"));
		assert_int_equal(
		    host("debugfs -R 'cat /the-net' %s 2>/dev/null | grep -qx over", at("n.img")),
		    0);
	}

	/* A layer that is kept: the image below stays as it is. */
	assert_int_equal(host("cd %s && sha256sum root.img > sum", scratch), 0);
	config.layer = (struct coffer_layer){ .kind = COFFER_LAYER_DISK,
					      .path = layer,
					      .size = 48 * MIB,
					      .journal = COFFER_JOURNAL_WRITEBACK };
	for (int i = 0; i < 2; i++) {
		c = boot(&config);
		if (i == 0)
			assert_run(c, "echo -n kept > /kept && rm /etc/motd");
		assert_says(c, "cat /kept", "kept");
		assert_fails(c, "cat /etc/motd", "No such file");
		assert_run(c, "df -m / | tail -n 1 | awk '{ exit !($2 >= 38 && $2 <= 48) }'");
		assert_run(c, "grep -q data=writeback /proc/fs/ext4/vdb/options");
		end(c);
		assert_clean(layer);
		assert_int_equal(host("cd %s && sha256sum -c --status sum", scratch), 0);
	}
}

/* --- another processor --- */

static void test_platform(void **state)
{
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config process = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c;
	struct coffer_mount mount = { .kind = COFFER_MOUNT_SHARE,
				      .target = "/foreign",
				      .read_only = true };

	config.platform = "linux/arm64";
	if (in_sentry()) {
		process.args = WORDS("/bin/true");
		config.process = &process;
		assert_int_equal(coffer_container_new(NULL, &config, &c, &err), 0);
		assert_true(coffer_container_create(c, &err) < 0);
		assert_int_equal(err.kind, COFFER_ERR_UNSUPPORTED);
		coffer_container_free(c);
		return;
	}
	if (access("/usr/bin/qemu-aarch64-static", X_OK) < 0) {
		process.args = WORDS("/bin/true");
		config.process = &process;
		assert_int_equal(coffer_container_new(NULL, &config, &c, &err), 0);
		assert_int_equal(coffer_container_create(c, &err), -ENOENT);
		assert_non_null(strstr(err.message, "qemu-user-static"));
		coffer_container_free(c);
		print_message("no qemu-aarch64-static here: nothing is emulated\n");
		skip();
	}
	assert_int_equal(mkdir(at("foreign"), 0755), 0);
	arm64_program_put(at("foreign/hello"));
	mount.source = at("foreign");
	config.mounts = &mount;
	config.nmounts = 1;
	c = boot(&config);
	if (run(c, "/foreign/hello") != 42 || strcmp(machine_output, "arm64") != 0)
		fail_msg("%s", machine_output);
	/* In a root that has nothing of an emulator, too. */
	assert_run(c, "! ls /usr/bin/qemu* /run/emulator");
	end(c);
	config.platform = NULL;
	c = boot(&config);
	assert_int_not_equal(run(c, "/foreign/hello"), 42);
	end(c);
}

static int set_up(void **state)
{
	char path[4096];

	if (!mkdtemp(scratch))
		return -1;
	/* Where mke2fs and the like are, which ordinary users don't search. */
	snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin", getenv("PATH"));
	setenv("PATH", path, 1);
	setenv("COFFER_DATA", at("data"), 1);
	setenv("COFFER_RUN", at("run"), 1);
	return 0;
}

static int tear_down(void **state)
{
	/* Servers that a test which failed has left. */
	host("cat %s/*.pid 2>/dev/null | xargs -r kill 2>/dev/null", scratch);
	return host("rm -rf %s", scratch);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),	    cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_shared_root), cmocka_unit_test(test_image_root),
		cmocka_unit_test(test_platform),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
