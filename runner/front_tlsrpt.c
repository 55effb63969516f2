/* tlsrpt: what TLS with other servers came to, by domain, and the reports of
 * it (RFC 8460). */
#include "runner/front.h"

#include "common/date.h"
#include "common/deadline.h"
#include "runner/tlsrpt_report.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MS = 10000, SEND_MS = 600000, DAY_S = 86400, ROWS_MAX = 400 };

static const struct wire_rule keeper_rules[] = {
	{ MSG_TLS_DOMAIN, 512, NULL },
	{ MSG_TLS_ROW, 8192, NULL },
	{ MSG_END, 0, NULL },
	{ MSG_FAILED, 4096, NULL },
	{ 0 },
};
static const struct wire_rule runner_rules[] = {
	{ MSG_STATUS_LINE, 16384, NULL },
	{ MSG_END, 0, NULL },
	{ MSG_FAILED, 4096, NULL },
	{ 0 },
};

struct asked {
	struct front *front;
	uint32_t day;
	char domain[TLS_DOMAIN_MAX + 1]; /* "": all */
	bool is_dry;
};

/* What the keeper says of one domain. */
struct heard {
	struct tls_domain d;
	char domain[TLS_DOMAIN_MAX + 1];
	struct buf texts; /* rows as they came */
	size_t nrows;
};

/* --- show ----------------------------------------------------------------- */

static void on_heard(struct message *message, void *arg)
{
	struct heard *h = arg;
	struct reader r = reader_of(message->payload);
	struct tls_count c;

	if (message->type == MSG_TLS_DOMAIN) {
		tls_domain_get(&r, &h->d);
		snprintf(h->domain, sizeof(h->domain), "%.*s",
		    (int)h->d.domain.n, h->d.domain.n ? h->d.domain.p : "");
		return;
	}
	tls_count_get(&r, &c);
	if (message->type != MSG_TLS_ROW || !reader_is_done(&r) ||
	    h->nrows == ROWS_MAX)
		return;
	buf_put_raw(&h->texts, message->payload);
	h->nrows++;
}

static struct tls_count *rows_of(const struct heard *h)
{
	struct tls_count *rows = calloc(h->nrows + 1, sizeof(*rows));
	struct reader r = reader_of(buf_span(&h->texts));

	for (size_t i = 0; rows && i < h->nrows; i++)
		tls_count_get(&r, &rows[i]);
	return rows;
}

static void print_json(
    const struct asked *a, const struct heard *h, const struct tls_count *rows)
{
	const struct conf *conf = a->front->conf;
	struct tlsrpt_case c = { .domain = span_of(h->domain),
		.day = a->day,
		.localname = conf->localname,
		.postmaster = conf->postmaster,
		.rows = rows,
		.nrows = h->nrows };
	json_t *json = tlsrpt_json(&c);

	if (json)
		json_dumpf(json, stdout, JSON_COMPACT);
	json_decref(json);
	putchar('\n');
}

static const char *policy_name(uint8_t policy)
{
	static const char *const names[] = { "none", "dane", "dane", "sts" };

	return policy < 4 ? names[policy] : "?";
}

static const char *state_words(const struct tls_domain *d)
{
	static const char *const words[TLS_REPORT_COUNT] = { "", ", reported",
		", no report wanted", ", report given up" };

	return words[d->state];
}

static void print_words(const struct heard *h, const struct tls_count *rows)
{
	printf("%s: %llu sessions with TLS as it should be, %llu without%s\n",
	    log_escape(span_of(h->domain)), (unsigned long long)h->d.successful,
	    (unsigned long long)h->d.failed, state_words(&h->d));
	for (size_t i = 0; i < h->nrows; i++) {
		const struct tls_count *c = &rows[i];

		printf("  %8llu  %-4s  %-26s", (unsigned long long)c->sessions,
		    policy_name(c->policy), tls_result_name(c->result));
		if (c->host.n > 0)
			printf(" %s", log_escape(c->host));
		if (c->address.n > 0)
			printf(" [%s]", log_escape(c->address));
		if (c->source.n > 0)
			printf(" from %s", log_escape(c->source));
		putchar('\n');
		if (c->reason.n > 0)
			printf("            %s\n", log_escape(c->reason));
	}
}

/* One domain; 1: it was there, 0: none (any more), -1: failed. */
static int show_one(const struct asked *a, struct wire *wire, struct heard *h)
{
	bool is_single = a->domain[0] != '\0';
	struct tls_read q = { a->day,
		span_of(is_single ? a->domain : h->domain), !is_single, true };
	struct tls_count *rows;
	struct buf payload;
	int status;

	buf_init(&payload, 1024);
	tls_read_put(&payload, &q);
	buf_reset(&h->texts);
	h->nrows = 0;
	status = front_ask(
	    wire, MSG_TLS_READ, buf_span(&payload), ANSWER_MS, on_heard, h);
	buf_clear(&payload);
	if (status < 0 || h->domain[0] == '\0')
		return status;
	rows = rows_of(h);
	if (!rows)
		return -1;
	if (a->front->is_json)
		print_json(a, h, rows);
	else
		print_words(h, rows);
	free(rows);
	return 1;
}

