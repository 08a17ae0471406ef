/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of /proc, taken apart as programs do it, and the calls that say the same. What is printed is
 * whether they agree with each other and with what the program knows of itself.
 */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>

#include "guest.h"

/* What no program means to pass. */
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wnonnull"

static char text[1 << 22]; /* a host may have very many sockets */

static void say(const char *what, long r)
{
	if (r < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, r);
}

#define SAY(call) say(#call, (long)(call))

/* All of a file into text. Return: bytes, -1 */
static long slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long n, all = 0;

	text[0] = '\0';
	if (fd < 0)
		return -1;
	while ((n = read(fd, text + all, sizeof(text) - 1 - (size_t)all)) > 0)
		all += n;
	text[all] = '\0';
	close(fd);
	return n < 0 ? -1 : all;
}

static bool has_line(const char *start)
{
	size_t len = strlen(start);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, start, len) == 0)
			return true;
	}
	return false;
}

static void show_lines(const char *path, const char *const *starts)
{
	if (slurp(path) < 0) {
		printf("%s: %s\n", path, strerrorname_np(errno));
		return;
	}
	for (; *starts; starts++) {
		if (!has_line(*starts))
			printf("%s: no %s\n", path, *starts);
	}
	printf("%s: read\n", path);
}

/* --- a process in numbers --- */

/* The fields behind the name, which may have anything in it. Return: how many, from the third on */
static int stat_fields(const char *path, char *state, long long fields[50])
{
	char *p;
	int n = 0;

	if (slurp(path) <= 0 || !(p = strrchr(text, ')')))
		return -1;
	*state = p[2];
	for (p += 3; *p && n < 50; n++) {
		fields[n] = (long long)strtoull(p, &p, 10);
		while (*p == ' ' || *p == '\n')
			p++;
	}
	return n;
}

static void *sleeper(void *arg)
{
	pthread_setname_np(pthread_self(), "sleeper");
	pause();
	return arg;
}

static void case_stat(void)
{
	long long f[50];
	char state, path[64];
	struct rlimit limit;
	pthread_t thread;
	int child, fds[2];

	prctl(PR_SET_NAME, "a) R (b c", 0, 0, 0);
	printf("fields %d\n", stat_fields("/proc/self/stat", &state, f));
	printf("name %d, state %c\n", strstr(text, "(a) R (b c) ") != NULL, state);
	printf("ppid %d, pgrp %d, session %d, tty %lld %lld\n", f[0] == getppid(), f[1] == getpgrp(),
	       f[2] == getsid(0), f[3], f[4]);
	printf("priority %lld, nice %lld, threads %lld\n", f[14], f[15], f[16]);
	printf("size %d, resident %d\n", f[19] > 100000, f[20] > 10 && f[20] * 4096 <= f[19]);
	getrlimit(RLIMIT_RSS, &limit);
	printf("limit %d, stack %d\n", (rlim_t)f[21] == limit.rlim_cur,
	       (uint64_t)f[24] > (uint64_t)(uintptr_t)&state);
	printf("exit signal %lld, policy %lld\n", f[34], f[37]);
	pthread_create(&thread, NULL, sleeper, NULL);
	stat_fields("/proc/self/stat", &state, f);
	printf("threads %lld\n", f[16]);
	if (pipe(fds) < 0)
		printf("no pipe\n");
	child = fork();
	if (child == 0) {
		close(fds[1]);
		if (read(fds[0], text, 1) < 0)
			printf("read\n");
		_exit(3);
	}
	close(fds[0]);
	guest_await_sleep(child, child);
	snprintf(path, sizeof(path), "/proc/%d/stat", child);
	stat_fields(path, &state, f);
	printf("child sleeps %c, ppid %d, exit signal %lld\n", state, f[0] == getpid(), f[34]);
	close(fds[1]);
	siginfo_t info;
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	stat_fields(path, &state, f);
	printf("child is %c, exit code %#llx\n", state, f[48]);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", child);
	SAY(slurp(path));
	snprintf(path, sizeof(path), "/proc/%d/exe", child);
	SAY(readlink(path, text, sizeof(text)));
	snprintf(path, sizeof(path), "/proc/%d", child);
	SAY(access(path, F_OK));
	waitpid(child, NULL, 0);
	SAY(access(path, F_OK));
	SAY(access("/proc/5000000", F_OK));
	SAY(access("/proc/01", F_OK));
	SAY(access("/proc/0", F_OK));
}

