/* Policy look-ups: record, cache, and who waits. */
#include "remote/stslookup_parts.h"

#include "common/deadline.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	WAIT_MS = 10000,
	AGAIN_MS = 300000, /* RFC 8461 5.1: five minutes after a failure */
	FLIGHTS_MAX = 4000,
	FETCHING_MAX = 400,
	TTL_MIN_S = 60,
};

/* --- who waits ------------------------------------------------------------ */

static void tell(struct flight *f, const struct sts_entry *e)
{
	struct sts_waiter *w;
	uint64_t now = (uint64_t)now_utc();

	if (e && e->expires_at < now + f->ttl_s)
		f->ttl_s = (uint32_t)(e->expires_at - now);
	loop_timer_cancel(f->client->options.loop, &f->timer);
	f->is_late = true;
	while ((w = f->waiters) != NULL) {
		f->waiters = w->next;
		w->answered(e, f->ttl_s, w->arg);
		free(w);
	}
}

/* What the cache has, whatever the record says now. */
static void tell_known(struct flight *f)
{
	struct sts_entry e;
	bool is_there = sts_cache_get(
	    f->client->options.cache, f->domain, (uint64_t)now_utc(), &e);

	tell(f, is_there ? &e : NULL);
	if (is_there)
		sts_entry_clear(&e);
}

/* The policy that there may be was not had: soon again. */
static void tell_for_now(struct flight *f)
{
	f->ttl_s = TTL_MIN_S;
	tell_known(f);
}

static void on_overtime(void *arg)
{
	tell_for_now(arg);
}

/* --- flights -------------------------------------------------------------- */

static struct flights *chain_of(struct sts_client *client, const char *domain)
{
	uint32_t hash = 2166136261U;

	for (; *domain; domain++)
		hash = (hash ^ (unsigned char)*domain) * 16777619U;
	return &client->chains[hash % FLIGHT_CHAINS];
}

static struct flight *find(struct sts_client *client, const char *domain)
{
	struct flight *f;

	TAILQ_FOREACH(f, chain_of(client, domain), entry)
	if (strcmp(f->domain, domain) == 0)
		return f;
	return NULL;
}

static struct flight *flight_new(struct sts_client *client, const char *domain)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->client = client;
	f->id = ++client->last_id;
	f->ttl_s = TTL_MIN_S;
	snprintf(f->domain, sizeof(f->domain), "%s", domain);
	TAILQ_INSERT_TAIL(chain_of(client, domain), f, entry);
	client->nflights++;
	return f;
}

/* Nobody waits any more. */
static void flight_end(struct flight *f)
{
	struct sts_client *client = f->client;

	loop_timer_cancel(client->options.loop, &f->timer);
	TAILQ_REMOVE(chain_of(client, f->domain), f, entry);
	client->nflights--;
	free(f);
}

/* --- failures ------------------------------------------------------------- */

static bool has_failed_lately(const struct flight *f)
{
	uint64_t now = now_monotonic_ms();

	for (size_t i = 0; i < STS_FAILURES; i++) {
		const struct sts_failure *x = &f->client->failures[i];

		if (x->until_ms > now && strcmp(x->domain, f->domain) == 0 &&
		    strcmp(x->record, f->record) == 0)
			return true;
	}
	return false;
}

static void remember_failure(const struct flight *f)
{
	struct sts_client *client = f->client;
	struct sts_failure *x =
	    &client->failures[client->next_failure++ % STS_FAILURES];

	x->until_ms = now_monotonic_ms() + AGAIN_MS;
	memcpy(x->record, f->record, sizeof(x->record));
	memcpy(x->domain, f->domain, sizeof(x->domain));
}

void flight_fail(struct flight *f, const char *why)
{
	f->client->counts.failed++;
	log_warn("sts-policy-not-had", "domain", f->domain, "id", f->record,
	    "why", why, NULL);
	remember_failure(f);
	tell_for_now(f);
	flight_end(f);
}

