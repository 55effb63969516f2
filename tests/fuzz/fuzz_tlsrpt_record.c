/* A TXT record at _smtp._tls. */
#include "remote/tlsrpt.h"

#include "common/address.h"
#include "common/messages.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(struct span line)
{
	static const char mailto[] = "mailto:";
	struct address address;
	struct span host;
	uint16_t port;

	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] <= 0x20 || line.p[i] > 0x7e)
			abort();
	if (span_has_prefix_nocase(line, mailto)) {
		if (address_parse(span_from(line, sizeof(mailto) - 1), &address,
			NULL) < 0)
			abort();
	} else if (tlsrpt_https_parse(line, &host, &port) < 0 || port == 0 ||
		   host.p < line.p || host.p + host.n > line.p + line.n) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span txt = { (const char *)data, size };
	const char *why = NULL;
	struct span rest;
	struct buf lines;
	unsigned n = 0;

	buf_init(&lines, TLS_LINES_MAX);
	if (tlsrpt_record_parse(txt, &lines, &why) == 0) {
		if (!tlsrpt_record_is(txt) || lines.overflow)
			abort();
		for (rest = buf_span(&lines); rest.n > 0; n++)
			check_place(span_cut(&rest, '\n'));
		if (n == 0 || n > TLS_URIS_MAX)
			abort();
	} else if (!why) {
		abort();
	}
	buf_clear(&lines);
	return 0;
}
