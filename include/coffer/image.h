/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/image.h - images of containers: from a registry's name to a root file
 * system that a machine boots, without root
 *
 *	coffer_images_open(NULL, &images, err);
 *	coffer_image_pull(images, "redis", NULL, &image, err);
 *	coffer_image_rootfs(image, NULL, &rootfs, err);
 *	config.rootfs = rootfs;            the rest: coffer_image_get_config()
 *	coffer_image_free(image);
 *	coffer_images_close(images);
 *
 * A store is an OCI image layout (image-spec 1.0) below $COFFER_DATA, with the
 * root file systems that were built from what is in it.  Any number of
 * processes and threads may use one at once.  What is being used, by an open
 * image or by a transfer, is never removed under its user.
 *
 * Everything that comes from a registry or an archive is checked before it is
 * believed: digests, sizes, media types, every entry of every layer.  What is
 * refused leaves nothing behind; a transfer that breaks off leaves parts from
 * which the next one goes on.
 *
 * Functions return 0 or a negative errno and then fill *err (which may be
 * NULL).  Strings handed in are copied or not needed after the call.
 */
#ifndef COFFER_IMAGE_H
#define COFFER_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The image that is always there: busybox, which machines have built in. */
#define COFFER_IMAGE_BUILTIN "coffer/hello"

struct coffer_images; /* a store, opened */
struct coffer_image;  /* one image in it, for one platform; it does not change */

/* Begin with COFFER_IMAGES_CONFIG_INIT. */
struct coffer_images_config {
	size_t size;
	const char *dir;      /* absolute. NULL: images below $COFFER_DATA, else below
			       * /var/lib/coffer for root, $XDG_DATA_HOME/coffer or
			       * ~/.local/share/coffer for others */
	const char *settings; /* registries.json. NULL: $COFFER_REGISTRIES, else
			       * $XDG_CONFIG_HOME/coffer/registries.json (~/.config), else
			       * /etc/coffer/registries.json, else the defaults */
	const char *auth;     /* docker's config.json. NULL: $REGISTRY_AUTH_FILE, else
			       * $DOCKER_CONFIG/config.json, else ~/.docker/config.json */
};
#define COFFER_IMAGES_CONFIG_INIT { .size = sizeof(struct coffer_images_config) }

/* coffer_images_open() - @config: NULL: the defaults. The store is made when missing */
COFFER_PUBLIC int coffer_images_open(const struct coffer_images_config *config,
				     struct coffer_images **out, struct coffer_error *err);
/* coffer_images_close() - After all images of it have been freed */
COFFER_PUBLIC void coffer_images_close(struct coffer_images *images);

/* How a call that takes long is going. */
enum coffer_progress_kind {
	COFFER_PROGRESS_RESOLVED,  /* what: the digest that the name stands for */
	COFFER_PROGRESS_BLOB,      /* what: its digest; done of total bytes */
	COFFER_PROGRESS_BLOB_HAVE, /* it is there already */
	COFFER_PROGRESS_BLOB_DONE,
	COFFER_PROGRESS_RETRY,     /* what: the reason */
	COFFER_PROGRESS_BUILD,     /* what: the image; done of total compressed bytes unpacked */
	COFFER_PROGRESS_BUILD_DONE,
};

struct coffer_progress {
	enum coffer_progress_kind kind;
	const char *what; /* valid during the call */
	uint64_t done, total;
};

/* For pull, push, rootfs, load ... Begin with COFFER_TRANSFER_INIT. */
struct coffer_transfer {
	size_t size;
	const char *platform; /* "os/arch[/variant]". NULL: this machine's */
	bool all_platforms;   /* pull, push, save: the whole index */
	unsigned parallel;    /* blobs at once, at most 16; 0: 4 */
	/* Called from threads of the library, one at a time. NULL: nobody is interested */
	void (*progress)(void *data, const struct coffer_progress *p);
	void *data;
	int cancel_fd; /* readable: fail with cancelled; -1: never */
};
#define COFFER_TRANSFER_INIT { .size = sizeof(struct coffer_transfer), .cancel_fd = -1 }

/**
 * coffer_image_pull() - Fetch what is missing of an image, and name it
 * @name:	As docker's: "redis", "localhost:5000/a/b:tag@sha256:..."
 * @out:	Set to the image; may be NULL
 *
 * When the registry's image is the one that is here already, this is one request.
 * The root file system is built meanwhile.
 *
 * Errors: invalid-argument (name; also everything malformed that the registry
 * sends), not-found, timeout, cancelled, unsupported (media types), interrupted
 * (network), invalid-state (refused: login is needed)
 */
COFFER_PUBLIC int coffer_image_pull(struct coffer_images *images, const char *name,
				    const struct coffer_transfer *how, struct coffer_image **out,
				    struct coffer_error *err);
/* coffer_image_push() - @name: in the store, and where it goes. Errors: as pull */
COFFER_PUBLIC int coffer_image_push(struct coffer_images *images, const char *name,
				    const struct coffer_transfer *how, struct coffer_error *err);

