/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: what mappings hold after whatever is done to them, what fork shares, and every call with
 * arguments that cannot be. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "guest.h"

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf fault_out;
static siginfo_t fault_info;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	fault_info = *info;
	siglongjmp(fault_out, 1);
}

static void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static const char *fault_name(const volatile void *at)
{
	static char text[80];

	snprintf(text, sizeof(text), "%s code %d%s", sigabbrev_np(fault_info.si_signo),
		 fault_info.si_code, fault_info.si_addr == at ? "" : " at another address");
	return text;
}

static const char *try_read(const volatile char *at)
{
	static char text[80];

	if (sigsetjmp(fault_out, 1))
		return fault_name(at);
	snprintf(text, sizeof(text), "%d", *at);
	return text;
}

static const char *try_write(volatile char *at, char value)
{
	if (sigsetjmp(fault_out, 1))
		return fault_name(at);
	*at = value;
	return "ok";
}

static char *map(size_t pages, int prot, int flags)
{
	char *p = mmap(NULL, pages * PAGE, prot, flags, -1, 0);

	if (p == MAP_FAILED) {
		printf("mmap: %s\n", strerrorname_np(errno));
		_exit(1);
	}
	return p;
}

static int file_of(size_t size, char fill)
{
	char name[] = "/tmp/guest_memory.XXXXXX";
	char block[PAGE];
	int fd = mkstemp(name);

	unlink(name);
	memset(block, fill, sizeof(block));
	for (size_t done = 0; done < size; done += PAGE) {
		size_t n = size - done < PAGE ? size - done : PAGE;

		if (write(fd, block, n) != (ssize_t)n)
			_exit(1);
	}
	return fd;
}

/* --- rights --- */

static void case_rights(void)
{
	static const int prots[] = { PROT_NONE, PROT_READ, RW, PROT_WRITE, PROT_READ | PROT_EXEC };
	char *p = map(COUNT(prots) + 1, RW, ANON);

	catch_faults();
	for (size_t i = 0; i < COUNT(prots); i++) {
		p[i * PAGE] = (char)(i + 1);
		printf("protect %d: %s\n", prots[i],
		       guest_answer(mprotect(p + i * PAGE, PAGE, prots[i])));
		printf("  read %s\n", try_read(p + i * PAGE));
		printf("  write %s\n", try_write(p + i * PAGE, 9));
	}
	munmap(p + PAGE, 3 * PAGE);
	printf("unmapped: read %s\n", try_read(p + PAGE));
	printf("after: read %s\n", try_read(p + 4 * PAGE));
	printf("last: read %s\n", try_read(p + 5 * PAGE));
	printf("null: read %s\n", try_read(NULL));
	printf("low: write %s\n", try_write((char *)8, 1));
	mprotect(p, PAGE, RW);
	printf("kept: %d\n", p[0]);
}

static void case_code(void)
{
	static const unsigned char text[] = { 0xb8, 42, 0, 0, 0, 0xc3 }; /* mov $42, %eax; ret */
	unsigned char *p = (unsigned char *)map(1, RW, ANON);
	int (*fn)(void) = (int (*)(void))p;

	catch_faults();
	memcpy(p, text, sizeof(text));
	if (sigsetjmp(fault_out, 1))
		printf("not executable: %s\n", fault_name(p));
	else
		printf("ran: %d\n", fn());
	for (int i = 0; i < 3; i++) {
		mprotect(p, PAGE, PROT_READ | PROT_EXEC);
		printf("ran: %d\n", fn());
		mprotect(p, PAGE, RW);
		p[1]++;
	}
}

/* --- bad arguments --- */

static void show(const char *what, long r)
{
	printf("%s: %s\n", what, guest_answer(r));
}

