/* Reading single records back. */

#include "queue/journal_parts.h"

int journal_pread(
    struct journal *j, uint32_t segment, void *to, size_t n, uint64_t at)
{
	const struct segment *s = journal_find(j, segment);
	int fd = s ? segment_fd(j, &j->segments[s - j->segments]) : -1;

	return fd < 0 ? -1 : disk_read(j->disk, fd, to, n, at);
}

static int record_read(struct journal *j, const struct place *place,
    struct buf *out, struct record_head *head, struct outcome *why)
{
	const struct segment *s = journal_find(j, place->segment);
	char *to;

	buf_reset(out);
	if (!s)
		return outcome_temp(why, "4.3.0",
		    "journal segment %08x is not there", place->segment);
	if (place->bytes < RECORD_HEAD_BYTES || place->offset > s->bytes ||
	    place->bytes > s->bytes - place->offset)
		return outcome_temp(why, "4.3.0",
		    "journal segment %08x: no record at %llu", place->segment,
		    (unsigned long long)place->offset);
	to = buf_reserve(out, place->bytes);
	if (!to)
		return outcome_temp(why, "4.3.0", "out of memory");
	if (journal_pread(j, place->segment, to, place->bytes, place->offset) <
	    0)
		return outcome_errno(why, "journal");
	out->len = place->bytes;
	if (record_is_valid(buf_span(out), s->generation, place->offset, head))
		return 0;
	return outcome_temp(why, "4.3.0",
	    "journal segment %08x: damaged record at %llu", place->segment,
	    (unsigned long long)place->offset);
}

int journal_read(struct journal *j, const struct place *place, struct buf *out,
    struct record_head *head, struct outcome *why)
{
	int result = record_read(j, place, out, head, why);

	/* beside a keeper: the segment may be new, or another one by now */
	if (result < 0 && j->read_only && journal_reload(j, why) == 0)
		result = record_read(j, place, out, head, why);
	return result;
}
