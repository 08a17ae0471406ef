/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_env.c - Setenv, Getenv, Sysctl, SetTime, SetupEmulator, Kill: the guest's own state
 */
#define LOG_CATEGORY "env"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/modules.h"
#include "agent/rpc.h"
#include "base/io.h"
#include "engine/sysctl.h"

#define RPC_BINFMT	    "/proc/sys/fs/binfmt_misc"
#define RPC_BINFMT_RULE_MAX 1920 /* the kernel's */

void rpc_setenv(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__SetenvRequest *req = (const void *)msg;
	const char *value = req->_value_case == SC__SETENV_REQUEST___VALUE_VALUE ? req->value : "";
	struct coffer_error err = COFFER_ERROR_INIT;

	if (setenv(req->key, value, 1) < 0) {
		err_sys(&err, "set \"%s\"", req->key);
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, err.message);
		return;
	}
	rpc_done(call, 0, NULL);
}

void rpc_getenv(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__GetenvRequest *req = (const void *)msg;
	Sc__GetenvResponse reply = SC__GETENV_RESPONSE__INIT;

	reply.value = getenv(req->key);
	if (reply.value)
		reply._value_case = SC__GETENV_RESPONSE___VALUE_VALUE;
	grpc_call_reply(call, &reply.base);
}

void rpc_sysctl(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__SysctlRequest *req = (const void *)msg;
	autofree struct oci_pair *pairs = calloc(req->n_settings + 1, sizeof(*pairs));
	struct coffer_error err = COFFER_ERROR_INIT;
	struct oci_pairs keys = { pairs, req->n_settings };
	int r;

	for (size_t i = 0; pairs && i < keys.n; i++)
		pairs[i] = (struct oci_pair){ req->settings[i]->key, req->settings[i]->value };
	r = pairs ? sysctl_apply(&keys, &err) : err_nomem(&err);
	rpc_done(call, r, &err);
}

void rpc_set_time(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__SetTimeRequest *req = (const void *)msg;
	struct timeval tv = { .tv_sec = req->sec, .tv_usec = req->usec };
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = settimeofday(&tv, NULL) < 0 ? err_sys(&err, "set the clock") : 0;

	rpc_done(call, r, &err);
}

/* ---- SetupEmulator ---- */

static int rpc_emulator_rule(const Sc__SetupEmulatorRequest *req, char rule[RPC_BINFMT_RULE_MAX],
			     struct coffer_error *err)
{
	const char *fields[] = { req->name, req->type,	      req->offset, req->magic,
				 req->mask, req->binary_path, req->flags };
	int n;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strpbrk(fields[i], ":\n"))
			return err_invalid(err,
					   "a rule's field can't hold a colon or a line's end");
	if (!req->name[0] || strpbrk(req->name, "/"))
		return err_invalid(err, "name \"%.64s\" of a rule", req->name);
	if (strcmp(req->type, "M") != 0 && strcmp(req->type, "E") != 0)
		return err_invalid(err, "type \"%.64s\": want M or E", req->type);
	if (req->binary_path[0] != '/')
		return err_invalid(err, "binary_path \"%.256s\" is not absolute", req->binary_path);
	n = snprintf(rule, RPC_BINFMT_RULE_MAX, ":%s:%s:%s:%s:%s:%s:%s", req->name, req->type,
		     req->offset, req->magic, req->mask, req->binary_path, req->flags);
	if (n >= RPC_BINFMT_RULE_MAX)
		return err_invalid(err, "a rule has less than %d bytes", RPC_BINFMT_RULE_MAX);
	return 0;
}

/* Most machines never need it, so it is neither loaded nor mounted before. */
static int rpc_emulator_mount(const struct agent *agent, struct coffer_error *err)
{
	if (access(RPC_BINFMT "/register", F_OK) == 0)
		return 0;
	if (agent->init)
		modules_load_for_mount("binfmt_misc", NULL);
	if (mount("binfmt_misc", RPC_BINFMT, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL) < 0)
		return err_sys(err, "mount " RPC_BINFMT);
	return 0;
}

void rpc_setup_emulator(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__SetupEmulatorRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	char rule[RPC_BINFMT_RULE_MAX];
	int r;

	if (rpc_emulator_rule(req, rule, &err) < 0) {
		rpc_refuse(call, &err);
		return;
	}
	r = rpc_emulator_mount(data, &err);
	if (r == 0)
		r = io_write_file(AT_FDCWD, RPC_BINFMT "/register", rule, &err);
	if (r < 0)
		err_wrap(&err, "emulator %.64s", req->name);
	rpc_done(call, r, &err);
}

/* ---- Kill ---- */

/* Outside a guest a pid that means many processes would reach those of the machine. */
static bool rpc_kill_allowed(const struct agent *agent, int32_t pid)
{
	return agent->init || pid > 1;
}

void rpc_kill(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__KillRequest *req = (const void *)msg;
	Sc__KillResponse reply = SC__KILL_RESPONSE__INIT;

	reply.result = rpc_kill_allowed(data, req->pid) ? kill(req->pid, req->signal) : -1;
	grpc_call_reply(call, &reply.base);
}
