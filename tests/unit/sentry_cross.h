/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that make, move, link and remove the same few names in two directories and below each other,
 * or change what somebody else owns by now; after sentry_tree.h
 */
#ifndef TESTS_UNIT_SENTRY_CROSS_H
#define TESTS_UNIT_SENTRY_CROSS_H

#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>

#define CROSS_THREADS 4
#define CROSS_ROUNDS  400

struct cross {
	struct tree *t;
	unsigned id;
};

static unsigned cross_next(unsigned *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 16;
}

/* "/cross/a", and down to three more of "d", "e", "f": any of them may be a file, or nothing */
static void cross_name(unsigned *state, char path[32])
{
	unsigned depth = 1 + cross_next(state) % 3;

	strcpy(path, cross_next(state) & 1 ? "/cross/a" : "/cross/b");
	for (unsigned i = 0; i < depth; i++) {
		const char part[] = { '/', (char)('d' + cross_next(state) % 3), '\0' };

		strcat(path, part);
	}
}

static void *cross_run(void *data)
{
	struct cross *c = data;
	unsigned state = c->id * 7919 + 1;

	for (int i = 0; i < CROSS_ROUNDS; i++) {
		char one[32], other[32];
		struct stat st;

		cross_name(&state, one);
		cross_name(&state, other);
		switch (cross_next(&state) % 9) {
		case 0:
		case 1:
			t_mkdir(c->t, one, 0755);
			break;
		case 2:
			t_put(c->t, one, "x");
			break;
		case 3:
		case 4:
			t_rename(c->t, one, other, 0);
			break;
		case 5:
			t_rename(c->t, one, other, RENAME_EXCHANGE);
			break;
		case 6:
			t_link(c->t, one, other);
			break;
		case 7:
			if (t_unlink(c->t, one) < 0)
				t_rmdir(c->t, one);
			break;
		default:
			t_lstat(c->t, one, &st);
		}
	}
	return NULL;
}

/* Everything below @path can be found, and removed. */
static void cross_clear(struct tree *t, const char *path)
{
	char all[256], *rest = all, *name;
	struct stat st;

	snprintf(all, sizeof(all), "%s", t_list(t, path, NULL, NULL));
	while ((name = strsep(&rest, " "))) {
		char below[256];

		if (!*name)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, name);
		assert_int_equal(t_lstat(t, below, &st), 0);
		if (S_ISDIR(st.st_mode))
			cross_clear(t, below);
		else
			assert_int_equal(t_unlink(t, below), 0);
	}
	assert_int_equal(t_lstat(t, path, &st), 0);
	assert_true(st.st_nlink == 1 || st.st_nlink == 2);
	assert_int_equal(t_rmdir(t, path), 0);
}

/* Nobody waits for another for ever, and what is left is a tree. */
static void cross_all(struct tree *t)
{
	pthread_t threads[CROSS_THREADS];
	struct cross cross[CROSS_THREADS];

	assert_int_equal(t_mkdir(t, "/cross", 0755), 0);
	assert_int_equal(t_mkdir(t, "/cross/a", 0755), 0);
	assert_int_equal(t_mkdir(t, "/cross/b", 0755), 0);
	for (unsigned i = 0; i < CROSS_THREADS; i++) {
		cross[i] = (struct cross){ t, i };
		assert_int_equal(pthread_create(&threads[i], NULL, cross_run, &cross[i]), 0);
	}
	for (unsigned i = 0; i < CROSS_THREADS; i++)
		pthread_join(threads[i], NULL);
	cross_clear(t, "/cross");
}

/* ---- an owner who changes the mode while the file is given away ---- */

static atomic_bool cross_given;

static void *cross_own(void *data)
{
	struct cred cred = { .refs = 1, .uid = 1000, .euid = 1000, .suid = 1000, .fsuid = 1000 };
	struct tree mine = *(struct tree *)data;

	mine.cred = &cred;
	while (!atomic_load(&cross_given))
		t_chmod(&mine, "/gift", 04755);
	return NULL;
}

/* Whose it has become never owns a program that runs as them. */
static void cross_owner(struct tree *t)
{
	struct stat st;
	pthread_t owner;

	assert_int_equal(t_put(t, "/gift", "x"), 0);
	atomic_store(&cross_given, false);
	assert_int_equal(pthread_create(&owner, NULL, cross_own, t), 0);
	for (int i = 0; i < CROSS_ROUNDS; i++) {
		assert_int_equal(t_chown(t, "/gift", 1000, 0), 0);
		assert_int_equal(t_chown(t, "/gift", 0, 0), 0);
		for (int look = 0; look < 3; look++) {
			assert_int_equal(t_lstat(t, "/gift", &st), 0);
			assert_int_equal(st.st_uid, 0);
			assert_int_equal(st.st_mode & S_ISUID, 0);
		}
	}
	atomic_store(&cross_given, true);
	pthread_join(owner, NULL);
}

#endif /* TESTS_UNIT_SENTRY_CROSS_H */
