/* The TLS of a line against a server with chosen certificates: policies and
 * TLSA records (RFC 7671, RFC 7672), what is recorded, what is resumed. */
#include "line_driver.h"

#include "remote/tls_ticket.h"

#include "certificates.h"

#define BODY "S: x\r\n\r\nhi\r\n"
#define HELLO "A", "S:220 sink", "C?EHLO", "S:250-sink\r\n250 STARTTLS"
#define START "C:STARTTLS", "S:220 go"
#define MAIL                                                          \
	"C?EHLO", "S:250-sink\r\n250 PIPELINING", "C?MAIL", "C?RCPT", \
	    "C:DATA", "S:250 ok\r\n250 ok\r\n354 go", "B:" BODY ".\r\n"
#define DONE "S:250 ok", "C:QUIT", "E"

static const char *const good[] = { HELLO, START, "H", MAIL, DONE, NULL };
static const char *const bad[] = { HELLO, START, "F", NULL };
static const char *const clear[] = { HELLO, "C?MAIL", "S:250 ok", "C?RCPT",
	"S:250 ok", "C:DATA", "S:354 go", "B:" BODY ".\r\n", DONE, NULL };
static const char *const lacking[] = { "A", "S:220 sink", "C?EHLO",
	"S:250 sink", "C:QUIT", "E", NULL };

/* --- the server's side ---------------------------------------------------- */

static struct made ca, other;
static struct made leaf, wild, foreign, expired, self, old_self, client;
static char bundle[64];

/* How the present script's server does TLS. */
static struct {
	const struct made *leaf, *sent;
	int version; /* the only one; 0: any */
	const char *sni;
	bool is_asking;
	unsigned filler; /* certificates more */
} server;

