/* The relays' logins, as the runner keeps them. */
#include "runner/secrets.h"

#include <stdio.h>
#include <stdlib.h>

struct kept {
	struct kept *next;
	struct buf secret, certificate, key;
	struct outcome outcome;
	uint64_t token_at_ms;
	bool is_token;	  /* secret is one */
	bool was_refused; /* the token before this one */
	char mechanisms[LOGIN_MECHANISMS_MAX + 1];
	char relay[];
};

struct secrets {
	struct kept *first;
};

struct secrets *secrets_new(void)
{
	return calloc(1, sizeof(struct secrets));
}

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_clear(b);
}

/* All at once: growing would leave a copy behind. */
static int set(struct buf *b, struct span bytes)
{
	wipe(b);
	buf_init(b, CREDENTIAL_MAX);
	if (bytes.n > 0 && buf_reserve(b, bytes.n))
		buf_put_raw(b, bytes);
	return b->overflow ? -1 : 0;
}

static void drop_first(struct kept **at)
{
	struct kept *k = *at;

	*at = k->next;
	wipe(&k->secret);
	wipe(&k->certificate);
	wipe(&k->key);
	free(k);
}

void secrets_free(struct secrets *s)
{
	while (s && s->first)
		drop_first(&s->first);
	free(s);
}

void secrets_keep(struct secrets *s, const struct conf *conf)
{
	struct kept **at = &s->first;

	while (*at) {
		const struct conf_relay *relay = conf_relay(conf, (*at)->relay);

		if (relay && (relay->user || relay->certificate))
			at = &(*at)->next;
		else
			drop_first(at);
	}
}

static struct kept *find(const struct secrets *s, struct span relay)
{
	struct kept *k = s->first;

	while (k && !span_is_equal(span_of(k->relay), relay))
		k = k->next;
	return k;
}

static struct kept *make(struct secrets *s, struct span relay)
{
	struct kept *k = find(s, relay);

	if (k)
		return k;
	k = calloc(1, sizeof(*k) + relay.n + 1);
	if (!k)
		return NULL;
	if (relay.n > 0)
		memcpy(k->relay, relay.p, relay.n);
	k->next = s->first;
	s->first = k;
	return k;
}

int secrets_take(struct secrets *s, const struct relay_secret *secret)
{
	struct kept *k = make(s, secret->relay);

	if (!k)
		return -1;
	k->outcome = secret->outcome;
	k->is_token = k->was_refused = false;
	k->token_at_ms = 0;
	if (set(&k->secret, secret->secret) < 0 ||
	    set(&k->certificate, secret->certificate) < 0 ||
	    set(&k->key, secret->key) < 0)
		return -1;
	return 0;
}

int secrets_take_token(
    struct secrets *s, const struct relay_secret *token, uint64_t now_ms)
{
	struct kept *k = find(s, token->relay);

	if (!k)
		return 0; /* a relay of an earlier configuration */
	k->outcome = token->outcome;
	k->token_at_ms = now_ms;
	k->is_token = token->outcome.verdict == VERDICT_OK;
	return set(&k->secret, token->secret);
}

bool secrets_wants_token(
    const struct secrets *s, const struct conf_relay *relay, uint64_t now_ms)
{
	const struct kept *k;

	if (!relay || relay->token_command.count == 0)
		return false;
	k = find(s, span_of(relay->name));
	return k && (!k->is_token || now_ms >= k->token_at_ms + TOKEN_MS);
}

bool secrets_refused_token(struct secrets *s, const struct conf_relay *relay)
{
	struct kept *k = relay ? find(s, span_of(relay->name)) : NULL;
	bool is_first;

	if (!k || relay->token_command.count == 0)
		return false;
	if (!k->is_token)
		return true; /* another session was told first */
	is_first = !k->was_refused;
	wipe(&k->secret);
	k->is_token = false;
	k->was_refused = true;
	return is_first;
}

void secrets_accepted(struct secrets *s, const struct conf_relay *relay)
{
	struct kept *k = relay ? find(s, span_of(relay->name)) : NULL;

	if (k)
		k->was_refused = false;
}

/* By blanks. */
static void join(const struct strings *words, char *to, size_t size)
{
	struct buf text;

	buf_init(&text, size);
	for (size_t i = 0; i < words->count; i++)
		buf_printf(&text, "%s%s", i ? " " : "", words->items[i]);
	snprintf(to, size, "%s", buf_text(&text));
	buf_clear(&text);
}

int secrets_login(struct secrets *s, const struct conf_relay *relay,
    struct login *login, struct outcome *why)
{
	struct kept *k;

	*login = (struct login){ .is_token = false };
	if (!relay || (!relay->user && !relay->certificate))
		return 0;
	k = find(s, span_of(relay->name));
	if (!k)
		return outcome_temp(
		    why, "4.7.0", "the login of this relay is not known yet");
	if (k->outcome.verdict != VERDICT_OK)
		return outcome_temp(why, "4.7.0", "%s", k->outcome.detail);
	if (relay->token_command.count > 0 && !k->is_token)
		return outcome_temp(
		    why, "4.7.0", "there is no token for this relay yet");
	join(&relay->mechanisms, k->mechanisms, sizeof(k->mechanisms));
	login->user = span_of(relay->user);
	login->secret = buf_span(&k->secret);
	login->certificate = buf_span(&k->certificate);
	login->key = buf_span(&k->key);
	login->mechanisms = span_of(k->mechanisms);
	login->is_token = k->is_token;
	login->may_be_clear = relay->tls == TLS_NONE;
	return 0;
}
