/* The answer to EHLO.
 *
 * ehlo-ok-rsp = 250-Domain [ SP ehlo-greet ] CRLF
 *               *( 250-ehlo-line CRLF ) 250 SP ehlo-line CRLF
 * ehlo-line   = ehlo-keyword *( SP ehlo-param )        RFC 5321 4.1.1.1
 */
#include "remote/ehlo.h"

#include "remote/sasl.h"

#include <stdio.h>

static void parse_name(struct span line, struct ehlo *ehlo)
{
	struct span name = span_cut(&line, ' ');

	snprintf(ehlo->name, sizeof(ehlo->name), "%.*s",
	    (int)(name.n < sizeof(ehlo->name) ? name.n : 255), name.p);
}

/* RFC 1870: a limit that is no number, or 0, says nothing. */
static void parse_size(struct span param, struct ehlo *ehlo)
{
	ehlo->has_size = true;
	ehlo->size_bytes = 0;
	if (span_to_u64(param, UINT64_MAX, &ehlo->size_bytes) < 0)
		ehlo->size_bytes = 0;
}

/* RFC 4954; "AUTH=LOGIN" is what some old servers say, too. */
static void parse_auth(struct span params, struct ehlo *ehlo)
{
	size_t used = strlen(ehlo->auth_text);

	ehlo->has_auth = true;
	while (params.n > 0) {
		struct span word = span_cut(&params, ' ');
		int id = sasl_named(word);

		if (id >= 0)
			ehlo->auth |= SASL_BIT(id);
		if (word.n == 0 || used + word.n + 2 > sizeof(ehlo->auth_text))
			continue;
		used += (size_t)snprintf(ehlo->auth_text + used,
		    sizeof(ehlo->auth_text) - used, "%s%.*s", used ? " " : "",
		    (int)word.n, word.p);
	}
}

static const struct flag {
	const char *word;
	size_t offset;
} flags[] = {
	{ "PIPELINING", offsetof(struct ehlo, has_pipelining) },
	{ "CHUNKING", offsetof(struct ehlo, has_chunking) },
	{ "8BITMIME", offsetof(struct ehlo, has_8bitmime) },
	{ "BINARYMIME", offsetof(struct ehlo, has_binarymime) },
	{ "SMTPUTF8", offsetof(struct ehlo, has_smtputf8) },
	{ "DSN", offsetof(struct ehlo, has_dsn) },
	{ "STARTTLS", offsetof(struct ehlo, has_starttls) },
	{ "REQUIRETLS", offsetof(struct ehlo, has_requiretls) },
};

static void parse_line(struct span line, struct ehlo *ehlo)
{
	struct span rest = span_trim(line);
	struct span word = span_cut(&rest, ' ');

	if (span_is_equal_nocase(word, span_of("SIZE"))) {
		parse_size(span_trim(rest), ehlo);
		return;
	}
	if (span_is_equal_nocase(word, span_of("AUTH")) ||
	    span_has_prefix_nocase(word, "AUTH=")) {
		parse_auth(span_from(span_trim(line), 5), ehlo);
		return;
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (span_is_equal_nocase(word, span_of(flags[i].word)))
			*(bool *)((char *)ehlo + flags[i].offset) = true;
}

void ehlo_parse(const struct reply *reply, struct ehlo *ehlo)
{
	struct span rest = buf_span(&reply->text);

	memset(ehlo, 0, sizeof(*ehlo));
	parse_name(span_cut(&rest, '\n'), ehlo);
	while (rest.n > 0)
		parse_line(span_cut(&rest, '\n'), ehlo);
}

void ehlo_parse_helo(const struct reply *reply, struct ehlo *ehlo)
{
	struct span rest = buf_span(&reply->text);

	memset(ehlo, 0, sizeof(*ehlo));
	parse_name(span_cut(&rest, '\n'), ehlo);
}
