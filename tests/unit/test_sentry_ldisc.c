/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline does what this host's own does, byte for byte, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include <asm/termbits.h>

#include "base/cleanup.h"
#include "sentry/tty/ldisc.h"

#define MOST 16384

/* A terminal of the host, and one of ours in the same state. */
struct pair {
	int master, slave;
	struct ldisc ours;
};

static int setup(void **state)
{
	static struct pair p;
	int unlock = 0;

	p.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p.master < 0 || ioctl(p.master, TIOCSPTLCK, &unlock) < 0)
		return -1;
	p.slave = ioctl(p.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	ldisc_init(&p.ours);
	*state = &p;
	return p.slave < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	close(p->master);
	close(p->slave);
	ldisc_free(&p->ours);
	return 0;
}

/*
 * The host's kernel works in the background. Asking a terminal that has nothing to read makes it
 * finish what it was given; otherwise it is asked until it has what we have, or long enough.
 */
static void settle(struct pair *p)
{
	struct pollfd fds[2] = { { .fd = p->slave, .events = POLLIN },
				 { .fd = p->master, .events = POLLIN } };
	int in = -1, out = -1;

	for (int i = 0; i < 60000; i++) {
		usleep(i < 5 ? 0 : 1000);
		assert_true(poll(fds, 2, 0) >= 0);
		assert_int_equal(ioctl(p->slave, FIONREAD, &in), 0);
		assert_int_equal(ioctl(p->master, FIONREAD, &out), 0);
		if ((size_t)in == ldisc_queued(&p->ours) && (size_t)out == p->ours.out.len)
			return;
	}
}

static void show(const char *what, const uint8_t *data, size_t len)
{
	print_error("%s, %zu bytes:", what, len);
	for (size_t i = len > 100 ? len - 100 : 0; i < len; i++)
		print_error(data[i] >= ' ' && data[i] < 0x7f ? " %c" : " %02x", data[i]);
	print_error("\n");
}

static void same(const char *what, const uint8_t *host, size_t nhost, const uint8_t *ours,
		 size_t nours)
{
	if (nhost == nours && memcmp(host, ours, nhost) == 0)
		return;
	show("host", host, nhost);
	show("ours", ours, nours);
	fail_msg("%s differs", what);
}

static void set_modes(struct pair *p, const struct ldisc_termios *t)
{
	struct termios2 host = { 0 };
	struct ldisc_termios back;

	assert_int_equal(sizeof(host), sizeof(*t));
	memcpy(&host, t, sizeof(host));
	assert_int_equal(ioctl(p->slave, TCSETS2, &host), 0);
	assert_int_equal(ioctl(p->slave, TCGETS2, &host), 0);
	memcpy(&back, &host, sizeof(back));
	ldisc_set_termios(&p->ours, &back);
}

static void modes(struct pair *p, struct ldisc_termios *t)
{
	*t = p->ours.termios;
}

/* What is typed comes back to the master the same. */
static void type(struct pair *p, const void *data, size_t len)
{
	const uint8_t *at = data;
	size_t left = len;

	assert_int_equal(write(p->master, data, len), len);
	while (left) {
		int sig;
		size_t n = ldisc_receive(&p->ours, at, left, &sig);

		assert_true(n > 0);
		at += n;
		left -= n;
	}
	settle(p);
}

static size_t take_out(struct pair *p, uint8_t *buf)
{
	size_t done = 0, n;
	const uint8_t *data;

	while ((n = ring_peek(&p->ours.out, &data)) > 0) {
		memcpy(buf + done, data, n);
		ring_drop(&p->ours.out, n);
		done += n;
	}
	return done;
}

static void check_out(struct pair *p)
{
	uint8_t host[MOST], ours[MOST];
	size_t nhost = 0, nours = take_out(p, ours);
	ssize_t n;

	while ((n = read(p->master, host + nhost, sizeof(host) - nhost)) > 0)
		nhost += (size_t)n;
	same("what the master sees", host, nhost, ours, nours);
}

/* Reads of @len until there is nothing more. Return: how many there were */
static unsigned check_reads(struct pair *p, size_t len, unsigned max)
{
	uint8_t host[MOST], ours[MOST];
	unsigned count = 0;

	for (; count < max; count++) {
		ssize_t nhost;
		size_t nours = 0;
		int queued;

		assert_int_equal(ioctl(p->slave, FIONREAD, &queued), 0);
		assert_int_equal(ldisc_queued(&p->ours), queued);
		nhost = read(p->slave, host, len);
		if (nhost < 0 || (nhost == 0 && !ldisc_readable(&p->ours))) {
			if (nhost < 0)
				assert_int_equal(errno, EAGAIN);
			assert_int_equal(ldisc_readable(&p->ours), 0);
			break;
		}
		for (bool end = false; nours < len && !end;) {
			size_t n = ldisc_read(&p->ours, ours + nours, len - nours, &end);

			nours += n;
			if (!n)
				break;
		}
		same("a read", host, (size_t)nhost, ours, nours);
	}
	return count;
}

