/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/internal.h - the parts of this room
 *
 *	pool.c      spare stubs, the thread that makes them, the file of control pages and slots
 *	zygote.c    the process all stubs come from
 *	stub.c      one stub: made, emptied, ended; what its spawner is asked for
 *	map.c       changes of its address space
 *	thread.c    guest threads: made, parked, started
 *	cpu.c       processor time
 *	event.c     what comes from one and how it is answered; kicks
 *	frame.c     registers and floating point state in a signal frame
 *	listener.c  seccomp notifications
 *	slot.c      the same by futexes, where there are no listeners
 *
 * Locks: pool->lock (spares and areas; never over a trip) and stub->lock (its spawner and its
 * mapper; held over a trip). A thread's kick_lock is a leaf.
 */
#ifndef SENTRY_TRAP_INTERNAL_H
#define SENTRY_TRAP_INTERNAL_H

#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "sentry/kernel.h"
#include "sentry/trap/trap.h"

#define TRAP_STUBS_MAX	 8192u
#define TRAP_THREADS_MAX 4096u
#define TRAP_SPARE_MIN	 2u /* made ahead */
#define TRAP_SPARE_MAX	 8u /* kept of those that were used */

struct trap_pool {
	_Atomic enum trap_how how; /* becomes slower once, if it must */
	bool poll_first; /* the host's kernel does not end a wait for a listener that has died */
	int memory_fd;	 /* borrowed */
	int control_fd;	 /* control pages and slots of all stubs; area 0 is the zygote's */
	uint8_t *control;
	size_t slot_size, area_size;
	uint64_t vdso;
	size_t vdso_size;
	_Atomic uint64_t event_ip; /* of the handler's event */

	pthread_mutex_t zygote_lock; /* one request at a time */
	int zygote_sock;
	int zygote_pidfd;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* to the keeper: fewer spares, or the end */
	bool closing;
	struct trap_stub *spare, *all;
	unsigned nspare;
	uint64_t areas[TRAP_STUBS_MAX / 64]; /* in use */
	pthread_t keeper;
	bool has_keeper;
};

#define TRAP_FILES 8u

/* A host file in a stub's descriptor table, at TRAP_FD_FILES and its place. */
struct trap_file {
	uint64_t dev, ino, size;
	struct timespec changed;
	int flags;
	uint64_t used; /* when, in uses; 0: none */
};

struct trap_stub {
	struct trap_pool *pool;
	struct trap_stub *next;		 /* spare */
	struct trap_stub *prev_all, *next_all;
	pid_t pid;
	int pidfd;
	int sock;			 /* of the spawner */
	int mapper;			 /* the mapper's listener */
	uint64_t mapper_id;		 /* its event, waiting for an answer */
	unsigned area;
	struct trap_control *control;
	uint8_t *slots;
	struct trap_file files[TRAP_FILES];
	uint64_t file_uses;
	unsigned nslots;		 /* mapped in the stub */
	unsigned nthreads;
	struct trap_thread *threads;	 /* all there are, by next */
	bool many;			 /* this guest has had a second thread */
	pthread_mutex_t lock;
	_Atomic bool dead;
};

#define TRAP_RUNNING 1u /* of the state: guest code runs, or its next event is on its way here */

struct trap_thread {
	struct trap_stub *stub;
	struct trap_thread *next;
	unsigned index;
	struct trap_slot *slot;
	uint64_t slot_addr;	/* the same in the stub */
	int listener;
	_Atomic pid_t tid;	/* kicks read it while an event says it again */
	bool used;		/* stub->lock */
	bool started;		/* since it was made or found clean */
	bool lost;		/* where it goes from its event, or what its frame says, is the guest's */

	/* The owner's, or of who answers in its place: see trap_event_fd(). Who answers leaves them
	 * alone from then on, and the owner's next event comes after the answer. */
	unsigned serial;	/* of the last event, even */
	uint64_t id;		/* of the notification to answer */
	bool in_frame;		/* the event is a frame's; else a call's */
	uint64_t frame;		/* offset of its ucontext in the slot; 0: destroyed */
	uint64_t fp;		/* offset of the floating point image; 0: destroyed */
	uint64_t fs_base, gs_base;
	int call;		/* number and address of the last call that was answered */
	uint64_t call_ip;
	long call_value;
	bool kicked_before;	/* a kick was there before that answer: see event.c */
	bool again;		/* a kick that needs no trip: the same frame is the next event */
	int64_t cpu_shift;	/* stub->lock; see trap_thread_cpu() */
	uint64_t cpu_last;	/* stub->lock; while it was alive */

