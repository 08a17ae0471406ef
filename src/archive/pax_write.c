/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/pax_write.c - a pax archive, entry by entry, to a descriptor
 *
 *	entry --> [pax records] + ustar header --> buffer --> [zlib] --> write(2)
 *	data  -----------------------------------> (large: past the buffer)
 *
 * Records are made only for what ustar's fields can't hold, so that most
 * entries cost one block.  Files with holes are GNU's sparse format 1.0, which
 * GNU tar, libarchive, Go and Python read.  Names are written as the bytes they
 * are.  Times keep their nanoseconds.
 *
 * Callers: archive/pack.c.
 */
#include "archive/pax_write.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <zlib.h>

#include "base/io.h"

#define PAX_BLOCK	512
#define PAX_BUFFER	(256u << 10)
#define PAX_RECORDS_MAX (4u << 20)
#define PAX_OCTAL7	07777777u    /* what a field of seven digits holds */
#define PAX_OCTAL11	077777777777u /* and one of eleven */
#define PAX_NSEC	1000000000L

/* The header as POSIX has it. */
struct pax_ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag;
	char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
	char prefix[155], pad[12];
};
static_assert(sizeof(struct pax_ustar) == PAX_BLOCK, "a header is a block");

struct pax_writer {
	int fd;		/* borrowed */
	bool gzip;
	z_stream z;	/* with gzip */
	uint8_t *buf;	/* owned; PAX_BUFFER of what is to be written */
	uint8_t *zbuf;	/* owned; the same compressed */
	size_t used;
	uint64_t total; /* written to fd */
	uint64_t left;	/* of the entry's data */
	size_t pad;	/* behind it */
};

static int pax_write_out(struct pax_writer *w, const void *data, size_t n,
			 struct coffer_error *err)
{
	int r = io_write_full(w->fd, data, n);

	if (r < 0)
		return err_sysn(err, r, "write the archive");
	w->total += n;
	return 0;
}

static int pax_deflate(struct pax_writer *w, const void *data, size_t n, int flush,
		       struct coffer_error *err)
{
	int zr, r = 0;

	w->z.next_in = (Bytef *)data;
	w->z.avail_in = (uInt)n;
	do {
		w->z.next_out = w->zbuf;
		w->z.avail_out = PAX_BUFFER;
		zr = deflate(&w->z, flush);
		if (zr == Z_STREAM_ERROR)
			return err_internal(err, "compress the archive");
		r = pax_write_out(w, w->zbuf, PAX_BUFFER - w->z.avail_out, err);
	} while (r == 0 && w->z.avail_out == 0);
	return r;
}

static int pax_emit(struct pax_writer *w, const void *data, size_t n, struct coffer_error *err)
{
	return w->gzip ? pax_deflate(w, data, n, Z_NO_FLUSH, err) : pax_write_out(w, data, n, err);
}

static int pax_flush(struct pax_writer *w, struct coffer_error *err)
{
	size_t n = w->used;

	w->used = 0;
	return n ? pax_emit(w, w->buf, n, err) : 0;
}

static int pax_put(struct pax_writer *w, const void *data, size_t n, struct coffer_error *err)
{
	int r;

	if (n > PAX_BUFFER - w->used) {
		r = pax_flush(w, err);
		if (r < 0 || n >= PAX_BUFFER)
			return r < 0 ? r : pax_emit(w, data, n, err);
	}
	memcpy(w->buf + w->used, data, n);
	w->used += n;
	return 0;
}

static int pax_zeros(struct pax_writer *w, uint64_t n, struct coffer_error *err)
{
	static const uint8_t zeros[16 * PAX_BLOCK];
	int r = 0;

	while (n > 0 && r == 0) {
		size_t k = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

		r = pax_put(w, zeros, k, err);
		n -= k;
	}
	return r;
}

static size_t pax_padding(uint64_t n)
{
	return (size_t)(-n & (PAX_BLOCK - 1));
}

int pax_writer_new(int fd, bool gzip, struct pax_writer **out, struct coffer_error *err)
{
	CLEANUP(pax_writer_freep) struct pax_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return err_nomem(err);
	w->fd = fd;
	w->buf = malloc(PAX_BUFFER);
	w->zbuf = gzip ? malloc(PAX_BUFFER) : NULL;
	if (!w->buf || (gzip && !w->zbuf))
		return err_nomem(err);
	/* The fastest level: the archive crosses a memory bus, not a network. 16: gzip's header. */
	if (gzip && deflateInit2(&w->z, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8,
				 Z_DEFAULT_STRATEGY) != Z_OK)
		return err_nomem(err);
	w->gzip = gzip;
	*out = steal_ptr(w);
	return 0;
}

