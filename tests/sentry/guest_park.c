/* SPDX-License-Identifier: Apache-2.0 */
/* Two that talk by reads that block, while signals, stops and ends come in between: nothing is
 * lost, nothing comes twice. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "guest.h"

#define ROUNDS 1500
#define OFTEN  700 /* microseconds between signals */

struct talk {
	int ask[2], reply[2];
};

static volatile sig_atomic_t rung, turns;

static void ring_in(long microseconds)
{
	const struct itimerval timer = { .it_value.tv_usec = microseconds };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Again soon; later each time when nothing else was done meanwhile, or who is slow never would. */
static void on_signal(int sig)
{
	static long next = OFTEN;
	static sig_atomic_t seen;

	(void)sig;
	next = turns != seen ? OFTEN : next < 400000 ? 2 * next : next;
	seen = turns;
	ring_in(next);
	rung = 1;
}

static void handle(int sig, int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(sig, &action, NULL);
}

static void begin_pipes(struct talk *t)
{
	if (pipe(t->ask) || pipe(t->reply))
		abort();
}

static void begin_sockets(struct talk *t, int type)
{
	if (socketpair(AF_UNIX, type, 0, t->ask))
		abort();
	t->reply[0] = t->ask[1];
	t->reply[1] = t->ask[0];
}

static ssize_t read_again(int fd, void *to, size_t len)
{
	ssize_t n;

	do
		n = read(fd, to, len);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Gives back every number plus one, until the end. */
static void answer(const struct talk *t)
{
	uint64_t n;

	while (read_again(t->ask[0], &n, sizeof(n)) == sizeof(n)) {
		n++;
		turns++;
		while (write(t->reply[1], &n, sizeof(n)) < 0 && errno == EINTR)
			;
	}
	_exit(7);
}

/* Return: how many came back as they should */
static unsigned ask(const struct talk *t, unsigned rounds)
{
	unsigned good = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t n = i * 1000003;

		while (write(t->ask[1], &n, sizeof(n)) < 0 && errno == EINTR)
			;
		if (read_again(t->reply[0], &n, sizeof(n)) != sizeof(n))
			break;
		turns++;
		good += n == i * 1000003 + 1;
	}
	return good;
}

static pid_t answerer(const struct talk *t)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	close(t->ask[1]);
	if (t->reply[0] != t->ask[1])
		close(t->reply[0]);
	answer(t);
	return 0;
}

static void finish(const struct talk *t, pid_t pid, unsigned good)
{
	int status = 0;

	printf("%u came back\n", good);
	close(t->ask[1]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	guest_show_status("answerer", status);
}

static void plain(struct talk *t)
{
	pid_t pid = answerer(t);

	close(t->ask[0]);
	finish(t, pid, ask(t, ROUNDS));
}

static void test_pipes(void)
{
	struct talk t;

	begin_pipes(&t);
	plain(&t);
}

static void test_streams(void)
{
	struct talk t;

	begin_sockets(&t, SOCK_STREAM);
	plain(&t);
}

static void test_packets(void)
{
	struct talk t;

	begin_sockets(&t, SOCK_SEQPACKET);
	plain(&t);
}

static void *thread_answer(void *data)
{
	const int *fds = data;
	uint64_t n;

	for (int i = 0; i < ROUNDS; i++) {
		if (read(fds[0], &n, sizeof(n)) != sizeof(n) || n != 3)
			return (void *)1;
		if (write(fds[1], &n, sizeof(n)) != sizeof(n))
			return (void *)1;
	}
	return NULL;
}

/* Between threads, where both sides are one process. */
static void test_counters(void)
{
	int fds[2] = { eventfd(0, 0), eventfd(0, 0) };
	uint64_t n = 3;
	unsigned good = 0;
	pthread_t thread;
	void *bad;

	pthread_create(&thread, NULL, thread_answer, fds);
	for (int i = 0; i < ROUNDS; i++)
		if (write(fds[0], &n, sizeof(n)) == sizeof(n) &&
		    read(fds[1], &n, sizeof(n)) == sizeof(n))
			good += n == 3;
	pthread_join(thread, &bad);
	printf("%u came back, %s\n", good, bad ? "bad" : "good");
}

/* Timers on both sides that interrupt whatever is being waited for. */
static void signals(int flags)
{
	struct talk t;
	pid_t pid;

	begin_pipes(&t);
	handle(SIGALRM, flags);
	pid = fork();
	if (!pid) {
		close(t.ask[1]);
		close(t.reply[0]);
		ring_in(OFTEN);
		answer(&t);
	}
	close(t.ask[0]);
	ring_in(OFTEN);
	finish(&t, pid, ask(&t, ROUNDS));
	printf("rung: %d\n", rung);
}

static void test_interrupted(void)
{
	signals(0);
}

static void test_restarted(void)
{
	signals(SA_RESTART);
}

/* Somebody else stops and continues it all the time. */
static void test_stopped(void)
{
	struct talk t;
	pid_t pid, other;
	int status;

	begin_pipes(&t);
	pid = answerer(&t);
	other = fork();
	if (!other)
		for (;;) {
			kill(pid, SIGSTOP);
			usleep(300);
			kill(pid, SIGCONT);
			usleep(1000);
		}
	close(t.ask[0]);
	status = (int)ask(&t, ROUNDS);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	kill(pid, SIGCONT);
	finish(&t, pid, (unsigned)status);
}

/* The answerer is killed at some moment: the end is seen, nobody hangs. */
static void test_killed(void)
{
	unsigned ended = 0;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 40; i++) {
		struct talk t;
		pid_t pid, other;
		int status;

		begin_pipes(&t);
		pid = answerer(&t);
		other = fork();
		if (!other) {
			close(t.ask[1]);
			usleep(500 + (unsigned)i * 100);
			kill(pid, SIGKILL);
			_exit(0);
		}
		close(t.ask[0]);
		close(t.reply[1]);
		ask(&t, 1u << 30);
		waitpid(other, NULL, 0);
		waitpid(pid, &status, 0);
		ended += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		close(t.ask[1]);
		close(t.reply[0]);
	}
	printf("%u ended\n", ended);
}