static void case_mmap_errors(void)
{
	static const struct {
		const char *name;
		unsigned long addr, len;
		int prot, flags, fd;
		long offset;
	} rows[] = {
		{ "length 0", 0, 0, RW, ANON, -1, 0 },
		{ "length -1", 0, -1ul, RW, ANON, -1, 0 },
		{ "length -page", 0, -PAGE, RW, ANON, -1, 0 },
		{ "length half", 0, 1ul << 63, RW, ANON, -1, 0 },
		{ "length everything", 0, 1ul << 47, RW, ANON, -1, 0 },
		{ "no type", 0, PAGE, RW, MAP_ANONYMOUS, -1, 0 },
		{ "both types", 0, PAGE, RW, MAP_ANONYMOUS | MAP_SHARED_VALIDATE, -1, 0 },
		{ "fixed, odd", 0x10000001, PAGE, RW, ANON | MAP_FIXED, -1, 0 },
		{ "fixed, high", -PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0 },
		{ "fixed, end", 0x7ffffffff000, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0 },
		{ "no file", 0, PAGE, RW, MAP_PRIVATE, -1, 0 },
		{ "no such file", 0, PAGE, RW, MAP_PRIVATE, 999, 0 },
		{ "odd offset", 0, PAGE, RW, MAP_PRIVATE, 0, 1 },
		{ "a pipe", 0, PAGE, PROT_READ, MAP_PRIVATE, 50, 0 },
		{ "a directory", 0, PAGE, PROT_READ, MAP_PRIVATE, 51, 0 },
		{ "read only, shared", 0, PAGE, RW, MAP_SHARED, 52, 0 },
		{ "read only, private", 0, PAGE, RW, MAP_PRIVATE, 52, 0 },
		{ "write only", 0, PAGE, PROT_READ, MAP_SHARED, 53, 0 },
		{ "path only", 0, PAGE, PROT_READ, MAP_PRIVATE, 54, 0 },
		{ "far offset", 0, PAGE, PROT_READ, MAP_PRIVATE, 52, 0x7ffffffffffff000 },
		{ "stack of a file", 0, PAGE, RW, MAP_PRIVATE | MAP_GROWSDOWN, 52, 0 },
	};
	int ends[2];

	if (pipe(ends) < 0)
		_exit(1);
	dup2(ends[0], 50);
	dup2(open("/", O_RDONLY), 51);
	dup2(open("/proc/self/exe", O_RDONLY), 52);
	dup2(open("/tmp", O_TMPFILE | O_WRONLY, 0600), 53);
	dup2(open("/proc/self/exe", O_PATH), 54);
	for (size_t i = 0; i < COUNT(rows); i++) {
		long r = syscall(SYS_mmap, rows[i].addr, rows[i].len, rows[i].prot, rows[i].flags,
				 rows[i].fd, rows[i].offset);

		show(rows[i].name, r == -1 ? -1 : 0);
	}
}

static void case_other_errors(void)
{
	char *p = map(8, RW, ANON);
	char *q = p + 3 * PAGE;

	munmap(q, PAGE); /* a hole */
	show("munmap odd", munmap(p + 1, PAGE));
	show("munmap nothing", munmap(p, 0));
	show("munmap huge", munmap(p, -PAGE));
	show("munmap hole", munmap(q, PAGE));
	show("munmap high", munmap((void *)-PAGE, PAGE));
	show("mprotect odd", mprotect(p + 1, PAGE, RW));
	show("mprotect nothing", mprotect(p, 0, RW));
	show("mprotect hole", mprotect(q, PAGE, RW));
	show("mprotect across", mprotect(p, 8 * PAGE, RW));
	show("mprotect huge", mprotect(p, -1ul, RW));
	show("mprotect unknown", mprotect(p, PAGE, 0x100));
	show("mprotect growsdown", mprotect(p, PAGE, RW | PROT_GROWSDOWN));
	show("madvise odd", madvise(p + 1, PAGE, MADV_NORMAL));
	show("madvise unknown", madvise(p, PAGE, 4711));
	show("madvise hole", madvise(p, 8 * PAGE, MADV_WILLNEED));
	show("madvise huge", madvise(p, -1ul, MADV_NORMAL));
	show("madvise remove", madvise(p, PAGE, MADV_REMOVE));
	show("msync odd", msync(p + 1, PAGE, MS_ASYNC));
	show("msync both", msync(p, PAGE, MS_ASYNC | MS_SYNC));
	show("msync unknown", msync(p, PAGE, 0x80));
	show("msync hole", msync(p, 8 * PAGE, MS_SYNC));
	show("mincore odd", mincore(p + 1, PAGE, (unsigned char *)p));
	show("mincore hole", mincore(p, 8 * PAGE, (unsigned char *)p));
	show("mincore nowhere", mincore(p, PAGE, (unsigned char *)8));
	show("mincore huge", mincore(p, -1ul, (unsigned char *)p));
	show("mlock hole", mlock(p, 8 * PAGE));
	show("mlock huge", mlock(p, -1ul));
	show("mlockall 0", mlockall(0));
	show("mlockall unknown", mlockall(64));
	show("mremap odd", (long)mremap(p + 1, PAGE, PAGE, 0));
	show("mremap to nothing", (long)mremap(p, PAGE, 0, 0));
	show("mremap hole", (long)mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	show("mremap fixed only", (long)mremap(p, PAGE, PAGE, MREMAP_FIXED, p + PAGE));
	show("mremap overlap", (long)mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
					    p + PAGE));
	show("mremap no room", (long)mremap(p, PAGE, 2 * PAGE, 0));
	show("mremap of none", (long)mremap(p, 0, PAGE, MREMAP_MAYMOVE));
	show("mremap unknown", (long)mremap(p, PAGE, PAGE, 64));
	show("pkey_mprotect", syscall(SYS_pkey_mprotect, p, PAGE, RW, -1));
	show("mbind unknown", syscall(SYS_mbind, p, PAGE, 99, NULL, 0, 0));
}

