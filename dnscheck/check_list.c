/* Blocklists in the DNS: addresses, and domains, that receivers look up there.
 * RFC 5782: an entry is an A record in 127.0.0.0/8; a list proves that it works
 * by its test entries: 127.0.0.2 (::FFFF:7F00:2, TEST) is listed, 127.0.0.1
 * (::FFFF:7F00:1, INVALID) is not. What fails that, or answers with an error
 * code in 127.255.255.0/24, says nothing.
 */
#include "dnscheck/checks.h"
#include "dnscheck/domain.h"
#include "dnscheck/need.h"

#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { LIST_NAME_MAX = 600 };

enum list_kind { LIST_V4 = 0, LIST_V6, LIST_DOMAIN };

enum list_answer {
	ANSWER_NO = 0, /* not listed */
	ANSWER_LISTED,
	ANSWER_ERROR,	/* a code that is no entry */
	ANSWER_UNKNOWN, /* the DNS failed */
};

struct listing {
	enum list_answer answer;
	const struct ask_answer *dns;
	char code[NET_TEXT_MAX]; /* the first address */
};

/* Every address of the answer is judged: one error code spoils all. */
static enum list_answer judge_codes(
    const struct ask_answer *dns, char code[NET_TEXT_MAX])
{
	const struct ask_record *r = ask_first(dns, ASK_A);

	if (!r)
		return ANSWER_NO;
	ask_address_text(r, code);
	for (; r; r = ask_next(dns, r)) {
		const unsigned char *a = (const unsigned char *)r->data.p;
		bool is_error = a[0] != 127 || (a[1] == 255 && a[2] == 255) ||
				(a[1] == 0 && a[2] == 0 && a[3] <= 1);

		if (!is_error)
			continue;
		ask_address_text(r, code);
		return ANSWER_ERROR;
	}
	return ANSWER_LISTED;
}

static struct listing look(struct run *run, const char *entry, const char *list)
{
	char name[LIST_NAME_MAX];
	struct listing l = { .answer = ANSWER_NO };

	snprintf(name, sizeof(name), "%s.%s", entry, list);
	l.dns = ask(run->ask, span_of(name), ASK_A);
	if (l.dns->status == ASK_FOUND)
		l.answer = judge_codes(l.dns, l.code);
	else if (!ask_is_known(l.dns))
		l.answer = ANSWER_UNKNOWN;
	return l;
}

/* "2.0.0.127" of an address. */
static void entry_of(struct span address, char entry[ASK_REVERSE_MAX])
{
	char *end;

	ask_reverse_name(address, entry);
	end = strstr(entry, address.n == 4 ? ".in-addr.arpa" : ".ip6.arpa");
	if (end)
		*end = '\0';
}

/* --- does the list work --------------------------------------------------- */

static void test_entries(enum list_kind kind, char listed[ASK_REVERSE_MAX],
    char unlisted[ASK_REVERSE_MAX])
{
	static const char mapped[16] = "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\2";
	char never[16];
	size_t skip = kind == LIST_V4 ? 12 : 0;

	memcpy(never, mapped, sizeof(never));
	never[15] = 1;
	if (kind == LIST_DOMAIN) {
		snprintf(listed, ASK_REVERSE_MAX, "test");
		snprintf(unlisted, ASK_REVERSE_MAX, "invalid");
		return;
	}
	entry_of((struct span){ mapped + skip, 16 - skip }, listed);
	entry_of((struct span){ never + skip, 16 - skip }, unlisted);
}

/* false: it says nothing; *f says why. */
static bool is_usable(
    struct run *run, const char *list, enum list_kind kind, struct finding *f)
{
	char listed[ASK_REVERSE_MAX], unlisted[ASK_REVERSE_MAX];
	struct listing yes, no;

