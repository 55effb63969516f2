/* The envelope: does the message fit the server; MAIL and RCPT with their
 * parameters (RFC 1870 SIZE, 6152 8BITMIME, 6531 SMTPUTF8, 3461 DSN).
 */
#include "remote/dialogue.h"

#include "common/address.h"

/* RFC 8689 4.2.1: a verified certificate, and a server that goes on so. */
static int fits_requiretls(const struct dialogue *d, struct outcome *why)
{
	if (!d->stream.ssl || d->link.verdict.verified == TLS_VERIFIED_NO)
		return outcome_temp(why, "4.7.5",
		    "the sender requires TLS throughout (REQUIRETLS), and the "
		    "connection to %s is not verified",
		    d->address);
	if (!d->ehlo.has_requiretls)
		return outcome_perm(why, "5.7.30",
		    "the sender requires TLS throughout, which %s does not "
		    "promise (REQUIRETLS)",
		    d->address);
	return 0;
}

int dialogue_fits(
    const struct dialogue *d, struct transaction *t, struct outcome *why)
{
	bool can_bdat = d->ehlo.has_chunking && !d->is_stepwise;

	if (fit_choose(t, &d->ehlo, can_bdat, why) < 0)
		return -1;
	if (d->ehlo.has_size && d->ehlo.size_bytes > 0 &&
	    fit_bytes(t) > d->ehlo.size_bytes)
		return outcome_perm(why, "5.3.4",
		    "the message has %llu bytes, %s takes %llu at most",
		    (unsigned long long)fit_bytes(t), d->address,
		    (unsigned long long)d->ehlo.size_bytes);
	return t->job.requiretls ? fits_requiretls(d, why) : 0;
}

/* Nothing that could end the path or the command. */
static bool is_sendable(struct span text)
{
	int quoted = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		if (quoted && c == '\\') {
			if (++i >= text.n || (unsigned char)text.p[i] < 0x20)
				return false;
			continue;
		}
		if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ' ' || c == '<' || c == '>'))
			return false;
	}
	return !quoted;
}

static bool is_ascii(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7f)
			return false;
	return true;
}

/* Where SMTPUTF8 lacks, a domain goes as A-labels; a local part beyond ASCII
 * has no other form (RFC 6531 3.3). UTF-8 in headers alone goes as 8-bit text,
 * as mailers have always sent it. */
static int put_address(const struct dialogue *d, struct span address,
    struct buf *out, struct outcome *why)
{
	struct address parsed;

	if (d->ehlo.has_smtputf8 || is_ascii(address)) {
		buf_put_raw(out, address);
		return 0;
	}
	if (address_parse(address, &parsed, why) < 0)
		return -1;
	if (!is_ascii(parsed.local))
		return outcome_perm(why, "5.6.7",
		    "an address is not ASCII, %s does not take that",
		    d->address);
	buf_put_raw(out, parsed.local);
	buf_putc(out, '@');
	return domain_to_ascii(parsed.domain, out, why);
}

/* xtext (RFC 3461 section 4): "+" and "=" and what is not printable as +HH. */
static void put_xtext(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c > 0x20 && c < 0x7f && c != '+' && c != '=')
			buf_putc(out, (char)c);
		else
			buf_printf(out, "+%02X", c);
	}
}

static void put_mail_dsn(const struct transaction *t, struct buf *out)
{
	if (t->job.ret == RET_FULL)
		buf_puts(out, " RET=FULL");
	if (t->job.ret == RET_HDRS)
		buf_puts(out, " RET=HDRS");
	/* RFC 3461 4.4: at most 100 characters */
	if (t->job.envid.n > 0 && t->job.envid.n <= 100) {
		buf_puts(out, " ENVID=");
		put_xtext(out, t->job.envid);
	}
}

int dialogue_put_mail(const struct dialogue *d, const struct transaction *t,
    struct buf *out, struct outcome *why)
{
	if (!is_sendable(t->job.sender))
		return outcome_perm(
		    why, "5.1.7", "the sender's address cannot be sent");
	buf_puts(out, "MAIL FROM:<");
	if (put_address(d, t->job.sender, out, why) < 0)
		return -1;
	buf_putc(out, '>');
	if (d->ehlo.has_size)
		buf_printf(out, " SIZE=%llu", (unsigned long long)fit_bytes(t));
	if (fit_body(t) == BODY_BINARY)
		buf_puts(out, " BODY=BINARYMIME");
	else if (fit_body(t) == BODY_8BIT)
		buf_puts(out, " BODY=8BITMIME");
	if (t->job.smtputf8 && d->ehlo.has_smtputf8)
		buf_puts(out, " SMTPUTF8");
	if (t->job.requiretls)
		buf_puts(out, " REQUIRETLS");
	if (d->ehlo.has_dsn)
		put_mail_dsn(t, out);
	buf_puts(out, "\r\n");
	return 0;
}

static void put_notify(uint8_t notify, struct buf *out)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} words[] = { { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" } };
	const char *before = " NOTIFY=";

	if (notify & NOTIFY_NEVER) {
		buf_puts(out, " NOTIFY=NEVER");
		return;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (notify & words[i].bit) {
			buf_puts(out, before);
			buf_puts(out, words[i].word);
			before = ",";
		}
}

/* "rfc822;user@example" -> " ORCPT=rfc822;" xtext. RFC 3461 4.2: at most 500
 * characters; what is no address type or not ASCII is left out. */
static void put_orcpt(struct span orcpt, struct buf *out)
{
	struct span type;
	size_t before = out->len;

	type = span_cut(&orcpt, ';');
	if (type.n == 0 || orcpt.n == 0)
		return;
	for (size_t i = 0; i < type.n; i++)
		if (type.p[i] <= ' ' || type.p[i] == '=' || type.p[i] == 0x7f)
			return;
	for (size_t i = 0; i < orcpt.n; i++)
		if ((unsigned char)orcpt.p[i] >= 0x80)
			return;
	buf_puts(out, " ORCPT=");
	buf_put_raw(out, type);
	buf_putc(out, ';');
	put_xtext(out, orcpt);
	if (!out->overflow && out->len - before > 7 + 500)
		out->len = before;
}

int dialogue_put_rcpt(const struct dialogue *d, const struct transaction *t,
    size_t i, struct buf *out, struct outcome *why)
{
	const struct job_recipient *rcpt = &t->job.recipients[i];

	if (rcpt->address.n == 0 || !is_sendable(rcpt->address))
		return outcome_perm(
		    why, "5.1.3", "the recipient's address cannot be sent");
	buf_puts(out, "RCPT TO:<");
	if (put_address(d, rcpt->address, out, why) < 0)
		return -1;
	buf_putc(out, '>');
	if (d->ehlo.has_dsn) {
		put_notify(rcpt->notify, out);
		put_orcpt(rcpt->orcpt, out);
	}
	buf_puts(out, "\r\n");
	return 0;
}
