/* sites: what each site was found to take, on what evidence. */
#include "runner/front.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

enum { ANSWER_MS = 10000 };

static const struct wire_rule rules[] = {
	{ MSG_STATUS_LINE, 65536, NULL },
	{ MSG_END, 0, NULL },
	{ MSG_FAILED, 4096, NULL },
	{ 0 },
};

struct listing {
	const struct front *front;
	bool is_show;
	unsigned count;
};

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? log_escape(span_of(text)) : "";
}

static json_int_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void print_row(const json_t *x)
{
	printf("%5lld %4lld/%-4lld %-9s %5lld %6lld %-10s ",
	    (long long)number_of(x, "destinations_count"),
	    (long long)number_of(x, "connections"),
	    (long long)number_of(x, "connections_max"), text_of(x, "state"),
	    (long long)number_of(x, "connections_found"),
	    (long long)number_of(x, "messages_per_connection_found"),
	    text_of(x, "rate_found"));
	puts(text_of(x, "site"));
}

static void print_found(const char *what, const char *value)
{
	printf("  found        %s %s\n", what, value);
}

static void print_evidence(const json_t *x)
{
	char number[32];

	if (number_of(x, "connections_found") > 0) {
		snprintf(number, sizeof(number), "%lld",
		    (long long)number_of(x, "connections_found"));
		print_found("connections", number);
	}
	if (number_of(x, "messages_per_connection_found") > 0) {
		snprintf(number, sizeof(number), "%lld",
		    (long long)number_of(x, "messages_per_connection_found"));
		print_found("messages a connection", number);
	}
	if (*text_of(x, "rate_found"))
		print_found("rate", text_of(x, "rate_found"));
	printf("  evidence     %lld connections refused, %lld closed early, "
	       "%lld replies about a rate\n",
	    (long long)number_of(x, "refused_connections"),
	    (long long)number_of(x, "closed_connections"),
	    (long long)number_of(x, "rate_replies"));
	if (*text_of(x, "last_pushback")) {
		printf("  last         %s", text_of(x, "last_pushback"));
		printf("  %s\n", text_of(x, "reply"));
	}
	if (*text_of(x, "pin"))
		printf("  to pin it    %s\n", text_of(x, "pin"));
}

static void print_site(const json_t *x)
{
	const json_t *all = json_object_get(x, "destinations");
	const json_t *name;
	size_t i;

	printf("%s\n", text_of(x, "site"));
	printf("  state        %s, %lld of %lld connections, %lld messages "
	       "in flight\n",
	    text_of(x, "state"), (long long)number_of(x, "connections"),
	    (long long)number_of(x, "connections_max"),
	    (long long)number_of(x, "in_flight"));
	printf("  destinations %lld:",
	    (long long)number_of(x, "destinations_count"));
	json_array_foreach(all, i, name)
	    printf(" %s", log_escape(span_of(json_string_value(name))));
	putchar('\n');
	if (*text_of(x, "from"))
		printf("  configured   %s\n", text_of(x, "from"));
	print_evidence(x);
}

static void on_site(struct message *message, void *arg)
{
	struct listing *listing = arg;
	struct reader r = reader_of(message->payload);
	struct span text = get_span(&r);
	json_t *object;

	if (message->type != MSG_STATUS_LINE || r.bad)
		return;
	object = json_loadb(text.p, text.n, 0, NULL);
	if (!object)
		return;
	listing->count++;
	if (listing->front->is_json) {
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (listing->is_show) {
		print_site(object);
	} else {
		print_row(object);
	}
	json_decref(object);
}

static int ask(struct front *f, const char *name)
{
	struct listing listing = { .front = f, .is_show = name != NULL };
	struct buf payload;
	struct wire *wire;
	int status;

	if (front_load(f) < 0)
		return EXIT_CONF;
	wire = front_connect(f, "runner.sock", rules, false);
	if (!wire)
		return EXIT_NOT_DONE;
	if (!name && !f->is_json)
		printf("%5s %-9s %-9s %5s %6s %-10s %s\n", "DOM.", "CONN.",
		    "STATE", "FOUND", "A CONN", "RATE", "SITE");
	buf_init(&payload, 1024);
	put_span(&payload, span_of(name ? name : ""));
	status = front_ask(
	    wire, MSG_SITES, buf_span(&payload), ANSWER_MS, on_site, &listing);
	buf_clear(&payload);
	wire_free(wire);
	if (status == 0 && name && listing.count == 0) {
		fprintf(stderr,
		    "outpost: no site of that name, host or domain is known "
		    "now: %s\n",
		    log_escape(span_of(name)));
		return EXIT_NOT_DONE;
	}
	return status < 0 ? EXIT_NOT_DONE : 0;
}

int front_sites(struct front *f, int argc, char **argv)
{
	static const struct option options[] = { FRONT_OPTIONS, { 0 } };
	const char *command;
	int option, status;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		status = front_option(f, argv[0], option);
		if (status)
			return status - 1;
	}
	command = optind < argc ? argv[optind++] : "list";
	if (strcmp(command, "list") == 0 && optind == argc)
		return ask(f, NULL);
	if (strcmp(command, "show") == 0 && optind + 1 == argc &&
	    strlen(argv[optind]) <= 1000)
		return ask(f, argv[optind]);
	front_usage(argv[0], true);
	return EXIT_USAGE;
}
