/* Certificates against CAs: what is accepted, and what is said of the rest. */
#include "remote/castore.h"
#include "remote/tls_names.h"
#include "remote/tls_ticket.h"
#include "remote/tls_verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "certificates.h"

static char bundle[64];
static struct made ca, other;
static struct castore *store;
static struct tls_verdict verdict;

static int check(const struct made *leaf, const struct made *sent, size_t nsent,
    const char *name)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	int status;

	memset(&verdict, 0, sizeof(verdict));
	for (size_t i = 0; i < nsent; i++)
		sk_X509_push(chain, sent[i].x);
	status = tls_verify(store, leaf->x, chain, span_of(name), &verdict);
	sk_X509_free(chain);
	return status;
}

static void refused(int status, enum tls_result result, const char *words)
{
	assert_int_equal(status, -1);
	if (verdict.result != result || !strstr(verdict.why.detail, words))
		fail_msg("%s: %s", tls_result_name(verdict.result),
		    verdict.why.detail);
	assert_string_equal(verdict.why.status, "4.7.5");
	assert_int_equal(verdict.verified, TLS_VERIFIED_NO);
}

/* A leaf of our CA that is as wanted otherwise. */
static int check_wanted(struct wanted w, const char *name)
{
	struct made leaf;
	int status;

	w.issuer = w.issuer ? w.issuer : &ca;
	leaf = made_new(&w);
	status = check(&leaf, NULL, 0, name);
	made_free(&leaf);
	return status;
}

