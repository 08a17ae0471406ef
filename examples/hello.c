/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello.c - a container in forty lines
 *
 *	cc hello.c $(pkg-config --cflags --libs libcoffer) -o hello && ./hello
 */
#include <coffer/coffer.h>
#include <stdio.h>
#include <unistd.h>

static int fail(const struct coffer_error *err)
{
	fprintf(stderr, "hello: %s\n", err->message);
	return 1;
}

int main(void)
{
	const char *args[] = { "sh", "-c", "echo Hello from $(uname -sr), process $$", NULL };
	struct coffer_process_config program = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *container;
	struct coffer_exit status;
	char text[4096];
	ssize_t n;
	int out;

	program.args = args;
	program.stdio[COFFER_STDOUT].mode = COFFER_STDIO_PIPE;
	config.process = &program;
	if (coffer_container_new(NULL, &config, &container, &err) < 0)
		return fail(&err);
	if (coffer_container_create(container, &err) < 0 ||
	    coffer_container_start(container, &err) < 0)
		return fail(&err);
	out = coffer_process_take_stream(coffer_container_process(container), COFFER_STDOUT);
	while ((n = read(out, text, sizeof(text))) > 0)
		fwrite(text, 1, (size_t)n, stdout);
	close(out);
	if (coffer_process_wait(coffer_container_process(container), COFFER_FOREVER, &status, &err))
		return fail(&err);
	coffer_container_free(container);
	return status.code;
}
