/* Contents of messages: a look at one server. */
#include "common/messages_probe.h"

#include "common/messages_get.h"

void probe_put(struct buf *b, const struct probe *p)
{
	put_u32(b, p->timeout_ms);
	put_u8(b, p->may_mail);
	put_span(b, p->sender);
	put_u8(b, p->nrecipients);
	for (unsigned i = 0; i < p->nrecipients; i++)
		put_span(b, p->recipients[i]);
	session_put(b, &p->session);
}

int probe_get(struct reader *r, struct probe *p)
{
	uint8_t n;

	memset(p, 0, sizeof(*p));
	p->timeout_ms = get_u32(r);
	p->may_mail = get_bool(r);
	p->sender = get_line(r, ADDRESS_MAX);
	n = get_u8(r);
	if (n > PROBE_RCPTS_MAX)
		r->bad = true;
	while (!r->bad && p->nrecipients < n)
		p->recipients[p->nrecipients++] = get_line(r, ADDRESS_MAX);
	if (session_get(r, &p->session) < 0)
		return -1;
	if (!r->bad && p->session.nhosts == 1)
		return 0;
	probe_free(p);
	return -1;
}

void probe_free(struct probe *p)
{
	session_free(&p->session);
}

void probed_put(struct buf *b, const struct probed *p)
{
	put_u8(b, p->step);
	outcome_put(b, &p->outcome);
	put_u16(b, p->code);
	put_span(b, p->address);
	put_span(b, p->source);
	put_span(b, p->banner);
	put_span(b, p->ehlo);
	put_span(b, p->tls);
	put_u8(b, p->tls_result);
	put_u64(b, (uint64_t)p->expires);
	put_span(b, p->names);
	put_u32(b, p->connect_ms);
	put_u32(b, p->took_ms);
	put_u8(b, p->nrcpts);
	for (unsigned i = 0; i < p->nrcpts; i++)
		outcome_put(b, &p->rcpts[i]);
	put_span(b, p->talk);
}

void probed_get(struct reader *r, struct probed *p)
{
	uint8_t n;

	memset(p, 0, sizeof(*p));
	p->step = get_u8(r);
	outcome_get(r, &p->outcome);
	p->code = get_u16(r);
	p->address = get_line(r, 255);
	p->source = get_line(r, 255);
	p->banner = get_bytes(r, PROBE_TALK_MAX);
	p->ehlo = get_bytes(r, PROBE_TALK_MAX);
	p->tls = get_line(r, TLS_TEXT_MAX);
	p->tls_result = get_u8(r);
	p->expires = (int64_t)get_u64(r);
	p->names = get_line(r, PROBE_NAMES_MAX);
	p->connect_ms = get_u32(r);
	p->took_ms = get_u32(r);
	n = get_u8(r);
	if (n > PROBE_RCPTS_MAX || p->step > PROBE_DONE ||
	    p->tls_result >= TLS_RESULT_COUNT)
		r->bad = true;
	while (!r->bad && p->nrcpts < n)
		outcome_get(r, &p->rcpts[p->nrcpts++]);
	p->talk = get_bytes(r, PROBE_TALK_MAX);
}