static void test_names(void **state)
{
	static const struct {
		const char *san, *name;
		bool is_good;
	} cases[] = {
		{ "DNS:mx.example.test", "mx.example.test", true },
		{ "DNS:MX.Example.test", "mx.example.TEST", true },
		{ "DNS:a.test, DNS:mx.example.test", "mx.example.test", true },
		{ "DNS:*.example.test", "mx.example.test", true },
		{ "DNS:*.example.test", "a.mx.example.test", false },
		{ "DNS:*.example.test", "example.test", false },
		{ "DNS:m*.example.test", "mx.example.test", false },
		{ "DNS:*x.example.test", "mx.example.test", false },
		{ "DNS:*.*.test", "mx.example.test", false },
		{ "DNS:mx.*.test", "mx.example.test", false },
		{ "DNS:*", "mx", false },
		{ "DNS:example.test", "mx.example.test", false },
		{ "DNS:mx.example.test.evil.test", "mx.example.test", false },
		{ "email:mx.example.test@a", "mx.example.test", false },
		{ "IP:192.0.2.1", "[192.0.2.1]", true },
		{ "IP:192.0.2.1", "192.0.2.1", true },
		{ "IP:192.0.2.2", "[192.0.2.1]", false },
		{ "DNS:192.0.2.1", "[192.0.2.1]", false },
		{ "DNS:*.0.2.1", "[192.0.2.1]", false },
		{ "IP:2001:db8::1", "[IPv6:2001:db8::1]", true },
		{ "IP:2001:db8::1", "[2001:db8::1]", true },
		{ "IP:2001:db8::2", "[IPv6:2001:db8::1]", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct wanted w = { .cn = "mx.example.test",
			.san = cases[i].san };
		int status = check_wanted(w, cases[i].name);

		if (cases[i].is_good ? status != 0 : status == 0)
			fail_msg("%s for %s: %s", cases[i].san, cases[i].name,
			    verdict.why.detail);
		if (status == 0)
			assert_int_equal(verdict.verified, TLS_VERIFIED_PKIX);
		else
			refused(
			    status, TLS_RESULT_HOST_MISMATCH, "name mismatch");
	}
}

static void test_name_texts(void **state)
{
	struct wanted w = { .cn = "mx.test" };
	char many[4096] = "DNS:first.test";

	(void)state;
	/* the subject does not count */
	refused(check_wanted(w, "mx.test"), TLS_RESULT_HOST_MISMATCH,
	    "is for no name but its subject \"mx.test\": name mismatch");
	w.san = "DNS:foo.test, DNS:bar.test, IP:192.0.2.7";
	refused(check_wanted(w, "mx.test"), TLS_RESULT_HOST_MISMATCH,
	    "certificate of mx.test is for \"foo.test\", \"bar.test\", "
	    "\"192.0.2.7\": name mismatch");
	for (int i = 0; i < 100; i++) {
		size_t n = strlen(many);

		snprintf(many + n, sizeof(many) - n, ", DNS:host%d.test", i);
	}
	w.san = many;
	refused(check_wanted(w, "mx.test"), TLS_RESULT_HOST_MISMATCH,
	    "...: name mismatch");
}

static void test_nul(void **state)
{
	struct wanted w = { .raw = "mx.test\0.evil.test", .raw_bytes = 18 };

	(void)state;
	refused(check_wanted(w, "mx.test"), TLS_RESULT_HOST_MISMATCH,
	    "\"mx.test\\x00.evil.test\": name mismatch");
	w.raw = "mx.test\r\n\x1b[2J\"\xff";
	w.raw_bytes = strlen(w.raw);
	refused(check_wanted(w, "mx.test"), TLS_RESULT_HOST_MISMATCH,
	    "\"mx.test\\x0d\\x0a\\x1b[2J\\x22\\xff\"");
}

static void test_dates(void **state)
{
	struct wanted w = { .san = "DNS:mx.test" };

	(void)state;
	w.from_s = -10 * DAY;
	w.until_s = -DAY;
	refused(check_wanted(w, "mx.test"), TLS_RESULT_EXPIRED,
	    "certificate of mx.test expired on 20");
	w.from_s = DAY;
	w.until_s = 2 * DAY;
	refused(check_wanted(w, "mx.test"), TLS_RESULT_VALIDATION_FAILURE,
	    "check the clock");
}

static void test_trust(void **state)
{
	struct wanted w = { .cn = "me", .san = "DNS:mx.test" };
	struct made self = made_new(&w);

	(void)state;
	refused(check(&self, NULL, 0, "mx.test"), TLS_RESULT_NOT_TRUSTED,
	    "is self-signed");
	assert_non_null(strstr(verdict.why.detail, bundle));
	assert_non_null(strstr(verdict.why.detail, "ca-file"));
	made_free(&self);
	w.issuer = &other;
	refused(check_wanted(w, "mx.test"), TLS_RESULT_NOT_TRUSTED,
	    "is of the CA \"Other CA\"");
	w.issuer = NULL;
	w.rsa_bits = 1024;
	refused(check_wanted(w, "mx.test"), TLS_RESULT_VALIDATION_FAILURE,
	    "too weak");
	w.rsa_bits = 0;
	w.digest = EVP_sha1();
	refused(check_wanted(w, "mx.test"), TLS_RESULT_VALIDATION_FAILURE,
	    "too weak");
}

static void test_chain(void **state)
{
	struct wanted middle = { .cn = "Middle", .issuer = &ca, .is_ca = true };
	struct made m = made_new(&middle);
	struct wanted w = { .san = "DNS:mx.test", .issuer = &m };
	struct made leaf = made_new(&w), old, bad;

	(void)state;
	assert_int_equal(check(&leaf, &m, 1, "mx.test"), 0);
	refused(check(&leaf, NULL, 0, "mx.test"), TLS_RESULT_NOT_TRUSTED,
	    "of the CA \"Middle\"");
	made_free(&leaf);
	/* an expired one between */
	middle.from_s = -9 * DAY;
	middle.until_s = -DAY;
	old = made_new(&middle);
	w.issuer = &old;
	leaf = made_new(&w);
	refused(check(&leaf, &old, 1, "mx.test"), TLS_RESULT_EXPIRED,
	    "a CA certificate of mx.test expired");
	made_free(&leaf);
	/* a leaf that plays CA */
	middle = (struct wanted){ .cn = "Leaf", .issuer = &ca };
	bad = made_new(&middle);
	w.issuer = &bad;
	leaf = made_new(&w);
	refused(check(&leaf, &bad, 1, "mx.test"), TLS_RESULT_VALIDATION_FAILURE,
	    "invalid CA");
	made_free(&leaf);
	made_free(&bad);
	made_free(&old);
	made_free(&m);
}

static void test_long_chain(void **state)
{
	struct made chain[14] = { 0 };
	struct wanted w = { .is_ca = true };
	char name[20];

	(void)state;
	for (int i = 0; i < 14; i++) {
		snprintf(name, sizeof(name), "Link %d", i);
		w.cn = name;
		w.issuer = i == 0 ? &ca : &chain[i - 1];
		if (i == 13)
			w = (struct wanted){ .san = "DNS:mx.test",
				.issuer = &chain[12] };
		chain[i] = made_new(&w);
	}
	refused(check(&chain[13], chain, 13, "mx.test"),
	    TLS_RESULT_VALIDATION_FAILURE, "chain too long");
	for (int i = 0; i < 14; i++)
		made_free(&chain[i]);
}

/* --- the bundle ----------------------------------------------------------- */

static void no_bundle(const char *path, const char *words)
{
	struct castore *kept = store;
	struct wanted w = { .san = "DNS:mx.test" };

	store = castore_load(path);
	assert_non_null(store);
	assert_int_equal(castore_count(store), 0);
	refused(
	    check_wanted(w, "mx.test"), TLS_RESULT_VALIDATION_FAILURE, words);
	assert_non_null(strstr(verdict.why.detail, "install the package"));
	castore_free(store);
	store = kept;
}

static void test_no_bundle(void **state)
{
	char path[80];
	FILE *f;

	(void)state;
	no_bundle("/nonexistent/ca.pem",
	    "/nonexistent/ca.pem: No such file or directory");
	no_bundle("/tmp", "/tmp: not a file");
	snprintf(path, sizeof(path), "%s.bad", bundle);
	f = fopen(path, "w");
	fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	      "-----BEGIN CERTIFICATE-----\n!!!\n",
	    f);
	fclose(f);
	no_bundle(path, "no certificate in PEM format");
	unlink(path);
}