	test_entries(kind, listed, unlisted);
	yes = look(run, listed, list);
	no = look(run, unlisted, list);
	if (yes.answer == ANSWER_UNKNOWN || no.answer == ANSWER_UNKNOWN) {
		domain_unknown(run, "list-unknown",
		    yes.answer == ANSWER_UNKNOWN ? yes.dns : no.dns, f);
		return false;
	}
	f->code = "list-unusable";
	f->status = FINDING_SKIP;
	f->expected = "an answer for its test entries (RFC 5782 section 5)";
	f->remedy = "take it out of the lists, or ask it by a resolver of your "
		    "own: many refuse public ones";
	if (yes.answer == ANSWER_ERROR)
		f->found = TEXT("%s answers %s for its test entry: not an "
				"entry, but an error",
		    list, yes.code);
	else if (yes.answer == ANSWER_NO)
		f->found = TEXT("%s does not have its test entry: it is dead, "
				"or refuses this resolver",
		    list);
	else if (no.answer != ANSWER_NO)
		f->found = TEXT("%s lists what is never listed (%s): it lists "
				"everything",
		    list, no.dns->name.p);
	else
		return true;
	return false;
}

/* --- entries -------------------------------------------------------------- */

static const char *reason_of(struct run *run, const struct ask_answer *dns)
{
	const struct ask_answer *txt = ask(run->ask, dns->name, ASK_TXT);
	const struct ask_record *r = ask_first(txt, ASK_TXT);

	if (txt->status != ASK_FOUND || !r)
		return "";
	return TEXT(
	    ": %.*s", r->data.n > 300 ? 300 : (int)r->data.n, r->data.p);
}

static void judge(struct run *run, const char *list, enum list_kind kind,
    const char *entry, struct finding *f)
{
	struct listing l;

	if (!is_usable(run, list, kind, f))
		return;
	*f = (struct finding){ .subject = f->subject };
	l = look(run, entry, list);
	switch (l.answer) {
	case ANSWER_UNKNOWN:
		domain_unknown(run, "list-unknown", l.dns, f);
		return;
	case ANSWER_ERROR:
		f->code = "list-unusable";
		f->status = FINDING_SKIP;
		f->found = TEXT(
		    "%s answers %s: not an entry, but an error", list, l.code);
		f->expected = "an address in 127.0.0.0/8, or none";
		f->remedy = "ask it by a resolver of your own: many refuse "
			    "public ones";
		return;
	case ANSWER_LISTED:
		f->code = "list-listed";
		f->status = FINDING_FAIL;
		f->found = TEXT("listed by %s as %s%s", list, l.code,
		    reason_of(run, l.dns));
		f->expected = "no entry";
		f->remedy = TEXT("find out what was sent from here, stop that, "
				 "then ask %s to remove it",
		    list);
		return;
	default:
		f->code = "list-ok";
		f->found = TEXT("not listed by %s", list);
	}
}

static void check_address(struct run *run, const struct place *place,
    const char *list, const struct finding *about)
{
	struct finding f = *about;
	char entry[ASK_REVERSE_MAX];
	union net_address a;

	if (net_parse(span_of(place->external), 0, &a) < 0)
		return;
	entry_of(net_bytes(&a), entry);
	judge(run, list, place->is_v6 ? LIST_V6 : LIST_V4, entry, &f);
	run_found(run, place, &f);
}

static void check_list(struct run *run, void *arg)
{
	const char *list = arg;
	bool is_domains = strncmp(list, "domain:", 7) == 0;
	const char *name = is_domains ? list + 7 : list;
	struct finding about = { .subject = "" }, f;

	for (size_t i = 0; !is_domains && i < run->nplaces; i++) {
		const struct place *p = &run->places[i];

		about.subject = p->external;
		if (!p->is_relayed && p->external[0])
			check_address(run, p, name, &about);
	}
	for (size_t i = 0; is_domains && i < run->domains->count; i++) {
		f = (struct finding){ .subject = run->domains->items[i].name };
		judge(run, name, LIST_DOMAIN, f.subject, &f);
		run_found(run, NULL, &f);
	}
}

void list_plan(struct run *run)
{
	const struct run_options *o = run->options;
	const struct strings *lists = &run->conf->dnscheck.lists;

	if (o->mode != RUN_NODE && o->mode != RUN_DOMAIN)
		return;
	for (size_t i = 0; i < o->nlists; i++)
		run_add(run, check_list, (char *)o->lists[i]);
	for (size_t i = 0; o->nlists == 0 && i < lists->count; i++)
		run_add(run, check_list, lists->items[i]);
}
