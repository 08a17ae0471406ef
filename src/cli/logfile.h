/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/logfile.h - what a container in the background writes, kept for coffer logs
 *
 *	$COFFER_RUN/<id>/log/json.log      a JSON object a line: log, stream, time
 *	$COFFER_RUN/<id>/log/json.log.1    what was there when it became too long
 */
#ifndef CLI_LOGFILE_H
#define CLI_LOGFILE_H

#include <pthread.h>

#include "cli/cli.h"

#define LOGFILE_DIR	 "log"
#define LOGFILE_NAME	 "json.log"
#define LOGFILE_OLD	 "json.log.1"
#define LOGFILE_MAX	 (10u << 20) /* bytes of each */
#define LOGFILE_LINE_MAX (16u << 10) /* of output in one object; longer lines are cut */

struct logfile {
	int dir_fd, fd; /* -1: none; owned */
	size_t size;
	pthread_mutex_t lock; /* guards fd and size: each stream has its thread */
};

/* One stream's beginning of a line. */
struct logfile_stream {
	struct logfile *log; /* borrowed */
	const char *name;    /* "stdout", "stderr" */
	size_t len;
	char line[LOGFILE_LINE_MAX];
};

/* logfile_find() - Path of a container's log; to be freed. Errors: not-found */
int logfile_find(const struct cli *cli, const char *id, char **path, struct coffer_error *err);

/* logfile_open() - Begin the log of a container of ours */
int logfile_open(struct logfile *log, const struct cli *cli, const char *id,
		 struct coffer_error *err);
void logfile_close(struct logfile *log);

/* logfile_write() - @data: struct logfile_stream. Return: 0; what can't be written is lost */
int logfile_write(void *data, const char *p, size_t n);
/* logfile_end() - The last line, if it has no end */
int logfile_end(struct logfile_stream *stream);

#endif /* CLI_LOGFILE_H */
