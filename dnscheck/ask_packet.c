/* Packets of the DNS by ldns: questions out of names, answers out of bytes.
 * RFC 1035 section 4, RFC 6891 (EDNS), RFC 2181.
 */
#include "dnscheck/ask_parts.h"

#include "common/address.h"
#include "dnscheck/need.h"

#include <ctype.h>
#include <ldns/ldns.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- an answer's memory --------------------------------------------------- */

struct chunk {
	struct chunk *next;
	char bytes[];
};

struct box {
	struct ask_answer answer; /* first: what the callers see */
	struct chunk *chunks;
	struct ask_record *records;
};

struct ask_answer *ask_answer_new(
    struct span name, uint16_t type, enum ask_status status)
{
	struct box *box = need(calloc(1, sizeof(*box)));

	box->answer.status = status;
	box->answer.type = type;
	box->answer.name = ask_answer_keep(&box->answer, name);
	box->answer.canonical = box->answer.name;
	box->answer.server = box->answer.why = SPAN_LITERAL("");
	return &box->answer;
}

void ask_answer_free(struct ask_answer *answer)
{
	struct box *box = (struct box *)answer;
	struct chunk *next;

	if (!box)
		return;
	for (struct chunk *c = box->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(box->records);
	free(box);
}

struct span ask_answer_keep(struct ask_answer *answer, struct span text)
{
	struct box *box = (struct box *)answer;
	struct chunk *c = need(malloc(sizeof(*c) + text.n + 1));

	c->next = box->chunks;
	box->chunks = c;
	if (text.n > 0)
		memcpy(c->bytes, text.p, text.n);
	c->bytes[text.n] = '\0';
	return (struct span){ c->bytes, text.n };
}

void ask_answer_why(
    struct ask_answer *answer, enum ask_status status, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	answer->status = status;
	answer->is_secure = false;
	answer->why = ask_answer_keep(answer, span_of(text));
}

struct ask_record *ask_answer_room(struct ask_answer *answer, size_t n)
{
	struct box *box = (struct box *)answer;

	box->records = need(calloc(n ? n : 1, sizeof(*box->records)));
	answer->records = box->records;
	return box->records;
}

/* --- names ---------------------------------------------------------------- */

/* Lower case, without the dot at the end; "" is the root. */
static void print_name(const ldns_rdf *rdf, char text[ASK_NAME_TEXT_MAX])
{
	char *all = rdf ? ldns_rdf2str(rdf) : NULL;
	size_t n = all ? strlen(all) : 0;

	if (n >= ASK_NAME_TEXT_MAX)
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
	char text[ASK_NAME_TEXT_MAX];

	print_name(rdf, text);
	return strcmp(text, name) == 0;
}

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static int canonical_name(struct span name, char text[ASK_NAME_TEXT_MAX])
{
	ldns_rdf *rdf;

	if (name.n >= ASK_NAME_TEXT_MAX ||
	    (name.n > 0 && memchr(name.p, '\0', name.n)))
		return -1;
	snprintf(text, ASK_NAME_TEXT_MAX, "%.*s", (int)name.n,
	    name.n > 0 ? name.p : "");
	rdf = ldns_dname_new_frm_str(text[0] ? text : ".");
	if (!rdf)
		return -1;
	print_name(rdf, text);
	ldns_rdf_deep_free(rdf);
	return 0;
}

int ask_name(struct span name, char text[ASK_NAME_TEXT_MAX])
{
	struct buf ascii;
	int status;

	if (is_ascii(name))
		return canonical_name(name, text);
	buf_init(&ascii, ASK_NAME_TEXT_MAX);
	status = domain_to_ascii(name, &ascii, NULL);
	if (status == 0 && !ascii.overflow)
		status = canonical_name(buf_span(&ascii), text);
	buf_clear(&ascii);
	return status;
}

/* --- the question --------------------------------------------------------- */

static void set_flags(ldns_pkt *packet, const struct ask_way *way)
{
	uint16_t bytes = way->edns_bytes ? way->edns_bytes : ASK_EDNS_BYTES;

	ldns_pkt_set_rd(packet, !way->without_recursion);
	ldns_pkt_set_cd(packet, way->checking_disabled);
	/* RFC 6840 section 5.7: we understand AD */
	ldns_pkt_set_ad(packet, !way->checking_disabled);
	if (way->without_edns)
		return;
	ldns_pkt_set_edns_udp_size(packet, bytes);
	if (way->with_dnssec)
		ldns_pkt_set_edns_do(packet, true);
}

int ask_packet_put(struct buf *out, const char *name, uint16_t type,
    uint16_t id, const struct ask_way *way)
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
	set_flags(packet, way);
	if (ldns_pkt2wire(&wire, packet, &size) == LDNS_STATUS_OK)
		buf_put(out, wire, size);
	free(wire);
	ldns_pkt_free(packet);
	return size > 0 && !out->overflow ? 0 : -1;
}