/**
 * coffer_image_find() - An image of the store
 * @name:	Also its id, or the beginning of exactly one
 * @platform:	NULL: this machine's, else the only one that is here
 *
 * COFFER_IMAGE_BUILTIN is always found, also with @images NULL: then nothing has to be
 * opened, and the image is only to be asked what it says, and for its root.
 *
 * Errors: not-found, invalid-argument (several begin so)
 */
COFFER_PUBLIC int coffer_image_find(struct coffer_images *images, const char *name,
				    const char *platform, struct coffer_image **out,
				    struct coffer_error *err);
COFFER_PUBLIC void coffer_image_free(struct coffer_image *image);

/* These strings are the image's. */
/* coffer_image_id() - Digest of its configuration, as docker shows it */
COFFER_PUBLIC const char *coffer_image_id(const struct coffer_image *image);
/* coffer_image_digest() - Of what the name stands for: an index or a manifest */
COFFER_PUBLIC const char *coffer_image_digest(const struct coffer_image *image);
/* coffer_image_platform() - "linux/amd64" */
COFFER_PUBLIC const char *coffer_image_platform(const struct coffer_image *image);

/* What an image says about how to run it; lists are NULL-terminated, all NULL when not said. */
struct coffer_image_config {
	size_t size; /* set by the caller */
	const char *const *entrypoint;
	const char *const *cmd;
	const char *const *env; /* "NAME=value" */
	const char *const *volumes;
	const char *const *ports;  /* "6379/tcp" */
	const char *const *labels; /* "key=value" */
	const char *user;
	const char *workdir;
	const char *stop_signal; /* "SIGTERM" or a number */
};

/* coffer_image_get_config() - Fill *@out with what belongs to @image and lives as long */
COFFER_PUBLIC void coffer_image_get_config(const struct coffer_image *image,
					   struct coffer_image_config *out);

struct coffer_container_config;
struct coffer_process_config;

/**
 * coffer_image_apply() - Complete a container's configuration by what its image says
 * @entrypoint:	Instead of the image's, whose cmd is not used then either; NULL: the image's
 * @config:	Its labels and stop signal; what it says already wins
 * @process:	Likewise; its args (NULL: none) are instead of the image's cmd
 * @block:	Set to memory that both refer to now; free(3) it after coffer_container_new()
 *
 * Not done here: rootfs (coffer_image_rootfs()) and platform (coffer_image_platform()).
 *
 * Errors: invalid-argument (there is no program to run)
 */
COFFER_PUBLIC int coffer_image_apply(const struct coffer_image_config *said,
				     const char *const *entrypoint,
				     struct coffer_container_config *config,
				     struct coffer_process_config *process, void **block,
				     struct coffer_error *err);

/**
 * coffer_image_rootfs() - Its root file system, built if it has not been yet
 * @path:	Set to a string of @image's: an ext4 image to be read only, for
 *		coffer_container_config.rootfs, or NULL: the built-in one
 *
 * Built once for every chain of layers, and there until @image is freed and a
 * prune or remove takes it.
 *
 * Errors: invalid-argument (an entry of a layer is refused: it and its layer are
 * named), unsupported (another media type), internal (no space ...), cancelled
 */
COFFER_PUBLIC int coffer_image_rootfs(struct coffer_image *image, const struct coffer_transfer *how,
				      const char **path, struct coffer_error *err);

/*
 * JSON texts, freed by the caller with free(3).
 */
/* coffer_images_list() - Array of objects, newest first: names, id, digest, manifest (the digest
 * of the one for this platform), created, size (of its blobs), platform, builtin */
COFFER_PUBLIC int coffer_images_list(struct coffer_images *images, char **json,
				     struct coffer_error *err);
/* coffer_image_inspect() - One object: what docker image inspect says, and as Rootfs the path of
 * what is built, or null */
COFFER_PUBLIC int coffer_image_inspect(struct coffer_image *image, char **json,
				       struct coffer_error *err);
/* coffer_image_history() - Array, newest first: id, created, created_by, size (of the layer's
 * blob), comment */
COFFER_PUBLIC int coffer_image_history(struct coffer_image *image, char **json,
				       struct coffer_error *err);

/* coffer_image_tag() - One more name. Errors: not-found, invalid-argument (@name) */
COFFER_PUBLIC int coffer_image_tag(struct coffer_image *image, const char *name,
				   struct coffer_error *err);
/* coffer_images_untag() - Take a name away; what has none is gone with the next prune */
COFFER_PUBLIC int coffer_images_untag(struct coffer_images *images, const char *name,
				      struct coffer_error *err);
/**
 * coffer_images_remove() - A name, and with the last one the image and what only it needs
 * @name:	Also an id; then all names are taken, if @force or if it is only one
 */
COFFER_PUBLIC int coffer_images_remove(struct coffer_images *images, const char *name, bool force,
				       struct coffer_error *err);

struct coffer_prune {
	size_t size; /* set by the caller */
	uint64_t blobs, roots, parts; /* how many were removed */
	uint64_t bytes;
};

