/* AUTH (RFC 4954), behind EHLO and TLS.
 *
 * auth-command = "AUTH" SP mechanism [SP (base64 / "=")] CRLF
 *                *("334" SP base64 CRLF / base64 CRLF)
 *
 * The strongest mechanism is tried first. Another one is tried only when the
 * server could not do that one; once it has refused what was made from the
 * password, it is asked no more: the next refusal may lock the account.
 */
#include "remote/dialogue.h"

#include "remote/login.h"

#include <stdio.h>

enum {
	COMMAND_MAX = 510,     /* bytes of a line; longer ones wait for a 334 */
	SENT_LINE_MAX = 65536, /* of a response */
	USER_SHOWN_MAX = 64,
	OFFERS_SHOWN_MAX = 80,
};

enum verdict_of_login {
	LOGIN_DONE = 0,
	LOGIN_LOST = -1,    /* the connection, or 4xx */
	LOGIN_NEXT = -2,    /* this mechanism cannot be had */
	LOGIN_REFUSED = -3, /* and nothing more is to be tried */
};

static struct span user_of(const struct dialogue *d)
{
	struct span user = d->session->login.user;

	if (user.n > USER_SHOWN_MAX)
		user.n = USER_SHOWN_MAX;
	return user;
}

/* The reply in one line, unless it has the secret in it. */
static void print_reply(const struct dialogue *d, struct buf *text)
{
	buf_init(text, REPLY_MAX + 1);
	reply_print(&d->reply, text);
	if (!login_is_in(&d->session->login, buf_span(text)))
		return;
	buf_reset(text);
	buf_printf(text, "%u (its text repeats our secret)", d->reply.code);
}

static int reply_to_outcome(
    const struct dialogue *d, const char *step, struct outcome *why)
{
	struct buf text;

	print_reply(d, &text);
	outcome_temp(why, d->reply.status[0] == '4' ? d->reply.status : "4.7.0",
	    "%s: %s", step, buf_text(&text));
	buf_clear(&text);
	return -1;
}

static void set_refused(
    const struct dialogue *d, const struct sasl *s, struct outcome *why)
{
	const struct login *login = &d->session->login;
	struct span user = user_of(d);
	struct buf text;

	print_reply(d, &text);
	outcome_temp(why, "4.7.8",
	    "AUTH %s: the login of user \"%.*s\" was refused: %.130s%s%.70s; "
	    "correct the relay's %s, then: outpost reload",
	    sasl_name(s->id), (int)user.n, user.n ? user.p : "",
	    buf_text(&text), s->refusal.verdict == VERDICT_OK ? "" : ", ",
	    s->refusal.detail,
	    login->is_token	   ? "user or token-command"
	    : login->secret.n == 0 ? "user or certificate"
				   : "user or password-file");
	buf_clear(&text);
}

/* What a reply that is no challenge means. */
static int judge(struct dialogue *d, const struct sasl *s, struct outcome *why)
{
	unsigned code = d->reply.code;

	if (code / 100 == 2 && s->is_proven)
		return LOGIN_DONE;
	if (code / 100 == 2) {
		d->is_broken = true;
		outcome_temp(why, "4.7.0",
		    "AUTH %s: the server did not prove that it knows the "
		    "password; check that it is the right one",
		    sasl_name(s->id));
		return LOGIN_REFUSED;
	}
	switch (code) {
	case 432: /* a password is to be changed over to this mechanism */
	case 500:
	case 501:
	case 502:
	case 503:
	case 504:
	case 530:
	case 538:
		reply_to_outcome(d, sasl_name(s->id), why);
		return LOGIN_NEXT;
	case 534: /* too weak; or, when it knows the password, one it wants */
		if (s->has_sent_secret)
			break;
		reply_to_outcome(d, sasl_name(s->id), why);
		return LOGIN_NEXT;
	}
	if (code / 100 == 5) {
		set_refused(d, s, why);
		return LOGIN_REFUSED;
	}
	d->is_broken |= code / 100 == 3;
	reply_to_outcome(d, "AUTH", why);
	return LOGIN_LOST;
}