static void test_same_name(void **state)
{
	struct wanted w = { .cn = "Test CA", .is_ca = true };
	struct made twin = made_new(&w), leaf;
	struct castore *kept = store;
	char path[80];

	(void)state;
	snprintf(path, sizeof(path), "%s.twin", bundle);
	made_append(path, ca.x);
	made_append(path, twin.x);
	store = castore_load(path);
	assert_int_equal(castore_count(store), 2);
	assert_false(
	    span_is_equal(castore_digest(store), castore_digest(kept)));
	w = (struct wanted){ .san = "DNS:mx.test", .issuer = &twin };
	leaf = made_new(&w);
	assert_int_equal(check(&leaf, NULL, 0, "mx.test"), 0);
	made_free(&leaf);
	w.issuer = &ca;
	assert_int_equal(check_wanted(w, "mx.test"), 0);
	castore_free(store);
	store = kept;
	made_free(&twin);
	unlink(path);
}

/* A server's own certificate may be named as what to trust. */
static void test_pinned(void **state)
{
	struct wanted w = { .cn = "mx", .san = "DNS:mx.test" };
	struct made self = made_new(&w);
	struct castore *kept = store;
	char path[80];

	(void)state;
	snprintf(path, sizeof(path), "%s.self", bundle);
	made_append(path, self.x);
	store = castore_load(path);
	assert_int_equal(check(&self, NULL, 0, "mx.test"), 0);
	castore_free(store);
	store = kept;
	made_free(&self);
	unlink(path);
}

/* --- tickets, as far as no server is needed --------------------------------
 */

