/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts a guest makes, with the right to. On the host in a mount namespace of its own. */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "guest_places.h"

#define OK(call) printf("%s: %s\n", #call, guest_answer((long)(call)))

/* show_mounts() - What /proc says of mounts in here, in its order */
static void show_mounts(void)
{
	FILE *f = fopen("/proc/self/mounts", "re");
	char line[1024], cwd[PATH_MAX];

	if (!f || !getcwd(cwd, sizeof(cwd)))
		return;
	while (fgets(line, sizeof(line), f)) {
		char source[256], point[256], type[256], options[256];
		size_t len = strlen(cwd);

		if (sscanf(line, "%255s %255s %255s %255s", source, point, type, options) != 4 ||
		    strncmp(point, cwd, len) != 0)
			continue;
		if (strcmp(source, "inner") != 0) /* the one beneath, by its name */
			strcpy(source, "-");
		printf("  %s .%s %s\n", source, point + len, strncmp(options, "ro", 2) ? "rw" : "ro");
	}
	fclose(f);
}

static void make(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		printf("%s: %s\n", name, strerrorname_np(errno));
	else
		close(fd);
}

static void test_new(void)
{
	struct statfs fs;
	struct stat st, dot;

	mkdir("m", 0755);
	make("f");
	make("m/under");
	OK(mount("none", "m", "tmpfs", 0, "size=1m,mode=0700"));
	stat("m", &st);
	stat(".", &dot);
	printf("%o %d\n", st.st_mode, st.st_dev != dot.st_dev);
	statfs("m", &fs);
	printf("%ld\n", (long)fs.f_blocks * fs.f_bsize);
	OK(access("m/under", F_OK));
	make("m/over");
	OK(mount("none", "f", "tmpfs", 0, NULL));
	OK(mount("none", "none", "tmpfs", 0, NULL));
	OK(mount("none", "m", "nosuchfs", 0, NULL));
	OK(mount("none", "m", NULL, 0, NULL));
	OK(mount("none", (char *)0x10, "tmpfs", 0, NULL));
	OK(rmdir("m"));
	OK(rename("m", "n"));
	OK(rename("m/over", "f"));
	OK(link("m/over", "g"));
	show_mounts();
	OK(mount("none", "m", "tmpfs", 0, ""));
	OK(access("m/over", F_OK));
	OK(umount("m"));
	OK(access("m/over", F_OK));
	OK(umount("f"));
	OK(umount("m/over"));
	OK(umount2("m", 99));
	int fd = open("m/over", O_RDONLY);

	OK(umount("m"));
	OK(umount2("m", MNT_DETACH));
	OK(fstat(fd, &st));
	OK(access("m/under", F_OK));
	OK(umount("m"));
	OK(mount("proc", "m", "proc", 0, NULL));
	OK(access("m/self/stat", R_OK));
	OK(umount("m"));
}

static void test_bind(void)
{
	struct statvfs st;

	mkdir("a", 0755);
	mkdir("a/sub", 0755);
	mkdir("b", 0755);
	mkdir("c", 0755);
	make("a/f");
	make("g");
	mount("inner", "a/sub", "tmpfs", 0, "");
	make("a/sub/deep");
	OK(mount("a", "b", NULL, MS_BIND, NULL));
	OK(access("b/f", F_OK));
	OK(access("b/sub/deep", F_OK));
	OK(mount("a", "c", NULL, MS_BIND | MS_REC, NULL));
	OK(access("c/sub/deep", F_OK));
	OK(mount("a", "g", NULL, MS_BIND, NULL));
	OK(mount("a/f", "b", NULL, MS_BIND, NULL));
	OK(mount("a/f", "g", NULL, MS_BIND, NULL));
	OK(mount("none", "b", NULL, MS_BIND, NULL));
	show_mounts();
	OK(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOEXEC, NULL));
	OK(open("b/new", O_CREAT, 0600));
	OK(open("b/f", O_RDWR));
	OK(open("b/f", O_RDONLY));
	OK(unlink("b/f"));
	OK(mkdir("b/f", 0700));
	OK(mkdir("b/d", 0700));
	OK(chmod("b/f", 0600));
	OK(truncate("b/f", 0));
	OK(access("b/f", W_OK));
	OK(rename("b/f", "b/x"));
	OK(open("a/f", O_RDWR));
	statvfs("b", &st);
	printf("%d %d\n", (st.f_flag & ST_RDONLY) != 0, (st.f_flag & ST_NOEXEC) != 0);
	OK(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND, NULL));
	OK(open("b/new", O_CREAT, 0600));
	OK(mount(NULL, "b/f", NULL, MS_REMOUNT | MS_BIND, NULL));
	OK(mount("b", "a/sub", NULL, MS_MOVE, NULL));
	OK(access("a/sub/f", F_OK));
	OK(access("b/f", F_OK));
	OK(mount("b", "c", NULL, MS_MOVE, NULL));
	OK(mount("c", "c/sub", NULL, MS_MOVE, NULL));
	OK(mount(NULL, "c", NULL, MS_PRIVATE | MS_REC, NULL));
	show_mounts();
	OK(umount("c"));
	OK(umount2("c", MNT_DETACH));
	OK(umount("g"));
	OK(umount("a/sub"));
	OK(umount("a/sub"));
	show_mounts();
}

