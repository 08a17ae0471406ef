/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/payload/payload.c - the program that test containers run
 *
 * Static and without any file of its own, so a root file system for a test is
 * an empty directory with this in it.  The first argument is a verb; verbs
 * print what the container looks like from inside, one fact a line, and the
 * tests compare.  Exit status 0, or the errno of what failed.
 */
#include "live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what)
{
	int e = errno;

	printf("%s: %s\n", what, strerror(e));
	return e;
}

/* exit N */
static int verb_exit(int argc, char **argv)
{
	return argc > 1 ? atoi(argv[1]) : 0;
}

/* echo WORD... */
static int verb_echo(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%s%s", argv[i], i + 1 < argc ? " " : "\n");
	return 0;
}

/* cat FILE...: "-" is standard input */
static int verb_cat(int argc, char **argv)
{
	char buf[65536];
	ssize_t n;

	for (int i = 1; i < argc; i++) {
		int fd = strcmp(argv[i], "-") == 0 ? 0 : open(argv[i], O_RDONLY);

		if (fd < 0)
			return fail(argv[i]);
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			if (write(1, buf, (size_t)n) != n)
				return fail("write");
		if (n < 0)
			return fail(argv[i]);
	}
	return 0;
}

/* write FILE TEXT: creates it when it is missing */
static int verb_write(int argc, char **argv)
{
	int fd = open(argv[1], O_WRONLY | O_CREAT, 0644);
	size_t n = strlen(argv[2]);

	if (fd < 0 || write(fd, argv[2], n) != (ssize_t)n)
		return fail(argv[1]);
	return 0;
}

/* stat FILE...: type, mode, owner, device; links are not followed */
static int verb_stat(int argc, char **argv)
{
	struct stat st;

	for (int i = 1; i < argc; i++) {
		if (lstat(argv[i], &st) < 0) {
			printf("%s: %s\n", argv[i], strerror(errno));
			continue;
		}
		printf("%s: %c %04o %u:%u %u:%u\n", argv[i],
		       "?pc?d?b?-?l?s"[(st.st_mode & S_IFMT) >> 12], st.st_mode & 07777, st.st_uid,
		       st.st_gid, major(st.st_rdev), minor(st.st_rdev));
	}
	return 0;
}

/* link FILE: where it points */
static int verb_link(int argc, char **argv)
{
	char to[4096];
	ssize_t n = readlink(argv[1], to, sizeof(to) - 1);

	if (n < 0)
		return fail(argv[1]);
	printf("%.*s\n", (int)n, to);
	return 0;
}

/* ls DIR */
static int verb_ls(int argc, char **argv)
{
	DIR *d = opendir(argv[1]);
	struct dirent *de;

	if (!d)
		return fail(argv[1]);
	while ((de = readdir(d)))
		if (de->d_name[0] != '.')
			printf("%s\n", de->d_name);
	closedir(d);
	return 0;
}

/* fds: numbers of the open descriptors, found without opening one */
static int verb_fds(int argc, char **argv)
{
	for (int fd = 0; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d\n", fd);
	return 0;
}

/* id: ids, groups, umask, session, process group */
static int verb_id(int argc, char **argv)
{
	uid_t r, e, s;
	gid_t rg, eg, sg, groups[64];
	int n = getgroups(64, groups);
	mode_t mask = umask(0);

	if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0)
		return fail("ids");
	printf("uid %u %u %u\ngid %u %u %u\ngroups", r, e, s, rg, eg, sg);
	for (int i = 0; i < n; i++)
		printf(" %u", groups[i]);
	printf("\numask %04o\n", mask);
	printf("pid %d sid %d pgid %d\n", getpid(), getsid(0), getpgid(0));
	return 0;
}

/* cwd */
static int verb_cwd(int argc, char **argv)
{
	char path[4096];

	if (!getcwd(path, sizeof(path)))
		return fail("getcwd");
	puts(path);
	return 0;
}

