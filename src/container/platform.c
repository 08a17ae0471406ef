/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/platform.c - roots whose programs are for another processor
 *
 * The host's static qemu-user emulator is shared with the guest, read-only, and
 * told to the guest's kernel (binfmt_misc) by the head of ELF files for that
 * processor.  The kernel opens it then and there (flag F), so containers need
 * not have it, and it works in every root.
 */
#include "container/platform.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "sandbox_context.pb-c.h"

#define PLATFORM_OS	 "linux/"
#define PLATFORM_GUEST	 "/run/emulator" /* where the guest has the directory */
#define PLATFORM_DIR	 "/usr/bin"
#define PLATFORM_PACKAGE "qemu-user-static"
#define PLATFORM_ELF_MAX 20 /* bytes of an ELF file's head that tell what it is for */
/* Found by the name they were called by; set-user-id programs keep their rights; opened once. */
#define PLATFORM_FLAGS "PCF"

/* Numbers of the ELF specification: class and byte order 1 or 2, then the machine. */
static const struct platform {
	const char *arch;
	const char *qemu;
	unsigned char class, order;
	unsigned short machine;
	bool native; /* the guest's own processor runs it */
} platforms[] = {
	{ "amd64", "x86_64", 2, 1, 62, true },	    { "386", "i386", 1, 1, 3, true },
	{ "arm64", "aarch64", 2, 1, 183, false },   { "arm", "arm", 1, 1, 40, false },
	{ "riscv64", "riscv64", 2, 1, 243, false }, { "ppc64le", "ppc64le", 2, 1, 21, false },
	{ "s390x", "s390x", 2, 2, 22, false },
};

/* "linux/arm/v7": what comes after the processor is a variant, and qemu has them all. */
static const struct platform *platform_find(const char *name)
{
	const char *arch = name + strlen(PLATFORM_OS);
	size_t n;

	if (strncmp(name, PLATFORM_OS, strlen(PLATFORM_OS)) != 0)
		return NULL;
	n = strcspn(arch, "/");
	if (arch[n] && (arch[n + 1] != 'v' || strpbrk(&arch[n + 1], "/ ")))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++)
		if (strlen(platforms[i].arch) == n && strncmp(platforms[i].arch, arch, n) == 0)
			return &platforms[i];
	return NULL;
}

int platform_check(const char *name, struct coffer_error *err)
{
	if (!name || platform_find(name))
		return 0;
	return err_invalid(err,
			   "platform %s: must be linux/ and one of amd64, 386, arm64, arm, "
			   "riscv64, ppc64le, s390x",
			   name);
}

static void platform_program(const struct platform *p, char *out, size_t size)
{
	snprintf(out, size, "qemu-%s-static", p->qemu);
}

int platform_open(const char *name, struct platform_emulator *out, struct coffer_error *err)
{
	const struct platform *p = name ? platform_find(name) : NULL;
	char program[32];

	*out = (struct platform_emulator)PLATFORM_EMULATOR_INIT;
	if (!p || p->native)
		return 0;
	platform_program(p, program, sizeof(program));
	out->dir_fd = open(PLATFORM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->dir_fd < 0)
		return err_sys(err, "platform %s: %s", name, PLATFORM_DIR);
	if (faccessat(out->dir_fd, program, X_OK, 0) < 0)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0,
			       "platform %s: there is no %s/%s (package %s)", name, PLATFORM_DIR,
			       program, PLATFORM_PACKAGE);
	out->of = p;
	return 0;
}

int platform_attach(struct platform_emulator *e, struct sandbox_config *sandbox,
		    struct coffer_error *err)
{
	const char *tag;
	char program[32];
	int r;

	if (!e->of)
		return 0;
	platform_program(e->of, program, sizeof(program));
	r = sandbox_config_share_file(sandbox, e->dir_fd, program, true, &tag, err);
	if (r == 0)
		snprintf(e->tag, sizeof(e->tag), "%s", tag);
	return r < 0 ? err_wrap(err, "platform linux/%s", e->of->arch) : 0;
}

void platform_close(struct platform_emulator *e)
{
	close_fd(&e->dir_fd);
}

/* As the rule wants it: each byte as \xNN. */
static const char *platform_bytes(const unsigned char *bytes, struct guest_steps *g)
{
	char text[PLATFORM_ELF_MAX * 4 + 1];

	for (size_t i = 0; i < PLATFORM_ELF_MAX; i++)
		snprintf(text + i * 4, 5, "\\x%02x", bytes[i]);
	return guest_text(g, "%s", text);
}

static void platform_put_u16(unsigned char *at, unsigned short value, bool big)
{
	at[!big] = (unsigned char)(value >> 8);
	at[big] = (unsigned char)value;
}

/* Any system's ABI will do; programs (2) as well as those that can lie anywhere (3). */
static void platform_elf(const struct platform *p, unsigned char magic[static PLATFORM_ELF_MAX],
			 unsigned char mask[static PLATFORM_ELF_MAX])
{
	const unsigned char head[] = { 0x7f, 'E', 'L', 'F', p->class, p->order, 1 };
	bool big = p->order == 2;

	memset(magic, 0, PLATFORM_ELF_MAX);
	memset(mask, 0xff, PLATFORM_ELF_MAX);
	memcpy(magic, head, sizeof(head));
	mask[7] = 0;
	platform_put_u16(magic + 16, 2, big);
	platform_put_u16(mask + 16, 0xfffe, big);
	platform_put_u16(magic + 18, p->machine, big);
}

void platform_prepare(const struct platform_emulator *e, struct guest_steps *g)
{
	unsigned char magic[PLATFORM_ELF_MAX], mask[PLATFORM_ELF_MAX];
	Sc__SetupEmulatorRequest *req;
	char program[32];

	if (!e->of)
		return;
	req = guest_memory(g, sizeof(*req));
	if (!req)
		return;
	platform_program(e->of, program, sizeof(program));
	platform_elf(e->of, magic, mask);
	sc__setup_emulator_request__init(req);
	req->binary_path = (char *)guest_text(g, PLATFORM_GUEST "/%s", program);
	req->name = (char *)guest_text(g, "qemu-%s", e->of->qemu);
	req->type = (char *)"M";
	req->magic = (char *)platform_bytes(magic, g);
	req->mask = (char *)platform_bytes(mask, g);
	req->flags = (char *)PLATFORM_FLAGS;
	guest_mount(g, PLATFORM_GUEST, "virtiofs", e->tag, NULL);
	guest_call(g, "SetupEmulator", req->name, &req->base);
}
