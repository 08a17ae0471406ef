/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/logfile.c - what a container in the background writes, kept for coffer logs
 *
 *	{"log":"hello\n","stream":"stdout","time":"2026-01-02T03:04:05.000000006Z"}
 *
 * Objects go out as lines end, many in one write(2).  A file that would become
 * too long is renamed and another one begun, so that at most twice the limit
 * is kept.  Bytes that are no UTF-8 become U+FFFD.
 */
#define LOG_CATEGORY "cli"
#include "cli/logfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "cli/target.h"

#define LOGFILE_BATCH (256u << 10)
#define LOGFILE_LIMIT (1u << 20) /* a batch and the longest object, escaped */

int logfile_find(const struct cli *cli, const char *id, char **path, struct coffer_error *err)
{
	autofree char *dir = NULL;
	int r = coffer_record_dir(target_run_dir(cli), id, &dir, err);

	*path = NULL;
	if (r < 0)
		return r;
	*path = path_join(dir, LOGFILE_DIR "/" LOGFILE_NAME);
	if (!*path)
		return err_nomem(err);
	if (access(*path, F_OK) == 0)
		return 0;
	free(*path);
	*path = NULL;
	return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT,
		       "container %s has no log: it was not started with run -d", id);
}

static int logfile_begin(struct logfile *log)
{
	log->fd = openat(log->dir_fd, LOGFILE_NAME,
			 O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	log->size = 0;
	return log->fd < 0 ? -errno : 0;
}

int logfile_open(struct logfile *log, const struct cli *cli, const char *id,
		 struct coffer_error *err)
{
	autofree char *base = NULL, *dir = NULL;
	int r = coffer_record_dir(target_run_dir(cli), id, &base, err);

	if (r < 0)
		return r;
	dir = path_join(base, LOGFILE_DIR);
	if (!dir)
		return err_nomem(err);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make %s", dir);
	log->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (log->dir_fd < 0)
		return err_sys(err, "open %s", dir);
	pthread_mutex_init(&log->lock, NULL);
	r = logfile_begin(log);
	return r < 0 ? err_sysn(err, r, "open %s/" LOGFILE_NAME, dir) : 0;
}

void logfile_close(struct logfile *log)
{
	if (log->dir_fd < 0)
		return;
	close_fd(&log->fd);
	close_fd(&log->dir_fd);
	pthread_mutex_destroy(&log->lock);
}

/* With the lock. */
static int logfile_rotate(struct logfile *log)
{
	close_fd(&log->fd);
	if (renameat(log->dir_fd, LOGFILE_NAME, log->dir_fd, LOGFILE_OLD) < 0)
		return -errno;
	return logfile_begin(log);
}

static int logfile_flush(struct logfile *log, struct buf *out)
{
	size_t n = out->len;
	int r = 0;

	pthread_mutex_lock(&log->lock);
	if (log->size > 0 && log->size + n > LOGFILE_MAX)
		r = logfile_rotate(log);
	if (r == 0)
		r = io_write_full(log->fd, buf_data(out), n);
	log->size += n;
	pthread_mutex_unlock(&log->lock);
	buf_consume(out, n);
	return r;
}

/* Return: bytes of the character @s begins with, 0 if it is none */
static size_t logfile_utf8(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = { { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

	if (*s < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		uint32_t c = *s & (unsigned char)~forms[i].mask;
		size_t len = i + 2;

		if ((*s & forms[i].mask) != forms[i].lead)
			continue;
		if (len > n)
			return 0;
		for (size_t k = 1; k < len; k++) {
			if ((s[k] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (s[k] & 0x3f);
		}
		return c < forms[i].least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
	}
	return 0;
}

static int logfile_escape(struct buf *out, const char *p, size_t n)
{
	static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
	int r = 0;

	while (n > 0 && r == 0) {
		size_t len = logfile_utf8((const unsigned char *)p, n);
		const char *special = len == 1 && *p ? strchr(from, *p) : NULL;

		if (special)
			r = buf_printf(out, "\\%c", to[special - from]);
		else if (len == 0)
			r = buf_append(out, "\\ufffd", 6);
		else if ((unsigned char)*p < 0x20)
			r = buf_printf(out, "\\u%04x", *p);
		else
			r = buf_append(out, p, len);
		len += len == 0;
		p += len;
		n -= len;
	}
	return r;
}

static int logfile_emit(const struct logfile_stream *stream, struct buf *out, const char *p,
			size_t n, const char *when)
{
	int r = buf_append(out, "{\"log\":\"", 8);

	if (r == 0)
		r = logfile_escape(out, p, n);
	if (r == 0)
		r = buf_printf(out, "\",\"stream\":\"%s\",\"time\":\"%s\"}\n", stream->name, when);
	return r < 0 || out->len < LOGFILE_BATCH ? r : logfile_flush(stream->log, out);
}

static void logfile_time(char *out, size_t size)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, size - n, ".%09ldZ", now.tv_nsec);
}

int logfile_write(void *data, const char *p, size_t n)
{
	autobuf struct buf out = BUF_INIT(LOGFILE_LIMIT);
	struct logfile_stream *s = data;
	char when[64];
	int r = 0;

	logfile_time(when, sizeof(when));
	while (n > 0 && r == 0) {
		size_t room = sizeof(s->line) - s->len, take = n < room ? n : room;
		const char *end = memchr(p, '\n', take);

		if (end)
			take = (size_t)(end - p) + 1;
		memcpy(s->line + s->len, p, take);
		s->len += take;
		p += take;
		n -= take;
		if (end || s->len == sizeof(s->line)) {
			r = logfile_emit(s, &out, s->line, s->len, when);
			s->len = 0;
		}
	}
	if (r == 0 && out.len > 0)
		r = logfile_flush(s->log, &out);
	if (r < 0)
		log_warning("log: %s", strerror(-r));
	/* A full disk costs the log; the program is not to know. */
	return 0;
}

int logfile_end(struct logfile_stream *s)
{
	autobuf struct buf out = BUF_INIT(LOGFILE_LIMIT);
	char when[64];
	int r;

	if (s->len == 0)
		return 0;
	logfile_time(when, sizeof(when));
	r = logfile_emit(s, &out, s->line, s->len, when);
	s->len = 0;
	return r < 0 || out.len == 0 ? r : logfile_flush(s->log, &out);
}
