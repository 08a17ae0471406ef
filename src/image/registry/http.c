/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/http.c - HTTP requests side by side, on connections that stay open
 *
 * One libcurl multi handle with its cache of connections; HTTP/2 over TLS
 * where the other side can.  libcurl is told to follow nothing, to speak HTTP
 * alone, to know no passwords, and to keep its hands off signals; proxies come
 * from the environment, except for this machine's own addresses: what is sent
 * there in the clear shall not leave it.
 *
 * Of an answer the headers are bounded here, the body by data().  A transfer
 * without progress ends by itself.  Callers: inquiry.c.
 */
#include "image/registry/http.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/io.h"
#include "image/registry/library.h"
#include "image/registry/origin.h"

#define HTTP_HEADERS_MAX ((size_t)256 << 10)
#define HTTP_BUFFER	 (256L << 10)
#define HTTP_CONNECT	 30  /* seconds */
#define HTTP_SPEED	 64L /* bytes a second: less is standing still */
#define HTTP_AGENT	 "coffer/" COFFER_VERSION

struct http {
	const struct library *lib;
	CURLM *multi;
	int cancel_fd;
	size_t idle_count;
	CURL *idle[16]; /* easy handles to use again */
};

int http_new(int cancel_fd, struct http **out, struct coffer_error *err)
{
	const struct library *lib = library_get(err);
	struct http *h;

	*out = NULL;
	if (!lib)
		return -EOPNOTSUPP;
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_nomem(err);
	h->lib = lib;
	h->cancel_fd = cancel_fd;
	h->multi = lib->multi_init();
	if (!h->multi) {
		free(h);
		return err_nomem(err);
	}
	*out = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->idle_count; i++)
		h->lib->easy_cleanup(h->idle[i]);
	h->lib->multi_cleanup(h->multi);
	free(h);
}

static curl_socket_t http_socket(void *data, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)data;
	(void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t http_on_header(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;

	(void)data;
	call->header_bytes += size * n;
	return call->header_bytes > HTTP_HEADERS_MAX ? 0 : size * n;
}

static size_t http_on_data(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;

	if (call->status == 0)
		call->http->lib->easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->status);
	return call->data(call->arg, data, size * n) ? size * n : 0;
}

static size_t http_on_read(char *out, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	uint64_t left = call->length - call->sent_bytes;
	size_t room = size * n < left ? size * n : (size_t)left;
	ssize_t got;

	if (room == 0)
		return 0;
	if (call->body) {
		memcpy(out, (const char *)call->body + call->sent_bytes, room);
		got = (ssize_t)room;
	} else {
		got = pread(call->fd, out, room, (off_t)(call->from + call->sent_bytes));
	}
	if (got <= 0) {
		call->read_failed = true;
		return CURL_READFUNC_ABORT;
	}
	call->sent_bytes += (uint64_t)got;
	if (call->sent)
		call->sent(call->arg, call->sent_bytes);
	return (size_t)got;
}

/* http_on_seek() - A kept connection turned out to be dead, and it begins again on a new one */
static int http_on_seek(void *arg, curl_off_t offset, int whence)
{
	struct http_call *call = arg;

	/* Of a piece of a blob, what has been sent may have been kept: that is asked first. */
	if (whence != SEEK_SET || offset != 0 || (!call->body && call->sent_bytes > 0))
		return CURL_SEEKFUNC_FAIL;
	call->sent_bytes = 0;
	return CURL_SEEKFUNC_OK;
}

#define HTTP_SET(option, value) (bad |= lib->easy_setopt(call->easy, (option), (value)))

