/* The spool over the simulated disk against a model in memory: thousands of
 * random operations with failing calls, kills and power cuts in between. After
 * each commit and each recovery, what the spool shows has to be what the model
 * says: all that was acknowledged, nothing that was finished, and a ledger
 * that adds up.
 *
 * SPOOL_SIM_SEEDS=n runs more seeds, SPOOL_SIM_SEED=n just that one.
 */
#include "queue/spool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "queue/spool_parts.h"
#include "tests/unit/simdisk.c"

enum {
	MESSAGES = 40,
	DELIVERIES = 3,
	RCPTS = 3,
	OPERATIONS = 3000,
	SEGMENT = 1 << 18,
};

struct mrcpt {
	bool is_here;
	uint8_t state, report;
};

struct mdelivery {
	uint8_t state, claim; /* claim: enum claim_for + 1 */
	uint8_t nrcpts;
	bool warned;
	uint64_t due_ms, report_ms; /* NEVER_MS */
	uint16_t attempts, uncertain, deaths;
	struct mrcpt rcpts[RCPTS];
};

struct mmessage {
	uint64_t id; /* 0: free */
	uint32_t body_seed, body_bytes;
	bool was_sent, has_sender;
	uint8_t ndeliveries;
	struct mdelivery deliveries[DELIVERIES];
};

struct world {
	struct mmessage messages[MESSAGES];
	struct ledger ledger;
};

struct test {
	struct sim *sim;
	char path[64];
	struct spool *spool;
	struct world now, staged;
	bool has_staged;
	uint64_t seed;
	unsigned op, commits, failures, kills, cuts, replays, segments;
};

static uint64_t pick(struct test *t, uint64_t below)
{
	return sim_random(t->sim, below);
}

static uint64_t now_ms(const struct test *t)
{
	return t->sim->clock_us / 1000;
}

#define expect(t, condition)                                         \
	do {                                                         \
		if (!(condition)) {                                  \
			print_error("seed %llu, operation %u\n",     \
			    (unsigned long long)(t)->seed, (t)->op); \
			assert_true(condition);                      \
		}                                                    \
	} while (0)

/* --- The model ------------------------------------------------------------ */

static unsigned mpending(const struct mdelivery *d)
{
	unsigned n = 0;

	for (int i = 0; i < d->nrcpts; i++)
		n += d->rcpts[i].is_here && d->rcpts[i].state == 0;
	return n;
}

static unsigned mhere(const struct mdelivery *d)
{
	unsigned n = 0;

	for (int i = 0; i < d->nrcpts; i++)
		n += d->rcpts[i].is_here;
	return n;
}

static bool mreport(const struct mdelivery *d)
{
	for (int i = 0; i < d->nrcpts; i++)
		if (d->rcpts[i].is_here && d->rcpts[i].report)
			return true;
	return false;
}

static void mtidy(struct mmessage *m)
{
	for (int i = 0; i < m->ndeliveries; i++)
		if (mhere(&m->deliveries[i]) > 0)
			return;
	memset(m, 0, sizeof(*m));
}

static uint64_t mrecipients(const struct world *w)
{
	uint64_t n = 0;

	for (int i = 0; i < MESSAGES; i++)
		for (int k = 0; k < w->messages[i].ndeliveries; k++)
			n += mhere(&w->messages[i].deliveries[k]);
	return n;
}

static void mfinal(
    struct world *w, struct mrcpt *r, uint8_t state, uint8_t report)
{
	r->state = state;
	r->report = report;
	if (report)
		return;
	r->is_here = false;
	if (state == RECIPIENT_FAILED)
		w->ledger.failed++;
	else
		w->ledger.delivered++;
}

/* What the next start makes of claims that nobody answered. */
static void mrecover(struct world *w, uint64_t at)
{
	for (int i = 0; i < MESSAGES; i++)
		for (int k = 0; k < w->messages[i].ndeliveries; k++) {
			struct mmessage *m = &w->messages[i];
			struct mdelivery *d = &m->deliveries[k];

			if (d->claim == CLAIM_DELIVER + 1) {
				d->state = STATE_UNCERTAIN;
				d->due_ms = at;
				d->uncertain++;
				m->was_sent = true;
				w->ledger.uncertain++;
			}
			d->claim = 0;
		}
}

