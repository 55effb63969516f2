/* Reading the journal in order. */
#include "queue/journal_scan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/journal_parts.h"

struct scan {
	struct journal *j;
	const struct journal_visitor *visitor;
	struct outcome *why;
	struct segment segment; /* a copy: a visitor may add one */
	uint64_t limit;		/* where its contents end at the latest */
	bool is_end_known;	/* and not only there could be no more */
	uint64_t last_number;
	struct buf bytes; /* of a batch, or of what is left of one */
};

enum found { FOUND_NONE, FOUND_DAMAGED, FOUND_WHOLE, FOUND_ERROR };

/* A page that the disk cannot give any more reads as zeros: no record. */
static void pages_read(struct scan *s, char *to, uint64_t n, uint64_t at)
{
	for (uint64_t done = 0; done < n; done += BATCH_ALIGN) {
		size_t step = n - done < BATCH_ALIGN ? n - done : BATCH_ALIGN;

		if (journal_pread(s->j, s->segment.number, to + done, step,
			at + done) < 0)
			memset(to + done, 0, step);
	}
}

static int scan_read(struct scan *s, uint64_t at, uint64_t n)
{
	char *to;

	buf_reset(&s->bytes);
	to = buf_reserve(&s->bytes, n + 1);
	if (!to)
		return outcome_temp(s->why, "4.3.0", "out of memory");
	if (journal_pread(s->j, s->segment.number, to, n, at) < 0)
		pages_read(s, to, n, at);
	s->bytes.len = n;
	return 0;
}

static bool is_batch(const struct segment *segment, struct span bytes,
    uint64_t at, uint64_t limit, struct record_head *head,
    struct record_batch *b)
{
	if (!record_is_valid(bytes, segment->generation, at, head) ||
	    head->type != RECORD_BATCH || head->bytes != RECORD_BATCH_BYTES)
		return false;
	bytes.n = head->bytes;
	if (record_batch_get(span_from(bytes, RECORD_HEAD_BYTES), b) < 0)
		return false;
	return b->generation == segment->generation && b->offset == at &&
	       b->segment == segment->number &&
	       b->bytes >= RECORD_BATCH_BYTES && b->bytes <= limit - at;
}

static bool batch_at(struct scan *s, uint64_t at, struct record_head *head,
    struct record_batch *b)
{
	char bytes[RECORD_BATCH_BYTES];

	if (at > s->limit || s->limit - at < sizeof(bytes) ||
	    journal_pread(s->j, s->segment.number, bytes, sizeof(bytes), at) <
		0)
		return false;
	return is_batch(&s->segment, (struct span){ bytes, sizeof(bytes) }, at,
		   s->limit, head, b) &&
	       b->number > s->last_number;
}

bool journal_has_batch(struct journal *j, struct position at, uint64_t number)
{
	struct scan s = { .j = j, .last_number = number - 1 };
	struct record_head head;
	struct record_batch b;

	const struct segment *segment = journal_find(j, at.segment);

	if (!segment || number == 0)
		return false;
	s.segment = *segment;
	s.limit = s.segment.bytes;
	return batch_at(&s, at.offset, &head, &b) && b.number == number;
}

/* The length of a sound record at the place of the buffer, 0 when there is
 * none. session 0: any. */
static uint32_t record_at(const struct scan *s, uint64_t base, uint64_t place,
    uint64_t session, struct record_head *head)
{
	struct span rest = span_from(buf_span(&s->bytes), place);

	if (!record_is_valid(rest, s->segment.generation, base + place, head))
		return 0;
	if (head->type == RECORD_BATCH || (session && head->session != session))
		return 0;
	return head->bytes;
}

static bool is_whole(
    const struct scan *s, const struct record_batch *b, uint64_t session)
{
	uint64_t place = record_padded(RECORD_BATCH_BYTES);
	struct record_head head;
	uint32_t n, count = 0;

	for (; place < b->bytes; place += record_padded(n), count++) {
		n = record_at(s, b->offset, place, session, &head);
		if (n == 0)
			return false;
	}
	return count == b->records && place == b->bytes;
}

static enum found batch_read(
    struct scan *s, uint64_t at, struct record_batch *b)
{
	struct record_head head;

	if (!batch_at(s, at, &head, b))
		return FOUND_NONE;
	if (scan_read(s, at, b->bytes) < 0)
		return FOUND_ERROR;
	return is_whole(s, b, head.session) ? FOUND_WHOLE : FOUND_DAMAGED;
}

/* The next batch from a page on, 0: none. */
static uint64_t batch_after(struct scan *s, uint64_t at)
{
	struct record_head head;
	struct record_batch b;

	for (; at < s->limit; at += BATCH_ALIGN)
		if (batch_at(s, at, &head, &b))
			return at;
	return 0;
}

static int record_visit(struct scan *s, uint64_t base, uint64_t place,
    const struct record_head *head)
{
	struct place where = { s->segment.number, head->bytes, base + place };
	struct span contents = { s->bytes.data + place + RECORD_HEAD_BYTES,
		head->bytes - RECORD_HEAD_BYTES };

	return s->visitor->record
		   ? s->visitor->record(head, contents, &where, s->visitor->arg)
		   : 0;
}

