/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/bars.c - how a transfer of images goes, for people
 *
 *	lines that stay     what is there already, what is done, why something is tried again
 *	below, redrawn      a bar for each blob that is under way, and for the root that is built
 *
 * Where there is no terminal only the lines are written.  The window's size is
 * looked at for each drawing, so that bars follow it.  The library tells one
 * thing at a time; there is no thread here.
 */
#include "cli/bars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/tty.h"
#include "cli/doc.h"

#define BARS_INTERVAL	  (100 * USEC_PER_MSEC) /* between two drawings */
#define BARS_LOOK	  (500 * USEC_PER_MSEC) /* between two looks at the rate */
#define BARS_COLUMNS	  80			/* of a terminal that does not say */
#define BARS_LINE_MAX	  512
#define BARS_WIDTH_MIN	  5
#define BARS_ID		  12 /* of a digest, as for containers */
#define BARS_OUTPUT_MAX	  65536

/* @what: "sha256:0123..." or any text of the library's */
static const char *bars_short(const char *what, char out[static BARS_ID + 1])
{
	const char *colon = strchr(what, ':');

	snprintf(out, BARS_ID + 1, "%.*s", BARS_ID, colon ? colon + 1 : what);
	return out;
}

static void bars_duration(double seconds, char *out, size_t size)
{
	unsigned long s = seconds < 360000 ? (unsigned long)seconds : 360000;

	if (s < 60)
		snprintf(out, size, "%lus", s);
	else if (s < 3600)
		snprintf(out, size, "%lum%02lus", s / 60, s % 60);
	else
		snprintf(out, size, "%luh%02lum", s / 3600, s / 60 % 60);
}

/* "12.3MB/45.6MB  3.21MB/s  ETA 10s" */
static void bars_numbers(const struct bar *bar, char *out, size_t size)
{
	char done[32], total[32] = "", rate[32], left[32];
	uint64_t missing = bar->total > bar->done ? bar->total - bar->done : 0;
	size_t n;

	doc_size(bar->done, false, done, sizeof(done));
	if (bar->total)
		doc_size(bar->total, false, total, sizeof(total));
	n = (size_t)snprintf(out, size, "%s%s%s", done, bar->total ? "/" : "", total);
	if (bar->rate < 1)
		return;
	doc_size((uint64_t)bar->rate, false, rate, sizeof(rate));
	n += (size_t)snprintf(out + n, size - n, "  %s/s", rate);
	if (!bar->total)
		return;
	bars_duration((double)missing / bar->rate, left, sizeof(left));
	snprintf(out + n, size - n, "  ETA %s", left);
}

size_t bars_line(const struct bar *bar, size_t columns, char *out, size_t size)
{
	char id[BARS_ID + 1], numbers[128], drawn[BARS_LINE_MAX] = "";
	size_t room, full, most = columns ? columns - 1 : 0;
	int n;

	bars_numbers(bar, numbers, sizeof(numbers));
	room = BARS_ID + strlen(numbers) + 6; /* spaces and brackets */
	if (bar->total && most >= room + BARS_WIDTH_MIN) {
		room = most - room < sizeof(drawn) ? most - room : sizeof(drawn) - 1;
		full = bar->done < bar->total
			   ? (size_t)((double)bar->done / (double)bar->total * (double)room)
			   : room;
		memset(drawn, ' ', room);
		memset(drawn, '=', full);
		if (full < room)
			drawn[full] = '>';
		drawn[room] = '\0';
	}
	n = snprintf(out, size, "%-*s  %s%s%s%s", BARS_ID,
		     bar->build ? "root" : bars_short(bar->what, id), *drawn ? "[" : "", drawn,
		     *drawn ? "]  " : "", numbers);
	if ((size_t)n >= size)
		n = (int)size - 1;
	if ((size_t)n > most)
		out[n = (int)most] = '\0';
	return (size_t)n;
}

/* A window that has become narrower has broken our lines. */
static void bars_erase(struct bars *bars, size_t columns, struct buf *out)
{
	size_t rows = 0;

	for (size_t i = 0; i < bars->drawn; i++)
		rows += bars->widths[i] ? (bars->widths[i] + columns - 1) / columns : 1;
	if (rows)
		buf_printf(out, "\033[%zuA\r\033[J", rows);
	bars->drawn = 0;
}

static void bars_draw(struct bars *bars, const char *note)
{
	autobuf struct buf out = BUF_INIT(BARS_OUTPUT_MAX);
	uint16_t rows, columns;

	tty_size(bars->fd, &rows, &columns);
	if (!columns)
		columns = BARS_COLUMNS;
	bars_erase(bars, columns, &out);
	if (note)
		buf_printf(&out, "%s\n", note);
	for (size_t i = 0; i < bars->n && (!rows || i + 1 < rows); i++) {
		char line[BARS_LINE_MAX];

		bars->widths[bars->drawn++] = bars_line(&bars->v[i], columns, line, sizeof(line));
		buf_printf(&out, "%s\n", line);
	}
	bars->drawn_at = clock_now();
	io_write_full(bars->fd, buf_data(&out), out.len);
}