/* env */
static int verb_env(int argc, char **argv)
{
	for (char **e = environ; *e; e++)
		puts(*e);
	return 0;
}

/* host: host and domain name */
static int verb_host(int argc, char **argv)
{
	char host[256], domain[256];

	if (gethostname(host, sizeof(host)) < 0 || getdomainname(domain, sizeof(domain)) < 0)
		return fail("names");
	printf("%s %s\n", host, domain);
	return 0;
}

/* tty: name and size of the terminal on standard input */
static int verb_tty(int argc, char **argv)
{
	struct winsize ws = { 0 };
	struct stat st;
	int ctty = open("/dev/tty", O_RDWR);

	if (!isatty(0) || !isatty(1) || !isatty(2))
		return fail("not a terminal");
	if (ioctl(0, TIOCGWINSZ, &ws) < 0 || fstat(0, &st) < 0)
		return fail("size");
	printf("name %s\nsize %u %u\nowner %u\ncontrolling %s\n", ttyname(0), ws.ws_row, ws.ws_col,
	       st.st_uid, ctty >= 0 ? "yes" : "no");
	return 0;
}

/* call NAME: try a system call that filters like to forbid */
static int verb_call(int argc, char **argv)
{
	long r;

	errno = 0;
	if (strcmp(argv[1], "mkdir") == 0)
		r = mkdir("/payload-dir", 0755);
	else if (strcmp(argv[1], "unshare") == 0)
		r = unshare(CLONE_NEWUTS);
	else if (strcmp(argv[1], "mknod") == 0)
		r = mknod("/payload-node", S_IFCHR | 0600, makedev(1, 3));
	else if (strcmp(argv[1], "chroot") == 0)
		r = chroot("/");
	else if (strcmp(argv[1], "sethostname") == 0)
		r = sethostname("x", 1);
	else if (strcmp(argv[1], "personality") == 0)
		r = personality((unsigned long)strtoul(argv[2], NULL, 0));
	else
		return 2;
	printf("%s %ld %s\n", argv[1], r, r < 0 ? strerror(errno) : "ok");
	return 0;
}

/* open FILE: for reading and writing */
static int verb_open(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR);

	if (fd < 0)
		return fail(argv[1]);
	puts("ok");
	return 0;
}

/* device TYPE MAJOR MINOR: make a node and open it */
static int verb_device(int argc, char **argv)
{
	mode_t type = argv[1][0] == 'b' ? S_IFBLK : S_IFCHR;

	unlink("/payload-device");
	if (mknod("/payload-device", type | 0600,
		  makedev((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]))) < 0)
		return fail("mknod");
	argv[1] = (char *)"/payload-device";
	return verb_open(2, argv);
}

/* limits: soft and hard of open files, core size, processes */
static int verb_limits(int argc, char **argv)
{
	static const struct {
		const char *name;
		__rlimit_resource_t resource;
	} kinds[] = {
		{ "nofile", RLIMIT_NOFILE },
		{ "core", RLIMIT_CORE },
		{ "nproc", RLIMIT_NPROC },
	};
	struct rlimit l;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (getrlimit(kinds[i].resource, &l) < 0)
			return fail(kinds[i].name);
		printf("%s %lld %lld\n", kinds[i].name, (long long)l.rlim_cur,
		       (long long)l.rlim_max);
	}
	return 0;
}

/* sched: policy, nice value, I/O priority, personality */
static int verb_sched(int argc, char **argv)
{
	printf("policy %d nice %d io %ld personality %x\n", sched_getscheduler(0),
	       getpriority(PRIO_PROCESS, 0), syscall(SYS_ioprio_get, 1, 0),
	       (unsigned)personality(0xffffffff));
	return 0;
}

/* keyring: the session keyring's description */
static int verb_keyring(int argc, char **argv)
{
	char text[256] = "";

	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof(text)) < 0)
		return fail("keyctl");
	puts(text);
	return 0;
}

