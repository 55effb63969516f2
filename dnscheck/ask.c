/* The DNS client of dnscheck: what was asked is remembered, whom to ask next is
 * chosen. The first thread that wants an answer gets it, the others wait.
 */
#include "dnscheck/ask_parts.h"

#include "common/resolvers.h"
#include "dnscheck/need.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	BUCKETS = 4096,
	TRY_MS = 2000,
	TCP_MS = 5000,
	/* A resolver that drops a slow question answers the next one from its
	 * cache. */
	ROUNDS = 3,
	TRIES_MAX = 64,
};

struct entry {
	struct entry *next;
	char *name;
	uint16_t type;
	struct ask_answer *answer; /* NULL: being asked */
};

struct ask {
	struct resolvers resolvers;
	uint32_t try_ms;
	struct deadline deadline;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t answered;
	struct entry *buckets[BUCKETS];
	size_t nquestions;
	size_t preferred; /* the resolver to begin with */
};

struct ask *ask_new(const struct ask_options *options)
{
	struct ask *a = need(calloc(1, sizeof(*a)));

	resolvers_find(options->resolvers, "/etc/resolv.conf", &a->resolvers);
	a->try_ms = options->try_ms ? options->try_ms : TRY_MS;
	a->deadline = options->deadline;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->answered, NULL);
	return a;
}

static void free_bucket(struct entry *e)
{
	struct entry *next;

	for (; e; e = next) {
		next = e->next;
		ask_answer_free(e->answer);
		free(e->name);
		free(e);
	}
}

void ask_free(struct ask *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		free_bucket(a->buckets[i]);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->answered);
	free(a);
}

bool ask_resolver(const struct ask *a, size_t i, struct ask_resolver *resolver)
{
	if (i >= a->resolvers.count)
		return false;
	resolver->address = a->resolvers.items[i].address;
	resolver->is_trusted = a->resolvers.items[i].is_trusted;
	return true;
}

const char *ask_resolvers_from(const struct ask *a)
{
	return a->resolvers.from;
}

/* --- whom to ask, and for how long ---------------------------------------- */

struct question {
	struct ask *ask;
	const char *name;
	uint16_t type;
	unsigned ntries;
	struct ask_answer *best; /* so far; why it could not be found out */
};

/* The more that is known the better: an answer, an error of the server, an
 * answer that is none, silence. */
static int worth(const struct ask_answer *answer)
{
	switch (answer->status) {
	case ASK_FOUND:
	case ASK_NO_DATA:
	case ASK_NO_NAME:
		return 5;
	case ASK_SERVFAIL:
		return 4;
	case ASK_REFUSED:
		return 3;
	case ASK_MALFORMED:
		return 2;
	case ASK_TIMEOUT:
		return 1;
	case ASK_UNREACHABLE:
	case ASK_BAD_NAME:
		break;
	}
	return 0;
}

static void keep_better(struct question *q, struct ask_answer *answer)
{
	if (q->best && worth(q->best) >= worth(answer)) {
		ask_answer_free(answer);
		return;
	}
	ask_answer_free(q->best);
	q->best = answer;
}

static struct ask_answer *try_once(
    struct question *q, const struct ask_way *way)
{
	uint32_t ms = way->over_tcp ? TCP_MS : way->try_ms;

	q->ntries++;
	return ask_try(way, q->name, q->type,
	    deadline_min(q->ask->deadline, deadline_in_ms(ms)));
}

/* One resolver, with what UDP and EDNS may need more. */
static struct ask_answer *ask_server(
    struct question *q, size_t server, uint32_t try_ms)
{
	const struct resolver_address *r = &q->ask->resolvers.items[server];
	struct ask_way way = { .server = r->address, .try_ms = try_ms };
	struct ask_answer *answer = try_once(q, &way);
	bool was_truncated;

	if (answer->refuses_edns) {
		way.without_edns = true;
		ask_answer_free(answer);
		answer = try_once(q, &way);
	}
	was_truncated = answer->was_truncated;
	if (was_truncated) {
		way.over_tcp = true;
		ask_answer_free(answer);
		answer = try_once(q, &way);
	}
	if (was_truncated && !ask_is_known(answer)) {
		char why[300];

		snprintf(why, sizeof(why), "truncated by UDP; by TCP: %.200s",
		    answer->why.p);
		ask_answer_why(answer, answer->status, "%s", why);
	}
	answer->was_truncated = was_truncated;
	answer->is_secure =
	    answer->says_secure && r->is_trusted && ask_is_known(answer);
	return answer;
}

static size_t preferred_of(struct ask *a)
{
	size_t preferred;

	pthread_mutex_lock(&a->lock);
	preferred = a->preferred;
	pthread_mutex_unlock(&a->lock);
	return preferred;
}

/* Who was silent is not the first to be asked next time. */
static void demote(struct ask *a, size_t server)
{
	pthread_mutex_lock(&a->lock);
	if (a->preferred == server)
		a->preferred = (server + 1) % a->resolvers.count;
	pthread_mutex_unlock(&a->lock);
}

/* true: nothing better can come of asking that server again. */
static bool is_final(enum ask_status status)
{
	return status != ASK_TIMEOUT && status != ASK_UNREACHABLE;
}

