/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stub/stub.S - what runs in a stub beside the guest
 *
 *	zygote, spawner  wait for a byte on the socket, do what the control page says, answer
 *	mapper           an event; what the control page lists; the next event with its outcome
 *	thread           gets its stack and its filter, traps once: its handler is where it is parked
 *	handler          every signal of a guest thread: one event, then back to where the answer says
 *
 * Guest code shares this address space. So there is no stack and no variable here: all state is
 * in registers, constants are in the text, and what the spawner and the mapper are told stands in
 * the control page, which is mapped read-only. Nothing that is in a slot is believed. A guest
 * thread that jumps in here can do what its filter leaves it: an event of its own, which counts
 * only if it comes from the handler's instruction, and rt_sigreturn.
 */
#include <asm/unistd_64.h>
#include "sentry/trap/layout.h"

#define CLONE_FLAGS_THREAD 0x50f00 /* VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */
#define CLONE_PARENT	   0x8000
#define PR_SET_PDEATHSIG   1
#define SIGKILL		   9
#define SIG_SETMASK	   2
#define EBADF		   9
#define MSG_NOSIGNAL	   0x4000
#define MSG_TRUNC	   0x20
#define AF_UNIX		   1
#define SOCK_SEQPACKET	   5
#define PROT_READ	   1
#define PROT_WRITE	   2
#define MAP_SHARED_FIXED   0x11
#define FUTEX_WAIT	   0
#define FUTEX_WAKE	   1
#define SECCOMP_SET_FILTER 1
#define FILTER_LISTENER	   0x28 /* NEW_LISTENER, WAIT_KILLABLE_RECV */

/* In the scratch words: a struct msghdr, an iovec, the bytes, and a control message. */
#define SCRATCH		(TRAP_SLOTS + TRAP_SLOT_SCRATCH)
#define SCRATCH_IOV	56
#define SCRATCH_BYTES	72
#define SCRATCH_CONTROL 80
#define SCRATCH_FDS	(128 - SCRATCH_CONTROL)

	.macro	sys nr
	mov	$\nr, %eax
	syscall
	.endm

	.text
	.globl	_start, trap_handler_notify, trap_handler_signal

_start:
	mov	%rsp, %rdi
	xor	%ebp, %ebp
	call	zygote_setup		/* the only C, on the stack that exec made; returns its place */
	mov	%rax, %rdi
	mov	%rdx, %rsi
	sys	__NR_munmap
	movabs	$TRAP_CONTROL, %rbx
	movabs	$SCRATCH, %r12

/* --- spawner; rbx the control page, r12 scratch --- */

/* Listening leaves the kernel no pointer of a guest's choice, which would be written through when
 * the stub is another's. Where descriptors come along there has to be a message head; such a stub
 * is never used again. */
spawner:
	mov	$TRAP_FD_SOCKET, %edi
	cmpl	$0, TRAP_CONTROL_SIGNAL(%rbx)
	jne	1f
	xor	%esi, %esi
	xor	%edx, %edx
	mov	$MSG_TRUNC, %r10d
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	sys	__NR_recvfrom
	jmp	2f
1:	movq	$0, 0(%r12)
	movq	$0, 8(%r12)
	lea	SCRATCH_IOV(%r12), %rax
	mov	%rax, 16(%r12)
	movq	$1, 24(%r12)
	lea	SCRATCH_CONTROL(%r12), %rax
	mov	%rax, 32(%r12)
	movq	$SCRATCH_FDS, 40(%r12)
	movq	$0, 48(%r12)
	lea	SCRATCH_BYTES(%r12), %rax
	mov	%rax, SCRATCH_IOV(%r12)
	movq	$1, SCRATCH_IOV+8(%r12)
	mov	%r12, %rsi
	xor	%edx, %edx
	sys	__NR_recvmsg
2:
	test	%rax, %rax
	jle	die			/* the sentry has gone */
	mov	TRAP_CONTROL_WHAT(%rbx), %eax
	cmp	$TRAP_DO_THREAD, %eax
	je	spawn_thread
	cmp	$TRAP_DO_OPS, %eax
	je	spawn_ops
	cmp	$TRAP_DO_MAPPER, %eax
	je	spawn_mapper
	cmp	$TRAP_DO_STUB, %eax
	je	spawn_stub
die:
	mov	$1, %edi
	sys	__NR_exit_group
	ud2

