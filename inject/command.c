/* SMTP commands: RFC 5321 section 4.1.1, RFC 3030, RFC 3461, RFC 1870,
 * RFC 6152, RFC 6531, RFC 6710.
 */
#include "inject/command.h"

#include "common/date.h"

#include "common/messages.h"

static const struct {
	const char *name;
	enum verb verb;
} verbs[] = {
	{ "MAIL", VERB_MAIL },
	{ "RCPT", VERB_RCPT },
	{ "DATA", VERB_DATA },
	{ "BDAT", VERB_BDAT },
	{ "RSET", VERB_RSET },
	{ "NOOP", VERB_NOOP },
	{ "QUIT", VERB_QUIT },
	{ "EHLO", VERB_EHLO },
	{ "HELO", VERB_HELO },
	{ "STARTTLS", VERB_STARTTLS },
	{ "AUTH", VERB_AUTH },
	{ "VRFY", VERB_VRFY },
	{ "EXPN", VERB_EXPN },
	{ "HELP", VERB_HELP },
	{ "GET", VERB_FOREIGN },
	{ "POST", VERB_FOREIGN },
	{ "CONNECT", VERB_FOREIGN },
};

static const struct answer bad_line = { 500, "5.5.2",
	"control characters in a command, or no CRLF at its end" };
static const struct answer bad_path = { 501, "5.5.4",
	"an address in angle brackets is expected after the colon" };
static const struct answer bad_parameters = { 501, "5.5.4",
	"parameters that cannot be read" };
static const struct answer unknown_parameter = { 555, "5.5.4",
	"a parameter that is not supported here" };
static const struct answer bad_parameter_value = { 501, "5.5.4",
	"a parameter with a wrong value" };
static const struct answer bad_chunk = { 501, "5.5.4",
	"BDAT takes a size and perhaps LAST" };
static const struct answer no_argument = { 501, "5.5.4",
	"no argument is allowed here" };
static const struct answer bad_name = { 501, "5.5.4",
	"the name of the client is expected" };

static int fail(struct answer *why, const struct answer *answer)
{
	*why = *answer;
	return -1;
}

static enum verb verb_of(struct span word)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_is_equal_nocase(word, span_of(verbs[i].name)))
			return verbs[i].verb;
	return VERB_UNKNOWN;
}

enum verb command_verb(struct span line)
{
	struct span rest = line;

	return verb_of(span_cut(&rest, ' '));
}

/* --- paths and parameters
 * ---------------------------------------------------*/

/* Offset of the > that ends a path which began with <, quoted strings skipped;
 * -1 when there is none. */
static ptrdiff_t path_end(struct span text)
{
	bool is_quoted = false;

	for (size_t i = 1; i < text.n; i++) {
		if (is_quoted && text.p[i] == '\\')
			i++;
		else if (text.p[i] == '"')
			is_quoted = !is_quoted;
		else if (text.p[i] == '>' && !is_quoted)
			return (ptrdiff_t)i;
	}
	return -1;
}

/* With brackets, or a bare word as people type it. */
static int take_path(struct span *rest, struct span *path)
{
	ptrdiff_t end;

	*rest = span_trim(*rest);
	if (rest->n == 0)
		return -1;
	if (rest->p[0] != '<') {
		*path = span_cut(rest, ' ');
		return span_find(*path, '<') >= 0 || span_find(*path, '>') >= 0
			   ? -1
			   : 0;
	}
	end = path_end(*rest);
	if (end < 0)
		return -1;
	*path = (struct span){ rest->p + 1, (size_t)end - 1 };
	*rest = span_from(*rest, (size_t)end + 1);
	return rest->n == 0 || rest->p[0] == ' ' ? 0 : -1;
}

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool is_keyword(struct span name)
{
	if (name.n == 0 || name.n > 32 || name.p[0] == '-')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i] | 0x20;

		if (!(c >= 'a' && c <= 'z') &&
		    !(name.p[i] >= '0' && name.p[i] <= '9') && name.p[i] != '-')
			return false;
	}
	return true;
}

/* esmtp-value: anything but "=", SP and control characters; 8-bit only where
 * the parameter's own parser lets it pass. */
static bool is_value(struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c <= ' ' || c == 0x7f || c == '=')
			return false;
	}
	return value.n > 0;
}