/* --- Both as text --------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint8_t mvisible(
    const struct mdelivery *d, const struct mrcpt *r, uint64_t now)
{
	if (r->state)
		return STATE_REPORTING;
	if (d->claim == CLAIM_DELIVER + 1)
		return STATE_ACTIVE;
	if (d->state == STATE_HELD && d->due_ms <= now)
		return STATE_READY;
	return d->state;
}

/* Times set at recovery differ by what the clock did meanwhile. */
static uint64_t rough(uint64_t ms)
{
	return ms == NEVER_MS ? ms : ms / 1000000;
}

static void model_print(const struct world *w, uint64_t now, struct buf *out)
{
	for (int i = 0; i < MESSAGES; i++)
		for (int k = 0; k < w->messages[i].ndeliveries; k++)
			for (int j = 0; j < RCPTS; j++) {
				const struct mmessage *m = &w->messages[i];
				const struct mdelivery *d = &m->deliveries[k];
				const struct mrcpt *r = &d->rcpts[j];

				if (j >= d->nrcpts || !r->is_here)
					continue;
				buf_printf(out,
				    "%016llx %d %d s%u r%u a%u u%u d%llu %u\n",
				    (unsigned long long)m->id, k, j,
				    mvisible(d, r, now), r->report, d->attempts,
				    d->uncertain,
				    (unsigned long long)rough(d->due_ms),
				    m->body_bytes);
			}
	buf_printf(out, "ledger %llu = %llu + %llu + %llu + %llu, %llu, %llu\n",
	    (unsigned long long)w->ledger.accepted,
	    (unsigned long long)w->ledger.delivered,
	    (unsigned long long)w->ledger.failed,
	    (unsigned long long)w->ledger.retracted,
	    (unsigned long long)mrecipients(w),
	    (unsigned long long)w->ledger.uncertain,
	    (unsigned long long)w->ledger.accepted_messages);
}

static bool item_print(const struct item *i, void *arg)
{
	buf_printf(arg, "%016llx %u %u s%u r%u a%u u%u d%llu %llu\n",
	    (unsigned long long)i->message, i->delivery, i->recipient, i->state,
	    i->report, i->attempts, i->uncertain,
	    (unsigned long long)rough(i->next_try_ms),
	    (unsigned long long)i->size_bytes);
	return true;
}

static void spool_print(struct test *t, struct buf *out)
{
	struct filter filter = { .state = -1, .uid = UINT32_MAX };
	struct cursor after = { 0 };
	struct spool_stats s;

	/* in small pieces, to exercise the cursor */
	while (spool_list(t->spool, &filter, &after, 7, item_print, out))
		;
	spool_stats(t->spool, &s);
	buf_printf(out, "ledger %llu = %llu + %llu + %llu + %llu, %llu, %llu\n",
	    (unsigned long long)s.accepted, (unsigned long long)s.delivered,
	    (unsigned long long)s.failed, (unsigned long long)s.retracted,
	    (unsigned long long)s.recipients, (unsigned long long)s.uncertain,
	    (unsigned long long)s.accepted_messages);
}

/* Lines in order, as one text. */
static char *sorted(struct buf *b)
{
	char *lines[MESSAGES * DELIVERIES * RCPTS + 2], *text, *at;
	size_t n = 0;
	struct buf out;

	buf_init(&out, 1 << 20);
	text = strdup(buf_text(b));
	for (at = strtok(text, "\n"); at; at = strtok(NULL, "\n"))
		lines[n++] = at;
	qsort(lines, n, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "%s\n", lines[i]);
	free(text);
	text = strdup(buf_text(&out));
	buf_clear(&out);
	return text;
}

/* The lines of a that b has not. */
static void difference_print(const char *what, const char *a, const char *b)
{
	for (const char *at = a; *at; at = strchr(at, '\n') + 1) {
		char line[256];

		snprintf(line, sizeof(line), "%.*s",
		    (int)(strchr(at, '\n') - at + 1), at);
		if (!strstr(b, line))
			print_error("%s: %s", what, line);
	}
}

