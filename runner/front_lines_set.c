/* lines set GROUP N [--save]: a group's number of lines, live. */
#include "runner/front.h"

#include <getopt.h>
#include <stdio.h>

enum { ANSWER_MS = 10000, LINES_MAX = 10000, OPTION_SAVE = 2000 };

static const struct wire_rule rules[] = {
	{ MSG_END, 0, NULL },
	{ MSG_FAILED, 4096, NULL },
	{ 0 },
};

static int tell(struct front *f, const char *group, uint32_t count)
{
	struct wire *wire = front_connect(f, "runner.sock", rules, false);
	struct buf payload;
	int status;

	if (!wire)
		return -1;
	buf_init(&payload, 2048);
	put_span(&payload, span_of(group));
	put_u32(&payload, count);
	status = front_ask(
	    wire, MSG_DO_LINES, buf_span(&payload), ANSWER_MS, NULL, NULL);
	buf_clear(&payload);
	wire_free(wire);
	return status;
}

/* The group's own file; without a block of its own, the first one. */
static int save(struct front *f, const char *group, const char *count)
{
	const struct conf_line *line = conf_line(f->conf, group);
	const char *file = line && line->place.file && line->place.line > 0
			       ? line->place.file
			       : f->conf->file;
	struct buf error;
	int status;

	if (!*file) {
		fputs("outpost: there is no configuration file to save it "
		      "in\n",
		    stderr);
		return -1;
	}
	buf_init(&error, 65536);
	status = front_lines_save(file, f->conf->file, group, count, &error);
	if (status < 0)
		fprintf(stderr, "outpost: not saved: %s\n",
		    log_escape(buf_span(&error)));
	else
		printf("saved in %s; the file before is %s.bak\n", file, file);
	buf_clear(&error);
	return status;
}

int front_lines_set(struct front *f, int argc, char **argv)
{
	static const struct option options[] = {
		{ "save", no_argument, NULL, OPTION_SAVE }, FRONT_OPTIONS, { 0 }
	};
	bool is_saved = false;
	uint64_t count;
	int option, status;

	optind = 0;
	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (option == OPTION_SAVE)
			is_saved = true;
		else if ((status = front_option(f, "lines", option)) != 0)
			return status - 1;
	}
	/* set GROUP N */
	if (argc - optind != 3) {
		front_usage("lines", true);
		return EXIT_USAGE;
	}
	if (span_to_u64(span_of(argv[optind + 2]), LINES_MAX, &count) < 0 ||
	    count == 0) {
		fprintf(stderr,
		    "outpost: lines set: \"%s\" is not a number "
		    "from 1 to %d\n",
		    log_escape(span_of(argv[optind + 2])), LINES_MAX);
		return EXIT_USAGE;
	}
	if (front_load(f) < 0)
		return EXIT_CONF;
	if (tell(f, argv[optind + 1], (uint32_t)count) < 0)
		return EXIT_NOT_DONE;
	printf("%s: %u line%s\n", log_escape(span_of(argv[optind + 1])),
	    (unsigned)count, count == 1 ? "" : "s");
	if (is_saved && save(f, argv[optind + 1], argv[optind + 2]) < 0)
		return EXIT_NOT_DONE;
	return 0;
}
