/* SCRAM-SHA-1 and -256, with and without -PLUS (RFC 5802, 7677).
 *
 * gs2-header   = ("p=" cb-name / "n" / "y") "," ","
 * client-first = gs2-header "n=" saslname ",r=" c-nonce
 * server-first = "r=" c-nonce s-nonce ",s=" base64-salt ",i=" iterations
 *                ["," extensions]
 * client-final = "c=" base64(gs2-header cb-data) ",r=" nonce ",p=" base64-proof
 * server-final = ("e=" error / "v=" base64-signature) ["," extensions]
 *
 * AuthMessage  = client-first without its header "," server-first ","
 *                client-final without its proof
 *
 * Names and passwords of ASCII are what SASLprep (RFC 4013) leaves as they are.
 * Others are sent as they stand in the configuration: outpost.conf(5) says so.
 */
#include "remote/sasl.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { SALT_MAX = 256, HASH_MAX = 32 };

struct keys {
	unsigned char client[HASH_MAX], stored[HASH_MAX], server[HASH_MAX];
};

struct first { /* the server's */
	struct span nonce;
	unsigned char salt[SALT_MAX];
	size_t salt_n;
	unsigned iterations;
};

static bool is_plus(const struct sasl *s)
{
	return s->id == SASL_SCRAM_SHA256_PLUS || s->id == SASL_SCRAM_SHA1_PLUS;
}

static const EVP_MD *hash_of(const struct sasl *s)
{
	return s->id == SASL_SCRAM_SHA1 || s->id == SASL_SCRAM_SHA1_PLUS
		   ? EVP_sha1()
		   : EVP_sha256();
}

static void put_header(const struct sasl *s, struct buf *out)
{
	if (is_plus(s))
		buf_printf(out, "p=%s,,", s->binding->type);
	else
		buf_puts(out, s->is_plus_known ? "y,," : "n,,");
}

static int say_first(struct sasl *s, struct buf *out)
{
	buf_puts(&s->kept, "n=");
	sasl_put_name(&s->kept, s->login->user);
	buf_printf(&s->kept, ",r=%s", s->nonce);
	put_header(s, out);
	buf_put_raw(out, buf_span(&s->kept));
	return SASL_OK;
}

/* "x=value": the value, or an empty span. */
static struct span take(struct span *rest, const char *name)
{
	struct span item = span_cut(rest, ',');

	if (!span_has_prefix_nocase(item, name) || item.p[0] != name[0])
		return (struct span){ NULL, 0 };
	return span_from(item, 2);
}

static bool is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '!' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

static int read_salt(struct span text, struct first *first)
{
	struct buf salt;
	int status;

	buf_init(&salt, SALT_MAX);
	status = base64_get(&salt, text);
	if (status == 0 && salt.len > 0) {
		memcpy(first->salt, salt.data, salt.len);
		first->salt_n = salt.len;
	}
	buf_clear(&salt);
	return status < 0 || first->salt_n == 0 ? -1 : 0;
}

static int read_first(const struct sasl *s, struct span text,
    struct first *first, struct outcome *why)
{
	size_t own = strlen(s->nonce);
	uint64_t iterations;

	first->nonce = take(&text, "r=");
	if (!is_printable(first->nonce) || first->nonce.n <= own ||
	    memcmp(first->nonce.p, s->nonce, own) != 0)
		return sasl_unusable(why, "the challenge is not for us");
	if (read_salt(take(&text, "s="), first) < 0)
		return sasl_unusable(why, "the challenge has no usable salt");
	if (span_to_u64(take(&text, "i="), UINT32_MAX, &iterations) < 0 ||
	    iterations < SASL_ITERATIONS_MIN ||
	    iterations > SASL_ITERATIONS_MAX)
		return sasl_unusable(why,
		    "the challenge's iteration count is not from 4096 to "
		    "1000000");
	first->iterations = (unsigned)iterations;
	return SASL_OK;
}

static int sign(const EVP_MD *hash, const unsigned char *key, struct span text,
    unsigned char *to)
{
	unsigned n;

	return HMAC(hash, key, EVP_MD_get_size(hash),
		   (const unsigned char *)text.p, text.n, to, &n)
		   ? 0
		   : -1;
}

/* SaltedPassword := Hi(password, salt, i); ClientKey := HMAC(SaltedPassword,
 * "Client Key"); StoredKey := H(ClientKey); ServerKey likewise. */
