/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of files: what they lead to, making, moving and listing them, and the attributes of what bears
 * them; results and errors, in memory and on a file system of the host.
 */
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "guest_files.h"

/* --- open --- */

/* What /proc says of how a descriptor is open */
static void show_descriptor(int fd)
{
	unsigned flags = 0;
	struct stat st = { 0 };
	int mount = 0;
	char path[32];
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	lstat(path, &st);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	if (!info || fscanf(info, "pos: %*d flags: %o mnt_id: %d", &flags, &mount) != 2)
		printf(" no information");
	if (info)
		fclose(info);
	printf(" link %o, flags %s, mount %s", st.st_mode,
	       (int)flags == (fcntl(fd, F_GETFL) | O_CLOEXEC) ? "as they are" : "others",
	       mount > 0 ? "told" : "none");
}

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
		{ "fifo", O_RDWR }, { "fifo", O_ACCMODE | O_NONBLOCK }, { "f", O_ACCMODE },
		{ "f", O_NOATIME },
	};

	close(guest_make("f", "text"));
	mkdir("d", 0755);
	symlink("f", "l");
	symlink("d", "dl");
	symlink("loop", "loop");
	symlink("nowhere", "dangling");
	symlink("no/where", "far");
	mkfifo("fifo", 0644);
	for (size_t i = 0; i < COUNT(cases); i++) {
		int fd = open(cases[i].name, cases[i].flags | O_CLOEXEC, 0644);
		char byte;

		printf("\"%s\" %o: %s", cases[i].name, cases[i].flags, guest_answer(fd));
		if (fd >= 0) {
			printf(" %o", fcntl(fd, F_GETFL) & ~O_NONBLOCK);
			show_descriptor(fd);
			fcntl(fd, F_SETFL, O_NONBLOCK);
			printf(", read %s", guest_answer(read(fd, &byte, 1)));
			printf(", write %s", guest_answer(write(fd, "t", 1)));
			close(fd);
		}
		printf("\n");
	}
	OK(open(BAD, O_RDONLY));
	OK(openat(99, "f", O_RDONLY));
	OK(openat(99, "/", O_RDONLY));
	OK(open("dangling", O_CREAT | O_RDWR, 0600));
	guest_show_stat("nowhere");
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
	close(guest_make("top/f", "x"));
	close(guest_make("top/in/f", "x"));
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

/* --- names --- */

static void test_names(void)
{
	char buf[32];

	mkdir("d", 0777);
	mkdir("d/e", 0777);
	close(guest_make("f", "f"));
	close(guest_make("d/e/g", "g"));
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
	guest_show_stat("f");
	guest_show_stat("s2");
	OK(rename("d", "d/e/x"));
	OK(rename("d/e", "d"));
	OK(rename("f", "d"));
	OK(rename("d", "f"));
	OK(rename("f", "d/hard"));
	guest_show_stat("f");
	OK(rename("f", "f/"));
	OK(rename("f", "new/"));
	OK(rename("none", "x"));
	OK(rename(".", "x"));
	OK(renameat2(AT_FDCWD, "f", AT_FDCWD, "n", RENAME_NOREPLACE));
	OK(renameat2(AT_FDCWD, "f", AT_FDCWD, "d/e", RENAME_EXCHANGE));
	guest_show_stat("f");
	guest_show_stat("d/e");
	OK(renameat2(AT_FDCWD, "f", AT_FDCWD, "d/e", 3));
	OK(rename("f/g", "n"));
	OK(rename("d", "f"));
	guest_show_stat("f");
	guest_show_stat("d");
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
		close(guest_make(name, ""));
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
	guest_show_stat("d");
	fd = open("f", O_CREAT | O_RDWR, 06777);
	guest_show_stat("f");
	SAY(umask(0777777));
	SAY(umask(0));
	OK(chmod("f", 0604));
	OK(fchmod(fd, 04755));
	guest_show_stat("f");
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
	int fd = guest_make("f", "x");

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

static const struct guest_case cases[] = {
	{ "open", test_open },
	{ "resolve", test_resolve },
	{ "names", test_names },
	{ "directory", test_directory },
	{ "attributes", test_attributes },
	{ "extended", test_extended },
};

int main(int argc, char **argv)
{
	umask(022);
	guest_run_places(cases, COUNT(cases), argc, argv);
	return 0;
}