/* --- brk --- */

static void case_brk(void)
{
	char *start = sbrk(0);

	catch_faults();
	printf("grow: %s\n", guest_answer(brk(start + 5 * PAGE)));
	start[4 * PAGE] = 1;
	printf("shrink: %s\n", guest_answer(brk(start + PAGE)));
	printf("beyond: %s\n", sigsetjmp(fault_out, 1) ? fault_name(start + 4 * PAGE + 4095) :
							 (start[4 * PAGE + 4095] = 1, "ok"));
	printf("again: %s\n", guest_answer(brk(start + 5 * PAGE)));
	printf("zero: %d\n", start[4 * PAGE]);
	printf("far: %s\n", guest_answer(brk((void *)0x7f0000000000)));
	printf("low: %s\n", syscall(SYS_brk, 1) == (long)(start + 5 * PAGE) ? "stays" : "moved");
}

/* --- files --- */

static void show_file(int fd, off_t at)
{
	char c = '?';

	printf("file: %c\n", pread(fd, &c, 1, at) == 1 ? c : '-');
}

static void case_file_shared(void)
{
	int fd = file_of(2 * PAGE + 100, 'a');
	char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	char *q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);

	catch_faults();
	p[PAGE] = 'b';
	printf("other view: %c\n", q[0]);
	show_file(fd, PAGE);
	if (pwrite(fd, "c", 1, PAGE) != 1)
		_exit(1);
	printf("after pwrite: %c %c\n", p[PAGE], q[0]);
	printf("tail: %s\n", try_read(p + 2 * PAGE + 100));
	printf("beyond: %s\n", try_read(p + 3 * PAGE));
	printf("grow: %s\n", guest_answer(ftruncate(fd, 4 * PAGE)));
	printf("now: %s\n", try_read(p + 3 * PAGE));
	printf("cut: %s\n", guest_answer(ftruncate(fd, PAGE)));
	printf("now: %s\n", try_read(p + PAGE));
	printf("protect: %s\n", guest_answer(mprotect(q, PAGE, RW)));
	printf("sync: %s\n", guest_answer(msync(p, PAGE, MS_SYNC)));
	close(fd);
	p[0] = 'z';
	printf("closed: %c\n", p[0]);
}

static void case_file_private(void)
{
	int fd = file_of(600 * PAGE, 'a');
	char *p = mmap(NULL, 600 * PAGE, RW, MAP_PRIVATE, fd, 0);

	for (size_t i = 0; i < 600; i += 7)
		p[i * PAGE] = 'b';
	show_file(fd, 0);
	show_file(fd, 7 * PAGE);
	for (size_t i = 0; i < 600; i++) {
		if (p[i * PAGE] != (i % 7 ? 'a' : 'b') || p[i * PAGE + 1] != 'a')
			printf("page %zu: %c\n", i, p[i * PAGE]);
	}
	printf("dontneed: %s\n", guest_answer(madvise(p, 600 * PAGE, MADV_DONTNEED)));
	printf("the file's again: %c\n", p[7 * PAGE]);
	if (fork() == 0) {
		p[0] = 'c';
		_exit(0);
	}
	wait(NULL);
	printf("not the child's: %c\n", p[0]);
}

