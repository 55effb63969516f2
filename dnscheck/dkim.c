/* Records of DKIM selectors. RFC 6376 section 3.6.1, RFC 8301, RFC 8463.
 *
 * p= of RSA is a SubjectPublicKeyInfo in DER (RFC 6376 erratum 3017):
 *	SEQUENCE { SEQUENCE { OID rsaEncryption, NULL },
 *	           BIT STRING { SEQUENCE { INTEGER n, INTEGER e } } }
 * p= of Ed25519 is the 32 bytes of the key alone.
 */
#include "dnscheck/dkim.h"

#include "dnscheck/dkim_tags.h"

static int wrong(const char **why, const char *what)
{
	*why = what;
	return -1;
}

/* --- base64 --------------------------------------------------------------- */

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int decode(struct span text, struct dkim_key *key, const char **why)
{
	unsigned bits = 0, nbits = 0, nchars = 0, npads = 0;

	for (size_t i = 0; i < text.n; i++) {
		int value = sextet(text.p[i]);

		if (is_blank(text.p[i]))
			continue;
		nchars++;
		if (text.p[i] == '=' && npads < 2) {
			npads++;
			continue;
		}
		if (value < 0 || npads > 0)
			return wrong(why, "its p= is not base64");
		bits = (bits << 6U | (unsigned)value) & 0xffffU;
		nbits += 6;
		if (nbits < 8)
			continue;
		nbits -= 8;
		if (key->n == sizeof(key->bytes))
			return wrong(why, "its key is too long");
		key->bytes[key->n++] = (unsigned char)(bits >> nbits);
	}
	return nchars % 4 ? wrong(why, "its p= is cut off") : 0;
}

static void encode(const struct dkim_key *key, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				     "opqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < key->n; i += 3) {
		size_t left = key->n - i;
		unsigned v = (unsigned)key->bytes[i] << 16U;

		v |= left > 1 ? (unsigned)key->bytes[i + 1] << 8U : 0;
		v |= left > 2 ? (unsigned)key->bytes[i + 2] : 0;
		buf_putc(out, digits[v >> 18U & 63U]);
		buf_putc(out, digits[v >> 12U & 63U]);
		buf_putc(out, left > 1 ? digits[v >> 6U & 63U] : '=');
		buf_putc(out, left > 2 ? digits[v & 63U] : '=');
	}
}

/* --- DER ------------------------------------------------------------------ */

enum { DER_INTEGER = 2, DER_BITS = 3, DER_SEQUENCE = 0x30 };

/* The contents of the element at the front, which is cut off. -1: another one,
 * or longer than what is there. */
static int der_take(struct span *rest, unsigned char tag, struct span *contents)
{
	const unsigned char *p = (const unsigned char *)rest->p;
	size_t n, head = 2;

	if (rest->n < 2 || p[0] != tag)
		return -1;
	n = p[1];
	if (n >= 0x80) {
		size_t count = n & 0x7fU;

		if (count == 0 || count > 2 || rest->n < 2 + count)
			return -1;
		n = p[2];
		if (count == 2)
			n = n << 8U | p[3];
		head += count;
	}
	if (n > rest->n - head)
		return -1;
	*contents = (struct span){ rest->p + head, n };
	*rest = span_from(*rest, head + n);
	return 0;
}

static unsigned bits_of(struct span integer)
{
	unsigned bits;
	unsigned char top;

	while (integer.n > 0 && integer.p[0] == 0)
		integer = span_from(integer, 1);
	if (integer.n == 0)
		return 0;
	bits = (unsigned)integer.n * 8;
	for (top = (unsigned char)integer.p[0]; !(top & 0x80U); bits--)
		top = (unsigned char)(top << 1U);
	return bits;
}

