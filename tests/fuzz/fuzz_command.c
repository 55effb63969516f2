/* SMTP command lines and their parameters. */
#include "inject/command.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* What is stored must be fit for a line-based file. */
static void check_decoded(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		check((unsigned char)b->data[i] >= 0x20 && b->data[i] != 0x7f);
}

static bool is_inside(struct span s, struct span of)
{
	return s.n == 0 || (s.p >= of.p && s.p + s.n <= of.p + of.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = { (const char *)data, size };
	struct command c;
	struct answer why;
	struct mail_parameters mail;
	struct rcpt_parameters rcpt;
	struct buf decoded;
	int status = command_parse(line, &c, &why);

	check(c.verb == command_verb(line));
	if (status < 0) {
		check(why.code >= 500 && why.code < 600);
		return 0;
	}
	check(!span_has_line_breaks(line));
	check(is_inside(c.path, line) && is_inside(c.argument, line));
	buf_init(&decoded, 4096);
	if (c.verb == VERB_MAIL &&
	    mail_parameters(&c, &mail, &decoded, &why) == 0) {
		check(mail.envid_bytes == decoded.len);
		check(mail.priority >= -9 && mail.priority <= 9);
		check_decoded(&decoded);
	}
	buf_reset(&decoded);
	if (c.verb == VERB_RCPT &&
	    rcpt_parameters(&c, size & 1, &rcpt, &decoded, &why) == 0) {
		check(rcpt.orcpt_bytes == decoded.len);
		check_decoded(&decoded);
	}
	buf_clear(&decoded);
	return 0;
}