/* coffer_images_prune() - Remove what no name leads to and nobody uses. @all: also images with
 * names. Transfers go on meanwhile */
COFFER_PUBLIC int coffer_images_prune(struct coffer_images *images, bool all,
				      struct coffer_prune *out, struct coffer_error *err);
/**
 * coffer_images_check() - Verify everything in the store
 * @found:	Called for each fault, in words; may be NULL
 * @repair:	Remove what is faulty, so that the next pull fetches it
 *
 * Return: how many faults there are, or negative errno
 */
COFFER_PUBLIC int coffer_images_check(struct coffer_images *images, bool repair,
				      void (*found)(void *data, const char *fault), void *data,
				      struct coffer_error *err);

enum coffer_archive_kind {
	COFFER_ARCHIVE_DOCKER, /* what docker save makes */
	COFFER_ARCHIVE_OCI,    /* an OCI image layout in a tar */
	COFFER_ARCHIVE_OCI_DIR,
};

/* coffer_images_save() - Images by name, to @fd, or into the directory that it is (OCI_DIR) */
COFFER_PUBLIC int coffer_images_save(struct coffer_images *images, const char *const *names,
				     enum coffer_archive_kind kind, int fd,
				     const struct coffer_transfer *how, struct coffer_error *err);
/**
 * coffer_images_load() - What save has made, ours or others'
 * @fd:		A tar, compressed or not, or a directory; which kind is found out
 * @loaded:	Called with each name, or the id of an image without one; may be NULL
 */
COFFER_PUBLIC int coffer_images_load(struct coffer_images *images, int fd,
				     const struct coffer_transfer *how,
				     void (*loaded)(void *data, const char *name), void *data,
				     struct coffer_error *err);
/* coffer_images_import() - A tar of a root file system as an image of one layer. @changes:
 * Dockerfile lines ("CMD ...", "ENV ..."), NULL-terminated or NULL. @name: may be NULL */
COFFER_PUBLIC int coffer_images_import(struct coffer_images *images, int fd, const char *name,
				       const char *const *changes, const char *message,
				       const struct coffer_transfer *how, struct coffer_image **out,
				       struct coffer_error *err);

/**
 * coffer_images_login() - Ask a registry whether it takes a password, and keep it
 *
 * In the file coffer_images_config.auth names, or with the helper that it names.
 *
 * Errors: invalid-state (refused), interrupted
 */
COFFER_PUBLIC int coffer_images_login(struct coffer_images *images, const char *registry,
				      const char *user, const char *password,
				      struct coffer_error *err);
/* coffer_images_logout() - Errors: not-found */
COFFER_PUBLIC int coffer_images_logout(struct coffer_images *images, const char *registry,
				       struct coffer_error *err);

/**
 * coffer_image_bundle() - The image as an OCI runtime bundle: config.json and rootfs/
 * @dir:	Made; must not exist, or be empty
 *
 * As an ordinary user within a user namespace of its own, with the ids of
 * /etc/subuid and /etc/subgid; without them, or without newuidmap, all files are
 * the caller's and the program runs as root.  config.json asks for the same
 * namespace.  Volumes are directories of the root.  On failure nothing stays.
 *
 * Errors: already-exists (@dir is not empty), invalid-argument (an entry of a
 * layer is refused), unsupported (an owner that is none of the ids), cancelled
 */
COFFER_PUBLIC int coffer_image_bundle(struct coffer_image *image, const char *dir,
				      const struct coffer_transfer *how, struct coffer_error *err);

struct coffer_container;

/**
 * coffer_container_export() - Its root as a tar, to @fd, while started
 *
 * What is mounted there is not part of it.  Byte for byte as it comes out of the
 * container: unpack it like any archive of a stranger.  Progress tells bytes,
 * with a total of 0.
 */
COFFER_PUBLIC int coffer_container_export(struct coffer_container *container, int fd,
					  const struct coffer_transfer *how,
					  struct coffer_error *err);
/**
 * coffer_container_commit() - What it has written as a new layer on the image it was made of
 * @base:	That image. NULL, or the built-in one, which has no layers: its whole root is the
 *		only layer
 * @name:	May be NULL
 * @changes:	As for coffer_images_import()
 * @message:	The comment of the layer in the history; may be NULL
 * @pause:	Have its processes stand still meanwhile
 *
 * While started.  Mounts are not part of it, and of /etc/hosts, hostname and
 * resolv.conf a layer has nothing: they are the container's.
 *
 * Errors: invalid-state, unsupported (it has no layer of its own; names that
 * begin with ".wh.", which layers cannot have), invalid-argument (@changes)
 */
COFFER_PUBLIC int coffer_container_commit(struct coffer_container *container,
					  struct coffer_images *images, struct coffer_image *base,
					  const char *name, const char *const *changes,
					  const char *message, bool pause,
					  const struct coffer_transfer *how,
					  struct coffer_image **out, struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_IMAGE_H */
