/* Looking into answers; names of statuses, types and addresses. */
#include "dnscheck/ask_parts.h"

#include <stdio.h>

const char *ask_status_name(enum ask_status status)
{
	static const char *const names[] = { "found", "no-data", "no-name",
		"servfail", "refused", "timeout", "unreachable", "malformed",
		"bad-name" };

	return names[status];
}

const char *ask_type_name(uint16_t type)
{
	switch (type) {
	case ASK_A:
		return "A";
	case ASK_NS:
		return "NS";
	case ASK_CNAME:
		return "CNAME";
	case ASK_SOA:
		return "SOA";
	case ASK_PTR:
		return "PTR";
	case ASK_MX:
		return "MX";
	case ASK_TXT:
		return "TXT";
	case ASK_AAAA:
		return "AAAA";
	case ASK_TLSA:
		return "TLSA";
	case ASK_CAA:
		return "CAA";
	default:
		return "another type";
	}
}

bool ask_is_known(const struct ask_answer *answer)
{
	return answer->status <= ASK_NO_NAME;
}

static const struct ask_record *from(
    const struct ask_answer *answer, size_t i, uint16_t type)
{
	for (; ask_is_known(answer) && i < answer->nrecords; i++)
		if (answer->records[i].type == type)
			return &answer->records[i];
	return NULL;
}

const struct ask_record *ask_first(
    const struct ask_answer *answer, uint16_t type)
{
	return from(answer, 0, type);
}

const struct ask_record *ask_next(
    const struct ask_answer *answer, const struct ask_record *after)
{
	return from(answer, (size_t)(after - answer->records) + 1, after->type);
}

void ask_reverse_name(struct span address, char name[ASK_REVERSE_MAX])
{
	const unsigned char *b = (const unsigned char *)address.p;
	size_t used = 0;

	name[0] = '\0';
	if (address.n == 4)
		snprintf(name, ASK_REVERSE_MAX, "%u.%u.%u.%u.in-addr.arpa",
		    b[3], b[2], b[1], b[0]);
	if (address.n != 16)
		return;
	for (size_t i = 16; i-- > 0; used += 4)
		snprintf(name + used, ASK_REVERSE_MAX - used, "%x.%x.",
		    b[i] & 15U, b[i] >> 4);
	snprintf(name + used, ASK_REVERSE_MAX - used, "ip6.arpa");
}

const char *ask_address_text(
    const struct ask_record *record, char text[NET_TEXT_MAX])
{
	union net_address address;

	text[0] = '\0';
	if (net_from_bytes(record->data, 0, &address) == 0)
		net_print_ip(&address, text);
	return text;
}
