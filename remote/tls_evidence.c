/* What an attempt's record says of TLS. */
#include "remote/tls_evidence.h"

#include "remote/tls_dane.h"
#include "remote/tls_names.h"

#include <stdio.h>

enum { EVIDENCE_MAX = 4096, ANSWERS_MAX = 240 };

static void put_certificate(
    X509 *peer, const struct tls_link *l, struct buf *out)
{
	struct span names[4] = { l->host->name };
	size_t n = 1;
	char print[TLS_FINGERPRINT_BYTES];
	bool is_dane = l->demand.check == TLS_CHECK_DANE;

	for (unsigned i = 0; is_dane && i < l->host->policy.nnames && n < 4;
	     i++)
		names[n++] = l->host->policy.names[i];
	buf_puts(out, " name=");
	tls_names_print_one(
	    peer, names, n, is_dane ? TLS_NAMES_MAY_CN : 0, out);
	tls_names_fingerprint(peer, print);
	buf_printf(out, " sha256=%s", print);
}

/* Printable, in quotes. */
static void put_answers(struct span answers, struct buf *out)
{
	if (answers.n == 0)
		return;
	buf_puts(out, " answers=\"");
	for (size_t i = 0; i < answers.n && i < ANSWERS_MAX; i++) {
		char c = answers.p[i];

		buf_putc(
		    out, c < ' ' || c > '~' || c == '"' || c == '\\' ? '?' : c);
	}
	buf_puts(out, "\"");
}

static void put_shadow(const struct tls_link *l, struct buf *out)
{
	if (!l->demand.is_shadow)
		return;
	buf_printf(out, " shadow=%s", tls_policy_word(l->host->policy.kind));
	if (l->shadow.result != TLS_RESULT_OK)
		buf_printf(
		    out, " would-fail=%s", tls_result_name(l->shadow.result));
}

void tls_evidence_print(
    const struct stream *s, const struct tls_link *l, char *text, size_t size)
{
	struct buf out;

	text[0] = '\0';
	if (!s->ssl || !l->peer)
		return;
	buf_init(&out, EVIDENCE_MAX);
	buf_printf(&out, "%s %s policy=%s", SSL_get_version(s->ssl),
	    SSL_get_cipher_name(s->ssl), tls_demand_word(&l->demand));
	put_shadow(l, &out);
	buf_printf(
	    &out, " verified=%s", tls_verified_word(l->verdict.verified));
	if (l->verdict.result != TLS_RESULT_OK)
		buf_printf(
		    &out, " failed=%s", tls_result_name(l->verdict.result));
	put_certificate(l->peer, l, &out);
	if (l->is_resumed)
		buf_puts(&out, " resumed=yes");
	if (l->demand.policy != TLS_POLICY_NONE || l->demand.is_shadow)
		put_answers(l->host->policy.evidence, &out);
	snprintf(text, size, "%s", buf_text(&out));
	buf_clear(&out);
}

void tls_evidence_clear_text(const char *reason, char *text, size_t size)
{
	snprintf(text, size, "clear: %s", reason);
}