static bool is_same(struct test *t, const struct world *w, bool is_loud)
{
	struct buf a, b;
	char *is, *should;
	bool same;

	buf_init(&a, 1 << 20);
	buf_init(&b, 1 << 20);
	spool_print(t, &a);
	model_print(w, now_ms(t), &b);
	is = sorted(&a);
	should = sorted(&b);
	same = strcmp(is, should) == 0;
	if (!same && is_loud) {
		difference_print("is", is, should);
		difference_print("should be", should, is);
	}
	free(is);
	free(should);
	buf_clear(&a);
	buf_clear(&b);
	return same;
}

static void problem_print(const char *where, const char *what, void *arg)
{
	(void)arg;
	print_error("verify: %s: %s\n", where, what);
}

static void body_make(uint32_t seed, size_t n, char *to)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		to[i] = (char)('a' + (seed >> 16) % 26);
	}
}

static void bodies_check(struct test *t, const struct world *w)
{
	for (int i = 0; i < MESSAGES; i++) {
		const struct mmessage *m = &w->messages[i];
		struct outcome why = { 0 };
		struct buf body;
		char *should;
		ptrdiff_t n;

		if (!m->id)
			continue;
		buf_init(&body, 1 << 20);
		should = malloc(m->body_bytes + 1u);
		body_make(m->body_seed, m->body_bytes, should);
		n = spool_body(t->spool, m->id, 0, 1 << 19, &body, &why);
		if (n == 0)
			buf_putc(&body, '\0'); /* for memcmp */
		if (n != m->body_bytes)
			print_error("%s\n", why.detail);
		expect(t, n == m->body_bytes);
		expect(t, memcmp(body.data, should, m->body_bytes) == 0);
		free(should);
		buf_clear(&body);
	}
}

static void everything_check(struct test *t)
{
	expect(t, spool_verify(t->spool, problem_print, NULL, NULL) == 0);
	bodies_check(t, &t->now);
	expect(t, t->now.ledger.accepted ==
		      t->now.ledger.delivered + t->now.ledger.failed +
			  t->now.ledger.retracted + mrecipients(&t->now));
}

/* --- Operations ----------------------------------------------------------- */

static struct mmessage *free_slot(struct world *w)
{
	for (int i = 0; i < MESSAGES; i++)
		if (!w->messages[i].id)
			return &w->messages[i];
	return NULL;
}

/* Preferably one that is claimed so. */
static struct mdelivery *any_delivery(
    struct test *t, struct mmessage **m, uint16_t *number, uint8_t claim)
{
	for (int tries = 0; tries < 100; tries++) {
		struct mdelivery *d;

		*m = &t->staged.messages[pick(t, MESSAGES)];
		if (!(*m)->id)
			continue;
		*number = (uint16_t)pick(t, (*m)->ndeliveries);
		d = &(*m)->deliveries[*number];
		if (mhere(d) > 0 && (d->claim == claim || tries > 90))
			return d;
	}
	return NULL;
}

static uint32_t body_size(struct test *t)
{
	switch (pick(t, 20)) {
	case 0:
		return INLINE_BODY_MAX + 1 + (uint32_t)pick(t, 5000);
	case 1:
		return (uint32_t)pick(t, 60000);
	case 2:
		return 0;
	default:
		return (uint32_t)pick(t, 3000);
	}
}

static struct incoming *incoming_make(
    struct test *t, const struct envelope *e, uint32_t seed, uint32_t n)
{
	struct outcome why;
	struct incoming *in = spool_incoming_new(t->spool, e, &why);
	char *body = malloc(n + 1u);
	int result = 0;

	expect(t, in != NULL);
	body_make(seed, n, body);
	for (uint32_t at = 0; at < n && result == 0;) {
		uint32_t part = 1 + (uint32_t)pick(t, DATA_CHUNK_MAX);

		part = part > n - at ? n - at : part;
		result = spool_incoming_data(
		    in, (struct span){ body + at, part }, &why);
		at += part;
	}
	free(body);
	if (result == 0)
		return in;
	expect(t, sim_has_failed(t->sim));
	spool_incoming_free(in);
	return NULL;
}

static void model_accept(
    struct test *t, uint64_t id, uint64_t at, const struct mmessage *plan)
{
	struct mmessage *m = free_slot(&t->staged);

