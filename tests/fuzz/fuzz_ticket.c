/* A certificate's names as text, and a TLS session that came back: the first
 * octet says which. */
#include "remote/tls_names.h"
#include "remote/tls_ticket.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing but plain characters comes out, whatever is in it. */
static void try_names(const uint8_t *data, size_t size)
{
	const unsigned char *p = data;
	X509 *x = d2i_X509(NULL, &p, (long)size);
	struct span name = SPAN_LITERAL("mx.example.test");
	struct buf out;

	if (!x)
		return;
	buf_init(&out, 65536);
	tls_names_print(x, 120, &out);
	tls_names_print_one(x, &name, 1, TLS_NAMES_MAY_CN, &out);
	for (size_t i = 0; i < out.len; i++)
		if (out.data[i] < ' ' || out.data[i] > '~')
			abort();
	if (out.len > 4096)
		abort();
	(void)tls_names_match(x, name, 0);
	(void)tls_names_match(x, SPAN_LITERAL("[192.0.2.1]"), 0);
	buf_clear(&out);
	X509_free(x);
}

/* With the right binding: the rest is still to be judged. */
static void try_ticket(const uint8_t *data, size_t size)
{
	unsigned char binding[TLS_TICKET_BINDING] = { 0 };
	struct span ticket = { (const char *)data, size };
	struct tls_proof proof = { 0 };
	SSL_SESSION *session;

	if (size > TLS_TICKET_BINDING)
		memcpy(binding, data + 1, TLS_TICKET_BINDING);
	session = tls_ticket_open(ticket, binding, 1800000000, &proof);
	if (!session)
		return;
	if (proof.verified >= TLS_VERIFIED_COUNT || proof.at > 1800000000)
		abort();
	SSL_SESSION_free(session);
	binding[0] ^= 1;
	if (tls_ticket_open(ticket, binding, 1800000000, &proof))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		try_ticket(data + 1, size - 1);
	else
		try_names(data + 1, size - 1);
	return 0;
}
