/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/payload/reenter.c - the dynamic loader of a hostile image
 *
 * An image whose program is /proc/self/exe has the runtime's own file executed
 * in the container, and the kernel lets the image's loader start it.  This one
 * takes hold of the file and hands it to the payload.  No library: it is
 * started in place of one.
 */
#include <asm/unistd.h>
#include <fcntl.h>

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return r;
}
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}
#endif

/* The kernel does not call, so the stack is not as after a call. */
#if defined(__x86_64__)
#define START __attribute__((force_align_arg_pointer))
#else
#define START
#endif

_Noreturn void _start(void);

/* On the stack and in code: nothing has relocated us. */
START _Noreturn void _start(void)
{
	char exe[] = "/proc/self/exe", program[] = "/payload", verb[] = "hold", number[2] = "0";
	char *argv[] = { program, verb, number, (char *)0 }, *env[] = { (char *)0 };
	long fd = call(__NR_openat, AT_FDCWD, (long)exe, O_RDONLY, 0);

	number[0] = (char)('0' + fd % 10);
	if (fd >= 0)
		call(__NR_execve, (long)program, (long)argv, (long)env, 0);
	for (;;)
		call(__NR_exit_group, 99, 0, 0, 0);
}
