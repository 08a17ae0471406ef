/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/main.c - coffer-vmm, the monitor of one machine
 *
 * Options, the config from its descriptor, logging; then monitor_run().  An
 * error before the config is read has only stderr to go to.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "vmm/monitor.h"
#include "base/sanitized.h"

#ifndef VMM_VERSION
#define VMM_VERSION "unknown"
#endif

#ifdef COFFER_SANITIZED
/* Looking for leaks takes a process of its own, which the pid namespace made for QEMU forbids. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static const char main_usage[] =
	"usage: coffer-vmm --config-fd N\n"
	"\n"
	"Runs one virtual machine as told by the JSON object read from descriptor N.\n"
	"Started by coffer; see coffer-vmm(8).\n"
	"\n"
	"  --config-fd N   descriptor to read the configuration from\n"
	"  --version       print the version\n"
	"  --help          print this\n";

/* Return: descriptor, or -1 with the exit status in *@status */
static int main_parse_options(int argc, char **argv, int *status)
{
	static const struct option options[] = {
		{ "config-fd", required_argument, NULL, 'c' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	long fd = -1;
	char *end;
	int opt;

	*status = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			fd = strtol(optarg, &end, 10);
			if (*end || end == optarg || fd < 0 || fd > 1 << 20)
				fd = -1;
			break;
		case 'v':
			puts("coffer-vmm " VMM_VERSION);
			return -1;
		case 'h':
			fputs(main_usage, stdout);
			return -1;
		default:
			*status = 2;
			return -1;
		}
	}
	if (fd < 0 || optind != argc) {
		fputs(main_usage, stderr);
		*status = 2;
		return -1;
	}
	return (int)fd;
}

static int main_read_config(int fd, struct vmm_config *cfg, struct coffer_error *err)
{
	autoclose int owned = fd;
	char text[VMM_CONFIG_TEXT_MAX + 1];
	ssize_t n = io_read_full(owned, text, sizeof(text));

	if (n < 0)
		return err_sysn(err, (int)n, "read descriptor %d", owned);
	return vmm_config_parse(text, (size_t)n, cfg, err);
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	usec_t started = clock_now();
	struct tsc_sample tsc;
	struct vmm_config cfg;
	int status, fd;

	tsc_take(&tsc);
	vmm_config_init(&cfg);
	/* Both are errors of a write(2), to be told like any other. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	fd = main_parse_options(argc, argv, &status);
	if (fd < 0)
		return status;
	if (main_read_config(fd, &cfg, &err) < 0) {
		fprintf(stderr, "coffer-vmm: configuration: %s\n", err.message);
		return 2;
	}
	/* The C library reads the time zone at its first need, even for UTC; later it could not. */
	tzset();
	log_set_level(cfg.log_level);
	log_to_fd(STDERR_FILENO, cfg.log_format);
	return monitor_run(&cfg, started, &tsc);
}