static int parse_parameters(struct span rest, struct command *c)
{
	while ((rest = span_trim(rest)).n > 0) {
		struct span word = span_cut(&rest, ' ');
		struct parameter *p = &c->parameters[c->nparameters];

		if (c->nparameters == PARAMETERS_MAX)
			return -1;
		p->has_value = span_find(word, '=') >= 0;
		p->name = span_cut(&word, '=');
		p->value = word;
		if (!is_keyword(p->name) ||
		    (p->has_value && !is_value(p->value)))
			return -1;
		for (size_t i = 0; i < c->nparameters; i++)
			if (span_is_equal_nocase(
				c->parameters[i].name, p->name))
				return -1;
		c->nparameters++;
	}
	return 0;
}

static int parse_path(
    struct command *c, const char *keyword, struct answer *why)
{
	struct span rest = c->argument;

	if (!span_has_prefix_nocase(rest, keyword))
		return fail(why, &bad_path);
	rest = span_from(rest, strlen(keyword));
	if (take_path(&rest, &c->path) < 0)
		return fail(why, &bad_path);
	if (parse_parameters(rest, c) < 0)
		return fail(why, &bad_parameters);
	return 0;
}

static int parse_chunk(struct command *c, struct answer *why)
{
	struct span rest = c->argument;
	struct span size = span_cut(&rest, ' ');

	rest = span_trim(rest);
	c->is_last = span_is_equal_nocase(rest, SPAN_LITERAL("LAST"));
	if (size.n == 0 || span_to_u64(size, INT64_MAX, &c->chunk) < 0 ||
	    (rest.n > 0 && !c->is_last))
		return fail(why, &bad_chunk);
	return 0;
}

int command_parse(struct span line, struct command *c, struct answer *why)
{
	struct span rest = line;

	memset(c, 0, sizeof(*c));
	c->verb = verb_of(span_cut(&rest, ' '));
	c->argument = span_trim(rest);
	if (span_has_line_breaks(line))
		return fail(why, &bad_line);
	switch (c->verb) {
	case VERB_MAIL:
		return parse_path(c, "FROM:", why);
	case VERB_RCPT:
		return parse_path(c, "TO:", why);
	case VERB_BDAT:
		return parse_chunk(c, why);
	case VERB_EHLO:
	case VERB_HELO:
		return c->argument.n == 0 ? fail(why, &bad_name) : 0;
	case VERB_DATA:
	case VERB_RSET:
	case VERB_QUIT:
	case VERB_STARTTLS:
		return c->argument.n > 0 ? fail(why, &no_argument) : 0;
	default:
		return 0;
	}
}

/* --- MAIL
 * -------------------------------------------------------------------*/

static bool is_word(struct span s, const char *word)
{
	return span_is_equal_nocase(s, span_of(word));
}

static int parse_size(struct span value, struct mail_parameters *p)
{
	/* RFC 1870: 1*20DIGIT. What does not fit in 64 bits is too big for
	 * us, not malformed. */
	if (value.n == 0 || value.n > 20)
		return -1;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < '0' || value.p[i] > '9')
			return -1;
	p->has_size = true;
	p->size = UINT64_MAX;
	span_to_u64(value, UINT64_MAX, &p->size);
	return 0;
}

static int parse_body(struct span value, struct mail_parameters *p)
{
	if (is_word(value, "8BITMIME"))
		p->body = BODY_8BIT;
	else if (!is_word(value, "7BIT"))
		return -1;
	return 0;
}

static int parse_ret(struct span value, struct mail_parameters *p)
{
	if (is_word(value, "FULL"))
		p->ret = RET_FULL;
	else if (is_word(value, "HDRS"))
		p->ret = RET_HDRS;
	else
		return -1;
	return 0;
}

/* RFC 6710: [ "-" ] 1DIGIT */
static int parse_priority(struct span value, struct mail_parameters *p)
{
	bool is_negative = value.n == 2 && value.p[0] == '-';
	struct span digit = span_from(value, is_negative);

	if (digit.n != 1 || digit.p[0] < '0' || digit.p[0] > '9')
		return -1;
	p->priority = (int8_t)(digit.p[0] - '0');
	if (is_negative)
		p->priority = (int8_t)-p->priority;
	return 0;
}

/* RFC 4865: seconds from now, 1*9DIGIT */
static int parse_hold_for(struct span value, struct mail_parameters *p)
{
	if (p->hold_s || p->hold_until || value.n > 9)
		return -1;
	return span_to_u64(value, HOLD_MAX_S, &p->hold_s) == 0 && p->hold_s > 0
		   ? 0
		   : -1;
}

static int parse_hold_until(struct span value, struct mail_parameters *p)
{
	int64_t utc;

	if (p->hold_s || p->hold_until || date_parse_rfc3339(value, &utc) < 0 ||
	    utc <= 0)
		return -1;
	p->hold_until = (uint64_t)utc;
	return 0;
}

/* RFC 2852: seconds ";" mode, R gives it back when they are over, N tells of
 * the delay (as we always do); T, for trace, behind it. */
