/* The mechanisms that show the password to the server: PLAIN (RFC 4616) and
 * LOGIN (draft-murchison-sasl-login, which two prompts describe in full).
 *
 * message = [authzid] NUL authcid NUL passwd
 */
#include "remote/sasl.h"

int sasl_plain(
    struct sasl *s, struct span challenge, struct buf *out, struct outcome *why)
{
	const struct login *login = s->login;

	if (s->step > 0 || challenge.n > 0)
		return sasl_unusable(why, "a challenge that PLAIN has not");
	if (login->secret.n > 0 &&
	    memchr(login->secret.p, '\0', login->secret.n))
		return sasl_unusable(why, "the password has a NUL byte");
	s->has_sent_secret = true;
	buf_putc(out, '\0');
	buf_put_raw(out, login->user);
	buf_putc(out, '\0');
	buf_put_raw(out, login->secret);
	return SASL_OK;
}

/* The prompts are "Username:" and "Password:", in base64 and in the words of
 * each server: only their order counts. */
int sasl_login(
    struct sasl *s, struct span challenge, struct buf *out, struct outcome *why)
{
	(void)challenge;
	if (s->step > 1)
		return sasl_unusable(why, "a third prompt");
	if (s->step == 1)
		s->has_sent_secret = true;
	buf_put_raw(out, s->step == 0 ? s->login->user : s->login->secret);
	return SASL_OK;
}