static int make_keys(
    const struct sasl *s, const struct first *first, struct keys *keys)
{
	const EVP_MD *hash = hash_of(s);
	struct span password = s->login->secret;
	unsigned char salted[HASH_MAX];
	int status = -1;

	if (PKCS5_PBKDF2_HMAC(password.n ? password.p : "", (int)password.n,
		first->salt, (int)first->salt_n, (int)first->iterations, hash,
		EVP_MD_get_size(hash), salted) == 1 &&
	    sign(hash, salted, SPAN_LITERAL("Client Key"), keys->client) == 0 &&
	    sign(hash, salted, SPAN_LITERAL("Server Key"), keys->server) == 0 &&
	    EVP_Digest(keys->client, (size_t)EVP_MD_get_size(hash),
		keys->stored, NULL, hash, NULL) == 1)
		status = 0;
	explicit_bzero(salted, sizeof(salted));
	return status;
}

/* "c=...,r=..." */
static void put_binding(
    const struct sasl *s, struct span nonce, struct buf *out)
{
	struct buf bound;

	buf_init(&bound, 256);
	put_header(s, &bound);
	if (is_plus(s))
		buf_put(&bound, s->binding->data, s->binding->n);
	buf_puts(out, "c=");
	base64_put(out, buf_span(&bound));
	buf_puts(out, ",r=");
	buf_put_raw(out, nonce);
	buf_clear(&bound);
}

static int put_proof(struct sasl *s, const struct keys *keys, struct buf *out)
{
	const EVP_MD *hash = hash_of(s);
	size_t n = (size_t)EVP_MD_get_size(hash);
	struct span message = buf_span(&s->kept);
	unsigned char proof[HASH_MAX];

	if (s->kept.overflow || sign(hash, keys->stored, message, proof) < 0 ||
	    sign(hash, keys->server, message, s->signature) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		proof[i] ^= keys->client[i];
	buf_puts(out, ",p=");
	base64_put(out, (struct span){ (char *)proof, n });
	return 0;
}

static int say_final(
    struct sasl *s, struct span challenge, struct buf *out, struct outcome *why)
{
	struct first first = { .salt_n = 0 };
	struct keys keys;
	size_t before = out->len;
	int status;

	if (read_first(s, challenge, &first, why) < 0)
		return SASL_UNUSABLE;
	status = make_keys(s, &first, &keys);
	put_binding(s, first.nonce, out);
	buf_putc(&s->kept, ',');
	buf_put_raw(&s->kept, challenge);
	buf_putc(&s->kept, ',');
	buf_put_raw(&s->kept, span_from(buf_span(out), before));
	if (status == 0)
		status = put_proof(s, &keys, out);
	explicit_bzero(&keys, sizeof(keys));
	if (status < 0)
		return sasl_unusable(why, "the proof cannot be made");
	s->has_sent_secret = true;
	return SASL_OK;
}

/* Errors of RFC 5802 section 7 that say nothing of the password. */
static bool is_about_binding(struct span error)
{
	return span_is_equal(
		   error, SPAN_LITERAL("unsupported-channel-binding-type")) ||
	       span_is_equal(
		   error, SPAN_LITERAL("channel-binding-not-supported"));
}

static int check_final(
    struct sasl *s, struct span challenge, struct outcome *why)
{
	size_t n = (size_t)EVP_MD_get_size(hash_of(s));
	struct span rest = challenge, error = take(&rest, "e=");
	struct buf signature;

	if (error.n > 0) {
		outcome_temp(why, "4.7.8", "the server says %.*s",
		    (int)(error.n < 60 ? error.n : 60), error.p);
		return is_about_binding(error) ? SASL_UNUSABLE : SASL_STOP;
	}
	rest = challenge;
	buf_init(&signature, 64);
	s->is_proven = base64_get(&signature, take(&rest, "v=")) == 0 &&
		       signature.len == n &&
		       CRYPTO_memcmp(signature.data, s->signature, n) == 0;
	buf_clear(&signature);
	if (s->is_proven)
		return SASL_OK;
	outcome_temp(why, "4.7.0",
	    "the server did not prove that it knows the password");
	return SASL_STOP;
}

int sasl_scram(
    struct sasl *s, struct span challenge, struct buf *out, struct outcome *why)
{
	switch (s->step) {
	case 0:
		if (challenge.n > 0)
			break;
		return say_first(s, out);
	case 1:
		return say_final(s, challenge, out, why);
	case 2:
		return check_final(s, challenge, why);
	}
	return sasl_unusable(why, "a challenge that SCRAM has not");
}
