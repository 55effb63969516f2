/* check_host(): records, includes, redirects and limits (RFC 7208 section 4).*/
#include "dnscheck/spf_parts.h"

#include "common/address.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static enum spf_result check_host(
    struct spf *spf, struct span domain, unsigned depth, bool is_included);

const char *spf_result_name(enum spf_result result)
{
	static const char *const names[] = { "none", "neutral", "pass", "fail",
		"softfail", "temperror", "permerror" };

	return result <= SPF_PERMERROR ? names[result] : "?";
}

/* --- words ---------------------------------------------------------------- */

void spf_why(struct spf *spf, const char *format, ...)
{
	char *why = spf->report->why;
	va_list args;

	if (why[0])
		return;
	va_start(args, format);
	vsnprintf(why, sizeof(spf->report->why), format, args);
	va_end(args);
	for (; *why; why++)
		if ((unsigned char)*why < 0x20 || (unsigned char)*why > 0x7e)
			*why = '?';
}

/* What is not printable as \xHH; the rest of long texts is left out. */
static void put_printable(struct buf *b, struct span s)
{
	enum { SHOWN_MAX = 500 };

	for (size_t i = 0; i < s.n && i < SHOWN_MAX; i++)
		if ((unsigned char)s.p[i] < 0x20 ||
		    (unsigned char)s.p[i] > 0x7e)
			buf_printf(b, "\\x%02x", (unsigned char)s.p[i]);
		else
			buf_putc(b, s.p[i]);
	if (s.n > SHOWN_MAX)
		buf_puts(b, "...");
}

/* A line of the trail. */
static void note(
    struct spf *spf, unsigned depth, struct span subject, struct span what)
{
	struct buf *b = &spf->report->trail;

	buf_printf(b, "%*s", (int)(depth * 2), "");
	put_printable(b, subject);
	buf_puts(b, ": ");
	put_printable(b, what);
	buf_putc(b, '\n');
}

/* --- questions ------------------------------------------------------------ */

static const struct ask_answer late = {
	.status = ASK_TIMEOUT,
	.server = { "", 0 },
	.why = { "the time for this check is over", 31 },
};

const struct ask_answer *spf_look_again(
    struct spf *spf, struct span name, uint16_t type)
{
	const struct spf_dns *dns = &spf->query->dns;
	const struct ask_answer *answer;

	if (deadline_is_over(spf->query->deadline))
		return &late;
	answer = dns->look(dns->arg, name, type);
	if (answer->status == ASK_NO_DATA || answer->status == ASK_NO_NAME)
		spf->had_void = true;
	return answer;
}

const struct ask_answer *spf_look(
    struct spf *spf, struct span name, uint16_t type)
{
	char text[SPF_NAME_MAX * 4 + 1];
	size_t n = 0;

	for (size_t i = 0; i < name.n && i < SPF_NAME_MAX; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.')
			text[n++] = (char)c;
		else
			n += (size_t)snprintf(
			    text + n, sizeof(text) - n, "\\%03u", c);
	}
	return spf_look_again(spf, (struct span){ text, n }, type);
}

static const struct ask_answer *look_by_ask(
    void *arg, struct span name, uint16_t type)
{
	return ask(arg, name, type);
}

struct spf_dns spf_dns_of(struct ask *ask)
{
	return (struct spf_dns){ look_by_ask, ask };
}

/* --- terms ---------------------------------------------------------------- */

static bool asks(enum spf_kind kind)
{
	return kind == SPF_INCLUDE || kind == SPF_A || kind == SPF_MX ||
	       kind == SPF_PTR || kind == SPF_EXISTS || kind == SPF_REDIRECT;
}

/* One more term that asks the DNS; -1: too many. */
static int count_lookup(struct spf *spf, const struct spf_term *term)
{
	unsigned max = spf->query->walks_all ? SPF_COUNT_MAX : SPF_LOOKUPS_MAX;

	if (!asks(term->kind))
		return 0;
	if (spf->report->lookups == max) {
		spf_why(spf, "more than %u terms that ask the DNS", max);
		return -1;
	}
	spf->report->lookups++;
	return 0;
}

static int count_void(struct spf *spf)
{
	if (!spf->had_void)
		return 0;
	spf->report->voids++;
	spf->had_void = false;
	if (spf->query->walks_all || spf->report->voids <= SPF_VOIDS_MAX)
		return 0;
	spf_why(spf, "more than %d terms asked for names without records",
	    SPF_VOIDS_MAX);
	return -1;
}

/* Section 5.2 */
static enum spf_match include(struct spf *spf, const struct spf_term *term,
    struct span domain, unsigned depth)
{
	char name[SPF_NAME_MAX + 1];
	enum spf_result result = SPF_NONE;

