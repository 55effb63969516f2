/* EXTERNAL (RFC 4422 appendix A): TLS has shown who we are, by the client's
 * certificate; the user's name says as whom. */
#include "remote/sasl.h"

int sasl_external(
    struct sasl *s, struct span challenge, struct buf *out, struct outcome *why)
{
	if (s->step > 0 || challenge.n > 0)
		return sasl_unusable(why, "a challenge that EXTERNAL has not");
	buf_put_raw(out, s->login->user);
	return SASL_OK;
}
