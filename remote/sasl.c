/* The table of mechanisms, and what they share. */
#include "remote/sasl.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

enum needs {
	NEEDS_PASSWORD = 1,
	NEEDS_TOKEN = 2,
	NEEDS_CERTIFICATE = 4,
	NEEDS_BINDING = 8,
};

static const struct mechanism {
	const char *name;
	unsigned needs;
	bool has_initial;
	int (*respond)(
	    struct sasl *, struct span, struct buf *, struct outcome *);
} mechanisms[SASL_COUNT] = {
	[SASL_EXTERNAL] = { "EXTERNAL", NEEDS_CERTIFICATE, true,
	    sasl_external },
	[SASL_SCRAM_SHA256_PLUS] = { "SCRAM-SHA-256-PLUS",
	    NEEDS_PASSWORD | NEEDS_BINDING, true, sasl_scram },
	[SASL_SCRAM_SHA256] = { "SCRAM-SHA-256", NEEDS_PASSWORD, true,
	    sasl_scram },
	[SASL_SCRAM_SHA1_PLUS] = { "SCRAM-SHA-1-PLUS",
	    NEEDS_PASSWORD | NEEDS_BINDING, true, sasl_scram },
	[SASL_SCRAM_SHA1] = { "SCRAM-SHA-1", NEEDS_PASSWORD, true, sasl_scram },
	[SASL_CRAM_MD5] = { "CRAM-MD5", NEEDS_PASSWORD, false, sasl_cram_md5 },
	[SASL_OAUTHBEARER] = { "OAUTHBEARER", NEEDS_TOKEN, true,
	    sasl_oauthbearer },
	[SASL_XOAUTH2] = { "XOAUTH2", NEEDS_TOKEN, true, sasl_xoauth2 },
	[SASL_PLAIN] = { "PLAIN", NEEDS_PASSWORD, true, sasl_plain },
	[SASL_LOGIN] = { "LOGIN", NEEDS_PASSWORD, false, sasl_login },
};

const char *sasl_name(enum sasl_id id)
{
	return mechanisms[id].name;
}

int sasl_named(struct span name)
{
	for (int i = 0; i < SASL_COUNT; i++)
		if (span_is_equal_nocase(name, span_of(mechanisms[i].name)))
			return i;
	return -1;
}

bool sasl_has_initial(enum sasl_id id)
{
	return mechanisms[id].has_initial;
}

/* A user without a password has an empty one, unless a certificate speaks for
 * him. */
bool sasl_is_usable(
    enum sasl_id id, const struct login *login, const struct sasl_binding *b)
{
	unsigned needs = mechanisms[id].needs;

	if (needs & NEEDS_CERTIFICATE && login->certificate.n == 0)
		return false;
	if (needs & NEEDS_BINDING && !b->type)
		return false;
	if (needs & NEEDS_TOKEN)
		return login->is_token && login->user.n > 0;
	if (needs & NEEDS_PASSWORD)
		return !login->is_token && login->user.n > 0 &&
		       (login->secret.n > 0 || login->certificate.n == 0);
	return true;
}

/* Printable and without commas: RFC 5802 section 7. */
static int make_nonce(char nonce[SASL_NONCE_MAX])
{
	unsigned char bytes[18];
	struct buf text;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return -1;
	buf_init(&text, SASL_NONCE_MAX);
	base64_put(&text, (struct span){ (char *)bytes, sizeof(bytes) });
	snprintf(nonce, SASL_NONCE_MAX, "%s", buf_text(&text));
	buf_clear(&text);
	return 0;
}

int sasl_init(struct sasl *s, enum sasl_id id)
{
	s->id = id;
	s->is_proven = mechanisms[id].respond != sasl_scram;
	buf_init(&s->kept, 2 * SASL_CHALLENGE_MAX);
	return s->nonce[0] ? 0 : make_nonce(s->nonce);
}

void sasl_clear(struct sasl *s)
{
	sasl_wipe(&s->kept);
	explicit_bzero(s->signature, sizeof(s->signature));
}

int sasl_respond(
    struct sasl *s, struct span challenge, struct buf *out, struct outcome *why)
{
	int status = mechanisms[s->id].respond(s, challenge, out, why);

	s->step++;
	if (status == SASL_OK && out->overflow)
		return sasl_unusable(why, "the answer is too long");
	return status;
}

void sasl_put_name(struct buf *out, struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '=')
			buf_puts(out, "=3D");
		else if (name.p[i] == ',')
			buf_puts(out, "=2C");
		else
			buf_putc(out, name.p[i]);
}

int sasl_unusable(struct outcome *why, const char *what)
{
	outcome_temp(why, "4.7.0", "%s", what);
	return SASL_UNUSABLE;
}

void sasl_wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_clear(b);
}
