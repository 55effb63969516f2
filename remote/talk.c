/* The words of one connection. Noting is two copies and a clock read from
 * memory: it is done for every command of every message. */
#include "remote/talk.h"

#include "common/deadline.h"

#include <stdlib.h>
#include <time.h>

struct entry {
	uint32_t at_ms;
	uint16_t n;
	uint8_t kind;
};

void talk_init(struct talk *t)
{
	*t = (struct talk){ 0 };
}

void talk_clear(struct talk *t)
{
	free(t->bytes);
	talk_init(t);
}

/* Good to some milliseconds, without a system call. */
static uint64_t coarse_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void talk_begin(struct talk *t)
{
	char *bytes = t->bytes;

	*t = (struct talk){ .bytes = bytes,
		.began_ms = coarse_ms(),
		.began_utc_ms = now_utc_us() / 1000 };
}

/* --- the ring --------------------------------------------------------------*/

static void ring_copy_in(struct talk *t, const void *data, size_t n)
{
	char *ring = t->bytes + TALK_HEAD_BYTES;
	size_t at = (t->ring_from + t->ring_n) % TALK_RING_BYTES;
	size_t first = n < TALK_RING_BYTES - at ? n : TALK_RING_BYTES - at;

	memcpy(ring + at, data, first);
	memcpy(ring, (const char *)data + first, n - first);
	t->ring_n += n;
}

/* n bytes, `from` behind the oldest. */
static void ring_copy_out(
    const struct talk *t, size_t from, void *data, size_t n)
{
	const char *ring = t->bytes + TALK_HEAD_BYTES;
	size_t at = (t->ring_from + from) % TALK_RING_BYTES;
	size_t first = n < TALK_RING_BYTES - at ? n : TALK_RING_BYTES - at;

	memcpy(data, ring + at, first);
	memcpy((char *)data + first, ring, n - first);
}

static void ring_drop_oldest(struct talk *t)
{
	struct entry oldest;
	size_t n;

	ring_copy_out(t, 0, &oldest, sizeof(oldest));
	n = sizeof(oldest) + oldest.n;
	t->ring_from = (t->ring_from + n) % TALK_RING_BYTES;
	t->ring_n -= n;
	t->ndropped++;
}

static void keep(struct talk *t, const struct entry *entry, const void *text)
{
	size_t n = sizeof(*entry) + entry->n;

	t->noted += n;
	if (t->ring_n == 0 && t->ndropped == 0 &&
	    t->head_n + n <= TALK_HEAD_BYTES) {
		memcpy(t->bytes + t->head_n, entry, sizeof(*entry));
		memcpy(t->bytes + t->head_n + sizeof(*entry), text, entry->n);
		t->head_n += n;
		return;
	}
	while (t->ring_n + n > TALK_RING_BYTES)
		ring_drop_oldest(t);
	ring_copy_in(t, entry, sizeof(*entry));
	ring_copy_in(t, text, entry->n);
}

/* --- noting ----------------------------------------------------------------*/

static void note(
    struct talk *t, enum talk_kind kind, const void *text, size_t n)
{
	struct entry entry = { .at_ms = (uint32_t)(coarse_ms() - t->began_ms),
		.n = (uint16_t)n,
		.kind = (uint8_t)kind };

	if (!t->bytes)
		t->bytes = malloc(TALK_HEAD_BYTES + TALK_RING_BYTES);
	if (t->bytes && t->began_utc_ms > 0)
		keep(t, &entry, text);
}

void talk_note(struct talk *t, enum talk_kind kind, struct span text)
{
	while (text.n > 0 &&
	       (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	if (text.n > 0)
		note(t, kind, text.p,
		    text.n < TALK_TEXT_MAX ? text.n : TALK_TEXT_MAX);
}

void talk_note_octets(struct talk *t, uint64_t octets)
{
	note(t, TALK_DATA, &octets, sizeof(octets));
}

/* --- printing --------------------------------------------------------------*/

static void print_lines(
    const struct entry *entry, struct span text, struct buf *out)
{
	static const char marks[] = { [TALK_COMMAND] = '>',
		[TALK_REPLY] = '<',
		[TALK_TLS] = '*',
		[TALK_NOTE] = '*' };

	do {
		struct span line = span_cut(&text, '\n');

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_printf(out, "%u.%03u %c ", entry->at_ms / 1000,
		    entry->at_ms % 1000, marks[entry->kind]);
		buf_put_raw(out, line);
		buf_putc(out, '\n');
	} while (text.n > 0);
}

static void print_entry(
    const struct entry *entry, const char *text, struct buf *out)
{
	uint64_t octets;

	if (entry->kind != TALK_DATA) {
		print_lines(entry, (struct span){ text, entry->n }, out);
		return;
	}
	memcpy(&octets, text, sizeof(octets));
	buf_printf(out, "%u.%03u > (%llu octets)\n", entry->at_ms / 1000,
	    entry->at_ms % 1000, (unsigned long long)octets);
}

void talk_print(const struct talk *t, struct buf *out)
{
	struct entry entry;
	char text[TALK_TEXT_MAX];

	for (size_t at = 0; at < t->head_n; at += sizeof(entry) + entry.n) {
		memcpy(&entry, t->bytes + at, sizeof(entry));
		print_entry(&entry, t->bytes + at + sizeof(entry), out);
	}
	if (t->ndropped > 0)
		buf_printf(out, "... %llu commands and replies left out ...\n",
		    (unsigned long long)t->ndropped);
	for (size_t at = 0; at < t->ring_n; at += sizeof(entry) + entry.n) {
		ring_copy_out(t, at, &entry, sizeof(entry));
		ring_copy_out(t, at + sizeof(entry), text, entry.n);
		print_entry(&entry, text, out);
	}
}
