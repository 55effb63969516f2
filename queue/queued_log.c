/* The keeper's log lines: one a message accepted, one a recipient's outcome. */
#include "queue/queued_parts.h"

#include "common/id.h"
#include "common/log.h"

static const char *origin_name(uint8_t origin)
{
	static const char *const names[] = {
		[ORIGIN_LOCAL] = "local",
		[ORIGIN_SMTP] = "smtp",
		[ORIGIN_REPORT] = "report",
		[ORIGIN_IMPORT] = "import",
	};

	return origin >= ORIGIN_LOCAL && origin <= ORIGIN_IMPORT ? names[origin]
								 : "unknown";
}

static const char *text_or_null(struct span text)
{
	if (text.n == 0)
		return NULL;
	return log_text(
	    "%.*s", text.n < REPLY_MAX ? (int)text.n : (int)REPLY_MAX, text.p);
}

void log_accepted(const struct transaction *t, uint64_t message)
{
	log_event("accepted", "id", id_text(message), "from",
	    t->text[0] ? t->text : "<>", "size",
	    log_text("%llu", (unsigned long long)t->size_bytes), "rcpts",
	    log_text("%u", t->nrecipients), "origin", origin_name(t->origin),
	    "uid", t->uid == UINT32_MAX ? NULL : log_text("%u", t->uid),
	    "client", t->client[0] ? t->client : NULL, "about",
	    t->about ? id_text(t->about) : NULL, NULL);
}

static const char *result_name(uint8_t result)
{
	static const char *const names[] = {
		[RCPT_UNTOUCHED] = "untouched",
		[RCPT_DELIVERED] = "delivered",
		[RCPT_DEFERRED] = "deferred",
		[RCPT_FAILED] = "failed",
		[RCPT_UNCERTAIN] = "uncertain",
	};

	return result <= RCPT_UNCERTAIN ? names[result] : "unknown";
}

static void log_recipient(
    const struct held_record *record, const struct rcpt_outcome *outcome)
{
	const struct attempt *a = &record->attempt;
	const struct claim *claim = record->claim;
	const char *to = claim ? claim_address(claim, outcome->index) : NULL;
	int64_t seconds = claim ? now_utc() - (int64_t)claim->accepted_at : 0;

	/* Not more than 6 texts from the log's ring of 8 on one line. */
	log_event(result_name(outcome->result), "id", id_text(a->message), "to",
	    to, "host", text_or_null(a->result.host), "address",
	    text_or_null(a->result.address), "status", outcome->status, "reply",
	    text_or_null(outcome->reply), "line", text_or_null(a->line),
	    "attempts",
	    claim ? log_text("%d", claim->attempts + a->counts) : NULL,
	    "seconds", claim ? log_text("%lld", (long long)seconds) : NULL,
	    NULL);
}

void log_attempt(const struct held_record *record)
{
	const struct result *result = &record->attempt.result;

	for (size_t i = 0; i < result->nrecipients; i++)
		if (result->recipients[i].result != RCPT_UNTOUCHED)
			log_recipient(record, &result->recipients[i]);
}
