/* remote/convert.c, mime.c, encode.c, header_words.c: messages made fit for
 * servers that take 7 bits or short lines; however the input is cut. */
#include "remote/convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OUT_MAX = 1 << 22 };

/* 1 = out is the converted text, 0 = fit as it is, -1 = why. */
static int convert(struct span in, unsigned goals, size_t cut, struct buf *out,
    struct outcome *why)
{
	struct convert *c = convert_new(goals);
	int status;

	for (size_t at = 0; at < in.n; at += cut)
		convert_look(c, (struct span){ in.p + at,
				    in.n - at < cut ? in.n - at : cut });
	status = convert_decide(c, why);
	buf_init(out, OUT_MAX);
	if (status == 1) {
		convert_begin(c);
		for (size_t at = 0; at < in.n; at += cut)
			convert_put(c,
			    (struct span){
				in.p + at, in.n - at < cut ? in.n - at : cut },
			    out);
		convert_end(c, out);
	}
	convert_free(c);
	return status;
}

static void check(const char *in, unsigned goals, const char *want)
{
	static const size_t cuts[] = { 1, 2, 3, 7, 100000 };
	struct outcome why;
	struct buf out;

	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		int status = convert(span_of(in), goals, cuts[i], &out, &why);

		if (!want) {
			assert_int_equal(status, 0);
		} else if (want[0] == '-') {
			assert_int_equal(status, -1);
			assert_string_equal(why.status, "5.6.3");
			assert_non_null(strstr(why.detail, want + 1));
		} else {
			assert_int_equal(status, 1);
			assert_string_equal(buf_text(&out), want);
		}
		buf_clear(&out);
	}
}

#define MIME "MIME-Version: 1.0\r\n"

static void test_7bit(void **state)
{
	(void)state;
	check("Subject: a\r\n\r\nplain\r\n", CONVERT_7BIT, NULL);
	check("", CONVERT_7BIT, NULL);
	check("Subject: a\r\n\r\ncaf\xc3\xa9 =\r\nx \r\n", CONVERT_7BIT,
	    "Subject: a\r\n" MIME "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n"
	    "\r\ncaf=C3=A9 =3D\r\nx=20\r\n");
	check("Subject: a\r\n\r\ncaf\xe9, caf\xe9\r\n", CONVERT_7BIT,
	    "Subject: a\r\n" MIME
	    "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n"
	    "\r\ncaf=E9, caf=E9\r\n");
	check(MIME "Content-Type: text/plain; charset=iso-8859-1\r\n"
		   "Content-Transfer-Encoding: 8bit\r\n\r\ncaf\xe9 no end",
	    CONVERT_7BIT,
	    MIME "Content-Type: text/plain; charset=iso-8859-1\r\n"
		 "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
		 "caf=E9 no end");
	/* mostly beyond ASCII */
	check(MIME "Content-Type: text/plain; charset=utf-8\r\n\r\n"
		   "\xc3\xa9\xc3\xa9\xc3\xa9\r\n",
	    CONVERT_7BIT,
	    MIME "Content-Type: text/plain; charset=utf-8\r\n"
		 "Content-Transfer-Encoding: base64\r\n\r\nw6nDqcOpDQo=\r\n");
}

static void test_parts(void **state)
{
	(void)state;
	/* only the part that needs it; around the parts nobody reads */
	check(MIME "Content-Type: multipart/mixed; boundary=\"b 1\"\r\n"
		   "Content-Transfer-Encoding: 8bit\r\n\r\npre\xff\r\n"
		   "--b 1\r\n\r\nascii\r\n"
		   "--b 1\r\nContent-Type: text/plain; charset=utf-8\r\n"
		   "Content-Transfer-Encoding: 8bit\r\n\r\nabcdef \xc3\xa9\r\n"
		   "--b 1--\r\nepi\r\n",
	    CONVERT_7BIT,
	    MIME "Content-Type: multipart/mixed; boundary=\"b 1\"\r\n"
		 "Content-Transfer-Encoding: 7bit\r\n\r\npre?\r\n"
		 "--b 1\r\n\r\nascii\r\n"
		 "--b 1\r\nContent-Type: text/plain; charset=utf-8\r\n"
		 "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
		 "abcdef =C3=A9\r\n"
		 "--b 1--\r\nepi\r\n");
	/* a message in a message; base64 keeps the delimiter's line end */
	check(MIME
	    "Content-Type: multipart/digest; boundary=x\r\n\r\n"
	    "--x\r\n\r\nSubject: in\r\n\r\n\xc3\xa9\xc3\xa9\r\n--x--\r\n",
	    CONVERT_7BIT,
	    MIME "Content-Type: multipart/digest; boundary=x\r\n\r\n"
		 "--x\r\n\r\nSubject: in\r\n" MIME
		 "Content-Type: text/plain; charset=utf-8\r\n"
		 "Content-Transfer-Encoding: base64\r\n\r\nw6nDqQ==\r\n"
		 "--x--\r\n");
	check(MIME "Content-Type: message/rfc822\r\n"
		   "Content-Transfer-Encoding: 8bit\r\n\r\n" MIME
		   "Content-Type: text/html\r\n\r\nabcdef \xc3\xa9.\r\n",
	    CONVERT_7BIT,
	    MIME "Content-Type: message/rfc822\r\n"
		 "Content-Transfer-Encoding: 7bit\r\n\r\n" MIME
		 "Content-Type: text/html\r\n"
		 "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
		 "abcdef =C3=A9.\r\n");
	/* is quoted-printable, but somebody did not know */
	check(MIME "Content-Transfer-Encoding: Quoted-Printable\r\n\r\n"
		   "a=20=\r\nb\xc3\xa9\r\n",
	    CONVERT_7BIT,
	    MIME "Content-Transfer-Encoding: Quoted-Printable\r\n\r\n"
		 "a=20=\r\nb=C3=A9\r\n");
}

