/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/strace.c - calls written down as strace(1) does
 *
 *	[container 12] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
 *
 * By the argument kinds in a call's row, when it is over. What is shown of guest memory is read again
 * then: another thread may have changed it meanwhile, and it is shown, nothing more.
 *
 * Called by table.c.
 */
#define LOG_CATEGORY "strace"
#include "sentry/syscalls/strace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "base/buf.h"
#include "base/log.h"
#include "sentry/control/container.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"

#define STRACE_LINE_MAX	  1024
#define STRACE_STRING_MAX 64 /* of a string or bytes, as strace cuts them */
#define STRACE_ARGV_MAX	  8

struct strace_word {
	uint64_t bits;
	const char *name;
};

static const struct strace_word strace_open_words[] = {
	{ O_CREAT, "O_CREAT" }, { O_EXCL, "O_EXCL" }, { O_TRUNC, "O_TRUNC" },
	{ O_APPEND, "O_APPEND" }, { O_NONBLOCK, "O_NONBLOCK" }, { O_CLOEXEC, "O_CLOEXEC" },
	{ O_DIRECTORY, "O_DIRECTORY" }, { O_NOFOLLOW, "O_NOFOLLOW" }, { O_PATH, "O_PATH" },
	{ O_NOCTTY, "O_NOCTTY" }, { O_DIRECT, "O_DIRECT" },
};
static const struct strace_word strace_prot_words[] = {
	{ PROT_READ, "PROT_READ" }, { PROT_WRITE, "PROT_WRITE" }, { PROT_EXEC, "PROT_EXEC" },
};
static const struct strace_word strace_map_words[] = {
	{ MAP_SHARED, "MAP_SHARED" }, { MAP_PRIVATE, "MAP_PRIVATE" }, { MAP_FIXED, "MAP_FIXED" },
	{ MAP_ANONYMOUS, "MAP_ANONYMOUS" }, { MAP_NORESERVE, "MAP_NORESERVE" },
	{ MAP_STACK, "MAP_STACK" }, { MAP_POPULATE, "MAP_POPULATE" }, { MAP_DENYWRITE, "MAP_DENYWRITE" },
};
static const struct strace_word strace_clone_words[] = {
	{ CLONE_VM, "CLONE_VM" }, { CLONE_FS, "CLONE_FS" }, { CLONE_FILES, "CLONE_FILES" },
	{ CLONE_SIGHAND, "CLONE_SIGHAND" }, { CLONE_VFORK, "CLONE_VFORK" },
	{ CLONE_THREAD, "CLONE_THREAD" }, { CLONE_SYSVSEM, "CLONE_SYSVSEM" },
	{ CLONE_SETTLS, "CLONE_SETTLS" }, { CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID" },
	{ CLONE_CHILD_CLEARTID, "CLONE_CHILD_CLEARTID" },
	{ CLONE_CHILD_SETTID, "CLONE_CHILD_SETTID" }, { CLONE_PARENT, "CLONE_PARENT" },
};
static const char *const strace_families[] = {
	[AF_UNSPEC] = "AF_UNSPEC", [AF_UNIX] = "AF_UNIX", [AF_INET] = "AF_INET",
	[AF_INET6] = "AF_INET6", [AF_NETLINK] = "AF_NETLINK",
};

static void strace_words(struct buf *out, uint64_t value, const struct strace_word *words, size_t n,
			 const char *zero)
{
	const char *between = "";

	if (zero) {
		buf_printf(out, "%s", zero);
		between = "|";
	}
	for (size_t i = 0; i < n; i++) {
		if ((value & words[i].bits) != words[i].bits)
			continue;
		buf_printf(out, "%s%s", between, words[i].name);
		value &= ~words[i].bits;
		between = "|";
	}
	if (value || !*between)
		buf_printf(out, "%s%#jx", between, (uintmax_t)value);
}

static void strace_address(struct buf *out, uint64_t addr)
{
	if (addr)
		buf_printf(out, "%#jx", (uintmax_t)addr);
	else
		buf_printf(out, "NULL");
}

static void strace_quote(struct buf *out, const char *bytes, size_t n, bool more)
{
	buf_append(out, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\n')
			buf_printf(out, "\\n");
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < ' ' || c > '~')
			buf_printf(out, "\\%o", c);
		else
			buf_append(out, &bytes[i], 1);
	}
	buf_printf(out, "%s", more ? "\"..." : "\"");
}

static void strace_bytes(struct buf *out, struct task *task, uint64_t addr, uint64_t len)
{
	char bytes[STRACE_STRING_MAX];
	size_t n = len < sizeof(bytes) ? len : sizeof(bytes);

	if (!addr || user_read(task->mm, bytes, addr, n) < 0)
		strace_address(out, addr);
	else
		strace_quote(out, bytes, n, n < len);
}

static void strace_string(struct buf *out, struct task *task, uint64_t addr)
{
	char text[4 * STRACE_STRING_MAX];
	long n = addr ? user_string(task->mm, text, addr, sizeof(text)) : -EFAULT;

	if (n == -ENAMETOOLONG)
		strace_bytes(out, task, addr, 2 * STRACE_STRING_MAX);
	else if (n < 0)
		strace_address(out, addr);
	else
		strace_quote(out, text, (size_t)n, false);
}

