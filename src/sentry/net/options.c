/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/options.c - options that all families have
 *
 *	getsockopt(2), setsockopt(2) -> here: type, family, timeouts -> the family
 *
 * The calls wait, so timeouts are ours for sockets of the host too.
 */
#include "sentry/net/options.h"

#include <asm/socket.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

int option_tell(void *value, socklen_t *len, const void *answer, size_t size)
{
	if (*len > size)
		*len = (socklen_t)size;
	memcpy(value, answer, *len);
	return 0;
}

int option_int(const void *value, socklen_t len, int *out)
{
	if (len < sizeof(*out))
		return -EINVAL;
	memcpy(out, value, sizeof(*out));
	return 0;
}

/* As Linux: what is asked for, at most the system's limit, twice. */
uint32_t option_buffer(int value, uint32_t min)
{
	uint32_t size = (uint32_t)value;

	if (size > OPTION_BUFFER_DEFAULT)
		size = OPTION_BUFFER_DEFAULT;
	return size * 2 > min ? size * 2 : min;
}

struct option_plain {
	int name;
	uint32_t bit; /* in socket->options; 0: always as value */
	int value;
};

static const struct option_plain option_plain_rows[] = {
	{ SO_REUSEADDR, 1u << 0, 0 },  { SO_REUSEPORT, 1u << 1, 0 },  { SO_KEEPALIVE, 1u << 2, 0 },
	{ SO_BROADCAST, 1u << 3, 0 },  { SO_OOBINLINE, 1u << 4, 0 },  { SO_DONTROUTE, 1u << 5, 0 },
	{ SO_TIMESTAMP, 1u << 6, 0 },  { SO_TIMESTAMPNS, 1u << 7, 0 }, { SO_RXQ_OVFL, 1u << 8, 0 },
	{ SO_PASSSEC, 1u << 9, 0 },    { SO_DEBUG, 0, 0 },	      { SO_PRIORITY, 0, 0 },
	{ SO_RCVLOWAT, 0, 1 },	       { SO_SNDLOWAT, 0, 1 },	      { SO_MARK, 0, 0 },
	{ SO_INCOMING_CPU, 0, -1 },    { SO_BUSY_POLL, 0, 0 },
};

static const struct option_plain *option_find(int name)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_plain_rows); i++) {
		if (option_plain_rows[i].name == name)
			return &option_plain_rows[i];
	}
	return NULL;
}

int option_get_plain(struct socket *s, int name, void *value, socklen_t *len)
{
	const struct option_plain *row = option_find(name);
	struct linger linger = { 0 };
	int answer;

	if (name == SO_LINGER)
		return option_tell(value, len, &linger, sizeof(linger));
	if (!row)
		return -ENOPROTOOPT;
	answer = row->bit ? (s->options & row->bit) != 0 : row->value;
	return option_tell(value, len, &answer, sizeof(answer));
}

int option_set_plain(struct socket *s, int name, int value)
{
	const struct option_plain *row = option_find(name);

	switch (name) {
	case SO_LINGER:
		return 0;
	case SO_MARK:
	case SO_DEBUG:
	case SO_SNDBUFFORCE:
	case SO_RCVBUFFORCE:
		return -EPERM;
	default:
		break;
	}
	if (!row || name == SO_SNDLOWAT)
		return -ENOPROTOOPT;
	if (row->bit && value)
		atomic_fetch_or(&s->options, row->bit);
	else if (row->bit)
		atomic_fetch_and(&s->options, ~row->bit);
	return 0;
}

/* --- timeouts --- */

/* The structures of both interfaces are the same on 64 bits. */
static bool option_is_timeout(int level, int name, bool *send)
{
	*send = name == SO_SNDTIMEO_OLD || name == SO_SNDTIMEO_NEW;
	return level == SOL_SOCKET &&
	       (*send || name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW);
}

static int option_set_timeout(usec_t *timeout, const void *value, socklen_t len)
{
	struct timeval tv;

	if (len < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, value, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= (suseconds_t)USEC_PER_SEC)
		return -EDOM;
	if (tv.tv_sec < 0)
		*timeout = 0; /* does not wait at all */
	else if ((tv.tv_sec == 0 && tv.tv_usec == 0) || tv.tv_sec > INT32_MAX)
		*timeout = USEC_INFINITY;
	else
		*timeout = (usec_t)tv.tv_sec * USEC_PER_SEC + (usec_t)tv.tv_usec;
	return 0;
}

static int option_get_timeout(usec_t timeout, void *value, socklen_t *len)
{
	struct timeval tv = { 0 };

	if (timeout != USEC_INFINITY) {
		tv.tv_sec = (time_t)(timeout / USEC_PER_SEC);
		tv.tv_usec = (suseconds_t)(timeout % USEC_PER_SEC);
	}
	return option_tell(value, len, &tv, sizeof(tv));
}

int socket_getsockopt(struct socket *s, struct task *task, int level, int name, void *value,
		      socklen_t *len)
{
	int number;
	bool send;

	if (option_is_timeout(level, name, &send))
		return option_get_timeout(send ? s->send_timeout : s->receive_timeout, value, len);
	if (level != SOL_SOCKET)
		return s->ops->getsockopt(s, level, name, value, len);
	switch (name) {
	case SO_TYPE:
		number = s->type;
		break;
	case SO_DOMAIN:
		number = s->family;
		break;
	case SO_PROTOCOL:
		number = s->protocol;
		break;
	default:
		return s->ops->getsockopt(s, level, name, value, len);
	}
	return option_tell(value, len, &number, sizeof(number));
}

int socket_setsockopt(struct socket *s, struct task *task, int level, int name, const void *value,
		      socklen_t len)
{
	bool send;

	if (option_is_timeout(level, name, &send))
		return option_set_timeout(send ? &s->send_timeout : &s->receive_timeout, value, len);
	return s->ops->setsockopt(s, level, name, value, len);
}
