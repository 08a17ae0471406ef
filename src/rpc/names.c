/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/names.c - the text of resolv.conf and hosts
 *
 *	nameserver 10.0.0.1		# comment on top
 *	domain example.org		127.0.0.1 localhost
 *	search example.org lan		10.0.0.2 db db.lan # of an entry_
 *	options ndots:2 rotate
 *
 * To the byte as the contract has them; the comment of an entry ends in a
 * blank.  What would end a word or a line early is refused: it would be a line
 * of somebody else's making.
 *
 * Callers: who serves the contract.
 */
#include "rpc/names.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"

#define NAMES_TEXT_MAX	 (1u << 20)
#define NAMES_TEXT_SHOWN 64

static int names_check_word(const char *what, const char *word, struct coffer_error *err)
{
	for (const char *p = word; *p; p++)
		if (isspace((unsigned char)*p) || iscntrl((unsigned char)*p))
			return err_invalid(err, "%s \"%.*s\": a blank or a control character", what,
					   NAMES_TEXT_SHOWN, word);
	return *word ? 0 : err_invalid(err, "%s: empty", what);
}

static int names_check_words(const char *what, char *const *v, size_t n, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = names_check_word(what, v[i], err);
	return r;
}

static int names_check_line(const char *what, const char *line, struct coffer_error *err)
{
	for (const char *p = line; *p; p++)
		if (*p != '\t' && iscntrl((unsigned char)*p))
			return err_invalid(err, "%s: a control character", what);
	return 0;
}

static int names_put_list(struct buf *b, const char *head, char *const *v, size_t n)
{
	int r = buf_printf(b, "%s", head);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = buf_printf(b, " %s", v[i]);
	return r < 0 ? r : buf_append(b, "\n", 1);
}

static int names_finish(struct buf *b, int r, char **out, struct coffer_error *err)
{
	if (r == -ENOBUFS)
		return err_invalid(err, "more than %u bytes", NAMES_TEXT_MAX);
	*out = r < 0 ? NULL : buf_steal_str(b);
	return *out ? 0 : err_nomem(err);
}

int names_dns_text(const Sc__ConfigureDnsRequest *req, char **out, struct coffer_error *err)
{
	const char *domain = req->_domain_case && req->domain[0] ? req->domain : NULL;
	autobuf struct buf b = BUF_INIT(NAMES_TEXT_MAX);
	int r = names_check_words("nameserver", req->nameservers, req->n_nameservers, err);

	if (r == 0 && domain)
		r = names_check_word("domain", domain, err);
	if (r == 0)
		r = names_check_words("search domain", req->searchdomains, req->n_searchdomains,
				      err);
	if (r == 0)
		r = names_check_words("option", req->options, req->n_options, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < req->n_nameservers; i++)
		r = names_put_list(&b, "nameserver", &req->nameservers[i], 1);
	if (r == 0 && domain)
		r = buf_printf(&b, "domain %s\n", domain);
	if (r == 0 && req->n_searchdomains > 0)
		r = names_put_list(&b, "search", req->searchdomains, req->n_searchdomains);
	if (r == 0 && req->n_options > 0)
		r = names_put_list(&b, "options", req->options, req->n_options);
	return names_finish(&b, r, out, err);
}

static int names_check_entry(const Sc__ConfigureHostsRequest__HostsEntry *e,
			     struct coffer_error *err)
{
	int r = names_check_word("address", e->ipaddress, err);

	if (r == 0)
		r = names_check_words("host name", e->hostnames, e->n_hostnames, err);
	if (r == 0 && e->_comment_case)
		r = names_check_line("comment", e->comment, err);
	return r;
}

static int names_put_entry(struct buf *b, const Sc__ConfigureHostsRequest__HostsEntry *e)
{
	int r = buf_printf(b, "%s", e->ipaddress);

	for (size_t i = 0; r == 0 && i < e->n_hostnames; i++)
		r = buf_printf(b, " %s", e->hostnames[i]);
	if (r == 0 && e->_comment_case)
		r = buf_printf(b, " # %s ", e->comment);
	return r < 0 ? r : buf_append(b, "\n", 1);
}

int names_hosts_text(const Sc__ConfigureHostsRequest *req, char **out, struct coffer_error *err)
{
	autobuf struct buf b = BUF_INIT(NAMES_TEXT_MAX);
	int r = req->_comment_case ? names_check_line("comment", req->comment, err) : 0;

	for (size_t i = 0; r == 0 && i < req->n_entries; i++)
		r = names_check_entry(req->entries[i], err);
	if (r < 0)
		return r;
	if (req->_comment_case)
		r = buf_printf(&b, "# %s\n", req->comment);
	for (size_t i = 0; r == 0 && i < req->n_entries; i++)
		r = names_put_entry(&b, req->entries[i]);
	return names_finish(&b, r, out, err);
}
