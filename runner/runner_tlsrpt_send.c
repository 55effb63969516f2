/* Reports about TLS, sent: RFC 8460 sections 4.1 and 5.
 *
 * Some time after midnight UTC, each domain at its own time in the first four
 * hours, one domain after the other:
 *
 *     SEEK     the keeper names the next domain of a day that is over
 *     RECORD   the resolver says where its report goes
 *     ROWS     the keeper gives what was counted
 *     SEND     to one place after the other: by mail through the keeper, by
 *              HTTPS through the resolver
 *
 * What became of it is marked at the keeper: each place has it once. A place
 * that could not be served is tried again, TRIES_MAX times in all.
 */
#include "runner/tlsrpt_parts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	DAY_S = 86400,
	SPREAD_S = 14400,
	DAYS_BACK = 2, /* a machine that was off sends what is that old */
	TRIES_MAX = 5,
	AGAIN_S = 3600, /* doubled each time */
	START_MS = 1000,
	LOST_MS = 60000,
	STEP_MS = 120000, /* to wait for one answer */
	WALK_MIN_MS = 60000,
	WALK_MAX_MS = 3600000,
};

static void seek(struct runner *runner);

static uint32_t today(void)
{
	return (uint32_t)(now_utc() / DAY_S);
}

/* --- waiting -------------------------------------------------------------- */

static void on_timer(void *arg);

static void set_timer(struct runner *runner, uint64_t ms)
{
	loop_timer_set(runner->loop, &runner->tlsrpt->walk_timer,
	    now_monotonic_ms() + ms, on_timer, runner);
}

/* A new id for what is asked now. */
uint64_t walk_step(struct runner *runner, enum tlsrpt_step step)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	w->step = step;
	w->id = ++runner->tlsrpt->last_id | TLSRPT_ID;
	set_timer(runner, STEP_MS);
	return w->id;
}

bool walk_awaits(
    const struct runner *runner, uint64_t id, enum tlsrpt_step step)
{
	const struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	return w->step == step && w->id == id;
}

/* Until the first of those that are not due, or the next midnight. */
static uint64_t pause_ms(const struct tlsrpt_walk *w)
{
	uint64_t now = (uint64_t)now_utc();
	uint64_t at = ((uint64_t)today() + 1) * DAY_S;

	if (w->next_due > 0 && w->next_due < at)
		at = w->next_due;
	if (at < now + WALK_MIN_MS / 1000)
		return WALK_MIN_MS;
	at = (at - now) * 1000;
	return at < WALK_MAX_MS ? at : WALK_MAX_MS;
}

static void answer_end(struct tlsrpt_walk *w)
{
	if (w->client)
		wire_send(w->client->wire, MSG_END, w->client_id,
		    (struct span){ NULL, 0 });
	w->client = NULL;
}

static void finish(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	answer_end(w);
	w->step = TLSRPT_IDLE;
	buf_clear(&w->rows);
	buf_clear(&w->lines);
	buf_clear(&w->gzip);
	if (runner->conf->tls.tlsrpt && !runner->is_stopping)
		set_timer(runner, w->is_ordered ? START_MS : pause_ms(w));
	else
		loop_timer_cancel(runner->loop, &runner->tlsrpt->walk_timer);
}

void tlsrpt_lost(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	if (w->step == TLSRPT_IDLE)
		return;
	finish(runner);
	if (runner->conf->tls.tlsrpt)
		set_timer(runner, LOST_MS);
}

void tlsrpt_on_failed(struct runner *runner, uint64_t id)
{
	if (runner->tlsrpt->walk.id == id)
		tlsrpt_lost(runner);
}

void tlsrpt_client_gone(struct control *client)
{
	struct tlsrpt *t = client->runner->tlsrpt;

	if (t && t->walk.client == client)
		t->walk.client = NULL;
}

/* --- what is said of a domain --------------------------------------------- */