static void test_refused(void **state)
{
	(void)state;
	check("DKIM-Signature: v=1\r\nSubject: a\r\n\r\n\xc3\xa9\r\n",
	    CONVERT_7BIT, "-signed");
	check(MIME "Content-Type: multipart/signed; boundary=b\r\n\r\n"
		   "--b\r\n\r\n\xc3\xa9\r\n--b--\r\n",
	    CONVERT_7BIT, "-signed");
	check(MIME "Content-Transfer-Encoding: x-uue\r\n\r\n\xc3\xa9\r\n",
	    CONVERT_7BIT, "-encoding");
	check("To: <\xc3\xa9@example.org>\r\n\r\n", CONVERT_7BIT, "-address");
	/* signed, but nothing to do */
	check("DKIM-Signature: v=1\r\n\r\nplain\r\n", CONVERT_7BIT, NULL);
}

static void test_headers(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "Subject: caf\xc3\xa9 au lait\r\n\r\n",
		    "Subject: =?utf-8?Q?caf=C3=A9?= au lait\r\n\r\n" },
		{ "Subject: \xc3\xa9 \xc3\xa9\r\n x\r\n\r\n",
		    "Subject: =?utf-8?Q?=C3=A9_=C3=A9?=\r\n x\r\n\r\n" },
		{ "From: Ren\xc3\xa9 \xc3\x89"
		  "a <r@example.org>\r\n\r\n",
		    "From: =?utf-8?Q?Ren=C3=A9_=C3=89a?= <r@example.org>\r\n"
		    "\r\n" },
		{ "To: \"\xc3\xa9, \\\"x\" <a@b>, c@d\r\n\r\n",
		    "To: =?utf-8?Q?=C3=A9=2C_=22x?= <a@b>, c@d\r\n\r\n" },
		{ "X: \xe9t\xe9\r\n\r\n",
		    "X: =?unknown-8bit?Q?=E9t=E9?=\r\n\r\n" },
		{ "Content-Disposition: attachment; "
		  "filename=\"\xc3\xa9.txt\"\r\n\r\n",
		    "Content-Disposition: attachment; "
		    "filename=\"=?utf-8?Q?=C3=A9=2Etxt?=\"\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(rows[i].in, CONVERT_7BIT, rows[i].out);
}

static void check_lines(struct span text)
{
	while (text.n > 0) {
		const char *lf = memchr(text.p, '\n', text.n);
		size_t n = lf ? (size_t)(lf - text.p) + 1 : text.n;

		assert_true(n <= 1000);
		text = span_from(text, n);
	}
}

static void test_long_lines(void **state)
{
	static const char *const heads[] = { "Subject: a\r\n\r\n",
		MIME "Content-Transfer-Encoding: quoted-printable\r\n\r\n" };
	struct buf in, out;
	struct outcome why;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		buf_init(&in, OUT_MAX);
		buf_puts(&in, heads[i]);
		for (int k = 0; k < 5000; k++)
			buf_puts(&in, "=3D");
		assert_int_equal(
		    convert(buf_span(&in), CONVERT_LINES, 4097, &out, &why), 1);
		check_lines(buf_span(&out));
		buf_clear(&in);
		buf_clear(&out);
	}
	buf_init(&in, OUT_MAX);
	buf_puts(&in, "DKIM-Signature: x\r\n\r\n");
	for (int k = 0; k < 2000; k++)
		buf_putc(&in, 'a');
	/* signed: tried as it is */
	assert_int_equal(
	    convert(buf_span(&in), CONVERT_LINES, 100, &out, &why), 0);
	buf_clear(&out);
	buf_clear(&in);
}

static void test_binary(void **state)
{
	static const char in[] =
	    MIME "Content-Type: application/x\r\n"
		 "Content-Transfer-Encoding: binary\r\n\r\na\0b\rc\nd--------";
	struct outcome why;
	struct buf out;

	(void)state;
	assert_int_equal(convert((struct span){ in, sizeof(in) - 1 },
			     CONVERT_TEXT, 5, &out, &why),
	    1);
	assert_string_equal(buf_text(&out),
	    MIME "Content-Type: application/x\r\n"
		 "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
		 "a=00b=0Dc=0Ad--------");
	buf_clear(&out);
}

/* Parts without end, and depth: given up, in bounded memory. */
static void test_bounds(void **state)
{
	struct buf in, out;
	struct outcome why;

	(void)state;
	buf_init(&in, OUT_MAX);
	for (int i = 0; i < 40; i++)
		buf_printf(&in,
		    "Content-Type: multipart/mixed; boundary=b%02d\r\n\r\n"
		    "--b%02d\r\n",
		    i, i);
	buf_puts(&in, "\r\n\xc3\xa9\r\n");
	assert_int_equal(
	    convert(buf_span(&in), CONVERT_7BIT, 1000, &out, &why), -1);
	buf_clear(&out);
	buf_reset(&in);
	buf_puts(&in, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (int i = 0; i < 5000; i++)
		buf_puts(&in, "--b\r\n\r\n\xc3\xa9\r\n");
	assert_int_equal(
	    convert(buf_span(&in), CONVERT_7BIT, 1000, &out, &why), -1);
	buf_clear(&out);
	buf_clear(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_7bit),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
