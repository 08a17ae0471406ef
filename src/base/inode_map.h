/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/inode_map.h - what is known of inodes met on a walk
 */
#ifndef BASE_INODE_MAP_H
#define BASE_INODE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct inode_map_slot {
	uint64_t dev;
	uint64_t ino;
	uint32_t value; /* 0: empty slot */
};

/* Starts all zero. */
struct inode_map {
	struct inode_map_slot *slots; /* owned; a power of two of them */
	size_t room;
	size_t count;
};

/* inode_map_get() - Return: what was put for the key, or 0 */
uint32_t inode_map_get(const struct inode_map *map, uint64_t dev, uint64_t ino);
/* inode_map_put() - Remember @value (not 0) for a key not in the map. Return: 0 or -ENOMEM */
int inode_map_put(struct inode_map *map, uint64_t dev, uint64_t ino, uint32_t value);
void inode_map_free(struct inode_map *map);

#endif /* BASE_INODE_MAP_H */