static void put(struct pair *p, const void *data, size_t len)
{
	ssize_t n = write(p->slave, data, len);

	assert_int_equal(n < 0 ? 0 : n, ldisc_write(&p->ours, data, len));
	settle(p);
}

/* --- one thing after another --- */

static void test_begins_like_the_host(void **state)
{
	struct pair *p = *state;
	struct termios2 host;

	assert_int_equal(ioctl(p->slave, TCGETS2, &host), 0);
	assert_memory_equal(&host, &p->ours.termios, sizeof(host));
}

/* flags that are turned on (+) and off, what is typed */
struct typed_case {
	uint32_t ion, ioff, oon, ooff, lon, loff;
	const char *text;
};

static const struct typed_case typed_cases[] = {
	{ .text = "hello\n" },
	{ .text = "one\rtwo\nthree\n" },
	{ .text = "abc\177\177d\n" },
	{ .text = "\177\177x\n" },
	{ .text = "some words here\027\027last\n" },
	{ .text = "foo_bar.baz  \027\n" },
	{ .text = "gone\025kept\n" },
	{ .text = "a\tb\177\177\177\n" },
	{ .text = "\t\t\177x\n" },
	{ .text = "12345678\t\177\n" },
	{ .text = "\001\002\177\177\n" },
	{ .text = "\001\002\t\177\177\177\n" },
	{ .text = "line\022more\n" },
	{ .text = "\026\003\026\n\026\177\n" },
	{ .text = "\026\004x\n" },
	{ .text = "abc\004def\004" },
	{ .text = "\004" },
	{ .text = "\004\004\n\004" },
	{ .text = "lost\003kept\n" },
	{ .text = "lost\034\032kept\n" },
	{ .text = "ab\023cd\n\021ef\n" },
	{ .text = "ab\023cd\003\n" },
	{ .ion = IXANY, .text = "ab\023cd\n" },
	{ .ioff = IXON, .text = "ab\023cd\021\n" },
	{ .ioff = ICRNL, .text = "a\rb\n" },
	{ .ion = IGNCR, .text = "a\rb\n" },
	{ .ion = INLCR, .ioff = ICRNL, .text = "a\nb\rc" },
	{ .ion = INLCR, .text = "a\nb\rc\n" },
	{ .ion = ISTRIP, .text = "\341\342\212" },
	{ .ion = IUCLC, .text = "ABC\n" },
	{ .ion = IUTF8, .text = "\303\244\303\266\177x\n" },
	{ .ion = IUTF8, .text = "\342\202\254\t\177\177\n" },
	{ .ion = IUTF8, .text = "\244\244\177x\n" },
	{ .ioff = IUTF8, .text = "\303\244\177x\n" },
	{ .ion = PARMRK, .text = "a\377b\n" },
	{ .oon = OLCUC, .text = "mixed Case\n" },
	{ .oon = XTABS, .text = "a\tb\177\177\n" },
	{ .oon = OCRNL, .text = "x\026\ry\n" },
	{ .oon = ONLRET, .ooff = ONLCR, .text = "abc\ndef\t\177\n" },
	{ .ooff = ONLCR, .text = "abc\ndef\t\177\n" },
	{ .ooff = OPOST, .text = "abc\ndef\t\177\n" },
	{ .loff = ECHO, .text = "quiet\177\025more\022\n" },
	{ .loff = ECHO, .lon = ECHONL, .text = "quiet\n" },
	{ .loff = ECHOE, .text = "ab\177c\027d\n" },
	{ .loff = ECHOK, .text = "ab\025c\n" },
	{ .loff = ECHOKE, .text = "ab\025c\n" },
	{ .loff = ECHOCTL, .text = "\001ab\001\177\177\177\003\n" },
	{ .loff = ECHOCTL, .text = "\026\003\001\t\177\n" },
	{ .lon = ECHOPRT, .text = "hello\177\177\177x\177\n" },
	{ .lon = ECHOPRT, .text = "hello\177\177\177\177\177z\n" },
	{ .lon = ECHOPRT, .ion = IUTF8, .text = "\303\244\303\266\177\177x\n" },
	{ .lon = ECHOPRT, .text = "a b\027\022\025\n" },
	{ .lon = NOFLSH, .text = "kept\003too\n" },
	{ .loff = ISIG, .text = "a\003b\032\034\n" },
	{ .loff = IEXTEN, .text = "a b\027\026\022\n" },
	{ .loff = ICANON, .text = "raw\004\177\n\025x\r" },
	{ .loff = ICANON | ECHO | ISIG, .text = "\001\002\003\004\377" },
	{ .loff = ICANON | ECHOCTL, .text = "a\tb\001\n" },
};

