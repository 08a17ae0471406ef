// SPDX-License-Identifier: Apache-2.0
// The library used from C++, by many threads: waits, signals and execs on one container at once.
#include <coffer/coffer.h>

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

static std::atomic<int> failures;

static void check(bool good, const char *what, const coffer_error *err = nullptr)
{
	if (good)
		return;
	std::fprintf(stderr, "api: %s: %s\n", what, err ? err->message : "");
	failures++;
}

static coffer_process *start(coffer_container *box, const char *script, coffer_error *err)
{
	const char *args[] = { "sh", "-c", script, nullptr };
	coffer_process_config config = COFFER_PROCESS_CONFIG_INIT;
	coffer_process *process = nullptr;

	config.args = args;
	config.stdio[COFFER_STDOUT].mode = COFFER_STDIO_PIPE;
	check(coffer_container_exec(box, nullptr, &config, &process, err) == 0, script, err);
	return process;
}

static void many_execs(coffer_container *box, int number)
{
	coffer_error err = COFFER_ERROR_INIT;
	coffer_exit status = {};

	for (int i = 0; i < 5; i++) {
		std::string script = "echo " + std::to_string(number * 100 + i) + "; exit " +
				     std::to_string(number);
		coffer_process *process = start(box, script.c_str(), &err);
		std::string text;
		char part[64];
		ssize_t n;
		int fd;

		if (!process)
			return;
		fd = coffer_process_take_stream(process, COFFER_STDOUT);
		while ((n = read(fd, part, sizeof(part))) > 0)
			text.append(part, static_cast<size_t>(n));
		close(fd);
		check(coffer_process_wait(process, COFFER_FOREVER, &status, &err) == 0, "wait", &err);
		check(status.code == number, "an exit code of another");
		check(text == std::to_string(number * 100 + i) + "\n", "output of another");
		check(coffer_process_delete(process, false, &err) == 0, "delete", &err);
	}
}

int main()
{
	const char *args[] = { "sleep", "1000000", nullptr };
	coffer_process_config program = COFFER_PROCESS_CONFIG_INIT;
	coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	coffer_error err = COFFER_ERROR_INIT;
	coffer_container *box;
	std::vector<std::thread> threads;
	std::atomic<int> told{0};

	program.args = args;
	config.process = &program;
	check(coffer_container_new(nullptr, &config, &box, &err) == 0, "new", &err);
	check(coffer_container_create(box, &err) == 0, "create", &err);
	check(coffer_container_start(box, &err) == 0, "start", &err);
	for (int i = 0; i < 20; i++)
		threads.emplace_back([box, &told] {
			coffer_error e = COFFER_ERROR_INIT;
			coffer_exit status = {};

			if (coffer_process_wait(coffer_container_process(box), COFFER_FOREVER,
						&status, &e) == 0 && status.code == 137)
				told++;
		});
	std::vector<std::thread> others;
	for (int i = 1; i <= 8; i++)
		others.emplace_back([box, i] { many_execs(box, i); });
	for (auto &t : others)
		t.join();
	check(coffer_process_kill(coffer_container_process(box), 9, &err) == 0, "kill", &err);
	for (auto &t : threads)
		t.join();
	check(told == 20, "not every wait was told");
	coffer_container_free(box);
	std::printf("%s %s\n", coffer_version(), failures ? "failed" : "good");
	return failures ? 1 : 0;
}
