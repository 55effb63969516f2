/* MAIL and RCPT: the envelope of the SMTP session. */
#include "inject/session_parts.h"

#include "common/address.h"
#include "common/policy.h"

#include <stdlib.h>

static const struct answer nested = { 503, "5.5.1",
	"a sender was given already; RSET forgets it" };
static const struct answer too_big = { 552, "5.3.4",
	"the message is larger than SIZE allows" };
static const struct answer needs_utf8 = { 553, "5.6.7",
	"an address beyond ASCII needs SMTPUTF8" };
static const struct answer needs_tls = { 501, "5.5.4",
	"REQUIRETLS needs TLS: STARTTLS first" };
static const struct answer held_too_long = { 501, "5.5.4",
	"HOLDUNTIL lies too far ahead, see FUTURERELEASE" };
static const struct answer sender_first = { 503, "5.5.1",
	"MAIL comes before RCPT" };
static const struct answer no_relay = { 550, "5.7.1",
	"relaying is not allowed from your address" };
static const struct answer too_many = { 452, "4.5.3",
	"too many recipients; send to these, then to the others" };
static const struct answer far_too_many = { 421, "4.5.3",
	"far too many recipients" };
static const struct answer no_recipient = { 550, "5.1.3",
	"a recipient cannot be empty" };
static const struct answer sender_ok = { 250, "2.1.0", "sender ok" };
static const struct answer recipient_ok = { 250, "2.1.5", "recipient ok" };

/* Refused with the parser's own words, made ASCII by smtp_say_outcome. */
static void refuse_by(struct smtp_session *s, const struct outcome *why,
    uint16_t code, const char *status)
{
	char text[sizeof(why->detail)];
	size_t n = 0;

	for (; n + 1 < sizeof(text) && why->detail[n]; n++)
		text[n] = (why->detail[n] & 0x80) ? '?' : why->detail[n];
	text[n] = '\0';
	smtp_refuse(s, &(struct answer){ code, status, text });
}

static void refuse_address(
    struct smtp_session *s, const struct outcome *why, const char *status)
{
	refuse_by(s, why, 553, status);
}

/* A name without a domain becomes one of ours where that is wanted. */
static struct span put_address(
    struct buf *text, struct span path, const char *domain)
{
	size_t from = text->len;

	buf_put_raw(text, path);
	if (path.n > 0 && span_find(path, '@') < 0 && domain) {
		buf_putc(text, '@');
		buf_puts(text, domain);
	}
	if (text->overflow)
		return (struct span){ NULL, 0 };
	return (struct span){ text->data + from, text->len - from };
}

static int check_sender(
    struct smtp_session *s, struct span sender, const struct mail_parameters *p)
{
	struct address a;
	struct outcome why;

	if (p->has_size && p->size > s->settings->message_size) {
		smtp_refuse(s, &too_big);
		return -1;
	}
	if (p->requires_tls && !s->is_tls) {
		smtp_refuse(s, &needs_tls);
		return -1;
	}
	if (sender.n == 0)
		return 0;
	if (address_parse(sender, &a, &why) < 0) {
		refuse_address(s, &why, "5.1.7");
		return -1;
	}
	if (a.is_utf8 && !p->is_utf8) {
		smtp_refuse(s, &needs_utf8);
		return -1;
	}
	return 0;
}

static int take_sender(struct smtp_session *s, const struct command *c)
{
	struct transaction *t = &s->t;
	struct mail_parameters p;
	struct answer why;
	uint64_t now = (uint64_t)s->now_utc;
	size_t bytes =
	    put_address(&t->text, c->path, s->settings->sender_domain).n;

	if (mail_parameters(c, &p, &t->text, &why) < 0) {
		smtp_refuse(s, &why);
		return -1;
	}
	if (check_sender(s, (struct span){ t->text.data, bytes }, &p) < 0)
		return -1;
	if (p.hold_until > now + HOLD_MAX_S) {
		smtp_refuse(s, &held_too_long);
		return -1;
	}
	t->has_sender = true;
	t->is_utf8 = p.is_utf8;
	t->requires_tls = p.requires_tls;
	t->hold_until = p.hold_s ? now + p.hold_s : p.hold_until;
	t->expires_at = p.by_s ? now + p.by_s : 0;
	t->body = p.body;
	t->ret = p.ret;
	t->priority = p.priority;
	t->sender_bytes = bytes;
	t->envid = bytes;
	t->envid_bytes = p.envid_bytes;
	return 0;
}

