/* sasl*.c, login.c: the mechanisms with the examples of their RFCs, and what
 * servers get that do not keep to them. */
#include "remote/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct sasl_binding no_binding;

struct talk {
	struct login login;
	struct sasl sasl;
	struct buf out;
	struct outcome why;
};

static void begin_at(struct talk *t, enum sasl_id id, const char *user,
    const char *secret, const char *nonce, const struct sasl_binding *binding)
{
	t->login =
	    (struct login){ .user = span_of(user), .secret = span_of(secret) };
	t->sasl = (struct sasl){ .login = &t->login,
		.host = SPAN_LITERAL("server.example.com"),
		.port = 143,
		.binding = binding };
	snprintf(t->sasl.nonce, sizeof(t->sasl.nonce), "%s", nonce);
	buf_init(&t->out, SASL_RESPONSE_MAX);
	assert_int_equal(sasl_init(&t->sasl, id), 0);
}

static void begin(
    struct talk *t, enum sasl_id id, const char *user, const char *secret)
{
	begin_at(t, id, user, secret, "", &no_binding);
}

static void end(struct talk *t)
{
	sasl_clear(&t->sasl);
	buf_clear(&t->out);
}

static int hear(struct talk *t, const char *challenge)
{
	buf_reset(&t->out);
	return sasl_respond(&t->sasl, span_of(challenge), &t->out, &t->why);
}

static void expect(struct talk *t, const char *challenge, const char *response)
{
	assert_int_equal(hear(t, challenge), SASL_OK);
	assert_string_equal(buf_text(&t->out), response);
}

/* RFC 4616 section 4 */
static void test_plain(void **state)
{
	static const char wanted[] = "\0tim\0tanstaaftanstaaf";
	struct talk t;

	(void)state;
	begin(&t, SASL_PLAIN, "tim", "tanstaaftanstaaf");
	assert_int_equal(hear(&t, ""), SASL_OK);
	assert_int_equal(t.out.len, sizeof(wanted) - 1);
	assert_memory_equal(t.out.data, wanted, sizeof(wanted) - 1);
	assert_true(t.sasl.has_sent_secret && t.sasl.is_proven);
	assert_int_equal(hear(&t, ""), SASL_UNUSABLE);
	end(&t);
	begin(&t, SASL_PLAIN, "tim", "x");
	assert_int_equal(hear(&t, "Password:"), SASL_UNUSABLE);
	assert_false(t.sasl.has_sent_secret);
	end(&t);
}

static void test_login(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, SASL_LOGIN, "me@example.com", "a b#c:d");
	expect(&t, "Username:", "me@example.com");
	assert_false(t.sasl.has_sent_secret);
	expect(&t, "Password:", "a b#c:d");
	assert_true(t.sasl.has_sent_secret);
	assert_int_equal(hear(&t, "Again:"), SASL_UNUSABLE);
	end(&t);
}

/* RFC 2195 section 2 */
static void test_cram_md5(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, SASL_CRAM_MD5, "tim", "tanstaaftanstaaf");
	expect(&t, "<1896.697170952@postoffice.reston.mci.net>",
	    "tim b913a602c7eda7a495b4e6e7334d3890");
	assert_int_equal(hear(&t, "<2>"), SASL_UNUSABLE);
	end(&t);
	begin(&t, SASL_CRAM_MD5, "tim", "x");
	assert_int_equal(hear(&t, ""), SASL_UNUSABLE);
	end(&t);
}

static const unsigned char exported[32] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
	11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
	29, 30, 31 };