	if (spf_target(spf, term, domain, name) == 0)
		result = check_host(spf, span_of(name), depth + 1, true);
	spf->had_void = false;
	if (result == SPF_NONE)
		spf_why(spf, "%.*s: there is no SPF record", (int)term->text.n,
		    term->text.p);
	switch (result) {
	case SPF_PASS:
		return MATCH_YES;
	case SPF_TEMPERROR:
		return MATCH_TEMPERROR;
	case SPF_PERMERROR:
	case SPF_NONE:
		return MATCH_PERMERROR;
	default:
		return MATCH_NO;
	}
}

static enum spf_match try_term(struct spf *spf, const struct spf_term *term,
    struct span domain, unsigned depth)
{
	enum spf_match match;

	if (count_lookup(spf, term) < 0)
		return MATCH_PERMERROR;
	spf->had_void = false;
	if (term->kind == SPF_INCLUDE)
		match = include(spf, term, domain, depth);
	else
		match = spf_match(spf, term, domain);
	if (match <= MATCH_YES && count_void(spf) < 0)
		return MATCH_PERMERROR;
	if (spf->query->walks_all && term->kind != SPF_ALL &&
	    match == MATCH_YES)
		return MATCH_NO;
	return match;
}

static enum spf_result result_of(char qualifier)
{
	return qualifier == '-'	  ? SPF_FAIL
	       : qualifier == '~' ? SPF_SOFTFAIL
	       : qualifier == '?' ? SPF_NEUTRAL
				  : SPF_PASS;
}

/* Section 6.2. Whatever is wrong with it: there is none. */
static void explain(
    struct spf *spf, const struct spf_term *exp, struct span domain)
{
	char name[SPF_NAME_MAX + 1];
	const struct ask_answer *answer;
	const struct ask_record *r;
	struct buf text;

	if (exp->kind != SPF_EXP || spf_target(spf, exp, domain, name) < 0)
		return;
	answer = spf_look(spf, span_of(name), ASK_TXT);
	r = answer->status == ASK_FOUND ? ask_first(answer, ASK_TXT) : NULL;
	if (!r || ask_next(answer, r))
		return;
	buf_init(&text, SPF_TEXT_MAX);
	if (spf_expand(spf, r->data, domain, true, &text) == 0) {
		char *out = spf->report->explanation;

		for (size_t i = 0; i < text.len; i++)
			out[i] = (unsigned char)text.data[i] < 0x20 ||
					 (unsigned char)text.data[i] > 0x7e
				     ? '?'
				     : text.data[i];
		out[text.len] = '\0';
	}
	buf_clear(&text);
}

/* Section 6.1 */
static enum spf_result redirect(struct spf *spf, const struct spf_term *term,
    struct span domain, unsigned depth, bool is_included)
{
	char name[SPF_NAME_MAX + 1];
	enum spf_result result = SPF_NONE;

	if (count_lookup(spf, term) < 0)
		return SPF_PERMERROR;
	note(spf, depth, term->text, SPAN_LITERAL("goes on there"));
	if (spf_target(spf, term, domain, name) == 0)
		result = check_host(spf, span_of(name), depth, is_included);
	if (result != SPF_NONE)
		return result;
	spf_why(spf, "%.*s: there is no SPF record", (int)term->text.n,
	    term->text.p);
	return SPF_PERMERROR;
}

static const char *match_name(enum spf_match match)
{
	static const char *const names[] = { "no match", "matches", "temperror",
		"permerror" };

	return names[match];
}

struct record {
	struct span text, domain;
	struct spf_term redirect, exp;
	unsigned depth;
	bool is_included;
};

static enum spf_result decided(
    struct spf *spf, const struct record *record, const struct spf_term *term)
{
	enum spf_result result = result_of(term->qualifier);

	if (record->is_included)
		return result;
	spf_why(spf, "%.*s of %.*s", (int)term->text.n, term->text.p,
	    (int)record->domain.n, record->domain.p);
	if (result == SPF_FAIL && !spf->query->walks_all)
		explain(spf, &record->exp, record->domain);
	return result;
}

static enum spf_result evaluate(struct spf *spf, const struct record *record)
{
	struct span rest = span_from(record->text, 6);
	struct spf_term term;
	enum spf_match match;
	const char *why;

	while (spf_term_next(&rest, &term, &why) > 0) {
		if (term.kind >= SPF_REDIRECT)
			continue;
		if (term.kind == SPF_INCLUDE)
			note(spf, record->depth, term.text,
			    SPAN_LITERAL("looked at"));
		match = try_term(spf, &term, record->domain, record->depth);
		note(spf, record->depth, term.text, span_of(match_name(match)));
		if (match == MATCH_TEMPERROR)
			return SPF_TEMPERROR;
		if (match == MATCH_PERMERROR)
			return SPF_PERMERROR;
		if (match == MATCH_YES)
			return decided(spf, record, &term);
	}
	if (record->redirect.kind == SPF_REDIRECT)
		return redirect(spf, &record->redirect, record->domain,
		    record->depth, record->is_included);
	if (!record->is_included)
		spf_why(spf, "nothing in the record of %.*s matches",
		    (int)record->domain.n, record->domain.p);
	return SPF_NEUTRAL;
}

