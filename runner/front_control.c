/* stop, reload, outbound and log: changes over the control socket. */
#include "runner/front.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>

enum {
	ANSWER_MS = 30000,
	STOP_MS = 150000, /* all phases of the stop */
};

static const struct wire_rule rules[] = {
	{ MSG_END, 0, NULL },
	{ MSG_FAILED, 4096, NULL },
	{ 0 },
};

/* One request to the socket of that name; the exit status. */
static int request_at(struct front *f, const char *name, uint16_t type,
    struct span payload, uint64_t timeout_ms)
{
	struct wire *wire;
	struct message message;
	int status;

	if (front_load(f) < 0)
		return EXIT_CONF;
	wire = front_connect(f, name, rules, false);
	if (!wire)
		return EXIT_NOT_DONE;
	status = front_ask(wire, type, payload, timeout_ms, NULL, NULL);
	/* The supervisor's last act is to end the connection. */
	if (status == 0 && type == MSG_DO_STOP)
		wire_receive(wire, &message, deadline_in_ms(5000));
	wire_free(wire);
	return status < 0 ? EXIT_NOT_DONE : 0;
}

static int request(
    struct front *f, uint16_t type, struct span payload, uint64_t timeout_ms)
{
	return request_at(f, "outpost.sock", type, payload, timeout_ms);
}

int front_stop(struct front *f, int argc, char **argv)
{
	int status = front_no_arguments(f, argc, argv);

	if (status)
		return status - 1;
	return request(f, MSG_DO_STOP, (struct span){ 0 }, STOP_MS);
}

int front_reload(struct front *f, int argc, char **argv)
{
	int status = front_no_arguments(f, argc, argv);

	if (status)
		return status - 1;
	return request(f, MSG_DO_RELOAD, (struct span){ 0 }, ANSWER_MS);
}

/* --- outbound ------------------------------------------------------------- */

/* Domains are kept in lower case; names of relays and routes as written. */
static void put_scope(struct buf *scope, const char *kind, const char *name)
{
	bool is_domain = strcmp(kind, "destination") == 0 && !strchr(name, ':');

	buf_printf(scope, "%s:", kind);
	for (; *name; name++)
		buf_putc(scope,
		    is_domain ? (char)tolower((unsigned char)*name) : *name);
}

static int send_outbound(
    struct front *f, bool on, const char *kind, const char *name)
{
	struct buf scope, payload;
	int status;

	buf_init(&scope, 1024);
	buf_init(&payload, 2048);
	if (kind)
		put_scope(&scope, kind, name);
	put_u8(&payload, on);
	put_span(&payload, buf_span(&scope));
	status = request(f, MSG_DO_OUTBOUND, buf_span(&payload), ANSWER_MS);
	buf_clear(&scope);
	buf_clear(&payload);
	return status;
}

int front_outbound(struct front *f, int argc, char **argv)
{
	static const struct option options[] = { { "line", required_argument,
						     NULL, 'l' },
		{ "destination", required_argument, NULL, 'd' }, FRONT_OPTIONS,
		{ 0 } };
	const char *kind = NULL, *name = NULL;
	int option, status;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (option == 'l' || option == 'd') {
			kind = option == 'l' ? "line" : "destination";
			name = optarg;
		} else if ((status = front_option(f, argv[0], option)) != 0) {
			return status - 1;
		}
	}
	if (optind + 1 != argc || (strcmp(argv[optind], "on") != 0 &&
				      strcmp(argv[optind], "off") != 0)) {
		front_usage(argv[0], true);
		return EXIT_USAGE;
	}
	return send_outbound(f, strcmp(argv[optind], "on") == 0, kind, name);
}

/* --- log ------------------------------------------------------------------ */

/* All of it is the supervisor's, a part of the sessions the runner's. */
static int send_log(struct front *f, uint8_t level, const char *kind,
    const char *name, uint32_t seconds)
{
	struct buf scope, payload;
	int status;

	buf_init(&scope, 1024);
	buf_init(&payload, 2048);
	put_u8(&payload, level);
	if (kind) {
		put_scope(&scope, kind, name);
		put_span(&payload, buf_span(&scope));
	}
	put_u32(&payload, seconds);
	status = request_at(f, kind ? "runner.sock" : "outpost.sock",
	    MSG_LOG_LEVEL, buf_span(&payload), ANSWER_MS);
	buf_clear(&scope);
	buf_clear(&payload);
	return status;
}

static int read_for(const char *text, uint32_t *seconds)
{
	if (conf_parse_duration(text, seconds) == 0 && *seconds > 0)
		return 0;
	fprintf(stderr,
	    "outpost: --for: \"%s\" is not a time such as 30s, 10m or 2h\n",
	    log_escape(span_of(text)));
	return -1;
}

int front_log(struct front *f, int argc, char **argv)
{
	static const struct option options[] = { { "line", required_argument,
						     NULL, 'l' },
		{ "destination", required_argument, NULL, 'd' },
		{ "for", required_argument, NULL, 'f' }, FRONT_OPTIONS, { 0 } };
	const char *kind = NULL, *name = NULL;
	uint32_t seconds = 0;
	int option, status;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (option == 'l' || option == 'd') {
			kind = option == 'l' ? "line" : "destination";
			name = optarg;
		} else if (option == 'f') {
			if (read_for(optarg, &seconds) < 0)
				return EXIT_USAGE;
		} else if ((status = front_option(f, argv[0], option)) != 0) {
			return status - 1;
		}
	}
	if (optind + 1 != argc || (strcmp(argv[optind], "basic") != 0 &&
				      strcmp(argv[optind], "detailed") != 0)) {
		front_usage(argv[0], true);
		return EXIT_USAGE;
	}
	return send_log(f,
	    strcmp(argv[optind], "detailed") == 0 ? LOG_LEVEL_DETAILED
						  : LOG_LEVEL_BASIC,
	    kind, name, seconds);
}
