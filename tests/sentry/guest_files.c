/* SPDX-License-Identifier: Apache-2.0 */
/* Names, attributes, descriptors, locks: results and errors, in memory and on a file system of the host. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "guest_places.h"

/* What no program means to pass. */
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wnonnull"

#define BAD ((void *)0x10)

static void say(const char *what, long r)
{
	if (r < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, r);
}

#define SAY(call) say(#call, (long)(call))
#define OK(call)  printf("%s: %s\n", #call, guest_answer((long)(call)))

static int make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (write(fd, text, strlen(text)) < 0)
		perror(name);
	return fd;
}

static void show_stat(const char *name)
{
	struct stat st;

	if (lstat(name, &st) < 0)
		printf("%s: %s\n", name, strerrorname_np(errno));
	else
		printf("%s: mode %o, size %ld, links %ld, id %u %u\n", name, st.st_mode,
		       S_ISDIR(st.st_mode) ? 0 : (long)st.st_size,
		       S_ISDIR(st.st_mode) ? 0 : (long)st.st_nlink, st.st_uid, st.st_gid);
}

/* --- open --- */

static void test_open(void)
{
	static const struct {
		const char *name;
		int flags;
	} cases[] = {
		{ "f", O_RDONLY }, { "f", O_RDWR | O_CREAT | O_EXCL }, { "f", O_DIRECTORY },
		{ "f/", O_RDONLY }, { "f/x", O_RDONLY }, { "new/", O_CREAT | O_RDWR },
		{ "none", O_RDONLY }, { "", O_RDONLY }, { "d", O_RDONLY }, { "d", O_RDWR },
		{ "d", O_CREAT }, { "d", O_CREAT | O_EXCL }, { "d/", O_RDONLY },
		{ "d", O_RDONLY | O_TRUNC }, { "l", O_RDONLY }, { "l", O_NOFOLLOW },
		{ "l", O_NOFOLLOW | O_PATH }, { "l", O_CREAT | O_EXCL }, { "dl", O_RDONLY },
		{ "dl", O_DIRECTORY | O_NOFOLLOW }, { "dl/", O_NOFOLLOW }, { "loop", O_RDONLY },
		{ "loop", O_CREAT }, { "dangling", O_RDONLY }, { "far", O_CREAT }, { ".", O_CREAT },
		{ "..", O_RDWR }, { "d", O_TMPFILE | O_RDONLY }, { "f", O_TMPFILE | O_RDWR },
		{ "d", O_CREAT | O_DIRECTORY }, { "f", O_PATH | O_CREAT | O_EXCL },
		{ "fifo", O_RDONLY | O_NONBLOCK }, { "fifo", O_WRONLY | O_NONBLOCK },
		{ "fifo", O_RDWR }, { "f", O_RDONLY | O_ACCMODE }, { "f", O_NOATIME },
	};

	close(make("f", "text"));
	mkdir("d", 0755);
	symlink("f", "l");
	symlink("d", "dl");
	symlink("loop", "loop");
	symlink("nowhere", "dangling");
	symlink("no/where", "far");
	mkfifo("fifo", 0644);
	for (size_t i = 0; i < COUNT(cases); i++) {
		int fd = open(cases[i].name, cases[i].flags | O_CLOEXEC, 0644);

		printf("\"%s\" %o: %s", cases[i].name, cases[i].flags, guest_answer(fd));
		if (fd >= 0)
			printf(" %o", fcntl(fd, F_GETFL) & ~O_NONBLOCK);
		printf("\n");
		if (fd >= 0)
			close(fd);
	}
	OK(open(BAD, O_RDONLY));
	OK(openat(99, "f", O_RDONLY));
	OK(openat(99, "/", O_RDONLY));
	OK(open("dangling", O_CREAT | O_RDWR, 0600));
	show_stat("nowhere");
	OK(creat("d", 0644));
	OK(creat("nowhere", 0644));
}

