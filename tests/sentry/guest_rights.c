/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what with files: a user among root's, another's and its own. Needs root on the host. */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "guest_places.h"

#define OK(call) printf("%s: %s\n", #call, guest_answer((long)(call)))

enum { USER = 1000, OTHER = 1001, TEAM = 50 };

static void file_of(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	int fd = open(name, O_CREAT | O_RDWR, 0600);

	if (write(fd, "text", 4) != 4 || fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
		perror(name);
	close(fd);
}

static void dir_of(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	if (mkdir(name, 0700) < 0 || chown(name, uid, gid) < 0 || chmod(name, mode) < 0)
		perror(name);
}

static void become(uid_t uid)
{
	gid_t groups[] = { TEAM };

	if (setgroups(1, groups) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		perror("become");
}

static void show(const char *name)
{
	struct stat st;

	if (lstat(name, &st) < 0)
		printf("%s: %s\n", name, strerrorname_np(errno));
	else
		printf("%s: %o %u %u\n", name, st.st_mode, st.st_uid, st.st_gid);
}

static void test_open(void)
{
	static const mode_t modes[] = { 0600, 0060, 0006, 0644, 0464, 0446, 0777, 0700, 0070, 0007, 0 };
	static const uid_t owners[] = { 0, USER };
	static const gid_t groups[] = { 0, USER, TEAM };
	char name[64];

	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			become(USER);
		for (size_t m = 0; m < COUNT(modes); m++)
			for (size_t o = 0; o < COUNT(owners); o++)
				for (size_t g = 0; g < COUNT(groups); g++) {
					snprintf(name, sizeof(name), "f%o-%u-%u", modes[m], owners[o],
						 groups[g]);
					if (!pass) {
						file_of(name, owners[o], groups[g], modes[m]);
						continue;
					}
					printf("%s: %s %s %s %s %s\n", name,
					       guest_answer(open(name, O_RDONLY)),
					       guest_answer(open(name, O_WRONLY)),
					       guest_answer(open(name, O_RDONLY | O_TRUNC)),
					       guest_answer(access(name, R_OK | W_OK)),
					       guest_answer(open(name, O_PATH)));
					for (int fd = 3; fd < 10; fd++)
						close(fd);
				}
	}
}

static void test_names(void)
{
	dir_of("sticky", 0, 0, 01777);
	dir_of("open", 0, 0, 0777);
	dir_of("closed", 0, 0, 0755);
	dir_of("blind", 0, 0, 0733);
	dir_of("shut", 0, 0, 0766);
	file_of("sticky/roots", 0, 0, 0666);
	file_of("sticky/mine", USER, USER, 0600);
	file_of("open/roots", 0, 0, 0600);
	file_of("closed/mine", USER, USER, 0600);
	file_of("blind/f", 0, 0, 0666);
	file_of("shut/f", 0, 0, 0666);
	dir_of("open/rootdir", 0, 0, 0755);
	dir_of("open/mydir", USER, USER, 0755);
	dir_of("sticky/rootdir", 0, 0, 0777);
	become(USER);
	OK(unlink("sticky/roots"));
	OK(rename("sticky/roots", "open/x"));
	OK(rename("sticky/mine", "sticky/roots"));
	OK(rename("sticky/mine", "sticky/x"));
	OK(rmdir("sticky/rootdir"));
	OK(renameat2(AT_FDCWD, "sticky/x", AT_FDCWD, "sticky/roots", RENAME_EXCHANGE));
	OK(unlink("sticky/x"));
	OK(unlink("closed/mine"));
	OK(open("closed/new", O_CREAT, 0600));
	OK(open("closed/mine", O_CREAT | O_RDWR, 0600));
	OK(mkdir("closed/d", 0700));
	OK(symlink("x", "closed/l"));
	OK(link("closed/mine", "closed/l"));
	OK(link("closed/mine", "open/l"));
	OK(unlink("open/roots"));
	OK(rename("open/rootdir", "open/renamed"));
	OK(rename("open/renamed", "open/mydir/x"));
	OK(rename("open/mydir", "sticky/mydir"));
	OK(open("blind/f", O_RDWR));
	OK(open("blind", O_RDONLY));
	OK(open("blind/new", O_CREAT | O_EXCL, 0600));
	OK(open("shut/f", O_RDONLY));
	OK(open("shut", O_RDONLY));
	OK(access("shut/f", F_OK));
	OK(access("shut/none", F_OK));
	OK(chdir("shut"));
	OK(chdir("blind"));
	OK(mknod("new", S_IFCHR | 0600, 0x103));
	OK(mknod("new", S_IFIFO | 0600, 0));
	OK(chroot("."));
	OK(mount("none", ".", "tmpfs", 0, ""));
	OK(umount(".."));
}

static void test_attributes(void)
{
	struct timespec times[2] = { { 1000, 0 }, { 1000, 0 } };

	file_of("roots", 0, 0, 0666);
	file_of("mine", USER, USER, 0644);
	file_of("teams", USER, TEAM, 0644);
	file_of("others", OTHER, OTHER, 0444);
	dir_of("dir", USER, 0, 0755);
	dir_of("team", 0, TEAM, 02777);
	file_of("setuid", 0, 0, 06777);
	file_of("setgid", 0, 0, 02766);
	file_of("emptied", 0, 0, 06777);
	OK(chown("setuid", 0, 0));
	show("setuid");
	OK(chmod("setuid", 06777));
	become(USER);
	OK(chmod("roots", 0600));
	OK(chmod("mine", 06755));
	show("mine");
	OK(chmod("teams", 02755));
	show("teams");
	OK(chmod("dir", 02755));
	show("dir");
	OK(chown("mine", OTHER, -1));
	OK(chown("mine", -1, TEAM));
	show("mine");
	OK(chown("mine", USER, 0));
	OK(chown("mine", USER, USER));
	OK(chown("roots", -1, -1));
	OK(chown("roots", 0, 0));
	OK(utimensat(AT_FDCWD, "roots", NULL, 0));
	OK(utimensat(AT_FDCWD, "roots", times, 0));
	OK(utimensat(AT_FDCWD, "others", NULL, 0));
	times[0].tv_nsec = UTIME_OMIT;
	OK(utimensat(AT_FDCWD, "roots", times, 0));
	times[1].tv_nsec = UTIME_OMIT;
	OK(utimensat(AT_FDCWD, "others", times, 0));
	OK(truncate("others", 0));
	OK(truncate("roots", 2));
	OK(open("roots", O_RDONLY | O_NOATIME));
	OK(open("mine", O_RDONLY | O_NOATIME));
	int fd = open("setuid", O_WRONLY);

	OK(write(fd, "x", 1));
	show("setuid");
	fd = open("setgid", O_WRONLY);
	OK(write(fd, "x", 1));
	show("setgid");
	OK(open("emptied", O_RDONLY | O_TRUNC));
	show("emptied");
	OK(mkdir("team/d", 0755));
	show("team/d");
	OK(close(open("team/f", O_CREAT | O_RDWR, 02755)));
	show("team/f");
	OK(setxattr("roots", "user.x", "1", 1, 0));
	OK(setxattr("others", "user.x", "1", 1, 0));
	OK(setxattr("others", "trusted.x", "1", 1, 0));
	OK(getxattr("others", "trusted.x", NULL, 0));
	OK(setxattr("mine", "security.x", "1", 1, 0));
	OK(listxattr("others", NULL, 0) ? -1 : 0);
}

/* access(2) asks for the real user, everything else for the one of file systems */
static void test_real_user(void)
{
	file_of("roots", 0, 0, 0600);
	file_of("mine", USER, USER, 0600);
	setresgid(USER, 0, 0);
	setresuid(USER, 0, 0);
	OK(access("roots", R_OK));
	OK(access("mine", R_OK));
	OK(faccessat(AT_FDCWD, "roots", R_OK, AT_EACCESS));
	OK(open("roots", O_RDONLY));
	setresuid(0, USER, 0);
	OK(access("roots", R_OK));
	OK(faccessat(AT_FDCWD, "roots", R_OK, AT_EACCESS));
	OK(open("roots", O_RDONLY));
	OK(open("mine", O_RDONLY));
	setresuid(0, 0, 0);
	syscall(SYS_setfsuid, USER);
	OK(open("roots", O_RDONLY));
	OK(open("new", O_CREAT | O_RDWR, 0600));
}

static const struct guest_case cases[] = {
	{ "open", test_open },
	{ "names", test_names },
	{ "attributes", test_attributes },
	{ "real_user", test_real_user },
};

int main(int argc, char **argv)
{
	if (geteuid() != 0) {
		printf("only root can be somebody else\n");
		return 77;
	}
	umask(0);
	guest_run_places(cases, COUNT(cases), argc, argv);
	return 0;
}
