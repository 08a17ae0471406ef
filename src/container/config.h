/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/config.h - the caller's configuration, checked and owned
 */
#ifndef CONTAINER_CONFIG_H
#define CONTAINER_CONFIG_H

#include "coffer/container.h"

#include "base/error.h"

#define CONFIG_WORDS_MAX 4096             /* arguments, or variables, of a process */
#define CONFIG_TEXT_MAX  ((size_t)1 << 20) /* bytes of all of them together */
#define CONFIG_CPUS_MAX  64

/* Everything is owned. */
struct process_config {
	char **args; /* NULL-terminated, at least one */
	char **env;  /* NULL-terminated or NULL */
	char *cwd;   /* or NULL */
	char *user;  /* or NULL */
	bool terminal;
	uint16_t rows, columns;
	unsigned streams;
};

struct container_config {
	char *rootfs; /* or NULL */
	bool read_only;
	char *hostname; /* or NULL */
	unsigned cpus;
	uint64_t memory; /* multiple of 1 MiB */
	char *machine;
	char *kernel;  /* or NULL */
	char *initrd;  /* or NULL */
	char *run_dir; /* or NULL */
};

/* config_take_*() - Check and copy; on failure @out may be part-filled, free it all the same */
int config_take_process(const struct coffer_process_config *in, struct process_config *out,
			struct coffer_error *err);
int config_take_container(const struct coffer_container_config *in, struct container_config *out,
			  struct coffer_error *err);
void config_free_process(struct process_config *config);
void config_free_container(struct container_config *config);

#endif /* CONTAINER_CONFIG_H */