static void test_resolve(void)
{
	static const struct {
		const char *name;
		uint64_t flags, mode, resolve;
	} cases[] = {
		{ "in/f", 0, 0, 0 },
		{ "../f", 0, 0, RESOLVE_BENEATH },
		{ "in/../f", 0, 0, RESOLVE_BENEATH },
		{ "/f", 0, 0, RESOLVE_BENEATH },
		{ "/f", 0, 0, RESOLVE_IN_ROOT },
		{ "../../f", 0, 0, RESOLVE_IN_ROOT },
		{ "abs", 0, 0, RESOLVE_IN_ROOT },
		{ "abs", 0, 0, RESOLVE_BENEATH },
		{ "abs", O_NOFOLLOW | O_PATH, 0, RESOLVE_BENEATH },
		{ "out", 0, 0, RESOLVE_BENEATH },
		{ "out", 0, 0, RESOLVE_IN_ROOT },
		{ "out", 0, 0, RESOLVE_NO_SYMLINKS },
		{ "in/f", 0, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS },
		{ "new", O_CREAT, 0600, RESOLVE_IN_ROOT },
		{ "f", 0, 0600, 0 },
		{ "f", O_CREAT, 010000, 0 },
		{ "f", 1ull << 40, 0, 0 },
		{ "f", 0, 0, 0x1000 },
		{ "f", 0, 0, RESOLVE_IN_ROOT | RESOLVE_BENEATH },
		{ "f", O_PATH | O_RDWR, 0, 0 },
		{ "/proc/self/exe", 0, 0, RESOLVE_NO_MAGICLINKS },
		{ "/proc/self/exe", 0, 0, RESOLVE_NO_XDEV },
		{ "/proc/self/cwd", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_MAGICLINKS },
	};
	struct open_how big[2] = { { .flags = O_PATH }, { .flags = 0 } };
	int dir;

	mkdir("top", 0755);
	mkdir("top/in", 0755);
	close(make("top/f", "x"));
	close(make("top/in/f", "x"));
	symlink("/f", "top/abs");
	symlink("../top/f", "top/out");
	dir = open("top", O_PATH);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct open_how how = { cases[i].flags, cases[i].mode, cases[i].resolve };
		long fd = syscall(SYS_openat2, dir, cases[i].name, &how, sizeof(how));

		printf("%s %llx %llx: %s\n", cases[i].name, (unsigned long long)how.flags,
		       (unsigned long long)how.resolve, guest_answer(fd));
		if (fd >= 0)
			close((int)fd);
	}
	OK(syscall(SYS_openat2, dir, "f", big, 8));
	OK(syscall(SYS_openat2, dir, "f", big, sizeof(big)));
	big[1].mode = 1;
	OK(syscall(SYS_openat2, dir, "f", big, sizeof(big)));
	OK(syscall(SYS_openat2, dir, "f", big, 8192));
}

static void test_path_descriptors(void)
{
	struct stat st;
	char buf[16], link[64];
	int fd;

	close(make("f", "text"));
	symlink("f", "l");
	fd = open("l", O_PATH | O_NOFOLLOW);
	OK(fstat(fd, &st));
	printf("%o\n", st.st_mode & S_IFMT);
	SAY(readlinkat(fd, "", buf, sizeof(buf)));
	close(fd);
	fd = open("f", O_PATH);
	OK(read(fd, buf, 1));
	OK(write(fd, buf, 1));
	OK(lseek(fd, 0, SEEK_SET));
	OK(ftruncate(fd, 0));
	OK(fchmod(fd, 0600));
	OK(fsync(fd));
	OK(ioctl(fd, FIONREAD, &st));
	OK(fcntl(fd, F_SETFL, O_APPEND));
	SAY(fcntl(fd, F_GETFL) == O_PATH);
	OK(fcntl(fd, F_GETFD));
	OK(readlinkat(fd, "", buf, sizeof(buf)));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	int again = open(link, O_RDWR);

	SAY(read(again, buf, sizeof(buf)));
	OK(fchownat(fd, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH));
	OK(faccessat(fd, "", R_OK, AT_EMPTY_PATH));
	OK(openat(fd, "x", O_RDONLY));
	OK(openat(fd, "", O_RDONLY));
	OK(fchdir(fd));
	fd = open(".", O_PATH);
	OK(openat(fd, "f", O_RDONLY));
	OK(fchdir(fd));
	OK(linkat(again, "", AT_FDCWD, "hard", AT_EMPTY_PATH));
	show_stat("f");
}