/* One line and its reply; the log shows only shown. */
static int ask(struct dialogue *d, const char *line, const char *shown,
    struct outcome *why)
{
	struct buf *out = stream_out(&d->stream);
	uint32_t left_ms = (uint32_t)deadline_left_ms(d->login_until);
	int status;

	d->shown = shown;
	status = dialogue_ask(d, "AUTH", line, left_ms, why);
	d->shown = NULL;
	if (stream_waiting(&d->stream) == 0 && out->data)
		explicit_bzero(out->data, out->cap);
	return status;
}

/* End the exchange: the server has to say no to that (RFC 4954 section 4). */
static int cancel(struct dialogue *d, int status, struct outcome *why)
{
	struct outcome lost;

	if (ask(d, "*", "*", &lost) < 0) {
		*why = lost;
		return LOGIN_LOST;
	}
	if (d->reply.code / 100 == 5 || d->reply.code / 100 == 4)
		return d->is_closing ? LOGIN_LOST : status;
	d->is_broken = true;
	if (status == LOGIN_REFUSED)
		return status;
	outcome_temp(why, "4.7.0",
	    "AUTH: the server goes on after the login was cancelled");
	return LOGIN_LOST;
}

static int say_first(struct dialogue *d, struct sasl *s, struct outcome *why)
{
	struct buf line, response;
	char shown[48];
	int status;

	buf_init(&line, SENT_LINE_MAX);
	buf_init(&response, SASL_RESPONSE_MAX);
	buf_reserve(&line, SENT_LINE_MAX);
	buf_reserve(&response, SASL_RESPONSE_MAX);
	buf_printf(&line, "AUTH %s", sasl_name(s->id));
	snprintf(shown, sizeof(shown), "AUTH %s%s", sasl_name(s->id),
	    sasl_has_initial(s->id) ? " ****" : "");
	s->step = 0;
	status = SASL_OK;
	if (sasl_has_initial(s->id))
		status =
		    sasl_respond(s, (struct span){ NULL, 0 }, &response, why);
	if (status == SASL_OK &&
	    response.len / 3 * 4 + 4 + line.len + 1 > COMMAND_MAX) {
		/* too long for a command: after an empty challenge then */
		snprintf(shown, sizeof(shown), "AUTH %s", sasl_name(s->id));
		s->has_sent_secret = false;
		s->step = 0;
		buf_reset(&s->kept);
	} else if (status == SASL_OK && sasl_has_initial(s->id)) {
		buf_putc(&line, ' ');
		base64_put(&line, buf_span(&response));
		if (response.len == 0)
			buf_putc(&line, '=');
	}
	if (status == SASL_OK)
		status = ask(d, buf_text(&line), shown, why);
	else
		status = LOGIN_NEXT;
	sasl_wipe(&response);
	sasl_wipe(&line);
	return status;
}

/* 0, or enum verdict_of_login. */
static int answer(struct dialogue *d, struct sasl *s, struct outcome *why)
{
	struct span text = buf_span(&d->reply.text);
	struct buf challenge, response, line;
	int status;

	buf_init(&challenge, SASL_CHALLENGE_MAX);
	buf_init(&response, SASL_RESPONSE_MAX);
	buf_init(&line, SENT_LINE_MAX);
	buf_reserve(&response, SASL_RESPONSE_MAX);
	buf_reserve(&line, SENT_LINE_MAX);
	if (base64_get(&challenge, span_trim(text)) < 0)
		status = sasl_unusable(why, "the challenge is not base64");
	else
		status = sasl_respond(s, buf_span(&challenge), &response, why);
	if (status == SASL_OK) {
		base64_put(&line, buf_span(&response));
		status = ask(d, buf_text(&line), "****", why);
	} else {
		status = cancel(
		    d, status == SASL_STOP ? LOGIN_REFUSED : LOGIN_NEXT, why);
	}
	sasl_wipe(&challenge);
	sasl_wipe(&response);
	sasl_wipe(&line);
	return status;
}

