/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry_mm_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "sentry/task/cred.h"
#include "sentry/task/task.h"
#include "sentry/task/timer.h"

#define FAKE_SLOTS (1u << 16) /* pages of one stub, a power of two */

struct fake_page {
	uint64_t addr; /* 0: none; 1: was one */
	uint64_t offset;
	int fd;
	int prot;
};

struct trap_stub {
	struct fake_page *pages;
	size_t count;
	bool killed;
};

static struct {
	uint64_t limits[RLIM_NLIMITS];
	unsigned trips, faults, stubs, files;
	int fail;
	bool blind;
} fake;

_Thread_local struct task *task_current;

/* --- stubs --- */

static struct fake_page *fake_page_at(struct trap_stub *stub, uint64_t addr, bool make)
{
	struct fake_page *hole = NULL;

	for (uint64_t i = addr / PAGE_SIZE * 0x9e3779b97f4a7c15u >> 40;; i++) {
		struct fake_page *page = &stub->pages[i % FAKE_SLOTS];

		if (page->addr == addr)
			return page;
		if (page->addr == 1 && !hole)
			hole = page;
		if (page->addr)
			continue;
		if (!make)
			return NULL;
		assert_true(++stub->count < FAKE_SLOTS * 3 / 4);
		page = hole ? hole : page;
		page->addr = addr;
		return page;
	}
}

static void fake_unmap(struct trap_stub *stub, uint64_t start, uint64_t end)
{
	if ((end - start) / PAGE_SIZE > FAKE_SLOTS) {
		for (size_t i = 0; i < FAKE_SLOTS; i++) {
			if (stub->pages[i].addr >= start && stub->pages[i].addr < end)
				stub->pages[i].addr = 1;
		}
		return;
	}
	for (uint64_t at = start; at < end; at += PAGE_SIZE) {
		struct fake_page *page = fake_page_at(stub, at, false);

		if (page)
			page->addr = 1;
	}
}

int trap_stub_get(struct trap_pool *pool, struct trap_stub **out)
{
	(void)pool;
	*out = calloc(1, sizeof(**out));
	assert_non_null(*out);
	(*out)->pages = calloc(FAKE_SLOTS, sizeof(struct fake_page));
	assert_non_null((*out)->pages);
	fake.stubs++;
	return 0;
}

void trap_stub_put(struct trap_stub *stub)
{
	free(stub->pages);
	free(stub);
	fake.stubs--;
}

int trap_stub_end(struct trap_stub *stub)
{
	stub->killed = true;
	return 0;
}

pid_t trap_stub_host_pid(const struct trap_stub *stub)
{
	(void)stub;
	return 1;
}

uint64_t trap_pool_vdso(const struct trap_pool *pool, size_t *size)
{
	(void)pool;
	*size = 2 * PAGE_SIZE;
	return 0x7fff00000000;
}

static void fake_carry_out(struct trap_stub *stub, const struct trap_map *op)
{
	assert_int_equal(op->addr % PAGE_SIZE, 0);
	assert_int_equal(op->len % PAGE_SIZE, 0);
	assert_true(op->len > 0 && op->addr >= GUEST_START);
	assert_true(op->addr + op->len <= GUEST_END && op->addr + op->len > op->addr);
	if (fake.blind)
		return;
	if (op->kind == TRAP_UNMAP) {
		fake_unmap(stub, op->addr, op->addr + op->len);
		return;
	}
	for (uint64_t n = 0; n < op->len; n += PAGE_SIZE) {
		bool maps = op->kind == TRAP_MAP_MEMORY || op->kind == TRAP_MAP_HOST;
		struct fake_page *page = fake_page_at(stub, op->addr + n, maps);

		assert_non_null(page); /* mprotect of nothing */
		if (maps) {
			page->fd = op->kind == TRAP_MAP_HOST ? op->fd : -1;
			page->offset = op->offset + n;
		}
		if (maps || op->kind == TRAP_PROTECT)
			page->prot = op->prot;
	}
}

