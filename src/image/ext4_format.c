/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_format.c - a fresh ext4 file system on a file, and its end
 *
 * Features are chosen for images that a guest mounts within milliseconds and
 * throws away: no journal (nothing to recover), no checksums (computing them
 * costs more than reading under emulation, and e2fsck finds what matters), no
 * lazy initialisation (the file is sparse, so inode tables are zero already
 * and no guest thread has to write them), no room for online growth.
 *
 * libext2fs owns superblock, group descriptors, bitmaps and inodes, and goes
 * through its own small cache; file content bypasses it (ext4_data.c).  The
 * two never touch the same block.
 */
#include "image/ext4_internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "image/ext4.h"

#define EXT4_INODE_BYTES     256
#define EXT4_GROUPS_PER_FLEX 4 /* as a power of two */
#define EXT4_BLOCKS_MAX      UINT32_MAX
#define EXT4_BLOCKS_MIN      64
#define EXT4_GROW_TRIES      16
/* 1 TiB, laid out in five milliseconds, and an inode for every 8 KiB. */
#define EXT4_LAYERS_BLOCKS (1u << 28)
#define EXT4_LAYERS_INODES (1u << 27)

/* "coffer image" and nothing random: two images with one UUID never meet in a guest. */
static const uint8_t ext4_fixed_uuid[16] = { 0xc0, 0xff, 0xe4, 0x00, 0x11, 0x22, 0x43, 0x44,
					     0x95, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc };

static void ext4_error_table_init(void)
{
	initialize_ext2_error_table();
}

static bool ext4_is_full(errcode_t code)
{
	return code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL ||
	       code == EXT2_ET_EA_NO_SPACE || code == EXT2_ET_TOOSMALL;
}

int ext4_fail(struct coffer_error *err, errcode_t code, const char *what)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (code > 0 && code < 256) /* plain errno values pass through the library */
		return err_sysn(err, (int)code, "%s", what);
	if (code == EXT2_ET_NO_MEMORY)
		return err_nomem(err);
	pthread_once(&once, ext4_error_table_init);
	return err_set(err, COFFER_ERR_INTERNAL, ext4_is_full(code) ? ENOSPC : EIO, "%s: %s", what,
		       error_message(code));
}

static void ext4_super_params(struct ext2_super_block *sb, const struct ext4_format *format,
			      uint64_t blocks, uint32_t inodes)
{
	memset(sb, 0, sizeof(*sb));
	sb->s_rev_level = EXT2_DYNAMIC_REV;
	sb->s_log_block_size = 2;
	sb->s_log_cluster_size = 2;
	sb->s_inode_size = EXT4_INODE_BYTES;
	sb->s_max_mnt_count = -1;
	sb->s_errors = EXT2_ERRORS_DEFAULT;
	sb->s_inodes_count = inodes;
	sb->s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX;
	sb->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS;
	/* What is cut off must not have its tables in what stays. */
	if (!format->layers) {
		sb->s_log_groups_per_flex = EXT4_GROUPS_PER_FLEX;
		sb->s_feature_incompat |= EXT4_FEATURE_INCOMPAT_FLEX_BG;
	}
	sb->s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER |
				  EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
				  EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
				  EXT4_FEATURE_RO_COMPAT_DIR_NLINK |
				  EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE;
	ext2fs_blocks_count_set(sb, blocks);
}

