/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/copy.c - copying that survives memory the host cannot give
 *
 * Each of the two loops is one instruction with a known address. A SIGBUS there continues at the
 * instruction behind it, with the count of what is left in rcx. A SIGBUS in an open window, or in
 * the memory file's mapping at large (an atomic operation on a page that the guest has just thrown
 * away, with no memory left for a new one), puts zeros under the access. Any other one is a mistake
 * of ours and ends the process as usual.
 *
 * Windows are in a list that only grows, so that the handler may walk it; closed ones are used
 * again.
 */
#include "sentry/mm/copy.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "sentry/kernel.h"

extern const char copy_bytes_at[] __attribute__((visibility("hidden")));
extern const char copy_bytes_out[] __attribute__((visibility("hidden")));
extern const char copy_zeros_at[] __attribute__((visibility("hidden")));
extern const char copy_zeros_out[] __attribute__((visibility("hidden")));

#define COPY_LOST 64u

static struct {
	pthread_mutex_t lock; /* who opens, closes, and repairs */
	struct copy_window *_Atomic windows;
	uint8_t *base;
	size_t size;
	int fd;
	_Atomic unsigned nlost;
	_Atomic uintptr_t lost[COPY_LOST]; /* pages that are ours for now; 0: free */
} copy = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* In assembly altogether: a compiler that copies a function copies its labels. */
#define COPY_FUNCTION(name, args, instruction)                       \
	__asm__(".pushsection .text." name ",\"ax\",@progbits\n"     \
		".globl " name ", " name "_at, " name "_out\n"        \
		".hidden " name ", " name "_at, " name "_out\n"       \
		".type " name ", @function\n" name ":\n"              \
		"	endbr64\n"                                    \
		"	" args "\n" name "_at:\n"                     \
		"	" instruction "\n" name "_out:\n"             \
		"	movq %rcx, %rax\n"                            \
		"	ret\n"                                        \
		".size " name ", . - " name "\n"                      \
		".popsection\n")

COPY_FUNCTION("copy_bytes", "movq %rdx, %rcx", "rep movsb");
COPY_FUNCTION("copy_zeros", "movq %rsi, %rcx; xorl %eax, %eax", "rep stosb");

static bool copy_put_zeros(void *page)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	/* cppcheck-suppress invalidFunctionArg ; no file */
	const void *p = mmap(page, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);

	return p == page;
}

static bool copy_window_fix(uintptr_t address)
{
	struct copy_window *w;

	for (w = atomic_load(&copy.windows); w; w = w->next) {
		if (w->page && (uintptr_t)w->page == PAGE_DOWN(address))
			return copy_put_zeros(w->page);
	}
	return false;
}

static bool copy_area_fix(uintptr_t address)
{
	uintptr_t page = PAGE_DOWN(address);

	if (address < (uintptr_t)copy.base || address - (uintptr_t)copy.base >= copy.size)
		return false;
	/* First this, then the note: who repairs must not be there before us. */
	if (!copy_put_zeros((void *)page))
		return false;
	for (size_t i = 0; i < COPY_LOST; i++) {
		uintptr_t none = 0;

		if (!atomic_compare_exchange_strong(&copy.lost[i], &none, page))
			continue;
		atomic_fetch_add(&copy.nlost, 1);
		return true;
	}
	return false;
}

static void copy_on_sigbus(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	int saved_errno = errno;

	if (rip == (uintptr_t)copy_bytes_at)
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)copy_bytes_out;
	else if (rip == (uintptr_t)copy_zeros_at)
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)copy_zeros_out;
	else if (!copy_window_fix((uintptr_t)info->si_addr) &&
		 !copy_area_fix((uintptr_t)info->si_addr))
		__builtin_trap(); /* a fault of our own */
	errno = saved_errno;
}

int copy_init(void)
{
	struct sigaction sa = { .sa_sigaction = copy_on_sigbus, .sa_flags = SA_SIGINFO };

	return sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
}

/* --- the memory file --- */

void copy_area_set(void *base, size_t size, int fd)
{
	copy.base = base;
	copy.size = base ? size : 0;
	copy.fd = fd;
}

void copy_area_repair(void)
{
	if (!atomic_load_explicit(&copy.nlost, memory_order_relaxed))
		return;
	pthread_mutex_lock(&copy.lock);
	for (size_t i = 0; i < COPY_LOST; i++) {
		uint8_t *page = (uint8_t *)atomic_load(&copy.lost[i]);
		const void *p;

		if (!page)
			continue;
		p = mmap(page, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, copy.fd,
			 page - copy.base);
		if (p != page)
			abort(); /* as good as memory that is not ours */
		atomic_store(&copy.lost[i], 0);
		atomic_fetch_sub(&copy.nlost, 1);
	}
	pthread_mutex_unlock(&copy.lock);
}

/* --- windows --- */

static struct copy_window *copy_window_free(void)
{
	struct copy_window *w;

	for (w = atomic_load(&copy.windows); w; w = w->next) {
		if (!w->page)
			return w;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->next = atomic_load(&copy.windows);
	atomic_store(&copy.windows, w);
	return w;
}

int copy_window_open(int fd, uint64_t offset, int prot, struct copy_window **out)
{
	void *page = mmap(NULL, PAGE_SIZE, prot, MAP_SHARED, fd, (off_t)offset);
	struct copy_window *w;

	if (page == MAP_FAILED)
		return -errno;
	pthread_mutex_lock(&copy.lock);
	w = copy_window_free();
	if (w)
		w->page = page;
	pthread_mutex_unlock(&copy.lock);
	if (!w) {
		munmap(page, PAGE_SIZE);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

void copy_window_close(struct copy_window *window)
{
	void *page = window->page;

	pthread_mutex_lock(&copy.lock);
	window->page = NULL;
	pthread_mutex_unlock(&copy.lock);
	munmap(page, PAGE_SIZE);
}
