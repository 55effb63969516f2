/* status and lines: what the running programs say of themselves. */
#include "runner/front.h"

#include "common/id.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

enum { ANSWER_MS = 10000, KEEPER_MS = 2000 };

static const struct wire_rule rules[] = {
	{ MSG_STATUS_LINE, 65536, NULL },
	{ MSG_STATS_DONE, 4096, NULL },
	{ MSG_LINE, 4096, NULL },
	{ MSG_END, 0, NULL },
	{ MSG_FAILED, 4096, NULL },
	{ 0 },
};

/* --- status --------------------------------------------------------------- */

static void print_uptime(json_int_t s, char *text, size_t size)
{
	if (s < 60)
		snprintf(text, size, "%llds", (long long)s);
	else if (s < 3600)
		snprintf(text, size, "%lldm%02llds", (long long)s / 60,
		    (long long)s % 60);
	else
		snprintf(text, size, "%lldh%02lldm", (long long)s / 3600,
		    (long long)s / 60 % 60);
}

static void print_program(const json_t *object)
{
	const char *program = "", *state = "", *note = "";
	json_int_t pid = 0, restarts = 0, uptime = 0;
	char since[40];

	json_unpack((json_t *)object, "{s:s, s:I, s:s, s:I, s:I, s?s}",
	    "program", &program, "pid", &pid, "state", &state, "restarts",
	    &restarts, "uptime_seconds", &uptime, "note", &note);
	print_uptime(uptime, since, sizeof(since));
	printf("%-16s %-9s pid %-8lld up %-8s", program, state, (long long)pid,
	    since);
	if (restarts)
		printf(" restarts %lld", (long long)restarts);
	if (*note)
		printf("  %s", note);
	putchar('\n');
}

static void print_outbound(const json_t *object)
{
	const json_t *outbound = json_object_get(object, "outbound");
	const json_t *off = json_object_get(object, "outbound_off");
	const json_t *scope;
	size_t i;

	if (!outbound)
		return;
	printf("configuration    %s\n",
	    json_string_value(json_object_get(object, "file")));
	printf("outbound         %s\n", json_is_true(outbound) ? "on" : "off");
	json_array_foreach(off, i, scope)
	    printf("outbound off     %s\n", json_string_value(scope));
}

static void on_status_line(struct message *message, void *arg)
{
	const struct front *f = arg;
	struct reader r = reader_of(message->payload);
	struct span line = get_span(&r);
	json_t *object;

	if (message->type != MSG_STATUS_LINE || r.bad)
		return;
	if (f->is_json) {
		printf("%.*s\n", (int)line.n, line.p);
		return;
	}
	object = json_loadb(line.p, line.n, 0, NULL);
	if (!object)
		return;
	print_program(object);
	print_outbound(object);
	json_decref(object);
}

static void print_queue(const struct spool_stats *x, bool is_json)
{
	if (is_json) {
		printf("{\"queue\":\"spool\",\"messages\":%llu,"
		       "\"recipients\":%llu,\"size_bytes\":%llu,"
		       "\"accepted\":%llu,\"delivered\":%llu,"
		       "\"failed\":%llu,\"retracted\":%llu,"
		       "\"uncertain\":%llu,\"journal_bytes\":%llu}\n",
		    (unsigned long long)x->messages,
		    (unsigned long long)x->recipients,
		    (unsigned long long)x->bytes,
		    (unsigned long long)x->accepted,
		    (unsigned long long)x->delivered,
		    (unsigned long long)x->failed,
		    (unsigned long long)x->retracted,
		    (unsigned long long)x->uncertain,
		    (unsigned long long)x->journal_bytes);
		return;
	}
	printf("queue            %llu messages, %llu recipients, %llu bytes\n",
	    (unsigned long long)x->messages, (unsigned long long)x->recipients,
	    (unsigned long long)x->bytes);
	printf("ever             accepted %llu, delivered %llu, failed %llu, "
	       "retracted %llu, uncertain %llu\n",
	    (unsigned long long)x->accepted, (unsigned long long)x->delivered,
	    (unsigned long long)x->failed, (unsigned long long)x->retracted,
	    (unsigned long long)x->uncertain);
}

/* The keeper may be starting: its numbers are left out then. */
static void show_queue(struct front *f)
{
	struct wire *wire = front_connect(f, "queue.sock", rules, true);
	struct deadline deadline = deadline_in_ms(KEEPER_MS);
	struct message message;
	struct spool_stats stats;
	struct reader r;

	if (!wire)
		return;
	wire_send(wire, MSG_STATS, 1, (struct span){ 0 });
	if (wire_flush(wire, deadline) == 0 &&
	    wire_receive(wire, &message, deadline) == 1 &&
	    message.type == MSG_STATS_DONE) {
		r = reader_of(message.payload);
		spool_stats_get(&r, &stats);
		if (!r.bad)
			print_queue(&stats, f->is_json);
	}
	wire_free(wire);
}

int front_status(struct front *f, int argc, char **argv)
{
	int status = front_no_arguments(f, argc, argv);
	struct wire *wire;

	if (status)
		return status - 1;
	if (front_load(f) < 0)
		return EXIT_CONF;
	wire = front_connect(f, "outpost.sock", rules, f->is_json);
	if (!wire) {
		if (f->is_json)
			puts("{\"program\":\"outpost\",\"state\":\"down\"}");
		return EXIT_NOT_DONE;
	}
	status = front_ask(
	    wire, MSG_STATUS, (struct span){ 0 }, ANSWER_MS, on_status_line, f);
	wire_free(wire);
	if (status < 0)
		return EXIT_NOT_DONE;
	show_queue(f);
	return 0;
}

/* --- lines ---------------------------------------------------------------- */

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

int front_lines(struct front *f, int argc, char **argv)
{
	static const struct option options[] = { FRONT_OPTIONS, { 0 } };
	struct wire *wire;
	int option, status;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		status = front_option(f, argv[0], option);
		if (status)
			return status - 1;
	}
	if (optind != argc) {
		fprintf(stderr, "outpost: lines %s is not yet supported\n",
		    argv[optind]);
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
