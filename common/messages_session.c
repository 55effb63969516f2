/* Contents of messages: where mail goes (hosts, look-ups, sessions, lines). */
#include "common/messages.h"

#include <stdlib.h>

#include "common/messages_get.h"

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