static void strace_argv(struct buf *out, struct task *task, uint64_t addr)
{
	uint64_t word = 0;

	buf_printf(out, "[");
	for (int i = 0; i < STRACE_ARGV_MAX; i++) {
		if (user_read(task->mm, &word, addr + 8 * (uint64_t)i, sizeof(word)) < 0 || !word)
			break;
		buf_printf(out, "%s", i ? ", " : "");
		strace_string(out, task, word);
	}
	buf_printf(out, "%s", word ? ", ...]" : "]");
}

static void strace_time(struct buf *out, struct task *task, uint64_t addr)
{
	struct timespec ts;

	if (!addr || user_read(task->mm, &ts, addr, sizeof(ts)) < 0)
		strace_address(out, addr);
	else
		buf_printf(out, "{%jd, %ld}", (intmax_t)ts.tv_sec, ts.tv_nsec);
}

static void strace_signal(struct buf *out, uint64_t sig)
{
	const char *name = sig < 65 ? sigabbrev_np((int)sig) : NULL;

	if (name)
		buf_printf(out, "SIG%s", name);
	else
		buf_printf(out, "%ju", (uintmax_t)sig);
}

static void strace_arg(struct buf *out, struct task *task, uint8_t kind, const uint64_t *arg,
		       long result)
{
	switch (kind) {
	case ARG_INT:
	case ARG_FD:
		buf_printf(out, "%d", (int)*arg);
		return;
	case ARG_DIRFD:
		if ((int)*arg == AT_FDCWD)
			buf_printf(out, "AT_FDCWD");
		else
			buf_printf(out, "%d", (int)*arg);
		return;
	case ARG_UINT:
		buf_printf(out, "%ju", (uintmax_t)*arg);
		return;
	case ARG_OCT:
		buf_printf(out, "0%jo", (uintmax_t)*arg);
		return;
	case ARG_PATH:
	case ARG_STR:
		strace_string(out, task, *arg);
		return;
	case ARG_IN:
	case ARG_SOCKADDR:
		strace_bytes(out, task, *arg, arg[1]);
		return;
	case ARG_OUT:
		strace_bytes(out, task, result > 0 ? *arg : 0, (uint64_t)result);
		return;
	case ARG_ARGV:
		strace_argv(out, task, *arg);
		return;
	case ARG_SIG:
		strace_signal(out, *arg);
		return;
	case ARG_OPEN:
		strace_words(out, *arg & ~(uint64_t)O_ACCMODE, strace_open_words,
			     ARRAY_SIZE(strace_open_words),
			     (const char *[]){ "O_RDONLY", "O_WRONLY", "O_RDWR", "3" }[*arg & 3]);
		return;
	case ARG_PROT:
		strace_words(out, *arg, strace_prot_words, ARRAY_SIZE(strace_prot_words), NULL);
		return;
	case ARG_MAP:
		strace_words(out, *arg, strace_map_words, ARRAY_SIZE(strace_map_words), NULL);
		return;
	case ARG_CLONE:
		strace_words(out, *arg & ~(uint64_t)0xff, strace_clone_words,
			     ARRAY_SIZE(strace_clone_words), NULL);
		return;
	case ARG_AF:
		if (*arg < ARRAY_SIZE(strace_families) && strace_families[*arg])
			buf_printf(out, "%s", strace_families[*arg]);
		else
			buf_printf(out, "%ju", (uintmax_t)*arg);
		return;
	case ARG_TIMESPEC:
		strace_time(out, task, *arg);
		return;
	default:
		buf_printf(out, "%#jx", (uintmax_t)*arg);
	}
}

static void strace_result(struct buf *out, long result)
{
	const char *name = result < 0 && result > -4096 ? strerrorname_np((int)-result) : NULL;

	switch (-result) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
	case ERESTART_RESTARTBLOCK:
		buf_printf(out, ") = ? (to be restarted)");
		return;
	}
	if (name)
		buf_printf(out, ") = -1 %s", name);
	else if (result > 0xffff || result < 0)
		buf_printf(out, ") = %#lx", (unsigned long)result);
	else
		buf_printf(out, ") = %ld", result);
}

void strace_call(struct task *task, const struct syscall_row *row, int nr, const uint64_t args[6],
		 long result)
{
	struct buf line = BUF_INIT(STRACE_LINE_MAX * 4);
	autofree char *text = NULL;

	if (row)
		buf_printf(&line, "%s(", row->name);
	else
		buf_printf(&line, "syscall_%d(", nr);
	for (int i = 0; i < 6 && (row ? row->args[i] != ARG_NONE : i < 6); i++) {
		buf_printf(&line, "%s", i ? ", " : "");
		strace_arg(&line, task, row ? row->args[i] : ARG_HEX, &args[i], result);
	}
	strace_result(&line, result);
	text = buf_steal_str(&line);
	if (text)
		log_info("[%s %d] %s", task->process->container->id, task->tid, text);
	buf_free(&line);
}