void pax_writer_free(struct pax_writer *w)
{
	if (!w)
		return;
	if (w->gzip)
		deflateEnd(&w->z);
	free(w->buf);
	free(w->zbuf);
	free(w);
}

/* ---- records ---- */

int pax_record(struct buf *b, const char *key, const void *value, size_t n)
{
	size_t rest = strlen(key) + n + 3; /* blank, equals sign, end of line */
	size_t len = rest + 1;
	char digits[24];
	int r;

	/* The length counts its own digits. */
	while ((size_t)snprintf(digits, sizeof(digits), "%zu", len) + rest != len)
		len = rest + strlen(digits);
	r = buf_printf(b, "%s %s=", digits, key);
	if (r == 0)
		r = buf_append(b, value, n);
	return r < 0 ? r : buf_append(b, "\n", 1);
}

static int pax_record_text(struct buf *b, const char *key, const char *text)
{
	return pax_record(b, key, text, strlen(text));
}

static int pax_record_number(struct buf *b, const char *key, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return pax_record_text(b, key, text);
}

static int pax_record_time(struct buf *b, const char *key, const struct timespec *ts)
{
	bool below = ts->tv_sec < 0;
	/* Before 1970 the fraction counts forward from the second below. */
	long long sec = below && ts->tv_nsec ? -(ts->tv_sec + 1) : below ? -ts->tv_sec : ts->tv_sec;
	long nsec = below && ts->tv_nsec ? PAX_NSEC - ts->tv_nsec : ts->tv_nsec;
	char text[40];

	snprintf(text, sizeof(text), "%s%lld.%09ld", below ? "-" : "", sec, nsec);
	return pax_record_text(b, key, text);
}

static bool pax_time_fits(const struct timespec *ts)
{
	return ts->tv_nsec == 0 && ts->tv_sec >= 0 && (uint64_t)ts->tv_sec <= PAX_OCTAL11;
}

/* What ustar's fields can't hold. @size: of the data in the archive */
static int pax_records(const struct pax_entry *e, uint64_t size, struct buf *b)
{
	int r = 0;

	if (e->map) {
		r = pax_record_text(b, "GNU.sparse.major", "1");
		r = r < 0 ? r : pax_record_text(b, "GNU.sparse.minor", "0");
		r = r < 0 ? r : pax_record_text(b, "GNU.sparse.name", e->path);
		r = r < 0 ? r : pax_record_number(b, "GNU.sparse.realsize", e->size);
	} else if (strlen(e->path) > sizeof(((struct pax_ustar *)0)->name)) {
		r = pax_record_text(b, "path", e->path);
	}
	if (r == 0 && e->link && strlen(e->link) > sizeof(((struct pax_ustar *)0)->linkname))
		r = pax_record_text(b, "linkpath", e->link);
	if (r == 0 && size > PAX_OCTAL11)
		r = pax_record_number(b, "size", size);
	if (r == 0 && e->uid > PAX_OCTAL7)
		r = pax_record_number(b, "uid", e->uid);
	if (r == 0 && e->gid > PAX_OCTAL7)
		r = pax_record_number(b, "gid", e->gid);
	if (r == 0 && !pax_time_fits(&e->mtime))
		r = pax_record_time(b, "mtime", &e->mtime);
	if (r == 0 && e->extra)
		r = buf_append(b, buf_data(e->extra), e->extra->len);
	return r;
}

/* ---- headers ---- */

static void pax_octal(char *field, size_t n, uint64_t value, uint64_t most)
{
	char text[24];

	/* What does not fit is in a record. */
	snprintf(text, sizeof(text), "%0*llo", (int)n - 1,
		 (unsigned long long)(value <= most ? value : 0));
	memcpy(field, text, n);
}

/* As much of @text as the field holds; it needs no NUL when it is full. */
static void pax_text(char *field, size_t n, const char *text)
{
	memcpy(field, text, strnlen(text, n));
}

