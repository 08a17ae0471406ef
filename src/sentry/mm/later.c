/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/mm/space.h"
#include <errno.h>
#include <string.h>
#include "sentry/vfs/file.h"
int mm_remap(struct mm *mm, struct task *task, uint64_t old, uint64_t old_len, uint64_t new_len,
	     int flags, uint64_t new_addr, uint64_t *out)
{
	return -ENOSYS;
}
int mm_advise(struct mm *mm, uint64_t addr, uint64_t len, int advice)
{
	return -ENOSYS;
}
int mm_sync(struct mm *mm, uint64_t addr, uint64_t len, int flags)
{
	return -ENOSYS;
}
void mm_invalidate(struct mappable *m, uint64_t offset, uint64_t len)
{
}
void mm_usage(struct mm *mm, struct mm_usage *out)
{
	*out = mm->info;
}
int mm_print_maps(struct mm *mm, struct buf *out)
{
	return -ENOSYS;
}
int mm_print_smaps(struct mm *mm, struct buf *out)
{
	return -ENOSYS;
}
int mm_auxv(struct mm *mm, struct buf *out)
{
	return -ENOSYS;
}
struct file *mm_exe(struct mm *mm)
{
	return mm->exe ? file_get(mm->exe) : NULL;
}
