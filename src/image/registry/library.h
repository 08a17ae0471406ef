/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/library.h - libcurl, loaded when it is first needed
 *
 * With its thirty libraries it would cost each command milliseconds at its
 * start.  Nobody else calls libcurl, and nobody calls it but through the table.
 */
#ifndef IMAGE_REGISTRY_LIBRARY_H
#define IMAGE_REGISTRY_LIBRARY_H

#include <curl/curl.h>

#include "base/error.h"

/* The checks of types that the header makes of these names do not work through a table. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct library {
	__typeof__(&curl_global_init) global_init;
	__typeof__(&curl_easy_init) easy_init;
	__typeof__(&curl_easy_cleanup) easy_cleanup;
	__typeof__(&curl_easy_reset) easy_reset;
	__typeof__(&curl_easy_setopt) easy_setopt;
	__typeof__(&curl_easy_getinfo) easy_getinfo;
	__typeof__(&curl_easy_header) easy_header;
	__typeof__(&curl_easy_strerror) easy_strerror;
	__typeof__(&curl_multi_init) multi_init;
	__typeof__(&curl_multi_cleanup) multi_cleanup;
	__typeof__(&curl_multi_add_handle) multi_add;
	__typeof__(&curl_multi_remove_handle) multi_remove;
	__typeof__(&curl_multi_perform) multi_perform;
	__typeof__(&curl_multi_poll) multi_poll;
	__typeof__(&curl_multi_info_read) multi_info_read;
	__typeof__(&curl_multi_strerror) multi_strerror;
	__typeof__(&curl_slist_append) slist_append;
	__typeof__(&curl_slist_free_all) slist_free_all;
	__typeof__(&curl_url) url_new;
	__typeof__(&curl_url_cleanup) url_free;
	__typeof__(&curl_url_set) url_set;
	__typeof__(&curl_url_get) url_get;
	__typeof__(&curl_free) free;
};

/* library_get() - The table; loads it the first time. NULL: @err says why not */
const struct library *library_get(struct coffer_error *err);

#endif /* IMAGE_REGISTRY_LIBRARY_H */