int trap_stub_map(struct trap_stub *stub, const struct trap_map *maps, size_t nmaps)
{
	assert_true(nmaps > 0);
	fake.trips++;
	if (fake.fail) {
		int r = -fake.fail;

		fake.fail = 0;
		return r;
	}
	for (size_t i = 0; i < nmaps; i++)
		fake_carry_out(stub, &maps[i]);
	return 0;
}

/* --- guest code --- */

enum { ACCESS_LOAD, ACCESS_STORE, ACCESS_FETCH };

static bool fake_page_allows(const struct fake_page *page, int access)
{
	if (access == ACCESS_STORE)
		return page->prot & PROT_WRITE;
	if (access == ACCESS_FETCH)
		return page->prot & PROT_EXEC;
	return page->prot != PROT_NONE;
}

/* Return: 0 done, else the signal of the host's kernel */
static int fake_touch(struct trap_stub *stub, uint64_t addr, int access, uint8_t *value,
		      struct trap_event *event)
{
	struct fake_page *page = fake_page_at(stub, PAGE_DOWN(addr), false);
	uint64_t in = addr % PAGE_SIZE;

	event->signal = SIGSEGV;
	event->address = addr;
	event->error = 4u | (access == ACCESS_STORE ? 2u : access == ACCESS_FETCH ? 16u : 0u);
	event->code = page ? SEGV_ACCERR : SEGV_MAPERR;
	if (!page || !fake_page_allows(page, access))
		return SIGSEGV;
	if (access == ACCESS_FETCH)
		return 0;
	if (page->fd < 0) {
		uint8_t *p = memfile_ptr(kernel.memory, page->offset + in);

		if (access == ACCESS_STORE)
			*p = *value;
		*value = *p;
		return 0;
	}
	if (page->offset >= (uint64_t)lseek(page->fd, 0, SEEK_END)) {
		event->signal = SIGBUS;
		return SIGBUS;
	}
	if (access == ACCESS_STORE)
		assert_int_equal(pwrite(page->fd, value, 1, (off_t)(page->offset + in)), 1);
	else if (pread(page->fd, value, 1, (off_t)(page->offset + in)) == 0)
		*value = 0;
	return 0;
}

static int guest_access(struct mm *mm, uint64_t addr, int access, uint8_t *value)
{
	for (int i = 0; i < 10; i++) {
		struct trap_event event = { .kind = TRAP_FRAME };
		int code;
		int sig;

		if (!fake_touch(mm->stub, addr, access, value, &event))
			return 0;
		fake.faults++;
		sig = mm_fault(mm, &event, &code);
		if (sig)
			return sig;
	}
	fail_msg("faults at %lx for ever", addr);
	return -1;
}

int guest_load(struct mm *mm, uint64_t addr, uint8_t *value)
{
	return guest_access(mm, addr, ACCESS_LOAD, value);
}

int guest_store(struct mm *mm, uint64_t addr, uint8_t value)
{
	return guest_access(mm, addr, ACCESS_STORE, &value);
}

int guest_fetch(struct mm *mm, uint64_t addr)
{
	uint8_t value;

	return guest_access(mm, addr, ACCESS_FETCH, &value);
}

size_t guest_mapped(struct mm *mm)
{
	size_t n = 0;

	for (size_t i = 0; i < FAKE_SLOTS; i++)
		n += mm->stub->pages[i].addr > 1;
	return n;
}

unsigned guest_trips(void)
{
	return fake.trips;
}

unsigned guest_faults(void)
{
	return fake.faults;
}

void guest_blind(void)
{
	fake.blind = true;
}

void guest_fail(int error)
{
	fake.fail = error;
}

bool guest_killed(struct mm *mm)
{
	return mm->stub->killed;
}

