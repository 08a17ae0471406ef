/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/config.h - the caller's configuration, checked and owned
 *
 * A copy is the public struct itself, with every pointer in it owned by the
 * copy and every default filled in.
 */
#ifndef CONTAINER_CONFIG_H
#define CONTAINER_CONFIG_H

#include "coffer/container.h"

#include "base/cleanup.h"
#include "base/error.h"

#define CONFIG_CPUS_MAX	  64
#define CONFIG_WORDS_MAX  4096	       /* arguments, variables, or rows of a list */
#define CONFIG_TEXT_MAX	  ((size_t)1 << 20) /* bytes of them together */
#define CONFIG_MOUNTS_MAX 64
#define CONFIG_RELAYS_MAX 64

/* config_take_*() - Check and copy; *@out is NULL on failure */
int config_take_process(const struct coffer_process_config *in, struct coffer_process_config **out,
			struct coffer_error *err);
/* The process in it is not copied: it is init's, see config_take_process(). */
int config_take_container(const struct coffer_container_config *in,
			  struct coffer_container_config **out, struct coffer_error *err);

/* config_free_*() - NULL is fine */
void config_free_process(struct coffer_process_config *config);
void config_free_container(struct coffer_container_config *config);

#endif /* CONTAINER_CONFIG_H */
