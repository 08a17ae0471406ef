/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_passwd.c - user and group files of an image, and the user asked for
 *
 * Input: user specification, NUL, passwd file, NUL, group file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spec/passwd.h"

/* A copy of its own for each part, so that a read past its end is seen. */
static char *cut(const uint8_t **data, size_t *size, size_t *len)
{
	const uint8_t *end = *size ? memchr(*data, '\0', *size) : NULL;
	char *copy;

	*len = end ? (size_t)(end - *data) : *size;
	copy = malloc(*len ? *len : 1);
	if (!copy)
		abort();
	memcpy(copy, *data, *len);
	*data += *len + (end ? 1 : 0);
	*size -= *len + (end ? 1 : 0);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct passwd_user u;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct passwd_files files;
	char *spec, *passwd, *group, *text;
	size_t len;

	spec = cut(&data, &size, &len);
	text = strndup(spec, len);
	passwd = cut(&data, &size, &files.passwd_len);
	group = cut(&data, &size, &files.group_len);
	files.passwd = passwd;
	files.group = group;
	u.ngroups = 0;
	if (passwd_lookup(&files, text, &u, &err) == 0 &&
	    (u.uid > PASSWD_ID_MAX || u.gid > PASSWD_ID_MAX || u.ngroups == 0 || !u.home[0]))
		abort();
	free(text);
	free(spec);
	free(passwd);
	free(group);
	return 0;
}
