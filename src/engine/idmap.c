/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/idmap.c - the uid and gid maps of a new user namespace
 *
 * The kernel takes a map from a process outside of the namespace, once, and
 * when that one may be every id in it: always root's, and an ordinary user's
 * only when it is one line for its own id.  For the ranges that the machine's
 * administrator has given a user in /etc/subuid and /etc/subgid there are two
 * small set-uid programs.  So: our own write first, and when it is refused
 * theirs; no table of who may do what is needed here.
 *
 * A group that was taken away from a user to lock it out (mode 0604) must not
 * be dropped by way of a namespace: a map of one's own group alone is accepted
 * only after setgroups(2) was given up.
 *
 * Callers: namespaces.c (check), launch.c (write); container/aside.c.
 */
#include "engine/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/spawn.h"

#define IDMAP_TOOL_BUDGET (10 * USEC_PER_SEC)
#define IDMAP_TOOL_PATH	  "/usr/local/bin:/usr/bin:/bin"

enum idmap_kind { IDMAP_UID, IDMAP_GID };

static const struct {
	const char *field, *file, *tool;
} idmap_kinds[] = {
	[IDMAP_UID] = { "linux.uidMappings", "uid_map", "newuidmap" },
	[IDMAP_GID] = { "linux.gidMappings", "gid_map", "newgidmap" },
};

/* ---- before anything is made ---- */

bool idmap_contains(const struct oci_id_mappings *maps, uint32_t id)
{
	for (size_t i = 0; i < maps->n; i++)
		if (id >= maps->v[i].container_id && id - maps->v[i].container_id < maps->v[i].size)
			return true;
	return false;
}

static int idmap_check_id(const struct oci_id_mappings *maps, enum idmap_kind kind, uint32_t id,
			  const char *field, struct coffer_error *err)
{
	if (idmap_contains(maps, id))
		return 0;
	return err_invalid(err, "%s: %" PRIu32 " is not in %s", field, id, idmap_kinds[kind].field);
}

static bool idmap_is_own_group(const struct oci_id_mappings *maps)
{
	return maps->n == 1 && maps->v[0].size == 1 && maps->v[0].host_id == getegid();
}

static int idmap_check_groups(const struct oci_linux *l, const struct oci_user *user,
			      struct coffer_error *err)
{
	int r = 0;

	if (user->additional_gids.n > 0 && geteuid() != 0 && idmap_is_own_group(&l->gid_mappings))
		return err_invalid(err, "process.user.additionalGids: an ordinary user that maps "
					"its own group alone cannot set groups");
	for (size_t i = 0; r == 0 && i < user->additional_gids.n; i++)
		r = idmap_check_id(&l->gid_mappings, IDMAP_GID, user->additional_gids.v[i],
				   "process.user.additionalGids", err);
	return r;
}

int idmap_check(const struct oci_linux *l, const struct oci_user *user, struct coffer_error *err)
{
	const struct oci_id_mappings *const maps[] = { &l->uid_mappings, &l->gid_mappings };
	int r;

	for (size_t kind = 0; kind < ARRAY_SIZE(maps); kind++)
		if (maps[kind]->n == 0 || maps[kind]->n > IDMAP_LINES_MAX)
			return err_invalid(err, "%s: a new user namespace needs 1 to %d mappings",
					   idmap_kinds[kind].field, IDMAP_LINES_MAX);
	r = idmap_check_id(maps[IDMAP_UID], IDMAP_UID, user->uid, "process.user.uid", err);
	if (r == 0)
		r = idmap_check_id(maps[IDMAP_GID], IDMAP_GID, user->gid, "process.user.gid", err);
	return r < 0 ? r : idmap_check_groups(l, user, err);
}

/* ---- once the namespace is there ---- */

int idmap_format(const struct oci_id_mappings *maps, char text[IDMAP_TEXT_MAX])
{
	size_t n = 0;

	if (maps->n > IDMAP_LINES_MAX)
		return -EINVAL;
	text[0] = '\0';
	for (size_t i = 0; i < maps->n; i++)
		n += (size_t)snprintf(text + n, IDMAP_TEXT_MAX - n,
				      "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
				      maps->v[i].container_id, maps->v[i].host_id, maps->v[i].size);
	return (int)n;
}