/* --- records -------------------------------------------------------------- */

static struct span keep_name(struct ask_answer *a, const ldns_rdf *rdf)
{
	char text[ASK_NAME_TEXT_MAX];

	print_name(rdf, text);
	return ask_answer_keep(a, span_of(text));
}

static struct span rdf_bytes(const ldns_rdf *rdf)
{
	return (struct span){ (const char *)ldns_rdf_data(rdf),
		ldns_rdf_size(rdf) };
}

/* The fields from first on, one behind the other, each without its first skip
 * bytes: the lengths of the strings of a TXT. */
static struct span keep_data(
    struct ask_answer *a, const ldns_rr *rr, size_t first, size_t skip)
{
	struct span kept;
	struct buf b;

	buf_init(&b, ASK_PACKET_MAX);
	for (size_t i = first; i < ldns_rr_rd_count(rr); i++)
		buf_put_raw(&b, span_from(rdf_bytes(ldns_rr_rdf(rr, i)), skip));
	kept = ask_answer_keep(a, buf_span(&b));
	buf_clear(&b);
	return kept;
}

static uint8_t byte_of(const ldns_rr *rr, size_t i)
{
	const ldns_rdf *rdf = ldns_rr_rdf(rr, i);

	return ldns_rdf_size(rdf) == 1 ? ldns_rdf_data(rdf)[0] : 0;
}

static int take_address(struct ask_answer *a, struct ask_record *r,
    const ldns_rr *rr, size_t nbytes)
{
	const ldns_rdf *rdf = ldns_rr_rdf(rr, 0);

	if (!rdf || ldns_rdf_size(rdf) != nbytes)
		return -1;
	r->data = ask_answer_keep(a, rdf_bytes(rdf));
	return 0;
}

static int take_mx(
    struct ask_answer *a, struct ask_record *r, const ldns_rr *rr)
{
	if (ldns_rr_rd_count(rr) != 2)
		return -1;
	r->preference = ldns_rdf2native_int16(ldns_rr_rdf(rr, 0));
	r->name = keep_name(a, ldns_rr_rdf(rr, 1));
	return 0;
}

static int take_tlsa(
    struct ask_answer *a, struct ask_record *r, const ldns_rr *rr)
{
	if (ldns_rr_rd_count(rr) != 4)
		return -1;
	r->usage = byte_of(rr, 0);
	r->selector = byte_of(rr, 1);
	r->matching = byte_of(rr, 2);
	r->data = keep_data(a, rr, 3, 0);
	return 0;
}

static int take_caa(
    struct ask_answer *a, struct ask_record *r, const ldns_rr *rr)
{
	if (ldns_rr_rd_count(rr) != 3)
		return -1;
	r->flags = byte_of(rr, 0);
	/* its first byte is its length */
	r->tag =
	    ask_answer_keep(a, span_from(rdf_bytes(ldns_rr_rdf(rr, 1)), 1));
	r->data = keep_data(a, rr, 2, 0);
	return 0;
}