/* The zygote's. A pair of sockets; the child has one, the sentry gets the other with its id. */
spawn_stub:
	mov	$AF_UNIX, %edi
	mov	$SOCK_SEQPACKET, %esi
	xor	%edx, %edx
	lea	SCRATCH_BYTES(%r12), %r10
	sys	__NR_socketpair		/* _TRANSIT and the next one */
	test	%rax, %rax
	js	1f
	mov	TRAP_CONTROL_AREA(%rbx), %r13
	mov	TRAP_CONTROL_AREA+8(%rbx), %r14
	mov	TRAP_CONTROL_AREA+16(%rbx), %r15
	mov	$CLONE_PARENT, %edi
	xor	%esi, %esi
	xor	%edx, %edx
	xor	%r10d, %r10d
	xor	%r8d, %r8d
	sys	__NR_clone
	test	%rax, %rax
	jz	stub
1:	mov	%rax, SCRATCH_BYTES(%r12)
	mov	%rax, %r13
	test	%rax, %rax
	js	2f
	lea	message(%rip), %rsi
	mov	$TRAP_FD_SOCKET, %edi
	mov	$MSG_NOSIGNAL, %edx
	sys	__NR_sendmsg
	jmp	3f
2:	mov	$TRAP_FD_SOCKET, %edi
	lea	SCRATCH_BYTES(%r12), %rsi
	mov	$8, %edx
	mov	$MSG_NOSIGNAL, %r10d
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	sys	__NR_sendto
3:	mov	$TRAP_FD_TRANSIT, %edi
	sys	__NR_close
	mov	$TRAP_FD_TRANSIT+1, %edi
	sys	__NR_close
	jmp	spawner

stub:
	mov	$TRAP_FD_TRANSIT+1, %edi
	mov	$TRAP_FD_SOCKET, %esi
	sys	__NR_dup2
	mov	$TRAP_FD_TRANSIT, %edi
	sys	__NR_close
	mov	$TRAP_FD_TRANSIT+1, %edi
	sys	__NR_close
	mov	$PR_SET_PDEATHSIG, %edi
	mov	$SIGKILL, %esi
	sys	__NR_prctl
	mov	%rbx, %rdi
	mov	$4096, %esi
	mov	$PROT_READ, %edx
	mov	$MAP_SHARED_FIXED, %r10d
	mov	$TRAP_FD_CONTROL, %r8d
	mov	%r13, %r9
	sys	__NR_mmap
	cmp	%rax, %rbx
	jne	die
	movabs	$TRAP_SLOTS, %rdi
	mov	%r15, %rsi
	mov	$PROT_READ | PROT_WRITE, %edx
	mov	$MAP_SHARED_FIXED, %r10d
	mov	$TRAP_FD_CONTROL, %r8d
	mov	%r14, %r9
	mov	%rdi, %r13
	sys	__NR_mmap
	cmp	%rax, %r13
	jne	die
	jmp	spawner

/* A thread of this process that begins at r13. Where it makes a listener, that is at _TRANSIT
 * when it is there. */
spawn_mapper:
	lea	mapper(%rip), %r13
	jmp	1f
spawn_thread:
	lea	thread(%rip), %r13
1:	mov	$CLONE_FLAGS_THREAD, %edi
	xor	%esi, %esi
	xor	%edx, %edx
	xor	%r10d, %r10d
	xor	%r8d, %r8d
	sys	__NR_clone
	test	%rax, %rax
	jnz	2f
	jmp	*%r13
2:	mov	%rax, SCRATCH_BYTES(%r12)
	js	3f
	cmpl	$0, TRAP_CONTROL_SIGNAL(%rbx)
	jne	3f
4:	lea	message(%rip), %rsi
	mov	$TRAP_FD_SOCKET, %edi
	mov	$MSG_NOSIGNAL, %edx
	sys	__NR_sendmsg
	cmp	$-EBADF, %rax
	jne	5f
	sys	__NR_sched_yield	/* soon there: it gets its filter */
	jmp	4b
5:	mov	$TRAP_FD_TRANSIT, %edi
	sys	__NR_close
	jmp	spawner
3:	mov	$TRAP_FD_SOCKET, %edi
	lea	SCRATCH_BYTES(%r12), %rsi
	mov	$8, %edx
	mov	$MSG_NOSIGNAL, %r10d
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	sys	__NR_sendto
	jmp	spawner

/* Where there is no mapper. The outcome is the length of the answer, for bytes could be forged. */
spawn_ops:
	lea	1f(%rip), %r15
	jmp	ops
1:	mov	%r13, %rdx
	inc	%rdx
	mov	$TRAP_FD_SOCKET, %edi
	lea	_start(%rip), %rsi
	mov	$MSG_NOSIGNAL, %r10d
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	sys	__NR_sendto
	jmp	spawner

/* Everything in the list until one fails; then to r15 with its errno, or 0, in r13. */
ops:
	mov	TRAP_CONTROL_NOPS(%rbx), %ebp
	lea	TRAP_CONTROL_OPS(%rbx), %r14
	xor	%r13d, %r13d