/* --- descriptors --- */

static void test_descriptors(void)
{
	struct rlimit limit = { 20, 20 };
	int fd = make("f", "0123456789"), other;

	SAY(dup2(fd, 12));
	SAY(dup3(fd, 13, O_CLOEXEC));
	SAY(fcntl(13, F_GETFD));
	SAY(fcntl(12, F_GETFD));
	OK(dup3(fd, fd, 0));
	OK(dup3(fd, 14, O_APPEND));
	SAY(dup2(12, 12));
	OK(dup2(90, 90));
	OK(dup2(fd, -1));
	SAY(fcntl(fd, F_DUPFD, 12));
	SAY(fcntl(fd, F_DUPFD_CLOEXEC, 12));
	SAY(lseek(12, 4, SEEK_SET));
	SAY(lseek(13, 0, SEEK_CUR));
	other = open("f", O_RDONLY);
	SAY(lseek(other, 0, SEEK_CUR));
	OK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_CREAT | O_RDONLY));
	SAY(fcntl(13, F_GETFL) & (O_APPEND | O_NONBLOCK | O_ACCMODE));
	OK(fcntl(fd, F_SETFD, 7));
	SAY(fcntl(fd, F_GETFD));
	OK(fcntl(fd, 12345, 0));
	OK(fcntl(77, F_GETFD));
	OK(syscall(SYS_close_range, 12, 14, CLOSE_RANGE_CLOEXEC));
	SAY(fcntl(12, F_GETFD));
	OK(syscall(SYS_close_range, 12, 13, 0));
	OK(fcntl(12, F_GETFD));
	OK(fcntl(14, F_GETFD));
	OK(syscall(SYS_close_range, 9, 8, 0));
	OK(syscall(SYS_close_range, 14, ~0u, 64));
	OK(syscall(SYS_close_range, 14, ~0u, CLOSE_RANGE_UNSHARE));
	setrlimit(RLIMIT_NOFILE, &limit);
	OK(dup2(fd, 20));
	OK(dup2(fd, 19));
	OK(fcntl(fd, F_DUPFD, 20));
	while (dup(fd) >= 0)
		;
	OK(dup(fd));
	OK(close(-1));
	OK(close(19));
	OK(close(19));
}

/* --- sizes --- */

static sigjmp_buf jump;

static void on_signal(int sig)
{
	siglongjmp(jump, sig);
}

static void test_sizes(void)
{
	char buf[64];
	int fd = make("f", "0123456789");
	struct rlimit limit = { 100, 100 };

	SAY(lseek(fd, -1, SEEK_SET));
	SAY(lseek(fd, 5, SEEK_END));
	SAY(lseek(fd, -16, SEEK_CUR));
	SAY(lseek(fd, 0, 99));
	SAY(lseek(fd, LONG_MAX, SEEK_END));
	SAY(lseek(fd, 3, SEEK_DATA));
	SAY(lseek(fd, 3, SEEK_HOLE));
	SAY(lseek(fd, 10, SEEK_DATA));
	OK(truncate("f", 4));
	OK(truncate("f", -1));
	OK(truncate(".", 0));
	OK(truncate("none", 0));
	OK(ftruncate(fd, 100));
	SAY(pread(fd, buf, 64, 50));
	printf("%d %d\n", buf[0], buf[49]);
	OK(ftruncate(open("f", O_RDONLY), 1));
	OK(ftruncate(0, 1));
	SAY(pwrite(fd, "x", 1, 1 << 20));
	show_stat("f");
	OK(fallocate(fd, 0, 0, 0));
	OK(fallocate(fd, 0, -1, 5));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 5));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, 2));
	SAY(pread(fd, buf, 5, 0));
	printf("%d %d %d %d\n", buf[0], buf[1], buf[2], buf[3]);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 1 << 20));
	OK(fallocate(fd, 0, 1 << 20, 1 << 20));
	show_stat("f");
	OK(fsync(fd));
	OK(fdatasync(fd));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
	OK(syncfs(fd));
	OK(readahead(fd, 0, 100));
	OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	OK(ftruncate(fd, 0));
	signal(SIGXFSZ, on_signal);
	setrlimit(RLIMIT_FSIZE, &limit);
	SAY(pwrite(fd, buf, 64, 60));
	if (!sigsetjmp(jump, 1))
		SAY(pwrite(fd, buf, 64, 100));
	else
		printf("SIGXFSZ\n");
	signal(SIGXFSZ, SIG_IGN);
	OK(pwrite(fd, buf, 1, 200));
	OK(ftruncate(fd, 101));
	OK(ftruncate(fd, 100));
	OK(fallocate(fd, 0, 0, 101));
}