static int check_sni(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	(void)arg;
	if (!server.sni || (name && strcmp(name, server.sni) == 0))
		return SSL_TLSEXT_ERR_OK;
	fprintf(stderr, "script: SNI %s\n", name ? name : "is missing");
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_context(void)
{
	static SSL_CTX *context;

	if (context)
		return context;
	context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
	if (server.version) {
		SSL_CTX_set_min_proto_version(context, server.version);
		SSL_CTX_set_max_proto_version(context, server.version);
	}
	SSL_CTX_set_session_id_context(context, (unsigned char *)"x", 1);
	SSL_CTX_use_certificate(context, server.leaf->x);
	SSL_CTX_use_PrivateKey(context, server.leaf->key);
	if (server.sent)
		SSL_CTX_add1_chain_cert(context, server.sent->x);
	for (unsigned i = 0; i < server.filler; i++)
		SSL_CTX_add1_chain_cert(context, other.x);
	SSL_CTX_set_tlsext_servername_callback(context, check_sni);
	if (server.is_asking) {
		SSL_CTX_set_verify(context,
		    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		X509_STORE_add_cert(SSL_CTX_get_cert_store(context), client.x);
	}
	return context;
}

/* --- one message ---------------------------------------------------------- */

static void begin(const struct made *x, const struct made *sent)
{
	memset(&server, 0, sizeof(server));
	server.leaf = x;
	server.sent = sent;
	memset(&drive_policy, 0, sizeof(drive_policy));
	drive_ticket = (struct span){ 0 };
	drive_name = NULL;
}

static void run(struct drive *d, const char *const *script, uint8_t level,
    const char *outcome)
{
	struct session session = { .tls = level };

	drive_start(d, script);
	drive_session_with(d, &session, 1);
	drive_deliver(d, 1, "a@x.test", BODY);
	drive_end(d);
	drive_expect(d, 1, outcome);
	assert_true(d->ntried >= 1);
}

static void has_words(const struct drive *d, const char *words)
{
	char text[TLS_TEXT_MAX + 1];
	struct span tls = d->result.tls;

	snprintf(text, sizeof(text), "%.*s", (int)tls.n, tls.n ? tls.p : "");
	if (!strstr(text, words))
		fail_msg("\"%s\" lacks \"%s\"", text, words);
}

static void tried(const struct drive *d, enum tls_result result)
{
	const struct host_tried *t = &d->tried[d->ntried - 1];

	if (t->tls != result)
		fail_msg("%s: %s", tls_result_name(t->tls), t->outcome.detail);
}

/* Accepted with these words in the evidence. */
static void accepts(uint8_t level, const char *words)
{
	struct drive d;

	run(&d, good, level, "D");
	has_words(&d, words);
	has_words(&d, " sha256=");
	tried(&d, TLS_RESULT_OK);
	drive_expect_done(&d);
	drive_finish(&d);
}

/* The handshake is broken off and nothing sent in clear. */
static void refuses(uint8_t level, enum tls_result result, const char *words)
{
	struct drive d;

	run(&d, bad, level, "T");
	assert_string_equal(d.result.recipients[0].status, "4.7.5");
	drive_expect_reply(&d, 0, words);
	tried(&d, result);
	assert_int_equal(d.ntried, 1);
	assert_int_equal(d.ntickets, 0);
	drive_expect_done(&d);
	assert_false(d.report.is_overloaded);
	drive_finish(&d);
}

/* --- CAs ------------------------------------------------------------------ */

static void test_verify(void **state)
{
	(void)state;
	begin(&leaf, NULL);
	server.sni = "mx.test";
	accepts(TLS_VERIFY, "policy=verify verified=pkix name=mx.test");
	accepts(TLS_REQUIRE, "policy=require verified=no name=mx.test");
	begin(&wild, NULL);
	drive_name = "mx.site.test";
	accepts(TLS_VERIFY, "verified=pkix name=*.site.test");
	drive_name = "a.mx.site.test";
	refuses(TLS_VERIFY, TLS_RESULT_HOST_MISMATCH, "\"*.site.test\"");
	begin(&foreign, NULL);
	refuses(TLS_VERIFY, TLS_RESULT_HOST_MISMATCH,
	    "certificate of mx.test is for \"foo.example\": name mismatch");
	accepts(TLS_REQUIRE, "policy=require verified=no name=foo.example");
	accepts(TLS_MAY, "policy=may verified=no name=foo.example");
	begin(&expired, NULL);
	refuses(TLS_VERIFY, TLS_RESULT_EXPIRED, "expired on");
	begin(&self, NULL);
	refuses(TLS_VERIFY, TLS_RESULT_NOT_TRUSTED, "self-signed");
	accepts(TLS_MAY, "verified=no");
}

static void test_remedy(void **state)
{
	(void)state;
	begin(&self, NULL);
	refuses(TLS_VERIFY, TLS_RESULT_NOT_TRUSTED, "tls = \"verify\" asks");
	drive_policy.kind = TLS_POLICY_STS;
	drive_policy.domain = SPAN_LITERAL("sts.test");
	refuses(TLS_MAY, TLS_RESULT_NOT_TRUSTED,
	    "the MTA-STS policy of sts.test asks for it");
}

static void test_sts(void **state)
{
	(void)state;
	begin(&leaf, NULL);
	drive_policy.kind = TLS_POLICY_STS;
	drive_policy.evidence = SPAN_LITERAL("v=STSv1 id=1 \"x\"");
	accepts(TLS_MAY, "policy=sts verified=pkix name=mx.test");
	accepts(TLS_REQUIRE, "answers=\"v=STSv1 id=1 ?x?\"");
	server.leaf = &foreign;
	refuses(TLS_MAY, TLS_RESULT_HOST_MISMATCH, "name mismatch");
}

/* --- DANE ----------------------------------------------------------------- */

static void put_tlsa(uint8_t usage, uint8_t selector, uint8_t matching, X509 *x)
{
	static unsigned char room[TLSA_MAX][TLSA_DATA_MAX];
	unsigned char digest[64], *der = NULL, *to = room[drive_policy.ntlsa];
	int n = selector == 0 ? i2d_X509(x, &der)
			      : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	unsigned size = (unsigned)n;

	assert_true(n > 0 && n < TLSA_DATA_MAX);
	memcpy(to, der, size);
	if (matching > 0) {
		EVP_Digest(der, size, digest, &size,
		    matching == 1 ? EVP_sha256() : EVP_sha512(), NULL);
		memcpy(to, digest, size);
	}
	OPENSSL_free(der);
	drive_policy.tlsa[drive_policy.ntlsa++] =
	    (struct tlsa){ usage, selector, matching, { (char *)to, size } };
	drive_policy.kind = TLS_POLICY_DANE;
}

static void one_tlsa(uint8_t usage, uint8_t selector, uint8_t matching, X509 *x)
{
	drive_policy = (struct host_policy){ 0 };
	put_tlsa(usage, selector, matching, x);
}

static void test_dane_ee(void **state)
{
	(void)state;
	/* neither name nor date nor CA counts */
	begin(&old_self, NULL);
	for (uint8_t selector = 0; selector < 2; selector++)
		for (uint8_t matching = 0; matching < 3; matching++) {
			one_tlsa(3, selector, matching, old_self.x);
			accepts(TLS_MAY, "policy=dane verified=dane-ee");
		}
	one_tlsa(3, 1, 1, self.x);
	refuses(TLS_MAY, TLS_RESULT_NOT_TRUSTED,
	    "matches none of its TLSA records");
	/* the records decide, also where CAs were asked for */
	begin(&leaf, NULL);
	one_tlsa(3, 1, 1, self.x);
	refuses(TLS_VERIFY, TLS_RESULT_NOT_TRUSTED, "TLSA 3 1 1 ");
	one_tlsa(3, 1, 1, leaf.x);
	accepts(TLS_VERIFY, "policy=dane verified=dane-ee name=mx.test");
	/* roll-over: any of them */
	one_tlsa(3, 1, 1, self.x);
	put_tlsa(3, 1, 1, leaf.x);
	put_tlsa(2, 0, 1, other.x);
	accepts(TLS_MAY, "verified=dane-ee");
	/* RFC 7671 9: the strongest digest of a kind alone */
	one_tlsa(3, 1, 1, leaf.x);
	put_tlsa(3, 1, 2, self.x);
	refuses(TLS_MAY, TLS_RESULT_NOT_TRUSTED, "matches none");
}

static void test_dane_ta(void **state)
{
	(void)state;
	begin(&leaf, &ca);
	for (uint8_t selector = 0; selector < 2; selector++)
		for (uint8_t matching = 0; matching < 3; matching++) {
			one_tlsa(2, selector, matching, ca.x);
			accepts(TLS_MAY, "policy=dane verified=dane-ta");
		}
	one_tlsa(2, 0, 1, other.x);
	refuses(TLS_MAY, TLS_RESULT_NOT_TRUSTED, "matches none");
	/* not sent, though we have it in the bundle: RFC 7671 5.2 */
	server.sent = NULL;
	one_tlsa(2, 0, 1, ca.x);
	refuses(TLS_MAY, TLS_RESULT_NOT_TRUSTED, "matches none");
	/* not sent, but in the DNS */
	one_tlsa(2, 0, 0, ca.x);
	accepts(TLS_MAY, "verified=dane-ta");
	/* names and dates count */
	begin(&foreign, &ca);
	one_tlsa(2, 0, 1, ca.x);
	refuses(TLS_MAY, TLS_RESULT_HOST_MISMATCH, "name mismatch");
	begin(&expired, &ca);
	one_tlsa(2, 0, 1, ca.x);
	refuses(TLS_MAY, TLS_RESULT_EXPIRED, "expired on");
	begin(&wild, &ca);
	one_tlsa(2, 0, 1, ca.x);
	drive_name = "mx.site.test";
	accepts(TLS_MAY, "verified=dane-ta name=*.site.test");
}

static void test_dane_names(void **state)
{
	(void)state;
	begin(&foreign, &ca);
	one_tlsa(2, 1, 1, ca.x);
	drive_policy.names[0] = SPAN_LITERAL("base.test");
	drive_policy.names[1] = SPAN_LITERAL("foo.example");
	drive_policy.nnames = 2;
	server.sni = "base.test";
	accepts(TLS_MAY, "verified=dane-ta name=foo.example");
	drive_policy.nnames = 1;
	refuses(TLS_MAY, TLS_RESULT_HOST_MISMATCH,
	    "certificate of base.test is for \"foo.example\"");
}

static void put_odd(uint8_t usage, uint8_t selector, uint8_t matching, size_t n)
{
	static const char zeros[300];

	drive_policy.tlsa[drive_policy.ntlsa++] =
	    (struct tlsa){ usage, selector, matching, { zeros, n } };
}

static void test_dane_unusable(void **state)
{
	(void)state;
	begin(&old_self, NULL);
	one_tlsa(0, 0, 1, leaf.x);
	put_tlsa(1, 1, 1, leaf.x);
	accepts(TLS_MAY, "policy=dane-blind verified=no");
	put_odd(3, 1, 1, 31);
	put_odd(3, 1, 99, 32);
	put_odd(3, 9, 1, 32);
	put_odd(7, 1, 1, 32);
	put_odd(2, 0, 0, 300);
	put_odd(3, 0, 0, 0);
	accepts(TLS_MAY, "policy=dane-blind verified=no");
	/* the level is still the level */
	refuses(TLS_VERIFY, TLS_RESULT_NOT_TRUSTED, "self-signed");
	/* one that is usable decides */
	put_tlsa(3, 1, 1, leaf.x);
	refuses(TLS_MAY, TLS_RESULT_NOT_TRUSTED, "matches none");
	drive_policy.ntlsa = 0;
	drive_policy.kind = TLS_POLICY_DANE_BLIND;
	accepts(TLS_MAY, "policy=dane-blind verified=no");
}

/* --- no TLS to be had ------------------------------------------------------
 */

static void lacks(uint8_t level, const char *words)
{
	struct drive d;

	run(&d, lacking, level, "T");
	assert_string_equal(d.result.recipients[0].status, "4.7.4");
	drive_expect_reply(&d, 0, words);
	tried(&d, TLS_RESULT_STARTTLS_NOT_SUPPORTED);
	drive_expect_done(&d);
	drive_finish(&d);
}

static void test_stripped(void **state)
{
	static const char *const plain[] = { "A", "S:220 sink", "C?EHLO",
		"S:250 sink", "C?MAIL", "S:250 ok", "C?RCPT", "S:250 ok",
		"C:DATA", "S:354 go", "B:" BODY ".\r\n", DONE, NULL };
	struct drive d;

	(void)state;
	begin(&leaf, NULL);
	lacks(TLS_REQUIRE, "tls = \"require\" asks for it");
	lacks(TLS_VERIFY, "TLS is required");
	drive_policy.kind = TLS_POLICY_STS;
	lacks(TLS_MAY, "MTA-STS policy of mx.test");
	drive_policy.kind = TLS_POLICY_DANE_BLIND;
	lacks(TLS_MAY, "TLSA records of mx.test ask for it (DANE)");
	one_tlsa(3, 1, 1, leaf.x);
	lacks(TLS_MAY, "TLSA records");
	drive_policy.is_shadow = true;
	run(&d, plain, TLS_MAY, "D");
	has_words(&d, "clear: the server does not offer TLS");
	tried(&d, TLS_RESULT_STARTTLS_NOT_SUPPORTED);
	assert_true(d.tried[0].is_shadow);
	drive_expect_done(&d);
	drive_finish(&d);
}

static void test_none(void **state)
{
	struct drive d;

	(void)state;
	begin(&leaf, NULL);
	one_tlsa(3, 1, 1, leaf.x);
	run(&d, clear, TLS_NONE, "D");
	assert_int_equal(d.result.tls.n, 0);
	tried(&d, TLS_RESULT_NOT_TRIED);
	drive_expect_done(&d);
	drive_finish(&d);
}

static void test_shadow(void **state)
{
	(void)state;
	begin(&foreign, NULL);
	drive_policy.kind = TLS_POLICY_STS;
	drive_policy.is_shadow = true;
	for (int round = 0; round < 2; round++) {
		struct drive d;

		run(&d, good, TLS_MAY, "D");
		has_words(&d, round ? "shadow=dane would-fail=certificate-not-"
				      "trusted verified=no"
				    : "policy=may shadow=sts would-fail="
				      "certificate-host-mismatch verified=no");
		assert_int_equal(d.ntried, 1);
		assert_int_equal(d.ntickets, 0);
		assert_true(d.tried[0].is_shadow);
		tried(&d,
		    round ? TLS_RESULT_NOT_TRUSTED : TLS_RESULT_HOST_MISMATCH);
		drive_expect_done(&d);
		drive_finish(&d);
		one_tlsa(3, 1, 1, self.x);
		drive_policy.is_shadow = true;
	}
	begin(&leaf, NULL);
	one_tlsa(3, 1, 1, leaf.x);
	drive_policy.is_shadow = true;
	accepts(TLS_VERIFY, "policy=verify shadow=dane verified=pkix");
}

/* --- resumption ------------------------------------------------------------*/

/* Two connections of one server, the second with the first one's ticket. */
static void run_twice(
    void (*between)(struct drive *d), const char *words, const char *words_not)
{
	static const char *const twice[] = { HELLO, START, "H", MAIL, DONE,
		HELLO, START, "H", MAIL, DONE, NULL };
	static char ticket[TICKET_MAX];
	struct session session = { .tls = TLS_VERIFY };
	struct drive d;

	run(&d, twice, TLS_VERIFY, "D");
	drive_expect_done(&d);
	assert_int_equal(d.ntickets, 1);
	assert_true(d.ticket_bytes > 100);
	memcpy(ticket, d.ticket, d.ticket_bytes);
	drive_ticket = (struct span){ ticket, d.ticket_bytes };
	if (between)
		between(&d);
	memcpy(ticket, d.ticket, d.ticket_bytes);
	drive_session_with(&d, &session, 1);
	drive_deliver(&d, 2, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 2, "D");
	has_words(&d, words);
	if (words_not)
		assert_null(memmem(d.result.tls.p, d.result.tls.n, words_not,
		    strlen(words_not)));
	tried(&d, TLS_RESULT_OK);
	drive_expect_done(&d);
	drive_finish(&d);
	drive_ticket = (struct span){ 0 };
}

static void to_sts(struct drive *d)
{
	(void)d;
	drive_policy.kind = TLS_POLICY_STS;
}

static void spoil(struct drive *d)
{
	d->ticket[d->ticket_bytes - 300] ^= 1;
}

static void age(struct drive *d)
{
	d->ticket[1 + TLS_TICKET_BINDING + 5] ^= 1; /* 65536 seconds */
}

static void test_resumption(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(&leaf, NULL);
		server.version = versions[i];
		run_twice(NULL,
		    "policy=verify verified=pkix name=mx.test sha256=", NULL);
		run_twice(NULL, " resumed=yes", NULL);
		run_twice(to_sts, "policy=sts verified=pkix", "resumed");
		begin(&leaf, NULL);
		server.version = versions[i];
		run_twice(age, "verified=pkix", "resumed");
	}
	begin(&leaf, NULL);
	run_twice(spoil, "verified=pkix", NULL);
}

/* A server that cannot bear the ticket gets another chance without it. */
static void test_ticket_refused(void **state)
{
	static const char *const script[] = { HELLO, START, "H", MAIL, DONE,
		HELLO, START, "N:200", "S:no", "X", HELLO, START, "H", MAIL,
		DONE, NULL };
	struct session session = { .tls = TLS_VERIFY };
	struct drive d;
	char ticket[TICKET_MAX];

	(void)state;
	begin(&leaf, NULL);
	run(&d, script, TLS_VERIFY, "D");
	drive_expect_done(&d);
	memcpy(ticket, d.ticket, d.ticket_bytes);
	drive_ticket = (struct span){ ticket, d.ticket_bytes };
	drive_session_with(&d, &session, 1);
	drive_deliver(&d, 2, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 2, "D");
	has_words(&d, "verified=pkix");
	assert_int_equal(d.ntried, 3);
	assert_int_equal(d.ntickets, 3); /* one, forget it, another */
	drive_expect_done(&d);
	drive_finish(&d);
	drive_ticket = (struct span){ 0 };
}

/* --- servers that misbehave ------------------------------------------------
 */

static void breaks(const char *const *script, uint8_t level, const char *words)
{
	struct drive d;

	run(&d, script, level, "T");
	drive_expect_reply(&d, 0, words);
	tried(&d, TLS_RESULT_VALIDATION_FAILURE);
	assert_int_equal(d.ntried, 1);
	drive_expect_done(&d);
	drive_finish(&d);
}

static void test_bad_handshakes(void **state)
{
	static const char *const hangs[] = { HELLO, START, "N:50", "W:1200",
		"X", NULL };
	static const char *const empty[] = { HELLO, START, "N:50", "Z:50000",
		"X", NULL };
	static const char *const closes[] = { HELLO, START, "N:50", "X", NULL };
	static const char *const injects[] = { HELLO, "C:STARTTLS",
		"S:220 go\r\n250-sink\r\n250 AUTH PLAIN", "E", NULL };

	(void)state;
	begin(&leaf, NULL);
	breaks(hangs, TLS_REQUIRE, "TLS handshake: timed out; tls = ");
	breaks(empty, TLS_REQUIRE, "TLS handshake: ");
	breaks(closes, TLS_VERIFY, "TLS handshake: ");
	breaks(injects, TLS_MAY, "text in clear");
	breaks(injects, TLS_VERIFY, "text in clear");
	server.version = TLS1_1_VERSION;
	breaks(bad, TLS_REQUIRE, "TLS handshake: ");
	server.version = 0;
	server.filler = 300;
	breaks(bad, TLS_REQUIRE, "TLS handshake: excessive message size");
}

/* RFC 5321 4.5.3.2.6 and hazard 47: whether it was accepted is not known, and
 * what comes next does not go in clear. */
static void test_truncated(void **state)
{
	static const char *const script[] = { HELLO, START, "H", MAIL, "X", "A",
		"S:220 sink", "C?EHLO", "S:250 sink", "C:QUIT", "E", NULL };
	struct session session = { .tls = TLS_MAY };
	struct drive d;

	(void)state;
	begin(&leaf, NULL);
	one_tlsa(3, 1, 1, leaf.x);
	drive_start(&d, script);
	drive_session_with(&d, &session, 2);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_flush(&d);
	drive_expect(&d, 1, "U");
	has_words(&d, "verified=dane-ee");
	drive_deliver(&d, 2, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 2, "T");
	drive_expect_reply(&d, 0, "TLS is required");
	drive_expect_done(&d);
	drive_finish(&d);
}

static void test_missing_bundle(void **state)
{
	const struct castore *kept = drive_store;
	struct castore *none = castore_load("/nonexistent.pem");
	SSL_CTX *context = tls_client_new(none);

	(void)state;
	begin(&leaf, NULL);
	drive_store = none;
	drive_tls = context;
	refuses(TLS_VERIFY, TLS_RESULT_VALIDATION_FAILURE,
	    "/nonexistent.pem: No such file or directory; install");
	accepts(TLS_REQUIRE, "verified=no");
	drive_tls = NULL;
	drive_store = kept;
	SSL_CTX_free(context);
	castore_free(none);
}

static void print_pem(struct buf *certificate, struct buf *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	PEM_write_bio_X509(bio, client.x);
	n = BIO_get_mem_data(bio, &text);
	buf_put(certificate, text, (size_t)n);
	(void)BIO_reset(bio);
	PEM_write_bio_PrivateKey(bio, client.key, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(bio, &text);
	buf_put(key, text, (size_t)n);
	BIO_free(bio);
}

static void test_client_certificate(void **state)
{
	struct session session = { .tls = TLS_VERIFY };
	struct buf certificate, key;
	struct drive d;

	(void)state;
	begin(&leaf, NULL);
	server.is_asking = true;
	buf_init(&certificate, 65536);
	buf_init(&key, 65536);
	print_pem(&certificate, &key);
	session.login.certificate = buf_span(&certificate);
	session.login.key = buf_span(&key);
	drive_start(&d, good);
	drive_session_with(&d, &session, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "D");
	drive_expect_done(&d);
	drive_finish(&d);
	/* one that is none: before anything goes out */
	session.login.key = SPAN_LITERAL("not a key");
	drive_start(&d, (const char *const[]){ HELLO, START, "E", NULL });
	drive_session_with(&d, &session, 1);
	drive_deliver(&d, 1, "a@x.test", BODY);
	drive_end(&d);
	drive_expect(&d, 1, "T");
	drive_expect_reply(&d, 0, "key of the relay block");
	drive_expect_done(&d);
	drive_finish(&d);
	buf_clear(&certificate);
	buf_clear(&key);
}

/* --- all ------------------------------------------------------------------ */

static int set_up(void **state)
{
	struct wanted w = { .cn = "Test CA", .is_ca = true };

	(void)state;
	ca = made_new(&w);
	w.cn = "Other CA";
	other = made_new(&w);
	w = (struct wanted){ .san = "DNS:mx.test", .issuer = &ca };
	leaf = made_new(&w);
	w.from_s = -9 * DAY;
	w.until_s = -DAY;
	expired = made_new(&w);
	w = (struct wanted){ .san = "DNS:*.site.test", .issuer = &ca };
	wild = made_new(&w);
	w.san = "DNS:foo.example";
	foreign = made_new(&w);
	w = (struct wanted){ .cn = "mx.test", .san = "DNS:mx.test" };
	self = made_new(&w);
	w = (struct wanted){ .cn = "old", .from_s = -9 * DAY, .until_s = -DAY };
	old_self = made_new(&w);
	w = (struct wanted){ .cn = "client" };
	client = made_new(&w);
	snprintf(bundle, sizeof(bundle), "/tmp/outpost-ca-XXXXXX");
	close(mkstemp(bundle));
	made_append(bundle, ca.x);
	drive_store = castore_load(bundle);
	drive_context = make_context;
	return castore_count(drive_store) == 1 ? 0 : -1;
}

static int tear_down(void **state)
{
	struct made *all[] = { &ca, &other, &leaf, &expired, &wild, &foreign,
		&self, &old_self, &client };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		made_free(all[i]);
	SSL_CTX_free(drive_tls);
	castore_free((struct castore *)drive_store);
	unlink(bundle);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_remedy),
		cmocka_unit_test(test_sts),
		cmocka_unit_test(test_dane_ee),
		cmocka_unit_test(test_dane_ta),
		cmocka_unit_test(test_dane_names),
		cmocka_unit_test(test_dane_unusable),
		cmocka_unit_test(test_stripped),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_shadow),
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_ticket_refused),
		cmocka_unit_test(test_bad_handshakes),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_missing_bundle),
		cmocka_unit_test(test_client_certificate),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