static void test_typing(void **state)
{
	struct pair *p = *state;
	struct ldisc_termios t, before;

	modes(p, &before);
	for (size_t i = 0; i < ARRAY_SIZE(typed_cases); i++) {
		const struct typed_case *c = &typed_cases[i];

		print_message("typed case %zu\n", i);
		t = before;
		t.iflag = (t.iflag | c->ion) & ~c->ioff;
		t.oflag = (t.oflag | c->oon) & ~c->ooff;
		t.lflag = (t.lflag | c->lon) & ~c->loff;
		set_modes(p, &t);
		type(p, c->text, strlen(c->text));
		check_out(p);
		(void)check_reads(p, 100, 100);
		set_modes(p, &before);
		(void)ioctl(p->slave, TCFLSH, 2);
		ldisc_flush_input(&p->ours);
		put(p, "\r", 1);
		check_out(p);
	}
}

static void test_short_reads(void **state)
{
	struct pair *p = *state;

	type(p, "abc\004defgh\nij\n\n\004\004k\004", 19);
	check_out(p);
	assert_int_equal(check_reads(p, 3, 1), 1); /* the end of file goes with it */
	assert_true(check_reads(p, 2, 100) > 5);
}

static void test_end_characters(void **state)
{
	struct pair *p = *state;
	struct ldisc_termios t;

	modes(p, &t);
	t.cc[VEOL] = ';';
	t.cc[VEOL2] = '.';
	set_modes(p, &t);
	type(p, "one;two.three\n", 14);
	check_out(p);
	assert_int_equal(check_reads(p, 100, 100), 3);
}

static void test_modes_change_over_bytes(void **state)
{
	struct pair *p = *state;
	struct ldisc_termios t, raw;

	modes(p, &t);
	raw = t;
	raw.lflag &= ~(uint32_t)(ICANON | ECHO);
	raw.cc[VMIN] = 255; /* nothing to read, to the host, before there are as many */
	type(p, "half a line", 11);
	set_modes(p, &raw);
	(void)check_reads(p, 4, 1);
	type(p, "rest\nof it", 10);
	set_modes(p, &t);
	(void)check_reads(p, 5, 1);
	type(p, "more\n", 5);
	check_out(p);
	(void)check_reads(p, 100, 100);
}

static void test_longest_line(void **state)
{
	struct pair *p = *state;
	struct ldisc_termios t;
	uint8_t line[4090];

	modes(p, &t);
	t.lflag &= ~(uint32_t)ECHO;
	set_modes(p, &t);
	memset(line, 'a', sizeof(line));
	type(p, line, sizeof(line));
	type(p, "0123456789", 10);
	type(p, "x\177y\n", 4);
	(void)check_reads(p, 5000, 10);
	type(p, "after\n", 6);
	(void)check_reads(p, 5000, 10);
}

static void test_raw_input_waits_for_room(void **state)
{
	struct pair *p = *state;
	struct ldisc_termios t;
	uint8_t much[5000];
	int sig;

	modes(p, &t);
	t.lflag &= ~(uint32_t)(ICANON | ECHO);
	set_modes(p, &t);
	memset(much, 'r', sizeof(much));
	assert_int_equal(ldisc_receive(&p->ours, much, sizeof(much), &sig), LDISC_INPUT - 1);
	assert_int_equal(ldisc_readable(&p->ours), LDISC_INPUT - 1);
}

static void test_output(void **state)
{
	static const char *const texts[] = {
		"plain\n", "a\tb\tc\n", "over\rwrite\n", "\b\bback\n", "\303\244\tx\n", "\001\033[1m\n",
	};
	static const uint32_t oflags[] = {
		OPOST | ONLCR, OPOST, 0, OPOST | XTABS, OPOST | OCRNL, OPOST | ONOCR | ONLCR,
		OPOST | ONLRET | XTABS, OPOST | OLCUC, OPOST | OCRNL | ONLRET | XTABS,
	};
	struct pair *p = *state;
	struct ldisc_termios t;

	modes(p, &t);
	for (size_t o = 0; o < ARRAY_SIZE(oflags); o++) {
		t.oflag = oflags[o];
		set_modes(p, &t);
		for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
			put(p, texts[i], strlen(texts[i]));
			check_out(p);
		}
	}
}

