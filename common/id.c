/* Message ids. */
#include "common/id.h"

#include <ctype.h>

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

uint64_t id_next(uint64_t last, uint64_t utc_us)
{
	uint64_t from_clock = utc_us << 12;

	return from_clock > last ? from_clock : last + 1;
}

void id_print(uint64_t id, char text[ID_TEXT_BYTES])
{
	for (int i = ID_TEXT_BYTES - 2; i >= 0; i--) {
		text[i] = digits[id & 31];
		id >>= 5;
	}
	text[ID_TEXT_BYTES - 1] = '\0';
}

static int digit_value(char c)
{
	const char *at;

	c = (char)toupper((unsigned char)c);
	if (c == 'I' || c == 'L')
		return 1;
	if (c == 'O')
		return 0;
	at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

int id_parse(struct span text, uint64_t *id)
{
	uint64_t value = 0;

	if (text.n != ID_TEXT_BYTES - 1)
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		int digit = digit_value(text.p[i]);

		/* 13 digits hold 65 bits: the first has room for four. */
		if (digit < 0 || (i == 0 && digit > 15))
			return -1;
		value = value << 5 | (uint64_t)digit;
	}
	*id = value;
	return 0;
}

const char *id_text(uint64_t id)
{
	static char ring[8][ID_TEXT_BYTES];
	static unsigned at;
	char *text = ring[at++ % 8];

	id_print(id, text);
	return text;
}