static void *thread_close(void *data)
{
	const struct talk *t = data;
	uint64_t n = 5;

	guest_await_sleep(getpid(), getpid());
	close(t->reply[0]); /* what reads from it goes on reading */
	usleep(5000);
	if (write(t->reply[1], &n, sizeof(n)) != sizeof(n))
		printf("not written\n");
	return NULL;
}

static void test_closed(void)
{
	struct talk t;
	pthread_t thread;
	uint64_t n = 0;

	begin_pipes(&t);
	pthread_create(&thread, NULL, thread_close, &t);
	printf("read: %ld\n", (long)read(t.reply[0], &n, sizeof(n)));
	printf("got: %lu\n", (unsigned long)n);
	pthread_join(thread, NULL);
	printf("read: %s\n", guest_answer(read(t.reply[0], &n, sizeof(n))));
}

/* What it reads to is taken away meanwhile. */
static void test_unmapped(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct talk t;
	pid_t pid;

	begin_pipes(&t);
	pid = fork();
	if (!pid) {
		uint64_t n;

		for (int i = 0; i < 40; i++)
			if (read(t.ask[0], &n, sizeof(n)) != sizeof(n) ||
			    write(t.reply[1], &n, sizeof(n)) != sizeof(n))
				_exit(1);
		munmap(page, 4096);
		if (read(t.ask[0], page, 8) >= 0 || errno != EFAULT)
			_exit(2);
		_exit(read(t.ask[0], &n, sizeof(n)) == 8 ? 7 : 3);
	}
	close(t.ask[0]);
	for (uint64_t i = 0; i < 40; i++) {
		uint64_t n = i;

		if (write(t.ask[1], &n, sizeof(n)) != sizeof(n) ||
		    read(t.reply[0], &n, sizeof(n)) != sizeof(n))
			break;
	}
	usleep(20000);
	finish(&t, pid, (unsigned)write(t.ask[1], "12345678", 8));
}

/* Several wait for the same; each message has one who gets it. */
static void test_many(void)
{
	struct talk t;
	pid_t pids[4];
	unsigned good = 0;

	begin_pipes(&t);
	for (int i = 0; i < 4; i++)
		pids[i] = answerer(&t);
	close(t.ask[0]);
	good = ask(&t, ROUNDS);
	printf("%u came back\n", good);
	close(t.ask[1]);
	for (int i = 0; i < 4; i++) {
		int status;

		waitpid(pids[i], &status, 0);
		guest_show_status("answerer", status);
	}
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "pipes", test_pipes },
		{ "streams", test_streams },
		{ "packets", test_packets },
		{ "counters", test_counters },
		{ "interrupted", test_interrupted },
		{ "restarted", test_restarted },
		{ "stopped", test_stopped },
		{ "killed", test_killed },
		{ "closed", test_closed },
		{ "unmapped", test_unmapped },
		{ "many", test_many },
	};

	return guest_run(cases, COUNT(cases), argc, argv);
}
