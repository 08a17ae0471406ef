/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/document.h - the OCI document of a process, as the agent takes it
 */
#ifndef CONTAINER_DOCUMENT_H
#define CONTAINER_DOCUMENT_H

#include "container/config.h"
#include "container/storage.h"

#define DOCUMENT_STATE_DIR "/run/container" /* of the agent */

/**
 * document_make() - From configurations to JSON
 * @id:		The container's
 *
 * Return: malloc'd text, or NULL with @err filled
 */
char *document_make(const char *id, const struct coffer_container_config *container,
		    const struct coffer_process_config *process, const struct storage *storage,
		    struct coffer_error *err);

#endif /* CONTAINER_DOCUMENT_H */