static void test_mapped(void)
{
	int fd = make("f", "");
	char *map, *private, buf[8] = { 0 };

	OK(ftruncate(fd, 12288));
	map = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	strcpy(map + 4096, "mapped");
	SAY(pread(fd, buf, 7, 4096));
	printf("%s\n", buf);
	SAY(pwrite(fd, "written", 8, 8192));
	printf("%s\n", map + 8192);
	strcpy(private, "mine");
	SAY(pread(fd, buf, 5, 0));
	printf("\"%s\" %s\n", buf, private);
	OK(msync(map, 12288, MS_SYNC));
	OK(ftruncate(fd, 4096));
	signal(SIGBUS, on_signal);
	int sig = sigsetjmp(jump, 1);

	if (!sig)
		printf("%d\n", *(volatile char *)(map + 8192));
	else
		printf("%s\n", sigabbrev_np(sig));
	OK(ftruncate(fd, 12288));
	printf("%d\n", map[8192]);
	if (fork() == 0) {
		map[1] = 'c';
		private[1] = 'c';
		_exit(0);
	}
	wait(NULL);
	printf("%c %c\n", map[1], private[1]);
	fd = open("f", O_RDONLY);
	SAY(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
}

/* --- names --- */

static void test_names(void)
{
	char buf[32];

	mkdir("d", 0777);
	mkdir("d/e", 0777);
	close(make("f", "f"));
	close(make("d/e/g", "g"));
	OK(mkdir("d", 0777));
	OK(mkdir("f/x", 0777));
	OK(mkdir("d/new/", 0777));
	OK(mkdir("", 0777));
	OK(mkdir("..", 0777));
	OK(mknod("n/", S_IFREG | 0644, 0));
	OK(mknod("n", S_IFDIR | 0644, 0));
	OK(mknod("n", 0170000, 0));
	OK(mknod("n", 0644, 0));
	OK(rmdir("d"));
	OK(rmdir("f"));
	OK(rmdir("d/new/."));
	OK(rmdir("d/new/.."));
	OK(rmdir("d/new/"));
	OK(unlink("d"));
	OK(unlink("f/"));
	OK(unlinkat(AT_FDCWD, "f", 1));
	OK(symlink("", "s"));
	OK(symlink("d/e", "s"));
	OK(symlink("x", "s"));
	SAY(readlink("s", buf, 2));
	SAY(readlink("s", buf, 0));
	SAY(readlink("f", buf, 8));
	SAY(readlink("s/", buf, 8));
	SAY(readlink("s", BAD, 8));
	OK(link("f", "d/hard"));
	OK(link("d", "d2"));
	OK(link("s", "s2"));
	OK(linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW));
	OK(link("f", "f"));
	OK(link("none", "x"));
	OK(link("f", "none/x"));
	show_stat("f");
	show_stat("s2");
	OK(rename("d", "d/e/x"));
	OK(rename("d/e", "d"));
	OK(rename("f", "d"));
	OK(rename("d", "f"));
	OK(rename("f", "d/hard"));
	show_stat("f");
	OK(rename("f", "f/"));
	OK(rename("f", "new/"));
	OK(rename("none", "x"));
	OK(rename(".", "x"));
	OK(renameat2(AT_FDCWD, "f", AT_FDCWD, "n", RENAME_NOREPLACE));
	OK(renameat2(AT_FDCWD, "f", AT_FDCWD, "d/e", RENAME_EXCHANGE));
	show_stat("f");
	show_stat("d/e");
	OK(renameat2(AT_FDCWD, "f", AT_FDCWD, "d/e", 3));
	OK(rename("f/g", "n"));
	OK(rename("d", "f"));
	show_stat("f");
	show_stat("d");
	memset(buf, 'x', sizeof(buf));
	char *longest = malloc(PATH_MAX + 1);

	memset(longest, 'x', PATH_MAX);
	longest[256] = 0;
	OK(mkdir(longest, 0777));
	longest[255] = 0;
	OK(mkdir(longest, 0777));
	longest[255] = longest[256] = '/';
	longest[PATH_MAX] = 0;
	OK(mkdir(longest, 0777));
}

