/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/init_wrapper.h - the agent's program as the first process of a container
 */
#ifndef AGENT_INIT_WRAPPER_H
#define AGENT_INIT_WRAPPER_H

#include <stdbool.h>

#define INIT_WRAPPER_NAME ".coffer-init"

/* init_wrapper_is_meant() - Was the program started under that name? */
bool init_wrapper_is_meant(const char *argv0);

/* init_wrapper_main() - Return: the exit status of the program in @argv, behind "--" */
int init_wrapper_main(int argc, char **argv);

#endif /* AGENT_INIT_WRAPPER_H */
