/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/config_words.h - words of a Dockerfile's line
 *
 *	a "b c"\ d '$e' $f ${g:-h}
 */
#ifndef IMAGE_CONFIG_WORDS_H
#define IMAGE_CONFIG_WORDS_H

#include <stdbool.h>

#include "base/error.h"

#define CONFIG_LINE_MAX ((size_t)64 << 10)

/**
 * config_word() - The next word of *@at, without quotes, variables replaced
 * @whole:	All of the line is one word: blanks are like other bytes
 * @env:	"NAME=value", NULL-terminated or NULL
 * @out:	Set to a string of its own; NULL: the line has ended
 */
int config_word(const char **at, bool whole, char *const *env, char **out,
		struct coffer_error *err);
/* config_words() - All of them, NULL-terminated (image/json_node.h frees it); NULL for none */
int config_words(const char *line, char *const *env, char ***out, struct coffer_error *err);

/* config_list_add() - @text (taken over; NULL: no memory) at the end of a list. Return: 0, -ENOMEM
 */
int config_list_add(char ***list, char *text);

#endif /* IMAGE_CONFIG_WORDS_H */