void flight_land(struct flight *f, struct span text)
{
	uint64_t now = (uint64_t)now_utc();
	struct sts_entry e;
	const char *why;

	if (sts_entry_init(&e, f->record, text, now, &why) < 0) {
		flight_fail(f, why);
		return;
	}
	f->client->counts.fetched++;
	log_event("sts-policy", "domain", f->domain, "id", f->record, "mode",
	    sts_mode_name(e.policy.mode), "max_age",
	    log_text("%u", e.policy.max_age_s), NULL);
	if (sts_cache_put(f->client->options.cache, f->domain, &e, now, &why) <
	    0)
		log_warn("sts-policy-not-kept", "domain", f->domain, "why", why,
		    NULL);
	tell(f, &e);
	sts_entry_clear(&e);
	flight_end(f);
}

/* --- the record ----------------------------------------------------------- */

/* RFC 8461 3.1: exactly one, or none counts. */
static bool find_record(const struct dns_answer *a, char id[STS_ID_MAX + 1])
{
	struct span only = { 0 };
	size_t n = 0;

	for (size_t i = 0; a->status == DNS_FOUND && i < a->nrecords; i++) {
		struct span txt = { a->records[i].data, a->records[i].ndata };

		if (sts_record_is(txt) && n++ == 0)
			only = txt;
	}
	return n == 1 && sts_record_parse(only, id) == 0;
}

static void fetch(struct flight *f)
{
	if (has_failed_lately(f) || f->client->nfetching >= FETCHING_MAX) {
		tell_for_now(f);
		flight_end(f);
		return;
	}
	fetch_begin(f);
}

/* A policy that is known, by the record that is there. */
static void use_known(struct flight *f, const struct sts_entry *e)
{
	uint64_t now = (uint64_t)now_utc();

	tell(f, e);
	if (now >= e->fetched_at + e->policy.max_age_s / 2)
		fetch(f); /* nobody waits for it */
	else
		flight_end(f);
}

static void on_txt(struct dns_answer *a, uint32_t ttl_s, void *arg)
{
	struct flight *f = arg;
	struct sts_entry e;

	f->ttl_s = ttl_s > TTL_MIN_S ? ttl_s : TTL_MIN_S;
	if (!find_record(a, f->record)) {
		tell_known(f);
		flight_end(f);
	} else if (sts_cache_get(f->client->options.cache, f->domain,
		       (uint64_t)now_utc(), &e)) {
		if (strcmp(e.id, f->record) == 0)
			use_known(f, &e);
		else
			fetch(f);
		sts_entry_clear(&e);
	} else {
		fetch(f);
	}
}

/* --- asking --------------------------------------------------------------- */

static void begin(struct flight *f)
{
	char name[DNS_NAME_MAX + 16];

	snprintf(name, sizeof(name), "_mta-sts.%s", f->domain);
	loop_timer_set(f->client->options.loop, &f->timer,
	    now_monotonic_ms() + WAIT_MS, on_overtime, f);
	dns_ask(f->client->options.dns, name, DNS_TXT, on_txt, f);
}

static void answer_now(
    struct sts_client *client, const char *domain, const struct sts_waiter *w)
{
	struct sts_entry e;
	bool is_there = sts_cache_get(
	    client->options.cache, domain, (uint64_t)now_utc(), &e);

	w->answered(is_there ? &e : NULL, TTL_MIN_S, w->arg);
	if (is_there)
		sts_entry_clear(&e);
}

void sts_ask(struct sts_client *client, const char *domain,
    void (*answered)(const struct sts_entry *e, uint32_t ttl_s, void *arg),
    void *arg)
{
	struct flight *f = find(client, domain);
	struct sts_waiter here = { NULL, answered, arg }, *w;
	bool is_new = !f;

	if ((f && f->is_late) || client->nflights >= FLIGHTS_MAX) {
		answer_now(client, domain, &here);
		return;
	}
	w = malloc(sizeof(*w));
	if (w && is_new)
		f = flight_new(client, domain);
	if (!w || !f) {
		free(w);
		answer_now(client, domain, &here);
		return;
	}
	*w = here;
	w->next = f->waiters;
	f->waiters = w;
	if (is_new)
		begin(f);
}

struct sts_client *sts_client_new(const struct sts_options *options)
{
	struct sts_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->options = *options;
	for (size_t i = 0; i < FLIGHT_CHAINS; i++)
		TAILQ_INIT(&client->chains[i]);
	return client;
}

void sts_client_counts(
    const struct sts_client *client, struct sts_counts *counts)
{
	*counts = client->counts;
}
