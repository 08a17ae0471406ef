/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files: descriptors, sizes, mappings, locks, files without a name, devices, programs that run;
 * results and errors, in memory and on a file system of the host.
 */
#include <linux/close_range.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "guest_files.h"

/* --- descriptors --- */

static void test_path_descriptors(void)
{
	struct stat st;
	char buf[16], link[64];
	int fd;

	close(guest_make("f", "text"));
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
	guest_show_stat("f");
}

static void test_descriptors(void)
{
	struct rlimit limit = { 20, 20 };
	int fd = guest_make("f", "0123456789"), other;

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
	int fd = guest_make("f", "0123456789");
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
	guest_show_stat("f");
	OK(fallocate(fd, 0, 0, 0));
	OK(fallocate(fd, 0, -1, 5));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 5));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, 2));
	SAY(pread(fd, buf, 5, 0));
	printf("%d %d %d %d\n", buf[0], buf[1], buf[2], buf[3]);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 1 << 20));
	OK(fallocate(fd, 0, 1 << 20, 1 << 20));
	guest_show_stat("f");
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
	int fd = guest_make("f", "");
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

/* --- locks --- */

static struct flock lock_of(short type, off_t start, off_t len)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
}

static void test_locks(void)
{
	int fd = guest_make("f", "0123456789"), other = open("f", O_RDWR), to[2], from[2], status;
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
	guest_await_sleep(pid, pid);
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

struct lock_waiter {
	int fd, error;
	volatile pid_t tid;
};

static void *lock_wait(void *data)
{
	struct flock lock = lock_of(F_WRLCK, 0, 1);
	struct lock_waiter *waiter = data;

	waiter->tid = gettid();
	waiter->error = fcntl(waiter->fd, F_SETLKW, &lock) < 0 ? errno : 0;
	return NULL;
}

/* Its descriptor is closed while a thread waits: nobody may be left with the lock. */
static void test_lock_closed(void)
{
	int fd = guest_make("f", "01"), to[2], from[2];
	struct flock lock = lock_of(F_WRLCK, 0, 1);
	struct lock_waiter waiter = { 0 };
	pthread_t thread;
	pid_t pid;
	char c;

	pipe(to);
	pipe(from);
	OK(fcntl(fd, F_SETLK, &lock));
	pid = fork();
	if (pid == 0) {
		waiter.fd = open("f", O_RDWR);
		pthread_create(&thread, NULL, lock_wait, &waiter);
		while (!waiter.tid)
			usleep(1000);
		guest_await_sleep(getpid(), waiter.tid);
		close(waiter.fd);
		write(from[1], "x", 1);
		pthread_join(thread, NULL);
		write(from[1], "x", 1);
		read(to[0], &c, 1);
		printf("the waiter: %s\n", strerrorname_np(waiter.error));
		fflush(stdout);
		_exit(0);
	}
	read(from[0], &c, 1);
	lock.l_type = F_UNLCK;
	OK(fcntl(fd, F_SETLK, &lock));
	read(from[0], &c, 1);
	lock.l_type = F_WRLCK;
	OK(fcntl(fd, F_SETLK, &lock));
	fflush(stdout);
	write(to[1], "x", 1);
	waitpid(pid, NULL, 0);
}

static void test_lock_interrupted(void)
{
	int fd = guest_make("f", "x"), other;
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
	guest_show_stat("named");
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
		SAY(pread(fd, buf, 10, 1ul << 40));
		SAY(pwrite(fd, buf, i < 3 ? 10 : 0, 77));
		SAY(lseek(fd, 0, SEEK_CUR));
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
	int fd = guest_make("f", "0123456789"), n = 0;

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
	/* It has been started when it waits for us. */
	guest_await_sleep(pid, pid);
	OK(open("prog", O_WRONLY));
	OK(open("prog", O_RDWR | O_TRUNC));
	OK(truncate("prog", 1));
	write(to[1], "x", 1);
	waitpid(pid, &status, 0);
	guest_show_status("executed", status);
	/* Who looks into its memory just then keeps it a moment longer. */
	while (open("prog", O_WRONLY) < 0 && errno == ETXTBSY)
		usleep(1000);
	OK(open("prog", O_WRONLY));
}

static const struct guest_case cases[] = {
	{ "path_descriptors", test_path_descriptors },
	{ "descriptors", test_descriptors },
	{ "sizes", test_sizes },
	{ "mapped", test_mapped },
	{ "locks", test_locks },
	{ "lock_closed", test_lock_closed },
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