/* status HEAD...: the lines of /proc/self/status that begin so */
static int verb_status(int argc, char **argv)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[512];

	if (!f)
		return fail("status");
	while (fgets(line, sizeof(line), f))
		for (int i = 1; i < argc; i++)
			if (strncmp(line, argv[i], strlen(argv[i])) == 0)
				fputs(line, stdout);
	fclose(f);
	return 0;
}

/* hook FILE FIELD...: what a hook is given (standard input) and what it is, to the end of FILE */
static int verb_hook(int argc, char **argv)
{
	int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0644);
	char buf[65536];
	ssize_t n;

	if (fd < 0 || dup2(fd, 1) < 0)
		return fail(argv[1]);
	while ((n = read(0, buf, sizeof(buf))) > 0)
		if (write(1, buf, (size_t)n) != n)
			return fail("write");
	printf("\npid %d parent %d uid %u\n", (int)getpid(), (int)getppid(), getuid());
	return verb_status(argc - 1, argv + 1);
}

/* clocks: monotonic and boot time in seconds */
static int verb_clocks(int argc, char **argv)
{
	struct timespec mono, boot;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	printf("%lld %lld\n", (long long)mono.tv_sec, (long long)boot.tv_sec);
	return 0;
}

/* wait: until a signal; says first that it is there */
static int verb_wait(int argc, char **argv)
{
	puts("ready");
	fflush(stdout);
	while (pause() < 0)
		;
	return 0;
}

/* hog MIB: takes that much memory and uses it, then waits */
static int verb_hog(int argc, char **argv)
{
	size_t n = (size_t)atoi(argv[1]) << 20;
	volatile char *p = malloc(n);

	for (size_t i = 0; p && i < n; i += 4096)
		p[i] = 1;
	return verb_wait(argc, argv);
}

/* stopper: stops everything else, again and again */
static int verb_stopper(int argc, char **argv)
{
	while (kill(-1, SIGSTOP) == 0 || errno == ESRCH)
		;
	perror("kill");
	return 1;
}

/* notify TEXT: to $NOTIFY_SOCKET, then wait */
static int verb_notify(int argc, char **argv)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", getenv("NOTIFY_SOCKET"));
	if (sendto(fd, argv[1], strlen(argv[1]), 0, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return fail(sa.sun_path);
	return verb_wait(argc, argv);
}

/* orphans N: as many children that wait, left alone; then wait as well */
static int verb_orphans(int argc, char **argv)
{
	for (int i = 0; i < atoi(argv[1]); i++) {
		pid_t pid = fork();

		if (pid < 0)
			return fail("fork");
		if (pid == 0) {
			setsid();
			signal(SIGTERM, SIG_IGN);
			for (;;)
				pause();
		}
	}
	return verb_wait(argc, argv);
}

/* reopen: write through /dev/stdout */
static int verb_reopen(int argc, char **argv)
{
	int fd = open("/dev/stdout", O_WRONLY);

	if (fd < 0)
		return fail("/dev/stdout");
	return write(fd, "reopened\n", 9) == 9 ? 0 : fail("write");
}

/* xattr FILE NAME: its value */
static int verb_xattr(int argc, char **argv)
{
	char value[256];
	ssize_t n = getxattr(argv[1], argv[2], value, sizeof(value));

	if (n < 0)
		return fail(argv[2]);
	printf("%.*s\n", (int)n, value);
	return 0;
}

static void tell(const char *what, long r)
{
	printf("%s: %s\n", what, r < 0 ? strerror(errno) : "ok");
}

/* One byte to the file that @fd was opened on, once nobody executes it any more */
static void write_through(const char *what, int fd)
{
	const struct timespec rest = { .tv_nsec = 20000000 };
	char path[64];
	int w = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int i = 0; i < 2500 && w < 0; i++) {
		w = open(path, O_WRONLY);
		if (w < 0 && errno != ETXTBSY)
			break;
		if (w < 0)
			nanosleep(&rest, NULL);
	}
	tell(what, w < 0 ? -1 : write(w, "!", 1));
}