/* The first @name in PATH that can be executed. Return: malloc'd path or NULL */
static char *idmap_find_tool(const char *name)
{
	const char *dirs = secure_getenv("PATH");
	char path[PATH_MAX];
	size_t len;

	for (dirs = dirs ? dirs : IDMAP_TOOL_PATH; *dirs; dirs += len + (dirs[len] == ':')) {
		len = strcspn(dirs, ":");
		if (dirs[0] != '/' || (size_t)snprintf(path, sizeof(path), "%.*s/%s", (int)len,
						       dirs, name) >= sizeof(path))
			continue;
		if (access(path, X_OK) == 0)
			return strdup(path);
	}
	return NULL;
}

bool idmap_has_tools(void)
{
	autofree char *uid = idmap_find_tool(idmap_kinds[IDMAP_UID].tool);
	autofree char *gid = idmap_find_tool(idmap_kinds[IDMAP_GID].tool);

	return uid && gid;
}

/* Its own words, without the newline at the end. */
static void idmap_read_complaint(int memfd, char *text, size_t size)
{
	ssize_t n = pread(memfd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int idmap_run_tool(const char *tool, const char *const *argv, struct coffer_error *err)
{
	autochild struct child child = CHILD_INIT;
	autoclose int memfd = memfd_create(argv[0], MFD_CLOEXEC);
	struct spawn_fd fds[] = { { memfd, STDERR_FILENO } };
	struct spawn_args args = { .path = tool,
				   .argv = argv,
				   .fds = fds,
				   .nfds = ARRAY_SIZE(fds),
				   .pdeathsig = SIGKILL };
	char complaint[256];
	siginfo_t si;
	int r;

	if (memfd < 0)
		return err_sys(err, "memfd_create");
	r = spawn_exec(&args, &child, err);
	if (r < 0)
		return r;
	r = child_wait(&child, deadline_in(clock_budget(IDMAP_TOOL_BUDGET)), &si);
	if (r < 0)
		return err_sysn(err, r, "wait for %s", tool);
	if (spawn_exit_code(&si) == 0)
		return 0;
	idmap_read_complaint(memfd, complaint, sizeof(complaint));
	return err_sysn(err, EPERM, "%s",
			complaint[0] ? complaint : "it failed without saying why");
}

/* @text: a map as idmap_format() writes it; cut up */
static int idmap_delegate(enum idmap_kind kind, pid_t pid, char *text, struct coffer_error *err)
{
	const char *argv[2 + 3 * IDMAP_LINES_MAX + 1];
	const char *name = idmap_kinds[kind].tool;
	autofree char *tool = idmap_find_tool(name);
	char target[16], *save = NULL;
	size_t n = 0;
	int r;

	if (!tool)
		return err_unsupported(err,
				       "%s: mapping more than one's own id takes root or the "
				       "program %s, which is not in PATH",
				       idmap_kinds[kind].field, name);
	snprintf(target, sizeof(target), "%d", (int)pid);
	argv[n++] = name;
	argv[n++] = target;
	for (char *word = strtok_r(text, " \n", &save); word && n < ARRAY_SIZE(argv) - 1;
	     word = strtok_r(NULL, " \n", &save))
		argv[n++] = word;
	argv[n] = NULL;
	r = idmap_run_tool(tool, argv, err);
	return r < 0 ? err_wrap(err, "%s", idmap_kinds[kind].field) : 0;
}

static int idmap_write_one(enum idmap_kind kind, const struct oci_id_mappings *maps, int procfd,
			   pid_t pid, struct coffer_error *err)
{
	char text[IDMAP_TEXT_MAX];
	int r = idmap_format(maps, text);

	if (r < 0)
		return err_invalid(err, "%s: too many mappings", idmap_kinds[kind].field);
	r = io_write_file(procfd, idmap_kinds[kind].file, text, err);
	if (r != -EPERM)
		return r < 0 ? err_wrap(err, "%s", idmap_kinds[kind].field) : r;
	err_clear(err);
	if (kind == IDMAP_UID || !idmap_is_own_group(maps))
		return idmap_delegate(kind, pid, text, err);
	r = io_write_file(procfd, "setgroups", "deny", err);
	if (r == 0)
		r = io_write_file(procfd, idmap_kinds[kind].file, text, err);
	return r < 0 ? err_wrap(err, "%s", idmap_kinds[kind].field) : 0;
}

int idmap_write(const struct oci_linux *l, pid_t pid, struct coffer_error *err)
{
	autoclose int procfd = -1;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0)
		return err_sys(err, "open %s", path);
	r = idmap_write_one(IDMAP_UID, &l->uid_mappings, procfd, pid, err);
	if (r == 0)
		r = idmap_write_one(IDMAP_GID, &l->gid_mappings, procfd, pid, err);
	return r;
}
