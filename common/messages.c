/* Contents of the messages between programs: put and get, field by field. */
#include "common/messages.h"

#include <stdio.h>
#include <stdlib.h>

static bool get_bool(struct reader *r)
{
	uint8_t v = get_u8(r);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

/* A text that may not break a line: addresses, names. */
static struct span get_line(struct reader *r, size_t max)
{
	struct span s = get_span(r);

	if (s.n > max || span_has_line_breaks(s))
		r->bad = true;
	return r->bad ? (struct span){ NULL, 0 } : s;
}

/* Room for n things of which each takes at least bytes of what is left. */
static void *get_array(struct reader *r, size_t n, size_t bytes, size_t size)
{
	void *array;

	if (r->bad || n > r->rest.n / bytes) {
		r->bad = true;
		return NULL;
	}
	array = calloc(n ? n : 1, size);
	if (!array)
		r->bad = true;
	return array;
}

static void get_status(struct reader *r, char status[12])
{
	struct span s = get_line(r, 11);

	if (s.n > 0)
		memcpy(status, s.p, s.n);
	status[s.n] = '\0';
}

/* --- envelope ------------------------------------------------------------- */

static void put_recipients(struct buf *b, const struct envelope *e)
{
	put_u32(b, (uint32_t)e->nrecipients);
	for (size_t i = 0; i < e->nrecipients; i++) {
		put_u8(b, e->recipients[i].notify);
		put_span(b, e->recipients[i].address);
		put_span(b, e->recipients[i].orcpt);
	}
}

static void put_refs(struct buf *b, const struct envelope *e)
{
	put_u32(b, (uint32_t)e->nrefs);
	for (size_t i = 0; i < e->nrefs; i++) {
		put_u16(b, e->refs[i].delivery);
		put_u16(b, e->refs[i].recipient);
		put_u8(b, e->refs[i].kind);
	}
}

void envelope_put(struct buf *b, const struct envelope *e)
{
	put_span(b, e->sender);
	put_u8(b, e->origin);
	put_u8(b, e->body);
	put_u8(b, e->ret);
	put_u8(b, e->smtputf8);
	put_u8(b, e->requiretls);
	put_u8(b, (uint8_t)e->priority);
	put_u32(b, e->uid);
	put_span(b, e->login);
	put_span(b, e->client);
	put_span(b, e->envid);
	put_span(b, e->line);
	put_u64(b, e->hold_until);
	put_u64(b, e->expires_at);
	put_span(b, e->trace_head);
	put_span(b, e->trace_tail);
	put_u64(b, e->about);
	put_refs(b, e);
	put_recipients(b, e);
}

static void get_refs(struct reader *r, struct envelope *e)
{
	uint32_t n = get_u32(r);
	struct report_ref *refs = get_array(r, n, 5, sizeof(*refs));

	e->refs = refs;
	for (uint32_t i = 0; refs && i < n; i++) {
		refs[i].delivery = get_u16(r);
		refs[i].recipient = get_u16(r);
		refs[i].kind = get_u8(r);
		if (refs[i].kind > REPORT_DELIVERED)
			r->bad = true;
		e->nrefs++;
	}
}

static void get_recipients(struct reader *r, struct envelope *e)
{
	uint32_t n = get_u32(r);
	struct recipient *to = NULL;

	if (n > RCPTS_PER_MESSAGE_MAX)
		r->bad = true;
	to = get_array(r, n, 9, sizeof(*to));
	e->recipients = to;
	for (uint32_t i = 0; to && i < n; i++) {
		to[i].notify = get_u8(r);
		to[i].address = get_line(r, ADDRESS_MAX);
		to[i].orcpt = get_line(r, ADDRESS_MAX);
		if (to[i].notify > 15 || to[i].address.n == 0)
			r->bad = true;
		e->nrecipients++;
	}
}

static void check_envelope(struct reader *r, const struct envelope *e)
{
	if (e->body > BODY_BINARY || e->ret > RET_HDRS || e->origin == 0 ||
	    e->origin > ORIGIN_IMPORT || e->priority < -9 || e->priority > 9 ||
	    e->trace_head.n + e->trace_tail.n > 8192)
		r->bad = true;
}

int envelope_get(struct reader *r, struct envelope *e)
{
	memset(e, 0, sizeof(*e));
	e->sender = get_line(r, ADDRESS_MAX);
	e->origin = get_u8(r);
	e->body = get_u8(r);
	e->ret = get_u8(r);
	e->smtputf8 = get_bool(r);
	e->requiretls = get_bool(r);
	e->priority = (int8_t)get_u8(r);
	e->uid = get_u32(r);
	e->login = get_line(r, ADDRESS_MAX);
	e->client = get_line(r, ADDRESS_MAX);
	e->envid = get_line(r, ADDRESS_MAX);
	e->line = get_line(r, 255);
	e->hold_until = get_u64(r);
	e->expires_at = get_u64(r);
	e->trace_head = get_span(r);
	e->trace_tail = get_span(r);
	e->about = get_u64(r);
	get_refs(r, e);
	get_recipients(r, e);
	check_envelope(r, e);
	if (!r->bad)
		return 0;
	envelope_free(e);
	return -1;
}

void envelope_free(struct envelope *e)
{
	free((void *)e->refs);
	free((void *)e->recipients);
	memset(e, 0, sizeof(*e));
}

/* --- schedule ------------------------------------------------------------- */

void due_query_put(struct buf *b, const struct due_query *q)
{
	put_u64(b, q->after_due_ms);
	put_u64(b, q->after_message);
	put_u16(b, q->after_delivery);
	put_u64(b, q->until_ms);
	put_u32(b, q->max);
}

void due_query_get(struct reader *r, struct due_query *q)
{
	q->after_due_ms = get_u64(r);
	q->after_message = get_u64(r);
	q->after_delivery = get_u16(r);
	q->until_ms = get_u64(r);
	q->max = get_u32(r);
}

void waiting_put(struct buf *b, const struct waiting *w)
{
	put_u64(b, w->message);
	put_u16(b, w->delivery);
	put_u64(b, w->due_ms);
	put_u64(b, w->accepted_at);
	put_u64(b, w->expires_at);
	put_u64(b, w->size_bytes);
	put_u16(b, w->nrecipients);
	put_u16(b, w->attempts);
	put_u16(b, w->line_deaths);
	put_u8(b, (uint8_t)w->priority);
	put_u8(b, w->flags);
	put_u8(b, w->origin);
	put_u32(b, w->uid);
	put_span(b, w->domain);
	put_span(b, w->sender);
	put_span(b, w->line);
}

void waiting_get(struct reader *r, struct waiting *w)
{
	w->message = get_u64(r);
	w->delivery = get_u16(r);
	w->due_ms = get_u64(r);
	w->accepted_at = get_u64(r);
	w->expires_at = get_u64(r);
	w->size_bytes = get_u64(r);
	w->nrecipients = get_u16(r);
	w->attempts = get_u16(r);
	w->line_deaths = get_u16(r);
	w->priority = (int8_t)get_u8(r);
	w->flags = get_u8(r);
	w->origin = get_u8(r);
	w->uid = get_u32(r);
	w->domain = get_line(r, ADDRESS_MAX);
	w->sender = get_line(r, ADDRESS_MAX);
	w->line = get_line(r, 255);
}

/* --- job ------------------------------------------------------------------ */

static void put_job_recipient(struct buf *b, const struct job_recipient *x)
{
	put_u16(b, x->index);
	put_u8(b, x->notify);
	put_u8(b, x->report);
	put_u16(b, x->delivery);
	put_span(b, x->address);
	put_span(b, x->orcpt);
	put_span(b, x->reply);
	put_span(b, x->status);
	put_span(b, x->host);
}

void job_put_head(struct buf *b, const struct job *j)
{
	put_u64(b, j->message);
	put_u16(b, j->delivery);
	put_u64(b, j->accepted_at);
	put_u64(b, j->size_bytes);
	put_u8(b, j->body);
	put_u8(b, j->ret);
	put_u8(b, j->origin);
	put_u8(b, j->smtputf8);
	put_u8(b, j->requiretls);
	put_u8(b, (uint8_t)j->priority);
	put_u8(b, j->is_large);
	put_span(b, j->sender);
	put_span(b, j->envid);
	put_u16(b, (uint16_t)j->nrecipients);
	for (size_t i = 0; i < j->nrecipients; i++)
		put_job_recipient(b, &j->recipients[i]);
	/* Length of the content, whose bytes the sender appends. */
	put_u32(b, (uint32_t)j->content.n);
}

static void get_job_recipient(struct reader *r, struct job_recipient *x)
{
	x->index = get_u16(r);
	x->notify = get_u8(r);
	x->report = get_u8(r);
	x->delivery = get_u16(r);
	x->address = get_line(r, ADDRESS_MAX);
	x->orcpt = get_line(r, ADDRESS_MAX);
	x->reply = get_span(r);
	x->status = get_line(r, 11);
	x->host = get_line(r, ADDRESS_MAX);
	if (x->notify > 15 || x->report > REPORT_DELIVERED)
		r->bad = true;
}

int job_get(struct reader *r, struct job *j)
{
	struct job_recipient *to;
	size_t n;

	memset(j, 0, sizeof(*j));
	j->message = get_u64(r);
	j->delivery = get_u16(r);
	j->accepted_at = get_u64(r);
	j->size_bytes = get_u64(r);
	j->body = get_u8(r);
	j->ret = get_u8(r);
	j->origin = get_u8(r);
	j->smtputf8 = get_bool(r);
	j->requiretls = get_bool(r);
	j->priority = (int8_t)get_u8(r);
	j->is_large = get_bool(r);
	j->sender = get_line(r, ADDRESS_MAX);
	j->envid = get_line(r, ADDRESS_MAX);
	n = get_u16(r);
	to = get_array(r, n, 26, sizeof(*to));
	j->recipients = to;
	for (size_t i = 0; to && i < n; i++) {
		get_job_recipient(r, &to[i]);
		j->nrecipients++;
	}
	j->content = get_span(r);
	if (!r->bad)
		return 0;
	job_free(j);
	return -1;
}

void job_free(struct job *j)
{
	free((void *)j->recipients);
	memset(j, 0, sizeof(*j));
}

/* --- result, attempt ------------------------------------------------------ */

void result_put(struct buf *b, const struct result *x)
{
	put_span(b, x->host);
	put_span(b, x->address);
	put_span(b, x->tls);
	put_u32(b, x->took_ms);
	put_u8(b, x->peer_has_dsn);
	put_u16(b, (uint16_t)x->nrecipients);
	for (size_t i = 0; i < x->nrecipients; i++) {
		const struct rcpt_outcome *o = &x->recipients[i];

		put_u16(b, o->index);
		put_u8(b, o->result);
		put_u16(b, o->code);
		put_span(b, span_of(o->status));
		put_span(b, o->reply);
	}
}

static void get_rcpt_outcome(struct reader *r, struct rcpt_outcome *o)
{
	o->index = get_u16(r);
	o->result = get_u8(r);
	o->code = get_u16(r);
	get_status(r, o->status);
	o->reply = get_line(r, REPLY_MAX);
	if (o->result > RCPT_UNCERTAIN)
		r->bad = true;
}

int result_get(struct reader *r, struct result *x)
{
	struct rcpt_outcome *to;
	size_t n;

	memset(x, 0, sizeof(*x));
	x->host = get_line(r, ADDRESS_MAX);
	x->address = get_line(r, 255);
	x->tls = get_line(r, 255);
	x->took_ms = get_u32(r);
	x->peer_has_dsn = get_bool(r);
	n = get_u16(r);
	to = get_array(r, n, 13, sizeof(*to));
	x->recipients = to;
	for (size_t i = 0; to && i < n; i++) {
		get_rcpt_outcome(r, &to[i]);
		x->nrecipients++;
	}
	if (!r->bad)
		return 0;
	result_free(x);
	return -1;
}

void result_free(struct result *x)
{
	free((void *)x->recipients);
	memset(x, 0, sizeof(*x));
}

void attempt_put(struct buf *b, const struct attempt *a)
{
	put_u64(b, a->message);
	put_u16(b, a->delivery);
	put_u64(b, a->next_try_ms);
	put_u8(b, a->counts);
	put_u8(b, a->line_died);
	put_span(b, a->line);
	put_span(b, a->cause);
	result_put(b, &a->result);
	for (size_t i = 0; i < a->result.nrecipients; i++)
		put_u8(b, a->reports ? a->reports[i] : REPORT_NONE);
}

int attempt_get(struct reader *r, struct attempt *a)
{
	uint8_t *reports;

	memset(a, 0, sizeof(*a));
	a->message = get_u64(r);
	a->delivery = get_u16(r);
	a->next_try_ms = get_u64(r);
	a->counts = get_bool(r);
	a->line_died = get_bool(r);
	a->line = get_line(r, 255);
	a->cause = get_line(r, 64);
	if (result_get(r, &a->result) < 0)
		return -1;
	reports = get_array(r, a->result.nrecipients, 1, 1);
	a->reports = reports;
	for (size_t i = 0; reports && i < a->result.nrecipients; i++) {
		reports[i] = get_u8(r);
		if (reports[i] > REPORT_DELIVERED)
			r->bad = true;
	}
	if (!r->bad)
		return 0;
	attempt_free(a);
	return -1;
}

void attempt_free(struct attempt *a)
{
	result_free(&a->result);
	free((void *)a->reports);
	memset(a, 0, sizeof(*a));
}

/* --- hosts and sessions --------------------------------------------------- */

void host_put(struct buf *b, const struct host *h)
{
	put_span(b, h->name);
	put_u16(b, h->preference);
	put_u16(b, h->port);
	put_u8(b, h->implicit_tls);
	put_u8(b, h->naddresses);
	for (unsigned i = 0; i < h->naddresses; i++)
		put_span(b, h->addresses[i]);
	if (h->naddresses == 0)
		outcome_put(b, &h->why);
}

static struct span get_address(struct reader *r)
{
	struct span s = get_span(r);

	if (s.n != 4 && s.n != 16)
		r->bad = true;
	return s;
}

void host_get(struct reader *r, struct host *h)
{
	uint8_t n;

	memset(h, 0, sizeof(*h));
	h->name = get_line(r, ADDRESS_MAX);
	h->preference = get_u16(r);
	h->port = get_u16(r);
	h->implicit_tls = get_bool(r);
	n = get_u8(r);
	if (n > ADDRESSES_MAX)
		r->bad = true;
	for (unsigned i = 0; !r->bad && i < n; i++)
		h->addresses[h->naddresses++] = get_address(r);
	if (n == 0)
		outcome_get(r, &h->why);
}

static void put_hosts(struct buf *b, const struct host *hosts, size_t n)
{
	put_u16(b, (uint16_t)n);
	for (size_t i = 0; i < n; i++)
		host_put(b, &hosts[i]);
}

static size_t get_hosts(struct reader *r, struct host **hosts)
{
	uint16_t n = get_u16(r);
	size_t got = 0;

	if (n > HOSTS_MAX)
		r->bad = true;
	*hosts = get_array(r, n, 10, sizeof(**hosts));
	while (*hosts && got < n)
		host_get(r, &(*hosts)[got++]);
	return got;
}

void resolve_query_put(struct buf *b, const struct resolve_query *q)
{
	put_u8(b, q->kind);
	put_span(b, q->name);
	put_u16(b, q->port);
	put_u8(b, q->implicit_tls);
}

void resolve_query_get(struct reader *r, struct resolve_query *q)
{
	q->kind = get_u8(r);
	q->name = get_line(r, ADDRESS_MAX);
	q->port = get_u16(r);
	q->implicit_tls = get_bool(r);
	if (q->kind != RESOLVE_MX && q->kind != RESOLVE_HOST)
		r->bad = true;
}

void resolve_answer_put(struct buf *b, const struct resolve_answer *a)
{
	outcome_put(b, &a->outcome);
	put_u32(b, a->ttl_s);
	put_span(b, a->site);
	put_hosts(b, a->hosts, a->nhosts);
}

int resolve_answer_get(struct reader *r, struct resolve_answer *a)
{
	memset(a, 0, sizeof(*a));
	outcome_get(r, &a->outcome);
	a->ttl_s = get_u32(r);
	a->site = get_span(r);
	a->nhosts = get_hosts(r, &a->hosts);
	if (!r->bad)
		return 0;
	resolve_answer_free(a);
	return -1;
}

void resolve_answer_free(struct resolve_answer *a)
{
	free(a->hosts);
	memset(a, 0, sizeof(*a));
}

void session_put(struct buf *b, const struct session *s)
{
	put_span(b, s->destination);
	put_span(b, s->localname);
	put_u8(b, s->nbinds);
	for (unsigned i = 0; i < s->nbinds; i++)
		put_span(b, s->binds[i]);
	put_u8(b, s->tls);
	put_u16(b, s->messages);
	put_u8(b, s->is_stepwise);
	put_u8(b, s->is_detailed);
	put_hosts(b, s->hosts, s->nhosts);
}

int session_get(struct reader *r, struct session *s)
{
	uint8_t nbinds;

	memset(s, 0, sizeof(*s));
	s->destination = get_line(r, ADDRESS_MAX);
	s->localname = get_line(r, LOCALNAME_MAX);
	nbinds = get_u8(r);
	if (nbinds > 4)
		r->bad = true;
	for (unsigned i = 0; !r->bad && i < nbinds; i++)
		s->binds[s->nbinds++] = get_address(r);
	s->tls = get_u8(r);
	s->messages = get_u16(r);
	s->is_stepwise = get_bool(r);
	s->is_detailed = get_bool(r);
	s->nhosts = get_hosts(r, &s->hosts);
	if (s->tls > TLS_VERIFY)
		r->bad = true;
	if (!r->bad)
		return 0;
	session_free(s);
	return -1;
}

void session_free(struct session *s)
{
	free(s->hosts);
	memset(s, 0, sizeof(*s));
}

void session_report_put(struct buf *b, const struct session_report *s)
{
	outcome_put(b, &s->outcome);
	put_span(b, s->host);
	put_u32(b, s->connections);
	put_u32(b, s->messages);
	put_u32(b, s->round_trips);
	put_u8(b, s->must_be_stepwise);
	put_u8(b, s->is_overloaded);
}

void session_report_get(struct reader *r, struct session_report *s)
{
	outcome_get(r, &s->outcome);
	s->host = get_line(r, ADDRESS_MAX);
	s->connections = get_u32(r);
	s->messages = get_u32(r);
	s->round_trips = get_u32(r);
	s->must_be_stepwise = get_bool(r);
	s->is_overloaded = get_bool(r);
}

void line_info_put(struct buf *b, const struct line_info *l)
{
	put_u32(b, l->number);
	put_u32(b, l->pid);
	put_span(b, l->group);
	put_span(b, l->peer);
	put_span(b, l->destination);
	put_u8(b, l->state);
	put_u64(b, l->message);
	put_u64(b, l->since);
	put_u64(b, l->sent);
}

void line_info_get(struct reader *r, struct line_info *l)
{
	l->number = get_u32(r);
	l->pid = get_u32(r);
	l->group = get_line(r, 255);
	l->peer = get_line(r, 255);
	l->destination = get_line(r, ADDRESS_MAX);
	l->state = get_u8(r);
	l->message = get_u64(r);
	l->since = get_u64(r);
	l->sent = get_u64(r);
	if (l->state > LINE_CLOSING)
		r->bad = true;
}

/* --- inspection and control ----------------------------------------------- */

const char *delivery_state_name(uint8_t state)
{
	static const char *const names[STATE_COUNT] = { "ready", "active",
		"deferred", "held", "suspended", "uncertain", "reporting" };

	return state < STATE_COUNT ? names[state] : "unknown";
}

void cursor_put(struct buf *b, const struct cursor *c)
{
	put_u64(b, c->message);
	put_u16(b, c->delivery);
	put_u16(b, c->recipient);
}

void cursor_get(struct reader *r, struct cursor *c)
{
	c->message = get_u64(r);
	c->delivery = get_u16(r);
	c->recipient = get_u16(r);
}

void filter_put(struct buf *b, const struct filter *f)
{
	put_u64(b, f->id);
	put_u8(b, (uint8_t)f->state);
	put_span(b, f->sender);
	put_span(b, f->recipient);
	put_span(b, f->destination);
	put_span(b, f->line);
	put_span(b, f->cause);
	put_u64(b, f->older_than);
	put_u64(b, f->newer_than);
	put_u32(b, f->uid);
}

void filter_get(struct reader *r, struct filter *f)
{
	f->id = get_u64(r);
	f->state = (int8_t)get_u8(r);
	f->sender = get_line(r, ADDRESS_MAX);
	f->recipient = get_line(r, ADDRESS_MAX);
	f->destination = get_line(r, ADDRESS_MAX);
	f->line = get_line(r, 255);
	f->cause = get_line(r, 255);
	f->older_than = get_u64(r);
	f->newer_than = get_u64(r);
	f->uid = get_u32(r);
	if (f->state < -1 || f->state >= STATE_COUNT)
		r->bad = true;
}

void list_query_put(struct buf *b, const struct list_query *q)
{
	filter_put(b, &q->filter);
	cursor_put(b, &q->after);
	put_u32(b, q->max);
	put_u8(b, q->count_only);
}

void list_query_get(struct reader *r, struct list_query *q)
{
	filter_get(r, &q->filter);
	cursor_get(r, &q->after);
	q->max = get_u32(r);
	q->count_only = get_bool(r);
}

void item_put(struct buf *b, const struct item *i)
{
	put_u64(b, i->message);
	put_u16(b, i->delivery);
	put_u16(b, i->recipient);
	put_u8(b, i->state);
	put_u8(b, i->report);
	put_u64(b, i->accepted_at);
	put_u64(b, i->next_try_ms);
	put_u64(b, i->expires_at);
	put_u64(b, i->size_bytes);
	put_u16(b, i->attempts);
	put_u16(b, i->uncertain);
	put_u32(b, i->uid);
	put_span(b, i->sender);
	put_span(b, i->address);
	put_span(b, i->domain);
	put_span(b, i->line);
	put_span(b, i->reply);
	put_span(b, i->status);
	put_span(b, i->cause);
}

void item_get(struct reader *r, struct item *i)
{
	i->message = get_u64(r);
	i->delivery = get_u16(r);
	i->recipient = get_u16(r);
	i->state = get_u8(r);
	i->report = get_u8(r);
	i->accepted_at = get_u64(r);
	i->next_try_ms = get_u64(r);
	i->expires_at = get_u64(r);
	i->size_bytes = get_u64(r);
	i->attempts = get_u16(r);
	i->uncertain = get_u16(r);
	i->uid = get_u32(r);
	i->sender = get_span(r);
	i->address = get_span(r);
	i->domain = get_span(r);
	i->line = get_span(r);
	i->reply = get_span(r);
	i->status = get_span(r);
	i->cause = get_span(r);
	if (i->state >= STATE_COUNT)
		r->bad = true;
}

void change_put(struct buf *b, const struct change *c)
{
	put_u8(b, c->action);
	put_u64(b, c->until);
	put_u8(b, c->is_dry_run);
	filter_put(b, &c->filter);
	cursor_put(b, &c->after);
	put_u32(b, c->max);
}

void change_get(struct reader *r, struct change *c)
{
	c->action = get_u8(r);
	c->until = get_u64(r);
	c->is_dry_run = get_bool(r);
	filter_get(r, &c->filter);
	cursor_get(r, &c->after);
	c->max = get_u32(r);
	if (c->action < CHANGE_HOLD || c->action > CHANGE_RETRACT)
		r->bad = true;
}

/* All fields of the ledger are 64-bit numbers in one order. */
static void stats_fields(struct spool_stats *s, uint64_t **fields)
{
	size_t n = 0;

	fields[n++] = &s->messages;
	fields[n++] = &s->recipients;
	fields[n++] = &s->bytes;
	for (int i = 0; i < STATE_COUNT; i++)
		fields[n++] = &s->by_state[i];
	fields[n++] = &s->accepted;
	fields[n++] = &s->delivered;
	fields[n++] = &s->failed;
	fields[n++] = &s->retracted;
	fields[n++] = &s->uncertain;
	fields[n++] = &s->accepted_messages;
	fields[n++] = &s->oldest_accepted_at;
	fields[n++] = &s->journal_bytes;
	fields[n++] = &s->free_bytes;
	fields[n++] = &s->large_files;
	fields[n++] = &s->syncs;
	fields[n++] = &s->bytes_written;
}

enum { STATS_FIELDS = 15 + STATE_COUNT };

void spool_stats_put(struct buf *b, const struct spool_stats *s)
{
	uint64_t *fields[STATS_FIELDS];
	struct spool_stats copy = *s;

	stats_fields(&copy, fields);
	for (size_t i = 0; i < STATS_FIELDS; i++)
		put_u64(b, *fields[i]);
}

void spool_stats_get(struct reader *r, struct spool_stats *s)
{
	uint64_t *fields[STATS_FIELDS];

	memset(s, 0, sizeof(*s));
	stats_fields(s, fields);
	for (size_t i = 0; i < STATS_FIELDS; i++)
		*fields[i] = get_u64(r);
}
