/* OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's and Microsoft's own): a token in
 * place of a password.
 *
 * OAUTHBEARER: "n,a=" user ",^Ahost=" host "^Aport=" port "^Aauth=Bearer "
 * token
 *              "^A^A"
 * XOAUTH2:     "user=" user "^Aauth=Bearer " token "^A^A"
 *
 * A server that refuses says why in a challenge (JSON), which is answered with
 * ^A, or an empty line; then comes the 535.
 */
#include "remote/sasl.h"

enum { STATUS_MAX = 60 };

/* The value of "status" in {"status":"invalid_token",...}; the JSON is not
 * looked at otherwise. */
static struct span find_status(struct span json)
{
	static const char key[] = "\"status\"";
	const char *at = memmem(json.p, json.n, key, sizeof(key) - 1);
	struct span rest;

	if (!at)
		return (struct span){ NULL, 0 };
	rest = span_from(json, (size_t)(at - json.p) + sizeof(key) - 1);
	span_cut(&rest, '"');
	rest = span_cut(&rest, '"');
	return (
	    struct span){ rest.p, rest.n < STATUS_MAX ? rest.n : STATUS_MAX };
}

static int take_error(
    struct sasl *s, struct span json, struct buf *out, const char *answer)
{
	struct span status = json.n ? find_status(json) : json;

	outcome_temp(&s->refusal, "4.7.8", "status %.*s",
	    status.n ? (int)status.n : 7, status.n ? status.p : "unknown");
	buf_puts(out, answer);
	return SASL_OK;
}

static int check(struct sasl *s, struct outcome *why)
{
	struct span token = s->login->secret;

	if (token.n == 0)
		return sasl_unusable(why, "there is no token");
	for (size_t i = 0; i < token.n; i++)
		if (token.p[i] <= ' ' || token.p[i] >= 0x7f)
			return sasl_unusable(
			    why, "the token is not of printable ASCII");
	s->has_sent_secret = true;
	return SASL_OK;
}

int sasl_xoauth2(
    struct sasl *s, struct span challenge, struct buf *out, struct outcome *why)
{
	if (s->step == 1)
		return take_error(s, challenge, out, "");
	if (s->step > 1)
		return sasl_unusable(why, "a third challenge");
	if (check(s, why) < 0)
		return SASL_UNUSABLE;
	buf_puts(out, "user=");
	buf_put_raw(out, s->login->user);
	buf_puts(out, "\001auth=Bearer ");
	buf_put_raw(out, s->login->secret);
	buf_puts(out, "\001\001");
	return SASL_OK;
}

int sasl_oauthbearer(
    struct sasl *s, struct span challenge, struct buf *out, struct outcome *why)
{
	if (s->step == 1)
		return take_error(s, challenge, out, "\001");
	if (s->step > 1)
		return sasl_unusable(why, "a third challenge");
	if (check(s, why) < 0)
		return SASL_UNUSABLE;
	buf_puts(out, "n,a=");
	sasl_put_name(out, s->login->user);
	buf_printf(out, ",\001host=%.*s\001port=%u\001auth=Bearer ",
	    (int)s->host.n, s->host.n ? s->host.p : "", s->port);
	buf_put_raw(out, s->login->secret);
	buf_puts(out, "\001\001");
	return SASL_OK;
}