/* The last two were made with Python's hashlib and hmac. */
static const struct scram_case {
	enum sasl_id id;
	const char *user, *password, *nonce;
	bool is_plus_known;
	const char *client_first, *server_first, *client_final, *server_final;
} scram_cases[] = {
	/* RFC 5802 section 5 */
	{ SASL_SCRAM_SHA1, "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL", false,
	    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	    "s=QSXCR+Q6sek8bf92,i=4096",
	    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	    "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	/* RFC 7677 section 3 */
	{ SASL_SCRAM_SHA256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO", false,
	    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
	{ SASL_SCRAM_SHA256_PLUS, "a=b,c@example.com",
	    "pass word#:", "abcdefghijklmnop", false,
	    "p=tls-exporter,,n=a=3Db=2Cc@example.com,r=abcdefghijklmnop",
	    "r=abcdefghijklmnopQRSTUV,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=5000",
	    "c="
	    "cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f,"
	    "r=abcdefghijklmnopQRSTUV,"
	    "p=EYl5I4tIPQl3cp0Y0LghC7DXltG/g+sD2Blv1yNQ6Gc=",
	    "v=+/cM/zvYQBG1cEjiITtBJKZ+mti97V0t5gsqjQkT6MI=" },
	{ SASL_SCRAM_SHA1, "user", "pencil", "abcdefghijklmnop", true,
	    "y,,n=user,r=abcdefghijklmnop",
	    "r=abcdefghijklmnopQRSTUV,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096",
	    "c=eSws,r=abcdefghijklmnopQRSTUV,p=0IVSZluVryUI67NeVH4NrtiM7Zs=",
	    "v=o5LHObKeDJGFL3JobsW1GfoLFvk=" },
};

static void begin_scram(
    struct talk *t, const struct scram_case *c, struct sasl_binding *binding)
{
	*binding = (struct sasl_binding){ .type = "tls-exporter",
		.n = sizeof(exported) };
	memcpy(binding->data, exported, sizeof(exported));
	begin_at(t, c->id, c->user, c->password, c->nonce, binding);
	t->sasl.is_plus_known = c->is_plus_known;
	expect(t, "", c->client_first);
}

static void test_scram(void **state)
{
	struct sasl_binding binding;
	struct talk t;

	(void)state;
	for (size_t i = 0; i < sizeof(scram_cases) / sizeof(*scram_cases);
	     i++) {
		const struct scram_case *c = &scram_cases[i];

		begin_scram(&t, c, &binding);
		assert_false(t.sasl.has_sent_secret);
		expect(&t, c->server_first, c->client_final);
		assert_true(t.sasl.has_sent_secret);
		assert_false(t.sasl.is_proven);
		expect(&t, c->server_final, "");
		assert_true(t.sasl.is_proven);
		assert_int_equal(hear(&t, "v=AAAA"), SASL_UNUSABLE);
		end(&t);
	}
}

#define NONCE "fyko+d2lbbFgONRv9qkxdawL"

/* Nothing made from the password goes to a server that asks so. */
static void test_scram_bad_first(void **state)
{
	static const char *const challenges[] = {
		"",
		"r=other,s=QSXCR+Q6sek8bf92,i=4096",
		"r=" NONCE
		",s=QSXCR+Q6sek8bf92,i=4096", /* no part of its own */
		"r=" NONCE "x,s=,i=4096",
		"r=" NONCE "x,s=!!!!,i=4096",
		"r=" NONCE "x,i=4096,s=QSXCR+Q6sek8bf92",
		"r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4095",
		"r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=1000001",
		"r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=99999999999999999999",
		"r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=-1",
		"r=" NONCE "x,s=QSXCR+Q6sek8bf92",
		"R=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4096",
		"m=new,r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4096",
		"e=unknown-user",
		"r=" NONCE "x y,s=QSXCR+Q6sek8bf92,i=4096",
	};
	struct sasl_binding binding;
	struct talk t;

	(void)state;
	for (size_t i = 0; i < sizeof(challenges) / sizeof(*challenges); i++) {
		begin_scram(&t, &scram_cases[0], &binding);
		assert_int_equal(hear(&t, challenges[i]), SASL_UNUSABLE);
		assert_false(t.sasl.has_sent_secret || t.sasl.is_proven);
		end(&t);
	}
}

static void test_scram_bad_final(void **state)
{
	static const struct {
		const char *final;
		int status;
	} cases[] = {
		{ "", SASL_STOP },
		{ "v=", SASL_STOP },
		{ "v=rmF9pqV8S7suAoZWja4dJRkFsKA=", SASL_STOP },
		{ "v=rmF9pqV8S7suAoZWja4dJRkFsK", SASL_STOP },
		{ "x=rmF9pqV8S7suAoZWja4dJRkFsKQ=", SASL_STOP },
		{ "e=invalid-proof", SASL_STOP },
		{ "e=channel-bindings-dont-match", SASL_STOP },
		{ "e=unsupported-channel-binding-type", SASL_UNUSABLE },
		{ "e=channel-binding-not-supported", SASL_UNUSABLE },
	};
	struct sasl_binding binding;
	struct talk t;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		begin_scram(&t, &scram_cases[0], &binding);
		assert_int_equal(
		    hear(&t, scram_cases[0].server_first), SASL_OK);
		assert_int_equal(hear(&t, cases[i].final), cases[i].status);
		assert_false(t.sasl.is_proven);
		end(&t);
	}
}

/* Two exchanges never have the same nonce. */
static void test_nonce(void **state)
{
	struct talk a, b;

	(void)state;
	begin(&a, SASL_SCRAM_SHA1, "u", "p");
	begin(&b, SASL_SCRAM_SHA1, "u", "p");
	assert_int_equal(strlen(a.sasl.nonce), 24);
	assert_string_not_equal(a.sasl.nonce, b.sasl.nonce);
	end(&a);
	end(&b);
}

/* RFC 7628 section 4.1; and its error, section 4.3 */
static void test_oauthbearer(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, SASL_OAUTHBEARER, "user@example.com",
	    "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
	expect(&t, "",
	    "n,a=user@example.com,\001host=server.example.com\001port=143\001"
	    "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001\001");
	expect(&t, "{\"status\":\"invalid_token\",\"scope\":\"example_scope\"}",
	    "\001");
	assert_int_equal(t.sasl.refusal.verdict, VERDICT_TEMP);
	assert_string_equal(t.sasl.refusal.detail, "status invalid_token");
	assert_int_equal(hear(&t, "more"), SASL_UNUSABLE);
	end(&t);
}

static void test_xoauth2(void **state)
{
	static const char *const errors[] = { "", "{", "\"status\"",
		"\"status\":\"", "{\"status\":401}" };
	struct talk t;

	(void)state;
	begin(
	    &t, SASL_XOAUTH2, "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3");
	expect(&t, "",
	    "user=someuser@example.com\001auth=Bearer "
	    "ya29.vF9dft4qmTc2Nvb3\001\001");
	expect(&t,
	    "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":"
	    "\"https://mail.google.com/\"}",
	    "");
	assert_string_equal(t.sasl.refusal.detail, "status 401");
	end(&t);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		begin(&t, SASL_XOAUTH2, "u", "token");
		assert_int_equal(hear(&t, ""), SASL_OK);
		assert_int_equal(hear(&t, errors[i]), SASL_OK);
		assert_int_equal(t.out.len, 0);
		end(&t);
	}
}

