/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/stats.c - what a request for statistics asks for
 */
#include "contract/contract.h"

#define RPC_STATS_IDS_MAX 4096

int rpc_stats_check(const Sc__ContainerStatisticsRequest *req, unsigned *out,
		    struct coffer_error *err)
{
	if (req->n_container_ids > RPC_STATS_IDS_MAX)
		return err_invalid(err, "container_ids: more than %d", RPC_STATS_IDS_MAX);
	*out = req->n_categories == 0 ? ~0U : 0;
	for (size_t i = 0; i < req->n_categories; i++) {
		if (req->categories[i] <= SC__STAT_CATEGORY__STAT_CATEGORY_UNSPECIFIED ||
		    req->categories[i] > SC__STAT_CATEGORY__STAT_CATEGORY_MEMORY_EVENTS)
			return err_invalid(err, "category %d is not known",
					   (int)req->categories[i]);
		*out |= 1U << req->categories[i];
	}
	return 0;
}
