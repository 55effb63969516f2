/* The logins of relays: read here, where there are the rights for it, and
 * handed to the runner alone.
 */
#include "common/relay_login.h"
#include "runner/supervisor.h"
#include "runner/supervisor_parts.h"

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_clear(b);
}

static void send_one(struct wire *runner, const struct conf_relay *relay)
{
	struct relay_login login;
	struct relay_secret secret = { .relay = span_of(relay->name) };
	struct outcome why;
	struct buf payload;

	if (relay_login_read(relay, &login, &why) < 0) {
		log_warn("login-not-read", "relay", relay->name, "why",
		    why.detail, "then",
		    "its mail waits; correct that, then: outpost reload", NULL);
		outcome_temp(&secret.outcome, "4.7.0",
		    "%.300s; correct that, then: outpost reload", why.detail);
	} else {
		outcome_ok(&secret.outcome);
		secret.secret = buf_span(&login.password);
		secret.certificate = buf_span(&login.certificate);
		secret.key = buf_span(&login.key);
	}
	buf_init(&payload, RELAY_SECRET_MAX);
	buf_reserve(&payload, RELAY_SECRET_MAX);
	relay_secret_put(&payload, &secret);
	wire_send(runner, MSG_SECRET, 0, buf_span(&payload));
	wipe(&payload);
	relay_login_clear(&login);
}

void secrets_send(const struct supervisor *s, struct wire *runner)
{
	for (size_t i = 0; i < s->conf->nrelays; i++)
		if (relay_has_login(&s->conf->relays[i]))
			send_one(runner, &s->conf->relays[i]);
}

int secrets_check(const struct conf *conf, struct outcome *why)
{
	struct relay_login login;

	for (size_t i = 0; i < conf->nrelays; i++) {
		if (!relay_has_login(&conf->relays[i]))
			continue;
		if (relay_login_read(&conf->relays[i], &login, why) < 0)
			return -1;
		relay_login_clear(&login);
	}
	return outcome_ok(why);
}