static void ask_all(struct question *q)
{
	struct ask *a = q->ask;
	size_t n = a->resolvers.count, first = preferred_of(a);
	bool is_done[RESOLVERS_MAX] = { false };

	for (unsigned i = 0; i < ROUNDS * n && q->ntries < TRIES_MAX; i++) {
		size_t server = (first + i) % n;
		struct ask_answer *answer;

		if (is_done[server])
			continue;
		if (q->best && deadline_is_over(a->deadline))
			return;
		answer =
		    ask_server(q, server, a->try_ms << (i / n > 2 ? 2 : i / n));
		is_done[server] = is_final(answer->status);
		if (answer->status == ASK_TIMEOUT)
			demote(a, server);
		keep_better(q, answer);
		if (ask_is_known(q->best))
			return;
	}
}

static struct ask_answer *find_answer(
    struct ask *a, const char *name, uint16_t type)
{
	struct question q = { .ask = a, .name = name, .type = type };
	char why[400];

	ask_all(&q);
	q.best->tries = (uint8_t)q.ntries;
	if (!ask_is_known(q.best)) {
		snprintf(why, sizeof(why), "%s: %s", q.best->server.p,
		    q.best->why.p);
		ask_answer_why(q.best, q.best->status, "%s", why);
	}
	return q.best;
}

/* --- what was asked ------------------------------------------------------- */

static size_t bucket_of(const char *name, uint16_t type)
{
	uint32_t hash = 2166136261U ^ type;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash % BUCKETS;
}

static struct entry *find_entry(
    const struct ask *a, const char *name, uint16_t type)
{
	struct entry *e = a->buckets[bucket_of(name, type)];

	while (e && (e->type != type || strcmp(e->name, name) != 0))
		e = e->next;
	return e;
}

static struct entry *add_entry(struct ask *a, const char *name, uint16_t type)
{
	struct entry **bucket = &a->buckets[bucket_of(name, type)];
	struct entry *e = need(calloc(1, sizeof(*e)));

	e->name = need(strdup(name));
	e->type = type;
	e->next = *bucket;
	*bucket = e;
	a->nquestions++;
	return e;
}

/* Held by the lock, which is let go meanwhile. */
static void fill_entry(struct ask *a, struct entry *e)
{
	struct ask_answer *answer;

	if (a->nquestions > ASK_QUESTIONS_MAX) {
		e->answer =
		    ask_answer_new(span_of(e->name), e->type, ASK_TIMEOUT);
		ask_answer_why(e->answer, ASK_TIMEOUT,
		    "not asked: more than %d questions", ASK_QUESTIONS_MAX);
		return;
	}
	pthread_mutex_unlock(&a->lock);
	answer = find_answer(a, e->name, e->type);
	pthread_mutex_lock(&a->lock);
	e->answer = answer;
	pthread_cond_broadcast(&a->answered);
}

/* Kept like others, below what no name can be. */
static const struct ask_answer *bad_name(
    struct ask *a, struct span name, uint16_t type)
{
	char text[ASK_NAME_TEXT_MAX];
	struct entry *e;

	snprintf(text, sizeof(text), "\\%.*s", name.n > 500 ? 500 : (int)name.n,
	    name.n > 0 ? name.p : "");
	pthread_mutex_lock(&a->lock);
	e = find_entry(a, text, type);
	if (!e) {
		e = add_entry(a, text, type);
		e->answer = ask_answer_new(name, type, ASK_BAD_NAME);
		ask_answer_why(e->answer, ASK_BAD_NAME,
		    "not a name that the DNS can be asked for");
	}
	pthread_mutex_unlock(&a->lock);
	return e->answer;
}

const struct ask_answer *ask(struct ask *a, struct span name, uint16_t type)
{
	char text[ASK_NAME_TEXT_MAX];
	struct entry *e;

	if (ask_name(name, text) < 0)
		return bad_name(a, name, type);
	pthread_mutex_lock(&a->lock);
	e = find_entry(a, text, type);
	if (!e) {
		e = add_entry(a, text, type);
		fill_entry(a, e);
	}
	while (!e->answer)
		pthread_cond_wait(&a->answered, &a->lock);
	pthread_mutex_unlock(&a->lock);
	return e->answer;
}

const struct ask_answer *ask_reverse(struct ask *a, struct span address)
{
	char name[ASK_REVERSE_MAX];

	ask_reverse_name(address, name);
	return ask(a, span_of(name), ASK_PTR);
}

struct ask_answer *ask_one(
    struct ask *a, const struct ask_way *way, struct span name, uint16_t type)
{
	uint32_t ms = way->try_ms ? way->try_ms : a->try_ms;
	char text[ASK_NAME_TEXT_MAX];
	struct ask_answer *answer;

	if (ask_name(name, text) == 0)
		return ask_try(way, text, type,
		    deadline_min(a->deadline, deadline_in_ms(ms)));
	answer = ask_answer_new(name, type, ASK_BAD_NAME);
	ask_answer_why(
	    answer, ASK_BAD_NAME, "not a name that the DNS can be asked for");
	return answer;
}