static void pax_checksum(struct pax_ustar *h)
{
	const uint8_t *p = (const uint8_t *)h;
	unsigned sum = 0;

	memset(h->chksum, ' ', sizeof(h->chksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += p[i];
	pax_octal(h->chksum, 7, sum, PAX_OCTAL7);
}

static void pax_fill(struct pax_ustar *h, const struct pax_entry *e, uint64_t size)
{
	*h = (struct pax_ustar){ .typeflag = e->type };
	pax_text(h->name, sizeof(h->name), e->path);
	if (e->link)
		pax_text(h->linkname, sizeof(h->linkname), e->link);
	pax_octal(h->mode, sizeof(h->mode), e->mode & 07777, PAX_OCTAL7);
	pax_octal(h->uid, sizeof(h->uid), e->uid, PAX_OCTAL7);
	pax_octal(h->gid, sizeof(h->gid), e->gid, PAX_OCTAL7);
	pax_octal(h->size, sizeof(h->size), size, PAX_OCTAL11);
	pax_octal(h->mtime, sizeof(h->mtime), e->mtime.tv_sec < 0 ? 0 : (uint64_t)e->mtime.tv_sec,
		  PAX_OCTAL11);
	pax_octal(h->devmajor, sizeof(h->devmajor), major(e->rdev), PAX_OCTAL7);
	pax_octal(h->devminor, sizeof(h->devminor), minor(e->rdev), PAX_OCTAL7);
	memcpy(h->magic, "ustar", sizeof(h->magic));
	memcpy(h->version, "00", sizeof(h->version));
	pax_checksum(h);
}

static int pax_put_records(struct pax_writer *w, const struct buf *b, struct coffer_error *err)
{
	const struct pax_entry e = { .path = "PaxHeaders/entry", .type = 'x', .mode = 0644 };
	struct pax_ustar h;
	int r;

	pax_fill(&h, &e, b->len);
	r = pax_put(w, &h, sizeof(h), err);
	if (r == 0)
		r = pax_put(w, buf_data(b), b->len, err);
	return r < 0 ? r : pax_zeros(w, pax_padding(b->len), err);
}

/* The map of a file with holes stands before its data, in blocks of its own. */
static int pax_map(const struct pax_entry *e, struct buf *b, uint64_t *data)
{
	static const uint8_t zeros[PAX_BLOCK];
	int r = buf_printf(b, "%zu\n", e->nmap);

	for (size_t i = 0; i < e->nmap && r == 0; i++) {
		*data += e->map[i].len;
		r = buf_printf(b, "%llu\n%llu\n", (unsigned long long)e->map[i].off,
			       (unsigned long long)e->map[i].len);
	}
	return r < 0 ? r : buf_append(b, zeros, pax_padding(b->len));
}

int pax_begin(struct pax_writer *w, const struct pax_entry *e, struct coffer_error *err)
{
	autobuf struct buf records = BUF_INIT(PAX_RECORDS_MAX), map = BUF_INIT(PAX_RECORDS_MAX);
	struct pax_ustar h;
	uint64_t data = 0;
	int r = 0;

	if (e->map)
		r = pax_map(e, &map, &data);
	else
		data = e->type == '0' ? e->size : 0;
	if (r == 0)
		r = pax_records(e, data + map.len, &records);
	if (r < 0)
		return err_sysn(err, r, "describe %.200s", e->path);
	if (records.len)
		r = pax_put_records(w, &records, err);
	if (r < 0)
		return r;
	pax_fill(&h, e, data + map.len);
	w->left = data;
	w->pad = pax_padding(data);
	r = pax_put(w, &h, sizeof(h), err);
	return r < 0 || !map.len ? r : pax_put(w, buf_data(&map), map.len, err);
}

int pax_data(struct pax_writer *w, const void *data, size_t n, struct coffer_error *err)
{
	size_t k = n < w->left ? n : (size_t)w->left;

	w->left -= k;
	return pax_put(w, data, k, err);
}

int pax_end(struct pax_writer *w, struct coffer_error *err)
{
	uint64_t n = w->left + w->pad;

	w->left = w->pad = 0;
	return pax_zeros(w, n, err);
}

int pax_finish(struct pax_writer *w, uint64_t *bytes, struct coffer_error *err)
{
	int r = pax_zeros(w, 2 * PAX_BLOCK, err);

	if (r == 0)
		r = pax_flush(w, err);
	if (r == 0 && w->gzip)
		r = pax_deflate(w, NULL, 0, Z_FINISH, err);
	if (bytes)
		*bytes = w->total;
	return r;
}
