/* CRAM-MD5 (RFC 2195): user SP hex(HMAC-MD5(password, challenge)). */
#include "remote/sasl.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

static int make_digest(struct span key, struct span text, unsigned char *digest)
{
	unsigned n = 0;

	return HMAC(EVP_md5(), key.n ? key.p : "", (int)key.n,
		   (const unsigned char *)text.p, text.n, digest, &n) &&
		       n == 16
		   ? 0
		   : -1;
}

int sasl_cram_md5(
    struct sasl *s, struct span challenge, struct buf *out, struct outcome *why)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (s->step > 0)
		return sasl_unusable(why, "a second challenge");
	if (challenge.n == 0)
		return sasl_unusable(why, "an empty challenge");
	if (make_digest(s->login->secret, challenge, digest) < 0)
		return sasl_unusable(why, "MD5 is not available");
	s->has_sent_secret = true;
	buf_put_raw(out, s->login->user);
	buf_putc(out, ' ');
	for (int i = 0; i < 16; i++)
		buf_printf(out, "%02x", digest[i]);
	return SASL_OK;
}