/* ^A would end the field. */
static void test_bad_token(void **state)
{
	static const char *const tokens[] = { "", "a b", "a\001b", "a\nb",
		"\303\244" };
	struct talk t;

	(void)state;
	for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
		begin(&t, SASL_XOAUTH2, "u", tokens[i]);
		assert_int_equal(hear(&t, ""), SASL_UNUSABLE);
		assert_false(t.sasl.has_sent_secret);
		end(&t);
	}
}

static void test_external(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, SASL_EXTERNAL, "fred@example.com", "");
	expect(&t, "", "fred@example.com");
	assert_int_equal(hear(&t, ""), SASL_UNUSABLE);
	end(&t);
}

static void test_base64(void **state)
{
	static const struct {
		const char *text, *bytes; /* NULL: refused */
	} cases[] = {
		{ "", "" },
		{ "Zg==", "f" },
		{ "Zm8=", "fo" },
		{ "Zm9v", "foo" },
		{ "Zm9vYmFy", "foobar" },
		{ "Zg=", NULL },
		{ "Zg", NULL },
		{ "Zh==", NULL },
		{ "Zm9=", NULL },
		{ "====", NULL },
		{ "Z===", NULL },
		{ "Zg==Zg==", NULL },
		{ "Zm9v\n", NULL },
		{ "Zm 9", NULL },
		{ "Zm-_", NULL },
	};
	struct buf out;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		buf_init(&out, 100);
		assert_int_equal(base64_get(&out, span_of(cases[i].text)),
		    cases[i].bytes ? 0 : -1);
		if (cases[i].bytes)
			assert_string_equal(buf_text(&out), cases[i].bytes);
		buf_reset(&out);
		if (cases[i].bytes) {
			base64_put(&out, span_of(cases[i].bytes));
			assert_string_equal(buf_text(&out), cases[i].text);
		}
		buf_clear(&out);
	}
}