/* Lay out a file system of @blocks in memory. */
static int ext4_layout(struct ext4_writer *w, const struct ext4_format *format, uint64_t blocks,
		       uint32_t inodes, struct coffer_error *err)
{
	struct ext2_super_block params;
	autoclose int fd = -1;
	errcode_t code;
	char name[16];

	if (blocks > EXT4_BLOCKS_MAX)
		return err_set(err, COFFER_ERR_UNSUPPORTED, EFBIG,
			       "an ext4 image of %llu blocks is too large",
			       (unsigned long long)blocks);
	fd = fcntl(w->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(err, "duplicate the image's descriptor");
	snprintf(name, sizeof(name), "%d", fd);
	ext4_super_params(&params, format, blocks, inodes);
	code = ext2fs_initialize(name, EXT2_FLAG_64BITS, &params, unixfd_io_manager, &w->fs);
	if (code)
		return ext4_fail(err, code, "lay out ext4 image");
	steal_fd(&fd); /* the library closes it */
	code = ext2fs_allocate_tables(w->fs);
	if (code)
		return ext4_fail(err, code, "place ext4 inode tables");
	return 0;
}

/* Enlarge until there is room for @format->blocks beside the file system's own blocks. */
static int ext4_layout_grow(struct ext4_writer *w, const struct ext4_format *format,
			    struct coffer_error *err)
{
	uint64_t blocks = format->blocks + format->inodes / (EXT4_BLOCK / EXT4_INODE_BYTES);

	blocks += EXT4_BLOCKS_MIN;
	for (int i = 0; i < EXT4_GROW_TRIES; i++) {
		uint64_t avail;
		int r;

		r = ext4_layout(w, format, blocks, format->inodes + EXT2_GOOD_OLD_FIRST_INO, err);
		if (r < 0)
			return r;
		avail = ext2fs_free_blocks_count(w->fs->super);
		if (avail >= format->blocks &&
		    w->fs->super->s_free_inodes_count >= format->inodes + EXT2_GOOD_OLD_FIRST_INO)
			return 0;
		blocks += avail < format->blocks ? format->blocks - avail : 0;
		blocks += EXT4_BLOCKS_MIN;
		ext2fs_free(w->fs);
		w->fs = NULL;
	}
	return err_internal(err, "no ext4 layout found for %llu blocks",
			    (unsigned long long)format->blocks);
}

static int ext4_identity(struct ext4_writer *w, struct coffer_error *err)
{
	struct ext2_super_block *sb = w->fs->super;

	sb->s_def_hash_version = EXT2_HASH_HALF_MD4;
	if (w->reproducible) {
		memcpy(sb->s_uuid, ext4_fixed_uuid, sizeof(sb->s_uuid));
		memcpy(sb->s_hash_seed, ext4_fixed_uuid, sizeof(sb->s_hash_seed));
		w->fs->now = w->epoch;
		sb->s_mkfs_time = (uint32_t)w->epoch;
		sb->s_lastcheck = (uint32_t)w->epoch;
		return 0;
	}
	if (getrandom(sb->s_uuid, sizeof(sb->s_uuid), 0) != sizeof(sb->s_uuid) ||
	    getrandom(sb->s_hash_seed, sizeof(sb->s_hash_seed), 0) != sizeof(sb->s_hash_seed))
		return err_sys(err, "read random bytes");
	sb->s_uuid[6] = (uint8_t)((sb->s_uuid[6] & 0x0f) | 0x40);
	sb->s_uuid[8] = (uint8_t)((sb->s_uuid[8] & 0x3f) | 0x80);
	return 0;
}

static void ext4_reserve_inodes(struct ext4_writer *w)
{
	for (ext2_ino_t ino = 1; ino < EXT2_FIRST_INODE(w->fs->super); ino++)
		ext2fs_inode_alloc_stats2(w->fs, ino, 1, ino == EXT2_ROOT_INO);
	w->last = EXT2_FIRST_INODE(w->fs->super) - 1;
}

static int ext4_writer_format(struct ext4_writer *w, const struct ext4_format *format,
			      struct coffer_error *err)
{
	off_t size;
	int r;

	/* What the format leaves out must read as zero: inode tables, above all. */
	if (ftruncate(w->fd, 0) < 0)
		return err_sys(err, "empty the image file");
	if (format->layers)
		r = ext4_layout(w, format, EXT4_LAYERS_BLOCKS, EXT4_LAYERS_INODES, err);
	else
		r = format->grow ? ext4_layout_grow(w, format, err)
				 : ext4_layout(w, format, format->blocks, format->inodes, err);
	if (r < 0)
		return r;
	r = ext4_identity(w, err);
	if (r < 0)
		return r;
	ext4_reserve_inodes(w);
	if (format->layers)
		return ext4_inode_reach(w, EXT2_ROOT_INO, err);
	size = (off_t)(format->grow ? ext2fs_blocks_count(w->fs->super) : format->blocks);
	if (ftruncate(w->fd, size * EXT4_BLOCK) < 0)
		return err_sys(err, "size the image file");
	return 0;
}

int ext4_writer_open(int fd, const struct ext4_format *format, struct ext4_writer **out,
		     struct coffer_error *err)
{
	CLEANUP(ext4_writer_freep) struct ext4_writer *w = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat the image file");
	if (!S_ISREG(st.st_mode))
		return err_invalid(err, "an image is written to a regular file only");
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_nomem(err);
	w->fd = fd;
	w->reproducible = format->reproducible;
	w->epoch = format->epoch;
	w->layers = format->layers;
	w->buffer = malloc(EXT4_COPY_BUFFER);
	w->pending = malloc(EXT4_PENDING);
	if (!w->buffer || !w->pending)
		return err_nomem(err);
	r = ext4_writer_format(w, format, err);
	if (r < 0)
		return r;
	*out = steal_ptr(w);
	return 0;
}

int ext4_writer_finish(struct ext4_writer *w, struct coffer_error *err)
{
	errcode_t code;
	int r;

	if (w->dirs || w->files)
		return err_state(err, "ext4 image has open entries");
	r = ext4_out_flush(w, err);
	if (r < 0)
		return r;
	/* Turning the cache off is the library's only way to write it out, and say whether that
	 * worked, without also syncing to disk, which is the caller's choice. */
	code = io_channel_set_options(w->fs->io, "cache=off");
	if (!code)
		code = ext2fs_close2(w->fs, EXT2_FLAG_FLUSH_NO_SYNC);
	if (code)
		return ext4_fail(err, code, "write ext4 image");
	w->fs = NULL;
	if (w->final_blocks && ftruncate(w->fd, (off_t)(w->final_blocks * EXT4_BLOCK)) < 0)
		return err_sys(err, "size the image file");
	return 0;
}

void ext4_writer_free(struct ext4_writer *w)
{
	while (w->dirs) {
		struct ext4_dir *dir = w->dirs;

		w->dirs = dir->next;
		free(dir->data);
		free(dir);
	}
	while (w->files) {
		struct ext4_file *file = w->files;

		w->files = file->next;
		ext4_map_free(&file->map);
		free(file);
	}
	if (w->late)
		ext2fs_free_block_bitmap(w->late);
	if (w->fs)
		ext2fs_free(w->fs);
	free(w->pending);
	free(w->buffer);
	free(w);
}

/* The blocks are zero in a fresh file, so nothing is written but the journal's head. */
static int ext4_add_journal(struct ext4_writer *w, struct coffer_error *err)
{
	int blocks = ext2fs_default_journal_size(ext2fs_blocks_count(w->fs->super));
	errcode_t code;

	if (blocks < 0)
		return err_invalid(err, "an ext4 image needs at least %u MiB to have a journal",
				   EXT4_JOURNAL_MIN >> 20);
	code = ext2fs_add_journal_inode(w->fs, (blk_t)blocks,
					EXT2_MKJOURNAL_NO_MNT_CHECK | EXT2_MKJOURNAL_LAZYINIT);
	return code ? ext4_fail(err, code, "make the journal") : 0;
}

int ext4_create_empty(int out_fd, uint64_t size, bool journal, struct coffer_error *err)
{
	static const struct ext4_xattrs no_xattrs;
	CLEANUP(ext4_writer_freep) struct ext4_writer *w = NULL;
	struct ext4_meta meta = { .mode = S_IFDIR | 0755 };
	/* The last block that 32 bits can count is missing from the largest. */
	struct ext4_format format = { .blocks = size == (uint64_t)EXT4_BLOCK << 32
							? EXT4_BLOCKS_MAX
							: size / EXT4_BLOCK };
	struct ext4_dir *root = NULL;
	uint64_t inodes = size / EXT4_BYTES_PER_INODE;
	int r;

	if (format.blocks < EXT4_BLOCKS_MIN)
		return err_invalid(err, "an ext4 image needs at least %u KiB",
				   EXT4_BLOCKS_MIN * EXT4_BLOCK / 1024);
	format.inodes = inodes > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)inodes;
	clock_gettime(CLOCK_REALTIME, &meta.mtime);
	meta.atime = meta.ctime = meta.mtime;
	r = ext4_writer_open(out_fd, &format, &w, err);
	if (r < 0)
		return r;
	r = ext4_dir_open(w, NULL, "", &meta, &root, err);
	if (r < 0)
		return r;
	r = ext4_dir_close(w, root, &no_xattrs, err);
	if (r == 0 && journal)
		r = ext4_add_journal(w, err);
	return r < 0 ? r : ext4_writer_finish(w, err);
}