	*m = *plan;
	m->id = id;
	for (int i = 0; i < m->ndeliveries; i++) {
		struct mdelivery *d = &m->deliveries[i];

		if (d->state == STATE_READY)
			d->due_ms = at;
		t->staged.ledger.accepted += d->nrcpts;
	}
	t->staged.ledger.accepted_messages++;
	t->has_staged = true;
}

static void do_enqueue(struct test *t)
{
	char addresses[DELIVERIES * RCPTS][40];
	struct recipient recipients[DELIVERIES * RCPTS];
	struct envelope e = {
		.origin = ORIGIN_LOCAL, .uid = 7, .recipients = recipients
	};
	struct mmessage plan = { .ndeliveries = 1 + (uint8_t)pick(t, 3) };
	struct outcome why = { 0 };
	struct incoming *in;
	uint64_t id, at;

	if (!free_slot(&t->staged))
		return;
	plan.has_sender = pick(t, 4) > 0;
	if (plan.has_sender)
		e.sender = SPAN_LITERAL("me@home.example");
	if (pick(t, 8) == 0)
		e.hold_until =
		    pick(t, 2) ? UINT64_MAX : now_ms(t) / 1000 + 3600;
	for (int i = 0; i < plan.ndeliveries; i++) {
		struct mdelivery *d = &plan.deliveries[i];

		d->nrcpts = 1 + (uint8_t)pick(t, RCPTS);
		d->state = e.hold_until ? STATE_HELD : STATE_READY;
		d->due_ms =
		    e.hold_until == UINT64_MAX ? NEVER_MS : e.hold_until * 1000;
		d->report_ms = NEVER_MS;
		for (int k = 0; k < d->nrcpts; k++) {
			char *a = addresses[e.nrecipients];

			d->rcpts[k].is_here = true;
			snprintf(a, 40, "u%d@d%d.example", k, i);
			recipients[e.nrecipients++] =
			    (struct recipient){ .address = span_of(a) };
		}
	}
	plan.body_seed = (uint32_t)pick(t, 1 << 30);
	plan.body_bytes = body_size(t);
	in = incoming_make(t, &e, plan.body_seed, plan.body_bytes);
	at = now_ms(t);
	if (!in)
		return;
	if (pick(t, 10) == 0) {
		spool_incoming_free(in);
		return;
	}
	if (spool_stage_message(t->spool, in, &id, &why) == 0) {
		model_accept(t, id, at, &plan);
		return;
	}
	expect(t, sim_has_failed(t->sim));
	spool_incoming_free(in);
}

static void do_claim(struct test *t)
{
	uint8_t claim_for = CLAIM_DELIVER;
	struct mmessage *m;
	uint16_t number;
	struct mdelivery *d = any_delivery(t, &m, &number, 0);
	bool should;

	if (!d)
		return;
	if (pick(t, mreport(d) ? 2 : 10) == 0)
		claim_for = CLAIM_REPORT;
	if (claim_for == CLAIM_REPORT)
		should = !d->claim && mreport(d);
	else
		should = !d->claim && mpending(d) > 0 &&
			 d->state != STATE_SUSPENDED && d->due_ms <= now_ms(t);
	if (spool_stage_claim(t->spool, m->id, number, claim_for) == 0) {
		expect(t, should);
		d->claim = (uint8_t)(claim_for + 1);
		t->has_staged = true;
	} else {
		expect(t, !should || sim_has_failed(t->sim));
	}
}

static void do_unclaim(struct test *t)
{
	struct mmessage *m;
	uint16_t number;
	struct mdelivery *d = any_delivery(t, &m, &number, (uint8_t)pick(t, 3));

	if (!d)
		return;
	if (spool_stage_unclaim(t->spool, m->id, number) == 0) {
		expect(t, d->claim);
		d->claim = 0;
		t->has_staged = true;
	} else {
		expect(t, !d->claim || sim_has_failed(t->sim));
	}
}

static void model_attempt(struct test *t, struct mmessage *m,
    struct mdelivery *d, const struct attempt *a, uint64_t at)
{
	bool touched = false, uncertain = false, report = false;