static void test_directory(void)
{
	char buf[4096], name[32], cwd[PATH_MAX];
	unsigned seen[100] = { 0 }, others = 0;
	int fd, n;

	mkdir("d", 0755);
	fd = open("d", O_RDONLY | O_DIRECTORY);
	OK(read(fd, buf, 1));
	OK(syscall(SYS_getdents64, fd, buf, 10));
	OK(syscall(SYS_getdents64, 0, buf, 100));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "d/n%d", i);
		close(make(name, ""));
	}
	lseek(fd, 0, SEEK_SET); /* what was made since the opening is seen at least now */
	while ((n = (int)syscall(SYS_getdents64, fd, buf, 300)) > 0)
		for (int at = 0; at < n;) {
			struct dirent64 *e = (struct dirent64 *)(buf + at);

			if (e->d_name[0] == 'n' && e->d_type == DT_REG)
				seen[atoi(e->d_name + 1)]++;
			else
				others += e->d_type == DT_DIR;
			at += e->d_reclen;
		}
	for (int i = 0; i < 100; i++)
		others += seen[i] != 1 ? 1000 : 0;
	printf("%d %u\n", n, others);
	SAY(lseek(fd, 0, SEEK_SET));
	SAY(syscall(SYS_getdents, fd, buf, 4000) > 1000);
	OK(syscall(SYS_getdents64, fd, BAD, 4000));
	OK(fchdir(fd));
	OK(getcwd(cwd, sizeof(cwd)) ? 0 : -1);
	printf("%s\n", strrchr(cwd, '/'));
	OK(syscall(SYS_getcwd, cwd, 3));
	OK(chdir(".."));
	OK(chdir("d/n1"));
	OK(chdir("none"));
	mkdir("gone", 0755);
	OK(chdir("gone"));
	OK(rmdir("../gone"));
	SAY(syscall(SYS_getcwd, cwd, sizeof(cwd)));
	OK(open(".", O_RDONLY));
	OK(mkdir("x", 0755));
	OK(open("x", O_CREAT, 0644));
	OK(chdir(".."));
	fd = open("d", O_RDONLY);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "d/n%d", i);
		unlink(name);
	}
	OK(rmdir("d"));
	OK(syscall(SYS_getdents64, fd, buf, 4000));
	OK(openat(fd, "x", O_CREAT, 0644));
}

/* --- attributes --- */

