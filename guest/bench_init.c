/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/bench_init.c - the smallest PID 1 there can be, for the bare peer of the benchmarks
 *
 * Without arguments it switches the machine off at once.  With a number N it
 * first writes N MiB of lines to its standard output, which the kernel has
 * opened on the console.  Freestanding: no C library, so that what is measured
 * is the kernel.  x86-64 only, as the peer's machine is.
 */
#include <stddef.h>
#include <linux/reboot.h>
#include <sys/syscall.h>

#define CHUNK      65536
#define MIB_CHUNKS (1048576 / CHUNK)

void bench_init_main(const long *stack) __attribute__((noreturn));

static long bench_init_syscall(long nr, long a, long b, long c)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
}

static long bench_init_number(const char *s)
{
	long n = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (*s - '0');
	return n;
}

static void bench_init_write(long chunks)
{
	static char data[CHUNK];

	for (size_t i = 0; i < CHUNK; i++)
		data[i] = i % 64 == 63 ? '\n' : 'x';
	while (chunks-- > 0) {
		long done = 0;

		while (done < CHUNK) {
			long n = bench_init_syscall(SYS_write, 1, (long)data + done, CHUNK - done);

			if (n <= 0)
				return;
			done += n;
		}
	}
}

/* @stack: argc, then the argument pointers, as the kernel lays them */
void bench_init_main(const long *stack)
{
	if (stack[0] > 1)
		bench_init_write(bench_init_number((const char *)stack[2]) * MIB_CHUNKS);
	for (;;) {
		register long arg __asm__("r10") = 0;
		long r;

		__asm__ volatile("syscall" : "=a"(r)
				 : "a"((long)SYS_reboot), "D"((long)LINUX_REBOOT_MAGIC1),
				   "S"((long)LINUX_REBOOT_MAGIC2),
				   "d"((long)LINUX_REBOOT_CMD_RESTART), "r"(arg)
				 : "rcx", "r11", "memory");
	}
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call bench_init_main\n");