static unsigned long status_number(const char *key)
{
	char *p = strstr(text, key);

	return p ? strtoul(p + strlen(key), NULL, 0) : 0;
}

static void case_status(void)
{
	static const char *const keys[] = {
		"Name:\t", "Umask:\t", "State:\tR (running)", "Tgid:\t", "Pid:\t", "PPid:\t",
		"TracerPid:\t0", "Uid:\t", "Gid:\t", "FDSize:\t", "Groups:\t", "NSpid:\t", "VmPeak:\t",
		"VmSize:\t", "VmLck:\t", "VmHWM:\t", "VmRSS:\t", "RssAnon:\t", "VmData:\t", "VmStk:\t",
		"VmExe:\t", "VmLib:\t", "VmPTE:\t", "VmSwap:\t", "Threads:\t1", "SigQ:\t",
		"SigPnd:\t0000000000000000", "ShdPnd:\t0000000000000000", "SigBlk:\t0000000000000800",
		"SigIgn:\t", "SigCgt:\t", "CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t",
		"CapAmb:\t", "NoNewPrivs:\t0", "Seccomp:\t", "Cpus_allowed:\t",
		"Cpus_allowed_list:\t", "Mems_allowed:\t", "Mems_allowed_list:\t",
		"voluntary_ctxt_switches:\t", "nonvoluntary_ctxt_switches:\t", NULL,
	};
	sigset_t set;

	prctl(PR_SET_NAME, "a\nUid:\t0\\b", 0, 0, 0);
	slurp("/proc/self/status");
	printf("name in one line %d\n", has_line("Name:\ta\\nUid:\t0\\\\b\n"));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGHUP, SIG_IGN);
	umask(027);
	show_lines("/proc/self/status", keys);
	printf("umask %lo\n", status_number("Umask:\t"));
	printf("pid %d, ppid %d, ignored %d\n", status_number("\nPid:\t") == (unsigned long)getpid(),
	       status_number("PPid:\t") == (unsigned long)getppid(),
	       (int)(strtoul(strstr(text, "SigIgn:\t") + 8, NULL, 16) & 1));
	/* The way there from the root may not be everybody's. */
	SAY(chdir("/proc"));
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (setgroups(2, (gid_t[]){ 50, 60 }) < 0 || setresgid(5, 6, 7) < 0 || setresuid(1, 2, 3) < 0)
		printf("ids stay\n");
	slurp("self/status");
	printf("%d %d %d %d\n", has_line("Uid:\t1\t2\t3\t2\n"), has_line("Gid:\t5\t6\t7\t6\n"),
	       has_line("Groups:\t50 60 \n"), has_line("NoNewPrivs:\t1\n"));
}

static void case_memory(void)
{
	static char mark = 1;
	unsigned long start, end, offset, found = 0, last = 0, size;
	char perm[5], *line;
	void *area = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	SAY(slurp("/proc/self/maps") > 100);
	for (line = text; *line; line = strchr(line, '\n') + 1) {
		if (sscanf(line, "%lx-%lx %4s %lx", &start, &end, perm, &offset) != 4 || start < last ||
		    end <= start || strlen(perm) != 4)
			printf("odd line\n");
		last = end;
		if ((unsigned long)&mark >= start && (unsigned long)&mark < end)
			printf("data %s\n", perm);
		if ((unsigned long)&case_memory >= start && (unsigned long)&case_memory < end)
			printf("text %s\n", perm);
		if ((unsigned long)area >= start && (unsigned long)area + (1 << 20) <= end)
			printf("area %s\n", perm);
		if ((unsigned long)&start >= start && (unsigned long)&start < end)
			found = strstr(line, "[stack]") != NULL;
	}
	printf("stack %lu\n", found);
	SAY(slurp("/proc/self/smaps") > 1000);
	printf("%d %d %d\n", has_line("Size:"), has_line("Rss:"), has_line("Private_Dirty:"));
	SAY(slurp("/proc/self/statm") > 10);
	size = strtoul(text, &line, 10);
	printf("statm %d\n", size > 100 && strtoul(line, NULL, 10) <= size);
	SAY(slurp("/proc/self/auxv") % 16);
	printf("auxv %d\n", ((unsigned long *)(void *)text)[0] != 0);
}

