/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture.c - run a program in a container, give it input, and have its output in memory
 *
 *	cc capture.c $(pkg-config --cflags --libs libcoffer) -o capture
 *	echo some text | ./capture wc -c
 */
#include <coffer/coffer.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST (64u << 20) /* of each stream, so that no program fills our memory */

struct buffer {
	char *data;
	size_t len;
};

/* Read some of @fd. Return: 1, 0 at its end, -1 when it cannot be held */
static int buffer_read(struct buffer *b, int fd)
{
	const size_t chunk = 65536;
	char *data = realloc(b->data, b->len + chunk);
	ssize_t n;

	if (!data || b->len > MOST)
		return -1;
	b->data = data;
	n = read(fd, data + b->len, chunk);
	if (n > 0)
		b->len += (size_t)n;
	return n > 0;
}

/* What is on its way to the program. */
struct feed {
	char data[65536];
	size_t at, len;
};

static void done_with(struct pollfd *pfd)
{
	close(pfd->fd);
	pfd->fd = -1; /* which poll() leaves out */
}

/* @in is our input while nothing is held, else @to is to take it. */
static void feed_step(struct feed *f, struct pollfd *in, struct pollfd *to)
{
	ssize_t n = 0;

	if (in->revents) {
		n = read(in->fd, f->data, sizeof(f->data));
		f->at = 0;
		f->len = n > 0 ? (size_t)n : 0;
		if (n <= 0)
			done_with(to);
	} else if (to->revents) {
		n = send(to->fd, f->data + f->at, f->len - f->at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			f->at += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			done_with(to); /* a program need not read all of it */
	}
	in->fd = to->fd >= 0 && f->at == f->len ? STDIN_FILENO : -1;
	to->events = f->at < f->len ? POLLOUT : 0;
}

/* Both of its outputs at once, and our input to it: none of them may wait for another. */
static int converse(struct coffer_process *p, struct buffer out[2])
{
	struct pollfd fds[] = {
		{ .fd = coffer_process_take_stream(p, COFFER_STDOUT), .events = POLLIN },
		{ .fd = coffer_process_take_stream(p, COFFER_STDERR), .events = POLLIN },
		{ .fd = coffer_process_take_stream(p, COFFER_STDIN) },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	struct feed feed = { .len = 0 };
	int r = 0;

	while (r >= 0 && (fds[0].fd >= 0 || fds[1].fd >= 0)) {
		if (poll(fds, 4, -1) < 0) {
			r = errno == EINTR ? 0 : -1;
			continue;
		}
		for (int i = 0; i < 2 && r >= 0; i++) {
			if (!fds[i].revents)
				continue;
			r = buffer_read(&out[i], fds[i].fd);
			if (r == 0)
				done_with(&fds[i]);
		}
		feed_step(&feed, &fds[3], &fds[2]);
	}
	for (int i = 0; i < 3; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return r < 0 ? -1 : 0;
}

/* Return: the program's exit code, or -1 with @err */
static int capture(const char *const *args, struct buffer out[2], struct coffer_error *err)
{
	struct coffer_process_config program = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_container *container;
	struct coffer_exit status = { .code = -1 };
	int r;

	program.args = args;
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		program.stdio[i].mode = COFFER_STDIO_PIPE;
	config.process = &program;
	if (coffer_container_new(NULL, &config, &container, err) < 0)
		return -1;
	r = coffer_container_create(container, err);
	if (r == 0)
		r = coffer_container_start(container, err);
	if (r == 0 && converse(coffer_container_process(container), out) < 0)
		fputs("capture: output was lost\n", stderr);
	if (r == 0)
		r = coffer_process_wait(coffer_container_process(container), COFFER_FOREVER,
					&status, err);
	coffer_container_free(container);
	return r < 0 ? -1 : status.code;
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct buffer out[2] = { { 0 } };
	int code;

	if (argc < 2) {
		fputs("usage: capture PROGRAM [ARG...]\n", stderr);
		return 2;
	}
	code = capture((const char *const *)argv + 1, out, &err);
	if (code < 0) {
		fprintf(stderr, "capture: %s\n", err.message);
		return 1;
	}
	printf("exit code %d, %zu bytes of output, %zu of errors\n", code, out[0].len, out[1].len);
	for (int i = 0; i < 2; i++) {
		if (out[i].len > 0)
			fwrite(out[i].data, 1, out[i].len, stdout);
		free(out[i].data);
	}
	return code;
}
