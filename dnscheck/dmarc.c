/* Records of DMARC: a list of tags that begins with v=DMARC1. */
#include "dnscheck/dmarc.h"

#include "dnscheck/dkim_tags.h"

static int wrong(const char **why, const char *what)
{
	*why = what;
	return -1;
}

const char *dmarc_policy_name(enum dmarc_policy policy)
{
	static const char *const names[] = { "", "none", "quarantine",
		"reject" };

	return names[policy];
}

bool dmarc_is_record(struct span text)
{
	struct span first = tags_trim(span_cut(&text, ';'));
	struct span name = tags_trim(span_cut(&first, '='));

	return span_is_equal_nocase(name, SPAN_LITERAL("v")) &&
	       span_is_equal_nocase(tags_trim(first), SPAN_LITERAL("DMARC1"));
}

static int take_policy(const struct tags *tags, const char *name,
    enum dmarc_policy *policy, const char **why)
{
	struct span value = tags_find(tags, name);

	*policy = DMARC_NOT_GIVEN;
	if (!value.p)
		return 0;
	for (int i = DMARC_NONE; i <= DMARC_REJECT; i++)
		if (span_is_equal_nocase(value,
			span_of(dmarc_policy_name((enum dmarc_policy)i))))
			*policy = (enum dmarc_policy)i;
	if (*policy == DMARC_NOT_GIVEN)
		return wrong(why, "a policy is none, quarantine or reject");
	return 0;
}

/* One of two letters, or nothing. */
static int take_letter(const struct tags *tags, const char *name,
    const char *letters, char *letter, const char **why)
{
	struct span value = tags_find(tags, name);

	if (!value.p)
		return 0;
	if (value.n == 1)
		for (const char *l = letters; *l; l++)
			if ((value.p[0] | 0x20) == *l) {
				*letter = *l;
				return 0;
			}
	return wrong(why, "a tag of one letter has another one");
}

static int take_modes(
    const struct tags *tags, struct dmarc_record *record, const char **why)
{
	char adkim = 'r', aspf = 'r', testing = 'n';

	record->psd = 'u';
	if (take_letter(tags, "adkim", "rs", &adkim, why) < 0 ||
	    take_letter(tags, "aspf", "rs", &aspf, why) < 0 ||
	    take_letter(tags, "t", "yn", &testing, why) < 0 ||
	    take_letter(tags, "psd", "ynu", &record->psd, why) < 0)
		return -1;
	record->is_strict_dkim = adkim == 's';
	record->is_strict_spf = aspf == 's';
	record->is_testing = testing == 'y';
	return 0;
}

int dmarc_record_parse(
    struct span text, struct dmarc_record *record, const char **why)
{
	struct tags tags;
	struct span percent;
	uint64_t value = 100;

	*record = (struct dmarc_record){ .percent = 100 };
	if (tags_parse(text, &tags, why) < 0)
		return -1;
	if (!tags_begin(&tags, "v", "DMARC1"))
		return wrong(why, "it does not begin with v=DMARC1");
	if (take_policy(&tags, "p", &record->policy, why) < 0 ||
	    take_policy(&tags, "sp", &record->subdomains, why) < 0 ||
	    take_policy(&tags, "np", &record->missing, why) < 0 ||
	    take_modes(&tags, record, why) < 0)
		return -1;
	if (record->policy == DMARC_NOT_GIVEN)
		return wrong(why, "it has no p=");
	percent = tags_find(&tags, "pct");
	if (percent.p && span_to_u64(percent, 100, &value) < 0)
		return wrong(why, "its pct= is not 0 to 100");
	record->percent = (unsigned)value;
	record->reports = tags_find(&tags, "rua");
	return 0;
}

int dmarc_next_report(struct span *rest, struct span *domain)
{
	struct span uri;
	ptrdiff_t at;

	*rest = tags_trim(*rest);
	if (rest->n == 0)
		return 0;
	uri = tags_trim(span_cut(rest, ','));
	uri = tags_trim(span_cut(&uri, '!'));
	if (!span_has_prefix_nocase(uri, "mailto:"))
		return -1;
	uri = span_from(uri, 7);
	uri = span_cut(&uri, '?');
	at = span_find(uri, '@');
	*domain = at > 0 ? span_from(uri, (size_t)at + 1) : uri;
	if (at <= 0 || domain->n == 0 || span_find(*domain, '@') >= 0)
		return -1;
	return 1;
}
