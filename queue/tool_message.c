/* All that is known of one message, gathered from a source. */
#include "queue/tool_message.h"

#include "queue/tool_source.h"
#include "queue/tool_text.h"

#include <stdio.h>
#include <stdlib.h>

/* A short-lived program: copies are freed together at the end, by way of the
 * spans that own them. */
static struct span keep(struct shown_message *m, struct span text)
{
	struct span copy = { span_dup(text), text.n };

	if (copy.p)
		return copy;
	m->is_out_of_memory = true;
	return (struct span){ NULL, 0 };
}

static void let_go(struct span *text)
{
	free((char *)text->p);
	*text = (struct span){ NULL, 0 };
}

static bool take_item(const struct item *item, void *arg)
{
	struct shown_message *m = arg;
	struct shown_item *shown = calloc(1, sizeof(*shown));

	if (!shown) {
		m->is_out_of_memory = true;
		return false;
	}
	shown->item = *item;
	shown->item.sender = keep(m, item->sender);
	shown->item.address = keep(m, item->address);
	shown->item.domain = keep(m, item->domain);
	shown->item.line = keep(m, item->line);
	shown->item.reply = keep(m, item->reply);
	shown->item.status = keep(m, item->status);
	shown->item.cause = keep(m, item->cause);
	*m->items_end = shown;
	m->items_end = &shown->next;
	return true;
}

static void free_item(struct shown_item *shown)
{
	let_go(&shown->item.sender);
	let_go(&shown->item.address);
	let_go(&shown->item.domain);
	let_go(&shown->item.line);
	let_go(&shown->item.reply);
	let_go(&shown->item.status);
	let_go(&shown->item.cause);
	free(shown);
}

static void take_try(struct shown_message *m, uint64_t at,
    const struct attempt *attempt, const struct rcpt_outcome *outcome)
{
	const struct result *result = &attempt->result;
	struct shown_try *try = calloc(1, sizeof(*try));

	if (!try) {
		m->is_out_of_memory = true;
		return;
	}
	*try = (struct shown_try){ .at = at,
		.delivery = attempt->delivery,
		.recipient = outcome->index,
		.result = outcome->result,
		.code = outcome->code,
		.took_ms = result->took_ms,
		.counts = attempt->counts };
	try->host = keep(m, result->host);
	try->address = keep(m, result->address);
	try->tls = keep(m, result->tls);
	try->line = keep(m, attempt->line);
	try->cause = keep(m, attempt->cause);
	try->reply = keep(m, outcome->reply);
	try->status = keep(m, span_of(outcome->status));
	*m->tries_end = try;
	m->tries_end = &try->next;
}

static void take_attempt(uint64_t at, const struct attempt *attempt, void *arg)
{
	for (size_t i = 0; i < attempt->result.nrecipients; i++)
		take_try(arg, at, attempt, &attempt->result.recipients[i]);
}

static void free_try(struct shown_try *try)
{
	let_go(&try->host);
	let_go(&try->address);
	let_go(&try->tls);
	let_go(&try->line);
	let_go(&try->cause);
	let_go(&try->reply);
	let_go(&try->status);
	free(try);
}

static void take_envelope(
    uint64_t accepted_at, const struct envelope *e, void *arg)
{
	struct shown_message *m = arg;

	if (m->recipients)
		return;
	m->accepted_at = accepted_at;
	m->sender = keep(m, e->sender);
	m->login = keep(m, e->login);
	m->client = keep(m, e->client);
	m->envid = keep(m, e->envid);
	m->line = keep(m, e->line);
	m->uid = e->uid;
	m->origin = e->origin;
	m->ret = e->ret;
	m->body = e->body;
	m->smtputf8 = e->smtputf8;
	m->requiretls = e->requiretls;
	m->hold_until = e->hold_until;
	m->recipients = calloc(e->nrecipients + 1, sizeof(*m->recipients));
	m->is_out_of_memory |= !m->recipients;
	for (size_t i = 0; m->recipients && i < e->nrecipients; i++)
		m->recipients[m->nrecipients++] =
		    keep(m, e->recipients[i].address);
}

int shown_load(struct tool *tool, struct shown_message *m, struct outcome *why)
{
	const struct source_visitor visitor = { .item = take_item,
		.attempt = take_attempt,
		.envelope = take_envelope,
		.arg = m };

	*m = (struct shown_message){ .id = tool->options.ids[0] };
	m->items_end = &m->items;
	m->tries_end = &m->tries;
	if (source_show(tool->source, m->id, &visitor, why) < 0)
		return -1;
	return m->is_out_of_memory ? outcome_temp(why, "4.3.0", "out of memory")
				   : 0;
}

void shown_clear(struct shown_message *m)
{
	struct shown_item *item, *next_item;
	struct shown_try *try, *next_try;

	for (item = m->items; item; item = next_item) {
		next_item = item->next;
		free_item(item);
	}
	for (try = m->tries; try; try = next_try) {
		next_try = try->next;
		free_try(try);
	}
	for (size_t i = 0; i < m->nrecipients; i++)
		let_go(&m->recipients[i]);
	free(m->recipients);
	let_go(&m->sender);
	let_go(&m->login);
	let_go(&m->client);
	let_go(&m->envid);
	let_go(&m->line);
}

const struct item *shown_item_of(
    const struct shown_message *m, const struct shown_try *try)
{
	const struct shown_item *shown = m->items;

	while (shown && (shown->item.delivery != try->delivery ||
			    shown->item.recipient != try->recipient))
		shown = shown->next;
	return shown ? &shown->item : NULL;
}

const char *shown_result(uint8_t result)
{
	static const char *const names[] = { "untouched", "delivered",
		"deferred", "failed", "uncertain" };

	return result <= RCPT_UNCERTAIN ? names[result] : "unknown";
}

const char *shown_origin(uint8_t origin)
{
	static const char *const names[] = { "unknown", "local", "smtp",
		"report", "import" };

	return origin <= ORIGIN_IMPORT ? names[origin] : "unknown";
}

const char *shown_host(const struct shown_try *try)
{
	static char text[2100];

	text[0] = '\0';
	if (try->host.n > 0)
		snprintf(text, sizeof(text), "%s [%s]", text_safe(try->host),
		    text_safe(try->address));
	return text;
}