/* A file's pages as arguments of calls. */
static void case_file_as_buffer(void)
{
	int fd = file_of(4 * PAGE, 'a');
	char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	char buf[64] = "";
	int ends[2];

	if (pipe(ends) < 0)
		_exit(1);
	printf("write from: %zd\n", write(ends[1], p + PAGE - 10, 20));
	printf("read: %zd %.20s\n", read(ends[0], buf, 20), buf);
	printf("write: %zd\n", write(ends[1], "0123456789", 10));
	printf("read into: %zd\n", read(ends[0], p + 2 * PAGE - 5, 10));
	printf("%.10s\n", p + 2 * PAGE - 5);
	show_file(fd, 2 * PAGE + 4);
	strcpy(p, "/proc/self/exe");
	printf("as a path: %s\n", guest_answer(access(p, R_OK)));
	printf("cut: %s\n", guest_answer(ftruncate(fd, PAGE)));
	printf("write from what is gone: %s\n", guest_answer(write(ends[1], p + 2 * PAGE, 10)));
	printf("read into what is gone: %s\n", (write(ends[1], "x", 1),
						guest_answer(read(ends[0], p + 2 * PAGE, 1))));
}

/* --- fork --- */

static void case_fork(void)
{
	char *private = map(64, RW, ANON);
	char *shared = map(64, RW, MAP_SHARED | MAP_ANONYMOUS);
	int bad = 0;

	for (size_t i = 0; i < 64; i++)
		private[i * PAGE] = shared[i * PAGE] = (char)i;
	for (int round = 0; round < 3; round++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (size_t i = 0; i < 64; i += 2) {
				bad += private[i * PAGE] != (char)(i + round);
				private[i * PAGE] = 100;
				shared[i * PAGE]++;
			}
			_exit(bad);
		}
		for (size_t i = 0; i < 64; i++)
			private[i * PAGE]++;
		int status;

		waitpid(pid, &status, 0);
		guest_show_status("child", status);
	}
	for (size_t i = 0; i < 64; i++) {
		bad += private[i * PAGE] != (char)(i + 3);
		bad += shared[i * PAGE] != (char)(i % 2 ? i : i + 3);
	}
	printf("bad: %d\n", bad);
}