/* --- records -------------------------------------------------------------- */

static enum spf_result no_record(
    struct spf *spf, const struct ask_answer *answer, struct span domain)
{
	if (ask_is_known(answer) || answer->status == ASK_BAD_NAME)
		return SPF_NONE;
	spf_why(spf, "TXT of %.*s: %s", (int)domain.n, domain.p,
	    answer->why.n ? answer->why.p : "no answer");
	return SPF_TEMPERROR;
}

static enum spf_result check_record(struct spf *spf, struct record *record)
{
	struct span bad = record->text;
	const char *why = "";

	if (spf_record_check(
		record->text, &record->redirect, &record->exp, &bad, &why) == 0)
		return evaluate(spf, record);
	spf_why(spf, "\"%.*s\" in the record of %.*s: %s",
	    bad.n > 120 ? 120 : (int)bad.n, bad.p, (int)record->domain.n,
	    record->domain.p, why);
	return SPF_PERMERROR;
}

static enum spf_result check_host(
    struct spf *spf, struct span domain, unsigned depth, bool is_included)
{
	const struct ask_answer *answer = spf_look(spf, domain, ASK_TXT);
	struct record record = {
		.domain = domain, .depth = depth + 1, .is_included = is_included
	};
	const struct ask_record *r;
	unsigned n = 0;

	if (answer->status != ASK_FOUND)
		return no_record(spf, answer, domain);
	for (r = ask_first(answer, ASK_TXT); r; r = ask_next(answer, r)) {
		if (!spf_is_record(r->data))
			continue;
		note(spf, depth, domain, r->data);
		record.text = r->data;
		n++;
	}
	if (n > 1) {
		spf_why(
		    spf, "%.*s has %u SPF records", (int)domain.n, domain.p, n);
		return SPF_PERMERROR;
	}
	return n == 0 ? SPF_NONE : check_record(spf, &record);
}

/* --- the identity --------------------------------------------------------- */

static void set_ip(struct spf *spf, struct span ip)
{
	static const char mapped[12] = "\0\0\0\0\0\0\0\0\0\0\xff\xff";

	if (ip.n == 16 && memcmp(ip.p, mapped, 12) == 0)
		ip = span_from(ip, 12);
	spf->nip = ip.n == 16 ? 16 : 4;
	memcpy(spf->ip, ip.p, spf->nip);
}

static void set_sender(struct spf *spf)
{
	struct span sender = spf->query->sender, domain = sender;
	ptrdiff_t at = -1;

	if (sender.n == 0)
		domain = spf->query->helo;
	for (size_t i = 0; i < sender.n; i++)
		if (sender.p[i] == '@')
			at = (ptrdiff_t)i;
	spf->local = SPAN_LITERAL("postmaster");
	if (at > 0)
		spf->local = (struct span){ sender.p, (size_t)at };
	if (at >= 0)
		domain = span_from(sender, (size_t)at + 1);
	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	spf->origin = domain;
	for (size_t i = 0; i < domain.n; i++) {
		if ((unsigned char)domain.p[i] < 0x80)
			continue;
		if (domain_to_ascii(domain, &spf->names, NULL) == 0)
			spf->origin = buf_span(&spf->names);
		return;
	}
}

/* Section 4.3: a name of several labels. */
static bool is_checkable(struct span domain)
{
	return spf_name_is_askable(domain) && span_find(domain, '.') > 0 &&
	       domain.p[0] != '[';
}

void spf_check(const struct spf_query *query, struct spf_report *report)
{
	struct spf spf = { .query = query, .report = report };

	*report = (struct spf_report){ .result = SPF_NONE };
	buf_init(&report->trail, SPF_TRAIL_MAX);
	buf_init(&spf.names, 1024);
	set_ip(&spf, query->ip);
	set_sender(&spf);
	snprintf(report->domain, sizeof(report->domain), "%.*s",
	    (int)(spf.origin.n > 255 ? 255 : spf.origin.n),
	    spf.origin.n ? spf.origin.p : "");
	if (is_checkable(spf.origin))
		report->result = check_host(&spf, spf.origin, 0, false);
	else
		spf_why(&spf, "\"%s\" is not a domain that could have a record",
		    report->domain);
	if (report->result == SPF_NONE)
		spf_why(&spf, "%s has no SPF record", report->domain);
	buf_clear(&spf.names);
}

void spf_report_clear(struct spf_report *report)
{
	buf_clear(&report->trail);
}

void spf_add_address(struct span record, struct span ip, struct buf *out)
{
	union net_address address;
	char text[NET_TEXT_MAX] = "";

	if (net_from_bytes(ip, 0, &address) == 0)
		net_print_ip(&address, text);
	buf_printf(out, "v=spf1 %s:%s", ip.n == 4 ? "ip4" : "ip6", text);
	if (record.n > 6)
		buf_put_raw(out, span_from(record, 6));
	else
		buf_puts(out, " ~all");
}
