/* Messages between programs: the frame header and every typed content. The
 * first byte chooses the content. */
#include "common/messages.h"
#include "common/wire.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wire_rule rules[] = {
	{ MSG_SUBMIT, 1 << 20, NULL },
	{ MSG_RESULT, 1 << 16, NULL },
	{ 0 },
};

union content {
	struct envelope envelope;
	struct due_query due_query;
	struct waiting waiting;
	struct job job;
	struct result result;
	struct attempt attempt;
	struct resolve_query resolve_query;
	struct resolve_answer resolve_answer;
	struct fetch_query fetch_query;
	struct fetch_answer fetch_answer;
	struct session session;
	struct session_report session_report;
	struct line_info line_info;
	struct list_query list_query;
	struct item item;
	struct change change;
	struct spool_stats spool_stats;
	struct outcome outcome;
	struct tls_count tls_count;
	struct tls_read tls_read;
	struct tls_domain tls_domain;
	struct tls_post tls_post;
	struct tls_send tls_send;
};

static void get_allocated(uint8_t which, struct reader *r, union content *c)
{
	switch (which) {
	case 0:
		if (envelope_get(r, &c->envelope) == 0)
			envelope_free(&c->envelope);
		return;
	case 1:
		if (job_get(r, &c->job) == 0)
			job_free(&c->job);
		return;
	case 2:
		if (result_get(r, &c->result) == 0)
			result_free(&c->result);
		return;
	case 3:
		if (attempt_get(r, &c->attempt) == 0)
			attempt_free(&c->attempt);
		return;
	case 4:
		if (resolve_answer_get(r, &c->resolve_answer) == 0)
			resolve_answer_free(&c->resolve_answer);
		return;
	case 5:
		if (session_get(r, &c->session) == 0)
			session_free(&c->session);
		return;
	default:
		return;
	}
}

static void get_flat(uint8_t which, struct reader *r, union content *c)
{
	switch (which) {
	case 6:
		due_query_get(r, &c->due_query);
		return;
	case 7:
		waiting_get(r, &c->waiting);
		return;
	case 8:
		resolve_query_get(r, &c->resolve_query);
		return;
	case 9:
		session_report_get(r, &c->session_report);
		return;
	case 10:
		line_info_get(r, &c->line_info);
		return;
	case 11:
		list_query_get(r, &c->list_query);
		return;
	case 12:
		item_get(r, &c->item);
		return;
	case 13:
		change_get(r, &c->change);
		return;
	case 14:
		spool_stats_get(r, &c->spool_stats);
		return;
	case 15:
		outcome_get(r, &c->outcome);
		return;
	case 16:
		fetch_query_get(r, &c->fetch_query);
		return;
	case 17:
		fetch_answer_get(r, &c->fetch_answer);
		return;
	default:
		return;
	}
}

static void get_tlsrpt(uint8_t which, struct reader *r, union content *c)
{
	switch (which) {
	case 18:
		tls_count_get(r, &c->tls_count);
		return;
	case 19:
		tls_read_get(r, &c->tls_read);
		return;
	case 20:
		tls_domain_get(r, &c->tls_domain);
		return;
	case 21:
		tls_post_get(r, &c->tls_post);
		return;
	case 22:
		tls_send_get(r, &c->tls_send);
		return;
	default:
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = { (const char *)data, size };
	struct reader r;
	struct message message;
	union content content;
	size_t frame;

	wire_parse(all, rules, &message, &frame);
	if (size == 0)
		return 0;
	r = reader_of(span_from(all, 1));
	if (data[0] < 6)
		get_allocated(data[0], &r, &content);
	else if (data[0] < 18)
		get_flat(data[0], &r, &content);
	else
		get_tlsrpt(data[0], &r, &content);
	return 0;
}
