/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/analyze.c - coffer analyze plot: where the time of a container's start went
 *
 * The phases follow each other, so each bar begins where the last one ended:
 * a staircase from the call to the running program, as SVG on stdout.
 */
#include "cli/doc.h"
#include "cli/target.h"

#include <string.h>

#include "base/tty.h"

#define PLOT_WIDTH  800 /* of the widest bar, in units of the drawing */
#define PLOT_LABEL  180
#define PLOT_NUMBER 90
#define PLOT_ROW    24
#define PLOT_TOP    56

struct analyze_opts {
	bool help;
};

#define FIELD(member) offsetof(struct analyze_opts, member)
static const struct opt_row analyze_rows[] = {
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* Names come from a file others of the user's may have written. */
static void plot_text(const char *s)
{
	size_t n;

	for (; *s; s++) {
		switch (*s) {
		case '<':
			fputs("&lt;", stdout);
			break;
		case '>':
			fputs("&gt;", stdout);
			break;
		case '&':
			fputs("&amp;", stdout);
			break;
		default:
			n = tty_control(s);
			putchar(n ? '?' : *s);
			s += n == 2;
		}
	}
}

static void plot_bar(struct json_object *phase, size_t row, int64_t start, int64_t total)
{
	static const char *const colours[] = { "#4477aa", "#66ccee", "#228833",
					       "#ccbb44", "#ee6677", "#aa3377" };
	int64_t begin = doc_number(phase, NULL, "Begin") - start;
	int64_t duration = doc_number(phase, NULL, "Duration");
	double scale = (double)PLOT_WIDTH / (double)total;
	double x = PLOT_LABEL + (double)begin * scale, width = (double)duration * scale;
	size_t y = PLOT_TOP + row * PLOT_ROW;

	printf("<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">", PLOT_LABEL - 8, y + 16);
	plot_text(doc_text(phase, NULL, "Name"));
	printf("</text>\n<rect x=\"%.1f\" y=\"%zu\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", x,
	       y + 3, width < 0.5 ? 0.5 : width, PLOT_ROW - 6, colours[row % ARRAY_SIZE(colours)]);
	printf("<text x=\"%.1f\" y=\"%zu\">%.1f ms</text>\n", x + width + 4, y + 16,
	       (double)duration / 1000);
}

static int plot_phases(const char *id, struct json_object *phases, struct coffer_error *err)
{
	size_t n = phases ? json_object_array_length(phases) : 0;
	struct json_object *first, *last;
	int64_t start, total;

	if (n == 0)
		return err_set(err, COFFER_ERR_EMPTY, 0, "container %s: no times are known", id);
	first = json_object_array_get_idx(phases, 0);
	last = json_object_array_get_idx(phases, n - 1);
	start = doc_number(first, NULL, "Begin");
	total = doc_number(last, NULL, "Begin") + doc_number(last, NULL, "Duration") - start;
	if (total <= 0)
		return err_set(err, COFFER_ERR_EMPTY, 0, "container %s: no times are known", id);
	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
	       "font-family=\"sans-serif\" font-size=\"12\">\n",
	       PLOT_LABEL + PLOT_WIDTH + PLOT_NUMBER, PLOT_TOP + n * PLOT_ROW + 16);
	printf("<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
	       "<text x=\"16\" y=\"32\" font-size=\"16\">");
	plot_text(id);
	printf(": %.1f ms</text>\n", (double)total / 1000);
	for (size_t i = 0; i < n; i++)
		plot_bar(json_object_array_get_idx(phases, i), i, start, total);
	puts("</svg>");
	return 0;
}

static int analyze_plot(const struct cli *cli, const char *name, struct coffer_error *err)
{
	autojson struct json_object *doc = NULL;
	char id[COFFER_ID_MAX + 1];
	int r = target_find(cli, name, id, err);

	if (r == 0)
		r = doc_load(cli, id, &doc, err);
	return r < 0 ? r : plot_phases(id, doc_get(doc, NULL, "Phases"), err);
}

static int cli_analyze(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct analyze_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 2, 2, &rest);
	if (code >= 0)
		return code;
	if (strcmp(argv[rest], "plot") != 0) {
		err_invalid(&err, "analyze: %s: unknown, there is only plot", argv[rest]);
		return cli_fail(&err);
	}
	if (analyze_plot(cli, argv[rest + 1], &err) == 0)
		return CLI_EXIT_OK;
	cli_fail(&err);
	return CLI_EXIT_FAILED;
}

const struct cli_verb cli_verb_analyze = {
	.name = "analyze",
	.fn = cli_analyze,
	.usage = "plot CONTAINER",
	.help = "Draw where the time of a start went, as SVG",
	.rows = analyze_rows,
	.nrows = ARRAY_SIZE(analyze_rows),
};
