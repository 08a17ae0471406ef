/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/relay.c - unix sockets of one side made available on the other
 *
 *	into    the agent listens at a path of the container's and dials a vsock
 *	        port of ours for each client; we connect it to the host's socket
 *	out of  we listen at a path of the host and dial a port of the guest's for
 *	        each client; the agent connects it to the container's socket
 *
 * One thread carries all relays of a container (relay_loop.c) and ends with its
 * machine.
 *
 * A configured relay into the container is staged outside of it, at a short
 * path, and mounted over the wanted one: the container's own mounts and links
 * (/var/run) are then where its processes see them.  One that is added later
 * is made by the agent in the container's own view.
 *
 * Callers: transfer_local; container.c and document.c for the configured ones.
 */
#define LOG_CATEGORY "relay"
#include "container/relay_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "container/document.h"
#include "container/transfer.h"
#include "sandbox_context.pb-c.h"

#define RELAY_STAGING	   "/run/sockets"
#define RELAY_HOST_BUDGET  (10 * USEC_PER_SEC) /* for a host's socket whose queue is full */
#define RELAY_NAME_MAX	   80 /* of a socket on the host; with /proc/self/fd/N/ in sun_path */
#define RELAY_MODE_HOST	   0600
#define RELAY_MODE_GUEST   0666

/* ---- relays one by one ---- */

void relay_free(struct relay *relay)
{
	struct stat st;

	/* Unless somebody has put another one in its place. */
	if (relay->is_ours &&
	    fstatat(relay->dirfd, relay->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == relay->dev && st.st_ino == relay->ino)
		unlinkat(relay->dirfd, relay->name, 0);
	close_fd(&relay->listen_fd);
	close_fd(&relay->dirfd);
	free(relay->path);
	free(relay);
}

static int relay_check_one(const struct coffer_relay *relay, struct coffer_error *err)
{
	const char *name;

	if (!relay->id || !rundir_id_is_valid(relay->id))
		return err_invalid(err, "relay %s: must be named 1 to 64 of a-z A-Z 0-9 _ . -",
				   relay->id ? relay->id : "without a name");
	if (relay->direction != COFFER_RELAY_INTO && relay->direction != COFFER_RELAY_OUT_OF)
		return err_invalid(err, "relay %s: direction %d: there is none", relay->id,
				   (int)relay->direction);
	if (!relay->guest_path || relay->guest_path[0] != '/' ||
	    strlen(relay->guest_path) >= PATH_MAX / 2)
		return err_invalid(err, "relay %s: guest_path: must be absolute", relay->id);
	if (!relay->host_path || !*relay->host_path || strlen(relay->host_path) >= PATH_MAX / 2)
		return err_invalid(err, "relay %s: host_path: missing or too long", relay->id);
	name = strrchr(relay->host_path, '/');
	name = name ? name + 1 : relay->host_path;
	if (!*name || strlen(name) > RELAY_NAME_MAX)
		return err_invalid(err, "relay %s: host_path %s: must end in a name of at most %d",
				   relay->id, relay->host_path, RELAY_NAME_MAX);
	if (relay->mode & ~(mode_t)0777)
		return err_invalid(err, "relay %s: mode %o: more than permissions", relay->id,
				   relay->mode);
	return 0;
}

int relay_check(const struct coffer_container_config *config, struct coffer_error *err)
{
	for (size_t i = 0; i < config->nrelays; i++) {
		int r = relay_check_one(&config->relays[i], err);

		if (r < 0)
			return r;
		for (size_t j = 0; j < i; j++)
			if (strcmp(config->relays[i].id, config->relays[j].id) == 0)
				return err_invalid(err, "relay %s: there are two",
						   config->relays[i].id);
	}
	return 0;
}

/* Open the directory of host_path; what is in it may come and go. */
static int relay_open_dir(struct relay *relay, struct coffer_error *err)
{
	char *slash = strrchr(relay->path, '/');
	autofree char *dir = slash ? strndup(relay->path, (size_t)(slash - relay->path) + 1)
				   : strdup(".");

	if (!dir)
		return err_nomem(err);
	relay->name = slash ? slash + 1 : relay->path;
	relay->dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return relay->dirfd < 0 ? err_sys(err, "open %s", dir) : 0;
}

static int relay_new(struct relays *all, const struct coffer_relay *args, struct relay **out,
		     struct coffer_error *err)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int r;

	if (!relay)
		return err_nomem(err);
	*relay = (struct relay){ .relays = all, .direction = args->direction,
				 .port = container_port_take(), .listen_fd = -1, .dirfd = -1 };
	snprintf(relay->id, sizeof(relay->id), "%s", args->id);
	relay->path = strdup(args->host_path);
	r = relay->path ? relay_open_dir(relay, err) : err_nomem(err);
	if (r < 0) {
		relay_free(relay);
		return r;
	}
	*out = relay;
	return 0;
}