static void case_words(void)
{
	char name[32] = { 0 };
	int fd;

	SAY(slurp("/proc/self/cmdline") > 0);
	printf("ends %d\n", text[strlen(text) + 1] == '\0');
	setenv("LATER", "1", 1);
	SAY(slurp("/proc/self/environ") >= 0);
	SAY(slurp("/proc/self/comm") > 1);
	fd = open("/proc/self/comm", O_RDWR);
	SAY(write(fd, "a name that is rather long", 26));
	SAY(slurp("/proc/self/comm"));
	prctl(PR_GET_NAME, name, 0, 0, 0);
	printf("\"%s\" %s", name, text);
	SAY(write(fd, "short\n", 6));
	SAY(slurp("/proc/thread-self/comm"));
	close(fd);
	SAY(readlink("/proc/self/cwd", text, 100));
	SAY(chdir("/proc/self"));
	SAY(readlink("cwd", text, 100) > 6);
	SAY(readlink("root", text, 100));
	printf("self %d\n", readlink("/proc/self", name, sizeof(name)) > 0 && atoi(name) == getpid());
	fd = open("exe", O_RDONLY);
	SAY(read(fd, text, 4));
	printf("ELF %d\n", memcmp(text, "\177ELF", 4) == 0);
	SAY(slurp("/proc/self/wchan") >= 0);
	SAY(slurp("/proc/self/loginuid") > 0);
	SAY(slurp("/proc/self/cgroup") > 0);
	printf("cgroup %d\n", strncmp(strrchr(text, ':') ? text : "", "", 0) == 0);
	SAY(slurp("/proc/self/oom_score_adj"));
	fd = open("/proc/self/oom_score_adj", O_WRONLY);
	SAY(write(fd, "77", 2));
	SAY(write(fd, "1001", 4));
	SAY(write(fd, "word", 4));
	SAY(slurp("/proc/self/oom_score_adj"));
	SAY(slurp("/proc/self/uid_map") > 0);
	SAY(write(open("/proc/self/stat", O_WRONLY), "x", 1));
	SAY(open("/proc/self/nonesuch", O_RDONLY));
	SAY(open("/proc/self/stat/x", O_RDONLY));
	SAY(mkdir("/proc/dir", 0700));
	SAY(open("/proc/file", O_CREAT | O_WRONLY, 0600));
	SAY(unlink("/proc/stat"));
	SAY(rename("/proc/stat", "/proc/stat2"));
}

static void case_limits(void)
{
	struct rlimit limit = { 123, 456 };

	setrlimit(RLIMIT_NOFILE, &limit);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	slurp("/proc/self/limits");
	printf("%d %d\n",
	       has_line("Limit                     Soft Limit           Hard Limit           Units"),
	       has_line("Max open files            123                  456                  files"));
	printf("%d\n",
	       has_line("Max core file size        0                    0                    bytes"));
}

/* --- descriptors, threads --- */

static int count_dir(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return -1;
	for (struct dirent *e; (e = readdir(dir)); n++) {
		if (e->d_ino == 0 || e->d_type == DT_UNKNOWN)
			printf("odd entry %s\n", e->d_name);
	}
	closedir(dir);
	return n;
}

static void show_link(const char *path)
{
	char link[256] = { 0 };
	struct stat st;

	if (readlink(path, link, sizeof(link) - 1) < 0) {
		printf("%s: %s\n", path, strerrorname_np(errno));
		return;
	}
	if (strchr(link, '['))
		*strchr(link, '[') = '\0';
	lstat(path, &st);
	printf("%s: %s %o", path, link, st.st_mode & S_IFMT);
	printf(" leads to %o\n", stat(path, &st) < 0 ? 0 : st.st_mode & S_IFMT);
}

static void case_descriptors(void)
{
	char path[64], back[64];
	int fds[2], s[2], fd, again, before;

	closefrom(3);
	before = count_dir("/proc/self/fd");
	if (pipe(fds) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
		printf("no descriptors\n");
	printf("more %d\n", count_dir("/proc/self/fd") - before);
	fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0)
		printf("no file\n");
	SAY(pwrite(fd, "content", 7, 0));
	SAY(lseek(fd, 3, SEEK_SET));
	show_link("/proc/self/fd/3");
	show_link("/proc/self/fd/5");
	show_link("/proc/self/fd/99");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	SAY(read(again, back, 10));
	SAY(lseek(fd, 0, SEEK_CUR));
	SAY(write(fds[1], "x", 1));
	again = open("/proc/self/fd/3", O_RDONLY | O_NONBLOCK);
	SAY(read(again, back, 10));
	SAY(open("/proc/self/fd/5", O_RDWR));
	SAY(open("/proc/self/fd/99", O_RDWR));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	slurp(path);
	printf("%d %d\n", has_line("pos:\t3\n"), has_line("flags:\t020100002\n") || has_line("flags:\t"));
	close(fd);
	SAY(slurp(path));
	SAY(count_dir("/proc/self/fdinfo") == count_dir("/proc/self/fd"));
	SAY(unlink("/proc/self/fd/3"));
}