static void test_flags(void)
{
	mkdir("m", 0755);
	OK(mount("none", "m", "tmpfs", MS_NODEV | MS_NOEXEC, ""));
	OK(mknod("m/null", S_IFCHR | 0666, 0x103));
	OK(open("m/null", O_RDONLY));
	make("m/prog");
	chmod("m/prog", 0755);
	OK(execl("m/prog", "prog", NULL));
	OK(access("m/prog", X_OK));
	OK(mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND, NULL));
	OK(open("m/null", O_RDONLY));
	OK(access("m/prog", X_OK));
	OK(mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	OK(open("m/new", O_CREAT, 0600));
	OK(open("m/null", O_RDWR));
	OK(umount("m"));
}

static void test_pivot(void)
{
	char buf[PATH_MAX];

	OK(unshare(CLONE_NEWNS)); /* nobody else's root */
	mkdir("root", 0755);
	OK(mount("new", "root", "tmpfs", 0, ""));
	mkdir("root/old", 0755);
	make("root/here");
	OK(syscall(SYS_pivot_root, "root/old", "root/old"));
	OK(syscall(SYS_pivot_root, "root", "root/old"));
	OK(chdir("/"));
	OK(access("/here", F_OK));
	OK(access("/old/proc", F_OK));
	OK(umount2("/old", MNT_DETACH));
	OK(access("/old/proc", F_OK));
	printf("%s\n", getcwd(buf, sizeof(buf)) ? buf : "?");
	mkdir("/sub", 0755);
	OK(chroot("/sub"));
	OK(access("/../here", F_OK));
	OK(access("here", F_OK));
	printf("%s\n", getcwd(buf, sizeof(buf)) ? buf : strerrorname_np(errno));
}

static void test_stacked(void)
{
	/* The namespace is left to another, which has the same and goes its own way. */
	mkdir("m", 0755);
	OK(mount("none", "m", "tmpfs", 0, ""));
	make("m/f");
	chdir("m");
	pid_t pid = fork();

	if (pid == 0) {
		OK(unshare(CLONE_NEWNS));
		OK(access("f", F_OK));
		OK(mount("none", "../m", "tmpfs", 0, ""));
		OK(access("../m/f", F_OK));
		OK(access("f", F_OK));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	OK(access("../m/f", F_OK));
	OK(umount("../m"));
	OK(umount2("../m", MNT_DETACH));
	OK(access("f", F_OK));
	OK(access("../m/f", F_OK));
	OK(chdir(".."));
}

static const struct guest_case cases[] = {
	{ "new", test_new },	 { "bind", test_bind },	      { "flags", test_flags },
	{ "pivot", test_pivot }, { "stacked", test_stacked },
};

int main(int argc, char **argv)
{
	umask(0);
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("only root can mount: %s\n", strerror(errno));
		return 77;
	}
	guest_run_places(cases, COUNT(cases), argc, argv);
	return 0;
}