static void bars_note(struct bars *bars, const char *note)
{
	autofree char *line = NULL;

	if (bars->terminal)
		bars_draw(bars, note);
	else if (asprintf(&line, "%s\n", note) >= 0)
		io_write_full(bars->fd, line, strlen(line));
}

static struct bar *bars_find(struct bars *bars, const struct coffer_progress *p, bool build)
{
	for (size_t i = 0; i < bars->n; i++)
		if (bars->v[i].build == build && strcmp(bars->v[i].what, p->what) == 0)
			return &bars->v[i];
	return NULL;
}

static struct bar *bars_add(struct bars *bars, const struct coffer_progress *p, bool build)
{
	struct bar *bar;

	if (bars->n == BARS_MAX || strlen(p->what) >= BARS_NAME_MAX)
		return NULL;
	bar = &bars->v[bars->n++];
	*bar = (struct bar){ .build = build, .since = clock_now() };
	snprintf(bar->what, sizeof(bar->what), "%s", p->what);
	/* What an earlier transfer had got says nothing about this one's rate. */
	bar->looked_at = bar->since;
	bar->looked_done = p->done;
	return bar;
}

static void bars_look(struct bar *bar, usec_t now)
{
	double rate;

	if (now - bar->looked_at < BARS_LOOK)
		return;
	rate = bar->done > bar->looked_done ? (double)(bar->done - bar->looked_done) *
						  USEC_PER_SEC / (double)(now - bar->looked_at)
					    : 0;
	bar->rate = bar->rate > 0 ? bar->rate * 0.7 + rate * 0.3 : rate;
	bar->looked_at = now;
	bar->looked_done = bar->done;
}

static void bars_go_on(struct bars *bars, const struct coffer_progress *p, bool build)
{
	struct bar *bar = bars_find(bars, p, build);
	usec_t now = clock_now();
	char id[BARS_ID + 1], size[32], note[128];
	bool begins = !bar;

	if (begins)
		bar = bars_add(bars, p, build);
	if (!bar)
		return;
	bar->done = p->done;
	bar->total = p->total;
	bars_look(bar, now);
	if (bars->terminal) {
		if (begins || now - bars->drawn_at >= BARS_INTERVAL)
			bars_draw(bars, NULL);
	} else if (begins && !build && p->total) {
		doc_size(p->total, false, size, sizeof(size));
		snprintf(note, sizeof(note), "%s: %s", bars_short(p->what, id), size);
		bars_note(bars, note);
	}
}

/* @word: what has become of it */
static void bars_finish(struct bars *bars, const struct coffer_progress *p, bool build,
			const char *word)
{
	struct bar *bar = bars_find(bars, p, build);
	char id[BARS_ID + 1], size[32] = "", note[128];
	uint64_t bytes = bar && bar->total ? bar->total : p->total;

	/* Once is enough. */
	if (!bar && p->kind == COFFER_PROGRESS_BLOB_DONE)
		return;
	if (bar) {
		memmove(bar, bar + 1, (size_t)(bars->v + bars->n - (bar + 1)) * sizeof(*bar));
		bars->n--;
	}
	if (bytes)
		doc_size(bytes, false, size, sizeof(size));
	snprintf(note, sizeof(note), "%s: %s%s%s", build ? "root" : bars_short(p->what, id), word,
		 !build && bytes ? ", " : "", build ? "" : size);
	bars_note(bars, note);
}

/* The reason of a retry may be a registry's words. */
static void bars_say(struct bars *bars, const char *before, const char *text)
{
	char note[1024];
	size_t n = (size_t)snprintf(note, sizeof(note), "%s", before);

	for (size_t skip; *text && n + 1 < sizeof(note); text += skip ? skip : 1) {
		skip = tty_control(text);
		note[n++] = skip ? '?' : *text;
	}
	note[n] = '\0';
	bars_note(bars, note);
}

void bars_tell(void *data, const struct coffer_progress *p)
{
	const struct coffer_progress told = { .kind = p->kind, .what = p->what ? p->what : "",
					      .done = p->done, .total = p->total };
	struct bars *bars = data;

	switch (p->kind) {
	case COFFER_PROGRESS_RESOLVED:
		bars_say(bars, "digest: ", told.what);
		break;
	case COFFER_PROGRESS_RETRY:
		bars_say(bars, "trying again: ", told.what);
		break;
	case COFFER_PROGRESS_BLOB:
	case COFFER_PROGRESS_BUILD:
		bars_go_on(bars, &told, p->kind == COFFER_PROGRESS_BUILD);
		break;
	case COFFER_PROGRESS_BLOB_HAVE:
		bars_finish(bars, &told, false, "there already");
		break;
	case COFFER_PROGRESS_BLOB_DONE:
		bars_finish(bars, &told, false, "done");
		break;
	case COFFER_PROGRESS_BUILD_DONE:
		bars_finish(bars, &told, true, "built");
		break;
	}
}

void bars_begin(struct bars *bars, int fd)
{
	const char *term = getenv("TERM");

	*bars = (struct bars){
		.fd = fd,
		.terminal = isatty(fd) && term && *term && strcmp(term, "dumb") != 0,
	};
}

void bars_end(struct bars *bars)
{
	bars->n = 0;
	if (bars->terminal && bars->drawn)
		bars_draw(bars, NULL);
}
