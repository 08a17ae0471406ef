/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_status.c - statuses of gRPC and their place among the error kinds
 *
 * One table each way, because the two sets differ: several statuses fall into
 * one kind.  Used by client and server; knows nothing of HTTP/2.
 */
#include <assert.h>

#include "base/cleanup.h"
#include "rpc/grpc.h"
#include "rpc/grpc_text.h"

static const enum grpc_status grpc_status_of_kind[] = {
	[COFFER_ERR_NONE] = GRPC_OK,
	[COFFER_ERR_INVALID_ARGUMENT] = GRPC_INVALID_ARGUMENT,
	[COFFER_ERR_NOT_FOUND] = GRPC_NOT_FOUND,
	[COFFER_ERR_ALREADY_EXISTS] = GRPC_ALREADY_EXISTS,
	[COFFER_ERR_INVALID_STATE] = GRPC_FAILED_PRECONDITION,
	[COFFER_ERR_UNSUPPORTED] = GRPC_UNIMPLEMENTED,
	[COFFER_ERR_TIMEOUT] = GRPC_DEADLINE_EXCEEDED,
	[COFFER_ERR_CANCELLED] = GRPC_CANCELLED,
	[COFFER_ERR_INTERRUPTED] = GRPC_UNAVAILABLE,
	[COFFER_ERR_EMPTY] = GRPC_INTERNAL, /* gRPC has no such thing */
	[COFFER_ERR_INTERNAL] = GRPC_INTERNAL,
};
static_assert(ARRAY_SIZE(grpc_status_of_kind) == COFFER_ERR_KIND_COUNT, "a status for each kind");

static const struct {
	const char *name;
	enum coffer_error_kind kind;
	int errnum; /* 0: the kind's usual one */
} grpc_status_table[] = {
	[GRPC_OK] = { "OK", COFFER_ERR_NONE },
	[GRPC_CANCELLED] = { "CANCELLED", COFFER_ERR_CANCELLED },
	[GRPC_UNKNOWN] = { "UNKNOWN", COFFER_ERR_INTERNAL },
	[GRPC_INVALID_ARGUMENT] = { "INVALID_ARGUMENT", COFFER_ERR_INVALID_ARGUMENT },
	[GRPC_DEADLINE_EXCEEDED] = { "DEADLINE_EXCEEDED", COFFER_ERR_TIMEOUT, ETIME },
	[GRPC_NOT_FOUND] = { "NOT_FOUND", COFFER_ERR_NOT_FOUND },
	[GRPC_ALREADY_EXISTS] = { "ALREADY_EXISTS", COFFER_ERR_ALREADY_EXISTS },
	[GRPC_PERMISSION_DENIED] = { "PERMISSION_DENIED", COFFER_ERR_INTERNAL, EACCES },
	[GRPC_RESOURCE_EXHAUSTED] = { "RESOURCE_EXHAUSTED", COFFER_ERR_INTERNAL, ENOBUFS },
	[GRPC_FAILED_PRECONDITION] = { "FAILED_PRECONDITION", COFFER_ERR_INVALID_STATE },
	[GRPC_ABORTED] = { "ABORTED", COFFER_ERR_INTERNAL },
	[GRPC_OUT_OF_RANGE] = { "OUT_OF_RANGE", COFFER_ERR_INVALID_ARGUMENT, ERANGE },
	[GRPC_UNIMPLEMENTED] = { "UNIMPLEMENTED", COFFER_ERR_UNSUPPORTED },
	[GRPC_INTERNAL] = { "INTERNAL", COFFER_ERR_INTERNAL },
	[GRPC_UNAVAILABLE] = { "UNAVAILABLE", COFFER_ERR_INTERRUPTED },
	[GRPC_DATA_LOSS] = { "DATA_LOSS", COFFER_ERR_INTERNAL },
	[GRPC_UNAUTHENTICATED] = { "UNAUTHENTICATED", COFFER_ERR_INTERNAL, EACCES },
};
static_assert(ARRAY_SIZE(grpc_status_table) == GRPC_STATUS_COUNT, "a row for each status");

enum grpc_status grpc_status_from_kind(enum coffer_error_kind kind)
{
	if ((unsigned)kind >= COFFER_ERR_KIND_COUNT)
		return GRPC_INTERNAL;
	return grpc_status_of_kind[kind];
}

enum coffer_error_kind grpc_status_to_kind(enum grpc_status status)
{
	if ((unsigned)status >= GRPC_STATUS_COUNT)
		return COFFER_ERR_INTERNAL;
	return grpc_status_table[status].kind;
}

const char *grpc_status_str(enum grpc_status status)
{
	if ((unsigned)status >= GRPC_STATUS_COUNT)
		return "UNKNOWN";
	return grpc_status_table[status].name;
}

int grpc_status_to_error(enum grpc_status status, const char *method, const char *text,
			 struct coffer_error *err)
{
	char line[COFFER_ERROR_MESSAGE_MAX];

	if ((unsigned)status >= GRPC_STATUS_COUNT || status == GRPC_OK)
		status = GRPC_UNKNOWN;
	if (!text || !*text)
		return err_set(err, grpc_status_table[status].kind,
			       grpc_status_table[status].errnum, "%s: status %s", method,
			       grpc_status_table[status].name);
	grpc_text_clean(text, line, sizeof(line));
	return err_set(err, grpc_status_table[status].kind, grpc_status_table[status].errnum, "%s",
		       line);
}
