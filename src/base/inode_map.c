/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/inode_map.c - what is known of inodes met on a walk
 *
 * Mostly for files with more than one hard link: the second name found becomes
 * a link to what the first one made.  Open addressing, at most half full.
 */
#include "base/inode_map.h"

#include <errno.h>
#include <stdlib.h>

#define INODE_MAP_MIN 64

/* The slot that holds the key, or the empty one where it belongs. */
static struct inode_map_slot *inode_map_find(struct inode_map_slot *slots, size_t room,
					     uint64_t dev, uint64_t ino)
{
	size_t i = (size_t)((ino + dev * 31) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (room - 1);

	while (slots[i].value && (slots[i].dev != dev || slots[i].ino != ino))
		i = (i + 1) & (room - 1);
	return &slots[i];
}

static int inode_map_grow(struct inode_map *map)
{
	size_t room = map->room ? map->room * 2 : INODE_MAP_MIN;
	struct inode_map_slot *slots = calloc(room, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < map->room; i++) {
		const struct inode_map_slot *s = &map->slots[i];

		if (s->value)
			*inode_map_find(slots, room, s->dev, s->ino) = *s;
	}
	free(map->slots);
	map->slots = slots;
	map->room = room;
	return 0;
}

uint32_t inode_map_get(const struct inode_map *map, uint64_t dev, uint64_t ino)
{
	return map->room ? inode_map_find(map->slots, map->room, dev, ino)->value : 0;
}

int inode_map_put(struct inode_map *map, uint64_t dev, uint64_t ino, uint32_t value)
{
	if (map->count * 2 >= map->room) {
		int r = inode_map_grow(map);

		if (r < 0)
			return r;
	}
	*inode_map_find(map->slots, map->room, dev, ino) =
	    (struct inode_map_slot){ .dev = dev, .ino = ino, .value = value };
	map->count++;
	return 0;
}

void inode_map_free(struct inode_map *map)
{
	free(map->slots);
	*map = (struct inode_map){ 0 };
}
