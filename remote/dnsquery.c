/* Questions: asking, sharing, waiting for a socket, answering. */
#include "remote/dnsquery_parts.h"

#include "common/deadline.h"
#include "common/log.h"

#include <stdlib.h>

enum {
	FIRST_MS = 2000,
	TOTAL_MS = 40000,
	FIRST_MOST = 200, /* a resolver drops what is too much at once */
};

/* --- the client ----------------------------------------------------------- */

struct dns_client *dns_client_new(
    struct loop *loop, const struct dns_options *options)
{
	struct dns_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->loop = loop;
	client->options = *options;
	if (!client->options.first_ms)
		client->options.first_ms = FIRST_MS;
	if (!client->options.total_ms)
		client->options.total_ms = TOTAL_MS;
	TAILQ_INIT(&client->queue);
	client->cache = dns_cache_new(options->cache_most);
	client->packet = malloc(DNS_PACKET_MAX);
	if (client->cache && client->packet && options->nservers > 0)
		return client;
	dns_client_free(client);
	return NULL;
}

void dns_client_counts(const struct dns_client *client, struct dns_counts *c)
{
	*c = client->counts;
}

static size_t chain_of(const char *name, enum dns_type type)
{
	uint32_t hash = 2166136261U ^ (uint32_t)type;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash % DNS_CHAINS;
}

static struct question **find(
    struct dns_client *client, const char *name, enum dns_type type)
{
	struct question **at = &client->chains[chain_of(name, type)];

	while (*at && ((*at)->type != type || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	return at;
}

/* --- the end of a question ------------------------------------------------ */

static void question_free(struct question *q)
{
	struct waiter *w;

	try_hang_up(q);
	if (q->is_queued)
		TAILQ_REMOVE(&q->client->queue, q, turn);
	while ((w = q->waiters) != NULL) {
		q->waiters = w->next;
		free(w);
	}
	buf_clear(&q->in);
	buf_clear(&q->out);
	free(q);
}

void dns_client_free(struct dns_client *client)
{
	if (!client)
		return;
	for (size_t i = 0; i < DNS_CHAINS; i++)
		while (client->chains[i]) {
			struct question *q = client->chains[i];

			client->chains[i] = q->next;
			question_free(q);
		}
	dns_cache_free(client->cache);
	free(client->packet);
	free(client);
}

/* Silence holds others up only when there is very much of it. */
static bool has_room(const struct dns_client *client)
{
	return client->first < FIRST_MOST &&
	       client->sockets < client->options.sockets_most;
}

void questions_begin(struct dns_client *client)
{
	struct question *q;

	/* A try may end at once, and then comes here again. */
	if (client->is_beginning)
		return;
	client->is_beginning = true;
	while (has_room(client) && (q = TAILQ_FIRST(&client->queue)) != NULL) {
		TAILQ_REMOVE(&client->queue, q, turn);
		q->is_queued = false;
		q->began_ms = now_monotonic_ms();
		try_begin(q);
	}
	client->is_beginning = false;
}

static void log_answer(const struct question *q, const struct dns_answer *a)
{
	if (log_get_level() < LOG_LEVEL_DETAILED)
		return;
	log_detail("dns", "name", q->name, "type", dns_type_name(q->type),
	    "answer", dns_status_name(a->status), "records",
	    log_text("%zu", a->nrecords), "ttl", log_text("%u", a->ttl_s),
	    "tries", log_text("%u", q->tries), "why",
	    a->detail[0] ? a->detail : NULL, NULL);
}

/* Takes the answer over. The waiters may ask again inside. */
void question_finish(struct question *q, struct dns_answer *a)
{
	struct dns_client *client = q->client;
	struct waiter *w;

	*find(client, q->name, q->type) = q->next;
	try_hang_up(q);
	log_answer(q, a);
	if (a->status == DNS_FAILED)
		client->counts.failed++;
	dns_cache_put(client->cache, q->name, q->type, a, now_monotonic_ms());
	while ((w = q->waiters) != NULL) {
		q->waiters = w->next;
		w->answered(a, a->ttl_s, w->arg);
		free(w);
	}
	dns_answer_release(a);
	question_free(q);
	questions_begin(client);
}

/* What is said without memory for an answer: not shared, never freed. */
static struct dns_answer *no_memory(void)
{
	static struct dns_answer a;

	a = (struct dns_answer){ .holders = 1U << 20,
		.status = DNS_FAILED,
		.detail = "out of memory" };
	return &a;
}

void question_fail(struct question *q)
{
	struct dns_answer *a = dns_answer_new(DNS_FAILED);

	if (a)
		memcpy(a->detail, q->why, sizeof(a->detail));
	question_finish(q, a ? a : no_memory());
}

/* --- asking --------------------------------------------------------------- */

static struct question *question_new(
    struct dns_client *client, const char *name, enum dns_type type)
{
	size_t n = strlen(name) + 1;
	struct question *q = calloc(1, sizeof(*q) + n);
	struct question **at = find(client, name, type);

	if (!q)
		return NULL;
	q->client = client;
	q->type = type;
	q->fd = -1;
	q->began_ms = now_monotonic_ms();
	buf_init(&q->in, DNS_PACKET_MAX + 2);
	buf_init(&q->out, 1024);
	memcpy(q->name, name, n);
	*at = q;
	return q;
}

static bool answer_from_cache(struct dns_client *client, const char *name,
    enum dns_type type,
    void (*answered)(struct dns_answer *a, uint32_t ttl_s, void *arg),
    void *arg)
{
	uint32_t ttl_s;
	struct dns_answer *a = dns_cache_get(
	    client->cache, name, type, now_monotonic_ms(), &ttl_s);

	if (!a)
		return false;
	client->counts.cached++;
	dns_answer_hold(a);
	answered(a, ttl_s, arg);
	dns_answer_release(a);
	return true;
}

void dns_ask(struct dns_client *client, const char *name, enum dns_type type,
    void (*answered)(struct dns_answer *a, uint32_t ttl_s, void *arg),
    void *arg)
{
	struct question *q;
	struct waiter *w;
	bool is_new;

	client->counts.asked++;
	if (answer_from_cache(client, name, type, answered, arg))
		return;
	q = *find(client, name, type);
	is_new = !q;
	w = calloc(1, sizeof(*w));
	if (w && is_new)
		q = question_new(client, name, type);
	if (!w || !q) {
		free(w);
		answered(no_memory(), 0, arg);
		return;
	}
	*w = (struct waiter){ q->waiters, answered, arg };
	q->waiters = w;
	if (!is_new)
		return;
	q->is_queued = true;
	TAILQ_INSERT_TAIL(&client->queue, q, turn);
	questions_begin(client);
}
