/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/config.h - the configuration files
 *
 * /etc/coffer/config.json, then $XDG_CONFIG_HOME/coffer/config.json (else
 * ~/.config) over it; command line options override both.  Each is one JSON
 * object; a missing file is fine, an unknown key or a wrong value is not.
 */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define CLI_CONFIG_MAX 65536 /* bytes of a file */

/* Strings are owned; NULL or 0: not set. */
struct cli_config {
	char *kernel;
	char *initrd;
	char *sandbox;
	char *machine;
	char *run_dir;
	char *rootfs;
	unsigned cpus;
	uint64_t memory;
	char *log_level;
	char *log_format;
};

void cli_config_free(struct cli_config *cfg);
#define autoconfig CLEANUP(cli_config_free)

/* cli_config_load() - Both files into @cfg (zero-initialised by the caller) */
int cli_config_load(struct cli_config *cfg, struct coffer_error *err);

/* cli_config_read() - One file over what @cfg has; the error names file and key */
int cli_config_read(const char *path, struct cli_config *cfg, struct coffer_error *err);

/* cli_config_parse() - One document over what @cfg has; the error names the key */
int cli_config_parse(const char *text, size_t len, struct cli_config *cfg,
		     struct coffer_error *err);

#endif /* CLI_CONFIG_H */
