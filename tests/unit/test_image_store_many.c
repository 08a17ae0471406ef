/* SPDX-License-Identifier: Apache-2.0 */
/* The store with many processes at once, and with processes that are killed at any point. */
#include "store_fixture.h"

#include <sys/ptrace.h>

#define CHILDREN 6
#define PULLS	 12

static void wait_for(pid_t child)
{
	int status = 0;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static bool is_running(pid_t child)
{
	int status = 0;

	if (waitpid(child, &status, WNOHANG) == 0)
		return true;
	assert_int_equal(status, 0);
	return false;
}

/* All children fetch the same images, each under names of its own. */
static void fetch_some(const struct fixture *f, int child)
{
	static struct material m;
	struct store *s;
	char name[64];

	OK(store_open(f->dir, &s, e));
	for (unsigned i = 0; i < PULLS; i++) {
		material_make(&m, i);
		snprintf(name, sizeof(name), "image-%d-%u", child, i);
		OK(material_pull(s, NULL, &m, name, e));
	}
	store_close(s);
	_exit(0);
}

static void start_children(const struct fixture *f, pid_t children[CHILDREN],
			   void (*work)(const struct fixture *f, int child))
{
	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0)
			work(f, i);
	}
}

static void test_at_once(void **state)
{
	struct fixture *f = *state;
	pid_t children[CHILDREN];
	struct index x;

	start_children(f, children, fetch_some);
	for (int i = 0; i < CHILDREN; i++)
		wait_for(children[i]);
	OK(store_names(f->store, &x, e));
	assert_int_equal(x.count, CHILDREN * PULLS);
	index_free(&x);
	/* One layer of all, one of each, a configuration and a manifest of each. */
	assert_int_equal(fixture_count(f, "blobs/sha256"), 1 + PULLS * 3);
	assert_int_equal(fixture_count(f, "parts"), 0);
	assert_int_equal(fixture_count(f, "leases"), 0);
	assert_int_equal(fixture_faults(f->store, false, false), 0);
}

/* While others prune, what is being fetched stays; and all that they want gone goes. */
static void fetch_and_drop(const struct fixture *f, int child)
{
	static struct material m;
	struct descriptor d;
	struct store *s;
	char name[64];

	OK(store_open(f->dir, &s, e));
	snprintf(name, sizeof(name), "image-%d", child);
	for (unsigned i = 0; i < PULLS; i++) {
		/* Half of them are what the neighbour has, too. */
		material_make(&m, i % 2 ? i : i * 100 + (unsigned)child);
		OK(material_pull(s, NULL, &m, name, e));
		OK(store_name_get(s, name, &d, e));
		assert_true(digest_is_equal(&d.digest, &m.digest));
		descriptor_free(&d);
		if (i + 1 < PULLS && i % 3 == 0)
			OK(store_name_remove(s, name, e));
	}
	store_close(s);
	_exit(0);
}

static void test_prune_beside(void **state)
{
	struct fixture *f = *state;
	struct coffer_prune out = { .size = sizeof(out) };
	pid_t children[CHILDREN];

	start_children(f, children, fetch_and_drop);
	for (int i = 0; i < CHILDREN; i++)
		while (is_running(children[i])) {
			OK(store_prune(f->store, false, &out, e));
			assert_int_equal(fixture_faults(f->store, false, false), 0);
		}
	OK(store_prune(f->store, false, &out, e));
	/* All end with the same image. */
	assert_int_equal(fixture_count(f, "blobs/sha256"), 4);
	assert_int_equal(fixture_count(f, "parts"), 0);
	assert_int_equal(fixture_count(f, "leases"), 0);
	assert_int_equal(fixture_faults(f->store, false, false), 0);
}

/* A prune of everything, names too, never takes what somebody holds. */
static void test_prune_all_beside_lease(void **state)
{
	struct fixture *f = *state;
	static struct material m;
	struct store_lease *l;
	pid_t child = fork();
	struct buf b;

	if (child == 0) {
		struct store *s;

		OK(store_open(f->dir, &s, e));
		for (int i = 0; i < 40; i++)
			OK(store_prune(s, true, NULL, e));
		_exit(0);
	}
	for (unsigned i = 0; is_running(child); i++) {
		material_make(&m, i % 3);
		OK(store_lease_open(f->store, &l, e));
		OK(material_pull(f->store, l, &m, "name", e));
		OK(material_root(f->store, l, &m, e));
		OK(store_blob_read(f->store, &m.layers[0], MATERIAL_LAYER, &b, e));
		buf_free(&b);
		OK(store_blob_read(f->store, &m.digest, sizeof(m.manifest), &b, e));
		buf_free(&b);
		store_lease_close(l);
	}
}

