/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of a running monitor, through our own client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "monitor.pb-c.h"
#include "rpc/grpc_client.h"
#include "vmm_fake.h"

#define TIMEOUT (60 * USEC_PER_SEC)

static struct grpc_client *control_dial(const struct run *run)
{
	const struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	autoclose int dirfd = open(run->vm, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_client *client = NULL;
	int fd = io_unix_connect(dirfd, "vmm.sock", SOCK_STREAM, &err);

	if (fd < 0 || grpc_client_new(fd, &limits, &client, &err) < 0)
		fail_msg("%s", err.message);
	return client;
}

static int control_call(struct grpc_client *client, const char *method,
			const ProtobufCMessage *req, ProtobufCMessage **resp,
			struct coffer_error *err)
{
	err_clear(err);
	return grpc_client_call(client, &mon__monitor__descriptor, method, req, TIMEOUT, resp, err);
}

static struct grpc_pending *control_listen(struct grpc_client *client)
{
	Mon__EventsRequest req = MON__EVENTS_REQUEST__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_pending *stream;

	if (grpc_client_start(client, &mon__monitor__descriptor, "Events", &req.base,
			      USEC_INFINITY, &stream, &err) < 0)
		fail_msg("%s", err.message);
	return stream;
}

static void control_expect_event(struct grpc_pending *stream, Mon__Event__Kind kind,
				 const char *message)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *msg = NULL;
	Mon__Event *ev;

	if (grpc_pending_recv(stream, deadline_in(TIMEOUT), &msg, &err) < 0)
		fail_msg("%s", err.message);
	assert_non_null(msg);
	ev = (Mon__Event *)msg;
	assert_int_equal(ev->kind, kind);
	assert_string_equal(ev->message, message);
	assert_true(ev->time_usec > 0);
	protobuf_c_message_free_unpacked(msg, NULL);
}

static void control_expect_stream_end(struct grpc_pending *stream)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *msg = NULL;

	if (grpc_pending_recv(stream, deadline_in(TIMEOUT), &msg, &err) < 0)
		fail_msg("%s", err.message);
	assert_null(msg);
}

static void test_info(void **state)
{
	Mon__InfoRequest req = MON__INFO_REQUEST__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_client *client;
	ProtobufCMessage *msg = NULL;
	Mon__InfoResponse *info;
	struct run run;

	run_start(&run, "idle", NULL);
	run_expect_running(&run);
	client = control_dial(&run);
	assert_int_equal(control_call(client, "Info", &req.base, &msg, &err), 0);
	info = (Mon__InfoResponse *)msg;
	assert_string_equal(info->machine, "qemu-tcg");
	assert_string_equal(info->state, "running");
	assert_int_equal(info->vmm_pid, run.pid);
	assert_int_equal(info->machine_pid, run_machine_pid(&run));
	assert_int_equal(info->memory_bytes, VMM_MEMORY_DEFAULT);
	assert_int_equal(info->cpus, 1);
	assert_true(info->vmm_pss > 0);
	assert_non_null(info->timing);
	assert_true(info->timing->vmm_started <= info->timing->machine_spawned);
	assert_true(info->timing->machine_spawned <= info->timing->control_ready);
	assert_true(info->timing->control_ready <= info->timing->machine_running);
	protobuf_c_message_free_unpacked(msg, NULL);
	grpc_client_free(client);
	close_fd(&run.lifetime);
	run_expect_end(&run, 0);
}

static void test_pause_and_resume(void **state)
{
	Mon__PauseRequest pause_req = MON__PAUSE_REQUEST__INIT;
	Mon__ResumeRequest resume_req = MON__RESUME_REQUEST__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_client *client, *watcher;
	struct grpc_pending *events;
	struct run run;

	run_start(&run, "idle", NULL);
	run_expect_running(&run);
	client = control_dial(&run);
	watcher = control_dial(&run);
	events = control_listen(watcher);
	control_expect_event(events, MON__EVENT__KIND__RUNNING, "running");
	assert_true(control_call(client, "Resume", &resume_req.base, NULL, &err) < 0);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	assert_int_equal(control_call(client, "Pause", &pause_req.base, NULL, &err), 0);
	control_expect_event(events, MON__EVENT__KIND__PAUSED, "");
	assert_true(control_call(client, "Pause", &pause_req.base, NULL, &err) < 0);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	assert_int_equal(control_call(client, "Resume", &resume_req.base, NULL, &err), 0);
	control_expect_event(events, MON__EVENT__KIND__RESUMED, "");
	close_fd(&run.lifetime);
	control_expect_event(events, MON__EVENT__KIND__SHUTDOWN, "ended on request");
	control_expect_stream_end(events);
	grpc_pending_free(events);
	grpc_client_free(watcher);
	grpc_client_free(client);
	run_expect_end(&run, 0);
}

static void test_shutdown(void **state)
{
	for (int force = 0; force < 2; force++) {
		Mon__ShutdownRequest req = MON__SHUTDOWN_REQUEST__INIT;
		struct coffer_error err = COFFER_ERROR_INIT;
		struct grpc_client *client;
		struct run run;

		run_start(&run, "idle", NULL);
		run_expect_running(&run);
		client = control_dial(&run);
		req.force = force;
		if (control_call(client, "Shutdown", &req.base, NULL, &err) < 0)
			fail_msg("%s", err.message);
		grpc_client_free(client);
		run_expect_end(&run, 0);
	}
}

/* A machine that does not follow is cut off after the time it was given. */
static void test_shutdown_of_the_deaf(void **state)
{
	Mon__ShutdownRequest req = MON__SHUTDOWN_REQUEST__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_client *client;
	struct run run;

	run_start(&run, "idle deaf", NULL);
	run_expect_running(&run);
	client = control_dial(&run);
	req.timeout_ms = 100;
	if (control_call(client, "Shutdown", &req.base, NULL, &err) < 0)
		fail_msg("%s", err.message);
	grpc_client_free(client);
	run_expect_end(&run, 0);
}

static void test_machine_dies_under_a_listener(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_client *client;
	struct grpc_pending *events;
	struct run run;

	run_start(&run, "idle", NULL);
	run_expect_running(&run);
	client = control_dial(&run);
	events = control_listen(client);
	control_expect_event(events, MON__EVENT__KIND__RUNNING, "running");
	kill(run_machine_pid(&run), SIGKILL);
	control_expect_event(events, MON__EVENT__KIND__MACHINE_DIED,
			     "qemu was killed by signal 9 (killed, or out of memory)");
	control_expect_stream_end(events);
	grpc_pending_free(events);
	grpc_client_free(client);
	assert_true(run_status(&run, &err));
	run_expect_end(&run, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_pause_and_resume),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_shutdown_of_the_deaf),
		cmocka_unit_test(test_machine_dies_under_a_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