static int parse_by(struct span value, struct mail_parameters *p)
{
	struct span seconds = span_cut(&value, ';');
	bool is_negative = seconds.n > 0 && seconds.p[0] == '-';
	bool is_return = value.n > 0 && (value.p[0] | 0x20) == 'r';
	uint64_t by;

	seconds = span_from(seconds, is_negative);
	if (seconds.n > 9 || span_to_u64(seconds, 999999999, &by) < 0)
		return -1;
	if (value.n < 1 || value.n > 2 ||
	    (!is_return && (value.p[0] | 0x20) != 'n') ||
	    (value.n == 2 && (value.p[1] | 0x20) != 't'))
		return -1;
	if (is_return && (is_negative || by == 0))
		return -1;
	p->by_s = is_return ? by : 0;
	return 0;
}

static int parse_envid(
    struct span value, struct mail_parameters *p, struct buf *envid)
{
	size_t before = envid->len;

	if (value.n > ENVID_MAX || xtext_decode(value, envid) < 0)
		return -1;
	p->envid_bytes = envid->len - before;
	return 0;
}

int mail_parameters(const struct command *c, struct mail_parameters *p,
    struct buf *envid, struct answer *why)
{
	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < c->nparameters; i++) {
		const struct parameter *x = &c->parameters[i];
		int status;

		if (is_word(x->name, "SIZE"))
			status = parse_size(x->value, p);
		else if (is_word(x->name, "BODY"))
			status = parse_body(x->value, p);
		else if (is_word(x->name, "RET"))
			status = parse_ret(x->value, p);
		else if (is_word(x->name, "MT-PRIORITY"))
			status = parse_priority(x->value, p);
		else if (is_word(x->name, "HOLDFOR"))
			status = parse_hold_for(x->value, p);
		else if (is_word(x->name, "HOLDUNTIL"))
			status = parse_hold_until(x->value, p);
		else if (is_word(x->name, "BY"))
			status = parse_by(x->value, p);
		else if (is_word(x->name, "ENVID"))
			status = parse_envid(x->value, p, envid);
		else if (is_word(x->name, "SMTPUTF8")) {
			status = x->has_value ? -1 : 0;
			p->is_utf8 = true;
		} else if (is_word(x->name, "REQUIRETLS")) {
			status = x->has_value ? -1 : 0;
			p->requires_tls = true;
		} else
			return fail(why, &unknown_parameter);
		if (status < 0)
			return fail(why, &bad_parameter_value);
	}
	return 0;
}

/* --- RCPT
 * -------------------------------------------------------------------*/

static int parse_notify(struct span value, struct rcpt_parameters *p)
{
	if (is_word(value, "NEVER")) {
		p->notify = NOTIFY_NEVER;
		return 0;
	}
	if (value.n == 0 || value.p[value.n - 1] == ',')
		return -1;
	while (value.n > 0) {
		struct span word = span_cut(&value, ',');

		if (is_word(word, "SUCCESS"))
			p->notify |= NOTIFY_SUCCESS;
		else if (is_word(word, "FAILURE"))
			p->notify |= NOTIFY_FAILURE;
		else if (is_word(word, "DELAY"))
			p->notify |= NOTIFY_DELAY;
		else
			return -1;
	}
	return 0;
}

/* original-recipient-address = addr-type ";" xtext */
static int parse_orcpt(struct span value, bool is_utf8,
    struct rcpt_parameters *p, struct buf *orcpt)
{
	struct span rest = value, type = span_cut(&rest, ';');
	size_t before = orcpt->len;
	int status;

	if (value.n > ORCPT_MAX || !is_keyword(type) || rest.n == 0)
		return -1;
	buf_put_raw(orcpt, type);
	buf_putc(orcpt, ';');
	if (is_word(type, "utf-8"))
		status = utf8_address_decode(rest, is_utf8, orcpt);
	else
		status = xtext_decode(rest, orcpt);
	p->orcpt_bytes = orcpt->len - before;
	return status;
}

int rcpt_parameters(const struct command *c, bool is_utf8,
    struct rcpt_parameters *p, struct buf *orcpt, struct answer *why)
{
	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < c->nparameters; i++) {
		const struct parameter *x = &c->parameters[i];
		int status;

		if (is_word(x->name, "NOTIFY"))
			status = parse_notify(x->value, p);
		else if (is_word(x->name, "ORCPT"))
			status = parse_orcpt(x->value, is_utf8, p, orcpt);
		else
			return fail(why, &unknown_parameter);
		if (status < 0)
			return fail(why, &bad_parameter_value);
	}
	return 0;
}
