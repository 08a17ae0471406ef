/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/foreground.h - staying with a process: signals, terminal, end
 */
#ifndef OCI_FOREGROUND_H
#define OCI_FOREGROUND_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/spawn.h"

struct foreground {
	int signals; /* signalfd */
	int ptmx;    /* borrowed */
	int tty;     /* our terminal, for its size; borrowed */
	int notify;  /* see notify_listen(); owned */
};

#define FOREGROUND_INIT { .signals = -1, .ptmx = -1, .tty = -1, .notify = -1 }

/* foreground_begin() - Before the process is made: no signal is missed */
int foreground_begin(struct foreground *fg, struct coffer_error *err);
/* foreground_terminal() - Give @ptmx our window's size, and our own terminal raw mode */
int foreground_terminal(struct foreground *fg, int ptmx, struct coffer_error *err);
/**
 * foreground_wait() - Forward signals, copy the terminal, until @child has ended; reaps it
 *
 * Return: exit code, or negative errno
 */
int foreground_wait(struct foreground *fg, struct child *child, struct coffer_error *err);
/* foreground_free() - Also puts our terminal back */
void foreground_free(struct foreground *fg);
#define autoforeground CLEANUP(foreground_free)

#endif /* OCI_FOREGROUND_H */
