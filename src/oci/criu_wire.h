/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/criu_wire.h - CRIU's service messages as bytes
 *
 * The messages are protocol buffers.  A request is written option by option
 * straight into a buffer, an answer is read into one flat struct: of some
 * hundred fields we say thirty and read nine, so this is smaller than a
 * library with its descriptors.  All numbers are those of CRIU's rpc.proto.
 */
#ifndef OCI_CRIU_WIRE_H
#define OCI_CRIU_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

enum criu_type {
	CRIU_DUMP = 1,
	CRIU_RESTORE = 2,
	CRIU_PRE_DUMP = 4,
	CRIU_NOTIFY = 6,
};

/* Options of a request: number and what it takes. */
enum criu_option {
	CRIU_IMAGES_DIR_FD = 1,      /* number; a descriptor of the caller's, not of criu's */
	CRIU_PID = 2,                /* number */
	CRIU_LEAVE_RUNNING = 3,      /* flag */
	CRIU_EXT_UNIX_SK = 4,        /* flag */
	CRIU_TCP_ESTABLISHED = 5,    /* flag */
	CRIU_EVASIVE_DEVICES = 6,    /* flag */
	CRIU_SHELL_JOB = 7,          /* flag */
	CRIU_FILE_LOCKS = 8,         /* flag */
	CRIU_LOG_LEVEL = 9,          /* number */
	CRIU_LOG_FILE = 10,          /* text; its name in the work directory */
	CRIU_PAGE_SERVER = 11,       /* pair: address, port */
	CRIU_NOTIFY_SCRIPTS = 12,    /* flag: tell of each step */
	CRIU_ROOT = 13,              /* text */
	CRIU_PARENT_IMG = 14,        /* text; relative to the images */
	CRIU_TRACK_MEM = 15,         /* flag */
	CRIU_AUTO_DEDUP = 16,        /* flag */
	CRIU_WORK_DIR_FD = 17,       /* number; as CRIU_IMAGES_DIR_FD */
	CRIU_EXT_MNT = 23,           /* pair, repeated; dump: place, key; restore: key, source */
	CRIU_MANAGE_CGROUPS = 24,    /* flag */
	CRIU_CG_ROOT = 25,           /* pair, repeated: controllers, path */
	CRIU_RST_SIBLING = 26,       /* flag: what is restored becomes a child of the caller */
	CRIU_INHERIT_FD = 27,        /* pair, repeated: key, descriptor of criu's */
	CRIU_MANAGE_CGROUPS_MODE = 34, /* number, enum criu_cgroup_mode */
	CRIU_EXTERNAL = 37,          /* text, repeated: "net[INODE]:KEY" */
	CRIU_EMPTY_NS = 38,          /* number: CLONE_NEW... */
	CRIU_JOIN_NS = 39,           /* pair, repeated: kind, path */
	CRIU_FREEZE_CGROUP = 44,     /* text */
	CRIU_TCP_SKIP_IN_FLIGHT = 46, /* flag */
	CRIU_LAZY_PAGES = 48,        /* flag */
	CRIU_STATUS_FD = 49,         /* number */
	CRIU_ORPHAN_PTS_MASTER = 50, /* flag: hand over masters of terminals */
	CRIU_CONFIG_FILE = 51,       /* text */
	CRIU_LSM_PROFILE = 53,       /* text */
	CRIU_LSM_MOUNT_CONTEXT = 63, /* text */
};

enum criu_cgroup_mode {
	CRIU_CG_IGNORE = 0,
	CRIU_CG_SOFT = 3,
	CRIU_CG_FULL = 4,
	CRIU_CG_STRICT = 5,
	CRIU_CG_DEFAULT = 6,
};

/* The options of one request. A failure to add one comes out when it is sent. */
struct criu_options {
	struct buf bytes;
	int error; /* negative errno, sticky */
};

#define CRIU_OPTIONS_INIT { .bytes = BUF_INIT(1 << 20) }

static inline void criu_options_free(struct criu_options *o)
{
	buf_free(&o->bytes);
}

/* criu_set_number() - Also flags and enums */
void criu_set_number(struct criu_options *o, enum criu_option option, uint32_t value);
/* criu_set_text() - NULL or "" leaves it out */
void criu_set_text(struct criu_options *o, enum criu_option option, const char *text);
void criu_add_texts(struct criu_options *o, enum criu_option option, const char *first,
		    const char *second);
void criu_add_text_number(struct criu_options *o, enum criu_option option, const char *text,
			  uint32_t number);

/* criu_write_request() - A whole message of @type; @o may be NULL. Return: 0 or negative errno */
int criu_write_request(struct buf *out, enum criu_type type, const struct criu_options *o);
/* criu_write_notified() - The answer to a notification */
int criu_write_notified(struct buf *out, bool success);

#define CRIU_TEXT_MAX 256

struct criu_answer {
	uint32_t type;
	bool success;
	int32_t errnum;               /* 0: not said */
	char message[CRIU_TEXT_MAX];  /* "" when not said; cut off at the end of the room */
	char script[CRIU_TEXT_MAX];   /* CRIU_NOTIFY: the step */
	pid_t pid;                    /* CRIU_NOTIFY, CRIU_RESTORE: of the root task; else 0 */
};

/* criu_read_answer() - Unknown fields are skipped. Return: 0 or negative errno */
int criu_read_answer(const uint8_t *data, size_t n, struct criu_answer *out,
		     struct coffer_error *err);

#endif /* OCI_CRIU_WIRE_H */