/* take FILE...: makes it one's own, for nobody else */
static int verb_take(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		tell("chmod", chmod(argv[i], 0600));
		tell("chown", chown(argv[i], 7, 7));
	}
	return 0;
}

/* hold FD: everything one might try to write to what it was opened on */
static int verb_hold(int argc, char **argv)
{
	struct mount_attr writable = { .attr_clr = MOUNT_ATTR_RDONLY };
	int fd = atoi(argv[1]), tree;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	write_through("write", fd);
	tell("remount", mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL));
	tell("setattr", mount_setattr(fd, "", AT_EMPTY_PATH, &writable, sizeof(writable)));
	tree = open_tree(fd, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
	tell("clone", tree);
	tell("bind", mount(path, "/payload", NULL, MS_BIND, NULL));
	tell("move", move_mount(fd, "", AT_FDCWD, "/payload", MOVE_MOUNT_F_EMPTY_PATH));
	write_through("again", fd);
	return 0;
}

/* Return: a descriptor of another program's file that a process of /proc runs, or -1 */
static int spy_once(const struct stat *ours)
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	char path[300];
	struct stat st;
	int fd = -1;

	while (d && fd < 0 && (de = readdir(d))) {
		if (de->d_name[0] < '1' || de->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/exe", de->d_name);
		fd = open(path, O_RDONLY);
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == ours->st_ino) {
			close(fd);
			fd = -1;
		}
	}
	if (d)
		closedir(d);
	return fd;
}

/* spy SECONDS: who else comes into our pid namespace, and what does it run? Then as hold */
static int verb_spy(int argc, char **argv)
{
	time_t end = time(NULL) + atoi(argv[1]);
	char number[16], *hold[] = { argv[0], number, NULL };
	struct stat ours;
	int fd = -1;

	puts("ready");
	fflush(stdout);
	if (stat("/proc/self/exe", &ours) < 0)
		return fail("/proc/self/exe");
	while (fd < 0 && time(NULL) < end)
		fd = spy_once(&ours);
	if (fd < 0) {
		puts("nobody");
		return 0;
	}
	snprintf(number, sizeof(number), "%d", fd);
	return verb_hold(2, hold);
}

static const struct {
	const char *name;
	int args;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "call", 1, verb_call },
	{ "cat", 1, verb_cat },
	{ "clocks", 0, verb_clocks },
	{ "collect", 2, verb_collect },
	{ "console", 2, verb_console },
	{ "count", 1, verb_count },
	{ "cwd", 0, verb_cwd },
	{ "device", 3, verb_device },
	{ "dgram", 1, verb_dgram },
	{ "echo", 0, verb_echo },
	{ "env", 0, verb_env },
	{ "exit", 0, verb_exit },
	{ "fds", 0, verb_fds },
	{ "hog", 1, verb_hog },
	{ "hold", 1, verb_hold },
	{ "hook", 1, verb_hook },
	{ "host", 0, verb_host },
	{ "id", 0, verb_id },
	{ "keyring", 0, verb_keyring },
	{ "limits", 0, verb_limits },
	{ "link", 1, verb_link },
	{ "lock", 2, verb_lock },
	{ "ls", 1, verb_ls },
	{ "notify", 1, verb_notify },
	{ "open", 1, verb_open },
	{ "orphans", 1, verb_orphans },
	{ "reopen", 0, verb_reopen },
	{ "sched", 0, verb_sched },
	{ "spy", 1, verb_spy },
	{ "stat", 1, verb_stat },
	{ "status", 1, verb_status },
	{ "stopper", 0, verb_stopper },
	{ "take", 1, verb_take },
	{ "tcp", 1, verb_tcp },
	{ "tty", 0, verb_tty },
	{ "unix", 2, verb_unix },
	{ "wait", 0, verb_wait },
	{ "write", 2, verb_write },
	{ "xattr", 2, verb_xattr },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0 && argc - 2 >= verbs[i].args)
			return verbs[i].run(argc - 1, argv + 1);
	fprintf(stderr, "usage: payload VERB ARGS...\n");
	return 2;
}