static void test_attributes(void)
{
	struct timespec times[2] = { { 1000, 5 }, { 2000, 6 } };
	struct statx stx;
	struct statfs fs;
	struct stat st;
	int fd;

	umask(027);
	mkdir("d", 07777);
	show_stat("d");
	fd = open("f", O_CREAT | O_RDWR, 06777);
	show_stat("f");
	SAY(umask(0777777));
	SAY(umask(0));
	OK(chmod("f", 0604));
	OK(fchmod(fd, 04755));
	show_stat("f");
	OK(syscall(SYS_fchmodat, AT_FDCWD, "none", 0));
	OK(utimensat(AT_FDCWD, "f", times, 0));
	stat("f", &st);
	printf("%ld.%ld %ld.%ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec,
	       st.st_mtim.tv_nsec);
	times[0].tv_nsec = UTIME_OMIT;
	times[1].tv_nsec = UTIME_NOW;
	OK(futimens(fd, times));
	stat("f", &st);
	printf("%ld %d\n", st.st_atim.tv_sec, st.st_mtim.tv_sec > 1000000);
	times[0].tv_nsec = 1000000000;
	OK(futimens(fd, times));
	symlink("f", "l");
	times[0].tv_nsec = 0;
	OK(utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW));
	lstat("l", &st);
	printf("%ld\n", st.st_atim.tv_sec);
	OK(utimensat(AT_FDCWD, "f", NULL, 0x4000));
	OK(access("f", R_OK | W_OK));
	OK(access("f", 9));
	OK(access("none", F_OK));
	OK(access("l", F_OK));
	OK(faccessat(AT_FDCWD, "f", W_OK, AT_EACCESS));
	OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &stx));
	printf("%x %o %llu %u\n", stx.stx_mask & STATX_BASIC_STATS, stx.stx_mode, stx.stx_size,
	       stx.stx_nlink);
	OK(statx(AT_FDCWD, "f", 0, 0x80000000u, &stx));
	OK(statx(AT_FDCWD, "f", 0x6000, 0, &stx));
	OK(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &stx));
	OK(fstatat(fd, "", &st, 0));
	OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
	OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	OK(fstatat(fd, "f", &st, 0));
	OK(fstatat(AT_FDCWD, "f", &st, 0x10000));
	OK(stat("f", BAD));
	OK(statfs(".", &fs));
	printf("%ld\n", (long)fs.f_namelen);
	OK(fstatfs(77, &fs));
	st.st_mode = 0;
	int pipes[2];

	OK(pipe(pipes));
	OK(fstat(pipes[0], &st));
	printf("%o\n", st.st_mode);
	OK(fstatfs(pipes[0], &fs));
	printf("%lx\n", (long)fs.f_type);
	stat("/dev/null", &st);
	printf("%o %lx\n", st.st_mode, (long)st.st_rdev);
}

static void test_extended(void)
{
	char list[64], value[8];
	int fd = make("f", "x");

	OK(setxattr("f", "user.one", "1", 1, 0));
	OK(setxattr("f", "user.one", "1", 1, XATTR_CREATE));
	OK(setxattr("f", "user.two", "22", 2, XATTR_REPLACE));
	OK(fsetxattr(fd, "user.two", "", 0, XATTR_CREATE));
	SAY(getxattr("f", "user.one", NULL, 0));
	SAY(getxattr("f", "user.one", value, 8));
	SAY(getxattr("f", "user.none", value, 8));
	SAY(getxattr("f", "other.none", value, 8));
	SAY(getxattr("f", "", value, 8));
	SAY(getxattr("f", "user.one", BAD, 8));
	OK(setxattr("f", "user.one", "1", 1, 9));
	OK(setxattr("f", "user.", "1", 1, 0));
	OK(setxattr("f", "user.big", list, 70000, 0));
	SAY(fgetxattr(fd, "user.two", value, 8));
	SAY(listxattr("f", list, 0));
	SAY(listxattr("f", list, 64));
	SAY(listxattr("f", list, 5));
	symlink("f", "l");
	OK(lsetxattr("l", "user.x", "1", 1, 0));
	SAY(getxattr("l", "user.one", value, 8));
	SAY(lgetxattr("l", "user.one", value, 8));
	OK(removexattr("f", "user.one"));
	OK(fremovexattr(fd, "user.one"));
	OK(removexattr("none", "user.one"));
}

/* --- locks --- */

static struct flock lock_of(short type, off_t start, off_t len)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
}

