/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/symbols.c - functions of a library that is loaded when it is first needed
 *
 * A library that few calls need costs every command milliseconds when it is
 * linked.  One that has been loaded stays: some register handlers for the end
 * of the process.  Who loads it sees to it that this happens once.
 */
#include "base/symbols.h"

#include <dlfcn.h>
#include <string.h>

int symbols_load(const char *library, const struct symbol *list, size_t count,
		 struct coffer_error *err)
{
	void *lib = dlopen(library, RTLD_LAZY | RTLD_LOCAL);

	if (!lib)
		return err_unsupported(err, "%s", dlerror());
	for (size_t i = 0; i < count; i++) {
		void *symbol = dlsym(lib, list[i].name);

		memcpy(list[i].at, &symbol, sizeof(symbol));
		if (!symbol) {
			dlclose(lib);
			return err_unsupported(err, "%s has no %s", library, list[i].name);
		}
	}
	return 0;
}
