/* DKIM records and keys: what verifiers can use, what they cannot, and that a
 * private key's public half is the one published. */
#include "dnscheck/dkim.h"
#include "dnscheck/dkim_tags.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* RFC 6376 appendix C */
#define RSA                                                                  \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoG" \
	"eLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2" \
	"UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPD" \
	"dQPNUYckcQ2QIDAQAB"
/* RFC 8463 appendix A */
#define EDWARDS "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static struct dkim_record record;

static void test_good(void **state)
{
	static const struct {
		const char *text;
		unsigned bits;
	} cases[] = {
		{ "v=DKIM1; k=rsa; p=" RSA, 1024 },
		{ "p=" RSA, 1024 },
		{ "v=DKIM1;p=" RSA ";", 1024 },
		{ " v = DKIM1 ; k = RSA ; p = " RSA " ; ", 1024 },
		{ "v=DKIM1; h=sha1:sha256; s=email; n=note; x=y; p=" RSA,
		    1024 },
		{ "v=DKIM1; s=*; p=" RSA, 1024 },
		{ "v=DKIM1; k=ed25519; p=" EDWARDS, 256 },
		{ "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7T yWQHOg7hcvPapiMl\r\n "
		  "rwIaaPcHURo=",
		    256 },
	};
	const char *why = "";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (dkim_record_parse(span_of(cases[i].text), &record, &why) <
		    0)
			fail_msg("%s: %s", cases[i].text, why);
		assert_int_equal(record.key.bits, cases[i].bits);
		assert_false(record.is_revoked || record.is_testing);
	}
}

static void test_bad(void **state)
{
	static const char *const cases[] = { "", ";", "v=DKIM1", "v=DKIM1; p",
		"v=DKIM2; p=" RSA, "k=rsa; v=DKIM1; p=" RSA, "v=dkim1; p=" RSA,
		"v=DKIM1; k=dsa; p=" RSA, "v=DKIM1; h=sha1; p=" RSA,
		"v=DKIM1; s=web; p=" RSA, "v=DKIM1; p=" RSA "; p=" RSA,
		"v=DKIM1; p=A" RSA, "v=DKIM1; p=!!!!", "v=DKIM1; p=AAAA",
		"v=DKIM1; p=" RSA "AAAA", "v=DKIM1; p=" EDWARDS,
		"v=DKIM1; k=ed25519; p=" RSA, "v=DKIM1; k=ed25519; p=AAAA",
		"v=DKIM1; =x; p=" RSA, "v=DKIM1; 1x=x; p=" RSA,
		"v=DKIM1; n=\x01; p=" RSA, "v=DKIM1;; p=" RSA,
		"v=DKIM1; p=A===", "v=DKIM1; p==" };
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		why = NULL;
		if (dkim_record_parse(span_of(cases[i]), &record, &why) == 0)
			fail_msg("taken: %s", cases[i]);
		assert_non_null(why);
	}
}

/* Cut anywhere: never taken for a key, never read beyond. */
static void test_cut(void **state)
{
	static const char text[] = "v=DKIM1; k=rsa; p=" RSA;
	const char *why;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *copy = malloc(n ? n : 1);

		assert_non_null(copy);
		memcpy(copy, text, n);
		if (dkim_record_parse(
			(struct span){ copy, n }, &record, &why) == 0)
			assert_true(record.is_revoked);
		free(copy);
	}
}

static void test_flags(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(
	    dkim_record_parse(SPAN_LITERAL("v=DKIM1; p="), &record, &why), 0);
	assert_true(record.is_revoked);
	assert_int_equal(
	    dkim_record_parse(
		SPAN_LITERAL("v=DKIM1; t=y:s; p=" RSA), &record, &why),
	    0);
	assert_true(record.is_testing && record.is_strict);
}

static void load_one(EVP_PKEY *pkey, const char *path, unsigned bits)
{
	struct dkim_key *key = malloc(sizeof(*key));
	FILE *file = fopen(path, "w");
	const char *why = "";
	struct buf text;

	assert_non_null(key);
	assert_non_null(file);
	assert_int_equal(
	    PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	assert_int_equal(dkim_key_load(path, key, &why), 0);
	assert_int_equal(key->bits, bits);
	buf_init(&text, DKIM_RECORD_MAX);
	dkim_record_print(key, &text);
	assert_int_equal(dkim_record_parse(buf_span(&text), &record, &why), 0);
	assert_true(dkim_key_is_equal(key, &record.key));
	assert_int_equal(record.key.bits, bits);
	record.key.bytes[record.key.n - 1] ^= 1;
	assert_false(dkim_key_is_equal(key, &record.key));
	buf_clear(&text);
	EVP_PKEY_free(pkey);
	free(key);
}

static void test_load(void **state)
{
	char path[] = "/tmp/outpost-dkim-XXXXXX";
	int fd = mkstemp(path);
	const char *why = "";

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(dkim_key_load(path, &record.key, &why), -1);
	assert_non_null(strstr(why, "PEM"));
	load_one(
	    EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), path, 1024);
	load_one(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), path, 256);
	unlink(path);
	assert_int_equal(dkim_key_load(path, &record.key, &why), -1);
	assert_string_equal(why, "it cannot be opened");
}

static void test_tags(void **state)
{
	struct tags tags;
	const char *why = "";
	char many[40 * 4 + 1] = "";

	(void)state;
	assert_int_equal(
	    tags_parse(SPAN_LITERAL("a=b; c_1 = d=e ;f="), &tags, &why), 0);
	assert_int_equal(tags.count, 3);
	assert_true(
	    span_is_equal(tags_find(&tags, "c_1"), SPAN_LITERAL("d=e")));
	assert_non_null(tags_find(&tags, "f").p);
	assert_null(tags_find(&tags, "g").p);
	assert_true(tags_begin(&tags, "a", "b"));
	assert_false(tags_begin(&tags, "a", "B"));
	for (int i = 0; i < 40; i++)
		snprintf(many + (size_t)i * 4, 5, "%c%c=;", 'a' + i % 26,
		    'a' + i / 26);
	assert_int_equal(tags_parse(span_of(many), &tags, &why), -1);
	assert_string_equal(why, "it has too many tags");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