static int show(const struct asked *a)
{
	struct wire *wire =
	    front_connect(a->front, "queue.sock", keeper_rules, false);
	struct heard h = { 0 };
	int status;
	size_t n = 0;

	if (!wire)
		return EXIT_NOT_DONE;
	buf_init(&h.texts, 4 << 20);
	while ((status = show_one(a, wire, &h)) == 1) {
		n++;
		if (a->domain[0])
			break;
	}
	if (status >= 0 && n == 0 && !a->front->is_json)
		puts("no session was counted");
	if (status >= 0 && h.d.missed > 0)
		fprintf(stderr,
		    "outpost: %llu sessions with further domains were not "
		    "counted: there is room for 2000 domains a day\n",
		    (unsigned long long)h.d.missed);
	buf_clear(&h.texts);
	wire_free(wire);
	return status < 0 ? EXIT_NOT_DONE : 0;
}

/* --- send ----------------------------------------------------------------- */

static void print_sent(json_t *o)
{
	const char *domain = "", *result = "", *why = NULL;
	json_int_t good = 0, bad = 0;
	json_t *places = NULL;

	if (json_unpack(o, "{s:s, s:I, s:I, s:o, s:s, s?s}", "domain", &domain,
		"successful", &good, "failed", &bad, "places", &places,
		"result", &result, "why", &why) != 0)
		return;
	printf(
	    "%s: %s", log_escape(span_of(domain)), log_escape(span_of(result)));
	for (size_t i = 0; i < json_array_size(places); i++)
		printf("%s %s", i ? "," : " to",
		    log_escape(
			span_of(json_string_value(json_array_get(places, i)))));
	printf(" (%lld sessions with TLS as it should be, %lld without)",
	    (long long)good, (long long)bad);
	if (why)
		printf(": %s", log_escape(span_of(why)));
	putchar('\n');
}

static void on_sent(struct message *message, void *arg)
{
	const struct asked *a = arg;
	struct reader r = reader_of(message->payload);
	struct span line = get_span(&r);
	json_t *o;

	if (message->type != MSG_STATUS_LINE || r.bad)
		return;
	if (a->front->is_json) {
		fwrite(line.p, 1, line.n, stdout);
		putchar('\n');
		return;
	}
	o = json_loadb(line.p, line.n, 0, NULL);
	if (o)
		print_sent(o);
	json_decref(o);
}

static int send_now(const struct asked *a)
{
	struct wire *wire =
	    front_connect(a->front, "runner.sock", runner_rules, false);
	struct tls_send s = { a->day, span_of(a->domain), a->is_dry };
	struct buf payload;
	int status;

	if (!wire)
		return EXIT_NOT_DONE;
	buf_init(&payload, 1024);
	tls_send_put(&payload, &s);
	status = front_ask(wire, MSG_TLS_SEND, buf_span(&payload), SEND_MS,
	    on_sent, (void *)a);
	buf_clear(&payload);
	wire_free(wire);
	return status < 0 ? EXIT_NOT_DONE : 0;
}

/* --- the command line ----------------------------------------------------- */

static int take_day(struct asked *a, const char *text)
{
	uint32_t today = (uint32_t)(now_utc() / DAY_S);

	if (strcmp(text, "today") == 0)
		a->day = today;
	else if (strcmp(text, "yesterday") == 0)
		a->day = today - 1;
	else if (tls_day_parse(span_of(text), &a->day) < 0) {
		fprintf(stderr,
		    "outpost: --day %s: not YYYY-MM-DD, today or "
		    "yesterday\n",
		    log_escape(span_of(text)));
		return -1;
	}
	return 0;
}

static int take_domain(struct asked *a, const char *text)
{
	if (strlen(text) >= sizeof(a->domain) || text[0] == '\0') {
		fputs("outpost: --domain: not a domain\n", stderr);
		return -1;
	}
	for (size_t i = 0; i <= strlen(text); i++)
		a->domain[i] = (char)tolower((unsigned char)text[i]);
	return 0;
}

int front_tlsrpt(struct front *f, int argc, char **argv)
{
	static const struct option options[] = { { "day", required_argument,
						     NULL, 'd' },
		{ "domain", required_argument, NULL, 'D' },
		{ "dry-run", no_argument, NULL, 'n' }, FRONT_OPTIONS, { 0 } };
	struct asked a = { .front = f };
	bool has_day = false;
	int option, status = 0;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (option == 'd') {
			has_day = true;
			status = take_day(&a, optarg) < 0 ? EXIT_USAGE + 1 : 0;
		} else if (option == 'D') {
			status =
			    take_domain(&a, optarg) < 0 ? EXIT_USAGE + 1 : 0;
		} else if (option == 'n') {
			a.is_dry = true;
		} else {
			status = front_option(f, argv[0], option);
		}
		if (status)
			return status - 1;
	}
	if (optind + 1 != argc ||
	    (strcmp(argv[optind], "show") != 0 &&
		strcmp(argv[optind], "send") != 0) ||
	    (strcmp(argv[optind], "send") == 0 && !has_day)) {
		front_usage(argv[0], true);
		return EXIT_USAGE;
	}
	if (!has_day)
		a.day = (uint32_t)(now_utc() / DAY_S);
	if (front_load(f) < 0)
		return EXIT_CONF;
	return strcmp(argv[optind], "show") == 0 ? show(&a) : send_now(&a);
}