static void test_locks(void)
{
	int fd = make("f", "0123456789"), other = open("f", O_RDWR), to[2], from[2], status;
	struct flock lock = lock_of(F_WRLCK, 2, 3);
	char c;

	pipe(to);
	pipe(from);
	OK(fcntl(fd, F_SETLK, &lock));
	lock = lock_of(F_WRLCK, 0, 0);
	OK(fcntl(other, F_SETLK, &lock)); /* of the same process */
	lock = lock_of(F_UNLCK, 4, 0);
	OK(fcntl(fd, F_SETLK, &lock));
	pid_t pid = fork();

	if (pid == 0) {
		lock = lock_of(F_RDLCK, 0, 0);
		OK(fcntl(fd, F_SETLK, &lock));
		OK(fcntl(fd, F_GETLK, &lock));
		printf("%d %ld %ld %d\n", lock.l_type, (long)lock.l_start, (long)lock.l_len,
		       lock.l_pid == getppid());
		lock = lock_of(F_WRLCK, 6, 2);
		OK(fcntl(fd, F_SETLK, &lock));
		fflush(stdout);
		write(from[1], "x", 1);
		lock = lock_of(F_WRLCK, 0, 1);
		OK(fcntl(fd, F_SETLKW, &lock)); /* until the parent gives it up */
		fflush(stdout);
		write(from[1], "x", 1);
		read(to[0], &c, 1);
		_exit(0);
	}
	read(from[0], &c, 1);
	usleep(50000);
	lock = lock_of(F_WRLCK, 6, 1);
	OK(fcntl(fd, F_SETLKW, &lock)); /* each waits for the other */
	fflush(stdout);
	close(other); /* any descriptor: all are gone */
	read(from[0], &c, 1);
	lock = lock_of(F_WRLCK, 0, 1);
	OK(fcntl(fd, F_SETLK, &lock));
	write(to[1], "x", 1);
	waitpid(pid, &status, 0);
	OK(fcntl(fd, F_SETLK, &lock));
	lock.l_type = 7;
	OK(fcntl(fd, F_SETLK, &lock));
	lock = lock_of(F_WRLCK, 5, -3);
	OK(fcntl(fd, F_SETLK, &lock));
	lock = lock_of(F_WRLCK, 5, -9);
	OK(fcntl(fd, F_SETLK, &lock));
	lock = lock_of(F_WRLCK, 0, 1);
	OK(fcntl(open("f", O_RDONLY), F_SETLK, &lock));
	OK(fcntl(fd, F_SETLK, BAD));
	lock.l_pid = 0;
	lock.l_type = F_WRLCK;
	OK(fcntl(fd, F_OFD_SETLK, &lock));
	lock.l_pid = 5;
	OK(fcntl(fd, F_OFD_SETLK, &lock));
}

static void test_lock_interrupted(void)
{
	int fd = make("f", "x"), other;
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval timer = { .it_value = { 0, 100000 } };

	action.sa_handler = (void (*)(int))on_signal;
	OK(flock(fd, LOCK_EX));
	other = open("f", O_RDWR);
	OK(flock(other, LOCK_SH | LOCK_NB));
	OK(flock(fd, LOCK_SH));
	OK(flock(other, LOCK_SH | LOCK_NB));
	OK(flock(other, LOCK_EX | LOCK_NB));
	OK(flock(fd, 99));
	OK(flock(fd, LOCK_EX | LOCK_NB));
	sigaction(SIGALRM, &action, NULL);
	if (!sigsetjmp(jump, 1)) {
		setitimer(ITIMER_REAL, &timer, NULL);
		OK(flock(other, LOCK_EX));
	} else {
		printf("interrupted\n");
	}
	int copy = dup(fd);

	close(fd);
	OK(flock(other, LOCK_SH | LOCK_NB));
	close(copy);
	OK(flock(other, LOCK_EX | LOCK_NB));
}

/* --- files without a name --- */

static void test_unnamed(void)
{
	char path[64], buf[64];
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);
	struct stat st;
	ssize_t n;

	SAY(write(fd, "text", 4));
	fstat(fd, &st);
	printf("%ld %o\n", (long)st.st_nlink, st.st_mode);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	show_stat("named");
	OK(unlink("named"));
	SAY(pread(fd, buf, 8, 0));
	fd = (int)syscall(SYS_memfd_create, "memory", MFD_ALLOW_SEALING);
	SAY(write(fd, "0123456789", 10));
	SAY(fcntl(fd, F_GET_SEALS));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	OK(ftruncate(fd, 4));
	OK(ftruncate(fd, 40));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL));
	OK(write(fd, "x", 1));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	SAY(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	SAY(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, buf, sizeof(buf));
	printf("%.*s\n", (int)n, buf);
	SAY(open(path, O_RDONLY) >= 0);
	OK(syscall(SYS_memfd_create, "x", 0x4000));
	memset(buf, 'x', sizeof(buf));
}

