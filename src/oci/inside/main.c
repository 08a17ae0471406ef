/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/main.c - coffer-oci-sentry, a container's process on the host
 *
 * Started by coffer-oci as the init (or a further process) of a container whose programs run on an
 * application kernel.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "oci/inside/inside.h"

static const char main_usage[] =
	"usage: coffer-oci-sentry init DIR ID\n"
	"       coffer-oci-sentry exec DIR ID PROCESS\n"
	"       coffer-oci-sentry freeze|thaw DIR ID\n"
	"       coffer-oci-sentry signal DIR ID NUMBER\n"
	"       coffer-oci-sentry update DIR ID RESOURCES\n"
	"\n"
	"Stands for a process of container ID, which runs in a sentry. Started by coffer-oci;\n"
	"DIR is its directory for the container.\n";

int main(int argc, char **argv)
{
	int r;

	io_open_standard();
	log_to_fd(STDERR_FILENO, LOG_FORMAT_TEXT);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && strcmp(argv[1], "init") == 0)
		return inside_init_main(argv[2], argv[3]);
	if (argc == 5 && strcmp(argv[1], "exec") == 0)
		return inside_exec_main(argv[2], argv[3], argv[4]);
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(main_usage, stdout) < 0;
	r = argc == 4 || argc == 5 ? inside_ask_main(argv[1], argv[2], argv[3], argv[4])
				   : INSIDE_EXIT_USAGE;
	if (r == INSIDE_EXIT_USAGE)
		fputs(main_usage, stderr);
	return r;
}
