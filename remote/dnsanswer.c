/* Questions and answers of the DNS by ldns. */
#include "remote/dnsanswer.h"

#include <ctype.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	EDNS_BYTES = 1232, /* fits one packet everywhere; DNS flag day 2020 */
	ALIASES_MAX = 10,
	NO_MEMORY = -2, /* a status beside 0 and -1, which is: malformed */
};

/* --- answers -------------------------------------------------------------- */

struct dns_answer *dns_answer_new(enum dns_status status)
{
	struct dns_answer *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->holders = 1;
	a->status = status;
	return a;
}

struct dns_answer *dns_answer_hold(struct dns_answer *a)
{
	a->holders++;
	return a;
}

static void clear_record(struct dns_record *r)
{
	free(r->name);
	free(r->data);
}

void dns_answer_release(struct dns_answer *a)
{
	if (!a || --a->holders > 0)
		return;
	for (size_t i = 0; i < a->nrecords; i++)
		clear_record(&a->records[i]);
	free(a->records);
	free(a->alias);
	free(a);
}

const char *dns_type_name(enum dns_type type)
{
	switch (type) {
	case DNS_A:
		return "A";
	case DNS_CNAME:
		return "CNAME";
	case DNS_SOA:
		return "SOA";
	case DNS_MX:
		return "MX";
	case DNS_TXT:
		return "TXT";
	case DNS_AAAA:
		return "AAAA";
	case DNS_TLSA:
		return "TLSA";
	}
	return "?";
}

const char *dns_status_name(enum dns_status status)
{
	static const char *const names[] = { "found", "no-data", "no-name",
		"failed" };

	return names[status];
}

/* --- question ------------------------------------------------------------- */

int dns_question_put(struct buf *out, const char *name, enum dns_type type,
    uint16_t id, unsigned how)
{
	ldns_rdf *rdf = ldns_dname_new_frm_str(name[0] ? name : ".");
	ldns_pkt *packet;
	uint8_t *wire = NULL;
	size_t size = 0;

	if (!rdf)
		return -1;
	packet = ldns_pkt_query_new(
	    rdf, (ldns_rr_type)type, LDNS_RR_CLASS_IN, LDNS_RD);
	if (!packet) {
		ldns_rdf_deep_free(rdf);
		return -1;
	}
	ldns_pkt_set_id(packet, id);
	if (how & DNS_WITH_EDNS)
		ldns_pkt_set_edns_udp_size(packet, EDNS_BYTES);
	if (how & DNS_WITH_AD)
		ldns_pkt_set_ad(packet, true);
	if (how & DNS_WITH_AD && how & DNS_WITH_EDNS)
		ldns_pkt_set_edns_do(packet, true);
	if (ldns_pkt2wire(&wire, packet, &size) == LDNS_STATUS_OK)
		buf_put(out, wire, size);
	free(wire);
	ldns_pkt_free(packet);
	return size > 0 && !out->overflow ? 0 : -1;
}

/* --- reading -------------------------------------------------------------- */

/* Lower case, without the dot at the end; "" is the root. */
static void print_name(const ldns_rdf *rdf, char text[DNS_NAME_MAX * 4 + 2])
{
	char *all = rdf ? ldns_rdf2str(rdf) : NULL;
	size_t n = all ? strlen(all) : 0;

	if (n >= DNS_NAME_MAX * 4 + 2)
		n = 0;
	if (n > 0 && all[n - 1] == '.')
		n--;
	for (size_t i = 0; i < n; i++)
		text[i] = (char)tolower((unsigned char)all[i]);
	text[n] = '\0';
	free(all);
}

static bool has_name(const ldns_rdf *rdf, const char *name)
{
	char text[DNS_NAME_MAX * 4 + 2];

	print_name(rdf, text);
	return strcmp(text, name) == 0;
}

static bool is_answer_to(
    const ldns_pkt *packet, const char *name, enum dns_type type, uint16_t id)
{
	const ldns_rr *question;

	if (!ldns_pkt_qr(packet) || ldns_pkt_id(packet) != id ||
	    ldns_pkt_get_opcode(packet) != LDNS_PACKET_QUERY)
		return false;
	/* Servers that refuse or fail may leave the question out. */
	if (ldns_pkt_qdcount(packet) == 0)
		return ldns_pkt_get_rcode(packet) != LDNS_RCODE_NOERROR &&
		       ldns_pkt_get_rcode(packet) != LDNS_RCODE_NXDOMAIN;
	question = ldns_rr_list_rr(ldns_pkt_question(packet), 0);
	return question && ldns_pkt_qdcount(packet) == 1 &&
	       ldns_rr_get_type(question) == (ldns_rr_type)type &&
	       ldns_rr_get_class(question) == LDNS_RR_CLASS_IN &&
	       has_name(ldns_rr_owner(question), name);
}

