/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/oom.c - was it the host's kernel, for want of memory?
 *
 * The count is in /proc/vmstat and has those in it that a control group's limit
 * was the reason for.  The names are in the kernel's log: "Out of memory: Killed
 * process 123 (qemu-system-x86)".
 */
#include "sandbox/oom.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define OOM_COUNTERS	 "/proc/vmstat"
#define OOM_COUNTERS_MAX 65536
#define OOM_LOG		 "/dev/kmsg"
#define OOM_RECORD_MAX	 8192
#define OOM_RECORDS_MAX	 100000 /* more than any log holds */

uint64_t oom_count(void)
{
	autofree char *text = NULL;
	const char *line;
	uint64_t n = 0;

	if (io_read_file(AT_FDCWD, OOM_COUNTERS, OOM_COUNTERS_MAX, &text, NULL, NULL) < 0)
		return 0;
	line = strstr(text, "\noom_kill ");
	return line && sscanf(line, " oom_kill %" SCNu64, &n) == 1 ? n : 0;
}

/* Return: 1 the log names @pid, 0 it does not, negative errno when it is not to be read */
static int oom_log_names(int pid)
{
	autoclose int fd = open(OOM_LOG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[OOM_RECORD_MAX], want[48];
	ssize_t n;

	if (fd < 0)
		return -errno;
	snprintf(want, sizeof(want), "Killed process %d (", pid);
	for (int i = 0; i < OOM_RECORDS_MAX; i++) {
		n = read(fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue; /* overwritten while we read */
		if (n <= 0)
			return n < 0 && errno != EAGAIN ? -errno : 0;
		record[n] = '\0';
		if (strstr(record, want))
			return 1;
	}
	return 0;
}

bool oom_has_killed(uint64_t before, int pid)
{
	return oom_count() > before && oom_log_names(pid) != 0;
}