static void name_step(const struct sasl *s, struct outcome *why)
{
	struct outcome cause = *why;

	if (strncmp(cause.detail, "AUTH", 4) != 0)
		outcome_temp(why, cause.status, "AUTH %s: %s", sasl_name(s->id),
		    cause.detail);
}

static int try_mechanism(
    struct dialogue *d, struct sasl *s, struct outcome *why)
{
	int status = say_first(d, s, why);

	for (int rounds = 0; status == 0 && d->reply.code == 334; rounds++) {
		if (rounds == SASL_ROUNDS_MAX) {
			sasl_unusable(why, "the server asks without end");
			status = cancel(d, LOGIN_NEXT, why);
			break;
		}
		status = answer(d, s, why);
	}
	if (status == 0)
		status = judge(d, s, why);
	if (status != LOGIN_DONE)
		name_step(s, why);
	return status;
}

static int try_all(struct dialogue *d, uint32_t set,
    const struct sasl_binding *binding, struct outcome *why)
{
	const struct login *login = &d->session->login;
	bool may_bind = login_may_bind(login, binding);
	const uint32_t plus =
	    SASL_BIT(SASL_SCRAM_SHA256_PLUS) | SASL_BIT(SASL_SCRAM_SHA1_PLUS);
	int status = LOGIN_NEXT;

	for (int id = 0; id < SASL_COUNT && status == LOGIN_NEXT; id++) {
		struct sasl s = { .login = login,
			.host = d->host->name,
			.port = d->host->port,
			.binding = binding,
			.is_plus_known = may_bind && !(d->ehlo.auth & plus) };

		if (!(set & SASL_BIT(id)))
			continue;
		if (sasl_init(&s, (enum sasl_id)id) < 0) {
			outcome_temp(why, "4.3.0", "AUTH: no randomness");
			return LOGIN_LOST;
		}
		status = try_mechanism(d, &s, why);
		sasl_clear(&s);
	}
	return status;
}

static int none_in_common(struct dialogue *d, struct outcome *why)
{
	const struct login *login = &d->session->login;

	d->is_login_refused = true;
	if (!d->ehlo.has_auth)
		return outcome_temp(why, "4.7.0",
		    "AUTH: the server offers no login%s; use its submission "
		    "server (submission:// or smtps://), or take the relay's "
		    "user out, then: outpost reload",
		    d->stream.ssl ? "" : " without TLS");
	return outcome_temp(why, "4.7.0",
	    "AUTH: the server offers %.*s, and of these the relay's %s allows "
	    "none; correct that, then: outpost reload",
	    OFFERS_SHOWN_MAX,
	    d->ehlo.auth_text[0] ? d->ehlo.auth_text : "nothing",
	    login->mechanisms.n > 0 ? "mechanisms"
	    : login->is_token	    ? "token-command"
				    : "password-file or certificate");
}

int dialogue_login(struct dialogue *d, struct outcome *why)
{
	const struct login *login = &d->session->login;
	struct sasl_binding binding;
	uint32_t set;
	int status;

	if (!login_is_by_name(login) &&
	    !(login->certificate.n > 0 &&
		d->ehlo.auth & SASL_BIT(SASL_EXTERNAL)))
		return 0;
	if (!d->stream.ssl && !login->may_be_clear)
		return outcome_temp(why, "4.7.0",
		    "AUTH: the login is not sent without TLS, and there is "
		    "none with this server; use its smtps:// or submission:// "
		    "port, or tls = none for a relay in a network of your own");
	login_bind(d->stream.ssl, &binding);
	set = login_mechanisms(login, d->ehlo.auth, &binding);
	if (!d->stream.ssl)
		set &= ~SASL_BIT(SASL_EXTERNAL);
	if (set == 0)
		return none_in_common(d, why);
	d->login_until = deadline_in_ms(d->waits->ehlo);
	status = try_all(d, set, &binding, why);
	d->is_login_spent = status == LOGIN_REFUSED;
	d->is_login_refused = status == LOGIN_REFUSED || status == LOGIN_NEXT;
	return status == LOGIN_DONE ? 0 : -1;
}