/* Sets the bits of the modulus. */
static int read_rsa(struct dkim_key *key)
{
	static const char rsa[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
				  "\x05";
	struct span rest = { (const char *)key->bytes, key->n };
	struct span info, algorithm, bits, numbers, modulus, exponent;

	if (der_take(&rest, DER_SEQUENCE, &info) < 0 || rest.n > 0 ||
	    der_take(&info, DER_SEQUENCE, &algorithm) < 0 ||
	    algorithm.n < sizeof(rsa) - 1 ||
	    memcmp(algorithm.p, rsa, sizeof(rsa) - 1) != 0 ||
	    der_take(&info, DER_BITS, &bits) < 0 || info.n > 0 || bits.n == 0 ||
	    bits.p[0] != 0)
		return -1;
	bits = span_from(bits, 1);
	if (der_take(&bits, DER_SEQUENCE, &numbers) < 0 || bits.n > 0 ||
	    der_take(&numbers, DER_INTEGER, &modulus) < 0 ||
	    der_take(&numbers, DER_INTEGER, &exponent) < 0 || numbers.n > 0)
		return -1;
	key->bits = bits_of(modulus);
	return key->bits > 0 && bits_of(exponent) > 0 ? 0 : -1;
}

/* --- the record ----------------------------------------------------------- */

static int read_key(struct span text, struct dkim_key *key, const char **why)
{
	if (decode(text, key, why) < 0)
		return -1;
	if (key->kind == DKIM_ED25519) {
		key->bits = 256;
		return key->n == 32
			   ? 0
			   : wrong(why, "an Ed25519 key has 32 bytes, without "
					"anything around them (RFC 8463)");
	}
	if (read_rsa(key) < 0)
		return wrong(why, "its p= is no RSA public key");
	return 0;
}

static int read_kind(
    const struct tags *tags, struct dkim_key *key, const char **why)
{
	struct span kind = tags_find(tags, "k"), use = tags_find(tags, "s");
	struct span hash = tags_find(tags, "h");

	if (kind.p && span_is_equal_nocase(kind, SPAN_LITERAL("ed25519")))
		key->kind = DKIM_ED25519;
	else if (kind.p && !span_is_equal_nocase(kind, SPAN_LITERAL("rsa")))
		return wrong(why, "its k= is neither rsa nor ed25519");
	if (hash.p && !tags_has_word(hash, ':', "sha256"))
		return wrong(why, "its h= does not allow sha256");
	if (use.p && !tags_has_word(use, ':', "*") &&
	    !tags_has_word(use, ':', "email"))
		return wrong(why, "its s= does not allow e-mail");
	return 0;
}

int dkim_record_parse(
    struct span text, struct dkim_record *record, const char **why)
{
	struct tags tags;
	struct span flags, key;

	*record = (struct dkim_record){ .is_revoked = false };
	if (text.n > DKIM_RECORD_MAX)
		return wrong(why, "it is too long");
	if (tags_parse(text, &tags, why) < 0)
		return -1;
	if (tags_find(&tags, "v").p && !tags_begin(&tags, "v", "DKIM1"))
		return wrong(why, "it does not begin with v=DKIM1");
	if (read_kind(&tags, &record->key, why) < 0)
		return -1;
	flags = tags_find(&tags, "t");
	record->is_testing = tags_has_word(flags, ':', "y");
	record->is_strict = tags_has_word(flags, ':', "s");
	key = tags_find(&tags, "p");
	if (!key.p)
		return wrong(why, "it has no p=");
	record->is_revoked = key.n == 0;
	return record->is_revoked ? 0 : read_key(key, &record->key, why);
}

void dkim_record_print(const struct dkim_key *key, struct buf *out)
{
	buf_printf(out,
	    "v=DKIM1; k=%s; p=", key->kind == DKIM_RSA ? "rsa" : "ed25519");
	encode(key, out);
}

bool dkim_key_is_equal(const struct dkim_key *a, const struct dkim_key *b)
{
	return a->kind == b->kind && a->n == b->n &&
	       memcmp(a->bytes, b->bytes, a->n) == 0;
}
