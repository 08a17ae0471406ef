/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll: the same steps for the host's and ours, over members of each kind, and threads that sleep
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "sentry_files.h"

#define EPOLLS	3
#define MEMBERS 12
#define EVENTS	64

enum kind { KIND_NONE, KIND_EVENT, KIND_READER, KIND_WRITER, KIND_HOST_READER, KIND_HOST_WRITER,
	    KIND_EPOLL };

struct member {
	enum kind kind;
	struct file *file;
	int fd;		  /* the host's; its number is the guest's as well */
	int copy;	  /* the same once more */
	struct member *peer;
};

struct world {
	struct member members[MEMBERS + EPOLLS];
	struct member *epolls; /* the last ones */
	bool host_members, in_order, nested;
	unsigned seed;
};

static unsigned pick(struct world *w, unsigned n)
{
	w->seed = w->seed * 1103515245u + 12345u;
	return (w->seed >> 8) % n;
}

static void member_set(struct member *m, enum kind kind, struct file *file, int fd)
{
	*m = (struct member){ .kind = kind, .file = file, .fd = fd, .copy = dup(fd) };
}

static void member_close(struct member *m)
{
	if (m->kind == KIND_NONE)
		return;
	file_put(m->file);
	close(m->fd);
	close(m->copy);
	if (m->peer)
		m->peer->peer = NULL;
	m->kind = KIND_NONE;
}

static void member_event(struct member *m, unsigned count)
{
	struct file *file;

	assert_int_equal(eventfd_open(count, O_NONBLOCK, false, &file), 0);
	member_set(m, KIND_EVENT, file, eventfd(count, EFD_NONBLOCK));
}

static void member_pipe(struct member *r, struct member *w)
{
	struct file *ends[2];
	int fds[2];

	assert_int_equal(pipe_open(O_NONBLOCK, &ends[0], &ends[1]), 0);
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	member_set(r, KIND_READER, ends[0], fds[0]);
	member_set(w, KIND_WRITER, ends[1], fds[1]);
	r->peer = w;
	w->peer = r;
}

/* Ends of one pipe of the host, which both sides look at. */
static void member_host(struct member *r, struct member *w)
{
	struct file *ends[2];
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	assert_int_equal(hostfd_open(dup(fds[0]), O_RDONLY, &ends[0]), 0);
	assert_int_equal(hostfd_open(dup(fds[1]), O_WRONLY, &ends[1]), 0);
	member_set(r, KIND_HOST_READER, ends[0], fds[0]);
	member_set(w, KIND_HOST_WRITER, ends[1], fds[1]);
	r->peer = w;
	w->peer = r;
}

static void world_fill(struct world *w)
{
	for (unsigned i = 0; i < MEMBERS; i++) {
		struct member *m = &w->members[i];
		bool pair = i + 1 < MEMBERS && m[1].kind == KIND_NONE;

		if (m->kind != KIND_NONE)
			continue;
		if (pair && w->host_members && pick(w, 2))
			member_host(m, m + 1);
		else if (pair && pick(w, 2))
			member_pipe(m, m + 1);
		else
			member_event(m, pick(w, 2));
	}
}

static void world_begin(struct world *w)
{
	w->epolls = &w->members[MEMBERS];
	for (unsigned i = 0; i < EPOLLS; i++) {
		struct file *file;

		assert_int_equal(epoll_open(&file), 0);
		member_set(&w->epolls[i], KIND_EPOLL, file, epoll_create1(0));
	}
	world_fill(w);
}

static void world_end(struct world *w)
{
	for (unsigned i = 0; i < MEMBERS + EPOLLS; i++)
		member_close(&w->members[i]);
}

static long host_result(long r)
{
	return r < 0 ? -errno : r;
}

static uint32_t pick_events(struct world *w)
{
	static const uint32_t bits[] = { EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLPRI };
	uint32_t events = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
		if (pick(w, i < 2 ? 2 : 6) == 0)
			events |= bits[i];
	if (pick(w, 3) == 0)
		events |= EPOLLET;
	if (pick(w, 4) == 0)
		events |= EPOLLONESHOT;
	if (pick(w, 12) == 0)
		events |= EPOLLEXCLUSIVE;
	return events;
}