static void case_fork_advice(void)
{
	char *p = map(3, RW, ANON);
	int status;

	catch_faults();
	p[0] = p[PAGE] = p[2 * PAGE] = 5;
	show("dontfork", madvise(p, PAGE, MADV_DONTFORK));
	show("wipeonfork", madvise(p + PAGE, PAGE, MADV_WIPEONFORK));
	fflush(stdout);
	if (fork() == 0) {
		printf("child: %s\n", try_read(p));
		printf("child: %s\n", try_read(p + PAGE));
		printf("child: %s\n", try_read(p + 2 * PAGE));
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	guest_show_status("child", status);
	printf("parent: %d %d %d\n", p[0], p[PAGE], p[2 * PAGE]);
}

/* Threads write while others fork: nothing may get lost. */
static char *busy_pages;
static volatile bool busy_stop;

static void *busy_writer(void *arg)
{
	size_t first = (size_t)arg;
	unsigned char round = 0;

	while (!busy_stop) {
		round++;
		for (size_t i = first; i < 64; i += 2)
			busy_pages[i * PAGE] = (char)round;
		for (size_t i = first; i < 64; i += 2) {
			if (busy_pages[i * PAGE] != (char)round)
				return (void *)1;
		}
	}
	return NULL;
}

static void *busy_reader(void *arg)
{
	int *ends = arg;
	char *buf = busy_pages + 64 * PAGE;

	while (!busy_stop) {
		for (size_t i = 0; i < 8; i++) {
			unsigned char want = (unsigned char)(rand() | 1);

			memset(buf + 8 * PAGE, want, 2 * PAGE);
			if (write(ends[1], buf + 8 * PAGE, 2 * PAGE) != (ssize_t)(2 * PAGE) ||
			    read(ends[0], buf, 2 * PAGE) != (ssize_t)(2 * PAGE) ||
			    memcmp(buf, buf + 8 * PAGE, 2 * PAGE) != 0)
				return (void *)1;
		}
	}
	return NULL;
}

static void case_fork_busy(void)
{
	pthread_t threads[3];
	int ends[2];

	if (pipe(ends) < 0)
		_exit(1);
	busy_pages = map(80, RW, ANON);
	pthread_create(&threads[0], NULL, busy_writer, (void *)0);
	pthread_create(&threads[1], NULL, busy_writer, (void *)1);
	pthread_create(&threads[2], NULL, busy_reader, ends);
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (size_t k = 0; k < 64; k++)
				busy_pages[k * PAGE] = 77;
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	busy_stop = true;
	for (int i = 0; i < 3; i++) {
		void *result;

		pthread_join(threads[i], &result);
		printf("thread %d: %s\n", i, result ? "lost a write" : "ok");
	}
}

/* --- mremap --- */

static void case_mremap(void)
{
	char *p = map(4, RW, ANON);
	char *q;

	catch_faults();
	for (int i = 0; i < 4; i++)
		p[i * PAGE] = (char)(i + 1);
	q = mremap(p, 4 * PAGE, 400 * PAGE, MREMAP_MAYMOVE);
	printf("grown: %d %d %d\n", q[0], q[3 * PAGE], q[399 * PAGE]);
	q[399 * PAGE] = 7;
	q = mremap(q, 400 * PAGE, 2 * PAGE, 0);
	printf("shrunk: %d %s\n", q[PAGE], try_read(q + 2 * PAGE));
	p = map(8, PROT_NONE, ANON);
	q = mremap(q, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 2 * PAGE);
	printf("placed: %d %d %d\n", q == p + 2 * PAGE, q[0], q[2 * PAGE]);
	printf("around: %s\n", try_read(p + PAGE));
	for (size_t n = 3; n < 200; n++) {
		char *r = mremap(q, n * PAGE, (n + 1) * PAGE, MREMAP_MAYMOVE);

		if (r == MAP_FAILED) {
			printf("mremap: %s\n", strerror(errno));
			return;
		}
		q = r;
		q[n * PAGE] = (char)n;
	}
	for (size_t n = 3; n < 200; n++) {
		if (q[n * PAGE] != (char)n)
			printf("page %zu lost\n", n);
	}
	q = map(2, RW, MAP_SHARED | MAP_ANONYMOUS);
	q[0] = 3;
	p = mremap(q, 0, 2 * PAGE, MREMAP_MAYMOVE);
	p[0]++;
	printf("second view: %d\n", q[0]);
}

/* --- limits, locks, stack --- */

static void set_limit(int resource, rlim_t value)
{
	struct rlimit limit = { value, value };

	setrlimit(resource, &limit);
}

static void show_map(const char *what, size_t len, int prot)
{
	show(what, mmap(NULL, len, prot, ANON, -1, 0) == MAP_FAILED ? -1 : 0);
}

static void case_limits(void)
{
	set_limit(RLIMIT_AS, 64 << 20);
	show_map("as", 128 << 20, PROT_NONE);
	show_map("as, less", 8 << 20, PROT_NONE);
	set_limit(RLIMIT_DATA, 8 << 20);
	show_map("data", 16 << 20, RW);
	show_map("data, read only", 16 << 20, PROT_READ);
	show("brk", sbrk(16 << 20) == (void *)-1 ? -1 : 0);
}

static volatile char stack_sink;

static void deep(int n)
{
	volatile char block[8192];

	block[0] = (char)n;
	if (n)
		deep(n - 1);
	stack_sink = block[0];
}

static void case_stack(void)
{
	deep(900); /* 7 MiB of 8 */
	printf("deep enough\n");
	fflush(stdout);
	deep(2000);
}

static void case_mlock(void)
{
	char *p = map(4, RW, ANON);
	unsigned char vec[4];

	show("mlock", mlock(p, 2 * PAGE));
	show("dontneed", madvise(p, PAGE, MADV_DONTNEED));
	show("munlock", munlock(p, 2 * PAGE));
	show("dontneed", madvise(p, PAGE, MADV_DONTNEED));
	show("mlock2", mlock2(p, PAGE, MLOCK_ONFAULT));
	show("munlockall", munlockall());
	p[3 * PAGE] = 1;
	show("mincore", mincore(p, 4 * PAGE, vec));
	printf("in core: %d\n", vec[3] & 1);
}

/* --- process_vm_* --- */

static void case_process_vm(void)
{
	char *p = map(3, RW, ANON);
	char here[3 * PAGE];
	struct iovec local = { here, 2 * PAGE };
	struct iovec remote = { p + 100, 2 * PAGE };
	int ends[2];
	pid_t pid;
	char c;

	if (pipe(ends) < 0)
		_exit(1);
	memset(p, 'p', 3 * PAGE);
	pid = fork();
	if (pid == 0) {
		memset(p, 'c', 3 * PAGE);
		if (write(ends[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	if (read(ends[0], &c, 1) != 1)
		_exit(1);
	printf("read: %zd\n", process_vm_readv(pid, &local, 1, &remote, 1, 0));
	printf("content: %c %c\n", here[0], here[2 * PAGE - 1]);
	memset(here, 'w', sizeof(here));
	printf("write: %zd\n", process_vm_writev(pid, &local, 1, &remote, 1, 0));
	memset(here, 0, sizeof(here));
	printf("read: %zd\n", process_vm_readv(pid, &local, 1, &remote, 1, 0));
	printf("content: %c mine: %c\n", here[0], p[100]);
	local.iov_len = remote.iov_len = 3 * PAGE;
	munmap(p + 2 * PAGE, PAGE);
	show("nobody", process_vm_readv(NOBODY, &local, 1, &remote, 1, 0));
	show("flags", process_vm_readv(pid, &local, 1, &remote, 1, 1));
	remote.iov_base = (void *)16;
	show("nowhere", process_vm_readv(pid, &local, 1, &remote, 1, 0));
	kill(pid, SIGKILL);
	wait(NULL);
}

/* --- what calls do with pointers that lead nowhere --- */

static void case_pointers(void)
{
	static const unsigned long rows[] = { 0, 8, 0x7ffffffff000, 0x7e0000000000, 0x800000000000,
					      0xffff800000000000, -4096ul, -1ul, -8ul };
	char *p = map(2, RW, ANON);
	int fd = open("/dev/zero", O_RDONLY);
	int out = open("/dev/null", O_WRONLY);

	munmap(p + PAGE, PAGE);
	for (size_t i = 0; i < COUNT(rows); i++) {
		void *bad = (void *)rows[i];

		printf("row %zu: read %s", i, guest_answer(syscall(SYS_read, fd, bad, 16)));
		printf(", stat %s", guest_answer(syscall(SYS_stat, "/", bad)));
		printf(", path %s", guest_answer(syscall(SYS_access, bad, 0)));
		printf(", writev %s\n", guest_answer(syscall(SYS_writev, out, bad, 2)));
	}
	printf("up to the end: %zd\n", syscall(SYS_read, fd, p + PAGE - 16, 16));
	printf("across: %ld\n", syscall(SYS_read, fd, p + PAGE - 16, 32));
	memset(p, 'a', PAGE);
	printf("path without end: %s\n", guest_answer(access(p + PAGE - 20, 0)));
	printf("long path: %s\n", guest_answer(access(map(2, PROT_READ, ANON), 0)));
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "rights", case_rights },
		{ "code", case_code },
		{ "mmap_errors", case_mmap_errors },
		{ "other_errors", case_other_errors },
		{ "brk", case_brk },
		{ "file_shared", case_file_shared },
		{ "file_private", case_file_private },
		{ "file_as_buffer", case_file_as_buffer },
		{ "fork", case_fork },
		{ "fork_advice", case_fork_advice },
		{ "fork_busy", case_fork_busy },
		{ "mremap", case_mremap },
		{ "limits", case_limits },
		{ "stack", case_stack },
		{ "mlock", case_mlock },
		{ "process_vm", case_process_vm },
		{ "pointers", case_pointers },
	};

	return guest_run(cases, COUNT(cases), argc, argv);
}