static uint32_t of(const char *words)
{
	struct span rest = span_of(words);
	uint32_t set = 0;

	while (rest.n > 0)
		set |= SASL_BIT(sasl_named(span_cut(&rest, ' ')));
	return set;
}

static void test_choice(void **state)
{
	static const struct sasl_binding bound = { .type = "tls-exporter",
		.n = 32 };
	const uint32_t all = SASL_BIT(SASL_COUNT) - 1;
	struct login l = { .user = SPAN_LITERAL("u"),
		.secret = SPAN_LITERAL("p") };

	(void)state;
	assert_int_equal(login_mechanisms(&l, all, &no_binding),
	    of("SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN"));
	assert_int_equal(login_mechanisms(&l, all, &bound),
	    of("SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 "
	       "CRAM-MD5 PLAIN LOGIN"));
	assert_int_equal(
	    login_mechanisms(&l, of("plain xoauth2"), &bound), of("PLAIN"));
	l.mechanisms = SPAN_LITERAL("LOGIN scram-sha-1");
	assert_int_equal(
	    login_mechanisms(&l, all, &bound), of("LOGIN SCRAM-SHA-1"));
	assert_false(login_may_bind(&l, &bound));
	assert_int_equal(login_mechanisms(&l, of("PLAIN"), &bound), 0);
	l.mechanisms = (struct span){ NULL, 0 };
	assert_true(login_may_bind(&l, &bound));
	assert_false(login_may_bind(&l, &no_binding));
	l.is_token = true;
	assert_int_equal(
	    login_mechanisms(&l, all, &bound), of("XOAUTH2 OAUTHBEARER"));
	l.is_token = false;
	l.secret.n = 0; /* a user without a password */
	assert_true(login_mechanisms(&l, all, &bound) & of("PLAIN"));
	l.certificate = SPAN_LITERAL("PEM");
	assert_int_equal(login_mechanisms(&l, all, &bound), of("EXTERNAL"));
}

static void test_is_in(void **state)
{
	struct login l = { .user = SPAN_LITERAL("tim"),
		.secret = SPAN_LITERAL("tanstaaf") };

	(void)state;
	assert_true(login_is_in(&l, SPAN_LITERAL("bad password tanstaaf!")));
	assert_true(login_is_in(&l, SPAN_LITERAL("535 dGFuc3RhYWY=")));
	assert_true(login_is_in(&l, SPAN_LITERAL("535 AHRpbQB0YW5zdGFhZg==")));
	assert_false(login_is_in(&l, SPAN_LITERAL("535 bad password of tim")));
	assert_false(login_is_in(&l, SPAN_LITERAL("")));
	l.secret.n = 0;
	assert_false(login_is_in(&l, SPAN_LITERAL("535 no")));
}

static void test_wipe(void **state)
{
	char text[] = "secretkey";
	struct login l = { .secret = { text, 6 }, .key = { text + 6, 3 } };

	(void)state;
	login_wipe(&l);
	assert_memory_equal(text, "\0\0\0\0\0\0\0\0\0", 9);
	assert_int_equal(l.secret.n + l.key.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_cram_md5),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_scram_bad_first),
		cmocka_unit_test(test_scram_bad_final),
		cmocka_unit_test(test_nonce),
		cmocka_unit_test(test_oauthbearer),
		cmocka_unit_test(test_xoauth2),
		cmocka_unit_test(test_bad_token),
		cmocka_unit_test(test_external),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_is_in),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
