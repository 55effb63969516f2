/* One look at one server: the line's own dialogue, without a message. */
#include "remote/probe_look.h"

#include <stdio.h>
#include <time.h>

#include "remote/dialogue.h"
#include "remote/tls_names.h"

struct look {
	const struct probe *probe;
	struct dialogue dialogue;
	struct dialogue_waits waits;
	struct talk talk;
	struct buf banner, ehlo;
	struct probed found;
	uint64_t began_ms;
};

static void on_connected(void *arg)
{
	struct look *l = arg;

	talk_begin(&l->talk);
	l->found.connect_ms = (uint32_t)(now_monotonic_ms() - l->began_ms);
	l->found.step = PROBE_GREET;
}

static void keep(struct buf *to, const struct reply *reply)
{
	buf_reset(to);
	buf_printf(to, "%u ", reply->code);
	buf_put_raw(to, buf_span(&reply->text));
}

static void on_reply(void *arg, const char *step, const struct reply *reply)
{
	struct look *l = arg;

	if (strcmp(step, "banner") == 0)
		keep(&l->banner, reply);
	else if (strcmp(step, "EHLO") == 0 || strcmp(step, "HELO") == 0)
		keep(&l->ehlo, reply);
}

/* Each wait as long as asked, and no longer than a line's. */
static void set_waits(struct look *l)
{
	uint32_t *const all[] = { &l->waits.connect, &l->waits.greeting,
		&l->waits.ehlo, &l->waits.tls, &l->waits.envelope,
		&l->waits.data, &l->waits.block, &l->waits.final,
		&l->waits.closing };

	l->waits = dialogue_waits;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (*all[i] > l->probe->timeout_ms)
			*all[i] = l->probe->timeout_ms;
}

static int greet(struct look *l)
{
	const struct host *host = &l->probe->session.hosts[0];
	unsigned how = DIALOGUE_MAY_TLS, last = host->naddresses - 1u;
	unsigned first = 0;

	if (host->naddresses == 0) {
		l->found.outcome = host->why;
		return -1;
	}
	for (int tries = 0; tries < 2; tries++) {
		int status = dialogue_open(
		    &l->dialogue, host, first, last, how, &l->found.outcome);

		if (status == 0)
			return 0;
		if (status != DIALOGUE_TLS_FAILED)
			break;
		/* as a line would: opportunistic TLS that failed */
		first = last = l->dialogue.connected.used;
		how &= ~(unsigned)DIALOGUE_MAY_TLS;
	}
	return -1;
}

static int ask(struct look *l, const char *step, struct span address,
    const char *before, struct outcome *why)
{
	char command[ADDRESS_MAX + 32];

	snprintf(command, sizeof(command), "%s<%.*s>", before, (int)address.n,
	    address.n ? address.p : "");
	if (dialogue_ask(&l->dialogue, step, command, l->waits.envelope, why) <
	    0)
		return -1;
	if (l->dialogue.reply.code / 100 != 2)
		return dialogue_refused(&l->dialogue, step, true, why);
	return 0;
}

/* 0 although a recipient is refused: rcpts says so. */
static int envelope(struct look *l)
{
	const struct probe *probe = l->probe;
	struct outcome *why = &l->found.outcome;

	l->found.step = PROBE_MAIL;
	if (ask(l, "MAIL", probe->sender, "MAIL FROM:", why) < 0)
		return -1;
	l->found.step = PROBE_RCPT;
	for (unsigned i = 0; i < probe->nrecipients; i++) {
		struct outcome *rcpt = &l->found.rcpts[i];

		outcome_ok(rcpt);
		l->found.nrcpts++;
		if (ask(l, "RCPT", probe->recipients[i], "RCPT TO:", rcpt) <
			0 &&
		    (l->dialogue.is_broken || l->dialogue.is_closing)) {
			*why = *rcpt;
			return -1;
		}
	}
	return dialogue_ask(
	    &l->dialogue, "RSET", "RSET", l->waits.envelope, why);
}

static void run(struct look *l)
{
	l->began_ms = now_monotonic_ms();
	outcome_temp(&l->found.outcome, "4.4.1", "not connected");
	if (greet(l) < 0)
		return;
	outcome_ok(&l->found.outcome);
	if (l->probe->may_mail && envelope(l) < 0)
		return;
	l->found.step = PROBE_DONE;
}

/* Whose certificate it is, and until when. */
static void note_certificate(struct look *l, X509 *peer, struct buf *names)
{
	struct tm until;

	tls_names_print(peer, PROBE_NAMES_MAX, names);
	l->found.names = buf_span(names);
	if (ASN1_TIME_to_tm(X509_get0_notAfter(peer), &until) == 1)
		l->found.expires = timegm(&until);
}

static void report(struct look *l, struct buf *out)
{
	struct dialogue *d = &l->dialogue;
	struct buf talk, names;

	buf_init(&talk, PROBE_TALK_MAX);
	buf_init(&names, PROBE_NAMES_MAX);
	if (d->link.peer)
		note_certificate(l, d->link.peer, &names);
	talk_print(&l->talk, &talk);
	l->found.code = d->is_reached ? d->reply.code : 0;
	l->found.address = span_of(d->address);
	l->found.source = span_of(d->source);
	l->found.banner = buf_span(&l->banner);
	l->found.ehlo = buf_span(&l->ehlo);
	l->found.tls = span_of(d->tls_text);
	l->found.tls_result = tls_link_result(&d->link);
	l->found.took_ms = (uint32_t)(now_monotonic_ms() - l->began_ms);
	l->found.talk = buf_span(&talk);
	probed_put(out, &l->found);
	buf_clear(&talk);
	buf_clear(&names);
}

void probe_look(const struct probe *probe, SSL_CTX *tls, struct buf *out)
{
	struct look l = { .probe = probe };

	set_waits(&l);
	dialogue_init(&l.dialogue, &l.waits, tls);
	talk_init(&l.talk);
	buf_init(&l.banner, REPLY_TEXT_MAX + 16);
	buf_init(&l.ehlo, REPLY_TEXT_MAX + 16);
	l.dialogue.session = &probe->session;
	l.dialogue.talk = &l.talk;
	l.dialogue.on_connected = on_connected;
	l.dialogue.on_reply = on_reply;
	l.dialogue.arg = &l;
	run(&l);
	if (l.dialogue.is_open)
		dialogue_quit(&l.dialogue);
	report(&l, out);
	dialogue_clear(&l.dialogue);
	talk_clear(&l.talk);
	buf_clear(&l.banner);
	buf_clear(&l.ehlo);
}
