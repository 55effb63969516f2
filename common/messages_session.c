/* Contents of messages: where mail goes (hosts, look-ups, sessions, lines). */
#include "common/messages.h"

#include <stdlib.h>

#include "common/messages_get.h"

static void put_policy(struct buf *b, const struct host_policy *p)
{
	put_u8(b, p->kind);
	put_u8(b, p->is_shadow);
	put_u8(b, p->is_secure);
	put_span(b, p->domain);
	put_span(b, p->evidence);
	put_u8(b, p->nnames);
	for (unsigned i = 0; i < p->nnames; i++)
		put_span(b, p->names[i]);
	put_u8(b, p->ntlsa);
	for (unsigned i = 0; i < p->ntlsa; i++) {
		put_u8(b, p->tlsa[i].usage);
		put_u8(b, p->tlsa[i].selector);
		put_u8(b, p->tlsa[i].matching);
		put_span(b, p->tlsa[i].data);
	}
}

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
	put_policy(b, &h->policy);
	put_span(b, h->ticket);
}

static struct span get_address(struct reader *r)
{
	struct span s = get_span(r);

	if (s.n != 4 && s.n != 16)
		r->bad = true;
	return s;
}

static void get_tlsa(struct reader *r, struct tlsa *t)
{
	t->usage = get_u8(r);
	t->selector = get_u8(r);
	t->matching = get_u8(r);
	t->data = get_bytes(r, TLSA_DATA_MAX);
}

static void get_policy(struct reader *r, struct host_policy *p)
{
	uint8_t n;

	p->kind = get_u8(r);
	p->is_shadow = get_bool(r);
	p->is_secure = get_bool(r);
	p->domain = get_line(r, ADDRESS_MAX);
	p->evidence = get_line(r, REPLY_MAX);
	n = get_u8(r);
	if (n > sizeof(p->names) / sizeof(p->names[0]) ||
	    p->kind > TLS_POLICY_STS)
		r->bad = true;
	while (!r->bad && p->nnames < n)
		p->names[p->nnames++] = get_line(r, ADDRESS_MAX);
	n = get_u8(r);
	if (n > TLSA_MAX)
		r->bad = true;
	while (!r->bad && p->ntlsa < n)
		get_tlsa(r, &p->tlsa[p->ntlsa++]);
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
	get_policy(r, &h->policy);
	h->ticket = get_bytes(r, TICKET_MAX);
}

uint8_t host_policy_result(const struct host *h)
{
	if (h->naddresses > 0 || strcmp(h->why.status, "4.7.5") != 0)
		return TLS_RESULT_NOT_TRIED;
	if (h->policy.kind == TLS_POLICY_NONE)
		return TLS_RESULT_DNSSEC_INVALID; /* TLSA not to be had */
	if (h->policy.kind == TLS_POLICY_STS)
		return TLS_RESULT_VALIDATION_FAILURE; /* not in the policy */
	return TLS_RESULT_TLSA_INVALID;
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
	*hosts = get_array(r, n, 27, sizeof(**hosts));
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
	put_u8(b, q->wants_policy);
}

void resolve_query_get(struct reader *r, struct resolve_query *q)
{
	q->kind = get_u8(r);
	q->name = get_line(r, ADDRESS_MAX);
	q->port = get_u16(r);
	q->implicit_tls = get_bool(r);
	q->wants_policy = get_bool(r);
	if (q->kind < RESOLVE_MX || q->kind > RESOLVE_TLSRPT)
		r->bad = true;
}

void resolve_answer_put(struct buf *b, const struct resolve_answer *a)
{
	outcome_put(b, &a->outcome);
	put_u32(b, a->ttl_s);
	put_span(b, a->site);
	put_hosts(b, a->hosts, a->nhosts);
	put_span(b, a->lines);
}