/* http_set_always() - What all requests have in common. Return: what libcurl says */
static CURLcode http_set_always(struct http_call *call)
{
	const struct library *lib = call->http->lib;
	CURLcode bad = CURLE_OK;

	HTTP_SET(CURLOPT_URL, call->url);
	HTTP_SET(CURLOPT_PROTOCOLS_STR, "http,https");
	HTTP_SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	HTTP_SET(CURLOPT_FOLLOWLOCATION, 0L);
	HTTP_SET(CURLOPT_NOSIGNAL, 1L);
	HTTP_SET(CURLOPT_USERAGENT, HTTP_AGENT);
	HTTP_SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Who gives up does not wait for a name server that does not answer. */
	lib->easy_setopt(call->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	/* A handle that is used again may still have buffers, and then refuses, which is as well.
	 */
	lib->easy_setopt(call->easy, CURLOPT_BUFFERSIZE, HTTP_BUFFER);
	lib->easy_setopt(call->easy, CURLOPT_UPLOAD_BUFFERSIZE, HTTP_BUFFER);
	HTTP_SET(CURLOPT_CONNECTTIMEOUT,
		 (long)(call->stall < HTTP_CONNECT ? call->stall : HTTP_CONNECT));
	HTTP_SET(CURLOPT_LOW_SPEED_LIMIT, HTTP_SPEED);
	HTTP_SET(CURLOPT_LOW_SPEED_TIME, (long)call->stall);
	HTTP_SET(CURLOPT_OPENSOCKETFUNCTION, http_socket);
	HTTP_SET(CURLOPT_ERRORBUFFER, call->detail);
	HTTP_SET(CURLOPT_PRIVATE, call);
	HTTP_SET(CURLOPT_HEADERFUNCTION, http_on_header);
	HTTP_SET(CURLOPT_HEADERDATA, call);
	HTTP_SET(CURLOPT_WRITEFUNCTION, http_on_data);
	HTTP_SET(CURLOPT_WRITEDATA, call);
	return bad;
}

static CURLcode http_set_trust(struct http_call *call)
{
	const struct library *lib = call->http->lib;
	const struct trust *trust = call->trust;
	struct curl_blob ca = { .len = trust->ca.len, .flags = CURL_BLOB_NOCOPY };
	CURLcode bad = CURLE_OK;

	if (trust->insecure) {
		HTTP_SET(CURLOPT_SSL_VERIFYPEER, 0L);
		HTTP_SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (trust->ca.len > 0) {
		ca.data = (void *)(uintptr_t)buf_data(&trust->ca);
		HTTP_SET(CURLOPT_CAINFO_BLOB, &ca);
	}
	if (trust->cert && call->show_cert) {
		HTTP_SET(CURLOPT_SSLCERT, trust->cert);
		HTTP_SET(CURLOPT_SSLKEY, trust->key);
	}
	return bad;
}

/* http_set_question() - Method, headers, body */
static CURLcode http_set_question(struct http_call *call)
{
	const struct library *lib = call->http->lib;
	bool is_post = strcmp(call->method, "POST") == 0;
	struct curl_slist *list = NULL;
	CURLcode bad = CURLE_OK;

	/* Who wants no body says so before it has to be sent: at the request before this one. */
	list = lib->slist_append(NULL, "Expect:");
	for (size_t i = 0; list && call->headers[i]; i++) {
		call->list = list;
		list = lib->slist_append(list, call->headers[i]);
	}
	if (!list)
		return CURLE_OUT_OF_MEMORY;
	call->list = list;
	HTTP_SET(CURLOPT_HTTPHEADER, list);
	if (strcmp(call->method, "HEAD") == 0) {
		HTTP_SET(CURLOPT_NOBODY, 1L);
	} else if (is_post || call->length > 0 || strcmp(call->method, "GET") != 0) {
		HTTP_SET(is_post ? CURLOPT_POST : CURLOPT_UPLOAD, 1L);
		HTTP_SET(CURLOPT_CUSTOMREQUEST, call->method);
		HTTP_SET(CURLOPT_READFUNCTION, http_on_read);
		HTTP_SET(CURLOPT_READDATA, call);
		HTTP_SET(CURLOPT_SEEKFUNCTION, http_on_seek);
		HTTP_SET(CURLOPT_SEEKDATA, call);
		HTTP_SET(is_post ? CURLOPT_POSTFIELDSIZE_LARGE : CURLOPT_INFILESIZE_LARGE,
			 (curl_off_t)call->length);
	}
	return bad;
}

static int http_set(struct http_call *call, struct coffer_error *err)
{
	const struct library *lib = call->http->lib;
	struct origin origin;
	CURLcode bad = CURLE_OK;
	int r = origin_parse(call->url, &origin, err);

	if (r < 0)
		return r;
	bad |= http_set_always(call);
	bad |= http_set_trust(call);
	bad |= http_set_question(call);
	if (origin_is_loopback(&origin))
		HTTP_SET(CURLOPT_PROXY, "");
	return bad ? err_internal(err, "libcurl is too old, or there is no memory for a request")
		   : 0;
}

int http_start(struct http *h, struct http_call *call, struct coffer_error *err)
{
	int r;

	call->http = h;
	call->finished = call->read_failed = call->stalled = false;
	call->status = 0;
	call->retry_after = 0;
	call->sent_bytes = call->header_bytes = 0;
	call->reason = "";
	call->detail[0] = '\0';
	call->list = NULL;
	call->easy = h->idle_count > 0 ? h->idle[--h->idle_count] : h->lib->easy_init();
	if (!call->easy)
		return err_nomem(err);
	r = http_set(call, err);
	if (r == 0 && h->lib->multi_add(h->multi, call->easy) != CURLM_OK)
		r = err_internal(err, "libcurl does not take a request");
	if (r < 0)
		http_end(call);
	return r;
}

void http_end(struct http_call *call)
{
	struct http *h = call->http;

	if (!call->easy)
		return;
	h->lib->multi_remove(h->multi, call->easy);
	h->lib->slist_free_all(call->list);
	h->lib->easy_reset(call->easy);
	if (h->idle_count < ARRAY_SIZE(h->idle))
		h->idle[h->idle_count++] = call->easy;
	else
		h->lib->easy_cleanup(call->easy);
	call->easy = call->list = NULL;
}

/* http_end_of() - libcurl's many codes as our few */
static enum http_end http_end_of(const struct http_call *call, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_PROXY:
		return HTTP_REFUSED;
	case CURLE_SSL_CONNECT_ERROR:
		return HTTP_NOT_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CIPHER:
		return HTTP_DISTRUST;
	case CURLE_WRITE_ERROR:
		return call->header_bytes > HTTP_HEADERS_MAX ? HTTP_IMPOSSIBLE : HTTP_STOPPED;
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_AGAIN:
		return HTTP_BROKEN;
	default:
		return HTTP_IMPOSSIBLE;
	}
}

static void http_finish(struct http *h, struct http_call *call, CURLcode code)
{
	curl_off_t after = 0;

	h->lib->easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->status);
	h->lib->easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &after);
	call->retry_after = after > INT32_MAX ? INT32_MAX : (unsigned)after;
	call->end = http_end_of(call, code);
	call->detail[strcspn(call->detail, "\r\n")] = '\0';
	call->stalled = code == CURLE_OPERATION_TIMEDOUT;
	call->reason = call->detail[0] ? call->detail : h->lib->easy_strerror(code);
	if (call->header_bytes > HTTP_HEADERS_MAX)
		call->reason = "it sends headers without end";
	if (call->read_failed)
		call->reason = "what is to be sent cannot be read";
	call->finished = true;
}