static void test_binding(void **state)
{
	struct session s = { .tls = TLS_VERIFY };
	struct host h = { .name = SPAN_LITERAL("mx.test"), .port = 25 };
	struct tls_demand d = tls_demand_of(&s, &h);
	unsigned char seen[9][TLS_TICKET_BINDING];
	unsigned n = 0;

	(void)state;
	tls_ticket_bind(&s, &h, &d, store, seen[n++]);
	tls_ticket_bind(&s, &h, &d, NULL, seen[n++]);
	h.policy.kind = TLS_POLICY_DANE;
	h.policy.ntlsa = 1;
	h.policy.tlsa[0] = (struct tlsa){ 3, 1, 1, SPAN_LITERAL("abc") };
	d = tls_demand_of(&s, &h);
	tls_ticket_bind(&s, &h, &d, store, seen[n++]);
	h.policy.tlsa[0].data = SPAN_LITERAL("abd");
	tls_ticket_bind(&s, &h, &d, store, seen[n++]);
	h.policy.names[0] = SPAN_LITERAL("base.test");
	h.policy.nnames = 1;
	tls_ticket_bind(&s, &h, &d, store, seen[n++]);
	s.login.user = SPAN_LITERAL("me");
	tls_ticket_bind(&s, &h, &d, store, seen[n++]);
	s.login.certificate = SPAN_LITERAL("pem");
	tls_ticket_bind(&s, &h, &d, store, seen[n++]);
	h.port = 26;
	tls_ticket_bind(&s, &h, &d, store, seen[n++]);
	s.tls = TLS_REQUIRE;
	d = tls_demand_of(&s, &h);
	tls_ticket_bind(&s, &h, &d, store, seen[n++]);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			assert_memory_not_equal(
			    seen[i], seen[k], TLS_TICKET_BINDING);
}

static void test_demand(void **state)
{
	static const struct {
		uint8_t level, kind;
		bool is_shadow;
		uint8_t check, shadow;
		bool is_required;
		const char *word;
	} cases[] = {
		{ TLS_NONE, TLS_POLICY_DANE, false, 0, 0, false, "none" },
		{ TLS_MAY, 0, false, 0, 0, false, "may" },
		{ TLS_REQUIRE, 0, false, 0, 0, true, "require" },
		{ TLS_VERIFY, 0, false, 1, 0, true, "verify" },
		{ TLS_MAY, TLS_POLICY_DANE, false, 2, 0, true, "dane" },
		{ TLS_MAY, TLS_POLICY_DANE_BLIND, false, 0, 0, true,
		    "dane-blind" },
		{ TLS_VERIFY, TLS_POLICY_DANE_BLIND, false, 1, 0, true,
		    "dane-blind" },
		{ TLS_MAY, TLS_POLICY_STS, false, 1, 0, true, "sts" },
		{ TLS_REQUIRE, TLS_POLICY_STS, false, 1, 0, true, "sts" },
		{ TLS_MAY, TLS_POLICY_STS, true, 0, 1, false, "may" },
		{ TLS_MAY, TLS_POLICY_DANE, true, 0, 2, false, "may" },
		{ TLS_VERIFY, TLS_POLICY_DANE, true, 1, 2, true, "verify" },
		{ TLS_NONE, TLS_POLICY_STS, true, 0, 0, false, "none" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct session s = { .tls = cases[i].level };
		struct host h = { .policy.kind = cases[i].kind,
			.policy.is_shadow = cases[i].is_shadow };
		struct tls_demand d = tls_demand_of(&s, &h);

		assert_int_equal(d.check, cases[i].check);
		assert_int_equal(d.shadow, cases[i].shadow);
		assert_int_equal(d.is_required, cases[i].is_required);
		assert_string_equal(tls_demand_word(&d), cases[i].word);
	}
}

static int set_up(void **state)
{
	struct wanted w = { .cn = "Test CA", .is_ca = true };

	(void)state;
	snprintf(bundle, sizeof(bundle), "/tmp/outpost-ca-XXXXXX");
	close(mkstemp(bundle));
	ca = made_new(&w);
	w.cn = "Other CA";
	other = made_new(&w);
	made_append(bundle, ca.x);
	for (int i = 0; i < 60; i++) {
		char name[20];
		struct made m;

		snprintf(name, sizeof(name), "CA %d", i);
		w.cn = name;
		m = made_new(&w);
		made_append(bundle, m.x);
		made_free(&m);
	}
	store = castore_load(bundle);
	assert_non_null(store);
	assert_null(castore_problem(store));
	assert_int_equal(castore_count(store), 61);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	castore_free(store);
	made_free(&ca);
	made_free(&other);
	unlink(bundle);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_name_texts),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_long_chain),
		cmocka_unit_test(test_no_bundle),
		cmocka_unit_test(test_same_name),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_binding),
		cmocka_unit_test(test_demand),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
