/* Challenges of a server: one a line, behind a byte that names the mechanism.
 * As SMTP brings them (base64) and as they are. Answers are bounded, and no
 * server proves itself by chance. */
#include "remote/login.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sasl *s, const struct buf *out, int status)
{
	if (out->len > SASL_RESPONSE_MAX || s->step > SASL_ROUNDS_MAX + 1)
		abort();
	if (s->id >= SASL_SCRAM_SHA256_PLUS && s->id <= SASL_SCRAM_SHA1 &&
	    s->is_proven)
		abort();
	if (status != SASL_OK && status != SASL_UNUSABLE && status != SASL_STOP)
		abort();
}

static int hear(struct sasl *s, struct span challenge)
{
	struct outcome why;
	struct buf out;
	int status;

	buf_init(&out, SASL_RESPONSE_MAX);
	status = sasl_respond(s, challenge, &out, &why);
	check(s, &out, status);
	sasl_wipe(&out);
	return status;
}

static int hear_coded(struct sasl *s, struct span line)
{
	struct buf challenge;
	int status;

	buf_init(&challenge, SASL_CHALLENGE_MAX);
	status = base64_get(&challenge, line) < 0
		     ? SASL_UNUSABLE
		     : hear(s, buf_span(&challenge));
	buf_clear(&challenge);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct login login = { .user = SPAN_LITERAL("me@example.com"),
		.secret = SPAN_LITERAL("pencil") };
	const struct sasl_binding binding = { .type = "tls-exporter", .n = 32 };
	struct sasl s = { .login = &login,
		.host = SPAN_LITERAL("localhost"),
		.port = 587,
		.binding = &binding,
		.nonce = "fyko+d2lbbFgONRv9qkxdawL" };
	struct span rest = { (const char *)data, size };
	int status = SASL_OK;
	bool is_coded;

	if (size == 0)
		return 0;
	is_coded = data[0] & 0x80;
	if (sasl_init(&s, (enum sasl_id)(data[0] & 0x7f) % SASL_COUNT) < 0)
		abort();
	rest = span_from(rest, 1);
	if (sasl_has_initial(s.id))
		status = hear(&s, (struct span){ NULL, 0 });
	for (int i = 0; status == SASL_OK && i < SASL_ROUNDS_MAX; i++) {
		struct span line = span_cut(&rest, '\n');

		status = is_coded ? hear_coded(&s, line) : hear(&s, line);
	}
	login_is_in(&login, rest);
	sasl_clear(&s);
	return 0;
}