void guest_check(struct mm *mm)
{
	struct ranges_pos pos;
	const struct piece *piece = ranges_find(&mm->pieces, 0, &pos);
	uint64_t end = 0;
	size_t n = 0;

	for (; piece; piece = ranges_next(&mm->pieces, &pos)) {
		assert_true(piece->r.start >= end && piece->r.end > piece->r.start);
		end = piece->r.end;
		for (uint64_t at = piece->r.start; at < end; at += PAGE_SIZE, n++) {
			struct fake_page *page = fake_page_at(mm->stub, at, false);
			struct vma *vma = vma_at(mm, at);

			assert_non_null(page);
			assert_non_null(vma);
			assert_int_equal(piece->prot, vma->prot);
			assert_int_equal(page->prot, piece_prot(piece));
			assert_int_equal(page->fd, piece->fd);
			assert_int_equal(page->offset, piece->r.offset + (at - piece->r.start));
			/* What the guest may write nobody else has. */
			if (piece->fd < 0 && !piece->shared && (page->prot & PROT_WRITE))
				assert_false(memfile_shared(kernel.memory, page->offset));
		}
	}
	assert_int_equal(n, guest_mapped(mm));
}

struct mm *guest_new(void)
{
	struct mm *mm;

	assert_int_equal(mm_new(&mm), 0);
	return mm;
}

uint64_t guest_map(struct mm *mm, uint64_t addr, uint64_t len, int prot, int flags,
		   struct fake_file *file, uint64_t offset)
{
	struct mm_map map = { .addr = addr,
			      .len = len,
			      .prot = prot,
			      .flags = flags | (addr ? MAP_FIXED : 0),
			      .file = file ? &file->file : NULL,
			      .offset = offset };
	uint64_t at = 0;

	assert_int_equal(mm_map(mm, NULL, &map, &at), 0);
	return at;
}

/* --- files --- */

static const struct file_ops fake_file_ops = { .name = "fake" };

static struct fake_file *fake_of(struct mappable *m)
{
	return container_of(m, struct fake_file, inode.mapping);
}

static int fake_translate(struct mappable *m, uint64_t offset, uint64_t len, bool write,
			  struct mappable_range *out)
{
	struct fake_file *f = fake_of(m);
	uint64_t *page;

	(void)write;
	if (offset >= PAGE_UP(f->size))
		return -ENXIO;
	if (f->host_fd >= 0) {
		out->host_fd = f->host_fd;
		out->offset = offset;
		out->len = len < PAGE_UP(f->size) - offset ? len : PAGE_UP(f->size) - offset;
		return 0;
	}
	page = &f->pages[offset / PAGE_SIZE];
	if (!*page) {
		uint64_t n = f->size - offset < PAGE_SIZE ? f->size - offset : PAGE_SIZE;

		assert_int_equal(memfile_alloc(kernel.memory, PAGE_SIZE, page), 0);
		memcpy(memfile_ptr(kernel.memory, *page), f->data + offset, n);
		*page |= 1;
	}
	out->host_fd = -1;
	out->offset = *page & ~UINT64_C(1);
	out->len = PAGE_SIZE;
	memfile_get(kernel.memory, out->offset, PAGE_SIZE);
	return 0;
}

static const struct mappable_ops fake_mappable_ops = { .translate = fake_translate };

struct fake_file *fake_file_new(const void *data, uint64_t size, bool host)
{
	struct fake_file *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->file.ops = &fake_file_ops;
	f->file.refs = 1;
	f->file.flags = O_RDWR;
	f->file.inode = &f->inode;
	f->inode.mapping.ops = &fake_mappable_ops;
	f->size = size;
	f->data = malloc(size + 1);
	f->pages = calloc(size / PAGE_SIZE + 1, sizeof(*f->pages));
	assert_true(f->data && f->pages);
	if (size)
		memcpy(f->data, data, size);
	f->host_fd = -1;
	if (host) {
		f->host_fd = memfd_create("fake", MFD_CLOEXEC);
		assert_true(f->host_fd >= 0);
		assert_int_equal(pwrite(f->host_fd, f->data, size, 0), size);
	}
	fake.files++;
	return f;
}

