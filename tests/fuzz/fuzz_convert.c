/* Messages to fit: any bytes, cut anywhere, become 7-bit text with lines that
 * are short enough, the same however they are cut; and need nothing more when
 * they are looked at again. The first byte chooses goals and pieces. */
#include "remote/convert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int convert(struct span in, unsigned goals, size_t cut, struct buf *out)
{
	struct convert *c = convert_new(goals);
	struct outcome why;
	int status;

	buf_init(out, 1 << 24);
	if (!c)
		return 0;
	for (size_t at = 0; at < in.n; at += cut)
		convert_look(c, (struct span){ in.p + at,
				    in.n - at < cut ? in.n - at : cut });
	status = convert_decide(c, &why);
	if (status > 0)
		convert_begin(c);
	for (size_t at = 0; status > 0 && at < in.n; at += cut)
		convert_put(c,
		    (struct span){
			in.p + at, in.n - at < cut ? in.n - at : cut },
		    out);
	if (status > 0)
		convert_end(c, out);
	convert_free(c);
	return status;
}

static void check_7bit(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t cuts[] = { 1, 5, 4096, 100000 };
	unsigned goals = size > 0 ? data[0] & 7 : 0;
	size_t cut = size > 0 ? cuts[data[0] >> 3 & 3] : 1;
	struct span in = { (const char *)data + (size > 0), size - (size > 0) };
	struct buf one, two, again;

	if (convert(in, goals, cut, &one) != convert(in, goals, 1 << 20, &two))
		abort();
	if (!span_is_equal(buf_span(&one), buf_span(&two)))
		abort();
	if (goals & CONVERT_7BIT)
		check_7bit(buf_span(&one));
	if (one.len > 0 &&
	    convert(buf_span(&one), goals & CONVERT_7BIT, 1 << 20, &again) != 0)
		abort();
	if (one.len > 0)
		buf_clear(&again);
	buf_clear(&one);
	buf_clear(&two);
	return 0;
}
