/* What the front command's parts share: options, connection, question. */
#include "runner/front.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>

int front_option(struct front *f, const char *command, int option)
{
	switch (option) {
	case 'c':
		f->file = optarg;
		return 0;
	case OPTION_JSON:
		f->is_json = true;
		return 0;
	case 'h':
		front_usage(command, false);
		return 1;
	default:
		front_usage(command, true);
		return EXIT_USAGE + 1;
	}
}

int front_no_arguments(struct front *f, int argc, char **argv)
{
	static const struct option options[] = { FRONT_OPTIONS, { 0 } };
	int option, status;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		status = front_option(f, argv[0], option);
		if (status)
			return status;
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "outpost: %s takes no \"%s\"\n", argv[0],
	    log_escape(span_of(argv[optind])));
	return EXIT_USAGE + 1;
}

int front_load(struct front *f)
{
	struct buf errors;

	buf_init(&errors, 1 << 20);
	f->conf = conf_load(f->file, &errors);
	if (!f->conf)
		fputs(buf_text(&errors), stderr);
	buf_clear(&errors);
	return f->conf ? 0 : -1;
}

struct wire *front_connect(struct front *f, const char *name,
    const struct wire_rule *rules, bool is_quiet)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->conf->runtime, name);
	fd = wire_connect(path);
	if (fd >= 0)
		return wire_new(NULL, fd, name, rules, NULL, NULL);
	if (is_quiet)
		return NULL;
	if (errno == ENOENT || errno == ECONNREFUSED)
		fprintf(stderr, "outpost: not running (nobody answers at %s)\n",
		    path);
	else
		fprintf(stderr, "outpost: %s: %s\n", path, strerror(errno));
	return NULL;
}

static void print_failure(const struct message *message)
{
	struct reader r = reader_of(message->payload);
	struct outcome why;

	outcome_get(&r, &why);
	fprintf(stderr, "outpost: %s\n",
	    r.bad ? "refused without a reason" : why.detail);
}

int front_ask(struct wire *wire, uint16_t type, struct span payload,
    uint64_t timeout_ms, void (*each)(struct message *message, void *arg),
    void *arg)
{
	struct deadline deadline = deadline_in_ms(timeout_ms);
	struct message message;
	int status;

	wire_send(wire, type, 1, payload);
	if (wire_flush(wire, deadline) < 0) {
		fprintf(stderr, "outpost: %s\n", strerror(errno));
		return -1;
	}
	while ((status = wire_receive(wire, &message, deadline)) == 1) {
		if (message.type == MSG_END)
			return 0;
		if (message.type == MSG_FAILED) {
			print_failure(&message);
			return -1;
		}
		if (each)
			each(&message, arg);
	}
	fprintf(stderr, "outpost: %s\n",
	    status == 0 ? "the connection ended without an answer"
			: strerror(errno));
	return -1;
}
