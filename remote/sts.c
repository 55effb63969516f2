/* MTA-STS: the TXT record and the policy. RFC 8461 section 3.
 *
 *     record = "v=STSv1" *(";" field) [";"]     field = name "=" value
 *     policy = 1*(name ":" *WSP value *WSP end-of-line)
 *
 * What is not known is skipped; of a field given twice, but mx, the first
 * counts.
 */
#include "remote/sts.h"

#include "common/address.h"

enum { PATTERN_MAX = 255, AGE_DIGITS_MAX = 10 };

/* --- the record ----------------------------------------------------------- */

static bool is_version(struct span field)
{
	return span_is_equal(span_trim(field), SPAN_LITERAL("v=STSv1"));
}

bool sts_record_is(struct span txt)
{
	struct span rest = txt;

	/* RFC 8461 3.1: what does not begin with "v=STSv1;" is discarded */
	return txt.n > 0 && txt.p[0] == 'v' && is_version(span_cut(&rest, ';'));
}

static bool is_id(struct span value)
{
	if (value.n == 0 || value.n > STS_ID_MAX)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			(c >= 'a' && c <= 'z')))
			return false;
	}
	return true;
}

int sts_record_parse(struct span txt, char id[STS_ID_MAX + 1])
{
	struct span rest = txt, field, value;

	if (!sts_record_is(txt))
		return -1;
	span_cut(&rest, ';');
	while (rest.n > 0) {
		value = span_cut(&rest, ';');
		field = span_trim(span_cut(&value, '='));
		if (!span_is_equal(field, SPAN_LITERAL("id")))
			continue;
		value = span_trim(value);
		if (!is_id(value))
			return -1;
		memcpy(id, value.p, value.n);
		id[value.n] = '\0';
		return 0;
	}
	return -1;
}

/* --- the policy ----------------------------------------------------------- */

const char *sts_mode_name(enum sts_mode mode)
{
	static const char *const names[] = { "none", "testing", "enforce" };

	return names[mode];
}

/* A domain, perhaps after "*."; U-labels are against the RFC but clear. */
static bool is_pattern(struct span value)
{
	if (value.n > 2 && memcmp(value.p, "*.", 2) == 0)
		value = span_from(value, 2);
	if (value.n == 0 || value.n > PATTERN_MAX || value.p[0] == '.')
		return false;
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			(c >= 'a' && c <= 'z') || c == '-' || c == '_' ||
			c == '.' || c >= 0x80))
			return false;
	}
	return true;
}

struct parse {
	struct sts_policy *policy;
	bool has_version, has_mode, has_age;
	const char *why;
};

static void refuse(struct parse *p, const char *why)
{
	if (!p->why)
		p->why = why;
}

static void take_version(struct parse *p, struct span value)
{
	if (!p->has_version && !span_is_equal(value, SPAN_LITERAL("STSv1")))
		refuse(p, "its version is not STSv1");
	p->has_version = true;
}

static void take_mode(struct parse *p, struct span value)
{
	if (p->has_mode)
		return;
	p->has_mode = true;
	for (int mode = STS_NONE; mode <= STS_ENFORCE; mode++)
		if (span_is_equal(
			value, span_of(sts_mode_name((enum sts_mode)mode)))) {
			p->policy->mode = (enum sts_mode)mode;
			return;
		}
	refuse(p, "its mode is none of none, testing, enforce");
}

static void take_age(struct parse *p, struct span value)
{
	uint64_t age = 0;

	if (p->has_age)
		return;
	p->has_age = true;
	if (value.n == 0 || value.n > AGE_DIGITS_MAX ||
	    span_to_u64(value, UINT64_MAX, &age) < 0)
		refuse(p, "its max_age is no number");
	p->policy->max_age_s =
	    age < STS_AGE_MAX_S ? (uint32_t)age : STS_AGE_MAX_S;
}

static void take_mx(struct parse *p, struct span value)
{
	if (value.n > 1 && value.p[value.n - 1] == '.')
		value.n--;
	if (!is_pattern(value))
		refuse(p, "an mx in it is no host name");
	else if (p->policy->nmx == STS_MX_MAX)
		refuse(p, "it has too many mx");
	else
		p->policy->mx[p->policy->nmx++] = value;
}

static void take_line(struct parse *p, struct span line)
{
	static const struct {
		struct span name;
		void (*take)(struct parse *p, struct span value);
	} fields[] = {
		{ SPAN_LITERAL("version"), take_version },
		{ SPAN_LITERAL("mode"), take_mode },
		{ SPAN_LITERAL("max_age"), take_age },
		{ SPAN_LITERAL("mx"), take_mx },
	};
	struct span value = line, name;

	if (span_find(line, ':') < 0) {
		refuse(p, "a line in it has no colon");
		return;
	}
	name = span_trim(span_cut(&value, ':'));
	value = span_trim(value);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (span_is_equal(name, fields[i].name))
			fields[i].take(p, value);
}

static void check_whole(struct parse *p)
{
	if (!p->has_version)
		refuse(p, "it has no version");
	if (!p->has_mode)
		refuse(p, "it has no mode");
	if (!p->has_age)
		refuse(p, "it has no max_age");
	if (p->policy->nmx == 0 && p->policy->mode != STS_NONE)
		refuse(p, "it has no mx");
}

int sts_policy_parse(
    struct span text, struct sts_policy *policy, const char **why)
{
	struct parse p = { .policy = policy };
	struct span rest = text, line;

	policy->mode = STS_NONE;
	policy->max_age_s = 0;
	policy->nmx = 0;
	if (text.n > STS_TEXT_MAX || span_find(text, '\0') >= 0)
		refuse(&p, "it is no text of at most 64 KiB");
	while (!p.why && rest.n > 0) {
		line = span_cut(&rest, '\n');
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (span_trim(line).n > 0)
			take_line(&p, line);
	}
	check_whole(&p);
	*why = p.why;
	return p.why ? -1 : 0;
}

/* --- matching ------------------------------------------------------------- */

static bool fits(struct span pattern, struct span name)
{
	struct span label;

	if (pattern.n > 2 && memcmp(pattern.p, "*.", 2) == 0) {
		pattern = span_from(pattern, 2);
		label = span_cut(&name, '.');
		if (label.n == 0)
			return false;
	}
	return span_is_equal_nocase(pattern, name);
}

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* The same in A-labels, since names in the DNS are. */
static bool fits_unicode(struct span pattern, struct span name)
{
	bool is_wild = pattern.n > 2 && memcmp(pattern.p, "*.", 2) == 0;
	struct outcome why;
	struct buf ascii;
	bool is_fit;

	buf_init(&ascii, 2 * PATTERN_MAX);
	buf_puts(&ascii, is_wild ? "*." : "");
	is_fit = domain_to_ascii(
		     span_from(pattern, is_wild ? 2 : 0), &ascii, &why) == 0 &&
		 !ascii.overflow && fits(buf_span(&ascii), name);
	buf_clear(&ascii);
	return is_fit;
}

bool sts_policy_has(const struct sts_policy *policy, struct span name)
{
	for (size_t i = 0; i < policy->nmx; i++) {
		struct span pattern = policy->mx[i];

		if (is_ascii(pattern) ? fits(pattern, name)
				      : fits_unicode(pattern, name))
			return true;
	}
	return false;
}