/* ---- killed ---- */

static void pull_once(const struct fixture *f, const struct material *m)
{
	struct store_lease *l;
	struct store *s;

	OK(store_open(f->dir, &s, e));
	OK(store_lease_open(s, &l, e));
	OK(material_pull(s, l, m, "name", e));
	OK(material_root(s, l, m, e));
	store_lease_close(l);
	store_close(s);
}

static void prune_once(const struct fixture *f, const struct material *m)
{
	struct store *s;

	(void)m;
	OK(store_open(f->dir, &s, e));
	OK(store_prune(s, true, NULL, e));
	store_close(s);
}

/* Run @work in a child, and kill it at its system call number @k, before or after that is done.
 * Return: whether it got that far; -1: nobody may trace here */
static int killed_at(const struct fixture *f, const struct material *m,
		     void (*work)(const struct fixture *f, const struct material *m), int k)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		raise(SIGSTOP);
		work(f, m);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		return -1;
	for (int i = 0; i < k && WIFSTOPPED(status); i++) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	if (!WIFSTOPPED(status)) {
		assert_int_equal(status, 0);
		return 0;
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	return 1;
}

static void test_killed_anywhere(void **state)
{
	struct fixture *f = *state;
	struct coffer_prune out = { .size = sizeof(out) };
	static struct material m;
	int n = 1;

	material_make(&m, 1);
	for (int k = 1; n == 1; k++) {
		OK(store_prune(f->store, true, &out, e));
		OK(store_prune(f->store, true, &out, e));
		n = killed_at(f, &m, pull_once, k);
		if (n < 0)
			skip();
		/* What is there is whole, and no prune harms what comes next. */
		assert_int_equal(fixture_count(f, "roots") ? 0 : fixture_faults(f->store, false, false),
				 0);
		if (k % 2)
			OK(store_prune(f->store, false, &out, e));
		pull_once(f, &m);
		OK(store_prune(f->store, false, &out, e));
		assert_int_equal(fixture_count(f, "blobs/sha256"), 4);
		assert_int_equal(fixture_count(f, "roots"), 1);
		assert_int_equal(fixture_count(f, "parts"), 0);
		assert_int_equal(fixture_count(f, "leases"), 0);
		if (n == 0)
			print_message("killed at each of %d stops\n", k - 1);
	}
}

/* A manifest that is left has all that it refers to. */
static void test_prune_killed_anywhere(void **state)
{
	struct fixture *f = *state;
	static struct material m;
	int n = 1;

	material_make(&m, 1);
	for (int k = 1; n == 1; k++) {
		OK(material_pull(f->store, NULL, &m, "name", e));
		n = killed_at(f, &m, prune_once, k);
		if (n < 0)
			skip();
		assert_int_equal(fixture_faults(f->store, false, false), 0);
		if (n == 0)
			print_message("killed at each of %d stops\n", k - 1);
	}
	assert_int_equal(fixture_count(f, "blobs/sha256"), 0);
}

/* Bytes that are there are not fetched again, wherever it broke off. */
static void test_killed_resumes(void **state)
{
	struct fixture *f = *state;
	static char data[5000];
	struct store_part *p;
	struct digest d;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 >> 3);
	OK(digest_of(data, sizeof(data), &d, e));
	for (size_t at = 0; at <= sizeof(data); at += 499) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			OK(store_part_open(f->store, &d, sizeof(data), -1, &p, e));
			for (size_t i = 0; i < at; i++)
				OK(store_part_write(p, data + i, 1, e));
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(fixture_faults(f->store, false, false), 0);
		OK(store_part_open(f->store, &d, sizeof(data), -1, &p, e));
		assert_int_equal(store_part_offset(p), at);
		OK(store_part_write(p, data + at, sizeof(data) - at, e));
		OK(store_part_commit(p, NULL, NULL, e));
		store_part_close(p);
		assert_int_equal(fixture_faults(f->store, false, false), 0);
		OK(store_prune(f->store, true, NULL, e));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_at_once),
		TEST(test_prune_beside),
		TEST(test_prune_all_beside_lease),
		TEST(test_killed_resumes),
		TEST(test_killed_anywhere),
		TEST(test_prune_killed_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