/* RFC 2181 section 8: the top bit set means zero. */
static uint32_t ttl_of(const ldns_rr *rr, uint32_t most)
{
	uint32_t ttl = ldns_rr_ttl(rr);

	if (ttl & 0x80000000U)
		return 0;
	return ttl < most ? ttl : most;
}

static void lower_ttl(struct dns_answer *a, uint32_t ttl)
{
	if (ttl < a->ttl_s)
		a->ttl_s = ttl;
}

/* RFC 2308 section 5: the lesser of the SOA's minimum and its own TTL; without
 * SOA a no is not kept. */
static void set_negative_ttl(struct dns_answer *a, const ldns_pkt *packet)
{
	const ldns_rr_list *list = ldns_pkt_authority(packet);
	uint32_t minimum;

	a->ttl_s = 0;
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);

		if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_SOA ||
		    ldns_rr_rd_count(rr) < 7)
			continue;
		minimum = ldns_rdf2native_int32(ldns_rr_rdf(rr, 6));
		a->ttl_s = ttl_of(rr, DNS_NEGATIVE_TTL_MAX_S);
		lower_ttl(a, minimum);
		return;
	}
}

/* The name at the end of the aliases in the answer; -1: they go in circles. */
static int follow_aliases(const ldns_rr_list *list, struct dns_answer *a,
    char name[DNS_NAME_MAX * 4 + 2])
{
	size_t i, count = ldns_rr_list_rr_count(list);

	for (int hops = 0; hops <= ALIASES_MAX; hops++) {
		for (i = 0; i < count; i++) {
			const ldns_rr *rr = ldns_rr_list_rr(list, i);

			if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_CNAME ||
			    !has_name(ldns_rr_owner(rr), name))
				continue;
			lower_ttl(a, ttl_of(rr, DNS_TTL_MAX_S));
			print_name(ldns_rr_rdf(rr, 0), name);
			break;
		}
		if (i == count)
			return 0;
	}
	return -1;
}

static int take_address(
    struct dns_record *record, const ldns_rr *rr, size_t nbytes)
{
	const ldns_rdf *rdf = ldns_rr_rdf(rr, 0);

	if (!rdf || ldns_rdf_size(rdf) != nbytes)
		return -1;
	record->nbytes = (uint8_t)nbytes;
	memcpy(record->bytes, ldns_rdf_data(rdf), nbytes);
	return 0;
}

static int take_mx(struct dns_record *record, const ldns_rr *rr)
{
	char name[DNS_NAME_MAX * 4 + 2];

	if (ldns_rr_rd_count(rr) != 2)
		return -1;
	record->preference = ldns_rdf2native_int16(ldns_rr_rdf(rr, 0));
	print_name(ldns_rr_rdf(rr, 1), name);
	record->name = strdup(name);
	return record->name ? 0 : NO_MEMORY;
}

static int take_cname(struct dns_record *record, const ldns_rr *rr)
{
	char name[DNS_NAME_MAX * 4 + 2];

	if (ldns_rr_rd_count(rr) != 1)
		return -1;
	print_name(ldns_rr_rdf(rr, 0), name);
	record->name = strdup(name);
	return record->name ? 0 : NO_MEMORY;
}

/* The fields one behind the other, each without its first skip bytes: the
 * lengths of the strings of a TXT. */
static int take_data(struct dns_record *record, const ldns_rr *rr, size_t skip)
{
	size_t fields = ldns_rr_rd_count(rr);
	struct buf b;

	buf_init(&b, DNS_PACKET_MAX);
	for (size_t i = 0; i < fields; i++) {
		const ldns_rdf *rdf = ldns_rr_rdf(rr, i);
		size_t n = ldns_rdf_size(rdf);

		if (n >= skip)
			buf_put(&b, ldns_rdf_data(rdf) + skip, n - skip);
	}
	record->ndata = b.len;
	if (!b.overflow)
		record->data = malloc(b.len ? b.len : 1);
	if (record->data && b.len > 0)
		memcpy(record->data, b.data, b.len);
	buf_clear(&b);
	return record->data ? 0 : NO_MEMORY;
}

static int take_record(
    struct dns_record *record, const ldns_rr *rr, enum dns_type type)
{
	switch (type) {
	case DNS_A:
		return take_address(record, rr, 4);
	case DNS_AAAA:
		return take_address(record, rr, 16);
	case DNS_MX:
		return take_mx(record, rr);
	case DNS_CNAME:
		return take_cname(record, rr);
	case DNS_TXT:
		return take_data(record, rr, 1);
	case DNS_TLSA:
		return take_data(record, rr, 0);
	case DNS_SOA:
		return 0;
	}
	return -1;
}