void smtp_mail(struct smtp_session *s, const struct command *c)
{
	s->lacks_queue = !s->hooks->has_queue(s->arg);
	if (s->t.has_sender) {
		smtp_refuse(s, &nested);
	} else if (s->lacks_queue) {
		smtp_say(s, &smtp_no_queue);
	} else if (take_sender(s, c) < 0) {
		s->must_reset = true;
	} else {
		smtp_say(s, &sender_ok);
	}
}

/* --- RCPT
 * -------------------------------------------------------------------*/

static struct rcpt *add_rcpt(struct transaction *t)
{
	if (t->nrcpts == t->room) {
		size_t room = t->room ? t->room * 2 : 4;
		struct rcpt *grown =
		    reallocarray(t->rcpts, room, sizeof(*grown));

		if (!grown)
			return NULL;
		t->rcpts = grown;
		t->room = room;
	}
	return &t->rcpts[t->nrcpts];
}

/* The queue would refuse the whole message for one domain without a key. */
static int check_recipient(struct smtp_session *s, struct span address)
{
	const struct policy_sender sender = { .address = { s->t.text.data,
						  s->t.sender_bytes },
		.uid = s->client.uid };
	struct buf key;
	struct address a;
	struct outcome why;
	int status;

	if (address_parse(address, &a, &why) < 0) {
		refuse_address(s, &why, "5.1.3");
		return -1;
	}
	if (a.is_utf8 && !s->t.is_utf8) {
		smtp_refuse(s, &needs_utf8);
		return -1;
	}
	if (s->settings->conf &&
	    policy_may_send(s->settings->conf, &sender, address, &why) < 0) {
		refuse_by(s, &why, 550, why.status);
		return -1;
	}
	buf_init(&key, ADDRESS_MAX);
	status = address_domain_key(&a, &key, &why);
	buf_clear(&key);
	if (status < 0)
		refuse_address(s, &why, "5.1.3");
	return status;
}

/* On failure what was put into the text is left to the caller. */
static int take_recipient(struct smtp_session *s, const struct command *c)
{
	struct transaction *t = &s->t;
	struct rcpt_parameters p;
	struct answer why = too_many;
	bool is_postmaster =
	    span_is_equal_nocase(c->path, SPAN_LITERAL("postmaster"));
	size_t from = t->text.len;
	struct span address = put_address(
	    &t->text, c->path, is_postmaster ? s->settings->localname : NULL);
	struct rcpt *r = add_rcpt(t);

	if (!t->text.overflow && check_recipient(s, address) < 0)
		return -1;
	if (!t->text.overflow &&
	    rcpt_parameters(c, t->is_utf8, &p, &t->text, &why) < 0) {
		smtp_refuse(s, &why);
		return -1;
	}
	if (t->text.overflow || !r) {
		smtp_say(s, &too_many);
		return -1;
	}
	*r = (struct rcpt){ .address = (uint32_t)from,
		.address_bytes = (uint16_t)address.n,
		.orcpt = (uint32_t)(from + address.n),
		.orcpt_bytes = (uint16_t)p.orcpt_bytes,
		.notify = p.notify };
	t->nrcpts++;
	return 0;
}

/* RFC 5321 4.5.3.1.10: 452, and clients then send in turns. */
static void refuse_excess(struct smtp_session *s)
{
	if (++s->t.excess_rcpts > s->settings->recipients * 10u)
		smtp_cut(s, &far_too_many);
	else
		smtp_say(s, &too_many);
}

void smtp_rcpt(struct smtp_session *s, const struct command *c)
{
	struct transaction *t = &s->t;
	size_t before = t->text.len;

	if (!t->has_sender || t->is_chunked) {
		smtp_refuse_order(s, &sender_first);
	} else if (!s->client.may_relay) {
		t->refused_rcpts++;
		smtp_refuse(s, &no_relay);
	} else if (t->nrcpts >= s->settings->recipients) {
		refuse_excess(s);
	} else if (c->path.n == 0) {
		t->refused_rcpts++;
		smtp_refuse(s, &no_recipient);
	} else if (take_recipient(s, c) < 0) {
		t->refused_rcpts++;
		t->text.len = before;
		t->text.overflow = false;
	} else {
		smtp_say(s, &recipient_ok);
	}
}
