/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_race SEED SECONDS - threads that change the same few pages in every way at once
 *
 * They map, cut, move, protect and advise them, while calls read from and write to them, futexes
 * lie in them, the file behind them is cut, and the process forks. A process lives for some tenths of a
 * second. None is ended but by itself: a fault ends only its thread.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096ul
#define PAGES	64ul
#define RW	(PROT_READ | PROT_WRITE)
#define THREADS 4
#define LIFE	300000 /* microseconds */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char *arena;
static int cut_file, whole_file, zeros, pipes[2];
static atomic_bool stop;

/* Where an operation is: @len bytes at @at, another page @other, and more to choose by. */
struct place {
	char *at, *other;
	size_t len;
	off_t offset;
	uint64_t choice;
};

static void race_private(const struct place *p)
{
	mmap(p->at, p->len, RW, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void race_shared(const struct place *p)
{
	mmap(p->at, p->len, RW, MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void race_file(const struct place *p)
{
	mmap(p->at, p->len, RW, MAP_FIXED | (p->choice & 1 ? MAP_SHARED : MAP_PRIVATE),
	     p->choice & 2 ? cut_file : zeros, p->offset);
}

static void race_program(const struct place *p)
{
	mmap(p->at, p->len, (int)(p->choice % 8) | PROT_READ, MAP_FIXED | MAP_PRIVATE, whole_file,
	     p->offset);
}

static void race_unmap(const struct place *p)
{
	munmap(p->at, PAGE);
}

static void race_protect(const struct place *p)
{
	mprotect(p->at, p->len, p->choice & 8 ? RW : (int)(p->choice % 8));
}

static void race_advise(const struct place *p)
{
	static const int advice[] = { MADV_DONTNEED,   MADV_FREE,	 MADV_REMOVE,
				      MADV_DONTFORK,   MADV_DOFORK,	 MADV_WIPEONFORK,
				      MADV_KEEPONFORK, MADV_POPULATE_READ, MADV_POPULATE_WRITE };

	madvise(p->at, p->len, advice[p->choice % COUNT(advice)]);
}

static void race_resize(const struct place *p)
{
	(void)!mremap(p->at, p->len, (1 + p->choice % (p->len / PAGE)) * PAGE, 0);
}

static void race_move(const struct place *p)
{
	size_t len = (1 + p->choice % 8) * PAGE;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (p->choice & 0x700 ? 0 : MREMAP_DONTUNMAP);

	if (p->at + len <= arena + PAGES * PAGE && p->other + len <= arena + PAGES * PAGE)
		syscall(SYS_mremap, p->at, p->choice & 0x3000 ? len : 0, len, flags, p->other);
}

static void race_calls(const struct place *p)
{
	struct iovec iov[] = { { p->at, 64 }, { p->other, 64 }, { p->at + 100, p->len - 100 } };

	(void)!readv(zeros, iov, COUNT(iov));
	(void)!writev(pipes[1], iov, COUNT(iov));
	(void)!readv(pipes[0], iov, COUNT(iov));
}

static void race_from_outside(const struct place *p)
{
	char buf[2 * PAGE] = "";
	struct iovec here = { buf, sizeof(buf) }, there = { p->at, p->len };

	if (p->choice & 1)
		process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	else
		process_vm_writev(getpid(), &here, 1, &there, 1, 0);
}

static void race_futex(const struct place *p)
{
	static const int ops[] = { FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_UNLOCK_PI, FUTEX_WAKE };
	const struct timespec soon = { 0, 1000 };

	syscall(SYS_futex, p->at, ops[p->choice % COUNT(ops)], 0, &soon, NULL, 0);
	syscall(SYS_futex, p->at, FUTEX_CMP_REQUEUE, 1, 1, p->other, 0);
	syscall(SYS_futex, p->at, FUTEX_WAKE_OP, 1, 1, p->other, FUTEX_OP(FUTEX_OP_ADD, 1, 0, 0));
}

static void race_cut(const struct place *p)
{
	if (ftruncate(cut_file, p->offset) || ftruncate(cut_file, (off_t)(PAGES * PAGE)))
		return;
	fallocate(cut_file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, p->offset, PAGE / 2);
}

static void race_fork(const struct place *p)
{
	pid_t pid;

	if (p->choice % 8)
		return;
	pid = fork();
	if (!pid) {
		race_calls(p);
		race_from_outside(p);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void race_lock(const struct place *p)
{
	unsigned char vec[PAGES];

	mlock(p->at, p->len);
	munlock(p->at, p->len);
	msync(p->at, p->len, MS_SYNC);
	mincore(p->at, p->len, vec);
}

static void (*const race_ops[])(const struct place *p) = {
	race_private, race_shared, race_file,  race_program, race_unmap,	race_protect,
	race_protect, race_advise, race_advise, race_resize, race_move,		race_calls,
	race_calls,   race_futex,  race_cut,   race_fork,    race_from_outside, race_lock,
};

static uint64_t race_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void *race_run(void *data)
{
	uint64_t state = (uint64_t)data * 0x9e3779b97f4a7c15 | 1;

	while (!stop) {
		uint64_t page = race_next(&state) % PAGES;
		struct place p = {
			.at = arena + page * PAGE,
			.other = arena + race_next(&state) % PAGES * PAGE,
			.len = (1 + race_next(&state) % (PAGES - page)) * PAGE,
			.offset = (off_t)(race_next(&state) % PAGES * PAGE),
			.choice = race_next(&state) >> 8,
		};

		race_ops[race_next(&state) % COUNT(race_ops)](&p);
	}
	return NULL;
}

static void race_fault(int sig)
{
	(void)sig;
	syscall(SYS_exit, 0);
}

static void race_process(uint64_t seed)
{
	pthread_t t;

	signal(SIGSEGV, race_fault);
	signal(SIGBUS, race_fault);
	arena = mmap(NULL, 2 * PAGES * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cut_file = memfd_create("cut", 0);
	whole_file = open("/proc/self/exe", O_RDONLY);
	zeros = open("/dev/zero", O_RDWR);
	if (ftruncate(cut_file, (off_t)(PAGES * PAGE)) || pipe2(pipes, O_NONBLOCK))
		_exit(1);
	for (uint64_t i = 0; i < THREADS; i++)
		pthread_create(&t, NULL, race_run, (void *)(seed * THREADS + i));
	usleep(LIFE);
	stop = true;
	_exit(0);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 5);
	unsigned n = 0, killed = 0;

	while (time(NULL) < end) {
		int status = -1;
		pid_t pid = fork();

		if (!pid)
			race_process(seed + n);
		if (waitpid(pid, &status, 0) != pid || status)
			killed++;
		n++;
	}
	printf("%u processes, %u ended by something else\n", n, killed);
	return killed ? 1 : 0;
}