void fake_file_truncate(struct fake_file *f, uint64_t size)
{
	for (uint64_t i = PAGE_UP(size) / PAGE_SIZE; i <= f->size / PAGE_SIZE; i++) {
		if (f->pages[i])
			memfile_put(kernel.memory, f->pages[i] & ~UINT64_C(1), PAGE_SIZE);
		f->pages[i] = 0;
	}
	f->size = size;
	if (f->host_fd >= 0)
		assert_int_equal(ftruncate(f->host_fd, (off_t)size), 0);
	mm_invalidate(&f->inode.mapping, PAGE_UP(size), UINT64_MAX);
}

struct file *file_get(struct file *file)
{
	atomic_fetch_add(&file->refs, 1);
	return file;
}

void file_put(struct file *file)
{
	struct fake_file *f = container_of(file, struct fake_file, file);

	if (atomic_fetch_sub(&file->refs, 1) > 1)
		return;
	assert_int_equal(f->inode.mapping.mapped, 0);
	for (uint64_t i = 0; i <= f->size / PAGE_SIZE; i++) {
		if (f->pages[i])
			memfile_put(kernel.memory, f->pages[i] & ~UINT64_C(1), PAGE_SIZE);
	}
	close_fd(&f->host_fd);
	free(f->pages);
	free(f->data);
	free(f);
	fake.files--;
}

long file_read_kernel(struct file *file, void *buf, size_t len, int64_t offset)
{
	struct fake_file *f = container_of(file, struct fake_file, file);

	if ((uint64_t)offset >= f->size)
		return 0;
	len = len < f->size - (uint64_t)offset ? len : f->size - (uint64_t)offset;
	memcpy(buf, f->data + offset, len);
	return (long)len;
}

/* --- other rooms --- */

unsigned mount_flags(const struct mount *mount)
{
	(void)mount;
	return 0;
}

void path_get(const struct vfs_path *path)
{
	(void)path;
}

void path_put(struct vfs_path *path)
{
	*path = (struct vfs_path){ NULL, NULL };
}

int vfs_path_name(const struct vfs_path *path, const struct vfs_path *root, char *buf, size_t size)
{
	(void)path, (void)root, (void)buf, (void)size;
	return -ENOENT;
}

bool cred_capable(const struct cred *cred, int cap)
{
	(void)cred, (void)cap;
	return false;
}

uint64_t task_limit(const struct task *task, unsigned resource)
{
	(void)task;
	return fake.limits[resource];
}

void fake_limit(unsigned resource, uint64_t value)
{
	fake.limits[resource] = value;
}

/* There are no containers to kill in. */
int process_each(struct sandbox_container *container,
		 int (*fn)(struct process *process, void *data), void *data)
{
	(void)container, (void)fn, (void)data;
	return 0;
}

struct process *process_get(struct process *process)
{
	return process;
}

void process_put(struct process *process)
{
	(void)process;
}

int signal_process_send(struct process *process, int sig, const struct signal_info *info)
{
	(void)process, (void)sig, (void)info;
	return 0;
}

void waitq_wake(struct waitq *q, uint32_t events)
{
	(void)q, (void)events;
}

int timer_arm(struct timer *timer, clockid_t clock, uint64_t when)
{
	(void)timer, (void)clock, (void)when;
	return 0;
}

uint64_t clock_nanoseconds(clockid_t clock)
{
	(void)clock;
	return 0;
}

/* --- begin and end --- */

int fake_setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < RLIM_NLIMITS; i++)
		fake.limits[i] = RLIM_INFINITY;
	assert_int_equal(memfile_new(0, &kernel.memory, NULL), 0);
	return 0;
}

int fake_teardown(void **state)
{
	struct memfile_usage usage;

	(void)state;
	memfile_usage(kernel.memory, &usage);
	assert_int_equal(usage.allocated, 0);
	assert_int_equal(fake.stubs, 0);
	assert_int_equal(fake.files, 0);
	memfile_free(steal_ptr(kernel.memory));
	return 0;
}