static void test_devices(void)
{
	static const char *const names[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
					     "/dev/urandom" };
	char buf[100];

	for (size_t i = 0; i < COUNT(names); i++) {
		int fd = open(names[i], O_RDWR);

		memset(buf, 1, sizeof(buf));
		printf("%s\n", names[i]);
		SAY(read(fd, buf, 0));
		SAY(read(fd, buf, sizeof(buf)));
		SAY(write(fd, buf, i < 3 ? 10 : 0));
		SAY(lseek(fd, 10, SEEK_SET));
		OK(ftruncate(fd, 5));
		if (i)
			OK(read(fd, BAD, 5));
	}
	char *zero = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);

	zero[5000] = 1;
	printf("%d %d\n", zero[0], zero[5000]);
	OK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open("/dev/null", O_RDWR), 0) == MAP_FAILED ? -1 :
													  0);
	OK(open("/dev/fd/0", O_RDONLY) >= 0 ? 0 : -1);
	OK(ioctl(open("/dev/null", O_RDWR), FIONREAD, buf));
}

static void test_ioctl(void)
{
	int fd = make("f", "0123456789"), n = 0;

	lseek(fd, 3, SEEK_SET);
	OK(ioctl(fd, FIONREAD, &n));
	printf("%d\n", n);
	OK(ioctl(fd, FIOCLEX));
	SAY(fcntl(fd, F_GETFD));
	OK(ioctl(fd, FIONCLEX));
	SAY(fcntl(fd, F_GETFD));
	n = 1;
	OK(ioctl(fd, FIONBIO, &n));
	SAY(fcntl(fd, F_GETFL) & O_NONBLOCK);
	OK(ioctl(fd, FIONBIO, BAD));
	OK(ioctl(fd, 0x12345, 0));
	OK(ioctl(fd, TCGETS, &n));
	OK(ioctl(99, FIONREAD, &n));
}

static void test_busy_text(void)
{
	char buf[4096];
	int self = open("/proc/self/exe", O_RDONLY), fd = open("prog", O_CREAT | O_WRONLY, 0755);
	ssize_t n;
	int to[2], status;
	char cwd[PATH_MAX];

	/* A container's /dev/shm has no programs. */
	if (getcwd(cwd, sizeof(cwd)) && strncmp(cwd, "/tmp/", 5) != 0)
		return;
	while ((n = read(self, buf, sizeof(buf))) > 0)
		write(fd, buf, (size_t)n);
	pid_t pid = fork();

	if (pid == 0) {
		execl("./prog", "prog", "none", NULL);
		printf("%s\n", strerrorname_np(errno));
		fflush(stdout);
		_exit(3);
	}
	waitpid(pid, &status, 0);
	guest_show_status("open for writing", status);
	close(fd);
	pipe(to);
	pid = fork();
	if (pid == 0) {
		dup2(to[0], 0);
		execl("./prog", "prog", "sleep", NULL);
		_exit(4);
	}
	usleep(200000);
	OK(open("prog", O_WRONLY));
	OK(open("prog", O_RDWR | O_TRUNC));
	OK(truncate("prog", 1));
	write(to[1], "x", 1);
	waitpid(pid, &status, 0);
	guest_show_status("executed", status);
	OK(open("prog", O_WRONLY));
}

static const struct guest_case cases[] = {
	{ "open", test_open },
	{ "resolve", test_resolve },
	{ "path_descriptors", test_path_descriptors },
	{ "descriptors", test_descriptors },
	{ "sizes", test_sizes },
	{ "mapped", test_mapped },
	{ "names", test_names },
	{ "directory", test_directory },
	{ "attributes", test_attributes },
	{ "extended", test_extended },
	{ "locks", test_locks },
	{ "lock_interrupted", test_lock_interrupted },
	{ "unnamed", test_unnamed },
	{ "devices", test_devices },
	{ "ioctl", test_ioctl },
	{ "busy_text", test_busy_text },
};

int main(int argc, char **argv)
{
	char c;

	if (argc > 1 && !strcmp(argv[1], "sleep"))
		return read(0, &c, 1) == 1 ? 0 : 1;
	umask(022);
	guest_run_places(cases, COUNT(cases), argc, argv);
	return 0;
}
