/* The report as a message: RFC 8460 section 5.3.
 *
 * Compressed, as section 5.2 wants it: the JSON of a domain with many hosts
 * says the same words over and over.
 */
#include "runner/tlsrpt_report.h"

#include <zlib.h>

#include "common/date.h"

enum { LINE_BYTES = 57, DAY_S = 86400, GZIP_WINDOW = 15 + 16 };

int tlsrpt_gzip(struct span text, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)text.p, .avail_in = (uInt)text.n };
	size_t room;
	char *to;
	int status;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
		Z_DEFAULT_STRATEGY) != Z_OK)
		return -1;
	room = deflateBound(&z, (uLong)text.n);
	to = buf_reserve(out, room);
	if (!to) {
		deflateEnd(&z);
		return -1;
	}
	z.next_out = (Bytef *)to;
	z.avail_out = (uInt)room;
	status = deflate(&z, Z_FINISH);
	out->len += room - z.avail_out;
	deflateEnd(&z);
	return status == Z_STREAM_END ? 0 : -1;
}

static void put_base64(struct span s, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = 0;

		for (size_t k = 0; k < 3; k++)
			v = v << 8 |
			    (i + k < s.n ? (unsigned char)s.p[i + k] : 0);
		buf_putc(out, digits[v >> 18]);
		buf_putc(out, digits[v >> 12 & 63]);
		buf_putc(out, i + 1 < s.n ? digits[v >> 6 & 63] : '=');
		buf_putc(out, i + 2 < s.n ? digits[v & 63] : '=');
		if ((i + 3) % LINE_BYTES == 0 || i + 3 >= s.n)
			buf_puts(out, "\r\n");
	}
}

static void put_header(const struct tlsrpt_case *c, struct span to,
    const char *contact, const char *id, int64_t now, struct buf *out)
{
	char date[DATE_TEXT_BYTES];

	date_print(now, date);
	buf_printf(out, "From: <%s>\r\nTo: <%.*s>\r\nDate: %s\r\n", contact,
	    (int)to.n, to.p, date);
	buf_printf(out,
	    "Subject: Report Domain: %.*s\r\n Submitter: %s\r\n"
	    " Report-ID: <%s>\r\n",
	    (int)c->domain.n, c->domain.p, c->localname, id);
	buf_printf(out,
	    "Message-ID: <tlsrpt.%.*s.%s>\r\n"
	    "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %s\r\n",
	    (int)c->domain.n, c->domain.p, id, (int)c->domain.n, c->domain.p,
	    c->localname);
	/* RFC 8689 5: what it tells of is TLS that fails */
	buf_puts(out, "TLS-Required: No\r\nAuto-Submitted: auto-generated\r\n"
		      "MIME-Version: 1.0\r\n");
}

static void put_words(
    const struct tlsrpt_case *c, const char *contact, struct buf *out)
{
	char day[TLS_DAY_BYTES];

	tls_day_print(c->day, day);
	buf_printf(out,
	    "This is an aggregate report about TLS (RFC 8460).\r\n\r\n"
	    "Domain:    %.*s\r\nDay:       %s (UTC)\r\nSubmitter: %s\r\n"
	    "Questions: %s\r\n\r\n"
	    "What %s met when it sent mail to that domain on that day is in\r\n"
	    "the attached file, JSON compressed by gzip. The record that asks "
	    "for it:\r\n_smtp._tls.%.*s (TXT).\r\n",
	    (int)c->domain.n, c->domain.p, day, c->localname, contact,
	    c->localname, (int)c->domain.n, c->domain.p);
}

/* RFC 8460 5.1: submitter!domain!begin!end!id.json.gz */
static void put_parts(const struct tlsrpt_case *c, struct span gzip,
    const char *contact, struct buf *out)
{
	static const char boundary[] = "=_outpost_tlsrpt";
	unsigned long long begin = (unsigned long long)c->day * DAY_S;

	buf_printf(out,
	    "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
	    " boundary=\"%s\"\r\n\r\n"
	    "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
	    boundary, boundary);
	put_words(c, contact, out);
	buf_printf(out,
	    "\r\n--%s\r\nContent-Type: application/tlsrpt+gzip\r\n"
	    "Content-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n"
	    " filename=\"%s!%.*s!%llu!%llu!1.json.gz\"\r\n\r\n",
	    boundary, c->localname, (int)c->domain.n, c->domain.p, begin,
	    begin + DAY_S - 1);
	put_base64(gzip, out);
	buf_printf(out, "\r\n--%s--\r\n", boundary);
}

int tlsrpt_mail(const struct tlsrpt_case *c, struct span to, struct span gzip,
    int64_t now, struct buf *out)
{
	struct buf contact, id;

	buf_init(&contact, ADDRESS_MAX);
	buf_init(&id, ADDRESS_MAX);
	tlsrpt_contact(c, &contact);
	tlsrpt_report_id(c, &id);
	put_header(c, to, buf_text(&contact), buf_text(&id), now, out);
	put_parts(c, gzip, buf_text(&contact), out);
	buf_clear(&contact);
	buf_clear(&id);
	return out->overflow ? -1 : 0;
}