void walk_say(struct runner *runner, const char *result, const char *why)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	struct span rest = buf_span(&w->lines);
	json_t *places = json_array(), *object;
	char day[TLS_DAY_BYTES], *text;

	tls_day_print(w->day, day);
	while (rest.n > 0) {
		struct span line = span_cut(&rest, '\n');

		json_array_append_new(places, json_stringn(line.p, line.n));
	}
	object = json_pack("{s:s, s:s, s:I, s:I, s:o, s:s, s:s*}", "domain",
	    w->domain, "day", day, "successful",
	    (json_int_t)w->found.successful, "failed",
	    (json_int_t)w->found.failed, "places", places, "result", result,
	    "why", why);
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	if (text && w->client) {
		buf_reset(&runner->scratch);
		put_span(&runner->scratch, span_of(text));
		wire_send(w->client->wire, MSG_STATUS_LINE, w->client_id,
		    buf_span(&runner->scratch));
	}
	free(text);
	json_decref(object);
}

void walk_log(struct runner *runner, const char *why)
{
	const struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	char day[TLS_DAY_BYTES];

	tls_day_print(w->day, day);
	if (why)
		log_warn("tlsrpt-not-sent", "domain", w->domain, "day", day,
		    "to", w->uri[0] ? log_escape(span_of(w->uri)) : NULL, "why",
		    why, NULL);
	else
		log_event("tlsrpt-sent", "domain", w->domain, "day", day, "to",
		    log_escape(span_of(w->uri)), NULL);
}

void walk_mark(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	w->found.day = w->day;
	w->found.domain = span_of(w->domain);
	buf_reset(&runner->scratch);
	tls_domain_put(&runner->scratch, &w->found);
	wire_send(runner->keeper, MSG_TLS_MARK, 0, buf_span(&runner->scratch));
}

/* Some place does not have it. */
const char *walk_failed(struct runner *runner)
{
	struct tls_domain *d = &runner->tlsrpt->walk.found;

	d->next_at = (uint64_t)now_utc() + ((uint64_t)AGAIN_S << d->tries);
	if (++d->tries >= TRIES_MAX)
		d->state = TLS_REPORT_GIVEN_UP;
	walk_mark(runner);
	return d->state == TLS_REPORT_GIVEN_UP ? "given up"
					       : "tried again later";
}

/* --- SEEK ----------------------------------------------------------------- */

static void ask_keeper(
    struct runner *runner, enum tlsrpt_step step, bool is_next, bool wants_rows)
{
	const struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	struct tls_read q = { w->day, span_of(w->domain), is_next, wants_rows };

	buf_reset(&runner->scratch);
	tls_read_put(&runner->scratch, &q);
	wire_send(runner->keeper, MSG_TLS_READ, walk_step(runner, step),
	    buf_span(&runner->scratch));
}

static void seek(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	if (!runner->keeper || runner->is_stopping)
		finish(runner);
	else
		ask_keeper(runner, TLSRPT_SEEK, !w->is_single, false);
}

void walk_next(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	buf_clear(&w->rows);
	buf_clear(&w->gzip);
	buf_reset(&w->lines);
	w->uri[0] = '\0';
	if (w->is_single)
		finish(runner);
	else
		seek(runner);
}

/* Each domain's own moment. */
static uint64_t due_at(const struct runner *runner)
{
	const struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	uint64_t key = table_key(w->day, span_of(w->domain));
	uint64_t at;

	key = table_mix(key, table_key(2, span_of(runner->conf->localname)));
	at = ((uint64_t)w->day + 1) * DAY_S + key % SPREAD_S;
	return w->found.next_at > at ? w->found.next_at : at;
}

static bool is_due(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	uint64_t at = due_at(runner);

	if (w->is_dry)
		return true;
	if (w->found.state != TLS_REPORT_OPEN)
		return false;
	if (w->is_ordered || at <= (uint64_t)now_utc())
		return true;
	if (w->next_due == 0 || at < w->next_due)
		w->next_due = at;
	return false;
}

static void ask_record(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	struct resolve_query q = { .kind = RESOLVE_TLSRPT,
		.name = span_of(w->domain) };

	if (!runner->resolver) {
		tlsrpt_lost(runner);
		return;
	}
	buf_reset(&runner->scratch);
	resolve_query_put(&runner->scratch, &q);
	wire_send(runner->resolver, MSG_RESOLVE,
	    walk_step(runner, TLSRPT_RECORD), buf_span(&runner->scratch));
}

static void found(struct runner *runner)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	if (w->found.domain.n == 0) {
		w->domain[0] = '\0';
		if (w->is_single || ++w->day > w->last_day)
			finish(runner);
		else
			seek(runner);
	} else if (is_due(runner)) {
		ask_record(runner);
	} else {
		walk_next(runner);
	}
}

