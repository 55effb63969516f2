/* lines: what each line does now. */
#include "runner/front.h"

#include "common/id.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

enum { ANSWER_MS = 10000 };

static const struct wire_rule rules[] = {
	{ MSG_LINE, 4096, NULL },
	{ MSG_END, 0, NULL },
	{ MSG_FAILED, 4096, NULL },
	{ 0 },
};

static const char *state_name(uint8_t state)
{
	static const char *const names[] = { "idle", "connecting", "greeting",
		"sending", "closing" };

	return state < sizeof(names) / sizeof(*names) ? names[state] : "?";
}

static void print_time(uint64_t at, char *text, size_t size)
{
	time_t t = (time_t)at;
	struct tm utc;

	text[0] = '\0';
	if (at && gmtime_r(&t, &utc))
		strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* peer: the host it talks to, or where its jobs go. */
static struct span peer_of(const struct line_info *l)
{
	return l->peer.n ? l->peer : l->destination;
}

static void print_line_json(
    const struct line_info *l, const char *message, const char *since)
{
	struct span peer = peer_of(l);
	json_t *object = json_pack("{s:s%, s:I, s:I, s:s, s:s%, s:s, s:s, s:I}",
	    "group", l->group.p, l->group.n, "line", (json_int_t)l->number,
	    "pid", (json_int_t)l->pid, "state", state_name(l->state), "peer",
	    peer.p ? peer.p : "", peer.n, "message", message, "since", since,
	    "sent", (json_int_t)l->sent);

	if (object)
		json_dumpf(object, stdout, JSON_COMPACT);
	json_decref(object);
	putchar('\n');
}

static void on_line(struct message *message, void *arg)
{
	const struct front *f = arg;
	struct reader r = reader_of(message->payload);
	char id[ID_TEXT_BYTES] = "", since[40];
	struct line_info l;

	if (message->type != MSG_LINE)
		return;
	line_info_get(&r, &l);
	if (r.bad)
		return;
	if (l.message)
		id_print(l.message, id);
	print_time(l.since, since, sizeof(since));
	if (f->is_json)
		print_line_json(&l, id, since);
	else
		printf("%-12s %4u %8u %-10s %-13s %8llu  %-20s %s\n",
		    log_escape(l.group), l.number, l.pid, state_name(l.state),
		    id, (unsigned long long)l.sent, since,
		    log_escape(peer_of(&l)));
}

/* "set" stands before its options or behind them. */
static bool is_set(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-c") == 0)
			i++;
		else if (argv[i][0] != '-')
			return strcmp(argv[i], "set") == 0;
	}
	return false;
}

int front_lines(struct front *f, int argc, char **argv)
{
	static const struct option options[] = { FRONT_OPTIONS, { 0 } };
	struct wire *wire;
	int option, status;

	if (is_set(argc, argv))
		return front_lines_set(f, argc, argv);
	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		status = front_option(f, argv[0], option);
		if (status)
			return status - 1;
	}
	if (optind != argc) {
		fprintf(stderr, "outpost: lines: \"%s\" is not known\n",
		    log_escape(span_of(argv[optind])));
		return EXIT_USAGE;
	}
	if (front_load(f) < 0)
		return EXIT_CONF;
	wire = front_connect(f, "runner.sock", rules, false);
	if (!wire)
		return EXIT_NOT_DONE;
	if (!f->is_json)
		printf("%-12s %4s %8s %-10s %-13s %8s  %-20s %s\n", "GROUP",
		    "LINE", "PID", "STATE", "MESSAGE", "SENT", "SINCE", "PEER");
	status = front_ask(
	    wire, MSG_LINES, (struct span){ 0 }, ANSWER_MS, on_line, f);
	wire_free(wire);
	return status < 0 ? EXIT_NOT_DONE : 0;
}