1:	sub	$1, %ebp
	js	2f
	mov	8(%r14), %rdi
	mov	16(%r14), %rsi
	mov	24(%r14), %rdx
	mov	32(%r14), %r10
	mov	40(%r14), %r8
	mov	48(%r14), %r9
	mov	0(%r14), %rax
	syscall
	add	$TRAP_OP_SIZE, %r14
	cmp	$-4095, %rax
	jb	1b
	mov	%rax, %r13
	neg	%r13
2:	jmp	*%r15

/* --- mapper; rbx as in the spawner --- */

mapper:
	mov	$SECCOMP_SET_FILTER, %edi
	mov	$FILTER_LISTENER, %esi
	lea	trap_filter_mapper(%rip), %rdx
	sys	__NR_seccomp
	test	%rax, %rax
	js	die
	lea	1f(%rip), %r15
	xor	%r13d, %r13d
1:	mov	%r13, %rdi
	sys	TRAP_EVENT_CALL
	test	%rax, %rax
	js	die
	jmp	ops

/* --- guest threads --- */

thread:
	lea	TRAP_CONTROL_STACK(%rbx), %rdi
	xor	%esi, %esi
	sys	__NR_sigaltstack
	mov	$SIG_SETMASK, %edi
	lea	zeros(%rip), %rsi
	xor	%edx, %edx
	mov	$8, %r10d
	sys	__NR_rt_sigprocmask
	mov	$SECCOMP_SET_FILTER, %edi
	mov	$FILTER_LISTENER, %esi
	lea	trap_filter_notify(%rip), %rdx
	cmpl	$0, TRAP_CONTROL_SIGNAL(%rbx)
	je	1f
	xor	%esi, %esi
	lea	trap_filter_signal(%rip), %rdx
1:	sys	__NR_seccomp
	test	%rax, %rax
	js	die
	ud2

/* rdi signal, rsi siginfo, rdx ucontext. The event's arguments go where the call wants them. */
	.macro	event_args
	mov	8(%rsi), %eax
	shl	$32, %rax
	or	%rax, %rdi
	mov	24(%rsi), %r10
	mov	16(%rsi), %rax
	mov	%rdx, %rsi
	mov	%rax, %rdx
	rdfsbase %r8
	rdgsbase %r9
	.endm

trap_handler_notify:
	event_args
	sys	TRAP_EVENT_CALL
back:
	test	%rax, %rax
	jle	die			/* nobody listens any more */
	mov	%rax, %rsp
	mov	-TRAP_FS_BELOW(%rsp), %rdx
	wrfsbase %rdx
	mov	-TRAP_GS_BELOW(%rsp), %rdx
	wrgsbase %rdx
	sys	__NR_rt_sigreturn
	ud2

/* The same through the slot, which is where the alternate stack begins. */
trap_handler_signal:
	mov	16(%rdx), %rbx
	event_args
	mov	%rdi, TRAP_SLOT_ARGS(%rbx)
	mov	%rsi, TRAP_SLOT_ARGS+8(%rbx)
	mov	%rdx, TRAP_SLOT_ARGS+16(%rbx)
	mov	%r10, TRAP_SLOT_ARGS+24(%rbx)
	mov	%r8, TRAP_SLOT_ARGS+32(%rbx)
	mov	%r9, TRAP_SLOT_ARGS+40(%rbx)
	mov	$TRAP_SLOT_EVENT, %eax
	xchg	%eax, TRAP_SLOT_STATE(%rbx)
	mov	%rbx, %rdi
	mov	$FUTEX_WAKE, %esi
	mov	$1, %edx
	sys	__NR_futex
1:	mov	%rbx, %rdi
	mov	$FUTEX_WAIT, %esi
	mov	$TRAP_SLOT_EVENT, %edx
	xor	%r10d, %r10d
	sys	__NR_futex
	cmpl	$TRAP_SLOT_EVENT, TRAP_SLOT_STATE(%rbx)
	je	1b
	mov	TRAP_SLOT_ANSWER(%rbx), %rax
	jmp	back

/* --- constants --- */

	.section .rodata
	.balign	8
zeros:
	.quad	0
/* struct msghdr: eight bytes of scratch and the descriptor in transit. */
message:
	.quad	0, 0, message_iov, 1, message_control, 24, 0
message_iov:
	.quad	SCRATCH + SCRATCH_BYTES, 8
message_control:
	.quad	20
	.long	1, 1, TRAP_FD_TRANSIT, 0 /* SOL_SOCKET, SCM_RIGHTS */

	.section .note.GNU-stack,"",@progbits
