/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/library.c - libcurl, loaded when it is first needed
 *
 * Callers: http.c and origin.c.
 */
#include "image/registry/library.h"

#include <pthread.h>

#include "base/cleanup.h"
#include "base/symbols.h"

#define LIBRARY_NAME "libcurl.so.4"

static struct library library;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static struct coffer_error library_error; /* written once */
static int library_result;		  /* likewise */

static void library_load(void)
{
	static const struct symbol symbols[] = {
		{ "curl_global_init", &library.global_init },
		{ "curl_easy_init", &library.easy_init },
		{ "curl_easy_cleanup", &library.easy_cleanup },
		{ "curl_easy_reset", &library.easy_reset },
		{ "curl_easy_setopt", &library.easy_setopt },
		{ "curl_easy_getinfo", &library.easy_getinfo },
		{ "curl_easy_header", &library.easy_header }, /* since 7.83 */
		{ "curl_easy_strerror", &library.easy_strerror },
		{ "curl_multi_init", &library.multi_init },
		{ "curl_multi_cleanup", &library.multi_cleanup },
		{ "curl_multi_add_handle", &library.multi_add },
		{ "curl_multi_remove_handle", &library.multi_remove },
		{ "curl_multi_perform", &library.multi_perform },
		{ "curl_multi_poll", &library.multi_poll },
		{ "curl_multi_info_read", &library.multi_info_read },
		{ "curl_multi_strerror", &library.multi_strerror },
		{ "curl_slist_append", &library.slist_append },
		{ "curl_slist_free_all", &library.slist_free_all },
		{ "curl_url", &library.url_new },
		{ "curl_url_cleanup", &library.url_free },
		{ "curl_url_set", &library.url_set },
		{ "curl_url_get", &library.url_get },
		{ "curl_free", &library.free },
	};

	library_result = symbols_load(LIBRARY_NAME, symbols, ARRAY_SIZE(symbols), &library_error);
	if (library_result == 0 && library.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		library_result = err_unsupported(&library_error, "it cannot be initialised");
}

const struct library *library_get(struct coffer_error *err)
{
	pthread_once(&library_once, library_load);
	if (library_result < 0) {
		err_unsupported(err, "registries need %s: %s", LIBRARY_NAME, library_error.message);
		return NULL;
	}
	return &library;
}
