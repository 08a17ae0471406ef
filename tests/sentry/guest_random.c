/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_random SEED SECONDS [CALL...] - calls of the kernel with random registers
 *
 * A run has many processes of a few hundred calls each; every process is reproduced by its seed.
 * Arguments are drawn from what hurts: pointers to the edge of a mapping, to what may only be read,
 * to nothing, into the kernel; sizes that overflow; descriptors of every kind; and whatever a call
 * returned before. Several threads of a process do it at once now and then. The parent counts, and
 * prints one line at the end: that it gets there is the test.
 *
 * Not for a host: it would do to it what the numbers say.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS_MAX   470
#define CALLS_EACH  400
#define PROCESS_MSEC 150 /* then it is killed */
#define AREA	    (16 * 4096)

struct random {
	uint64_t state;
	uint8_t *area;	   /* read and write, then nothing */
	uint8_t *constant; /* read only, then nothing */
	uint64_t results[16];
	unsigned nresults;
};

/* Calls that would end the test and not what it tests. */
static int random_excluded(int nr)
{
	switch (nr) {
	case SYS_exit_group:
	case SYS_exit:
	case SYS_rt_sigreturn: /* its own kind, see random_frame() */
	case SYS_pause:
	case SYS_rt_sigsuspend:
	case SYS_vfork:	/* shares this stack */
		return 1;
	default:
		return 0;
	}
}

static uint64_t random_next(struct random *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return r->state;
}

static uint64_t random_below(struct random *r, uint64_t n)
{
	return random_next(r) % n;
}

static uint64_t random_pointer(struct random *r)
{
	switch (random_below(r, 12)) {
	case 0:
		return 0;
	case 1:
		return (uint64_t)r->area + AREA - random_below(r, 64);
	case 2:
		return (uint64_t)r->constant + random_below(r, 4096);
	case 3:
		return (uint64_t)r->constant + 4096 - random_below(r, 16);
	case 4:
		return UINT64_MAX - random_below(r, 8192);
	case 5:
		return 0x7e0000000000 + random_below(r, 0x300000);
	case 6:
		return UINT64_C(1) << random_below(r, 64);
	default:
		return (uint64_t)r->area + (random_below(r, AREA) & ~UINT64_C(7));
	}
}

static uint64_t random_number(struct random *r)
{
	static const uint64_t hard[] = {
		0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 255, 256, 4095, 4096, 4097, 65535, 65536,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
		0x8000000000000000, 0xffffffffffffffff, 0xfffffffffffffffe, 0xfffffffffffff000,
		0x7ffff000, 0x7dffffff0000, (uint64_t)AT_FDCWD, (uint32_t)AT_FDCWD,
	};

	switch (random_below(r, 4)) {
	case 0:
		return random_below(r, 24);
	case 1:
		return UINT64_C(1) << random_below(r, 64) |
		       (random_below(r, 2) ? UINT64_C(1) << random_below(r, 32) : 0);
	case 2:
		return random_next(r) >> random_below(r, 64);
	default:
		return hard[random_below(r, sizeof(hard) / sizeof(hard[0]))];
	}
}

static uint64_t random_argument(struct random *r)
{
	uint64_t kind = random_below(r, 10);

	if (kind < 4)
		return random_pointer(r);
	if (kind < 6)
		return random_below(r, 20); /* a descriptor */
	if (kind < 7 && r->nresults)
		return r->results[random_below(r, r->nresults)];
	return random_number(r);
}

/* The words of an area: like arguments, with names and addresses in between. */
static void random_fill(struct random *r)
{
	static const char *const names[] = { "/", ".", "..", "/tmp", "/tmp/a", "/tmp/b", "a", "b/c",
					     "/proc/self/maps", "/proc/self/fd/3", "/dev/null",
					     "/dev/zero", "/dev/ptmx", "/proc/self/mem", "",
					     "/tmp/../tmp/./a/", "/proc/self/exe", "user.x" };
	const struct sockaddr_un un = { AF_UNIX, "/tmp/s" };
	const struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = 0x1234,
					.sin_addr.s_addr = 0x0100007f };

	for (size_t i = 0; i < 64; i++) {
		uint8_t *at = r->area + (random_below(r, AREA - 128) & ~UINT64_C(7));
		uint64_t v = random_argument(r);

		switch (random_below(r, 4)) {
		case 0:
			strcpy((char *)at, names[random_below(r, sizeof(names) / sizeof(names[0]))]);
			break;
		case 1:
			memcpy(at, random_below(r, 2) ? (const void *)&un : &in, sizeof(in));
			break;
		default:
			memcpy(at, &v, 8);
		}
	}
}

