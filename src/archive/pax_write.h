/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/pax_write.h - a pax archive, entry by entry, to a descriptor
 */
#ifndef ARCHIVE_PAX_WRITE_H
#define ARCHIVE_PAX_WRITE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"

struct pax_writer;

/* One stretch of data in a file with holes. */
struct pax_extent {
	uint64_t off, len;
};

struct pax_entry {
	const char *path; /* of a directory with a slash at its end */
	const char *link; /* target of a symbolic or hard link, else NULL */
	char type;	  /* ustar's type flag: '0' file, '1' hard link, '2' symbolic link ... */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	struct timespec mtime;
	uint64_t size;		 /* of the file */
	const struct buf *extra; /* records made by pax_record(), or NULL */
	const struct pax_extent *map; /* of a file with holes, else NULL: the data that follows */
	size_t nmap;
};

/* pax_writer_new() - @fd: borrowed, blocking. @gzip: compressed on the way */
int pax_writer_new(int fd, bool gzip, struct pax_writer **out, struct coffer_error *err);
/* pax_writer_free() - Without pax_finish() the archive is not whole */
void pax_writer_free(struct pax_writer *w);
DEFINE_CLEANUP(struct pax_writer *, pax_writer_free);

/* pax_record() - Append "<length> <key>=<value>\n" for pax_entry.extra. Return: 0 or -errno */
int pax_record(struct buf *b, const char *key, const void *value, size_t n);

/* pax_begin() - The entry's header. A file's data is due next, in the order of the map */
int pax_begin(struct pax_writer *w, const struct pax_entry *e, struct coffer_error *err);
/* pax_data() - Some of it. What exceeds the announced size is left out */
int pax_data(struct pax_writer *w, const void *data, size_t n, struct coffer_error *err);
/* pax_end() - The entry is over; data that never came is made up by zeros */
int pax_end(struct pax_writer *w, struct coffer_error *err);
/* pax_finish() - The archive is over and written. @bytes: how much of it went out, may be NULL */
int pax_finish(struct pax_writer *w, uint64_t *bytes, struct coffer_error *err);

#endif /* ARCHIVE_PAX_WRITE_H */