	for (size_t i = 0; i < a->result.nrecipients; i++) {
		const struct rcpt_outcome *o = &a->result.recipients[i];
		struct mrcpt *r = &d->rcpts[o->index];
		uint8_t asked = a->reports[i];

		if (!r->is_here || r->state || o->result == RCPT_UNTOUCHED)
			continue;
		touched = true;
		if (o->result == RCPT_DELIVERED || o->result == RCPT_UNCERTAIN)
			m->was_sent = true;
		uncertain |= o->result == RCPT_UNCERTAIN;
		report |= asked;
		if (o->result == RCPT_DELIVERED)
			mfinal(&t->staged, r, RECIPIENT_DELIVERED, asked);
		else if (o->result == RCPT_FAILED)
			mfinal(&t->staged, r, RECIPIENT_FAILED, asked);
		else if (asked)
			r->report = asked;
	}
	d->claim = 0;
	d->attempts += a->counts;
	d->deaths += a->line_died;
	d->uncertain += uncertain;
	t->staged.ledger.uncertain += uncertain;
	d->due_ms = a->next_try_ms;
	if (uncertain)
		d->state = STATE_UNCERTAIN;
	else if (touched || a->counts ||
		 (d->state != STATE_UNCERTAIN && d->due_ms > at))
		d->state = STATE_DEFERRED;
	else if (d->state == STATE_HELD)
		d->state = STATE_READY;
	if (a->line_died && d->deaths >= LINE_DEATHS_MAX) {
		d->state = STATE_SUSPENDED;
		d->due_ms = NEVER_MS;
	}
	mtidy(m);
	t->has_staged = true;
}

static uint8_t report_pick(struct test *t, uint8_t result)
{
	if (pick(t, 3) > 0)
		return REPORT_NONE;
	if (result == RCPT_DELIVERED)
		return pick(t, 2) ? REPORT_RELAYED : REPORT_DELIVERED;
	return result == RCPT_FAILED ? REPORT_FAILED : REPORT_DELAYED;
}

static void do_attempt(struct test *t)
{
	struct rcpt_outcome outcomes[RCPTS];
	uint8_t reports[RCPTS] = { 0 };
	struct attempt a = { .reports = reports,
		.line = SPAN_LITERAL("default/1"),
		.cause = SPAN_LITERAL("retry") };
	struct mmessage *m;
	uint64_t at = now_ms(t);
	struct mdelivery *d =
	    any_delivery(t, &m, &a.delivery, CLAIM_DELIVER + 1);

	if (!d)
		return;
	a.message = m->id;
	a.counts = pick(t, 4) > 0;
	a.line_died = pick(t, 6) == 0;
	a.next_try_ms = pick(t, 2) ? at : at + 2000000000;
	a.result.recipients = outcomes;
	a.result.host = SPAN_LITERAL("mx.example");
	for (int i = 0; i < d->nrcpts; i++) {
		struct rcpt_outcome *o = &outcomes[a.result.nrecipients];

		*o = (struct rcpt_outcome){ .index = (uint16_t)i,
			.result = (uint8_t)pick(t, 5),
			.reply = SPAN_LITERAL("450 4.2.0 later") };
		if (!d->rcpts[i].is_here || d->rcpts[i].state)
			continue;
		if (o->result != RCPT_UNTOUCHED)
			reports[a.result.nrecipients] =
			    report_pick(t, o->result);
		a.result.nrecipients++;
	}
	if (spool_stage_attempt(t->spool, &a) == 0) {
		expect(t, d->claim == CLAIM_DELIVER + 1);
		model_attempt(t, m, d, &a, at);
	} else {
		expect(
		    t, d->claim != CLAIM_DELIVER + 1 || sim_has_failed(t->sim));
	}
}