/* http_perform() - TLS libraries write to sockets without MSG_NOSIGNAL, and the signals of this
 * process are not ours: its SIGPIPE is held back meanwhile, and one of our making taken away */
static CURLMcode http_perform(struct http *h)
{
	static const struct timespec now = { 0 };
	sigset_t pipe, old, pending;
	bool was_pending;
	CURLMcode code;
	int running;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	code = h->lib->multi_perform(h->multi, &running);
	if (!was_pending)
		while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return code;
}

/* http_collect() - Mark those that are finished. Return: whether there was one */
static bool http_collect(struct http *h)
{
	bool any = false;
	const CURLMsg *m;
	int left;

	while ((m = h->lib->multi_info_read(h->multi, &left))) {
		struct http_call *call = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		h->lib->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &call);
		http_finish(h, call, code);
		any = true;
	}
	return any;
}

int http_step(struct http *h, usec_t deadline, struct coffer_error *err)
{
	struct curl_waitfd cancel = { .fd = h->cancel_fd, .events = CURL_WAIT_POLLIN };
	int ms = deadline_poll_ms(deadline);
	CURLMcode code = http_perform(h);

	if (code == CURLM_OK && !http_collect(h))
		code = h->lib->multi_poll(h->multi, &cancel, h->cancel_fd >= 0 ? 1 : 0,
					  ms < 0 || ms > 1000 ? 1000 : ms, NULL);
	if (code != CURLM_OK)
		return err_internal(err, "libcurl: %s", h->lib->multi_strerror(code));
	if (h->cancel_fd >= 0 && io_wait(h->cancel_fd, POLLIN, clock_now()) != 0)
		return err_set(err, COFFER_ERR_CANCELLED, 0, "cancelled");
	return 0;
}

const char *http_header(const struct http_call *call, const char *name, size_t index)
{
	struct curl_header *header;

	if (!call->easy || call->http->lib->easy_header(call->easy, name, index, CURLH_HEADER, -1,
							&header) != CURLHE_OK)
		return NULL;
	return header->value;
}
