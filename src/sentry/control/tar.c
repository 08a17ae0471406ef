/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/tar.c - a tar archive, entry by entry, from a descriptor
 *
 *	header --> [pax records, GNU long names] --> entry --> data, in the pieces a map says
 *
 * ustar, pax (with SCHILY.xattr and GNU's sparse format 1.0), old tar, GNU's long names. The
 * archive is hostile: every length is bounded before anything is read, and nothing of it is
 * trusted to be text. Whether its names are good is for the caller to say.
 *
 * Used by archive_put.c, in a thread that may block.
 */
#include "sentry/control/tar.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "archive/gunzip.h"
#include "base/cleanup.h"
#include "base/io.h"

#define TAR_BLOCK	512
#define TAR_CHUNK	(64u << 10)
#define TAR_RECORDS_MAX (1u << 20)
#define TAR_PATH_MAX	4096

struct tar_header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag;
	char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
	char prefix[155], pad[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is a block");

struct tar {
	int fd;
	struct gunzip *gunzip;	/* owned; NULL: it is plain */
	uint8_t *chunk;		/* owned; TAR_CHUNK */
	struct tar_header header;
	struct tar_entry entry;
	char path[TAR_PATH_MAX], link[TAR_PATH_MAX]; /* of the entry; "": of the header */
	struct buf records, xattrs;
	uint64_t left;		/* of the entry's data in the archive, without padding */
	uint64_t pad;
	/* What records said. */
	bool has_size, has_uid, has_gid, has_mtime, sparse;
	uint64_t size, uid, gid, realsize;
	struct tar_extent *map; /* owned; with sparse */
	size_t nmap, at;	/* extents; the one under way, */
	uint64_t done;		/* and how much of it was given out */
};

int tar_new(int fd, struct tar **out, struct coffer_error *err)
{
	CLEANUP(tar_freep) struct tar *t = calloc(1, sizeof(*t));

	if (!t)
		return err_nomem(err);
	t->fd = fd;
	t->records = t->xattrs = (struct buf)BUF_INIT(TAR_RECORDS_MAX);
	t->chunk = malloc(TAR_CHUNK);
	if (!t->chunk)
		return err_nomem(err);
	*out = steal_ptr(t);
	return 0;
}

void tar_free(struct tar *t)
{
	if (!t)
		return;
	buf_free(&t->records);
	buf_free(&t->xattrs);
	gunzip_free(t->gunzip);
	free(t->map);
	free(t->chunk);
	free(t);
}

int tar_gunzip(struct tar *t, struct coffer_error *err)
{
	t->gunzip = gunzip_new(t->fd);
	return t->gunzip ? 0 : err_nomem(err);
}

static int tar_damaged(struct coffer_error *err, const char *why)
{
	return err_invalid(err, "damaged archive: %s", why);
}

/* Return: 0, 1: the end came first */
static int tar_read(struct tar *t, void *out, size_t n, struct coffer_error *err)
{
	ssize_t got = t->gunzip ? gunzip_read(t->gunzip, out, n) : io_read_full(t->fd, out, n);

	if (got == -EBADMSG)
		return tar_damaged(err, "it is not what was compressed");
	if (got < 0)
		return err_sysn(err, (int)got, "read the archive");
	if (got == 0 && n)
		return 1;
	return (size_t)got < n ? tar_damaged(err, "it ends too early") : 0;
}

static int tar_read_all(struct tar *t, void *out, size_t n, struct coffer_error *err)
{
	int r = tar_read(t, out, n, err);

	return r > 0 ? tar_damaged(err, "it ends too early") : r;
}

static int tar_skip(struct tar *t, uint64_t n, struct coffer_error *err)
{
	int r = 0;

	while (n && r == 0) {
		size_t k = n < TAR_CHUNK ? (size_t)n : TAR_CHUNK;

		r = tar_read_all(t, t->chunk, k, err);
		n -= k;
	}
	return r;
}

/* ---- fields ---- */

/* Octal, or of GNU big-endian with the first bit set. */
static bool tar_number(const char *field, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	if (field[0] & 0x80) {
		for (i = 1; i < n; i++) {
			if (v >> 56)
				return false;
			v = v << 8 | (uint8_t)field[i];
		}
		*out = v;
		return !(field[0] & 0x7f);
	}
	while (i < n && field[i] == ' ')
		i++;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(field[i] - '0');
	*out = v;
	return i == n || field[i] == ' ' || field[i] == '\0';
}

static bool tar_is_empty(const struct tar_header *h)
{
	const char *p = (const char *)h;

	for (size_t i = 0; i < sizeof(*h); i++)
		if (p[i])
			return false;
	return true;
}

/* The same with a sign, which GNU's has: before 1970. */
static bool tar_seconds(const char field[12], time_t *out)
{
	uint64_t v = UINT64_MAX;

	if ((uint8_t)field[0] == 0xff) {
		for (size_t i = 4; i < 12; i++)
			v = v << 8 | (uint8_t)field[i];
		*out = (time_t)v;
		return *out < 0;
	}
	if (!tar_number(field, 12, &v) || v > INT64_MAX)
		return false;
	*out = (time_t)v;
	return true;
}

static bool tar_checksum(const struct tar_header *h)
{
	const uint8_t *p = (const uint8_t *)h;
	size_t at = offsetof(struct tar_header, chksum);
	uint64_t want, sum = 0;

	for (size_t i = 0; i < sizeof(*h); i++)
		sum += i >= at && i < at + sizeof(h->chksum) ? ' ' : p[i];
	return tar_number(h->chksum, sizeof(h->chksum), &want) && want == sum;
}

/* ---- records ---- */

static bool tar_decimal(const char *text, const char *end, uint64_t *out)
{
	uint64_t v = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' || v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*out = v;
	return true;
}

/* "-1.25" is 0.75 after -2. */
static bool tar_time(const char *text, const char *end, struct timespec *out)
{
	bool below = text < end && *text == '-';
	const char *dot;
	uint64_t sec;
	long nsec = 0, unit = 100000000;

	text += below;
	dot = memchr(text, '.', (size_t)(end - text));
	if (!tar_decimal(text, dot ? dot : end, &sec) || sec > INT64_MAX / 2)
		return false;
	for (const char *p = dot ? dot + 1 : end; p < end && unit; p++, unit /= 10) {
		if (*p < '0' || *p > '9')
			return false;
		nsec += (*p - '0') * unit;
	}
	out->tv_sec = below ? -(time_t)sec - (nsec != 0) : (time_t)sec;
	out->tv_nsec = below && nsec ? 1000000000 - nsec : nsec;
	return true;
}

static bool tar_text(const char *text, const char *end, char out[TAR_PATH_MAX])
{
	size_t n = (size_t)(end - text);

	if (n >= TAR_PATH_MAX || memchr(text, '\0', n))
		return false;
	memcpy(out, text, n);
	out[n] = '\0';
	return true;
}

static bool tar_keep_xattr(struct tar *t, const char *name, size_t name_len, const char *value,
			   const char *end)
{
	size_t n = (size_t)(end - value);

	if (!name_len || name_len > 255 || memchr(name, '\0', name_len) || n > 65536)
		return false;
	return buf_append(&t->xattrs, name, name_len) == 0 && buf_append(&t->xattrs, "", 1) == 0 &&
	       buf_append(&t->xattrs, &n, sizeof(n)) == 0 && buf_append(&t->xattrs, value, n) == 0;
}

static bool tar_key(const char *key, size_t len, const char *want)
{
	return len == strlen(want) && memcmp(key, want, len) == 0;
}

/* What is not known is not meant for us. */
static bool tar_record(struct tar *t, const char *key, size_t len, const char *value,
		       const char *end)
{
	static const char xattr[] = "SCHILY.xattr.";
	const size_t head = sizeof(xattr) - 1;

	if (tar_key(key, len, "path") || tar_key(key, len, "GNU.sparse.name"))
		return tar_text(value, end, t->path);
	if (tar_key(key, len, "linkpath"))
		return tar_text(value, end, t->link);
	if (tar_key(key, len, "size"))
		return t->has_size = tar_decimal(value, end, &t->size);
	if (tar_key(key, len, "uid"))
		return t->has_uid = tar_decimal(value, end, &t->uid);
	if (tar_key(key, len, "gid"))
		return t->has_gid = tar_decimal(value, end, &t->gid);
	/* A time that cannot be read is the header's. */
	if (tar_key(key, len, "mtime")) {
		t->has_mtime = tar_time(value, end, &t->entry.mtime);
		return true;
	}
	if (tar_key(key, len, "GNU.sparse.major"))
		return t->sparse = end - value == 1 && *value == '1';
	if (tar_key(key, len, "GNU.sparse.realsize"))
		return tar_decimal(value, end, &t->realsize);
	if (len > head && memcmp(key, xattr, head) == 0)
		return tar_keep_xattr(t, key + head, len - head, value, end);
	/* Sparse files of the formats before. */
	return !tar_key(key, len, "GNU.sparse.map") && !tar_key(key, len, "GNU.sparse.size");
}

/* "<length> <key>=<value>\n" after the other. */
static int tar_records(struct tar *t, const char *p, size_t n, struct coffer_error *err)
{
	const char *end = p + n;

	while (p < end) {
		const char *blank = memchr(p, ' ', (size_t)(end - p)), *equals;
		uint64_t len;

		if (!blank || !tar_decimal(p, blank, &len) || len > (uint64_t)(end - p) ||
		    p + len <= blank + 1 || p[len - 1] != '\n')
			return tar_damaged(err, "a record's length is wrong");
		blank++;
		equals = memchr(blank, '=', (size_t)(p + len - 1 - blank));
		if (equals && p + len - 1 - equals > TAR_PATH_MAX &&
		    tar_key(blank, (size_t)(equals - blank), "path"))
			return err_invalid(err, "entry \"%.200s\": its name is too long",
					   equals + 1);
		if (!equals || !tar_record(t, blank, (size_t)(equals - blank), equals + 1,
					   p + len - 1))
			return tar_damaged(err, "a record that cannot be read");
		p += len;
	}
	return 0;
}

static int tar_read_extra(struct tar *t, uint64_t size, struct coffer_error *err)
{
	size_t n = (size_t)size, padded = (n + TAR_BLOCK - 1) & ~(size_t)(TAR_BLOCK - 1);
	uint8_t *p;
	int r;

	if (size > TAR_RECORDS_MAX - TAR_BLOCK)
		return tar_damaged(err, "more records than an entry can have");
	buf_consume(&t->records, t->records.len);
	r = buf_reserve(&t->records, padded, &p);
	if (r < 0)
		return err_nomem(err);
	r = tar_read_all(t, p, padded, err);
	if (r == 0)
		buf_commit(&t->records, n);
	return r;
}

/* An entry about the entry that follows. Return: 1 it was one, 0 not */
static int tar_extra(struct tar *t, uint64_t size, struct coffer_error *err)
{
	char type = t->header.typeflag;
	const char *text;
	bool good;
	int r;

	if (!type || !strchr("xgLK", type))
		return 0;
	if (!size) /* it says nothing */
		return 1;
	r = tar_read_extra(t, size, err);
	if (r < 0)
		return r;
	text = (const char *)buf_data(&t->records);
	if (type == 'x')
		r = tar_records(t, text, t->records.len, err);
	if (type == 'L' || type == 'K') {
		size_t n = strnlen(text, t->records.len);

		good = tar_text(text, text + n, type == 'L' ? t->path : t->link);
		r = good ? 0 : tar_damaged(err, "a name is too long");
	}
	return r < 0 ? r : 1;
}

/* ---- sparse files ---- */

/* A line with a number, within the data of the entry. */
static int tar_map_number(struct tar *t, size_t *used, uint64_t *out, struct coffer_error *err)
{
	char digits[24];
	size_t n = 0;

	for (;;) {
		if (*used == TAR_BLOCK) {
			int r = t->left < TAR_BLOCK ? tar_damaged(err, "its map has no end")
						    : tar_read_all(t, t->chunk, TAR_BLOCK, err);

			if (r < 0)
				return r;
			t->left -= TAR_BLOCK;
			*used = 0;
		}
		digits[n] = (char)t->chunk[(*used)++];
		if (digits[n] == '\n')
			break;
		if (++n == sizeof(digits))
			return tar_damaged(err, "its map is wrong");
	}
	return tar_decimal(digits, digits + n, out) ? 0 : tar_damaged(err, "its map is wrong");
}

static int tar_map(struct tar *t, struct coffer_error *err)
{
	uint64_t n, end = 0, sum = 0;
	size_t used = TAR_BLOCK;
	int r = tar_map_number(t, &used, &n, err);

	if (r == 0 && (n > TAR_EXTENTS_MAX || t->realsize > INT64_MAX / 2))
		return tar_damaged(err, "its map is too long");
	t->nmap = r == 0 ? (size_t)n : 0;
	t->map = calloc(t->nmap + 1, sizeof(*t->map));
	if (!t->map)
		return err_nomem(err);
	for (size_t i = 0; r == 0 && i < t->nmap; i++) {
		struct tar_extent *e = &t->map[i];

		r = tar_map_number(t, &used, &e->off, err);
		if (r == 0)
			r = tar_map_number(t, &used, &e->len, err);
		if (r == 0 && (e->off < end || e->len > t->left || e->off > t->realsize ||
			       e->len > t->realsize - e->off))
			r = tar_damaged(err, "its map is wrong");
		end = e->off + e->len;
		sum += e->len;
	}
	return r == 0 && sum > t->left ? tar_damaged(err, "its map is wrong") : r;
}

static int tar_plain(struct tar *t, struct coffer_error *err)
{
	t->nmap = 1;
	t->map = calloc(1, sizeof(*t->map));
	if (!t->map)
		return err_nomem(err);
	t->map[0].len = t->left;
	return 0;
}

/* ---- entries ---- */

static void tar_forget(struct tar *t)
{
	t->has_size = t->has_uid = t->has_gid = t->has_mtime = t->sparse = false;
	t->path[0] = t->link[0] = '\0';
	t->realsize = t->done = 0;
	t->nmap = t->at = 0;
	free(steal_ptr(t->map));
	buf_consume(&t->xattrs, t->xattrs.len);
}

static void tar_header_path(struct tar *t)
{
	const struct tar_header *h = &t->header;
	size_t n = 0;

	if (memcmp(h->magic, "ustar", 6) == 0 && h->prefix[0]) {
		n = strnlen(h->prefix, sizeof(h->prefix));
		memcpy(t->path, h->prefix, n);
		t->path[n++] = '/';
	}
	memcpy(t->path + n, h->name, sizeof(h->name));
	t->path[n + sizeof(h->name)] = '\0';
}

/* Return: type bits, 0: hard link, 1: unknown */
static uint32_t tar_type(const struct tar *t)
{
	size_t n = strlen(t->path);

	switch (t->header.typeflag) {
	case '\0': /* of old: a directory is told by its slash */
		return n && t->path[n - 1] == '/' ? S_IFDIR : S_IFREG;
	case '0': case '7': return S_IFREG;
	case '1': return 0;
	case '2': return S_IFLNK;
	case '3': return S_IFCHR;
	case '4': return S_IFBLK;
	case '5': return S_IFDIR;
	case '6': return S_IFIFO;
	default: return 1;
	}
}

static int tar_fill(struct tar *t, uint64_t size, struct coffer_error *err)
{
	const struct tar_header *h = &t->header;
	struct tar_entry *e = &t->entry;
	uint64_t mode, uid, gid, major_, minor_;
	time_t mtime;
	uint32_t type;

	if (!t->path[0])
		tar_header_path(t);
	if (!t->link[0]) {
		memcpy(t->link, h->linkname, sizeof(h->linkname));
		t->link[sizeof(h->linkname)] = '\0';
	}
	type = tar_type(t);
	if (type == 1)
		return err_unsupported(err, "entry \"%.200s\": neither file, directory, link nor device",
				       t->path);
	if (!tar_number(h->mode, sizeof(h->mode), &mode) ||
	    !tar_number(h->uid, sizeof(h->uid), &uid) || !tar_number(h->gid, sizeof(h->gid), &gid) ||
	    !tar_seconds(h->mtime, &mtime) ||
	    !tar_number(h->devmajor, sizeof(h->devmajor), &major_) ||
	    !tar_number(h->devminor, sizeof(h->devminor), &minor_))
		return tar_damaged(err, "a number that cannot be read");
	uid = t->has_uid ? t->uid : uid;
	gid = t->has_gid ? t->gid : gid;
	if (uid >= UINT32_MAX || gid >= UINT32_MAX)
		return err_invalid(err, "entry \"%.200s\": owner out of range", t->path);
	if (!t->has_mtime)
		e->mtime = (struct timespec){ .tv_sec = mtime };
	e->path = t->path;
	e->link = t->link;
	e->mode = type | ((uint32_t)mode & 07777);
	e->uid = (uint32_t)uid;
	e->gid = (uint32_t)gid;
	e->rdev = makedev((unsigned)major_, (unsigned)minor_);
	e->xattrs = &t->xattrs;
	t->left = t->has_size ? t->size : size;
	if (t->left > INT64_MAX / 2)
		return tar_damaged(err, "a file too large");
	/* Whatever others say their size is: there is no data. */
	if (type != S_IFREG)
		t->left = 0;
	t->pad = -t->left & (TAR_BLOCK - 1);
	if (type != S_IFREG)
		return 0;
	if (t->sparse)
		e->size = t->realsize;
	else
		e->size = t->left;
	return t->sparse ? tar_map(t, err) : tar_plain(t, err);
}

int tar_next(struct tar *t, const struct tar_entry **entry, struct coffer_error *err)
{
	int r = tar_skip(t, t->left + t->pad, err);
	uint64_t size;

	t->left = t->pad = 0;
	tar_forget(t);
	while (r == 0) {
		r = tar_read(t, &t->header, sizeof(t->header), err);
		if (r != 0)
			return r < 0 ? r : 0;
		if (tar_is_empty(&t->header))
			continue;
		if (!tar_checksum(&t->header) ||
		    !tar_number(t->header.size, sizeof(t->header.size), &size))
			return tar_damaged(err, "a header that is none");
		r = tar_extra(t, size, err);
		if (r > 0) {
			r = 0;
			continue;
		}
		if (r < 0)
			return r;
		r = tar_fill(t, size, err);
		*entry = &t->entry;
		return r < 0 ? r : 1;
	}
	return r;
}

long tar_data(struct tar *t, const void **data, uint64_t *offset, struct coffer_error *err)
{
	const struct tar_extent *e;
	uint64_t n;
	int r;

	while (t->at < t->nmap && t->done == t->map[t->at].len) {
		t->at++;
		t->done = 0;
	}
	if (t->at == t->nmap)
		return 0;
	e = &t->map[t->at];
	n = e->len - t->done < TAR_CHUNK ? e->len - t->done : TAR_CHUNK;
	r = tar_read_all(t, t->chunk, (size_t)n, err);
	if (r < 0)
		return r;
	*data = t->chunk;
	*offset = e->off + t->done;
	t->done += n;
	t->left -= n;
	return (long)n;
}

bool tar_xattr(const struct tar_entry *e, size_t *pos, const char **name, const void **value,
	       size_t *len)
{
	const uint8_t *p;

	if (*pos >= e->xattrs->len)
		return false;
	p = buf_data(e->xattrs) + *pos;
	*name = (const char *)p;
	p += strlen(*name) + 1;
	memcpy(len, p, sizeof(*len));
	*value = p + sizeof(*len);
	*pos += strlen(*name) + 1 + sizeof(*len) + *len;
	return true;
}
