/* Look-ups for reports about TLS. */
#include "remote/tlsrptlookup.h"

#include "common/address.h"

#include "remote/mx.h"
#include "remote/tlsrpt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* --- the record ----------------------------------------------------------- */

struct record_query {
	void (*answered)(const struct resolve_answer *a, void *arg);
	void *arg;
	char domain[DNS_NAME_MAX + 1];
};

/* RFC 8460 section 3: more than one, or none: no reports. */
static int read_record(const struct record_query *q, const struct dns_answer *a,
    struct buf *lines, struct outcome *why)
{
	struct span only = { 0 };
	const char *clause;
	size_t n = 0;

	if (a->status == DNS_FAILED)
		return outcome_temp(why, "4.4.3", "TXT of _smtp._tls.%s: %s",
		    q->domain, a->detail);
	for (size_t i = 0; a->status == DNS_FOUND && i < a->nrecords; i++) {
		struct span txt = { a->records[i].data, a->records[i].ndata };

		if (tlsrpt_record_is(txt) && n++ == 0)
			only = txt;
	}
	if (n != 1)
		return outcome_perm(why, "5.4.4",
		    n ? "several records at _smtp._tls.%s"
		      : "no record at _smtp._tls.%s",
		    q->domain);
	if (tlsrpt_record_parse(only, lines, &clause) < 0)
		return outcome_perm(why, "5.4.4", "record at _smtp._tls.%s: %s",
		    q->domain, clause);
	return outcome_ok(why);
}

static void on_txt(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	struct record_query *q = arg;
	struct resolve_answer answer = { .ttl_s = ttl_s };
	struct buf lines;

	buf_init(&lines, TLS_LINES_MAX);
	if (read_record(q, a, &lines, &answer.outcome) == 0)
		answer.lines = buf_span(&lines);
	q->answered(&answer, q->arg);
	buf_clear(&lines);
	free(q);
}

static void fail(struct record_query *q, const char *status, const char *why)
{
	struct resolve_answer answer = { .ttl_s = 60 };

	if (status[0] == '5')
		outcome_perm(&answer.outcome, status, "%s", why);
	else
		outcome_temp(&answer.outcome, status, "%s", why);
	q->answered(&answer, q->arg);
}

void tlsrpt_resolve(struct dns_client *dns, struct span domain,
    void (*answered)(const struct resolve_answer *a, void *arg), void *arg)
{
	struct record_query here = { .answered = answered, .arg = arg }, *q;
	char name[DNS_NAME_MAX + 16];

	if (!domain_is_valid(domain, 1) || domain.n + 11 > DNS_NAME_MAX) {
		fail(&here, "5.1.2", "not a domain name");
		return;
	}
	q = malloc(sizeof(*q));
	if (!q) {
		fail(&here, "4.3.0", "out of memory");
		return;
	}
	*q = here;
	for (size_t i = 0; i < domain.n; i++)
		q->domain[i] = (char)tolower((unsigned char)domain.p[i]);
	q->domain[domain.n] = '\0';
	snprintf(name, sizeof(name), "_smtp._tls.%s", q->domain);
	dns_ask(dns, name, DNS_TXT, on_txt, q);
}

/* --- the host of an https: place ------------------------------------------ */

struct host_query {
	bool allow_local;
	unsigned pending, naddresses;
	uint8_t lengths[ADDRESSES_MAX];
	unsigned char addresses[ADDRESSES_MAX][16];
	void (*found)(
	    const struct tls_post *post, const struct outcome *why, void *arg);
	void *arg;
	char why[320];
	char host[DNS_NAME_MAX + 1];
	size_t nuri, nbody;
	uint16_t port;
	char text[]; /* URI, body */
};

static void give_post(struct host_query *q)
{
	struct tls_post post = { .uri = { q->text, q->nuri },
		.host = span_of(q->host),
		.port = q->port,
		.body = { q->text + q->nuri, q->nbody } };
	struct outcome why;

	for (; post.naddresses < q->naddresses; post.naddresses++)
		post.addresses[post.naddresses] =
		    (struct span){ (char *)q->addresses[post.naddresses],
			    q->lengths[post.naddresses] };
	outcome_ok(&why);
	if (post.naddresses == 0)
		outcome_temp(&why, "4.4.3", "%s: %s", q->host,
		    q->why[0] ? q->why : "no address");
	q->found(post.naddresses ? &post : NULL, &why, q->arg);
	free(q);
}

static void on_address(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	struct host_query *q = arg;

	(void)ttl_s;
	if (a->status == DNS_FAILED)
		snprintf(q->why, sizeof(q->why), "%s", a->detail);
	for (size_t i = 0; i < a->nrecords && i < ADDRESSES_MAX / 2; i++) {
		const struct dns_record *r = &a->records[i];
		struct span bytes = { (const char *)r->bytes, r->nbytes };

		if (!q->allow_local && mx_is_local(bytes)) {
			snprintf(q->why, sizeof(q->why),
			    "it leads to this machine or link");
			continue;
		}
		memcpy(q->addresses[q->naddresses], r->bytes, r->nbytes);
		q->lengths[q->naddresses++] = r->nbytes;
	}
	if (--q->pending == 0)
		give_post(q);
}

void tlsrpt_find_host(struct dns_client *dns, bool allow_local,
    const struct tls_post *post,
    void (*found)(
	const struct tls_post *post, const struct outcome *why, void *arg),
    void *arg)
{
	struct host_query *q =
	    calloc(1, sizeof(*q) + post->uri.n + post->body.n + 1);
	struct outcome why;
	struct span host;

	if (!q || tlsrpt_https_parse(post->uri, &host, &q->port) < 0) {
		outcome_temp(
		    &why, "4.3.0", q ? "not an https: URI" : "out of memory");
		free(q);
		found(NULL, &why, arg);
		return;
	}
	q->allow_local = allow_local;
	q->found = found;
	q->arg = arg;
	q->nuri = post->uri.n;
	q->nbody = post->body.n;
	memcpy(q->text, post->uri.p, q->nuri);
	if (q->nbody > 0)
		memcpy(q->text + q->nuri, post->body.p, q->nbody);
	memcpy(q->host, host.p, host.n);
	q->pending = 2;
	dns_ask(dns, q->host, DNS_AAAA, on_address, q);
	dns_ask(dns, q->host, DNS_A, on_address, q);
}
