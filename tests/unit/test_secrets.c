/* secrets.c: what the runner keeps of the relays' logins. */
#include "runner/secrets.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char *words[] = { (char *)"/usr/bin/token", (char *)"PLAIN",
	(char *)"SCRAM-SHA-256" };

static struct conf_relay by_password = { .name = (char *)"isp",
	.user = (char *)"me",
	.tls = -1,
	.mechanisms = { words + 1, 2 } };
static struct conf_relay by_token = { .name = (char *)"cloud",
	.user = (char *)"me",
	.tls = TLS_NONE,
	.token_command = { words, 1 } };
static struct conf_relay without = { .name = (char *)"open", .tls = -1 };

static void take(struct secrets *s, const char *relay, const char *secret)
{
	struct relay_secret x = { .relay = span_of(relay),
		.secret = span_of(secret),
		.certificate = SPAN_LITERAL("certificate"),
		.key = SPAN_LITERAL("key") };

	assert_int_equal(secrets_take(s, &x), 0);
}

static void take_token(struct secrets *s, const char *token, uint64_t now)
{
	struct relay_secret x = { .relay = SPAN_LITERAL("cloud"),
		.secret = span_of(token) };

	if (!token)
		outcome_temp(&x.outcome, "4.7.0", "token-command: no");
	assert_int_equal(secrets_take_token(s, &x, now), 0);
}

static bool is_equal(struct span s, const char *text)
{
	return span_is_equal(s, span_of(text));
}

static void test_password(void **state)
{
	struct secrets *s = secrets_new();
	struct outcome why;
	struct login l;

	(void)state;
	assert_int_equal(secrets_login(s, &by_password, &l, &why), -1);
	take(s, "isp", "a b#c");
	assert_int_equal(secrets_login(s, &by_password, &l, &why), 0);
	assert_true(is_equal(l.user, "me") && is_equal(l.secret, "a b#c"));
	assert_true(is_equal(l.certificate, "certificate"));
	assert_true(is_equal(l.key, "key"));
	assert_true(is_equal(l.mechanisms, "PLAIN SCRAM-SHA-256"));
	assert_false(l.is_token || l.may_be_clear);
	assert_false(secrets_wants_token(s, &by_password, 0));
	assert_false(secrets_refused_token(s, &by_password));
	/* the next one takes its place */
	take(s, "isp", "");
	assert_int_equal(secrets_login(s, &by_password, &l, &why), 0);
	assert_int_equal(l.secret.n, 0);
	secrets_free(s);
}

static void test_none(void **state)
{
	struct secrets *s = secrets_new();
	struct outcome why;
	struct login l;

	(void)state;
	assert_int_equal(secrets_login(s, &without, &l, &why), 0);
	assert_int_equal(l.user.n + l.secret.n + l.certificate.n, 0);
	assert_int_equal(secrets_login(s, NULL, &l, &why), 0);
	assert_false(secrets_wants_token(s, NULL, 0));
	secrets_free(s);
	secrets_free(NULL);
}

static void test_missing(void **state)
{
	struct secrets *s = secrets_new();
	struct relay_secret bad = { .relay = SPAN_LITERAL("isp") };
	struct outcome why;
	struct login l;

	(void)state;
	take(s, "isp", "old");
	outcome_temp(&bad.outcome, "4.7.0", "others can read it");
	assert_int_equal(secrets_take(s, &bad), 0);
	assert_int_equal(secrets_login(s, &by_password, &l, &why), -1);
	assert_string_equal(why.detail, "others can read it");
	secrets_free(s);
}

static void test_token(void **state)
{
	struct secrets *s = secrets_new();
	struct outcome why;
	struct login l;

	(void)state;
	take_token(s, "early", 5); /* of no relay that is known */
	take(s, "cloud", "");
	assert_true(secrets_wants_token(s, &by_token, 5));
	assert_int_equal(secrets_login(s, &by_token, &l, &why), -1);
	take_token(s, "one", 1000);
	assert_false(secrets_wants_token(s, &by_token, 1000 + TOKEN_MS - 1));
	assert_true(secrets_wants_token(s, &by_token, 1000 + TOKEN_MS));
	assert_int_equal(secrets_login(s, &by_token, &l, &why), 0);
	assert_true(is_equal(l.secret, "one") && l.is_token && l.may_be_clear);
	/* refused: another one, once; whoever comes second waits for it too */
	assert_true(secrets_refused_token(s, &by_token));
	assert_true(secrets_wants_token(s, &by_token, 1001));
	assert_true(secrets_refused_token(s, &by_token));
	take_token(s, "two", 1002);
	assert_false(secrets_refused_token(s, &by_token));
	assert_true(secrets_wants_token(s, &by_token, 1003));
	take_token(s, "three", 1004);
	assert_false(secrets_refused_token(s, &by_token));
	take_token(s, "four", 1005);
	secrets_accepted(s, &by_token);
	assert_true(secrets_refused_token(s, &by_token));
	take_token(s, NULL, 1006);
	assert_int_equal(secrets_login(s, &by_token, &l, &why), -1);
	assert_string_equal(why.detail, "token-command: no");
	secrets_free(s);
}

static void test_keep(void **state)
{
	struct conf_relay relays[] = { by_token, without };
	struct conf conf = { .relays = relays, .nrelays = 2 };
	struct secrets *s = secrets_new();
	struct outcome why;
	struct login l;

	(void)state;
	take(s, "isp", "x");
	take(s, "cloud", "");
	take(s, "open", "y"); /* has no login any more */
	take_token(s, "one", 1);
	secrets_keep(s, &conf);
	assert_int_equal(secrets_login(s, &by_token, &l, &why), 0);
	assert_int_equal(secrets_login(s, &by_password, &l, &why), -1);
	secrets_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
