/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory, semaphores and message queues: what is shared, what sleeps, what is left. */
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

#include "guest.h"

#define PAGE 4096

struct text {
	long type;
	char bytes[9000];
};

static key_t own_key; /* nobody else's, also on the host */

static void finish(pid_t pid)
{
	int status = 0;

	waitpid(pid, &status, 0);
	guest_show_status("child", status);
}

/* --- shared memory --- */

static void show_segment(const char *what, int id)
{
	struct shmid_ds ds;

	if (shmctl(id, IPC_STAT, &ds) < 0)
		printf("%s: %s\n", what, guest_answer(-1));
	else
		printf("%s: size %zu mode %o attached %lu private %d mine %d\n", what, ds.shm_segsz,
		       ds.shm_perm.mode, ds.shm_nattch, ds.shm_perm.__key == IPC_PRIVATE,
		       ds.shm_cpid == getpid());
	fflush(stdout);
}

/* An end is seen before its memory is gone, if somebody looks into that just then. */
static void await_attached(int id, unsigned long n)
{
	struct shmid_ds ds;

	while (shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch > n)
		usleep(1000);
}

static void test_shared(void)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE + 100, 0600);
	char *p = shmat(id, NULL, 0), *q;
	pid_t pid;

	strcpy(p, "parent");
	show_segment("attached", id);
	pid = fork();
	if (pid == 0) {
		printf("in the child: %s\n", p);
		strcpy(p + PAGE, "child");
		show_segment("forked", id);
		_exit(0);
	}
	finish(pid);
	await_attached(id, 1);
	printf("in the parent: %s\n", p + PAGE);
	q = shmat(id, NULL, SHM_RDONLY);
	printf("read-only: %s, %s\n", q + PAGE,
	       guest_answer(mprotect(q, PAGE, PROT_READ | PROT_WRITE)));
	show_segment("twice", id);
	munmap(p + PAGE, PAGE);
	show_segment("with a hole", id);
	printf("detach the middle: %s\n", guest_answer(shmdt(p + PAGE)));
	printf("detach: %s\n", guest_answer(shmdt(p)));
	printf("again: %s\n", guest_answer(shmdt(p)));
	show_segment("once", id);
	printf("remove: %s\n", guest_answer(shmctl(id, IPC_RMID, NULL)));
	show_segment("removed, attached", id);
	p = shmat(id, NULL, 0);
	printf("still: %s\n", p + PAGE);
	shmdt(p);
	shmdt(q);
	show_segment("gone", id);
}

static void test_segment_ends(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600);
	pid_t pid = fork();

	if (pid == 0) {
		shmat(id, NULL, 0);
		shmctl(id, IPC_RMID, NULL);
		show_segment("held by a process", id);
		raise(SIGKILL);
	}
	finish(pid);
	await_attached(id, 0);
	show_segment("after its end", id);
	id = shmget(IPC_PRIVATE, PAGE, 0600);
	shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "guest", "none", NULL);
		_exit(1);
	}
	finish(pid);
	await_attached(id, 1);
	show_segment("after the exec of a copy", id);
}

static void test_segment_places(void)
{
	int id = shmget(own_key, 100, IPC_CREAT | 0600);
	char *p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	printf("same: %d\n", shmget(own_key, 50, 0) == id);
	printf("larger: %s\n", guest_answer(shmget(own_key, 2 * PAGE, 0)));
	printf("exclusive: %s\n", guest_answer(shmget(own_key, 50, IPC_CREAT | IPC_EXCL)));
	printf("empty: %s\n", guest_answer(shmget(IPC_PRIVATE, 0, 0600)));
	printf("none: %s\n", guest_answer(shmget(own_key + (1 << 30), 1, 0)));
	printf("no id: %s\n", guest_answer((long)shmat(-1, NULL, 0)));
	printf("in the way: %s\n", guest_answer((long)shmat(id, p, 0)));
	printf("crooked: %s\n", guest_answer((long)shmat(id, p + 1, SHM_REMAP)));
	printf("nowhere: %s\n", guest_answer((long)shmat(id, NULL, SHM_REMAP)));
	printf("over it: %d\n", shmat(id, p + 1, SHM_RND | SHM_REMAP) == p);
	strcpy(p, "there");
	printf("%s\n", p);
	printf("detach: %s\n", guest_answer(shmdt(p)));
	printf("what: %s\n", guest_answer(shmctl(id, 99, NULL)));
	printf("to nowhere: %s\n", guest_answer(shmctl(id, IPC_STAT, (void *)8)));
	shmctl(id, IPC_RMID, NULL);
}