static int take_value(
    struct ask_answer *a, struct ask_record *r, const ldns_rr *rr)
{
	switch (r->type) {
	case ASK_A:
		return take_address(a, r, rr, 4);
	case ASK_AAAA:
		return take_address(a, r, rr, 16);
	case ASK_MX:
		return take_mx(a, r, rr);
	case ASK_NS:
	case ASK_CNAME:
	case ASK_PTR:
	case ASK_SOA:
		if (ldns_rr_rd_count(rr) < 1)
			return -1;
		r->name = keep_name(a, ldns_rr_rdf(rr, 0));
		return 0;
	case ASK_TXT:
		r->data = keep_data(a, rr, 0, 1);
		return 0;
	case ASK_TLSA:
		return take_tlsa(a, r, rr);
	case ASK_CAA:
		return take_caa(a, r, rr);
	default:
		r->data = keep_data(a, rr, 0, 0);
		return 0;
	}
}

/* RFC 2181 section 8: the top bit set means zero. */
static uint32_t ttl_of(const ldns_rr *rr)
{
	uint32_t ttl = ldns_rr_ttl(rr);

	return ttl & 0x80000000U ? 0 : ttl;
}

/* The record number i is of that type and of this owner. */
static const ldns_rr *fits(
    const ldns_rr_list *list, size_t i, uint16_t type, const char *owner)
{
	const ldns_rr *rr = ldns_rr_list_rr(list, i);

	if (ldns_rr_get_type(rr) != (ldns_rr_type)type ||
	    ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN ||
	    !has_name(ldns_rr_owner(rr), owner))
		return NULL;
	return rr;
}

/* A record without a readable value is left out. */
static void take(struct ask_answer *a, struct ask_record *room,
    const ldns_rr *rr, const char *owner)
{
	struct ask_record *r = &room[a->nrecords];

	*r = (struct ask_record){ .type = (uint16_t)ldns_rr_get_type(rr),
		.ttl_s = ttl_of(rr),
		.owner = SPAN_LITERAL(""),
		.name = SPAN_LITERAL(""),
		.data = SPAN_LITERAL(""),
		.tag = SPAN_LITERAL("") };
	r->owner = ask_answer_keep(a, span_of(owner));
	if (take_value(a, r, rr) == 0)
		a->nrecords++;
}

/* The CNAMEs from name on are taken; name becomes where they end. -1: they go
 * in circles. */
static int follow(struct ask_answer *a, struct ask_record *room,
    const ldns_rr_list *list, char name[ASK_NAME_TEXT_MAX])
{
	size_t i, count = ldns_rr_list_rr_count(list);

	for (int hops = 0; hops <= ASK_CNAMES_MAX; hops++) {
		const ldns_rr *rr = NULL;

		for (i = 0; i < count && !rr; i++)
			rr = fits(list, i, ASK_CNAME, name);
		if (!rr || ldns_rr_rd_count(rr) != 1)
			return 0;
		take(a, room, rr, name);
		print_name(ldns_rr_rdf(rr, 0), name);
	}
	return -1;
}

static void fill_found(struct ask_answer *a, const ldns_pkt *packet)
{
	const ldns_rr_list *list = ldns_pkt_answer(packet);
	size_t ncnames, count = ldns_rr_list_rr_count(list);
	size_t most = count < ASK_RECORDS_MAX ? count : ASK_RECORDS_MAX;
	/* aliases in circles are taken as often as they are followed */
	struct ask_record *room = ask_answer_room(a, most + ASK_CNAMES_MAX + 1);
	char at[ASK_NAME_TEXT_MAX];
	const ldns_rr *rr;

	snprintf(at, sizeof(at), "%s", a->name.p);
	if (a->type != ASK_CNAME && follow(a, room, list, at) < 0) {
		ask_answer_why(a, ASK_MALFORMED,
		    "more than %d CNAMEs, or in circles", ASK_CNAMES_MAX);
		return;
	}
	a->canonical = ask_answer_keep(a, span_of(at));
	ncnames = a->nrecords;
	for (size_t i = 0; i < count && !a->was_cut; i++) {
		rr = fits(list, i, a->type, at);
		a->was_cut = rr && a->nrecords - ncnames == ASK_RECORDS_MAX;
		if (rr && !a->was_cut)
			take(a, room, rr, at);
	}
	if (a->nrecords == ncnames)
		a->status = ASK_NO_DATA;
}

static bool has_signatures(const ldns_rr_list *list)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++)
		if (ldns_rr_get_type(ldns_rr_list_rr(list, i)) ==
		    LDNS_RR_TYPE_RRSIG)
			return true;
	return false;
}