void tlsrpt_on_domain(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	struct reader r = reader_of(message->payload);
	struct tls_domain d;

	(void)wire;
	tls_domain_get(&r, &d);
	if (!reader_is_done(&r) ||
	    !walk_awaits(runner, message->id, TLSRPT_SEEK))
		return;
	w->found = d;
	snprintf(w->domain, sizeof(w->domain), "%.*s", (int)d.domain.n,
	    d.domain.p ? d.domain.p : "");
	w->found.domain = span_of(w->domain);
}

/* --- RECORD --------------------------------------------------------------- */

static void take_record(struct runner *runner, const struct resolve_answer *a)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	buf_init(&w->lines, TLS_LINES_MAX);
	buf_put_raw(&w->lines, a->lines);
	w->rest = buf_span(&w->lines);
	w->place = 0;
	if (w->is_dry) {
		walk_say(runner, "would be sent", NULL);
		walk_next(runner);
		return;
	}
	buf_init(&w->rows, TLSRPT_ROWS_BYTES);
	w->nrows = 0;
	ask_keeper(runner, TLSRPT_ROWS, false, true);
}

void tlsrpt_on_resolved(
    struct runner *runner, uint64_t id, const struct resolve_answer *a)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;
	const char *result = "not wanted";

	if (!walk_awaits(runner, id, TLSRPT_RECORD) || !runner->keeper)
		return;
	if (a->outcome.verdict == VERDICT_OK) {
		take_record(runner, a);
		return;
	}
	if (a->outcome.verdict == VERDICT_TEMP)
		result = w->is_dry ? "not known" : walk_failed(runner);
	else if (!w->is_dry) {
		w->found.state = TLS_REPORT_UNWANTED;
		walk_mark(runner);
	}
	walk_say(runner, result, a->outcome.detail);
	walk_next(runner);
}

void tlsrpt_on_end(struct wire *wire, struct message *message, void *arg)
{
	struct runner *runner = arg;

	(void)wire;
	if (walk_awaits(runner, message->id, TLSRPT_SEEK))
		found(runner);
	else if (walk_awaits(runner, message->id, TLSRPT_ROWS))
		tlsrpt_report(runner);
}

/* --- when ----------------------------------------------------------------- */

static void begin_walk(struct runner *runner, uint32_t first, uint32_t last)
{
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	w->day = first;
	w->last_day = last;
	w->next_due = 0;
	w->domain[0] = w->uri[0] = '\0';
	tlsrpt_flush(runner);
}

static void on_timer(void *arg)
{
	struct runner *runner = arg;
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	if (w->step == TLSRPT_SEND && runner->keeper) {
		tlsrpt_served(runner, "no answer");
	} else if (w->step != TLSRPT_IDLE) {
		tlsrpt_lost(runner);
	} else if (runner->conf->tls.tlsrpt) {
		w->is_ordered = w->is_dry = w->is_single = false;
		begin_walk(runner, today() - DAYS_BACK, today() - 1);
		seek(runner);
	}
}

void tlsrpt_begin(struct runner *runner)
{
	if (runner->tlsrpt->walk.step != TLSRPT_IDLE)
		return;
	if (runner->conf->tls.tlsrpt)
		set_timer(runner, START_MS);
	else
		loop_timer_cancel(runner->loop, &runner->tlsrpt->walk_timer);
}

int tlsrpt_send(struct control *client, uint64_t id, const struct tls_send *s,
    struct outcome *why)
{
	struct runner *runner = client->runner;
	struct tlsrpt_walk *w = &runner->tlsrpt->walk;

	if (w->step != TLSRPT_IDLE)
		return outcome_temp(
		    why, "4.3.2", "reports are being sent just now: try again");
	if (!runner->keeper || !runner->resolver)
		return outcome_temp(why, "4.3.2",
		    "the keeper or the resolver is away: try again");
	if (!s->is_dry && s->day >= today())
		return outcome_perm(why, "5.5.4", "that day is not over (UTC)");
	w->is_ordered = true;
	w->is_dry = s->is_dry;
	w->is_single = s->domain.n > 0;
	w->client = client;
	w->client_id = id;
	begin_walk(runner, s->day, s->day);
	snprintf(w->domain, sizeof(w->domain), "%.*s", (int)s->domain.n,
	    s->domain.n ? s->domain.p : "");
	seek(runner);
	return 0;
}