/* A report about everything of one message that awaits one. */
static void do_report(struct test *t)
{
	struct report_ref refs[DELIVERIES * RCPTS];
	struct recipient to = { .address = SPAN_LITERAL("me@home.example") };
	struct envelope e = { .origin = ORIGIN_REPORT,
		.uid = UINT32_MAX,
		.refs = refs,
		.recipients = &to,
		.nrecipients = 1 };
	struct mmessage plan = { .ndeliveries = 1 }, *m;
	struct mdelivery *d;
	struct outcome why;
	struct incoming *in;
	uint64_t id, at;
	uint16_t number;

	d = any_delivery(t, &m, &number, CLAIM_REPORT + 1);
	if (!d || d->claim != CLAIM_REPORT + 1 || !free_slot(&t->staged))
		return;
	for (uint16_t i = 0; i < m->ndeliveries; i++)
		for (uint16_t k = 0; k < m->deliveries[i].nrcpts; k++)
			if (m->deliveries[i].rcpts[k].is_here &&
			    m->deliveries[i].rcpts[k].report)
				refs[e.nrefs++] = (struct report_ref){ i, k,
					m->deliveries[i].rcpts[k].report };
	e.about = m->id;
	plan.deliveries[0] = (struct mdelivery){ .nrcpts = 1,
		.report_ms = NEVER_MS,
		.rcpts = { { .is_here = true } } };
	plan.body_bytes = 100;
	in = incoming_make(t, &e, 0, 100);
	if (!in)
		return;
	at = now_ms(t);
	if (spool_stage_message(t->spool, in, &id, &why) < 0) {
		expect(t, sim_has_failed(t->sim));
		spool_incoming_free(in);
		return;
	}
	for (size_t i = 0; i < e.nrefs; i++) {
		struct mdelivery *of = &m->deliveries[refs[i].delivery];
		struct mrcpt *r = &of->rcpts[refs[i].recipient];

		if (of->claim == CLAIM_REPORT + 1)
			of->claim = 0;
		if (refs[i].kind == REPORT_DELAYED) {
			r->report = 0;
			of->warned = true;
		} else {
			mfinal(&t->staged, r, r->state, REPORT_NONE);
		}
	}
	mtidy(m);
	model_accept(t, id, at, &plan);
}

static void model_change(struct test *t, struct mmessage *m,
    struct mdelivery *d, const struct change *c, uint64_t at)
{
	for (int i = 0; i < d->nrcpts; i++) {
		struct mrcpt *r = &d->rcpts[i];

		if (!r->is_here)
			continue;
		if (c->action == CHANGE_BOUNCE && r->state == 0)
			mfinal(&t->staged, r, RECIPIENT_FAILED,
			    m->has_sender ? REPORT_FAILED : REPORT_NONE);
		if (c->action != CHANGE_DELETE && c->action != CHANGE_RETRACT)
			continue;
		r->is_here = false;
		if (r->state == RECIPIENT_FAILED)
			t->staged.ledger.failed++;
		else if (r->state == RECIPIENT_DELIVERED)
			t->staged.ledger.delivered++;
		else
			t->staged.ledger.retracted++;
	}
	if (c->action == CHANGE_HOLD) {
		d->state = STATE_HELD;
		d->due_ms = c->until == UINT64_MAX ? NEVER_MS : c->until * 1000;
	}
	if (c->action == CHANGE_RELEASE || c->action == CHANGE_RETRY) {
		if (d->state != STATE_UNCERTAIN)
			d->state = STATE_READY;
		d->due_ms = at;
		d->deaths = 0;
		if (c->action == CHANGE_RETRY && c->until)
			d->attempts = 0;
	}
}

static bool is_being_sent(const struct mmessage *m)
{
	for (int i = 0; i < m->ndeliveries; i++)
		if (m->deliveries[i].claim == CLAIM_DELIVER + 1)
			return true;
	return false;
}

static bool model_may_change(
    const struct mmessage *m, const struct mdelivery *d, const struct change *c)
{
	if (d->claim || mhere(d) == 0)
		return false;
	switch (c->action) {
	case CHANGE_RELEASE:
		return d->state == STATE_HELD || d->state == STATE_SUSPENDED;
	case CHANGE_RETRY:
		return d->state != STATE_HELD && mpending(d) > 0;
	case CHANGE_RETRACT:
		return !m->was_sent && d->uncertain == 0 &&
		       mpending(d) == mhere(d) && !is_being_sent(m);
	case CHANGE_DELETE:
		return true;
	default:
		return mpending(d) > 0;
	}
}

