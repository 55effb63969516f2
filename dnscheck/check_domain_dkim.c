/* DKIM: the record of each selector in use, and whether it is the public half
 * of the private key. RFC 6376, RFC 8301 (lengths), RFC 8463.
 */
#include "dnscheck/domain.h"
#include "dnscheck/need.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

struct selected {
	const struct selector *selector;
	char name[DOMAIN_NAME_MAX * 2 + 12];
	const struct ask_answer *answer;
	struct span text;
	size_t count;
};

/* Any TXT record there is meant to be one: v= may be left out. */
static void look(struct run *run, struct selected *s)
{
	const struct ask_record *r;

	s->answer = ask(run->ask, span_of(s->name), ASK_TXT);
	if (s->answer->status != ASK_FOUND)
		return;
	for (r = ask_first(s->answer, ASK_TXT); r; r = ask_next(s->answer, r))
		if (s->count++ == 0)
			s->text = r->data;
}

static void expect_record(
    struct run *run, const struct selected *s, struct finding *f)
{
	struct buf text;

	f->status = FINDING_FAIL;
	f->remedy =
	    TEXT("%s, and nothing else there", domain_publisher(run, s->name));
	if (!s->selector->key) {
		f->remedy = TEXT("%s, with the public half of the key that "
				 "signs; --selector %s=KEY-FILE shows it",
		    domain_publisher(run, s->name), s->selector->name);
		f->record = domain_txt_record(run, s->name,
		    SPAN_LITERAL("v=DKIM1; k=rsa; p=YOUR-PUBLIC-KEY"));
		return;
	}
	buf_init(&text, DKIM_RECORD_MAX);
	dkim_record_print(s->selector->key, &text);
	f->record = domain_txt_record(run, s->name, buf_span(&text));
	buf_clear(&text);
}

static void judge_length(
    struct run *run, const struct dkim_record *record, struct finding *f)
{
	f->code = "dkim-short-key";
	f->status = record->key.bits < 1024 ? FINDING_FAIL : FINDING_WARN;
	f->found = TEXT("an RSA key of %u bits%s", record->key.bits,
	    record->key.bits < 1024 ? ": verifiers ignore it (RFC 8301)" : "");
	f->expected = "2048 bits";
	f->remedy = "make a new key, publish it below another selector, and "
		    "sign with that: openssl genrsa 2048";
	f->record = "";
}

static void judge_record(struct run *run, const struct selected *s,
    const struct dkim_record *record, struct finding *f)
{
	const struct dkim_key *own = s->selector->key;

	if (record->is_revoked) {
		f->code = "dkim-revoked";
		f->found = "its key is revoked: p= is empty";
		f->expected = "the key that signs";
		expect_record(run, s, f);
	} else if (own && !dkim_key_is_equal(own, &record->key)) {
		f->code = "dkim-other-key";
		f->found = "its key is not the public half of the private key";
		f->expected = "the same key";
		expect_record(run, s, f);
	} else if (record->key.kind == DKIM_RSA && record->key.bits < 2048) {
		judge_length(run, record, f);
	} else if (record->is_testing) {
		f->code = "dkim-testing";
		f->found = "t=y: verifiers treat it like no signature";
		f->expected = "the record without t=y";
		expect_record(run, s, f);
		f->status = FINDING_WARN;
	} else {
		f->code = "dkim-ok";
		f->found = TEXT("%s key of %u bits%s",
		    record->key.kind == DKIM_RSA ? "an RSA" : "an Ed25519",
		    record->key.bits, own ? ", that of the private key" : "");
	}
}

static void judge(struct run *run, const struct selected *s, struct finding *f)
{
	struct dkim_record *record;
	const char *why = "";

	if (!ask_is_known(s->answer)) {
		domain_unknown(run, "dkim-unknown", s->answer, f);
		return;
	}
	if (s->count != 1) {
		f->code = s->count ? "dkim-multiple" : "dkim-missing";
		f->found = s->count ? TEXT("%zu TXT records", s->count)
				    : "no TXT record";
		f->expected = "one record with the public key";
		expect_record(run, s, f);
		return;
	}
	record = need(malloc(sizeof(*record)));
	if (dkim_record_parse(s->text, record, &why) == 0) {
		judge_record(run, s, record, f);
	} else {
		f->code = "dkim-invalid";
		f->found = TEXT("its record cannot be used: %s", why);
		f->expected = "a record of RFC 6376";
		expect_record(run, s, f);
	}
	free(record);
}

void check_domain_dkim(struct run *run, void *arg)
{
	const struct domain *domain = arg;
	const struct domains *all = run->domains;
	struct finding none = { .code = "dkim-unknown",
		.status = FINDING_SKIP,
		.subject = domain->name,
		.found = "which selectors sign is not known",
		.remedy = "say which: --selector NAME[=KEY-FILE]" };

	for (size_t i = 0; i < all->nselectors; i++) {
		struct selected s = { .selector = &all->selectors[i] };
		struct finding f = { .subject = s.name };

		snprintf(s.name, sizeof(s.name), "%s._domainkey.%s",
		    s.selector->name, domain->name);
		look(run, &s);
		judge(run, &s, &f);
		run_found(run, NULL, &f);
	}
	if (all->nselectors == 0)
		run_found(run, NULL, &none);
}
