/* Base64 (RFC 4648 section 4), as SASL in SMTP has it: strict, in one line. */
#include "remote/sasl.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *out, struct span bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p;

	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t left = bytes.n - i;
		unsigned v = (unsigned)p[i] << 16;

		if (left > 1)
			v |= (unsigned)p[i + 1] << 8;
		if (left > 2)
			v |= p[i + 2];
		buf_putc(out, alphabet[v >> 18]);
		buf_putc(out, alphabet[v >> 12 & 63]);
		buf_putc(out, left > 1 ? alphabet[v >> 6 & 63] : '=');
		buf_putc(out, left > 2 ? alphabet[v & 63] : '=');
	}
}

static int value_of(char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* Four characters, the last of a text may end in one or two "=". */
static int get_group(struct buf *out, const char *p, bool is_last)
{
	unsigned v = 0;
	int n = 4;

	if (is_last && p[3] == '=')
		n = p[2] == '=' ? 2 : 3;
	for (int i = 0; i < 4; i++) {
		int digit = i < n ? value_of(p[i]) : 0;

		if (digit < 0)
			return -1;
		v = v << 6 | (unsigned)digit;
	}
	if ((n == 2 && v & 0xffff) || (n == 3 && v & 0xff))
		return -1; /* bits that nobody asked for */
	buf_putc(out, (char)(v >> 16));
	if (n > 2)
		buf_putc(out, (char)(v >> 8 & 0xff));
	if (n > 3)
		buf_putc(out, (char)(v & 0xff));
	return 0;
}

int base64_get(struct buf *out, struct span text)
{
	if (text.n % 4 != 0)
		return -1;
	for (size_t i = 0; i < text.n; i += 4)
		if (get_group(out, text.p + i, i + 4 == text.n) < 0)
			return -1;
	return out->overflow ? -1 : 0;
}
