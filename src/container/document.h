/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/document.h - the OCI document of a process, as the agent takes it
 */
#ifndef CONTAINER_DOCUMENT_H
#define CONTAINER_DOCUMENT_H

#include "coffer/container.h"

#include "base/error.h"

#define DOCUMENT_STATE_DIR "/run/container" /* of the agent */

/**
 * document_make() - From configurations to JSON
 * @process:	Of init, or of an exec, which gets from init's what it does not set
 *
 * Return: malloc'd text, or NULL with @err filled
 */
char *document_make(const struct coffer_container *c, const struct coffer_process_config *process,
		    struct coffer_error *err);

/* document_check_process() - What would be refused inside; the error names the field */
int document_check_process(const struct coffer_process_config *process, struct coffer_error *err);
int document_check_container(const struct coffer_container_config *config,
			     struct coffer_error *err);

/* document_resources() - Those that are not 0, as a JSON object; NULL with @err filled */
char *document_resources(const struct coffer_resources *resources, struct coffer_error *err);

#endif /* CONTAINER_DOCUMENT_H */