int resolve_answer_get(struct reader *r, struct resolve_answer *a)
{
	memset(a, 0, sizeof(*a));
	outcome_get(r, &a->outcome);
	a->ttl_s = get_u32(r);
	a->site = get_span(r);
	a->nhosts = get_hosts(r, &a->hosts);
	a->lines = get_bytes(r, TLS_LINES_MAX);
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

void fetch_query_put(struct buf *b, const struct fetch_query *q)
{
	put_span(b, q->domain);
	put_u16(b, q->port);
	put_u8(b, q->naddresses);
	for (unsigned i = 0; i < q->naddresses; i++)
		put_span(b, q->addresses[i]);
}

void fetch_query_get(struct reader *r, struct fetch_query *q)
{
	uint8_t n;

	memset(q, 0, sizeof(*q));
	q->domain = get_line(r, 255);
	q->port = get_u16(r);
	n = get_u8(r);
	if (n > ADDRESSES_MAX || n == 0)
		r->bad = true;
	while (!r->bad && q->naddresses < n)
		q->addresses[q->naddresses++] = get_address(r);
}

void fetch_answer_put(struct buf *b, const struct fetch_answer *a)
{
	outcome_put(b, &a->outcome);
	put_span(b, a->text);
}

void fetch_answer_get(struct reader *r, struct fetch_answer *a)
{
	memset(a, 0, sizeof(*a));
	outcome_get(r, &a->outcome);
	a->text = get_bytes(r, FETCH_TEXT_MAX);
}

static void put_login(struct buf *b, const struct login *l)
{
	put_span(b, l->user);
	put_span(b, l->secret);
	put_span(b, l->certificate);
	put_span(b, l->key);
	put_span(b, l->mechanisms);
	put_u8(b, l->is_token);
	put_u8(b, l->may_be_clear);
}

static void get_login(struct reader *r, struct login *l)
{
	l->user = get_line(r, ADDRESS_MAX);
	l->secret = get_bytes(r, CREDENTIAL_MAX);
	l->certificate = get_bytes(r, CREDENTIAL_MAX);
	l->key = get_bytes(r, CREDENTIAL_MAX);
	l->mechanisms = get_line(r, 255);
	l->is_token = get_bool(r);
	l->may_be_clear = get_bool(r);
}

void relay_secret_put(struct buf *b, const struct relay_secret *s)
{
	put_span(b, s->relay);
	put_span(b, s->secret);
	put_span(b, s->certificate);
	put_span(b, s->key);
	outcome_put(b, &s->outcome);
}

void relay_secret_get(struct reader *r, struct relay_secret *s)
{
	memset(s, 0, sizeof(*s));
	s->relay = get_line(r, ADDRESS_MAX);
	s->secret = get_bytes(r, CREDENTIAL_MAX);
	s->certificate = get_bytes(r, CREDENTIAL_MAX);
	s->key = get_bytes(r, CREDENTIAL_MAX);
	outcome_get(r, &s->outcome);
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
	put_u8(b, s->is_relay);
	put_login(b, &s->login);
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
	s->is_relay = get_bool(r);
	get_login(r, &s->login);
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
	put_u8(b, s->is_login_refused);
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
	s->is_login_refused = get_bool(r);
}

const char *tls_result_name(uint8_t result)
{
	static const char *const names[TLS_RESULT_COUNT] = {
		[TLS_RESULT_NOT_TRIED] = "not-tried",
		[TLS_RESULT_OK] = "ok",
		[TLS_RESULT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
		[TLS_RESULT_HOST_MISMATCH] = "certificate-host-mismatch",
		[TLS_RESULT_EXPIRED] = "certificate-expired",
		[TLS_RESULT_NOT_TRUSTED] = "certificate-not-trusted",
		[TLS_RESULT_VALIDATION_FAILURE] = "validation-failure",
		[TLS_RESULT_TLSA_INVALID] = "tlsa-invalid",
		[TLS_RESULT_DNSSEC_INVALID] = "dnssec-invalid",
		[TLS_RESULT_DANE_REQUIRED] = "dane-required",
		[TLS_RESULT_STS_FETCH_ERROR] = "sts-policy-fetch-error",
		[TLS_RESULT_STS_INVALID] = "sts-policy-invalid",
		[TLS_RESULT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
	};

	return result < TLS_RESULT_COUNT ? names[result] : "unknown";
}

void host_tried_put(struct buf *b, const struct host_tried *t)
{
	put_span(b, t->host);
	put_span(b, t->address);
	put_span(b, t->source);
	put_span(b, t->domain);
	put_u8(b, t->policy);
	put_u8(b, t->tls);
	put_u8(b, t->is_shadow);
	outcome_put(b, &t->outcome);
}

void host_tried_get(struct reader *r, struct host_tried *t)
{
	memset(t, 0, sizeof(*t));
	t->host = get_line(r, ADDRESS_MAX);
	t->address = get_line(r, 255);
	t->source = get_line(r, 255);
	t->domain = get_line(r, ADDRESS_MAX);
	t->policy = get_u8(r);
	t->tls = get_u8(r);
	t->is_shadow = get_bool(r);
	outcome_get(r, &t->outcome);
	if (t->policy > TLS_POLICY_STS || t->tls >= TLS_RESULT_COUNT)
		r->bad = true;
}

void ticket_put(struct buf *b, const struct ticket *t)
{
	put_span(b, t->host);
	put_span(b, t->data);
}

void ticket_get(struct reader *r, struct ticket *t)
{
	t->host = get_line(r, ADDRESS_MAX);
	t->data = get_bytes(r, TICKET_MAX);
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