static void do_change(struct test *t)
{
	struct change c = { .action = (uint8_t)(1 + pick(t, 6)),
		.filter = { .state = -1, .uid = UINT32_MAX },
		.max = 10 };
	struct cursor after = { 0 };
	uint64_t at = now_ms(t);
	struct mmessage *m;
	uint16_t number;
	uint32_t n;
	unsigned should = 0;
	bool more;

	if (!any_delivery(t, &m, &number, 0))
		return;
	c.filter.id = m->id;
	c.until = pick(t, 2) ? UINT64_MAX : at / 1000 + 3600;
	if (c.action == CHANGE_RETRY)
		c.until = pick(t, 2);
	for (int i = 0; i < m->ndeliveries; i++)
		should += model_may_change(m, &m->deliveries[i], &c);
	n = spool_stage_change(
	    t->spool, &c, UINT32_MAX, &after, &more, NULL, NULL);
	if (n == 0) {
		expect(t, should == 0 || sim_has_failed(t->sim));
		return;
	}
	expect(t, n == 1 && !more && should > 0);
	for (int i = 0; i < m->ndeliveries; i++)
		if (model_may_change(m, &m->deliveries[i], &c))
			model_change(t, m, &m->deliveries[i], &c, at);
	mtidy(m);
	t->has_staged = true;
}

static void do_job(struct test *t)
{
	struct mmessage *m;
	struct outcome why = { 0 };
	struct job job;
	uint16_t number;
	struct mdelivery *d;
	int fd;

	if (t->has_staged)
		return;
	d = any_delivery(t, &m, &number, CLAIM_DELIVER + 1);
	if (!d || d->claim != CLAIM_DELIVER + 1)
		return;
	expect(t, spool_job(t->spool, m->id, number, CLAIM_DELIVER, &job, &fd,
		      &why) == 0);
	expect(t, job.nrecipients == mpending(d));
	expect(t, job.size_bytes == m->body_bytes);
	expect(t, job.is_large ? fd >= 0 : job.content.n == m->body_bytes);
	if (fd >= 0)
		sim_close(t->sim, fd);
	job_free(&job);
}

/* --- Commit, fail, crash -------------------------------------------------- */

static void spool_start(struct test *t)
{
	struct spool_options options = { .path = t->path,
		.segment_bytes = SEGMENT,
		.disk = sim_disk(t->sim) };
	struct outcome why = { 0 };

	t->spool = spool_open(&options, NULL, &why);
	if (!t->spool)
		print_error("seed %llu, operation %u: open: %s\n",
		    (unsigned long long)t->seed, t->op, why.detail);
	assert_non_null(t->spool);
}

static void do_commit(struct test *t)
{
	struct outcome why = { 0 };

	if (spool_commit(t->spool, &why) == 0) {
		t->now = t->staged;
		t->commits++;
	} else {
		expect(t, sim_has_failed(t->sim));
		t->staged = t->now;
		t->failures++;
	}
	t->has_staged = false;
	expect(t, is_same(t, &t->now, true));
}

static void index_forget(const struct test *t)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/index", t->path);
	index_remove(path);
}

/* After a crash in a commit, all of it happened or nothing. */
static void recovered(struct test *t, bool was_in_commit)
{
	uint64_t at = now_ms(t);
	struct world after = t->staged;

	spool_start(t);
	mrecover(&t->now, at);
	mrecover(&after, at);
	if (was_in_commit && is_same(t, &after, false))
		t->now = after;
	else
		expect(t, is_same(t, &t->now, true));
	t->staged = t->now;
	t->has_staged = false;
	everything_check(t);
}

static void do_crash(struct test *t, bool is_power_cut)
{
	bool in_commit = t->has_staged && pick(t, 2);
	struct outcome why;

	if (in_commit) {
		sim_fail_at(t->sim, 1 + pick(t, 4), EIO, true);
		if (spool_commit(t->spool, &why) == 0 &&
		    !sim_has_failed(t->sim)) {
			t->now = t->staged;
			in_commit = false;
		}
	}
	spool_abandon(t->spool);
	if (is_power_cut) {
		sim_power_cut(t->sim);
		index_forget(t);
		t->cuts++;
	} else {
		sim_kill(t->sim);
		t->kills++;
	}
	recovered(t, in_commit);
}

