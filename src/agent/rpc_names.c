/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_names.c - ConfigureDns, ConfigureHosts: files of a root's /etc
 *
 * Written aside and renamed into place, so that a reader finds the old file or
 * the new one, and a link of that name is replaced instead of followed.
 */
#include <string.h>

#include "agent/guestpath.h"
#include "agent/job.h"
#include "rpc/names.h"
#include "agent/rpc.h"
#include "base/io.h"
#include "base/path.h"

#define RPC_NAMES_MODE 0644

struct rpc_names {
	const char *location, *name, *text;
	const ProtobufCMessageDescriptor *reply;
};

/* Below <location>/etc, which is made when it is missing. */
static int rpc_names_write(struct job *job, const struct rpc_names *names, struct coffer_error *err)
{
	autoclose int etc = path_mkdirs_in_root(job->gp.rootfd, job->gp.path, 0755, err);

	if (etc < 0)
		return etc;
	return io_swap_file(etc, names->name, names->text, strlen(names->text), RPC_NAMES_MODE,
			    err);
}

static int rpc_names_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const struct rpc_names *names = arg;
	int r = rpc_names_write(job, names, err);

	if (r < 0)
		return err_wrap(err, "%.256s/etc/%s", names->location, names->name);
	return job_say(job, &rpc_empty.base, err);
}

static void rpc_names_put(struct grpc_call *call, struct agent *agent,
			  const struct rpc_names *names)
{
	autoguestplace struct guestplace place = GUESTPLACE_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *etc = NULL;
	struct job_args args = { .fn = rpc_names_job,
				 .arg = names,
				 .place = &place,
				 .reply = names->reply,
				 .quick = true,
				 .contract = true,
				 .data = -1 };

	if (names->location[0] != '/') {
		err_invalid(&err, "location \"%.256s\" is not absolute", names->location);
		rpc_refuse(call, &err);
		return;
	}
	etc = path_join(names->location, "etc");
	if (!etc)
		err_nomem(&err);
	if (!etc || guestplace_of_path(agent, etc, &place, &err) < 0) {
		job_refuse(call, true, &err);
		return;
	}
	/* Until its init runs nobody has mounted anything there. */
	place.foreign = place.init != 0;
	job_answer(agent, call, &args);
}

void rpc_configure_dns(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__ConfigureDnsRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL;

	if (names_dns_text(req, &text, &err) < 0)
		rpc_refuse(call, &err);
	else
		rpc_names_put(call, data,
			      &(struct rpc_names){ req->location, "resolv.conf", text,
						   &sc__configure_dns_response__descriptor });
}

void rpc_configure_hosts(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__ConfigureHostsRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL;

	if (names_hosts_text(req, &text, &err) < 0)
		rpc_refuse(call, &err);
	else
		rpc_names_put(call, data,
			      &(struct rpc_names){ req->location, "hosts", text,
						   &sc__configure_hosts_response__descriptor });
}