static void step_control(struct world *w)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, 77 };
	/* What is a member twice may be told of in either order. */
	struct member *ep = &w->epolls[w->in_order ? 0 : pick(w, EPOLLS)];
	struct member *m = &w->members[pick(w, w->nested ? MEMBERS + EPOLLS : MEMBERS)];
	int fd = pick(w, 5) || w->in_order ? m->fd : m->copy;
	struct epoll_event event = { .events = pick_events(w) };
	int op = ops[pick(w, ARRAY_SIZE(ops))];
	long h;

	event.data.u64 = (uint64_t)fd << 32 | event.events;
	h = host_result(epoll_ctl(ep->fd, op, fd, &event));
	assert_int_equal(epoll_control(ep->file, op, m->file, fd, &event), h);
}

static int event_order(const void *a, const void *b)
{
	const struct epoll_event *x = a;
	const struct epoll_event *y = b;

	return x->data.u64 < y->data.u64 ? -1 : x->data.u64 > y->data.u64;
}

/* In the same order, where that is to be. */
static void step_collect(struct world *w)
{
	struct member *ep = &w->epolls[pick(w, EPOLLS)];
	struct epoll_event theirs[EVENTS];
	struct epoll_event ours[EVENTS];
	int max = w->in_order ? 1 + (int)pick(w, 6) : EVENTS;
	int h = epoll_wait(ep->fd, theirs, max, 0);

	assert_int_equal(epoll_await(task_current, ep->file, ours, max, 0), h);
	if (!w->in_order) {
		qsort(theirs, (size_t)h, sizeof(theirs[0]), event_order);
		qsort(ours, (size_t)h, sizeof(ours[0]), event_order);
	}
	for (int i = 0; i < h; i++) {
		assert_int_equal(ours[i].data.u64, theirs[i].data.u64);
		assert_int_equal(ours[i].events, theirs[i].events);
	}
}

static void step_poll(struct world *w)
{
	struct member *ep = &w->epolls[pick(w, EPOLLS)];
	struct pollfd pfd = { .fd = ep->fd, .events = POLLIN };

	poll(&pfd, 1, 0);
	assert_int_equal(file_poll(ep->file, POLLIN, NULL), pfd.revents);
}

/* Something happens to a member, on both sides. */
static void step_use(struct world *w)
{
	static char buf[70000];
	struct member *m = &w->members[pick(w, MEMBERS)];
	uint64_t value = 1 + pick(w, 3);
	size_t len = pick(w, 4) ? 1 + pick(w, 3000) : sizeof(buf);

	switch (m->kind) {
	case KIND_EVENT:
		if (pick(w, 10) == 0)
			value = UINT64_MAX - 1;
		if (pick(w, 2)) {
			long h = host_result(write(m->fd, &value, sizeof(value)));

			assert_int_equal(files_try_write(m->file, &value, sizeof(value)), h);
		} else {
			long h = host_result(read(m->fd, &value, sizeof(value)));

			assert_int_equal(files_try_read(m->file, &value, sizeof(value)), h);
		}
		break;
	case KIND_READER: {
		long h = host_result(read(m->fd, buf, len));

		assert_int_equal(files_try_read(m->file, buf, len), h);
		break;
	}
	case KIND_WRITER: {
		long h = host_result(write(m->fd, buf, len));

		assert_int_equal(files_try_write(m->file, buf, len), h);
		break;
	}
	case KIND_HOST_READER:
		files_try_read(m->file, buf, len);
		break;
	case KIND_HOST_WRITER:
		files_try_write(m->file, buf, len);
		break;
	default:
		break;
	}
}

static void step_close(struct world *w)
{
	if (pick(w, 8))
		return;
	member_close(&w->members[pick(w, MEMBERS)]);
	world_fill(w);
}

static void world_run(struct world w)
{
	world_begin(&w);
	for (unsigned i = 0; i < 600; i++) {
		switch (pick(&w, 10)) {
		case 0: case 1:
			step_control(&w);
			break;
		case 2: case 3: case 4:
			step_collect(&w);
			break;
		case 5:
			step_poll(&w);
			break;
		case 6:
			step_close(&w);
			break;
		default:
			step_use(&w);
		}
	}
	world_end(&w);
}

static void test_as_host(void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++)
		world_run((struct world){ .seed = seed, .nested = true });
}

static void test_in_order(void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++)
		world_run((struct world){ .seed = seed, .in_order = true });
}

/* Without one in another: what is ready there by way of the host is a guess until it is collected. */
static void test_host_members(void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++)
		world_run((struct world){ .seed = seed, .host_members = true });
}