/* ---- partners; these run in threads of the pump ---- */

static int relay_connect_host(void *data, struct coffer_error *err)
{
	const struct timeval limit = { .tv_sec = RELAY_HOST_BUDGET / USEC_PER_SEC };
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct relay *relay = data;

	if (fd < 0)
		return err_sys(err, "socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", relay->dirfd,
		 relay->name);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(err, "connect to %s", relay->path);
	return steal_fd(&fd);
}

/* The relays' thread keeps the machine there meanwhile. */
static int relay_connect_guest(void *data, struct coffer_error *err)
{
	struct relay *relay = data;
	struct sandbox *sandbox = relay->relays->c->sandbox;

	return sandbox->ops->dial(sandbox, relay->port, err);
}

static void relay_failed(void *data, const struct coffer_error *err)
{
	struct relay *relay = data;

	log_info("relay %s: %s", relay->id, err->message);
}

struct pump_target relay_target(struct relay *relay)
{
	return (struct pump_target){
		.connect = relay->direction == COFFER_RELAY_INTO ? relay_connect_host
								  : relay_connect_guest,
		.failed = relay_failed,
		.data = relay,
	};
}

/* ---- the two halves of a relay ---- */

/* Make room for a socket of ours. */
static int relay_clear(const struct relay *relay, struct coffer_error *err)
{
	struct stat st;

	if (fstatat(relay->dirfd, relay->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "stat %s", relay->path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, COFFER_ERR_ALREADY_EXISTS, EEXIST,
			       "%s: is there and no socket", relay->path);
	if (unlinkat(relay->dirfd, relay->name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove %s", relay->path);
	return 0;
}

static int relay_bind_host(struct relay *relay, mode_t mode, struct coffer_error *err)
{
	struct stat st;
	int r = relay_clear(relay, err);

	if (r < 0)
		return r;
	relay->listen_fd = io_unix_listen(relay->dirfd, relay->name, SOCK_STREAM,
					  mode ? mode : RELAY_MODE_HOST, err);
	if (relay->listen_fd < 0)
		return err_wrap(err, "%s", relay->path);
	if (fstatat(relay->dirfd, relay->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "stat %s", relay->path);
	relay->is_ours = true;
	relay->dev = st.st_dev;
	relay->ino = st.st_ino;
	return 0;
}

static int relay_start_guest(struct relay *relay, const char *guest_path, mode_t mode,
			     struct agent *agent, struct coffer_error *err)
{
	Sc__ProxyVsockRequest req = SC__PROXY_VSOCK_REQUEST__INIT;
	int r;

	req.id = relay->id;
	req.vsock_port = relay->port;
	req.guestpath = (char *)guest_path;
	req.action = relay->direction == COFFER_RELAY_INTO ? SC__PROXY_VSOCK_REQUEST__ACTION__INTO
							    : SC__PROXY_VSOCK_REQUEST__ACTION__OUT_OF;
	req._guest_socket_permissions_case =
	    SC__PROXY_VSOCK_REQUEST___GUEST_SOCKET_PERMISSIONS_GUEST_SOCKET_PERMISSIONS;
	req.guestsocketpermissions = mode ? mode : RELAY_MODE_GUEST;
	r = agent_call(agent, AGENT_CONTRACT, "ProxyVsock", &req.base, AGENT_CALL_BUDGET, NULL,
		       err);
	relay->in_guest = r == 0;
	return r;
}

static void relay_stop_guest(struct relay *relay, struct agent *agent)
{
	Sc__StopVsockProxyRequest req = SC__STOP_VSOCK_PROXY_REQUEST__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;

	req.id = relay->id;
	if (relay->in_guest && agent_call(agent, AGENT_CONTRACT, "StopVsockProxy", &req.base,
					  AGENT_CALL_BUDGET, NULL, &err) < 0)
		log_warning("relay %s: %s", relay->id, err.message);
	relay->in_guest = false;
}

/* Whoever connects finds the other half there. */
static int relay_start(struct relay *relay, const struct coffer_relay *args,
		       const char *guest_path, struct agent *agent, struct coffer_error *err)
{
	struct sandbox *sandbox = relay->relays->c->sandbox;
	int r = 0;

	if (args->direction == COFFER_RELAY_INTO) {
		relay->listen_fd = sandbox->ops->listen(sandbox, relay->port, err);
		if (relay->listen_fd < 0)
			return relay->listen_fd;
		r = relay_order(relay, true, err);
		return r < 0 ? r : relay_start_guest(relay, guest_path, args->mode, agent, err);
	}
	r = relay_start_guest(relay, guest_path, 0, agent, err);
	if (r == 0)
		r = relay_bind_host(relay, args->mode, err);
	return r < 0 ? r : relay_order(relay, true, err);
}

/* The reverse, as far as it has come; @relay is on no list. */
static void relay_stop(struct relay *relay, struct agent *agent)
{
	struct sandbox *sandbox = relay->relays->c->sandbox;

	relay_stop_guest(relay, agent);
	if (relay->door)
		relay_order(relay, false, NULL);
	if (relay->direction == COFFER_RELAY_INTO && relay->listen_fd >= 0)
		sandbox->ops->unlisten(sandbox, relay->port);
	relay_free(relay);
}

/* ---- all of them ---- */

static struct relay **relay_find(struct relays *all, const char *id)
{
	struct relay **link = &all->list;

	while (*link && strcmp((*link)->id, id) != 0)
		link = &(*link)->next;
	return link;
}

static int relay_enlist(struct relay *relay, struct coffer_error *err)
{
	struct relays *all = relay->relays;
	int r = 0;

	pthread_mutex_lock(&all->lock);
	if (*relay_find(all, relay->id)) {
		r = err_set(err, COFFER_ERR_ALREADY_EXISTS, EEXIST, "there is one of that name");
	} else {
		relay->next = all->list;
		all->list = relay;
	}
	pthread_mutex_unlock(&all->lock);
	return r;
}

static void relay_delist(struct relay *relay)
{
	struct relays *all = relay->relays;
	struct relay **link;

	pthread_mutex_lock(&all->lock);
	link = relay_find(all, relay->id);
	*link = relay->next;
	pthread_mutex_unlock(&all->lock);
}

static int relay_add_one(struct relays *all, const struct coffer_relay *args,
			 const char *guest_path, struct agent *agent, struct coffer_error *err)
{
	struct relay *relay = NULL;
	int r = relay_new(all, args, &relay, err);

	if (r < 0)
		return r;
	r = relay_enlist(relay, err);
	if (r < 0) {
		relay_free(relay);
		return r;
	}
	r = relay_start(relay, args, guest_path, agent, err);
	if (r < 0) {
		relay_delist(relay);
		relay_stop(relay, agent);
		return r;
	}
	pthread_mutex_lock(&all->lock);
	relay->is_ready = true;
	pthread_mutex_unlock(&all->lock);
	return 0;
}

static char *relay_staged(const char *id)
{
	char *path;

	return asprintf(&path, RELAY_STAGING "/%s.sock", id) < 0 ? NULL : path;
}

/* How the agent finds a path in the container's own view. */
static char *relay_inside(const struct coffer_container *c, const char *guest_path)
{
	char *path;

	return asprintf(&path, DOCUMENT_STATE_DIR "/%s/rootfs%s", c->id, guest_path) < 0 ? NULL
											 : path;
}

int relay_emit(const struct coffer_container_config *config, struct oci_spec *spec,
	       struct coffer_error *err)
{
	static const char *const options[] = { "bind", NULL };
	int r = 0;

	for (size_t i = 0; i < config->nrelays && r == 0; i++) {
		const struct coffer_relay *relay = &config->relays[i];
		autofree char *staged = relay_staged(relay->id);

		if (relay->direction != COFFER_RELAY_INTO)
			continue;
		r = staged ? oci_mount_add(spec, relay->guest_path, "bind", staged, options, err)
			   : err_nomem(err);
	}
	return r;
}

int relay_start_configured(struct coffer_container *c, struct coffer_error *err)
{
	struct agent *agent;
	struct relays *all;
	int r;

	if (c->config->nrelays == 0)
		return 0;
	r = container_agent_get(c, &agent, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	all = relays_get(c, err);
	pthread_mutex_unlock(&c->lock);
	if (!all) {
		container_agent_put(c, agent, 0);
		return err ? -err->err : -ENOMEM;
	}
	for (size_t i = 0; i < c->config->nrelays && r == 0; i++) {
		const struct coffer_relay *relay = &c->config->relays[i];
		autofree char *path = relay->direction == COFFER_RELAY_INTO
					  ? relay_staged(relay->id)
					  : relay_inside(c, relay->guest_path);

		r = path ? relay_add_one(all, relay, path, agent, err) : err_nomem(err);
		if (r < 0)
			err_wrap(err, "relay %s", relay->id);
	}
	relays_put(all);
	container_agent_put(c, agent, r);
	return r;
}

static int relay_add_entered(struct coffer_container *c, const struct coffer_relay *relay,
			     struct coffer_error *err)
{
	autofree char *path = relay_inside(c, relay->guest_path);
	autoagent struct agent *agent = NULL;
	struct relays *all;
	int r = path ? container_agent_open(c, &agent, err) : err_nomem(err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	all = relays_get(c, err);
	pthread_mutex_unlock(&c->lock);
	if (!all)
		return err ? -err->err : -ENOMEM;
	agent->ops->set_cancel(agent, c->gone_fd);
	r = relay_add_one(all, relay, path, agent, err);
	relays_put(all);
	return r;
}

int relay_add(struct coffer_container *c, const struct coffer_relay *relay,
	      struct coffer_error *err)
{
	int r = relay_check_one(relay, err);

	if (r == 0)
		r = container_enter(c, CONTAINER_IN_STARTED, "add a relay", err);
	if (r < 0)
		return r;
	r = relay_add_entered(c, relay, err);
	container_leave(c);
	return r;
}

/* Take it from the list: nobody else finds it any more. */
static struct relay *relay_take(struct relays *all, const char *id)
{
	struct relay *relay = NULL, **link;

	pthread_mutex_lock(&all->lock);
	link = relay_find(all, id);
	if (*link && (*link)->is_ready) {
		relay = *link;
		*link = relay->next;
	}
	pthread_mutex_unlock(&all->lock);
	return relay;
}

static int relay_remove_entered(struct coffer_container *c, const char *id,
				struct coffer_error *err)
{
	autoagent struct agent *agent = NULL;
	struct relay *relay = NULL;
	struct relays *all = NULL;
	int r = container_agent_open(c, &agent, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	if (c->relays)
		all = relays_get(c, err);
	pthread_mutex_unlock(&c->lock);
	if (all)
		relay = relay_take(all, id);
	if (!relay) {
		r = err_set(err, COFFER_ERR_NOT_FOUND, ENOENT, "there is none of that name");
	} else {
		agent->ops->set_cancel(agent, c->gone_fd);
		relay_stop(relay, agent);
	}
	if (all)
		relays_put(all);
	return r;
}

int relay_remove(struct coffer_container *c, const char *id, struct coffer_error *err)
{
	int r = container_enter(c, CONTAINER_IN_STARTED, "remove a relay", err);

	if (r < 0)
		return r;
	r = relay_remove_entered(c, id, err);
	container_leave(c);
	return r;
}

/* The thread that connects later may have another working directory, or be of another process. */
static char *relay_absolute(const char *path)
{
	autofree char *cwd = NULL;

	if (path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	return cwd ? path_join(cwd, path) : NULL;
}

int coffer_container_relay_add(struct coffer_container *c, const struct coffer_relay *relay,
			       struct coffer_error *err)
{
	autofree char *host_path = NULL;
	struct coffer_relay own = *relay;
	int r = relay_check_one(relay, err);

	if (r < 0)
		return r;
	host_path = relay_absolute(relay->host_path);
	if (!host_path)
		return err_sys(err, "relay %s: working directory", relay->id);
	own.host_path = host_path;
	r = transfer_ops_of(c)->relay_add(c, &own, err);
	return r < 0 ? err_wrap(err, "relay %s of container %s", relay->id, c->id) : 0;
}

int coffer_container_relay_remove(struct coffer_container *c, const char *id,
				  struct coffer_error *err)
{
	int r = transfer_ops_of(c)->relay_remove(c, id, err);

	return r < 0 ? err_wrap(err, "relay %s of container %s", id, c->id) : 0;
}
