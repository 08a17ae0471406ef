/* SPDX-License-Identifier: Apache-2.0 */
/* Programs: what ends up in memory and on the stack; files that are not what they should be. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sentry/mm/script.h"
#include "sentry/mm/user.h"
#include "sentry_mm_fixture.h"

#define TEXT_AT UINT64_C(0x400000)
#define DATA_AT UINT64_C(0x402100)
#define DATA_LEN 0x80u
#define BSS_LEN	 0x3000u

/* A program in a file: headers and text, then data with more zeros behind than the file has. */
struct program {
	Elf64_Ehdr header;
	Elf64_Phdr segments[4];
	char interpreter[32];
	uint8_t rest[0x2180 - sizeof(Elf64_Ehdr) - 4 * sizeof(Elf64_Phdr) - 32];
};

static struct program program(unsigned type, const char *interpreter)
{
	struct program p = { .header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
						      ELFDATA2LSB, EV_CURRENT },
					 .e_type = (Elf64_Half)type,
					 .e_machine = EM_X86_64,
					 .e_phoff = sizeof(Elf64_Ehdr),
					 .e_phentsize = sizeof(Elf64_Phdr),
					 .e_phnum = 4 } };
	uint64_t base = type == ET_EXEC ? 0 : TEXT_AT;

	p.header.e_entry = TEXT_AT - base + 0x1000;
	p.segments[0] = (Elf64_Phdr){
		PT_LOAD, PF_R | PF_X, 0, TEXT_AT - base, 0, 0x1800, 0x1800, PAGE_SIZE
	};
	p.segments[1] = (Elf64_Phdr){ PT_LOAD, PF_R | PF_W, 0x2100, DATA_AT - base, 0, DATA_LEN,
				      DATA_LEN + BSS_LEN, PAGE_SIZE };
	p.segments[2] = (Elf64_Phdr){ PT_GNU_STACK, PF_R | PF_W };
	p.segments[3] = (Elf64_Phdr){ PT_NULL };
	if (interpreter) {
		snprintf(p.interpreter, sizeof(p.interpreter), "%s", interpreter);
		p.segments[3] = (Elf64_Phdr){ .p_type = PT_INTERP,
					      .p_flags = PF_R,
					      .p_offset = offsetof(struct program, interpreter),
					      .p_filesz = strlen(interpreter) + 1 };
	}
	memset(p.rest, 0xee, sizeof(p.rest));
	return p;
}

/* --- running --- */

static struct mm *mm;

/* Files that open() finds. */
static struct {
	const char *path;
	struct fake_file *file;
} names[8];
static unsigned nnames, opened;

static struct fake_file *file_at(const char *path, const void *data, size_t size)
{
	names[nnames].path = path;
	names[nnames].file = fake_file_new(data, size, nnames % 2);
	return names[nnames++].file;
}

static int open_name(void *data, const char *path, struct file **out)
{
	(void)data;
	opened++;
	for (unsigned i = 0; i < nnames; i++) {
		if (strcmp(names[i].path, path) == 0) {
			*out = file_get(&names[i].file->file);
			return 0;
		}
	}
	return -ENOENT;
}

static int setup(void **state)
{
	fake_setup(state);
	nnames = opened = 0;
	return mm_new(&mm);
}

static int teardown(void **state)
{
	mm_put(mm);
	for (unsigned i = 0; i < nnames; i++)
		file_put(&names[i].file->file);
	return fake_teardown(state);
}

static const char *const no_words[] = { NULL };

static int run(struct fake_file *file, const char *const *argv, const char *const *envp,
	       struct trap_regs *regs, bool *committed)
{
	struct mm_exec args = { .file = &file->file,
				.path = names[0].path,
				.argv = (char *const *)(uintptr_t)argv,
				.envp = (char *const *)(uintptr_t)envp,
				.uid = 1,
				.euid = 2,
				.gid = 3,
				.egid = 4,
				.secure = true,
				.stack_max = 8 << 20,
				.open = open_name };

	return mm_exec(mm, &args, regs, committed);
}