/* --- nesting --- */

static void test_nesting(void **state)
{
	struct member chain[8];
	struct epoll_event event = { .events = EPOLLIN };

	for (unsigned i = 0; i < ARRAY_SIZE(chain); i++) {
		struct file *file;

		assert_int_equal(epoll_open(&file), 0);
		member_set(&chain[i], KIND_EPOLL, file, epoll_create1(0));
	}
	for (unsigned i = 0; i + 1 < ARRAY_SIZE(chain); i++) {
		long h = host_result(epoll_ctl(chain[i].fd, EPOLL_CTL_ADD, chain[i + 1].fd, &event));

		assert_int_equal(epoll_control(chain[i].file, EPOLL_CTL_ADD, chain[i + 1].file,
					       chain[i + 1].fd, &event), h);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(chain); i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(chain); k++) {
			long h = host_result(epoll_ctl(chain[i].fd, EPOLL_CTL_ADD, chain[k].fd, &event));
			long r = epoll_control(chain[i].file, EPOLL_CTL_ADD, chain[k].file,
					       chain[k].fd, &event);

			assert_int_equal(r, h);
			if (!r) {
				epoll_ctl(chain[i].fd, EPOLL_CTL_DEL, chain[k].fd, NULL);
				epoll_control(chain[i].file, EPOLL_CTL_DEL, chain[k].file, chain[k].fd, NULL);
			}
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(chain); i++)
		member_close(&chain[i]);
}

/* A container's stdin may be a file: the guest sees a pipe, which is always ready. */
static void test_regular_file(void **state)
{
	struct epoll_event event = { .events = EPOLLIN };
	FILE *tmp = tmpfile();
	struct file *file;
	struct file *ep;

	files_task_begin();
	assert_int_equal(hostfd_open(dup(fileno(tmp)), O_RDONLY, &file), 0);
	assert_int_equal(epoll_open(&ep), 0);
	assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, file, 5, &event), 0);
	assert_int_equal(epoll_await(task_current, ep, &event, 1, USEC_INFINITY), 1);
	assert_int_equal(epoll_await(task_current, ep, &event, 1, USEC_INFINITY), 1);
	assert_int_equal(event.events, EPOLLIN);
	assert_int_equal(epoll_control(ep, EPOLL_CTL_DEL, file, 5, NULL), 0);
	assert_int_equal(epoll_await(task_current, ep, &event, 1, 0), 0);
	file_put(file);
	file_put(ep);
	fclose(tmp);
	files_task_end();
}

/* --- threads --- */

#define SLEEPERS 4
#define ROUNDS	 2000

struct pool {
	struct file *epoll, *done;
	struct file *events[8];
	_Atomic unsigned taken;
	bool nested;
};

/* Each event is taken by exactly one. */
static void *pool_run(void *data)
{
	struct pool *p = data;
	struct epoll_event got[3];

	files_task_begin();
	for (;;) {
		int n = epoll_await(task_current, p->epoll, got, ARRAY_SIZE(got), USEC_INFINITY);

		if (n < 0)
			break;
		for (int i = 0; i < n; i++) {
			uint64_t one;

			if (got[i].data.u64 == 99)
				goto out;
			if (files_try_read(p->events[got[i].data.u64], &one, sizeof(one)) == sizeof(one))
				atomic_fetch_add(&p->taken, (unsigned)one);
		}
	}
out:
	files_task_end();
	return NULL;
}

