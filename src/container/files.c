/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/files.c - /etc/hosts and /etc/resolv.conf of a container
 *
 * hosts is always ours: the lines every container has, its own name, and what
 * the configuration adds.  resolv.conf is the image's, unless any of dns is
 * set.  /etc/hostname is written by the agent, by the document's hostname.
 */
#include "container/files.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "sandbox_context.pb-c.h"

#define FILES_NAME_MAX	  255
#define FILES_OWN_ADDRESS "127.0.1.1" /* what the container's own name means */

static const struct {
	const char *address;
	const char *names[2];
} files_hosts[] = {
	{ "127.0.0.1", { "localhost" } },  { "::1", { "localhost", "ip6-localhost" } },
	{ "fe00::", { "ip6-localnet" } },  { "ff00::", { "ip6-mcastprefix" } },
	{ "ff02::1", { "ip6-allnodes" } }, { "ff02::2", { "ip6-allrouters" } },
};

static bool files_is_address(const char *text)
{
	unsigned char binary[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}

/* A host name or a domain, as far as a line of the file is concerned. */
static bool files_is_name(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-._", name[i]))
			return false;
	return n > 0 && n <= FILES_NAME_MAX;
}

/* The address of "name:address"; one of version 6 may have brackets. Return: false: it is none */
static bool files_split(const char *entry, size_t *name, char address[static INET6_ADDRSTRLEN])
{
	const char *colon = strchr(entry, ':');
	size_t n;

	if (!colon)
		return false;
	*name = (size_t)(colon++ - entry);
	n = strlen(colon);
	if (n > 2 && colon[0] == '[' && colon[n - 1] == ']') {
		colon++;
		n -= 2;
	}
	if (n == 0 || n >= INET6_ADDRSTRLEN)
		return false;
	memcpy(address, colon, n);
	address[n] = '\0';
	return true;
}

static int files_check_hosts(const char *const *hosts, struct coffer_error *err)
{
	char address[INET6_ADDRSTRLEN];
	size_t n;

	for (; hosts && *hosts; hosts++) {
		if (!files_split(*hosts, &n, address) || !files_is_name(*hosts, n))
			return err_invalid(err, "hosts: %s: not of the form NAME:ADDRESS", *hosts);
		if (!files_is_address(address))
			return err_invalid(err, "hosts: %s: not an IP address", *hosts);
	}
	return 0;
}

static int files_check_dns(const struct coffer_dns *dns, struct coffer_error *err)
{
	for (const char *const *s = dns->nameservers; s && *s; s++)
		if (!files_is_address(*s))
			return err_invalid(err, "dns.nameservers: %s: not an IP address", *s);
	/* "." as a search means none. */
	for (const char *const *s = dns->searches; s && *s; s++)
		if (!files_is_name(*s, strlen(*s)))
			return err_invalid(err, "dns.searches: %s: not a domain", *s);
	for (const char *const *s = dns->options; s && *s; s++)
		for (const char *p = *s; p == *s || *p; p++)
			if (!isalnum((unsigned char)*p) && (!*p || !strchr("-_:.", *p)))
				return err_invalid(err, "dns.options: %s: not an option", *s);
	if (dns->domain && !files_is_name(dns->domain, strlen(dns->domain)))
		return err_invalid(err, "dns.domain: %s: not a domain", dns->domain);
	return 0;
}

int files_check(const struct coffer_container_config *config, struct coffer_error *err)
{
	int r = files_check_hosts(config->hosts, err);

	return r < 0 ? r : files_check_dns(&config->dns, err);
}

static size_t files_count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* --- hosts --- */

static void files_add_host(Sc__ConfigureHostsRequest *req, struct guest_steps *g,
			   const char *address, const char *const *names, size_t n)
{
	Sc__ConfigureHostsRequest__HostsEntry *e = guest_memory(g, sizeof(*e));

	if (!e)
		return;
	sc__configure_hosts_request__hosts_entry__init(e);
	e->ipaddress = (char *)address;
	e->hostnames = (char **)names;
	e->n_hostnames = n;
	req->entries[req->n_entries++] = e;
}

static void files_add_name(Sc__ConfigureHostsRequest *req, struct guest_steps *g,
			   const char *address, const char *name)
{
	const char **names = guest_words(g, 1);

	names[0] = name;
	files_add_host(req, g, address, names, 1);
}

static void files_write_hosts(const struct coffer_container_config *config, const char *name,
			      const char *root, struct guest_steps *g)
{
	size_t n = ARRAY_SIZE(files_hosts) + 1 + files_count(config->hosts);
	Sc__ConfigureHostsRequest *req = guest_memory(g, sizeof(*req));
	void *entries = guest_memory(g, n * sizeof(*req->entries));
	char address[INET6_ADDRSTRLEN];
	size_t len;

	if (!req || !entries)
		return;
	sc__configure_hosts_request__init(req);
	req->location = (char *)root;
	req->entries = entries;
	for (size_t i = 0; i < ARRAY_SIZE(files_hosts); i++)
		files_add_host(req, g, files_hosts[i].address, files_hosts[i].names,
			       files_hosts[i].names[1] ? 2 : 1);
	files_add_name(req, g, FILES_OWN_ADDRESS, name);
	for (const char *const *h = config->hosts; h && *h; h++)
		if (files_split(*h, &len, address))
			files_add_name(req, g, guest_text(g, "%s", address),
				       guest_text(g, "%.*s", (int)len, *h));
	guest_call(g, "ConfigureHosts", root, &req->base);
}

/* --- resolv.conf --- */

static void files_write_dns(const struct coffer_dns *dns, const char *root, struct guest_steps *g)
{
	Sc__ConfigureDnsRequest *req = guest_memory(g, sizeof(*req));

	if (!req)
		return;
	sc__configure_dns_request__init(req);
	req->location = (char *)root;
	req->nameservers = (char **)dns->nameservers;
	req->n_nameservers = files_count(dns->nameservers);
	req->searchdomains = (char **)dns->searches;
	req->n_searchdomains = files_count(dns->searches);
	req->options = (char **)dns->options;
	req->n_options = files_count(dns->options);
	if (dns->domain) {
		req->_domain_case = SC__CONFIGURE_DNS_REQUEST___DOMAIN_DOMAIN;
		req->domain = (char *)dns->domain;
	}
	guest_call(g, "ConfigureDns", root, &req->base);
}

void files_write(const struct coffer_container_config *config, const char *id, const char *root,
		 struct guest_steps *g)
{
	const struct coffer_dns *dns = &config->dns;

	files_write_hosts(config, config->hostname ? config->hostname : id, root, g);
	if (files_count(dns->nameservers) + files_count(dns->searches) + files_count(dns->options) >
		0 ||
	    dns->domain)
		files_write_dns(dns, root, g);
}
