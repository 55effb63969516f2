/* DNS packets as a resolver may send them to outpost-dnscheck: the first byte
 * chooses the type, the rest is the packet; its id counts as the right one. */
#include "dnscheck/ask_parts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_span(struct span s)
{
	if (!s.p || s.p[s.n] != '\0')
		abort();
}

static void check_record(const struct ask_record *r)
{
	check_span(r->owner);
	check_span(r->name);
	check_span(r->data);
	check_span(r->tag);
	if ((r->type == ASK_A && r->data.n != 4) ||
	    (r->type == ASK_AAAA && r->data.n != 16))
		abort();
}

static void check(const struct ask_answer *a)
{
	size_t ncnames = 0;

	check_span(a->why);
	check_span(a->name);
	check_span(a->canonical);
	if (a->nrecords > ASK_RECORDS_MAX + ASK_CNAMES_MAX + 1)
		abort();
	for (size_t i = 0; i < a->nrecords; i++) {
		check_record(&a->records[i]);
		ncnames += a->records[i].type == ASK_CNAME;
		if (a->records[i].type != a->type &&
		    a->records[i].type != ASK_CNAME)
			abort();
	}
	if (a->status == ASK_FOUND && !ask_first(a, a->type))
		abort();
	if (!ask_is_known(a) && a->why.n == 0)
		abort();
	if (a->type != ASK_CNAME && ncnames > ASK_CNAMES_MAX + 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { ASK_MX, ASK_A, ASK_AAAA, ASK_TLSA,
		ASK_TXT, ASK_CNAME, ASK_PTR, ASK_NS, ASK_SOA, ASK_CAA, 99 };
	struct span packet = { (const char *)data + 1, size - 1 };
	struct ask_answer *a = NULL;
	enum ask_reading reading;
	uint16_t id;

	if (size < 3)
		return 0;
	id = (uint16_t)(data[1] << 8 | data[2]);
	reading = ask_packet_read(packet, "a.example",
	    types[data[0] % (sizeof(types) / sizeof(*types))], id, &a);
	if ((reading == PACKET_READ || reading == PACKET_NO_EDNS) != !!a)
		abort();
	if (a)
		check(a);
	ask_answer_free(a);
	return 0;
}
