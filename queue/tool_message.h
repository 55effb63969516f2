/* All that is known of one message in the queue, gathered for show and
 * explain.
 */
#ifndef QUEUE_TOOL_MESSAGE_H
#define QUEUE_TOOL_MESSAGE_H

#include "queue/tool.h"

/* Spans point into text, which belongs to the message. */
struct shown_try {
	uint64_t at;
	uint16_t delivery, recipient;
	uint8_t result; /* enum rcpt_result */
	uint16_t code;
	uint32_t took_ms;
	bool counts;
	struct span host, address, tls, line, cause, reply, status;
	struct shown_try *next;
};

struct shown_item {
	struct item item;
	struct shown_item *next;
};

struct shown_message {
	uint64_t id, accepted_at, nrecipients;
	/* recipients' addresses and the other texts of the envelope */
	struct span sender, login, client, envid, line;
	struct span *recipients;
	uint32_t uid;
	uint8_t origin, ret, body;
	bool smtputf8, requiretls;
	uint64_t hold_until;
	struct shown_item *items, **items_end;
	struct shown_try *tries, **tries_end;
	bool is_out_of_memory;
};

/* Ask the source. 0, or -1 with *why. */
int shown_load(
    struct tool *tool, struct shown_message *message, struct outcome *why);
void shown_clear(struct shown_message *message);

/* The item of an attempt's recipient, NULL when it left the queue. */
const struct item *shown_item_of(
    const struct shown_message *message, const struct shown_try *try);
const char *shown_result(uint8_t result);
const char *shown_origin(uint8_t origin);
/* "mx.example.org [192.0.2.1:25]", "" when no host was reached; safe text in a
 * static buffer. */
const char *shown_host(const struct shown_try *try);

#endif
