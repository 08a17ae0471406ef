/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a program: loaded or refused, and when it is refused late all is still whole. The
 * first byte says where the bytes of the interpreter begin.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sentry/mm/user.h"
#include "sentry_mm_fixture.h"

static int fuzz_open(void *data, const char *path, struct file **out)
{
	(void)path;
	*out = file_get(data);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const argv[] = { "a", "b", NULL };
	struct fake_file *program;
	struct fake_file *interpreter;
	struct trap_regs regs = { .rsp = 0 };
	uint64_t argc = 0;
	bool committed;
	struct mm *mm;
	size_t cut;

	if (size < 1)
		return 0;
	cut = (size - 1) * data[0] / 255;
	if (!kernel.memory) {
		fake_setup();
		guest_blind();
	}
	program = fake_file_new(data + 1, cut, false);
	interpreter = fake_file_new(data + 1 + cut, size - 1 - cut, false);
	if (mm_new(&mm))
		abort();
	struct mm_exec args = { .file = &program->file,
				.path = "/fuzz",
				.argv = (char *const *)(uintptr_t)argv,
				.envp = (char *const *)(uintptr_t)argv,
				.stack_max = 8 << 20,
				.open = fuzz_open,
				.open_data = &interpreter->file };

	if (!mm_exec(mm, &args, &regs, &committed)) {
		if (!committed || user_read(mm, &argc, regs.rsp, sizeof(argc)) || argc < 2)
			abort();
	}
	mm_put(mm);
	file_put(&program->file);
	file_put(&interpreter->file);
	return 0;
}
