/* The record of a DKIM selector: what was read prints as what reads the same.*/
#include "dnscheck/dkim.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dkim_record record, again;
	const char *why = NULL;
	struct buf text;

	if (dkim_record_parse(
		(struct span){ (const char *)data, size }, &record, &why) < 0) {
		if (!why)
			abort();
		return 0;
	}
	if (record.is_revoked)
		return 0;
	if (record.key.bits == 0 || record.key.bits > record.key.n * 8)
		abort();
	buf_init(&text, DKIM_RECORD_MAX);
	dkim_record_print(&record.key, &text);
	if (!text.overflow &&
	    (dkim_record_parse(buf_span(&text), &again, &why) < 0 ||
		!dkim_key_is_equal(&record.key, &again.key) ||
		again.key.bits != record.key.bits))
		abort();
	buf_clear(&text);
	return 0;
}
