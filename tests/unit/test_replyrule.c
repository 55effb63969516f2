/* Patterns against the C library's regexec; built-in rules against replies as
 * the providers give them; the order of rules. */
#include "common/pattern.h"
#include "common/replyrule.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* --- patterns --------------------------------------------------------------*/

static bool matches(const char *pattern, const char *text)
{
	struct outcome why;
	struct pattern *p = pattern_new(pattern, &why);
	bool found;

	if (!p)
		fail_msg("%s: %s", pattern, why.detail);
	found = pattern_matches(p, span_of(text));
	pattern_free(p);
	return found;
}

static void patterns_match_what_they_say(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool found;
	} cases[] = {
		{ "", "", true },
		{ "", "x", true },
		{ "^4.. .*greylist", "451 4.7.1 Greylisted", true },
		{ "^4.. .*greylist", "550 greylist", false },
		{ "^4.. .*greylist", "x451 greylist", false },
		{ "GREY", "grey", true },
		{ "[A-C]x", "bX", true },
		{ "[^A-C]x", "bX", false },
		{ "^(ab|cd)+$", "abcdab", true },
		{ "^(ab|cd)+$", "abcda", false },
		{ "^(a|b|cc)?$", "cc", true },
		{ "^a{2,3}$", "a", false },
		{ "^a{2,3}$", "aa", true },
		{ "^a{2,3}$", "aaa", true },
		{ "^a{2,3}$", "aaaa", false },
		{ "^a{2}$", "aaa", false },
		{ "^a{2,}$", "aaaaa", true },
		{ "^a{0,1}b$", "b", true },
		{ "^(a{0}b){2}$", "bb", true },
		{ "^((a*)*)*$", "aaaa", true },
		{ "^a|b$", "xb", true },
		{ "^a|b$", "bx", false },
		{ "[[:digit:]]+\\.[]x]$", "12.]", true },
		{ "[a-]", "-", true },
		{ "\\[1\\.2\\]", "[1.2]", true },
		{ "\\w\\W\\s", "a- ", true },
		{ "$", "", true },
		{ "x$", "xy", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (matches(cases[i].pattern, cases[i].text) != cases[i].found)
			fail_msg("%s on %s", cases[i].pattern, cases[i].text);
}

static void bad_patterns_are_refused(void **state)
{
	static const char *const bad[] = { "(", "(a", ")", "a)", "[", "[a",
		"[]", "[^]", "*", "a|*", "(+)", "?a", "{2}", "a{", "a{x}",
		"a{2,1}", "a{256}", "a{2", "\\", "\\d", "\\1", "(a)\\1", "\\b",
		"\\<a", "[[:nix:]]", "[b-a]", "[X-b]", "[@-B]", "[[.a.]]",
		"[[=a=]]", "^*", "$+", "((((a{10}){10}){10}){10})",
		"((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))"
		"))))))" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct outcome why = { 0 };
		struct pattern *p = pattern_new(bad[i], &why);

		if (p)
			fail_msg("taken: %s", bad[i]);
		assert_true(strstr(why.detail, "(at byte ") != NULL);
	}
}

/* Random patterns and texts of few characters: what is accepted, the C
 * library accepts too, and finds the same. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void make_pattern(uint32_t *seed, char *to, size_t size)
{
	static const char *const words[] = { "a", "b", "A", "(", ")", "|", "*",
		"+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "[ab]", "[^a]",
		"[a-c]", "[[:alpha:]]", "[]a]", "[^]b]", "[A-z]", "[!-~]", ".",
		"^", "$", "\\.", "\\w", "\\W", "\\s", " ", "-", "[a-]", "{0}" };
	unsigned n = 1 + next_random(seed) % 8;

	to[0] = '\0';
	while (n-- > 0)
		strncat(to,
		    words[next_random(seed) % (sizeof(words) / sizeof(*words))],
		    size - strlen(to) - 1);
}

static void compare(uint32_t *seed, const struct pattern *p, const char *text)
{
	regex_t re;

	if (regcomp(&re, text, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
		fail_msg("the C library refuses %s", text);
	for (unsigned i = 0; i < 4; i++) {
		char sample[16];
		size_t n = next_random(seed) % 9;

		for (size_t k = 0; k < n; k++)
			sample[k] = "abcABC ._-]("[next_random(seed) % 12];
		sample[n] = '\0';
		if (pattern_matches(p, span_of(sample)) !=
		    (regexec(&re, sample, 0, NULL, 0) == 0))
			fail_msg("not the same: %s on %s", text, sample);
	}
	regfree(&re);
}

static void patterns_agree_with_the_c_library(void **state)
{
	uint32_t seed = 2026;
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		char text[128];
		struct outcome why;
		struct pattern *p;

		make_pattern(&seed, text, sizeof(text));
		p = pattern_new(text, &why);
		if (!p)
			continue;
		accepted++;
		compare(&seed, p, text);
		pattern_free(p);
	}
	assert_true(accepted > 2000);
}

/* What would take the C library seconds and hundreds of megabytes: here it
 * only has to come to an end. */
static void costly_patterns_end(void **state)
{
	static const char *const costly[] = { "(a|b)*a(a|b){100}c",
		"((a?){50}){19}c", "(x+x+)+y", "((((a*)*)*)*)*c",
		"((((((){255}){255}){255}){255}){255}){255}",
		"(.*){255}(.*){255}(.*){150}zz" };
	char text[REPLY_MAX + 1];

	(void)state;
	for (size_t i = 0; i < REPLY_MAX; i++)
		text[i] = "ab"[i * i / 3 % 2];
	text[REPLY_MAX] = '\0';
	alarm(60);
	for (size_t i = 0; i < sizeof(costly) / sizeof(*costly); i++)
		matches(costly[i], text);
	alarm(0);
}

/* --- rules -----------------------------------------------------------------*/

static struct replyrules *rules_of(struct conf_reply *replies, size_t n)
{
	struct conf conf = { .replies = replies, .nreplies = n };
	struct outcome why;
	struct replyrules *rules = replyrules_new(&conf, &why);

	if (!rules)
		fail_msg("%s", why.detail);
	return rules;
}

static const char *builtin_for(const char *reply)
{
	struct replyrules *rules = rules_of(NULL, 0);
	struct reply_verdict v =
	    replyrules_find(rules, span_of(reply), SPAN_LITERAL("example.org"));
	const struct reply_builtin *b = reply_builtin(v.rule);

	replyrules_free(rules);
	return b ? b->name : "";
}

static void providers_replies_are_known(void **state)
{
	static const struct {
		const char *rule, *reply;
	} cases[] = {
		{ "gmail-rate-us",
		    "421 4.7.28 [192.0.2.1 15] Our system has detected an "
		    "unusual rate of / unsolicited mail originating from your "
		    "IP address. - gsmtp" },
		{ "gmail-rate-recipient",
		    "450 4.2.1 The user you are trying to contact is receiving "
		    "mail too quickly. / Please resend your message at a later "
		    "time. - gsmtp" },
		{ "outlook-busy",
		    "451 4.7.500 Server busy. Please try again later from "
		    "[192.0.2.1]. (S77719)" },
		{ "outlook-busy",
		    "451 4.7.650 The mail server [192.0.2.1] has been "
		    "temporarily rate limited due to IP reputation." },
		{ "outlook-rate",
		    "421 RP-001 (BAY004-MC1F1) Unfortunately, some messages "
		    "from 192.0.2.1 weren't sent." },
		{ "outlook-blocked",
		    "550 5.7.1 Unfortunately, messages from [192.0.2.1] "
		    "weren't sent. Please contact your Internet service "
		    "provider since part of their network is on our block list "
		    "(S3150)." },
		{ "yahoo-deferred",
		    "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily "
		    "deferred due to unexpected volume or user complaints - "
		    "4.16.55.1" },
		{ "yahoo-blocked",
		    "553 5.7.1 [BL21] Connections will not be accepted from "
		    "192.0.2.1, because the ip is in Spamhaus's list" },
		{ "no-reverse-name",
		    "450 4.7.25 Client host rejected: cannot find your "
		    "hostname, [192.0.2.1]" },
		{ "no-reverse-name",
		    "550 5.7.25 [192.0.2.1] The IP address sending this "
		    "message does not have a / PTR record setup" },
		{ "blocklist",
		    "554 5.7.1 Service unavailable; Client host [192.0.2.1] "
		    "blocked using zen.spamhaus.org" },
		{ "blocklist", "550 5.7.1 Rejected: 2001:db8::25 is listed at "
			       "bl.spamcop.net" },
		{ "blocklist",
		    "550 http://www.barracudanetworks.com/reputation/?pr=1&"
		    "ip=192.0.2.1" },
		{ "blocklist", "554 RBL: 192.0.2.1 is listed" },
		{ "blocklist", "554 192.0.2.1 is on our blacklist" },
		{ "blocklist", "550 45.0.2.1 is listed by Spamhaus" },
		{ "blocklist", "550 Spamhaus lists 45.0.2.1" },
		{ "ipv6-policy",
		    "550 5.7.1 [2001:db8::25] Our system has detected that "
		    "this message does not meet IPv6 sending guidelines" },
		{ "ipv6-policy", "550 IPv6 mail is not accepted here" },
		{ "mailbox-full-for-good", "552 5.2.2 Mailbox full" },
		{ "mailbox-full-for-good",
		    "552 Requested mail action aborted: exceeded storage "
		    "allocation" },
		{ "mailbox-full",
		    "452 4.2.2 The email account that you tried to reach is "
		    "over quota." },
		{ "mailbox-full", "450 mailbox is full" },
		{ "greylist",
		    "451 4.7.1 Greylisting in action, please come back later" },
		{ "greylist", "450 4.2.0 <x@y>: Recipient address rejected: "
			      "Graylisted" },
		{ "rate", "451 4.7.1 Rate limit exceeded" },
		{ "rate", "450 4.7.1 Error: too much mail from 192.0.2.1" },
		/* as they are */
		{ "", "550 5.1.1 <a@example.org>: no such user" },
		{ "", "552 5.3.4 Message too big" },
		{ "", "552 too many recipients" },
		{ "", "451 4.3.0 temporary failure" },
		{ "", "421 4.4.2 timeout" },
		{ "", "550 5.7.1 URL in the message is listed by SURBL" },
		{ "", "550 5.1.1 <greylist@example.org> unknown" },
		{ "", "550 5.1.1 <rbl@example.org> [192.0.2.1] unknown" },
		{ "", "550 5.1.1 <ipv6@example.org>: Recipient address "
		      "rejected: User unknown" },
		{ "", "550 joe@marbles.example is not here, says 192.0.2.1" },
		{ "", "250 2.0.0 greylist" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (strcmp(builtin_for(cases[i].reply), cases[i].rule) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", cases[i].reply,
			    builtin_for(cases[i].reply), cases[i].rule);
}

static void builtin_rules_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; reply_builtins[i].name; i++) {
		const struct reply_builtin *b = &reply_builtins[i];

		assert_true(b->pattern[0] == '^');
		assert_true(b->action > REPLY_AS_IS && b->action < REPLY_RELAY);
		assert_true(strlen(b->why) > 10 && strlen(b->name) < 32);
		assert_true(b->after_s > 0 || b->action == REPLY_BOUNCE);
		assert_ptr_equal(reply_builtin_named(span_of(b->name)), b);
	}
}

static void the_first_that_fits(void **state)
{
	struct conf_reply replies[] = {
		{ { "/etc/o/outpost.conf", 3 }, "^451", "example.net",
		    "next-host", 0 },
		{ { "/etc/o/outpost.conf", 4 }, "grey", "*.example.org",
		    "bounce", 0 },
		{ { "/etc/o/outpost.conf", 5 }, "^451 .*grey", NULL,
		    "relay:isp", 0 },
	};
	struct conf conf = { .replies = replies, .nreplies = 3 };
	static const struct {
		const char *reply, *domain;
		uint16_t rule;
		uint8_t action;
	} cases[] = {
		{ "451 greylisted", "example.net", 1, REPLY_NEXT_HOST },
		{ "451 greylisted", "EXAMPLE.NET", 1, REPLY_NEXT_HOST },
		{ "451 greylisted", "a.example.org", 2, REPLY_BOUNCE },
		{ "451 greylisted", "example.org", 3, REPLY_RELAY },
		{ "551 greylisted", "example.org", 0, REPLY_AS_IS },
	};
	struct replyrules *rules = rules_of(replies, 3);
	char text[REPLY_RULE_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct reply_verdict v = replyrules_find(
		    rules, span_of(cases[i].reply), span_of(cases[i].domain));

		assert_int_equal(v.rule, cases[i].rule);
		assert_int_equal(v.action, cases[i].action);
	}
	assert_string_equal(replyrule_relay(&conf, 3), "isp");
	assert_null(replyrule_relay(&conf, 2));
	assert_null(replyrule_relay(&conf, 4));
	replyrule_print(&conf, 2, text);
	assert_string_equal(text, "outpost.conf:4");
	replyrule_print(&conf, REPLY_RULE_BUILTIN + 1, text);
	assert_string_equal(text, reply_builtins[0].name);
	replyrule_print(&conf, REPLY_RULE_BUILTIN + 500, text);
	assert_string_equal(text, "");
	replyrules_free(rules);
}

static void a_reply_is_found_behind_its_step(void **state)
{
	static const struct {
		const char *reason, *reply;
	} cases[] = {
		{ "banner: 554 no", "554 no" },
		{ "the server closes: 421 x", "421 x" },
		{ "451 4.7.1 a: 250 b", "451 4.7.1 a: 250 b" },
		{ "connect: refused", "connect: refused" },
		{ "", "" },
		{ "banner: ", "banner: " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct span got = replyrule_text(span_of(cases[i].reason));

		assert_int_equal(got.n, strlen(cases[i].reply));
		assert_memory_equal(got.p, cases[i].reply, got.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_what_they_say),
		cmocka_unit_test(bad_patterns_are_refused),
		cmocka_unit_test(patterns_agree_with_the_c_library),
		cmocka_unit_test(costly_patterns_end),
		cmocka_unit_test(providers_replies_are_known),
		cmocka_unit_test(builtin_rules_are_whole),
		cmocka_unit_test(the_first_that_fits),
		cmocka_unit_test(a_reply_is_found_behind_its_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