static int run_plain(struct fake_file *file, struct trap_regs *regs)
{
	bool committed;

	return run(file, no_words, no_words, regs, &committed);
}

static uint64_t word(uint64_t addr)
{
	uint64_t value;

	assert_int_equal(user_read(mm, &value, addr, sizeof(value)), 0);
	return value;
}

/* The strings of a vector on the stack; where it ends. */
static uint64_t check_strings(uint64_t at, const char *const *want)
{
	char text[256];

	for (; *want; want++, at += 8) {
		assert_true(user_string(mm, text, word(at), sizeof(text)) >= 0);
		assert_string_equal(text, *want);
	}
	assert_int_equal(word(at), 0);
	return at + 8;
}

static uint64_t aux(uint64_t at, uint64_t type)
{
	for (; word(at) != AT_NULL; at += 16) {
		if (word(at) == type)
			return word(at + 8);
	}
	fail_msg("no auxiliary value %lu", type);
	return 0;
}

static uint64_t skip_strings(uint64_t at)
{
	while (word(at))
		at += 8;
	return at + 8;
}

/* --- tests --- */

static void test_static(void **state)
{
	struct program p = program(ET_EXEC, NULL);
	struct fake_file *f = file_at("/bin/static", &p, sizeof(p));
	const char *argv[] = { "zero", "one", "", NULL };
	const char *envp[] = { "A=1", "B=2", NULL };
	struct trap_regs regs = { .rax = 5 };
	bool committed = false;
	uint64_t at;
	uint8_t byte;
	char text[64];

	(void)state;
	guest_map(mm, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	assert_int_equal(run(f, argv, envp, &regs, &committed), 0);
	assert_true(committed);
	assert_int_equal(regs.rip, TEXT_AT + 0x1000);
	assert_int_equal(regs.rax, 0);
	assert_int_equal(regs.rsp % 16, 0);
	assert_int_equal(guest_fetch(mm, regs.rip), 0);
	assert_int_equal(word(regs.rsp), 3);
	at = check_strings(regs.rsp + 8, argv);
	at = check_strings(at, envp);
	assert_int_equal(aux(at, AT_PHDR), TEXT_AT + sizeof(Elf64_Ehdr));
	assert_int_equal(aux(at, AT_PHNUM), 4);
	assert_int_equal(aux(at, AT_ENTRY), regs.rip);
	assert_int_equal(aux(at, AT_BASE), 0);
	assert_int_equal(aux(at, AT_UID), 1);
	assert_int_equal(aux(at, AT_EUID), 2);
	assert_int_equal(aux(at, AT_GID), 3);
	assert_int_equal(aux(at, AT_EGID), 4);
	assert_int_equal(aux(at, AT_SECURE), 1);
	assert_int_equal(aux(at, AT_PAGESZ), PAGE_SIZE);
	assert_int_equal(user_string(mm, text, aux(at, AT_EXECFN), sizeof(text)), 11);
	assert_string_equal(text, "/bin/static");
	assert_int_equal(user_read(mm, text, aux(at, AT_RANDOM), 16), 0);
	/* Data as in the file, zeros behind it, writable. */
	assert_int_equal(guest_load(mm, DATA_AT + DATA_LEN - 1, &byte), 0);
	assert_int_equal(byte, 0xee);
	for (uint64_t i = DATA_LEN; i < DATA_LEN + BSS_LEN; i += 97) {
		assert_int_equal(guest_load(mm, DATA_AT + i, &byte), 0);
		assert_int_equal(byte, 0);
		assert_int_equal(guest_store(mm, DATA_AT + i, 1), 0);
	}
	assert_int_equal(mm->info.start_code, TEXT_AT);
	assert_true(mm->info.start_brk >= PAGE_UP(DATA_AT + DATA_LEN + BSS_LEN));
	assert_int_equal(mm->info.arg_end - mm->info.arg_start, sizeof("zero") + sizeof("one") + 1);
	assert_int_equal(mm->info.env_end - mm->info.env_start, 8);
	assert_ptr_equal(mm->exe, &f->file);
	guest_check(mm);
	/* Once more, over itself; a stack far down. */
	assert_int_equal(run(f, argv, envp, &regs, &committed), 0);
	assert_int_equal(guest_store(mm, regs.rsp - (4 << 20), 1), 0);
	guest_check(mm);
}

static void test_interpreter(void **state)
{
	struct program p = program(ET_DYN, "/lib/ld.so");
	struct program ld = program(ET_DYN, NULL);
	struct fake_file *f = file_at("/bin/dyn", &p, sizeof(p));
	struct trap_regs regs;
	uint64_t first;
	uint64_t base;
	uint64_t at;

	(void)state;
	file_at("/lib/ld.so", &ld, sizeof(ld));
	assert_int_equal(run_plain(f, &regs), 0);
	assert_int_equal(word(regs.rsp), 1); /* nobody gets no name at all */
	at = skip_strings(skip_strings(regs.rsp + 8));
	base = aux(at, AT_BASE);
	assert_int_equal(regs.rip, base + 0x1000);
	assert_int_equal(base % PAGE_SIZE, 0);
	first = aux(at, AT_ENTRY) - 0x1000;
	assert_int_equal(aux(at, AT_PHDR), first + sizeof(Elf64_Ehdr));
	assert_true(first >= UINT64_C(0x555555554000) && first < base);
	guest_check(mm);
	/* Somewhere else every time. */
	assert_int_equal(run_plain(f, &regs), 0);
	assert_int_not_equal(base, aux(skip_strings(skip_strings(regs.rsp + 8)), AT_BASE));
}

static void test_interpreter_errors(void **state)
{
	struct program p = program(ET_DYN, "/lib/ld.so");
	struct fake_file *f = file_at("/bin/dyn", &p, sizeof(p));
	struct trap_regs regs;
	bool committed;

	(void)state;
	assert_int_equal(run(f, no_words, no_words, &regs, &committed), -ENOENT);
	assert_false(committed);
	file_at("/lib/ld.so", "#!/bin/sh\n", 10);
	assert_int_equal(run(f, no_words, no_words, &regs, &committed), -ELIBBAD);
	assert_false(committed);
	p.segments[3].p_filesz--; /* no terminator */
	f = file_at("/bin/dyn2", &p, sizeof(p));
	assert_int_equal(run_plain(f, &regs), -ENOEXEC);
	p.segments[3].p_filesz = 1;
	f = file_at("/bin/dyn3", &p, sizeof(p));
	assert_int_equal(run_plain(f, &regs), -ENOEXEC);
	p.segments[3].p_filesz = UINT64_MAX;
	f = file_at("/bin/dyn4", &p, sizeof(p));
	assert_int_equal(run_plain(f, &regs), -ENOEXEC);
}

static void test_scripts(void **state)
{
	struct program p = program(ET_EXEC, NULL);
	struct fake_file *f = file_at("/s1", "#! /s2  -x  y \nfoo", 18);
	const char *argv[] = { "name", "arg", NULL };
	const char *want[] = { "/bin/static", "/s2", "-x  y", "/s1", "arg", NULL };
	struct trap_regs regs;
	bool committed;
	uint64_t at;

	(void)state;
	file_at("/s2", "#!/bin/static", 13);
	file_at("/bin/static", &p, sizeof(p));
	assert_int_equal(run(f, argv, no_words, &regs, &committed), 0);
	at = check_strings(regs.rsp + 8, want);
	at = skip_strings(at);
	char text[16];

	assert_int_equal(user_string(mm, text, aux(at, AT_EXECFN), sizeof(text)), 3);
	assert_string_equal(text, "/s1");
	assert_ptr_equal(mm->exe, &names[2].file->file);
}

static void test_script_loop(void **state)
{
	struct fake_file *f = file_at("/loop", "#!/loop\n", 8);
	struct trap_regs regs;
	bool committed;

	(void)state;
	assert_int_equal(run(f, no_words, no_words, &regs, &committed), -ELOOP);
	assert_false(committed);
	assert_int_equal(opened, 5);
	f = file_at("/none", "#!/nowhere\n", 11);
	assert_int_equal(run_plain(f, &regs), -ENOENT);
	f = file_at("/empty", "", 0);
	assert_int_equal(run_plain(f, &regs), -ENOEXEC);
	f = file_at("/text", "echo hello\n", 11);
	assert_int_equal(run_plain(f, &regs), -ENOEXEC);
}

static void test_script_lines(void **state)
{
	static const struct {
		const char *line, *name, *arg;
	} rows[] = {
		{ "#!/bin/sh\n", "/bin/sh", NULL },
		{ "#!/bin/sh", "/bin/sh", NULL },
		{ "#!  \t/bin/sh \t\n-x", "/bin/sh", NULL },
		{ "#!/bin/sh -e\n", "/bin/sh", "-e" },
		{ "#!/usr/bin/env  a b \n", "/usr/bin/env", "a b" },
		{ "#!\n/bin/sh\n", NULL, NULL },
		{ "#!  \t \n", NULL, NULL },
		{ "#!", NULL, NULL },
		{ "#", NULL, NULL },
		{ "", NULL, NULL },
		{ " #!/bin/sh\n", NULL, NULL },
	};
	char line[SCRIPT_LINE];
	const char *name;
	const char *arg;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(line, 0, sizeof(line));
		memcpy(line, rows[i].line, strlen(rows[i].line));
		if (!rows[i].name) {
			assert_int_equal(script_parse(line, &name, &arg), -ENOEXEC);
			continue;
		}
		assert_int_equal(script_parse(line, &name, &arg), 0);
		assert_string_equal(name, rows[i].name);
		if (rows[i].arg)
			assert_string_equal(arg, rows[i].arg);
		else
			assert_null(arg);
	}
	/* A line that is too long: its path must be whole. */
	memset(line, 'a', sizeof(line));
	memcpy(line, "#!/", 3);
	assert_int_equal(script_parse(line, &name, &arg), -ENOEXEC);
	memset(line, 'a', sizeof(line));
	memcpy(line, "#!/bin/sh ", 10);
	assert_int_equal(script_parse(line, &name, &arg), 0);
	assert_string_equal(name, "/bin/sh");
	assert_int_equal(strlen(arg), SCRIPT_LINE - 1 - 10);
}