	_Atomic unsigned state; /* serial of an event that is served, plus TRAP_RUNNING */
	_Atomic bool kicked;
	_Atomic unsigned kicks; /* signals sent */
	unsigned kicks_seen;
	pthread_mutex_t kick_lock;
};

/* --- zygote.c --- */
int trap_zygote_start(struct trap_pool *pool, struct coffer_error *err);
void trap_zygote_end(struct trap_pool *pool);
/* trap_zygote_fork() - A process with its spawner running. Return: 0 or negative errno */
int trap_zygote_fork(struct trap_pool *pool, unsigned area, pid_t *pid, int *pidfd, int *sock);

/* --- pool.c --- */
int trap_area_get(struct trap_pool *pool);
void trap_area_put(struct trap_pool *pool, unsigned area);
/* trap_area_drop() - The slots @from on read as zeros, and take no memory */
void trap_area_drop(struct trap_pool *pool, unsigned area, unsigned from);
struct trap_control *trap_area_control(const struct trap_pool *pool, unsigned area);
uint8_t *trap_area_slots(const struct trap_pool *pool, unsigned area);
/* Offset of an area's slots in the control file */
uint64_t trap_area_offset(const struct trap_pool *pool, unsigned area);

/* --- stub.c --- */
int trap_stub_new(struct trap_pool *pool, struct trap_stub **out);
void trap_stub_free(struct trap_stub *stub); /* kills, reaps */
/* trap_stub_ask() - Have the spawner do @what, for which the control page is ready; @fds go along.
 * stub->lock held. @fd: NULL, or where the descriptor that comes with the answer goes, -1: none
 * came. A stub that does not answer is killed. Return: length of the answer, -ESRCH */
int trap_stub_ask(struct trap_stub *stub, uint64_t what, const int *fds, size_t nfds,
		  struct trap_reply *reply, int *fd);

/* --- map.c --- */
/* trap_ops_run() - The first calls of control->ops. stub->lock held. Return: 0, -ESRCH, negative errno */
int trap_ops_run(struct trap_stub *stub, size_t nops);

/* --- thread.c --- */
/* trap_thread_park() - Bring a thread whose call will not be answered into its handler: by a @kick,
 * or without one because nothing is mapped where it would return to. Return: 0 or -ESRCH */
int trap_thread_park(struct trap_thread *thread, bool kick);
/* trap_threads_clean() - All of a stub where nothing is mapped any more: parked, and as good as new.
 * Return: 0; -ESRCH: it was killed */
int trap_threads_clean(struct trap_stub *stub);
void trap_thread_free(struct trap_thread *thread);

/* --- cpu.c --- */
/* trap_cpu_begin() - Before a thread is used. stub->lock held. */
void trap_cpu_begin(struct trap_thread *thread);

/* --- event.c --- */
/* trap_event_receive() - The next one, unless the stub dies first: -ESRCH */
int trap_event_receive(struct trap_thread *thread, struct trap_event *event);
/* trap_thread_signal() - Send the kick */
void trap_thread_signal(struct trap_thread *thread);

/* --- frame.c --- */
/* trap_frame_learn() - From the first frame ever: what the processor's state looks like. Once. */
int trap_frame_learn(const struct trap_thread *thread);
/* trap_frame_find() - Whether @ucontext, an address in the stub, is a frame in this thread's slot;
 * sets frame and fp */
void trap_frame_find(struct trap_thread *thread, uint64_t ucontext);
/* trap_frame_make() - A whole frame from nothing, where the kernel would put it */
void trap_frame_make(struct trap_thread *thread, const struct trap_regs *regs, const void *fp);
/* trap_frame_sound() - Whether the last frame says that the alternate stack is the slot */
bool trap_frame_sound(const struct trap_thread *thread);
uint64_t trap_frame_word(const struct trap_thread *thread, unsigned which);
enum { TRAP_WORD_TRAPNO, TRAP_WORD_ERROR };
size_t trap_slot_size(void);

/* --- listener.c --- */
/* trap_listener_receive() - Return: 0, -ESRCH when nobody is left that could call */
int trap_listener_receive(const struct trap_pool *pool, int fd, struct seccomp_notif *out);
int trap_listener_answer(int fd, uint64_t id, long value);
/* trap_listener_sync() - Ask for the synchronous wake-up. Return: 0 or negative errno */
int trap_listener_sync(int fd);
int trap_listener_add(int fd, uint64_t id, int source, int target);
/* trap_listener_possible() - Whether this kernel has all flags that are needed */
bool trap_listener_possible(void);

/* --- slot.c --- */
int trap_slot_receive(struct trap_thread *thread, uint64_t args[6]);
void trap_slot_answer(struct trap_thread *thread, uint64_t value);

#endif /* SENTRY_TRAP_INTERNAL_H */
