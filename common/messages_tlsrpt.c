/* Contents of messages: counts of TLS, and reports of them. */
#include "common/messages.h"

#include <stdio.h>
#include <time.h>

#include "common/messages_get.h"

_Static_assert((int)TLS_POST_ADDRESSES == (int)ADDRESSES_MAX, "as a host");

/* Lines of printable ASCII, each with its LF. */
static struct span get_lines(struct reader *r)
{
	struct span s = get_bytes(r, TLS_LINES_MAX);

	if (s.n > 0 && s.p[s.n - 1] != '\n')
		r->bad = true;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\n' && (s.p[i] < 0x20 || s.p[i] > 0x7e))
			r->bad = true;
	return r->bad ? (struct span){ NULL, 0 } : s;
}

void tls_count_put(struct buf *b, const struct tls_count *c)
{
	put_u32(b, c->day);
	put_span(b, c->domain);
	put_u8(b, c->policy);
	put_span(b, c->policy_domain);
	put_span(b, c->lines);
	put_u8(b, c->result);
	put_span(b, c->host);
	put_span(b, c->address);
	put_span(b, c->source);
	put_span(b, c->reason);
	put_u64(b, c->sessions);
}

void tls_count_get(struct reader *r, struct tls_count *c)
{
	c->day = get_u32(r);
	c->domain = get_line(r, TLS_DOMAIN_MAX);
	c->policy = get_u8(r);
	c->policy_domain = get_line(r, TLS_DOMAIN_MAX);
	c->lines = get_lines(r);
	c->result = get_u8(r);
	c->host = get_line(r, TLS_DOMAIN_MAX);
	c->address = get_line(r, 63);
	c->source = get_line(r, 63);
	c->reason = get_line(r, TLS_REASON_MAX);
	c->sessions = get_u64(r);
	if (c->policy > TLS_POLICY_STS || c->result == TLS_RESULT_NOT_TRIED ||
	    c->result >= TLS_RESULT_COUNT || c->domain.n == 0)
		r->bad = true;
}

int tls_day_parse(struct span text, uint32_t *day)
{
	struct tm tm = { 0 };
	uint64_t part[3];
	time_t at;

	if (text.n != 10 || text.p[4] != '-' || text.p[7] != '-' ||
	    span_to_u64((struct span){ text.p, 4 }, 2200, &part[0]) < 0 ||
	    span_to_u64((struct span){ text.p + 5, 2 }, 12, &part[1]) < 0 ||
	    span_to_u64((struct span){ text.p + 8, 2 }, 31, &part[2]) < 0 ||
	    part[0] < 1970 || part[1] == 0 || part[2] == 0)
		return -1;
	tm.tm_year = (int)part[0] - 1900;
	tm.tm_mon = (int)part[1] - 1;
	tm.tm_mday = (int)part[2];
	at = timegm(&tm);
	if (at < 0 || tm.tm_mday != (int)part[2])
		return -1;
	*day = (uint32_t)(at / 86400);
	return 0;
}

void tls_day_print(uint32_t day, char text[TLS_DAY_BYTES])
{
	time_t at = (time_t)day * 86400;
	struct tm tm;

	if (!gmtime_r(&at, &tm) ||
	    strftime(text, TLS_DAY_BYTES, "%Y-%m-%d", &tm) == 0)
		snprintf(text, TLS_DAY_BYTES, "?");
}

void tls_read_put(struct buf *b, const struct tls_read *q)
{
	put_u32(b, q->day);
	put_span(b, q->domain);
	put_u8(b, q->is_next);
	put_u8(b, q->wants_rows);
}

void tls_read_get(struct reader *r, struct tls_read *q)
{
	q->day = get_u32(r);
	q->domain = get_line(r, TLS_DOMAIN_MAX);
	q->is_next = get_bool(r);
	q->wants_rows = get_bool(r);
}

void tls_domain_put(struct buf *b, const struct tls_domain *d)
{
	put_u32(b, d->day);
	put_span(b, d->domain);
	put_u64(b, d->successful);
	put_u64(b, d->failed);
	put_u64(b, d->missed);
	put_u8(b, d->state);
	put_u8(b, d->tries);
	put_u16(b, d->done);
	put_u64(b, d->next_at);
}

void tls_domain_get(struct reader *r, struct tls_domain *d)
{
	d->day = get_u32(r);
	d->domain = get_line(r, TLS_DOMAIN_MAX);
	d->successful = get_u64(r);
	d->failed = get_u64(r);
	d->missed = get_u64(r);
	d->state = get_u8(r);
	d->tries = get_u8(r);
	d->done = get_u16(r);
	d->next_at = get_u64(r);
	if (d->state >= TLS_REPORT_COUNT)
		r->bad = true;
}

void tls_post_put(struct buf *b, const struct tls_post *p)
{
	put_span(b, p->uri);
	put_span(b, p->host);
	put_u16(b, p->port);
	put_u8(b, p->naddresses);
	for (unsigned i = 0; i < p->naddresses; i++)
		put_span(b, p->addresses[i]);
	put_span(b, p->body);
}

void tls_post_get(struct reader *r, struct tls_post *p)
{
	uint8_t n;

	memset(p, 0, sizeof(*p));
	p->uri = get_line(r, ADDRESS_MAX);
	p->host = get_line(r, TLS_DOMAIN_MAX);
	p->port = get_u16(r);
	n = get_u8(r);
	if (n > TLS_POST_ADDRESSES)
		r->bad = true;
	while (!r->bad && p->naddresses < n) {
		struct span a = get_span(r);

		if (a.n != 4 && a.n != 16)
			r->bad = true;
		p->addresses[p->naddresses++] = a;
	}
	p->body = get_bytes(r, TLS_POST_MAX);
}

void tls_send_put(struct buf *b, const struct tls_send *s)
{
	put_u32(b, s->day);
	put_span(b, s->domain);
	put_u8(b, s->is_dry);
}

void tls_send_get(struct reader *r, struct tls_send *s)
{
	s->day = get_u32(r);
	s->domain = get_line(r, TLS_DOMAIN_MAX);
	s->is_dry = get_bool(r);
}