static void test_too_long(void **state)
{
	struct program p = program(ET_EXEC, NULL);
	struct fake_file *f = file_at("/bin/static", &p, sizeof(p));
	char *text = calloc(1, 131073);
	const char **argv = calloc(600000, sizeof(*argv));
	struct trap_regs regs;
	bool committed;

	(void)state;
	memset(text, 'a', 131072);
	argv[0] = text;
	assert_int_equal(run(f, argv, no_words, &regs, &committed), -E2BIG);
	assert_false(committed);
	text[131071] = 0;
	assert_int_equal(run(f, argv, no_words, &regs, &committed), 0);
	for (unsigned i = 0; i < 20; i++)
		argv[i] = text;
	assert_int_equal(run(f, argv, no_words, &regs, &committed), -E2BIG);
	for (unsigned i = 0; i < 599999; i++)
		argv[i] = "";
	assert_int_equal(run(f, no_words, argv, &regs, &committed), -E2BIG);
	assert_false(committed);
	free(argv);
	free(text);
}

/* What must be refused before anything is changed. */
static void test_bad_headers(void **state)
{
	struct program p[16];
	struct trap_regs regs;
	bool committed;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = program(ET_EXEC, NULL);
	p[0].header.e_ident[0] = 0;
	p[1].header.e_ident[EI_CLASS] = ELFCLASS32;
	p[2].header.e_machine = EM_386;
	p[3].header.e_type = ET_REL;
	p[4].header.e_phentsize = 32;
	p[5].header.e_phnum = 0;
	p[6].header.e_phnum = UINT16_MAX;
	p[7].header.e_phoff = UINT64_MAX - 8;
	p[8].header.e_phoff = sizeof(struct program) - 8;
	p[9].segments[0].p_filesz = p[9].segments[0].p_memsz + 1;
	p[10].segments[1].p_vaddr = UINT64_MAX - 16;
	p[11].segments[1].p_memsz = UINT64_MAX;
	p[12].segments[1].p_offset++;
	p[13].segments[0].p_type = p[13].segments[1].p_type = PT_NOTE;
	p[14].segments[1].p_offset = UINT64_C(0x7ffffffffffff100);
	p[15].segments[1].p_vaddr = GUEST_END + 0x100;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		struct fake_file *f = fake_file_new(&p[i], sizeof(p[i]), false);

		names[0].path = "/bad";
		assert_int_equal(run(f, no_words, no_words, &regs, &committed), -ENOEXEC);
		assert_false(committed);
		file_put(&f->file);
	}
	for (size_t size = 0; size < sizeof(Elf64_Ehdr) + 4 * sizeof(Elf64_Phdr); size += 7) {
		struct program whole = program(ET_EXEC, NULL);
		struct fake_file *f = fake_file_new(&whole, size, false);

		assert_int_equal(run(f, no_words, no_words, &regs, &committed), -ENOEXEC);
		file_put(&f->file);
	}
}

