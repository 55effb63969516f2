/* After a failed write: what was acknowledged before it is read back past the
 * page cache. A second sync that succeeds would prove nothing: the kernel calls
 * the pages clean after the first one failed. What the disk does not hold is
 * written anew from memory into the next segment. */
#include <stdlib.h>

#include "common/id.h"
#include "common/log.h"
#include "queue/spool_parts.h"

enum { STEP = 256 << 10 };

struct repair {
	struct spool *spool;
	struct buf pages; /* u64 offsets of pages that differ on the disk */
	struct buf ids;	  /* u64, messages with a record there */
	unsigned damages;
};

static void pages_compare(struct repair *r, const char *disk,
    const char *memory, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i += BATCH_ALIGN)
		if (memcmp(disk + i, memory + i, BATCH_ALIGN) != 0)
			put_u64(&r->pages, at + i);
}

/* Both sides of the segment's acknowledged part. -1: it cannot be read. */
static int segment_compare(struct repair *r, uint64_t end)
{
	struct journal *j = r->spool->journal;
	const struct disk *disk = r->spool->disk;
	char *aligned = aligned_alloc(BATCH_ALIGN, STEP);
	char *memory = malloc(STEP);
	int fd = journal_open_direct(j, r->spool->repair_segment), result = 0;

	if (fd < 0 || !aligned || !memory)
		result = -1;
	for (uint64_t at = SEGMENT_DATA; result == 0 && at < end; at += STEP) {
		size_t n = end - at < STEP ? end - at : STEP;

		if (journal_pread(j, r->spool->repair_segment, memory, n, at) <
		    0)
			result = -1;
		else if (disk_read(disk, fd, aligned, n, at) < 0)
			memset(aligned, 0, n); /* as good as lost */
		if (result == 0)
			pages_compare(r, aligned, memory, n, at);
	}
	if (fd >= 0)
		disk->close(disk->arg, fd);
	free(aligned);
	free(memory);
	return result;
}

/* The pages are in order. */
static bool is_on_lost_page(const struct repair *r, const struct place *place)
{
	size_t low = 0, n = r->pages.len / 8, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (get_be64(r->pages.data + middle * 8) + BATCH_ALIGN >
		    place->offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low < n &&
	       get_be64(r->pages.data + low * 8) < place->offset + place->bytes;
}

static void id_note(struct repair *r, uint64_t id)
{
	size_t n = r->ids.len;

	/* a message's claims and attempts often stand together */
	if (n == 0 || get_be64(r->ids.data + n - 8) != id)
		put_u64(&r->ids, id);
}

/* A report's record settled recipients of the message it is about, too. */
static void about_note(struct repair *r, struct span contents)
{
	struct record_message x;
	struct stored_message m;

	if (record_message_get(contents, &x) == 0 &&
	    stored_message_get(x.stored, &m) == 0 && m.nrefs > 0)
		id_note(r, m.envelope.about);
}

static int repair_record(const struct record_head *head, struct span contents,
    const struct place *place, void *arg)
{
	struct repair *r = arg;
	struct record_change change;
	struct change_target t;

	if (!is_on_lost_page(r, place))
		return 0;
	if (head->type != RECORD_CHANGE)
		id_note(r, head->message);
	else if (record_change_get(contents, &change) == 0)
		while (change_target_next(&change, &t))
			id_note(r, t.message);
	if (head->type == RECORD_MESSAGE)
		about_note(r, contents);
	return 0;
}

static void repair_damage(const char *where, const char *what, void *arg)
{
	struct repair *r = arg;

	r->damages++;
	log_warn("spool-damage", "where", where, "what", what, NULL);
}

/* A live message is copied forward with its state; one that is gone gets a
 * record that says so, or a rebuilt index would bring it back. */
static int message_repair(struct spool *s, uint64_t id, struct outcome *why)
{
	int result = stage_move(s, id, why);

	if (result != 1)
		return result;
	stage_begin(s, RECORD_GONE, id);
	return stage_end(s, (struct span){ NULL, 0 }, NULL, false, why);
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint64_t));
}

/* A message has a record for each claim and attempt. */
static void ids_sort(struct buf *ids)
{
	size_t kept = 0;

	if (ids->len > 0)
		qsort(ids->data, ids->len / 8, 8, compare_ids);
	for (size_t i = 0; i < ids->len; i += 8)
		if (kept == 0 ||
		    memcmp(ids->data + i, ids->data + kept - 8, 8) != 0) {
			memmove(ids->data + kept, ids->data + i, 8);
			kept += 8;
		}
	ids->len = kept;
}

static int messages_repair(struct repair *r, struct outcome *why)
{
	struct spool *s = r->spool;
	struct reader ids;
	unsigned n = 0, lost = 0;

	ids_sort(&r->ids);
	ids = reader_of(buf_span(&r->ids));
	while (ids.rest.n > 0) {
		uint64_t id = get_u64(&ids);

		if (message_repair(s, id, why) < 0) {
			log_warn("spool-repair-failed", "id", id_text(id),
			    "why", why->detail, NULL);
			lost++;
		}
		if ((++n % 64 == 0 || ids.rest.n == 0) &&
		    spool_commit(s, why) < 0)
			return -1;
	}
	log_event("spool-verified", "segment",
	    log_text("%08x", s->repair_segment), "rewritten",
	    log_text("%u", n - lost), "lost", log_text("%u", lost), NULL);
	return 0;
}

static int repair_now(struct repair *r, struct outcome *why)
{
	struct spool *s = r->spool;
	const struct journal_visitor visitor = {
		.record = repair_record,
		.damage = repair_damage,
		.arg = r,
	};
	struct position end = { s->repair_segment, SEGMENT_DATA };

	if (segment_compare(r, s->repair_end) < 0)
		return outcome_temp(why, "4.3.0", "segment cannot be read");
	/* the pages from the page cache, which still has them */
	if (journal_scan_segment(
		s->journal, end, s->repair_end, &visitor, &end, why) < 0)
		return -1;
	if (r->pages.overflow || r->ids.overflow)
		return outcome_temp(why, "4.3.0", "out of memory");
	return r->ids.len > 0 ? messages_repair(r, why) : 0;
}

void spool_repair(struct spool *s)
{
	struct repair r = { .spool = s };
	struct outcome why;

	if (s->is_repairing)
		return;
	s->is_repairing = true;
	buf_init(&r.pages, (size_t)1 << 30);
	buf_init(&r.ids, (size_t)1 << 30);
	if (!journal_find(s->journal, s->repair_segment) ||
	    repair_now(&r, &why) == 0)
		s->must_repair = false;
	else
		log_warn("spool-not-verified", "segment",
		    log_text("%08x", s->repair_segment), "why", why.detail,
		    NULL);
	buf_clear(&r.pages);
	buf_clear(&r.ids);
	s->is_repairing = false;
}
