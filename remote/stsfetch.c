/* Getting a policy: the addresses of mta-sts.DOMAIN from the DNS, the text by
 * outpost-fetch, which asks no name server. */
#include "remote/stslookup_parts.h"

#include "common/log.h"
#include "remote/mx.h"

#include <errno.h>
#include <stdio.h>

/* --- outpost-fetch -------------------------------------------------------- */

static struct flight *find_fetching(struct sts_client *client, uint64_t id)
{
	struct flight *f;

	for (size_t i = 0; i < FLIGHT_CHAINS; i++) {
		TAILQ_FOREACH(f, &client->chains[i], entry)
		if (f->is_fetching && (id == 0 || f->id == id))
			return f;
	}
	return NULL;
}

static void end_fetching(struct flight *f)
{
	f->is_fetching = false;
	f->client->nfetching--;
}

static void fail_all(struct sts_client *client, const char *why)
{
	struct flight *f;

	while ((f = find_fetching(client, 0)) != NULL) {
		end_fetching(f);
		flight_fail(f, why);
	}
}

static void lose_fetcher(struct sts_client *client)
{
	wire_free(client->fetcher);
	client->fetcher = NULL;
	fail_all(client, "outpost-fetch went away");
}

static void on_closed(struct wire *wire, const char *why, void *arg)
{
	struct sts_client *client = arg;

	(void)wire;
	log_event("fetcher-gone", "why", why, NULL);
	lose_fetcher(client);
	client->options.lost(client->options.arg);
}

static void on_fetched(struct wire *wire, struct message *message, void *arg)
{
	struct sts_client *client = arg;
	struct reader r = reader_of(message->payload);
	struct flight *f = find_fetching(client, message->id);
	struct fetch_answer a;

	fetch_answer_get(&r, &a);
	if (!f || !reader_is_done(&r)) {
		on_closed(wire, "an answer that nobody asked for", client);
		return;
	}
	end_fetching(f);
	if (a.outcome.verdict == VERDICT_OK)
		flight_land(f, a.text);
	else
		flight_fail(f, a.outcome.detail);
}

static void on_posted(struct wire *wire, struct message *message, void *arg)
{
	struct sts_client *client = arg;
	struct reader r = reader_of(message->payload);
	struct outcome outcome;

	outcome_get(&r, &outcome);
	if (reader_is_done(&r))
		client->options.posted(
		    message->id, &outcome, client->options.arg);
	else
		on_closed(wire, "an answer that cannot be read", client);
}

int sts_client_post(
    struct sts_client *client, uint64_t id, const struct tls_post *post)
{
	struct buf payload;
	bool is_whole;

	if (!client->fetcher)
		return -1;
	buf_init(&payload, TLS_POST_MAX + 2000);
	tls_post_put(&payload, post);
	if (!payload.overflow)
		wire_send(
		    client->fetcher, MSG_TLS_POST, id, buf_span(&payload));
	is_whole = !payload.overflow;
	buf_clear(&payload);
	return is_whole ? 0 : -1;
}

static const struct wire_rule rules[] = {
	{ MSG_FETCHED, FETCH_TEXT_MAX + 2000, on_fetched },
	{ MSG_TLS_POSTED, 1000, on_posted },
	{ 0 },
};

void sts_client_connect(struct sts_client *client, int fd)
{
	if (client->fetcher)
		lose_fetcher(client);
	client->fetcher = wire_new(
	    client->options.loop, fd, "fetcher", rules, on_closed, client);
	if (!client->fetcher)
		fatal(EXIT_TRY_LATER, "fetcher: %s", strerror(errno));
}

static void send_query(struct flight *f)
{
	struct fetch_query q = { .domain = span_of(f->domain),
		.port = f->client->options.port };
	struct buf payload;

	for (; q.naddresses < f->naddresses; q.naddresses++)
		q.addresses[q.naddresses] =
		    (struct span){ (char *)f->addresses[q.naddresses],
			    f->lengths[q.naddresses] };
	f->is_fetching = true;
	f->client->nfetching++;
	buf_init(&payload, 2000);
	fetch_query_put(&payload, &q);
	wire_send(f->client->fetcher, MSG_FETCH, f->id, buf_span(&payload));
	buf_clear(&payload);
}

/* --- addresses ------------------------------------------------------------ */

static void take_address(struct flight *f, const struct dns_record *r)
{
	struct span bytes = { (const char *)r->bytes, r->nbytes };

	if (!f->client->options.allow_local && mx_is_local(bytes)) {
		snprintf(f->why, sizeof(f->why),
		    "mta-sts.%.100s leads to this machine or link", f->domain);
		return;
	}
	if (f->naddresses == ADDRESSES_MAX)
		return;
	memcpy(f->addresses[f->naddresses], r->bytes, r->nbytes);
	f->lengths[f->naddresses++] = r->nbytes;
}

static void on_address(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	struct flight *f = arg;

	(void)ttl_s;
	if (a->status == DNS_FAILED)
		snprintf(f->why, sizeof(f->why),
		    "address of mta-sts.%.100s: %s", f->domain, a->detail);
	for (size_t i = 0; i < a->nrecords && i < ADDRESSES_MAX / 2; i++)
		take_address(f, &a->records[i]);
	if (--f->pending > 0)
		return;
	if (f->naddresses > 0 && f->client->fetcher)
		send_query(f);
	else if (f->naddresses > 0)
		flight_fail(f, "outpost-fetch is not there");
	else
		flight_fail(f, f->why[0] ? f->why : "its host has no address");
}

void fetch_begin(struct flight *f)
{
	struct dns_client *dns = f->client->options.dns;
	char name[DNS_NAME_MAX + 16];

	snprintf(name, sizeof(name), "mta-sts.%s", f->domain);
	f->naddresses = 0;
	f->why[0] = '\0';
	f->pending = 2;
	dns_ask(dns, name, DNS_AAAA, on_address, f);
	dns_ask(dns, name, DNS_A, on_address, f);
}
