/* The trace header (RFC 5321 section 4.4):
 *
 *     Received: from HELO ([192.0.2.1])
 *             by LOCALNAME with ESMTPS id ID;
 *             Sun, 22 Nov 2026 02:34:24 +0000
 */
#include "inject/session_parts.h"

#include "common/date.h"

/* RFC 3848, RFC 6531 section 4.3. */
static const char *protocol(const struct smtp_session *s)
{
	if (s->t.is_utf8)
		return s->is_tls ? "UTF8SMTPS" : "UTF8SMTP";
	if (!s->is_esmtp)
		return "SMTP";
	return s->is_tls ? "ESMTPS" : "ESMTP";
}

/* Names and literals as they are; whatever else a client says, harmless. */
static void put_name(struct buf *out, const char *name)
{
	for (; *name; name++) {
		char c = *name;
		bool is_plain = (c >= 'a' && c <= 'z') ||
				(c >= 'A' && c <= 'Z') ||
				(c >= '0' && c <= '9') || strchr("-._:[]", c);

		buf_putc(out, is_plain ? c : '?');
	}
}

static void put_client(struct buf *out, const struct smtp_client *client)
{
	if (!client->address)
		buf_printf(out, " (uid %u)", client->uid);
	else if (strchr(client->address, ':'))
		buf_printf(out, " ([IPv6:%s])", client->address);
	else
		buf_printf(out, " ([%s])", client->address);
}

size_t smtp_trace(const struct smtp_session *s, struct buf *out)
{
	char date[DATE_TEXT_BYTES];
	size_t head;

	buf_puts(out, "Received: from ");
	put_name(out, s->helo);
	put_client(out, &s->client);
	buf_printf(out, "\r\n\tby %s with %s id ", s->settings->localname,
	    protocol(s));
	head = out->len;
	buf_puts(out, ";\r\n\t");
	date_print(s->now_utc, date);
	buf_puts(out, date);
	return head;
}
