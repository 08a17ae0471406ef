/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/share.h - the servers of shared directories, one process each
 */
#ifndef VMM_SHARE_H
#define VMM_SHARE_H

#include "vmm/machine.h"

struct shares;

/**
 * shares_start() - Start a virtiofsd for each of @cfg's shares
 * @dirfd:	vm_dir, where their sockets have a name for a moment
 * @jail:	Its self_pidfd is what they are tied to
 * @out:	Set to NULL when there are none
 *
 * They serve as this process' user, so before it becomes another.
 */
int shares_start(const struct vmm_config *cfg, int dirfd, const struct jail *jail,
		 struct shares **out, struct coffer_error *err);

/* shares_socket() - The machine's end of share @i; borrowed */
int shares_socket(const struct shares *shares, uint32_t i);

/* shares_close_sockets() - The machine has them now */
void shares_close_sockets(struct shares *shares);

/**
 * shares_attach() - Watch them
 * @on_event:	Called with a MACHINE_DIED when one has ended while the machine runs
 */
int shares_attach(struct shares *shares, struct loop *loop,
		  void (*on_event)(const struct machine_event *ev, void *data), void *data,
		  struct coffer_error *err);

/* shares_find_death() - The machine died: was it because one of them did? Then *@ev says so, with
 * a message that lives as long as @shares */
bool shares_find_death(struct shares *shares, struct machine_event *ev);

/* shares_list() - Fill in the processes. Return: how many */
uint32_t shares_list(const struct shares *shares, struct vmm_process out[VMM_SHARES_MAX]);

/* shares_free() - Ends them too. NULL is fine */
void shares_free(struct shares *shares);

#endif /* VMM_SHARE_H */
