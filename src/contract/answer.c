/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/answer.c - the answers of methods whose reply has no fields
 */
#include "contract/contract.h"

const Sc__SyncResponse rpc_empty = SC__SYNC_RESPONSE__INIT;
const struct contract_ops *contract_ops;
struct loop *contract_loop;
void *contract_side;

void contract_use(const struct contract_ops *ops, struct loop *loop, void *side)
{
	contract_ops = ops;
	contract_loop = loop;
	contract_side = side;
}

void rpc_done(struct grpc_call *call, int r, const struct coffer_error *err)
{
	if (r < 0)
		grpc_call_finish(call, GRPC_INTERNAL, err->message);
	else
		grpc_call_reply(call, &rpc_empty.base);
}

void rpc_answer(struct grpc_call *call, int r, const struct coffer_error *err)
{
	if (r < 0)
		grpc_call_fail(call, err);
	else
		grpc_call_reply(call, &rpc_empty.base);
}

void rpc_refuse(struct grpc_call *call, const struct coffer_error *err)
{
	grpc_call_finish(call, GRPC_INVALID_ARGUMENT, err->message);
}
