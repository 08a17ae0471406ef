/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/login.c - coffer login and logout: who we are to a registry
 *
 * What is not given is asked for on the terminal, a password without showing
 * it; a signal meanwhile ends us with the terminal as it was.
 */
#include "cli/images.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define LOGIN_REGISTRY "docker.io"
#define LOGIN_WORD_MAX 8192 /* tokens are passwords, too */

struct login_opts {
	bool help, from_stdin;
	const char *user, *password;
};

/* Wiped by the caller. */
struct login_words {
	char user[LOGIN_WORD_MAX], password[LOGIN_WORD_MAX];
};

#define FIELD(member) offsetof(struct login_opts, member)
static const struct opt_row login_rows[] = {
	{ "username", 'u', OPT_STRING, FIELD(user), "NAME", "Whom to log in (default: ask)" },
	{ "password-stdin", 0, OPT_FLAG, FIELD(from_stdin), NULL, "Read the password from stdin" },
	{ "password", 'p', OPT_STRING, FIELD(password), "PASSWORD",
	  "Seen by everybody on this machine: better not" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static const struct opt_row login_out_rows[] = {
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* One line, without its end. Return: 0 or negative errno; -ECANCELED for a signal */
static int login_read_line(int tty, int signal_fd, char out[static LOGIN_WORD_MAX],
			   struct coffer_error *err)
{
	struct pollfd fds[] = { { .fd = tty, .events = POLLIN },
				{ .fd = signal_fd, .events = POLLIN } };
	ssize_t n;

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		;
	if (fds[1].revents)
		return err_set(err, COFFER_ERR_CANCELLED, 0, "cancelled");
	n = read(tty, out, LOGIN_WORD_MAX - 1);
	if (n < 0)
		return err_sys(err, "read from the terminal");
	out[n] = '\0';
	out[strcspn(out, "\r\n")] = '\0';
	return *out ? 0 : err_invalid(err, "nothing given");
}

static int login_ask(const char *what, bool hidden, int signal_fd, char out[static LOGIN_WORD_MAX],
		     struct coffer_error *err)
{
	autoclose int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios before, quiet;
	int r;

	if (tty < 0)
		return err_invalid(err, "no terminal to ask for the %s on: use --username and "
					"--password-stdin", what);
	if (tcgetattr(tty, &before) < 0)
		return err_sys(err, "terminal");
	quiet = before;
	if (hidden)
		quiet.c_lflag &= ~(tcflag_t)ECHO;
	/* Before we ask: it drops what was typed and shown already. */
	if (hidden)
		tcsetattr(tty, TCSAFLUSH, &quiet);
	dprintf(tty, "%s: ", what);
	r = login_read_line(tty, signal_fd, out, err);
	tcsetattr(tty, TCSADRAIN, &before);
	if (hidden || r < 0)
		dprintf(tty, "\n");
	return r < 0 ? err_wrap(err, "%s", what) : 0;
}

static int login_take(const char *given, const char *what, char out[static LOGIN_WORD_MAX],
		      struct coffer_error *err)
{
	size_t n = strlen(given);

	if (n == 0 || n >= LOGIN_WORD_MAX)
		return err_invalid(err, "%s: empty, or too long", what);
	memcpy(out, given, n + 1);
	return 0;
}

/* All of it but a line's end, which people's editors and echo(1) add. */
static int login_read_password(char out[static LOGIN_WORD_MAX], struct coffer_error *err)
{
	ssize_t n = io_read_full(STDIN_FILENO, out, LOGIN_WORD_MAX);

	if (n < 0)
		return err_sysn(err, (int)n, "read standard input");
	if (n == LOGIN_WORD_MAX)
		return err_invalid(err, "option --password-stdin: too long");
	if (n > 0 && out[n - 1] == '\n')
		n--;
	if (n > 0 && out[n - 1] == '\r')
		n--;
	out[n] = '\0';
	if (n == 0 || strlen(out) != (size_t)n)
		return err_invalid(err, "option --password-stdin: empty, or with NUL bytes");
	return 0;
}

static int login_gather(const struct login_opts *opts, int signal_fd, struct login_words *w,
			struct coffer_error *err)
{
	int r = opts->user ? login_take(opts->user, "option --username", w->user, err)
			   : login_ask("Username", false, signal_fd, w->user, err);

	if (r < 0)
		return r;
	if (opts->from_stdin)
		return login_read_password(w->password, err);
	if (opts->password)
		return login_take(opts->password, "option --password", w->password, err);
	return login_ask("Password", true, signal_fd, w->password, err);
}

static int login_run(const struct login_opts *opts, const char *registry)
{
	autoimages struct coffer_images *images = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct transfer t = TRANSFER_INIT;
	struct login_words words;
	int r, code;

	r = transfer_begin(&t, true, &err);
	if (r == 0)
		r = login_gather(opts, t.signal_fd, &words, &err);
	if (r == 0)
		r = coffer_images_open(NULL, &images, &err);
	if (r == 0)
		r = coffer_images_login(images, registry, words.user, words.password, &err);
	explicit_bzero(&words, sizeof(words));
	if (r < 0)
		err_wrap(&err, "log in to %s", registry);
	code = transfer_end(&t, r, CLI_EXIT_FAILED, &err);
	if (code == CLI_EXIT_OK)
		puts("Login Succeeded");
	return code;
}

static int cli_login(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct login_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 0, 1, &rest);
	if (code >= 0)
		return code;
	if (opts.password && opts.from_stdin)
		err_invalid(&err, "login: options --password and --password-stdin exclude each "
				  "other");
	else if (opts.from_stdin && !opts.user)
		err_invalid(&err, "login: option --password-stdin: needs --username");
	if (err.kind)
		return cli_fail(&err);
	if (opts.password)
		fputs("coffer: login: --password can be seen by everybody on this machine; "
		      "--password-stdin can not\n", stderr);
	return login_run(&opts, rest < argc ? argv[rest] : LOGIN_REGISTRY);
}

static int cli_logout(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	autoimages struct coffer_images *images = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct login_opts opts = { 0 };
	const char *registry;
	int rest, code, r;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 0, 1, &rest);
	if (code >= 0)
		return code;
	registry = rest < argc ? argv[rest] : LOGIN_REGISTRY;
	r = coffer_images_open(NULL, &images, &err);
	if (r == 0)
		r = coffer_images_logout(images, registry, &err);
	if (r == 0)
		return CLI_EXIT_OK;
	err_wrap(&err, "log out from %s", registry);
	return images_failed(&err);
}

const struct cli_verb cli_verb_login = {
	.name = "login",
	.fn = cli_login,
	.usage = "[OPTION...] [REGISTRY]",
	.help = "Log in to a registry",
	.rows = login_rows,
	.nrows = ARRAY_SIZE(login_rows),
};

const struct cli_verb cli_verb_logout = {
	.name = "logout",
	.fn = cli_logout,
	.usage = "[REGISTRY]",
	.help = "Forget who we are to a registry",
	.rows = login_out_rows,
	.nrows = ARRAY_SIZE(login_out_rows),
};