static void case_threads(void)
{
	char path[64];
	pthread_t threads[3];
	struct stat st;

	printf("%d\n", count_dir("/proc/self/task"));
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_create(&threads[i], NULL, sleeper, NULL);
	printf("%d\n", count_dir("/proc/self/task"));
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int)getpid() + 1);
	SAY(slurp("/proc/thread-self/status") > 0);
	printf("threads %lu\n", status_number("Threads:\t"));
	SAY(stat("/proc/self/task", &st));
	printf("%o\n", st.st_mode);
	SAY(access("/proc/self/task/5000000", F_OK));
	SAY(access("/proc/thread-self/fd/0", F_OK));
	SAY(access("/proc/thread-self/task", F_OK));
}

/* --- the machine --- */

static void case_machine(void)
{
	static const char *const meminfo[] = { "MemTotal:", "MemFree:", "MemAvailable:", "Buffers:",
					       "Cached:", "SwapTotal:", "SwapFree:", "Shmem:",
					       "SReclaimable:", "HugePages_Total:", "Hugepagesize:",
					       "Committed_AS:", NULL };
	static const char *const stat[] = { "cpu  ", "cpu0 ", "intr ", "ctxt ", "btime ", "processes ",
					    "procs_running ", NULL };
	static const char *const cpuinfo[] = { "processor\t: 0", "vendor_id\t: ", "model name\t: ",
					       "flags\t\t: ", NULL };
	static const char *const filesystems[] = { "nodev\tproc", "nodev\ttmpfs", "nodev\tsysfs", NULL };
	double up, idle, one, five, fifteen;
	struct sysinfo info;
	struct statfs fs;
	struct stat st;
	int fd, cpus = 0;
	char part[16];

	show_lines("/proc/meminfo", meminfo);
	SAY(sysinfo(&info));
	printf("memory %d, procs %d\n",
	       status_number("MemTotal:") == info.totalram * info.mem_unit / 1024, info.procs > 0);
	show_lines("/proc/stat", stat);
	show_lines("/proc/filesystems", filesystems);
	show_lines("/proc/cpuinfo", cpuinfo);
	for (const char *p = text; (p = strstr(p, "processor\t: ")); p++)
		cpus++;
	printf("processors %d\n", cpus == sysconf(_SC_NPROCESSORS_ONLN));
	slurp("/proc/uptime");
	printf("uptime %d\n", sscanf(text, "%lf %lf", &up, &idle));
	slurp("/proc/loadavg");
	printf("loadavg %d\n", sscanf(text, "%lf %lf %lf %d/%*d %*d", &one, &five, &fifteen, &cpus));
	SAY(slurp("/proc/version") > 10);
	printf("%d\n", strncmp(text, "Linux version ", 14));
	SAY(slurp("/proc/mounts") > 10);
	printf("%d\n", strstr(text, " /proc proc ") != NULL);
	SAY(slurp("/proc/self/mountinfo") > 10);
	printf("%d\n", strstr(text, " / /proc ") != NULL && strstr(text, " - proc ") != NULL);
	SAY(statfs("/proc", &fs));
	printf("%#lx\n", (long)fs.f_type);
	SAY(lstat("/proc/stat", &st));
	printf("%o %ld\n", st.st_mode, (long)st.st_size);
	fd = open("/proc/version", O_RDONLY);
	SAY(read(fd, part, 5));
	SAY(read(fd, part, 8));
	printf("%.8s\n", part);
	SAY(lseek(fd, 0, SEEK_SET));
	SAY(pread(fd, part, 5, 6));
	printf("%.5s\n", part);
	SAY(lseek(fd, -1, SEEK_SET));
	SAY(read(fd, part, 5));
	SAY(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
}

static void case_sys(void)
{
	static const char *const files[] = {
		"/proc/sys/kernel/pid_max", "/proc/sys/kernel/ngroups_max", "/proc/sys/vm/overcommit_memory",
		"/proc/sys/net/core/somaxconn", "/proc/sys/kernel/random/uuid",
		"/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/cap_last_cap",
		"/proc/sys/fs/file-max", "/proc/sys/fs/pipe-max-size", "/proc/sys/kernel/osrelease",
		"/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible",
	};
	static const char *const dirs[] = { "/proc/sys", "/proc/sys/kernel", "/sys", "/sys/devices/system/cpu",
					    "/sys/devices/system/node/node0", "/sys/class/net",
					    "/proc/self/net", "/sys/fs/cgroup" };
	static const char *const net[] = { "tcp", "tcp6", "udp", "udp6", "unix", "dev", "route" };
	char first[64], path[64];
	struct utsname name;

	for (size_t i = 0; i < COUNT(files); i++)
		printf("%s %d\n", files[i], slurp(files[i]) > 0 && text[strlen(text) - 1] == '\n');
	for (size_t i = 0; i < COUNT(dirs); i++)
		printf("%s %d\n", dirs[i], count_dir(dirs[i]) > 1);
	for (size_t i = 0; i < COUNT(net); i++) {
		snprintf(path, sizeof(path), "/proc/net/%s", net[i]);
		printf("%s %d\n", path, slurp(path) > 0 && text[strlen(text) - 1] == '\n');
	}
	uname(&name);
	slurp("/proc/sys/kernel/osrelease");
	text[strcspn(text, "\n")] = '\0';
	printf("release %d, machine %s %s\n", strcmp(text, name.release), name.sysname, name.machine);
	slurp("/proc/sys/kernel/hostname");
	text[strcspn(text, "\n")] = '\0';
	printf("hostname %d\n", strcmp(text, name.nodename));
	slurp("/proc/sys/kernel/random/uuid");
	strcpy(first, text);
	slurp("/proc/sys/kernel/random/uuid");
	printf("uuids differ %d, length %zu\n", strcmp(first, text) != 0, strlen(text));
	slurp("/proc/sys/kernel/random/boot_id");
	strcpy(first, text);
	slurp("/proc/sys/kernel/random/boot_id");
	printf("boots differ %d\n", strcmp(first, text) != 0);
}

/* What a program is told that asks for an older machine */
static void case_disguise(void)
{
	struct utsname name;

	SAY(personality(PER_LINUX32 | UNAME26) >= 0);
	uname(&name);
	printf("an old kernel %d, machine %s\n", strncmp(name.release, "2.6.", 4) == 0 &&
	       atoi(name.release + 4) > 60, name.machine);
	SAY(personality(PER_LINUX) == (PER_LINUX32 | UNAME26));
	for (int class = 2; class < 9; class++)
		SAY(syscall(SYS_ioprio_set, 1, 0, class << 13 | 4));
	SAY(syscall(SYS_ioprio_set, 1, 0, 4));
	SAY(syscall(SYS_ioprio_set, 1, 0, 0));
	SAY(syscall(SYS_ioprio_get, 1, 0));
	SAY(access("/sys/dev/block", R_OK));
	SAY(access("/sys/dev/char", R_OK));
}

static void case_calls(void)
{
	char bytes[5000] = { 0 };
	int nonzero = 0;

	SAY(getrandom(bytes, 4096, 0));
	for (size_t i = 0; i < sizeof(bytes); i++)
		nonzero += bytes[i] != 0;
	printf("random %d\n", nonzero > 3000);
	SAY(getrandom(bytes, 0, 0));
	SAY(getrandom((void *)0x10, 8, 0));
	SAY(getrandom(bytes, 8, 0x80));
	SAY(getrandom(bytes, 8, GRND_RANDOM | GRND_NONBLOCK));
	SAY(getrandom(bytes, 8, GRND_RANDOM | GRND_INSECURE));
	SAY(uname((void *)0x10));
	SAY(sysinfo((void *)0x10));
	if (setresuid(12345, 12345, 12345) < 0)
		printf("uid stays\n");
	SAY(sethostname("name", 4));
	SAY(setdomainname("name", 4));
	SAY(syscall(SYS_reboot, 0, 0, 0, 0));
	SAY(syscall(SYS_swapon, "/", 0));
	SAY(syscall(SYS_vhangup));
	SAY(syscall(SYS_uselib, "x"));
}

static const struct guest_case cases[] = {
	{ "stat", case_stat },	   { "status", case_status },	{ "memory", case_memory },
	{ "words", case_words },   { "limits", case_limits },	{ "descriptors", case_descriptors },
	{ "threads", case_threads }, { "machine", case_machine }, { "sys", case_sys },
	{ "disguise", case_disguise },
	{ "calls", case_calls },
};

int main(int argc, char **argv)
{
	return guest_run(cases, COUNT(cases), argc, argv);
}