static void random_open(void)
{
	int fds[2];

	open("/tmp/a", O_RDWR | O_CREAT, 0644);
	open("/", O_RDONLY | O_DIRECTORY);
	open("/dev/ptmx", O_RDWR | O_NOCTTY);
	open("/proc/self/status", O_RDONLY);
	if (pipe2(fds, O_NONBLOCK) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return;
	socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	eventfd(1, EFD_NONBLOCK);
	epoll_create1(0);
	syscall(SYS_memfd_create, "m", 0);
	syscall(SYS_timerfd_create, CLOCK_MONOTONIC, O_NONBLOCK);
	syscall(SYS_inotify_init1, O_NONBLOCK);
}

static void random_call(struct random *r, const int *only, int nonly)
{
	uint64_t a[6];
	long result;
	int nr;

	do
		nr = nonly ? only[random_below(r, (uint64_t)nonly)] :
			     (int)random_below(r, CALLS_MAX);
	while (random_excluded(nr));
	if (nr == SYS_kill || nr == SYS_tkill || nr == SYS_tgkill) /* not the parent */
		nr = SYS_getpid;
	for (int i = 0; i < 6; i++)
		a[i] = random_argument(r);
	if (nr == SYS_clone)
		a[0] &= 0xff; /* no thread on a stack that is not there */
	result = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if ((nr == SYS_fork || nr == SYS_clone) && result == 0)
		_exit(0);
	if (result > 0 || result < -4095) {
		r->results[random_below(r, 16)] = (uint64_t)result;
		if (r->nresults < 16)
			r->nresults++;
	}
}

/* A signal frame of noise; what comes of it is this process's end, or not. */
static void random_frame(struct random *r)
{
	uint64_t *frame = (uint64_t *)(r->area + 4096);

	for (int i = 0; i < 64; i++)
		frame[i] = random_argument(r);
	__asm__ volatile("mov %0, %%rsp\n"
			 "mov $15, %%eax\n"
			 "syscall\n"
			 "ud2" : : "r"(frame));
}

static struct random *random_new(uint64_t seed)
{
	struct random *r = calloc(1, sizeof(*r));
	uint8_t *p;

	r->state = seed | 1;
	p = mmap(NULL, AREA + 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + AREA, 4096);
	r->area = p;
	r->constant = p + AREA + 4096;
	mprotect(r->constant, 4096, PROT_READ);
	munmap(r->constant + 4096, 4096);
	return r;
}

struct job {
	uint64_t seed;
	const int *only;
	int nonly;
};

static void *random_run(void *data)
{
	const struct job *job = data;
	struct random *r = random_new(job->seed);

	for (int i = 0; i < CALLS_EACH; i++) {
		if (i % 16 == 0)
			random_fill(r);
		random_call(r, job->only, job->nonly);
	}
	if (random_below(r, 4) == 0)
		random_frame(r);
	return NULL;
}

static void process_run(struct job *job)
{
	const struct rlimit files = { 256, 256 }, processes = { 64, 64 };
	const struct rlimit space = { 1 << 30, 1 << 30 }, size = { 1 << 24, 1 << 24 };
	struct job other = *job;
	pthread_t thread;

	setpgid(0, 0);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_NPROC, &processes);
	setrlimit(RLIMIT_AS, &space);
	setrlimit(RLIMIT_FSIZE, &size);
	for (int fd = 0; fd < 3; fd++)
		dup2(open("/dev/null", O_RDWR), fd);
	random_open();
	other.seed = job->seed * 0x9e3779b97f4a7c15 | 1;
	if (job->seed % 3 == 0)
		pthread_create(&thread, NULL, random_run, &other);
	random_run(job);
	_exit(0);
}

/* Everything it has made goes with it: its group, and what has left that. */
static void process_end(pid_t pid)
{
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	kill(-1, SIGKILL); /* all of the container but its first, which is us */
	waitpid(pid, NULL, 0);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static int process_wait(pid_t pid)
{
	for (int i = 0; i < PROCESS_MSEC; i++) {
		int status;
		const struct timespec soon = { 0, 1000000 };

		if (waitpid(pid, &status, WNOHANG) == pid)
			return 1;
		nanosleep(&soon, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 5);
	unsigned processes = 0, late = 0;
	int only[64], nonly = 0;

	for (int i = 3; i < argc && nonly < 64; i++)
		only[nonly++] = atoi(argv[i]);
	if (getpid() != 1) {
		fprintf(stderr, "only as a container's first process\n");
		return 2;
	}
	do {
		struct job job = { seed + processes, only, nonly };
		pid_t pid = fork();

		if (pid < 0)
			continue;
		if (!pid)
			process_run(&job);
		if (getenv("RANDOM_TELL"))
			fprintf(stderr, "seed %lu\n", (unsigned long)job.seed);
		late += !process_wait(pid);
		process_end(pid);
		processes++;
	} while (time(NULL) < end);
	printf("%u processes, %u ended by force\n", processes, late);
	return processes ? 0 : 1;
}