static int batch_visit(struct scan *s, const struct record_batch *b)
{
	uint64_t place = record_padded(RECORD_BATCH_BYTES);
	struct record_head head;

	while (place < b->bytes) {
		uint32_t n;

		record_head_get(span_from(buf_span(&s->bytes), place), &head);
		n = head.bytes;
		if (record_visit(s, b->offset, place, &head) < 0)
			return -1;
		place += record_padded(n);
	}
	s->last_number = b->number;
	return s->visitor->batch ? s->visitor->batch(b, s->visitor->arg) : 0;
}

static void damage_report(
    struct scan *s, uint64_t from, uint64_t to, unsigned saved)
{
	char where[64], what[96];

	if (!s->visitor->damage)
		return;
	snprintf(where, sizeof(where), "journal %08x", s->segment.number);
	snprintf(what, sizeof(what),
	    "damage between %llu and %llu; %u records around it are sound",
	    (unsigned long long)from, (unsigned long long)to, saved);
	s->visitor->damage(where, what, s->visitor->arg);
}

static void torn_report(struct scan *s, const struct record_batch *b)
{
	char where[64], what[96];

	if (!s->visitor->torn)
		return;
	snprintf(where, sizeof(where), "journal %08x", s->segment.number);
	snprintf(what, sizeof(what),
	    "a last batch of %u records at %llu is not whole: cut off",
	    b->records, (unsigned long long)b->offset);
	s->visitor->torn(where, what, s->visitor->arg);
}

/* Visit what is still sound between two offsets. */
static int salvage(struct scan *s, uint64_t from, uint64_t to)
{
	struct record_head head;
	unsigned saved = 0;

	if (scan_read(s, from, to - from) < 0)
		return -1;
	for (uint64_t place = 0; place + RECORD_HEAD_BYTES <= s->bytes.len;) {
		uint32_t n = record_at(s, from, place, 0, &head);

		if (n > 0 && record_visit(s, from, place, &head) < 0)
			return -1;
		saved += n > 0;
		place += n > 0 ? record_padded(n) : RECORD_ALIGN;
	}
	damage_report(s, from, to, saved);
	return 0;
}

static int batches_visit(struct scan *s, uint64_t *at)
{
	while (*at < s->limit) {
		struct record_batch b;
		enum found found = batch_read(s, *at, &b);
		uint64_t next;

		if (found == FOUND_ERROR)
			return -1;
		if (found == FOUND_WHOLE) {
			if (batch_visit(s, &b) < 0)
				return 1;
			*at += batch_padded(b.bytes);
			continue;
		}
		next = batch_after(s, *at + BATCH_ALIGN);
		if (next == 0 && !s->is_end_known) {
			if (found == FOUND_DAMAGED)
				torn_report(s, &b);
			return 0;
		}
		if (next == 0)
			next = s->limit;
		if (salvage(s, *at, next) < 0)
			return -1;
		*at = next;
	}
	return 0;
}

static void segment_enter(struct scan *s, size_t i)
{
	const struct segment *next = i + 1 < journal_nsegments(s->j)
					 ? journal_segment(s->j, i + 1)
					 : NULL;

	s->segment = *journal_segment(s->j, i);
	s->is_end_known = next && next->number == s->segment.number + 1 &&
			  next->previous_end <= s->segment.bytes;
	s->limit = s->is_end_known ? next->previous_end : s->segment.bytes;
}

int journal_scan(struct journal *j, struct position from, uint64_t last_number,
    const struct journal_visitor *visitor, struct position *end,
    struct outcome *why)
{
	struct scan s = { .j = j,
		.visitor = visitor,
		.why = why,
		.last_number = last_number };
	int result = 0;

	*end = from;
	buf_init(&s.bytes, (size_t)2 << 30);
	for (size_t i = 0; i < journal_nsegments(j) && result == 0; i++) {
		uint64_t at = SEGMENT_DATA;

		segment_enter(&s, i);
		if (s.segment.number < from.segment)
			continue;
		if (s.segment.number == from.segment)
			at = from.offset;
		result = batches_visit(&s, &at);
		*end = (struct position){ s.segment.number, at };
	}
	buf_clear(&s.bytes);
	return result;
}

int journal_scan_segment(struct journal *j, struct position from,
    uint64_t limit, const struct journal_visitor *visitor, struct position *end,
    struct outcome *why)
{
	struct scan s = { .j = j, .visitor = visitor, .why = why };
	int result = 0;

	*end = from;
	buf_init(&s.bytes, (size_t)2 << 30);
	for (size_t i = 0; i < journal_nsegments(j); i++) {
		segment_enter(&s, i);
		if (s.segment.number != from.segment)
			continue;
		if (limit && limit < s.limit) {
			s.limit = limit;
			s.is_end_known = true;
		}
		result = batches_visit(&s, &end->offset);
		break;
	}
	buf_clear(&s.bytes);
	return result;
}
