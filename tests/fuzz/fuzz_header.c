/* Standard input to header: the input rule, the header parser and header
 * completion, fed in pieces. The first byte chooses the size of the pieces. */
#include "inject/complete.h"
#include "inject/textin.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void complete(const struct header *h, bool has_defaults)
{
	struct conf conf = { .localname = (char *)"mail.example.com" };
	struct author author = { .address = SPAN_LITERAL("a@example.com"),
		.gecos_name = SPAN_LITERAL("A, B") };
	struct header again;
	struct buf out;

	if (has_defaults) {
		conf.defaults.sender_name = (char *)"Example";
		conf.defaults.reply_to = (char *)"b@example.com";
	}
	buf_init(&out, 8 * HEADER_MAX);
	header_init(&again);
	if (complete_header(h, &conf, SPAN_LITERAL("example.com"), &author,
		"Mon, 1 Jan 2024 00:00:00 +0000", "u", &out, NULL) < 0)
		abort();
	/* What was made is a header from end to end, without secrets. */
	if (header_take(&again, buf_span(&out), NULL) != (ptrdiff_t)out.len ||
	    again.is_done || again.end != out.len ||
	    header_find(&again, FIELD_BCC) ||
	    header_find(&again, FIELD_RETURN_PATH) ||
	    !header_find(&again, FIELD_FROM) ||
	    !header_find(&again, FIELD_DATE))
		abort();
	header_clear(&again);
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest;
	struct textin textin = { 0 };
	struct header h;
	struct buf text;
	size_t step;

	if (size == 0)
		return 0;
	rest = (struct span){ (const char *)data + 1, size - 1 };
	step = data[0] % 64 + 1;
	textin.ends_at_dot = data[0] & 64;
	header_init(&h);
	buf_init(&text, 4 << 20);
	while (rest.n > 0 && !h.is_done) {
		struct span piece = { rest.p, rest.n < step ? rest.n : step };
		ptrdiff_t taken;

		if (textin_convert(&textin, piece, &text, NULL) < 0)
			break;
		rest = span_from(rest, piece.n);
		if (rest.n == 0)
			textin_end(&textin, &text);
		taken = header_take(&h, buf_span(&text), NULL);
		if (taken < 0)
			break;
		if (!h.is_done && (size_t)taken != text.len)
			abort();
		buf_consume(&text, (size_t)taken);
	}
	header_end(&h);
	complete(&h, data[0] & 128);
	buf_clear(&text);
	header_clear(&h);
	return 0;
}