static void pool_test(uint32_t flags)
{
	struct pool p = { 0 };
	pthread_t threads[SLEEPERS];
	struct epoll_event event = { .events = EPOLLIN | flags };
	uint64_t one = 1;

	files_task_begin();
	assert_int_equal(epoll_open(&p.epoll), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(p.events); i++) {
		assert_int_equal(eventfd_open(0, 0, true, &p.events[i]), 0);
		event.data.u64 = i;
		assert_int_equal(epoll_control(p.epoll, EPOLL_CTL_ADD, p.events[i], (int)i, &event), 0);
	}
	assert_int_equal(eventfd_open(0, 0, false, &p.done), 0);
	event = (struct epoll_event){ .events = EPOLLIN, .data.u64 = 99 };
	assert_int_equal(epoll_control(p.epoll, EPOLL_CTL_ADD, p.done, 99, &event), 0);
	for (unsigned i = 0; i < SLEEPERS; i++)
		pthread_create(&threads[i], NULL, pool_run, &p);
	for (unsigned i = 0; i < ROUNDS; i++) {
		files_write(p.events[i % ARRAY_SIZE(p.events)], &one, sizeof(one));
		if (i % 7 == 0)
			while (p.taken <= i)
				sched_yield();
	}
	while (p.taken < ROUNDS)
		sched_yield();
	files_write(p.done, &one, sizeof(one));
	for (unsigned i = 0; i < SLEEPERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(p.taken, ROUNDS);
	for (unsigned i = 0; i < ARRAY_SIZE(p.events); i++)
		file_put(p.events[i]);
	file_put(p.done);
	file_put(p.epoll);
	files_task_end();
}

static void test_sleepers(void **state)
{
	pool_test(0);
}

/* A ping-pong through an epoll in an epoll, by pipes of ours or of the host. */
struct echo {
	struct file *in, *out;
};

static void *echo_run(void *data)
{
	struct echo *e = data;
	struct epoll_event event = { .events = EPOLLIN };
	struct file *inner;
	struct file *outer;
	char c;

	files_task_begin();
	assert_int_equal(epoll_open(&inner), 0);
	assert_int_equal(epoll_open(&outer), 0);
	assert_int_equal(epoll_control(outer, EPOLL_CTL_ADD, inner, 1, &event), 0);
	assert_int_equal(epoll_control(inner, EPOLL_CTL_ADD, e->in, 2, &event), 0);
	for (;;) {
		struct epoll_event got;

		assert_int_equal(epoll_await(task_current, outer, &got, 1, USEC_INFINITY), 1);
		if (epoll_await(task_current, inner, &got, 1, 0) != 1)
			continue;
		if (files_try_read(e->in, &c, 1) != 1)
			break;
		files_write(e->out, &c, 1);
	}
	file_put(inner);
	file_put(outer);
	files_task_end();
	return NULL;
}

static void echo_test(bool host)
{
	struct file *there[2];
	struct file *back[2];
	pthread_t thread;
	struct echo e;
	char c = 0;

	files_task_begin();
	for (unsigned i = 0; i < 2; i++) {
		struct file **ends = i ? back : there;
		int fds[2];

		if (host) {
			assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
			assert_int_equal(hostfd_open(fds[0], O_RDONLY, &ends[0]), 0);
			assert_int_equal(hostfd_open(fds[1], O_WRONLY, &ends[1]), 0);
		} else {
			assert_int_equal(pipe_open(0, &ends[0], &ends[1]), 0);
		}
	}
	e = (struct echo){ .in = there[0], .out = back[1] };
	pthread_create(&thread, NULL, echo_run, &e);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char want = (char)i;

		assert_int_equal(files_write(there[1], &want, 1), 1);
		assert_int_equal(files_read(back[0], &c, 1), 1);
		assert_int_equal(c, want);
	}
	file_put(there[1]);
	pthread_join(thread, NULL);
	file_put(there[0]);
	file_put(back[0]);
	file_put(back[1]);
	files_task_end();
}

static void test_echo(void **state)
{
	echo_test(false);
	echo_test(true);
}

/* Members come and go while others collect. */
static void *churn_run(void *data)
{
	struct pool *p = data;
	struct epoll_event got[4];

	files_task_begin();
	while (!p->taken)
		epoll_await(task_current, p->epoll, got, ARRAY_SIZE(got), 0);
	files_task_end();
	return NULL;
}

static void test_churn(void **state)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };
	struct pool p = { 0 };
	pthread_t thread;

	files_task_begin();
	assert_int_equal(epoll_open(&p.epoll), 0);
	pthread_create(&thread, NULL, churn_run, &p);
	for (unsigned i = 0; i < 20000; i++) {
		struct file *file;

		assert_int_equal(eventfd_open(i % 2, 0, false, &file), 0);
		assert_int_equal(epoll_control(p.epoll, EPOLL_CTL_ADD, file, (int)i, &event), 0);
		if (i % 3 == 0)
			assert_int_equal(epoll_control(p.epoll, EPOLL_CTL_DEL, file, (int)i, NULL), 0);
		file_put(file);
	}
	p.taken = 1;
	pthread_join(thread, NULL);
	file_put(p.epoll);
	files_task_end();
}

static int setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_host),
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_host_members),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_regular_file),
		cmocka_unit_test(test_sleepers),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_churn),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
