/* SPF over records that are all foreign. Input: lines "sender", "helo", then
 * records; a question is answered by one of them, chosen by its name. */
#include "dnscheck/ask_parts.h"
#include "dnscheck/spf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 16, ANSWERS_MAX = 2000 };

struct source {
	struct span records[RECORDS_MAX];
	size_t nrecords;
	struct ask_answer *answers[ANSWERS_MAX];
	size_t nanswers;
};

static unsigned hash_of(struct span name, uint16_t type)
{
	unsigned hash = type;

	for (size_t i = 0; i < name.n; i++)
		hash = hash * 31 + (unsigned char)name.p[i];
	return hash;
}

static void put(struct ask_answer *a, struct ask_record *r, struct span text)
{
	*r = (struct ask_record){ .type = a->type,
		.name = SPAN_LITERAL(""),
		.data = SPAN_LITERAL("") };
	if (a->type == ASK_TXT)
		r->data = ask_answer_keep(a, text);
	else if (a->type == ASK_A && text.n >= 4)
		r->data = ask_answer_keep(a, (struct span){ text.p, 4 });
	else if (a->type == ASK_AAAA && text.n >= 16)
		r->data = ask_answer_keep(a, (struct span){ text.p, 16 });
	else
		r->name = ask_answer_keep(a, text);
	a->nrecords++;
}

static const struct ask_answer *look(void *arg, struct span name, uint16_t type)
{
	struct source *s = arg;
	struct ask_answer *a = ask_answer_new(name, type, ASK_NO_NAME);
	struct ask_record *room = ask_answer_room(a, 2);
	unsigned hash = hash_of(name, type);

	/* no evaluation asks that much: 10 terms, 10 hosts each, and %{p} */
	if (s->nanswers == ANSWERS_MAX)
		abort();
	s->answers[s->nanswers++] = a;
	if (s->nrecords == 0 || hash % 7 == 0)
		return a;
	if (hash % 11 == 0) {
		ask_answer_why(a, ASK_TIMEOUT, "silent");
		return a;
	}
	a->status = ASK_FOUND;
	put(a, &room[0], s->records[hash % s->nrecords]);
	if (hash % 5 == 0)
		put(a, &room[1], s->records[(hash / 5) % s->nrecords]);
	return a;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

static void run(struct source *s, struct span sender, struct span helo,
    struct span ip, bool walks_all)
{
	struct spf_query query = { .dns = { look, s },
		.ip = ip,
		.sender = sender,
		.helo = helo,
		.receiver = "r.example",
		.deadline = deadline_in_ms(60000),
		.walks_all = walks_all };
	struct spf_report report;

	spf_check(&query, &report);
	if (report.result > SPF_PERMERROR || !is_printable(report.why) ||
	    !is_printable(report.explanation) || !report.why[0] ||
	    report.lookups > (walks_all ? SPF_COUNT_MAX : SPF_LOOKUPS_MAX))
		abort();
	for (size_t i = 0; i < report.trail.len; i++)
		if (report.trail.data[i] != '\n' &&
		    (report.trail.data[i] < 0x20 ||
			report.trail.data[i] > 0x7e))
			abort();
	spf_report_clear(&report);
	for (size_t i = 0; i < s->nanswers; i++)
		ask_answer_free(s->answers[i]);
	s->nanswers = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size };
	struct span sender = span_cut(&rest, '\n');
	struct span helo = span_cut(&rest, '\n');
	struct source s = { .nrecords = 0 };

	while (rest.n > 0 && s.nrecords < RECORDS_MAX)
		s.records[s.nrecords++] = span_cut(&rest, '\n');
	run(&s, sender, helo, SPAN_LITERAL("\300\0\2\1"), false);
	run(&s, sender, helo, SPAN_LITERAL(" \1\r\270\0\0\0\0\0\0\0\0\0\0\0\1"),
	    false);
	run(&s, sender, helo, SPAN_LITERAL("\300\0\2\1"), true);
	return 0;
}
