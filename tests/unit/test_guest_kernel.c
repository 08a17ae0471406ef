/* SPDX-License-Identifier: Apache-2.0 */
/* Taking the kernel out of a bzImage, in each compression, and slimming it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "guest/bzimage.h"
#include "guest/vmlinux.h"

#define PLAIN_LEN 70000u

static uint8_t plain[PLAIN_LEN];
static uint8_t image[2 * PLAIN_LEN];

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* A bzImage of one setup sector around @len bytes that lie at image + 2048. */
static size_t wrap(size_t len)
{
	memset(image, 0, 2048);
	image[0x1f1] = 1;
	memcpy(image + 0x202, "HdrS", 4);
	image[0x206] = 0x0f;
	image[0x207] = 0x02;
	put32(image + 0x248, 1024);
	put32(image + 0x24c, (uint32_t)len);
	return 2048 + len;
}

static size_t with_size(size_t len)
{
	put32(image + 2048 + len, PLAIN_LEN);
	return wrap(len + 4);
}

static size_t pack_gzip(void)
{
	z_stream z = { .next_in = plain, .avail_in = PLAIN_LEN, .next_out = image + 2048,
		       .avail_out = sizeof(image) - 2048 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return wrap(z.total_out);
}

static size_t pack_xz(void)
{
	size_t n = 0;

	assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, plain, PLAIN_LEN,
						 image + 2048, &n, sizeof(image) - 2100),
			 LZMA_OK);
	return with_size(n);
}

static size_t pack_zstd(void)
{
	size_t n = ZSTD_compress(image + 2048, sizeof(image) - 2100, plain, PLAIN_LEN, 3);

	assert_false(ZSTD_isError(n));
	return with_size(n);
}

/* Literals only, in two blocks: all that a hand-written encoder needs. */
static size_t pack_lz4(void)
{
	uint8_t *p = image + 2048;
	size_t done = 0;

	put32(p, 0x184c2102);
	p += 4;
	while (done < PLAIN_LEN) {
		uint8_t *start = p;
		size_t n = PLAIN_LEN - done > 40000 ? 40000 : PLAIN_LEN - done, rest = n - 15;

		p += 4;
		*p++ = 0xf0;
		for (; rest >= 255; rest -= 255)
			*p++ = 255;
		*p++ = (uint8_t)rest;
		memcpy(p, plain + done, n);
		p += n;
		done += n;
		put32(start, (uint32_t)(p - start - 4));
	}
	return with_size((size_t)(p - image - 2048));
}

static void test_each_compression(void **state)
{
	static size_t (*const packers[])(void) = { pack_gzip, pack_xz, pack_zstd, pack_lz4 };

	for (size_t i = 0; i < PLAIN_LEN; i++)
		plain[i] = (uint8_t)(i * i >> 8);
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		size_t len = packers[i](), out_len = 0;
		struct coffer_error e = COFFER_ERROR_INIT;
		autofree uint8_t *out = NULL;

		if (bzimage_unpack(image, len, PLAIN_LEN, &out, &out_len, &e) < 0)
			fail_msg("%zu: %s", i, e.message);
		assert_int_equal(out_len, PLAIN_LEN);
		assert_memory_equal(out, plain, PLAIN_LEN);

		/* Too large for the limit; cut short; damaged. */
		assert_int_equal(bzimage_unpack(image, len, PLAIN_LEN - 1, &out, &out_len, &e),
				 -EINVAL);
		assert_int_equal(bzimage_unpack(image, len - 1, PLAIN_LEN, &out, &out_len, &e),
				 -EINVAL);
		memset(image + 2056, 0x55, 64);
		if (i < 3)
			assert_int_equal(
				bzimage_unpack(image, len, PLAIN_LEN, &out, &out_len, &e),
				-EBADMSG);
	}
}

static void test_lz4_matches(void **state)
{
	static const uint8_t good[] = { 2, 0x21, 0x4c, 0x18, 9, 0, 0, 0,
					0x22, 'a', 'b', 2, 0, /* "ab", then 6 from 2 back */
					0x30, 'x', 'y', 'z' };
	static const uint8_t far[] = { 2, 0x21, 0x4c, 0x18, 5, 0, 0, 0, 0x20, 'a', 'b', 3, 0 };
	static const uint8_t zero[] = { 2, 0x21, 0x4c, 0x18, 5, 0, 0, 0, 0x20, 'a', 'b', 0, 0 };
	static const uint8_t open_len[] = { 2, 0x21, 0x4c, 0x18, 3, 0, 0, 0, 0xf0, 255, 255 };
	static const uint8_t long_block[] = { 2, 0x21, 0x4c, 0x18, 50, 0, 0, 0, 0x10, 'a' };
	uint8_t out[16];

	assert_int_equal(lz4_legacy_decode(good, sizeof(good), out, sizeof(out)), 11);
	assert_memory_equal(out, "ababababxyz", 11);
	assert_int_equal(lz4_legacy_decode(good, sizeof(good), out, 10), -EBADMSG);
	assert_int_equal(lz4_legacy_decode(far, sizeof(far), out, sizeof(out)), -EBADMSG);
	assert_int_equal(lz4_legacy_decode(zero, sizeof(zero), out, sizeof(out)), -EBADMSG);
	assert_int_equal(lz4_legacy_decode(open_len, sizeof(open_len), out, sizeof(out)), -EBADMSG);
	assert_int_equal(lz4_legacy_decode(long_block, sizeof(long_block), out, sizeof(out)),
			 -EBADMSG);
}