static void fill(struct ask_answer *a, const ldns_pkt *packet)
{
	ldns_pkt_rcode rcode = ldns_pkt_get_rcode(packet);
	char *word;

	a->says_secure = ldns_pkt_ad(packet);
	a->has_edns = ldns_pkt_edns(packet);
	a->has_signatures = has_signatures(ldns_pkt_answer(packet)) ||
			    has_signatures(ldns_pkt_authority(packet));
	a->was_truncated = ldns_pkt_tc(packet);
	if (rcode == LDNS_RCODE_NOERROR || rcode == LDNS_RCODE_NXDOMAIN) {
		fill_found(a, packet);
		/* of the last name, RFC 6604 section 2.1 */
		if (rcode == LDNS_RCODE_NXDOMAIN && ask_is_known(a))
			a->status = ASK_NO_NAME;
		return;
	}
	word = ldns_pkt_rcode2str(rcode);
	ask_answer_why(a,
	    rcode == LDNS_RCODE_REFUSED ? ASK_REFUSED : ASK_SERVFAIL,
	    "it answers %s", word ? word : "with an error");
	free(word);
}

/* --- the answer ----------------------------------------------------------- */

static bool is_answer_to(
    const ldns_pkt *packet, const char *name, uint16_t type)
{
	ldns_pkt_rcode rcode = ldns_pkt_get_rcode(packet);
	const ldns_rr *question;

	if (!ldns_pkt_qr(packet) ||
	    ldns_pkt_get_opcode(packet) != LDNS_PACKET_QUERY)
		return false;
	/* Servers that refuse or fail may leave the question out. */
	if (ldns_pkt_qdcount(packet) == 0)
		return rcode != LDNS_RCODE_NOERROR &&
		       rcode != LDNS_RCODE_NXDOMAIN;
	question = ldns_rr_list_rr(ldns_pkt_question(packet), 0);
	return question && ldns_pkt_qdcount(packet) == 1 &&
	       ldns_rr_get_type(question) == (ldns_rr_type)type &&
	       ldns_rr_get_class(question) == LDNS_RR_CLASS_IN &&
	       has_name(ldns_rr_owner(question), name);
}

/* Cut off anywhere, it need not be readable beyond its header. */
static bool is_truncated(struct span packet)
{
	struct reader r = reader_of(span_from(packet, 2));
	uint16_t flags = get_u16(&r);

	return !r.bad && (flags & 0x8000) && (flags & 0x0200);
}

static bool has_id(struct span packet, uint16_t id)
{
	struct reader r = reader_of(packet);
	uint16_t own = get_u16(&r);

	return !r.bad && own == id;
}

static enum ask_reading unreadable(struct span packet, const char *name,
    uint16_t type, struct ask_answer **answer)
{
	if (!is_truncated(packet))
		return PACKET_BROKEN;
	*answer = ask_answer_new(span_of(name), type, ASK_NO_DATA);
	ask_answer_why(*answer, ASK_MALFORMED, "truncated beyond reading");
	(*answer)->was_truncated = true;
	return PACKET_READ;
}

enum ask_reading ask_packet_read(struct span packet, const char *name,
    uint16_t type, uint16_t id, struct ask_answer **answer)
{
	enum ask_reading reading = PACKET_FOREIGN;
	ldns_pkt *p = NULL;

	*answer = NULL;
	if (!has_id(packet, id) || packet.n > ASK_PACKET_MAX)
		return PACKET_FOREIGN;
	if (ldns_wire2pkt(&p, (const uint8_t *)packet.p, packet.n) !=
	    LDNS_STATUS_OK)
		return unreadable(packet, name, type, answer);
	if (is_answer_to(p, name, type))
		*answer = ask_answer_new(span_of(name), type, ASK_FOUND);
	if (*answer) {
		reading = ldns_pkt_get_rcode(p) == LDNS_RCODE_FORMERR ||
				  ldns_pkt_get_rcode(p) == LDNS_RCODE_NOTIMPL
			      ? PACKET_NO_EDNS
			      : PACKET_READ;
		fill(*answer, p);
	}
	ldns_pkt_free(p);
	return reading;
}