static void copy_file(const char *from, const char *to)
{
	FILE *a = fopen(from, "rb"), *b = fopen(to, "wb");
	static char bytes[1 << 16];
	size_t n;

	assert_non_null(a);
	assert_non_null(b);
	while ((n = fread(bytes, 1, sizeof(bytes), a)) > 0)
		assert_int_equal(fwrite(bytes, 1, n, b), n);
	fclose(a);
	fclose(b);
}

/* Killed between the journal's sync and the index: the tail is replayed. */
static void do_old_index(struct test *t)
{
	char data[128], old[128];

	if (!t->has_staged)
		return;
	snprintf(data, sizeof(data), "%s/index/data.mdb", t->path);
	snprintf(old, sizeof(old), "%s/old.mdb", t->path);
	copy_file(data, old);
	do_commit(t);
	spool_abandon(t->spool);
	sim_kill(t->sim);
	copy_file(old, data);
	t->replays++;
	recovered(t, false);
}

static void do_restart(struct test *t)
{
	if (t->has_staged)
		do_commit(t);
	sim_fail_at(t->sim, 0, 0, false);
	spool_close(t->spool);
	sim_kill(t->sim);
	recovered(t, false);
}

static void do_clock(struct test *t)
{
	sim_set_clock(t->sim, t->sim->clock_us + pick(t, 1000) * 4000000);
}

/* spool_maintain stages what it moves: a commit follows. */
static void do_maintain(struct test *t)
{
	for (int i = 0; i < 4 && spool_maintain(t->spool); i++)
		if (spool_has_staged(t->spool))
			do_commit(t);
}

static void step(struct test *t)
{
	uint64_t n = pick(t, 100);

	if (n < 22)
		do_enqueue(t);
	else if (n < 42)
		do_claim(t);
	else if (n < 46)
		do_unclaim(t);
	else if (n < 62)
		do_attempt(t);
	else if (n < 70)
		do_report(t);
	else if (n < 75)
		do_change(t);
	else if (n < 79)
		do_job(t);
	else if (n < 82)
		do_clock(t);
	else if (n < 86)
		do_maintain(t);
	else if (n < 97)
		do_commit(t);
	else if (n < 98)
		do_crash(t, pick(t, 2));
	else if (n < 99)
		do_old_index(t);
	else if (pick(t, 4) == 0)
		do_restart(t);
	if (pick(t, 40) == 0)
		sim_fail_at(
		    t->sim, 1 + pick(t, 6), pick(t, 2) ? EIO : ENOSPC, false);
	else if (pick(t, 8) == 0)
		sim_fail_at(t->sim, 0, 0, false);
}

static void folder_remove(const char *path)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", path);
	assert_int_equal(system(command), 0);
}

static void run(uint64_t seed, unsigned operations)
{
	struct test t = { .seed = seed };

	t.sim = sim_new(seed);
	snprintf(t.path, sizeof(t.path), "%s/spool-sim.%d",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", getpid());
	folder_remove(t.path);
	spool_start(&t);
	for (t.op = 0; t.op < operations; t.op++)
		step(&t);
	sim_fail_at(t.sim, 0, 0, false);
	do_commit(&t);
	everything_check(&t);
	t.segments = journal_current(t.spool->journal)->number;
	spool_close(t.spool);
	sim_free(t.sim);
	folder_remove(t.path);
	print_message("seed %llu: %u commits, %u failed, %u kills, %u power "
		      "cuts, %u replays, %u segments; %llu delivered, %llu "
		      "failed, %llu retracted, %llu uncertain\n",
	    (unsigned long long)seed, t.commits, t.failures, t.kills, t.cuts,
	    t.replays, t.segments, (unsigned long long)t.now.ledger.delivered,
	    (unsigned long long)t.now.ledger.failed,
	    (unsigned long long)t.now.ledger.retracted,
	    (unsigned long long)t.now.ledger.uncertain);
}

static void survives_what_comes(void **state)
{
	const char *seeds = getenv("SPOOL_SIM_SEEDS");
	const char *only = getenv("SPOOL_SIM_SEED");
	uint64_t first = only ? strtoull(only, NULL, 10) : 1;
	uint64_t n = seeds ? strtoull(seeds, NULL, 10) : only ? 1 : 4;

	(void)state;
	for (uint64_t i = 0; i < n; i++)
		run(first + i, OPERATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_what_comes),
	};

	log_open("test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