static void test_rights(void)
{
	int id = shmget(own_key, 100, IPC_CREAT | 0604), set, queue;
	struct sembuf op = { .sem_op = 1 };
	struct shmid_ds ds;

	if (getuid() != 0) {
		puts("not root");
		return;
	}
	set = semget(own_key, 1, IPC_CREAT | 0604);
	queue = msgget(own_key, IPC_CREAT | 0602);
	if (fork() == 0) {
		if (setgroups(0, NULL) || setgid(1000) || setuid(1000))
			abort();
		printf("write: %s\n", guest_answer((long)shmat(id, NULL, 0)));
		printf("read: %s\n", shmat(id, NULL, SHM_RDONLY) == (void *)-1 ? "no" : "yes");
		printf("get: %s\n", guest_answer(shmget(own_key, 0, 0600)));
		printf("remove: %s\n", guest_answer(shmctl(id, IPC_RMID, NULL)));
		printf("up: %s\n", guest_answer(semop(set, &op, 1)));
		printf("value: %d\n", semctl(set, 0, GETVAL));
		printf("receive: %s\n", guest_answer(msgrcv(queue, &ds, 8, 0, IPC_NOWAIT)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	shmctl(id, IPC_STAT, &ds);
	ds.shm_perm.uid = 1000;
	printf("give: %s\n", guest_answer(shmctl(id, IPC_SET, &ds)));
	if (fork() == 0) {
		if (setuid(1000))
			abort();
		printf("its own: %s\n", guest_answer(shmctl(id, IPC_RMID, NULL)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	semctl(set, 0, IPC_RMID);
	msgctl(queue, IPC_RMID, NULL);
}

/* --- semaphores --- */

static void await_sleeper(int set, int num, int cmd)
{
	while (semctl(set, num, cmd) != 1)
		usleep(1000);
}

static void operate_later(int set, struct sembuf op)
{
	if (fork() == 0) {
		printf("operated: %s\n", guest_answer(semop(set, &op, 1)));
		fflush(stdout);
		_exit(0);
	}
}

static void test_semaphores(void)
{
	struct sembuf both[] = { { 1, -2, 0 }, { 2, -4, IPC_NOWAIT } };
	unsigned short values[] = { 0, 2, 3 };
	int set = semget(IPC_PRIVATE, 3, 0600), r;

	semctl(set, 0, SETALL, values);
	printf("all or none: %s\n", guest_answer(semop(set, both, 2)));
	semctl(set, 0, GETALL, values);
	printf("%d %d %d\n", values[0], values[1], values[2]);
	operate_later(set, (struct sembuf){ 0, -5, 0 });
	await_sleeper(set, 0, GETNCNT);
	semctl(set, 0, SETVAL, 5);
	wait(NULL);
	printf("left: %d\n", semctl(set, 0, GETVAL));
	operate_later(set, (struct sembuf){ 1, 0, 0 });
	await_sleeper(set, 1, GETZCNT);
	both[1].sem_op = -3;
	r = semop(set, both, 2);
	wait(NULL);
	printf("all: %s\n", guest_answer(r));
	operate_later(set, (struct sembuf){ 0, -1, 0 });
	await_sleeper(set, 0, GETNCNT);
	semctl(set, 0, IPC_RMID);
	wait(NULL);
	printf("gone: %s\n", guest_answer(semctl(set, 0, GETVAL)));
}

static void test_undo(void)
{
	struct sembuf op = { 0, -3, SEM_UNDO }, steps[] = { { 0, 0, SEM_UNDO }, { 0, 1, 0 } };
	int set = semget(IPC_PRIVATE, 2, 0600);
	pid_t pid;

	semctl(set, 0, SETVAL, 4);
	pid = fork();
	if (pid == 0) {
		printf("down: %s\n", guest_answer(semop(set, &op, 1)));
		printf("value: %d\n", semctl(set, 0, GETVAL));
		fflush(stdout);
		raise(SIGKILL);
	}
	finish(pid);
	printf("undone: %d by it %d\n", semctl(set, 0, GETVAL), semctl(set, 0, GETPID) == pid);
	steps[0].sem_flg |= IPC_NOWAIT;
	printf("zero: %s\n", guest_answer(semop(set, steps, 2)));
	semctl(set, 0, IPC_RMID);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_semaphore_ends(void)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct timespec soon = { .tv_nsec = 10000000 }, bad = { .tv_nsec = -1 };
	int set = semget(own_key, 1, IPC_CREAT | 0600);
	struct sembuf op = { 0, -1, 0 };

	printf("in time: %s\n", guest_answer(semtimedop(set, &op, 1, &soon)));
	printf("no time: %s\n", guest_answer(semtimedop(set, &op, 1, &bad)));
	sigaction(SIGALRM, &action, NULL);
	ualarm(20000, 20000); /* the first one may come too early */
	printf("signal: %s\n", guest_answer(semop(set, &op, 1)));
	ualarm(0, 0);
	printf("more: %s\n", guest_answer(semget(own_key, 2, 0)));
	printf("too many: %s\n", guest_answer(semget(IPC_PRIVATE, 32001, 0600)));
	printf("no such: %s\n", guest_answer(semctl(set, 1, GETVAL)));
	printf("too high: %s\n", guest_answer(semctl(set, 0, SETVAL, 32768)));
	op.sem_op = 32767;
	printf("up: %s\n", guest_answer(semop(set, &op, 1)));
	printf("higher: %s\n", guest_answer(semop(set, &op, 1)));
	op.sem_num = 1;
	printf("beside it: %s\n", guest_answer(semop(set, &op, 1)));
	printf("nothing: %s\n", guest_answer(semop(set, &op, 0)));
	semctl(set, 0, IPC_RMID);
	printf("gone: %s\n", guest_answer(semop(set, &op, 1)));
}

/* --- messages --- */

static struct text text;

static void send_word(int queue, long type, const char *word)
{
	text.type = type;
	strcpy(text.bytes, word);
	printf("send %s: %s\n", word, guest_answer(msgsnd(queue, &text, strlen(word) + 1, 0)));
}

static void receive(int queue, size_t room, long type, int flags)
{
	ssize_t n;

	memset(&text, 0, sizeof(text));
	n = msgrcv(queue, &text, room, type, flags);
	if (n < 0)
		printf("receive %ld: %s\n", type, guest_answer(n));
	else
		printf("receive %ld: %zd, %ld %s\n", type, n, text.type, text.bytes);
}

static void test_messages(void)
{
	int queue = msgget(own_key, IPC_CREAT | 0600);
	struct msqid_ds ds;

	send_word(queue, 3, "three");
	send_word(queue, 1, "one");
	send_word(queue, 2, "two");
	msgctl(queue, IPC_STAT, &ds);
	printf("%lu messages, %lu bytes of %lu\n", ds.msg_qnum, ds.__msg_cbytes, ds.msg_qbytes);
	receive(queue, 100, -2, 0);
	receive(queue, 100, 3, MSG_EXCEPT);
	receive(queue, 3, 0, 0);
	receive(queue, 3, 0, MSG_NOERROR);
	receive(queue, 3, 0, IPC_NOWAIT);
	text.type = 0;
	printf("no type: %s\n", guest_answer(msgsnd(queue, &text, 1, 0)));
	text.type = 1;
	printf("too long: %s\n", guest_answer(msgsnd(queue, &text, 8193, 0)));
	msgctl(queue, IPC_RMID, NULL);
	printf("gone: %s\n", guest_answer(msgsnd(queue, &text, 1, 0)));
}

/* More than a queue holds: who sends sleeps, who receives finds all of it in order. */
static void test_message_flow(void)
{
	int queue = msgget(IPC_PRIVATE, 0600);
	long good = 0;
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 100; i++) {
			text.type = i + 1;
			memset(text.bytes, i, 8000);
			if (msgsnd(queue, &text, 8000, 0))
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < 100; i++)
		good += msgrcv(queue, &text, 8000, 0, 0) == 8000 && text.type == i + 1 &&
			text.bytes[7999] == (char)i;
	printf("%ld came\n", good);
	finish(pid);
	pid = fork();
	if (pid == 0) {
		printf("waited: %s\n", guest_answer(msgrcv(queue, &text, 8000, 0, 0)));
		fflush(stdout);
		_exit(0);
	}
	guest_await_sleep(pid, pid);
	msgctl(queue, IPC_RMID, NULL);
	finish(pid);
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "shared", test_shared },
		{ "segment_ends", test_segment_ends },
		{ "segment_places", test_segment_places },
		{ "rights", test_rights },
		{ "semaphores", test_semaphores },
		{ "undo", test_undo },
		{ "semaphore_ends", test_semaphore_ends },
		{ "messages", test_messages },
		{ "message_flow", test_message_flow },
	};

	own_key = (key_t)(0x5e000000 | getpid());
	return guest_run(cases, COUNT(cases), argc, argv);
}
