/* status: what the running programs say of themselves. */
#include "runner/front.h"

#include <jansson.h>
#include <stdio.h>

enum { ANSWER_MS = 10000, NUMBERS_MS = 2000 };

static const struct wire_rule rules[] = {
	{ MSG_STATUS_LINE, 65536, NULL },
	{ MSG_STATS_DONE, 4096, NULL },
	{ MSG_END, 0, NULL },
	{ MSG_FAILED, 4096, NULL },
	{ 0 },
};

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

static void print_checks(const json_t *checks)
{
	json_int_t at = 0, failures = 0, warnings = 0;

	json_unpack((json_t *)checks, "{s:I, s:I, s:I}", "at", &at, "failures",
	    &failures, "warnings", &warnings);
	if (at == 0)
		return;
	printf("checks           %lld failures, %lld warnings%s\n",
	    (long long)failures, (long long)warnings,
	    failures + warnings > 0 ? " (see outpost dnscheck)" : "");
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
	json_array_foreach(off, i, scope) printf("outbound off     %s\n",
	    log_escape(span_of(json_string_value(scope))));
	print_checks(json_object_get(object, "checks"));
}

static void print_log(const json_t *object)
{
	const char *level = "", *to = "";
	int is_overridden = 0;

	if (json_unpack((json_t *)object, "{s:s, s:s, s:b}", "log", &level,
		"log_to", &to, "log_overridden", &is_overridden) < 0)
		return;
	printf("log              %s, to %s%s\n", level, to,
	    is_overridden ? " (until \"outpost log\" says otherwise: the "
			    "configuration has another level)"
			  : "");
}

static void print_schedule(const json_t *object)
{
	json_int_t in_memory = 0, active = 0, busy = 0, lines = 0, sites = 0,
		   down = 0;

	if (json_unpack((json_t *)object, "{s:I, s:I, s:I, s:I, s:I, s:I}",
		"in_memory", &in_memory, "active", &active, "lines_busy", &busy,
		"lines", &lines, "destinations", &sites, "destinations_down",
		&down) < 0)
		return;
	printf("schedule         %lld in memory, %lld active, %lld of %lld "
	       "lines busy, %lld destinations, %lld down\n",
	    (long long)in_memory, (long long)active, (long long)busy,
	    (long long)lines, (long long)sites, (long long)down);
}

static void print_logins(const json_t *object)
{
	const json_t *all = json_object_get(object, "logins_refused");
	const json_t *login;
	size_t i;

	json_array_foreach(all, i, login)
	{
		const char *why = "";

		json_unpack((json_t *)login, "{s:s}", "why", &why);
		printf("relay suspended  %s\n", log_escape(span_of(why)));
	}
}

struct status {
	const struct front *front;
	json_t *runner; /* what it says of itself; NULL: nothing */
};

static json_t *object_of(const struct message *message)
{
	struct reader r = reader_of(message->payload);
	struct span line = get_span(&r);

	if (message->type != MSG_STATUS_LINE || r.bad)
		return NULL;
	return json_loadb(line.p, line.n, 0, NULL);
}

static void on_status_line(struct message *message, void *arg)
{
	const struct status *status = arg;
	json_t *object = object_of(message);
	const char *name =
	    json_string_value(json_object_get(object, "program"));

	if (!object || !name)
		return;
	if (strcmp(name, "outpost-runner") == 0 && status->runner)
		json_object_update_missing(object, status->runner);
	if (status->front->is_json) {
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_program(object);
		print_outbound(object);
		print_log(object);
		print_schedule(object);
		print_logins(object);
	}
	json_decref(object);
}

/* Runner and keeper may be starting: their numbers are left out then. */
static bool ask_one(struct front *f, const char *socket, uint16_t type,
    struct message *message, struct wire **wire)
{
	struct deadline deadline = deadline_in_ms(NUMBERS_MS);

	*wire = front_connect(f, socket, rules, true);
	if (!*wire)
		return false;
	wire_send(*wire, type, 1, (struct span){ 0 });
	return wire_flush(*wire, deadline) == 0 &&
	       wire_receive(*wire, message, deadline) == 1;
}

static json_t *ask_runner(struct front *f)
{
	struct message message;
	struct wire *wire;
	json_t *object = NULL;

	if (ask_one(f, "runner.sock", MSG_STATUS, &message, &wire))
		object = object_of(&message);
	/* what the supervisor says of the whole */
	json_object_del(object, "outbound");
	wire_free(wire);
	return object;
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

static void show_queue(struct front *f)
{
	struct message message;
	struct spool_stats stats;
	struct wire *wire;
	struct reader r;

	if (ask_one(f, "queue.sock", MSG_STATS, &message, &wire) &&
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
	struct status answer = { f, NULL };
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
	answer.runner = ask_runner(f);
	status = front_ask(wire, MSG_STATUS, (struct span){ 0 }, ANSWER_MS,
	    on_status_line, &answer);
	json_decref(answer.runner);
	wire_free(wire);
	if (status < 0)
		return EXIT_NOT_DONE;
	show_queue(f);
	return 0;
}