/* Allowed by the headers, but not by the room there is: the old program is gone then. */
static void test_no_room(void **state)
{
	struct program p = program(ET_EXEC, NULL);
	struct trap_regs regs;
	bool committed;
	struct fake_file *f;

	(void)state;
	p.segments[1].p_vaddr = 0x100;
	f = file_at("/low", &p, sizeof(p));
	assert_int_equal(run(f, no_words, no_words, &regs, &committed), -EPERM);
	p = program(ET_DYN, NULL);
	p.segments[1].p_vaddr = (GUEST_END / 2) + 0x100;
	f = file_at("/wide", &p, sizeof(p));
	assert_int_equal(run(f, no_words, no_words, &regs, &committed), -ENOMEM);
	guest_check(mm);
}

static void test_printing(void **state)
{
	struct program p = program(ET_EXEC, NULL);
	struct fake_file *f = file_at("/bin/static", &p, sizeof(p));
	struct trap_regs regs;
	struct buf out = BUF_INIT(1 << 20);
	struct mm_usage usage;
	char *text;

	(void)state;
	assert_int_equal(run_plain(f, &regs), 0);
	mm_brk(mm, NULL, mm->info.start_brk + PAGE_SIZE);
	guest_map(mm, 0x10000000, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
	assert_int_equal(mm_print_maps(mm, &out), 0);
	text = buf_steal_str(&out);
	assert_memory_equal(text, "00400000-00402000 r-xp 00000000 00:00 0 ", 40);
	assert_non_null(strstr(text, "\n00402000-00403000 rw-p 00002000 00:00 0 "));
	assert_non_null(strstr(text, "\n00403000-00406000 rw-p 00000000 00:00 0 \n"));
	assert_non_null(strstr(text, " 00:01 "));
	assert_non_null(strstr(text, "       /dev/zero (deleted)\n"));
	assert_non_null(strstr(text, " [heap]\n"));
	assert_non_null(strstr(text, "rw-p 00000000 00:00 0                          [stack]\n"));
	assert_non_null(strstr(text, "r-xp 00000000 00:00 0                          [vdso]\n"));
	free(text);
	assert_int_equal(mm_print_smaps(mm, &out), 0);
	text = buf_steal_str(&out);
	assert_non_null(strstr(text, "\nSize:                  8 kB\n"));
	assert_non_null(strstr(text, "\nVmFlags: rd ex mr mw me \n"));
	free(text);
	mm_usage(mm, &usage);
	assert_int_equal(usage.vsize, mm->map_total);
	assert_true(usage.rss > 0 && usage.rss <= usage.vsize);
	assert_int_equal(usage.text, 2 * PAGE_SIZE);
	assert_int_equal(mm_auxv(mm, &out), 0);
	assert_int_equal(out.len % 16, 0);
	assert_true(out.len > 200);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_static, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interpreter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interpreter_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scripts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_script_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_script_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_printing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
