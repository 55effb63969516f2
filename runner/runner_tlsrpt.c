/* How TLS ended with each host, counted for reports (RFC 8460 section 4). What
 * goes by the operator's own relays and servers is not: nobody published a
 * policy for it. Nor are the reports' own sessions. */
#include "runner/tlsrpt_parts.h"

#include "common/net.h"

#include <stdio.h>
#include <stdlib.h>

enum { FLUSH_MS = 2000, DAY_S = 86400, COUNTS_SIZE_MAX = 900000 };

void tlsrpt_flush(struct runner *runner)
{
	struct tlsrpt *t = runner->tlsrpt;
	struct buf payload;

	loop_timer_cancel(runner->loop, &t->flush_timer);
	if (!runner->keeper)
		return;
	if (t->lost > 0)
		log_warn("tlsrpt-not-counted", "sessions",
		    log_text("%llu", (unsigned long long)t->lost), "why",
		    "too many differ while the keeper is away", NULL);
	t->lost = 0;
	buf_init(&payload, COUNTS_SIZE_MAX);
	while (tlsrpt_counts_take(t->counts, &payload)) {
		wire_send(
		    runner->keeper, MSG_TLS_COUNTS, 0, buf_span(&payload));
		buf_reset(&payload);
	}
	buf_clear(&payload);
}

static void on_flush(void *arg)
{
	tlsrpt_flush(arg);
}

static void add_first(struct runner *runner, const struct tls_count *c)
{
	struct tlsrpt *t = runner->tlsrpt;

	if (tlsrpt_counts_begin(t->counts, c) < 0) {
		tlsrpt_flush(runner);
		if (tlsrpt_counts_begin(t->counts, c) < 0)
			t->lost++;
	}
	if (t->flush_timer.place == 0)
		loop_timer_set(runner->loop, &t->flush_timer,
		    now_monotonic_ms() + FLUSH_MS, on_flush, runner);
}

/* --- the policy as lines -------------------------------------------------- */

static void put_tlsa(const struct tlsa *tlsa, struct buf *lines)
{
	if (lines->len + tlsa->data.n * 2 + 16 > lines->limit)
		return;
	buf_printf(
	    lines, "%u %u %u ", tlsa->usage, tlsa->selector, tlsa->matching);
	for (size_t i = 0; i < tlsa->data.n; i++)
		buf_printf(lines, "%02X", (unsigned char)tlsa->data.p[i]);
	buf_putc(lines, '\n');
}

static void put_host_lines(
    const struct way *way, struct span name, struct buf *lines)
{
	struct host *hosts;
	size_t n;

	if (way_hosts(way, &hosts, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct host_policy *p = &hosts[i].policy;

		if (!span_is_equal(hosts[i].name, name))
			continue;
		for (unsigned k = 0; k < p->ntlsa; k++)
			put_tlsa(&p->tlsa[k], lines);
		break;
	}
	free(hosts);
}

/* --- one session ---------------------------------------------------------- */

static struct span cut(struct span s, size_t most)
{
	return (struct span){ s.p, s.n < most ? s.n : most };
}

static void put_plain(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n && i < TLS_REASON_MAX; i++)
		buf_putc(out, s.p[i] >= 0x20 && s.p[i] < 0x7f ? s.p[i] : '?');
}

/* sts: the lines of the domain's MTA-STS policy, if it is one. */
static void count_first(struct runner *runner, const struct way *way,
    const struct host_tried *tried, struct span sts, struct tls_count *c)
{
	struct buf lines, reason;

	buf_init(&lines, TLS_LINES_MAX);
	buf_init(&reason, TLS_REASON_MAX);
	if (c->policy == TLS_POLICY_STS)
		buf_put_raw(&lines, sts.n > 0 ? sts : way_lines(way));
	else if (c->policy != TLS_POLICY_NONE)
		put_host_lines(way, tried->host, &lines);
	if (c->result != TLS_RESULT_OK)
		put_plain(span_of(tried->outcome.detail), &reason);
	c->lines = buf_span(&lines);
	c->reason = buf_span(&reason);
	c->sessions = 1;
	add_first(runner, c);
	buf_clear(&lines);
	buf_clear(&reason);
}

static void count(struct runner *runner, const struct way *way,
    const struct host_tried *tried, struct span sts)
{
	char ip[NET_TEXT_MAX] = "";
	union net_address address;
	struct tls_count c = { .day = (uint32_t)(now_utc() / DAY_S),
		.domain = cut(span_of(way->domain), TLS_DOMAIN_MAX),
		.policy = tried->policy,
		.policy_domain = cut(tried->domain, TLS_DOMAIN_MAX),
		.result = tried->tls,
		.host = cut(tried->host, TLS_DOMAIN_MAX),
		.source = cut(tried->source, 63) };

	/* TLSA that could not be had: it was to be DANE */
	if (tried->tls == TLS_RESULT_DNSSEC_INVALID) {
		c.policy = TLS_POLICY_DANE;
		c.policy_domain = c.host;
	}
	if (c.policy == TLS_POLICY_NONE)
		c.policy_domain = c.domain;
	if (net_parse(tried->address, 25, &address) == 0)
		net_print_ip(&address, ip);
	c.address = span_of(ip);
	if (!tlsrpt_counts_add(runner->tlsrpt->counts, &c))
		count_first(runner, way, tried, sts, &c);
}

/* What the operator asks for beyond what is published is his own affair. */
static bool is_counted(const struct way *way, const struct host_tried *tried)
{
	if (!way || !way->domain || way->domain[0] == '[' ||
	    way->ignores_policy || tried->tls == TLS_RESULT_NOT_TRIED)
		return false;
	return tried->policy != TLS_POLICY_NONE || way->tls == TLS_MAY ||
	       tried->tls == TLS_RESULT_DNSSEC_INVALID;
}

void tlsrpt_tried(struct runner *runner, const struct destination *d,
    const struct host_tried *tried)
{
	if (is_counted(d->owned, tried))
		count(runner, d->owned, tried, (struct span){ NULL, 0 });
}

void tlsrpt_resolved(struct runner *runner, const struct destination *d,
    const struct resolve_answer *a)
{
	if (a->outcome.verdict == VERDICT_OK)
		return;
	for (size_t i = 0; i < a->nhosts; i++) {
		const struct host *h = &a->hosts[i];
		struct host_tried tried = { .host = h->name,
			.domain = h->policy.domain,
			.policy = h->policy.kind,
			.tls = host_policy_result(h),
			.outcome = h->why };

		if (is_counted(d->owned, &tried))
			count(runner, d->owned, &tried, a->lines);
	}
}

/* --- life ----------------------------------------------------------------- */

struct tlsrpt *tlsrpt_new(struct runner *runner)
{
	struct tlsrpt *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->counts = tlsrpt_counts_new(runner->random);
	if (t->counts)
		return t;
	free(t);
	return NULL;
}

void tlsrpt_clear(struct runner *runner)
{
	struct tlsrpt *t = runner->tlsrpt;

	if (!t)
		return;
	tlsrpt_counts_free(t->counts);
	buf_clear(&t->walk.lines);
	buf_clear(&t->walk.rows);
	buf_clear(&t->walk.gzip);
	free(t);
	runner->tlsrpt = NULL;
}
