/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A coffer-vmm for tests of who listens to it.  It lies as the name in its
 * configuration says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/config.h"

/* As sandbox/vm_spawn.c numbers them. */
#define FAKE_CONFIG   3
#define FAKE_LIFETIME 4
#define FAKE_STATUS   5

static struct vmm_config cfg;

static void fake_send(const struct vmm_status *status)
{
	if (send(FAKE_STATUS, status, sizeof(*status), MSG_NOSIGNAL) < 0)
		exit(1);
}

static void fake_run(void)
{
	struct vmm_status status = { .kind = VMM_STATUS_RUNNING, .nprocesses = 1 };

	strcpy(status.error.message, "qemu-tcg");
	vmm_process_set(&status.processes[0], "qemu", NULL, getpid());
	fake_send(&status);
}

static void fake_wait(void)
{
	char c;

	while (read(FAKE_LIFETIME, &c, 1) > 0)
		;
	exit(0);
}

int main(void)
{
	static char text[VMM_CONFIG_TEXT_MAX];
	ssize_t n = read(FAKE_CONFIG, text, sizeof(text));
	struct vmm_status odd;
	struct coffer_error err;

	if (n < 0 || vmm_config_parse(text, (size_t)n, &cfg, &err) < 0)
		return 99;
	memset(&odd, 0xff, sizeof(odd));
	if (strcmp(cfg.id, "exit") == 0)
		return 3;
	if (strcmp(cfg.id, "short") == 0)
		send(FAKE_STATUS, "x", 1, 0);
	if (strcmp(cfg.id, "kind") == 0)
		fake_send(&odd);
	odd.kind = VMM_STATUS_RUNNING;
	if (strcmp(cfg.id, "many") == 0)
		fake_send(&odd);
	if (strcmp(cfg.id, "run") == 0)
		fake_run();
	odd.kind = VMM_STATUS_DIED;
	if (strcmp(cfg.id, "died") == 0)
		fake_send(&odd);
	if (strcmp(cfg.id, "failed") == 0) {
		odd.kind = VMM_STATUS_FAILED;
		odd.error = (struct coffer_error){ .kind = COFFER_ERR_UNSUPPORTED, .err = 95 };
		strcpy(odd.error.message, "it \33[2J cannot");
		fake_send(&odd);
	}
	if (strcmp(cfg.id, "hung-up") == 0)
		close(FAKE_STATUS);
	fake_wait();
}