static int by_preference(const void *one, const void *other)
{
	const struct dns_record *a = one, *b = other;

	return (a->preference > b->preference) -
	       (a->preference < b->preference);
}

static void keep_best(struct dns_answer *a, enum dns_type type)
{
	if (type == DNS_MX)
		qsort(a->records, a->nrecords, sizeof(*a->records),
		    by_preference);
	while (a->nrecords > DNS_RECORDS_MAX)
		clear_record(&a->records[--a->nrecords]);
}

/* 0; -1: out of memory. What is not there for that must not look as if it did
 * not exist. */
static int take_records(struct dns_answer *a, const ldns_rr_list *list,
    const char *asked, const char *name, enum dns_type type)
{
	size_t count = ldns_rr_list_rr_count(list);
	int status;

	a->records = calloc(count ? count : 1, sizeof(*a->records));
	if (!a->records)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);

		if (ldns_rr_get_type(rr) != (ldns_rr_type)type ||
		    ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN ||
		    !has_name(ldns_rr_owner(rr), name))
			continue;
		status = take_record(&a->records[a->nrecords], rr, type);
		if (status == NO_MEMORY)
			return -1;
		if (status == 0)
			a->nrecords++;
		lower_ttl(a, ttl_of(rr, DNS_TTL_MAX_S));
	}
	keep_best(a, type);
	if (a->nrecords > 0 && strcmp(name, asked) != 0 &&
	    !(a->alias = strdup(name)))
		return -1;
	return 0;
}

static void set_failed(struct dns_answer *a, const char *why)
{
	while (a->nrecords > 0)
		clear_record(&a->records[--a->nrecords]);
	a->status = DNS_FAILED;
	a->is_secure = false;
	snprintf(a->detail, sizeof(a->detail), "%s", why);
}

static void fill_found(struct dns_answer *a, const ldns_pkt *packet,
    const char *name, enum dns_type type)
{
	const ldns_rr_list *list = ldns_pkt_answer(packet);
	char at[DNS_NAME_MAX * 4 + 2];

	a->ttl_s = DNS_TTL_MAX_S;
	snprintf(at, sizeof(at), "%s", name);
	if (type != DNS_CNAME && follow_aliases(list, a, at) < 0) {
		set_failed(a, "the aliases (CNAME) go in circles");
		return;
	}
	if (take_records(a, list, name, at, type) < 0) {
		set_failed(a, "out of memory");
		return;
	}
	if (a->nrecords > 0)
		return;
	a->status = DNS_NO_DATA;
	set_negative_ttl(a, packet);
}

static void fill(struct dns_answer *a, const ldns_pkt *packet, const char *name,
    enum dns_type type)
{
	ldns_pkt_rcode rcode = ldns_pkt_get_rcode(packet);
	char *word;

	a->is_secure = ldns_pkt_ad(packet);
	if (rcode == LDNS_RCODE_NOERROR) {
		fill_found(a, packet, name, type);
		return;
	}
	if (rcode == LDNS_RCODE_NXDOMAIN) {
		a->status = DNS_NO_NAME;
		set_negative_ttl(a, packet);
		return;
	}
	word = ldns_pkt_rcode2str(rcode);
	set_failed(a, word ? word : "error");
	free(word);
}

/* Cut off anywhere, it need not be readable beyond its header. */
static bool is_truncated(struct span packet, uint16_t id)
{
	struct reader r = reader_of(packet);
	uint16_t flags;

	if (get_u16(&r) != id)
		return false;
	flags = get_u16(&r);
	return !r.bad && (flags & 0x8000) && (flags & 0x0200);
}

enum dns_reading dns_answer_read(struct span packet, const char *name,
    enum dns_type type, uint16_t id, struct dns_answer **answer)
{
	enum dns_reading reading = DNS_READ;
	ldns_pkt *p = NULL;

	if (is_truncated(packet, id))
		return DNS_TRUNCATED;
	if (packet.n > DNS_PACKET_MAX ||
	    ldns_wire2pkt(&p, (const uint8_t *)packet.p, packet.n) !=
		LDNS_STATUS_OK)
		return DNS_FOREIGN;
	if (!is_answer_to(p, name, type, id))
		reading = DNS_FOREIGN;
	else if (ldns_pkt_get_rcode(p) == LDNS_RCODE_FORMERR ||
		 ldns_pkt_get_rcode(p) == LDNS_RCODE_NOTIMPL)
		reading = DNS_NO_EDNS;
	if (reading == DNS_READ) {
		*answer = dns_answer_new(DNS_FOUND);
		if (*answer)
			fill(*answer, p, name, type);
		else
			reading = DNS_FOREIGN;
	}
	ldns_pkt_free(p);
	return reading;
}