static void test_not_a_kernel(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	autofree uint8_t *out = NULL;
	size_t n;

	memset(image, 0, sizeof(image));
	assert_int_equal(bzimage_unpack(image, sizeof(image), PLAIN_LEN, &out, &n, &e), -EINVAL);
	assert_int_equal(bzimage_unpack(image, 10, PLAIN_LEN, &out, &n, &e), -EINVAL);
	wrap(1000);
	memset(image + 2048, 0x42, 1000);
	assert_int_equal(bzimage_unpack(image, 3048, PLAIN_LEN, &out, &n, &e), -EOPNOTSUPP);
	assert_int_equal(vmlinux_compact(image, 3048, &out, &n, &e), -EINVAL);
	assert_null(out);
}

/* A kernel of two segments: one with a PVH note, one that is mostly bss. */
static size_t make_elf(uint8_t *elf)
{
	Elf64_Ehdr eh = { .e_machine = EM_X86_64, .e_phoff = 64, .e_phnum = 3,
			  .e_phentsize = sizeof(Elf64_Phdr), .e_shnum = 9, .e_shoff = 60000 };
	Elf64_Phdr ph[3] = {
		{ .p_type = PT_LOAD, .p_offset = 8192, .p_filesz = 5000, .p_memsz = 5000,
		  .p_paddr = 0x1000000 },
		{ .p_type = PT_LOAD, .p_offset = 16384, .p_filesz = 40000, .p_memsz = 50000,
		  .p_paddr = 0x2000000 },
		{ .p_type = PT_NOTE, .p_offset = 8192 + 4096, .p_filesz = 24, .p_memsz = 24 },
	};
	Elf64_Nhdr note = { .n_namesz = 4, .n_descsz = 8, .n_type = 18 };

	memset(elf, 0, PLAIN_LEN);
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	memcpy(elf, &eh, sizeof(eh));
	memcpy(elf + 64, ph, sizeof(ph));
	memset(elf + 8192, 0x11, 5000);
	memcpy(elf + 8192 + 4096, &note, sizeof(note));
	memcpy(elf + 8192 + 4096 + 12, "Xen", 4);
	memset(elf + 16384, 0x22, 5000);
	return PLAIN_LEN;
}

static void test_compact(void **state)
{
	size_t len = make_elf(plain), out_len;
	struct coffer_error e = COFFER_ERROR_INIT;
	autofree uint8_t *out = NULL;
	Elf64_Phdr ph[3];
	Elf64_Ehdr eh;

	assert_int_equal(vmlinux_compact(plain, len, &out, &out_len, &e), 0);
	memcpy(&eh, out, sizeof(eh));
	memcpy(ph, out + eh.e_phoff, sizeof(ph));
	assert_int_equal(eh.e_shnum, 0);
	assert_int_equal(out_len, 4096 + 8192 + 8192);
	assert_int_equal(ph[0].p_filesz, 5000);
	assert_int_equal(ph[1].p_filesz, 8192);
	assert_int_equal(ph[1].p_memsz, 50000);
	assert_int_equal(ph[1].p_paddr, 0x2000000);
	assert_memory_equal(out + ph[0].p_offset, plain + 8192, 5000);
	assert_memory_equal(out + ph[1].p_offset, plain + 16384, 8192);
	assert_memory_equal(out + ph[2].p_offset, plain + 8192 + 4096, 24);
}

static void test_compact_refuses(void **state)
{
	size_t len = make_elf(plain), out_len;
	struct coffer_error e = COFFER_ERROR_INIT;
	autofree uint8_t *out = NULL;

	assert_int_equal(vmlinux_compact(plain, 50000, &out, &out_len, &e), -EINVAL);
	assert_int_equal(vmlinux_compact(plain, 100, &out, &out_len, &e), -EINVAL);
	plain[8192 + 4096 + 8] = 17; /* another note */
	assert_int_equal(vmlinux_compact(plain, len, &out, &out_len, &e), -EOPNOTSUPP);
	make_elf(plain);
	plain[EI_CLASS] = ELFCLASS32;
	assert_int_equal(vmlinux_compact(plain, len, &out, &out_len, &e), -EINVAL);
	assert_null(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_compression), cmocka_unit_test(test_lz4_matches),
		cmocka_unit_test(test_not_a_kernel),	 cmocka_unit_test(test_compact),
		cmocka_unit_test(test_compact_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