static void test_output_is_bounded(void **state)
{
	struct pair *p = *state;
	uint8_t chunk[512];
	size_t all = 0, n;

	memset(chunk, '\n', sizeof(chunk));
	while ((n = ldisc_write(&p->ours, chunk, sizeof(chunk))) > 0)
		all += n;
	assert_in_range(all, LDISC_OUTPUT / 2 - 8, LDISC_OUTPUT);
	/* and echo, on top */
	for (int i = 0; i < 100; i++) {
		int sig;

		(void)ldisc_receive(&p->ours, (const uint8_t *)"0123456789\n", 11, &sig);
		for (bool end = false; !end;)
			(void)ldisc_read(&p->ours, chunk, sizeof(chunk), &end);
	}
	assert_true(p->ours.out.len <= LDISC_OUTPUT + LDISC_ECHO);
}

/* --- at random --- */

static uint32_t pick(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % n;
}

/* Nobody reads at the other end, whatever it is that goes there. */
static void test_echo_is_bounded(void **state)
{
	const uint8_t stop = 023, start = 021;
	uint8_t text[1024];
	struct ldisc l;
	int sig;

	(void)state;
	memset(text, 'x', sizeof(text));
	ldisc_init(&l);
	for (unsigned i = 0; i < 64; i++) {
		ldisc_receive(&l, &stop, 1, &sig);
		assert_true(l.stopped);
		for (unsigned k = 0; k < 5; k++)
			assert_int_equal(ldisc_receive(&l, text, sizeof(text), &sig), sizeof(text));
		assert_true(l.held.len > 0 && l.held.len <= LDISC_ECHO);
		ldisc_receive(&l, &start, 1, &sig);
		assert_int_equal(l.held.len, 0);
		assert_true(l.out.len <= LDISC_OUTPUT + LDISC_ECHO);
	}
	for (unsigned i = 0; i < 2 * (LDISC_OUTPUT + LDISC_ECHO); i++)
		ldisc_send(&l, &stop, 1);
	assert_int_equal(l.out.len, LDISC_OUTPUT + LDISC_ECHO);
	ldisc_free(&l);
}

static void random_modes(struct pair *p, uint32_t *seed)
{
	static const uint32_t iflags[] = { ISTRIP, INLCR, IGNCR, ICRNL, IUCLC, IXON, IXANY, IUTF8 };
	static const uint32_t oflags[] = { OPOST, OLCUC, ONLCR, OCRNL, ONOCR, ONLRET, XTABS };
	static const uint32_t lflags[] = { ISIG, ECHO, ECHOE, ECHOK, ECHONL, NOFLSH, ECHOCTL, ECHOPRT,
					   ECHOKE, IEXTEN };
	struct ldisc_termios t;

	modes(p, &t);
	t.iflag ^= iflags[pick(seed, ARRAY_SIZE(iflags))];
	t.oflag ^= oflags[pick(seed, ARRAY_SIZE(oflags))];
	t.lflag ^= lflags[pick(seed, ARRAY_SIZE(lflags))];
	if (pick(seed, 6) == 0)
		t.lflag ^= ICANON;
	set_modes(p, &t);
}

static void random_typing(struct pair *p, uint32_t *seed)
{
	static const uint8_t special[] = { 0177, 025, 004, 022, 027, 026, '\n', '\r', '\t', '\b',
					   0, 0377, 0303, 0244, 1, ' ', '_' };
	/* Linux drops echo that it has not thought about yet, which is a matter of time. */
	static const char alone[] = "\003\034\032\023\021";
	uint8_t text[64];
	size_t len = 1 + pick(seed, sizeof(text) - 1);

	for (size_t i = 0; i < len; i++)
		text[i] = pick(seed, 3) ? (uint8_t)('a' + pick(seed, 26)) :
					  special[pick(seed, sizeof(special))];
	if (pick(seed, 6) == 0)
		type(p, alone + pick(seed, sizeof(alone) - 1), 1);
	else if (pick(seed, 4))
		type(p, text, len);
	else
		put(p, text, len);
}

static void test_random(void **state)
{
	struct pair *p = *state;
	struct ldisc_termios t;
	uint32_t seed = 20;

	modes(p, &t);
	t.cc[VMIN] = 255;
	set_modes(p, &t);
	for (int round = 0; round < 4000; round++) {
		random_typing(p, &seed);
		check_out(p);
		if (p->ours.held.len > 2000)
			type(p, "\021", 1);
		(void)check_reads(p, 1 + pick(&seed, 40), 1000);
		/* Echo that is held back is processed by the modes of before, of after on Linux. */
		if (pick(&seed, 8) == 0 && !p->ours.stopped)
			random_modes(p, &seed);
		if (p->ours.head - p->ours.tail > 3000) {
			(void)ioctl(p->slave, TCFLSH, 0);
			ldisc_flush_input(&p->ours);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_begins_like_the_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_typing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_characters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes_change_over_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longest_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_raw_input_waits_for_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_is_bounded, setup, teardown),
		cmocka_unit_test(test_echo_is_bounded),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0) {
		printf("no pseudo terminal can be opened here\n");
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
