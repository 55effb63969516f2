/* The journal over the simulated disk: batches, torn tails, damage, segments.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/log.h"
#include "queue/batch.h"
#include "queue/journal_parts.h"
#include "queue/journal_scan.h"
#include "tests/unit/simdisk.c"

enum { SEGMENT = 1 << 18, IDS_MAX = 4000 };

struct fixture {
	struct sim *sim;
	struct journal *j;
	struct batch batch;
	struct index_state state; /* what a segment's header notes */
	struct outcome why;
	uint64_t next_id;
};

static void journal_start(struct fixture *f)
{
	f->j = journal_open(sim_disk(f->sim), "/j", SEGMENT, false, &f->why);
	assert_non_null(f->j);
}

static void begin(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->sim = sim_new(3);
	f->next_id = 1;
	batch_init(&f->batch);
	journal_start(f);
	assert_int_equal(journal_advance(f->j, &f->state, false, &f->why), 0);
}

static void end(struct fixture *f)
{
	journal_close(f->j);
	batch_clear(&f->batch);
	sim_free(f->sim);
}

/* One batch of n records with bodies of so many bytes. */
static int put(struct fixture *f, unsigned n, size_t bytes)
{
	static char body[1 << 17];
	struct record_batch head = {
		.generation = journal_current(f->j)->generation,
		.segment = journal_current(f->j)->number,
		.offset = journal_at(f->j),
		.number = f->state.batch_number + 1,
	};
	struct iovec *iov;
	size_t niov;
	int result;

	memset(body, 'x', sizeof(body));
	for (unsigned i = 0; i < n; i++) {
		batch_begin(&f->batch, RECORD_GONE, f->next_id++,
		    journal_session(f->j));
		assert_non_null(
		    batch_end(&f->batch, (struct span){ body, bytes }, NULL));
	}
	iov = batch_finish(&f->batch, &head, journal_session(f->j), &niov);
	result = journal_write(f->j, iov, niov, f->batch.bytes, &f->why);
	if (result == 0)
		f->state.batch_number++;
	else
		f->next_id -= n;
	batch_reset(&f->batch);
	return result;
}

struct seen {
	uint64_t ids[IDS_MAX];
	size_t n;
	unsigned batches, damages;
};

static int seen_record(const struct record_head *head, struct span contents,
    const struct place *place, void *arg)
{
	struct seen *seen = arg;

	(void)contents;
	assert_int_equal(head->bytes, place->bytes);
	assert_true(seen->n < IDS_MAX);
	seen->ids[seen->n++] = head->message;
	return 0;
}

static int seen_batch(const struct record_batch *b, void *arg)
{
	(void)b;
	((struct seen *)arg)->batches++;
	return 0;
}

static void seen_damage(const char *where, const char *what, void *arg)
{
	(void)where;
	(void)what;
	((struct seen *)arg)->damages++;
}

static struct position scan(struct fixture *f, struct seen *seen)
{
	const struct journal_visitor visitor = { seen_record, seen_batch,
		seen_damage, seen };
	struct position from = { journal_segment(f->j, 0)->number,
		SEGMENT_DATA },
			at;

	memset(seen, 0, sizeof(*seen));
	assert_int_equal(
	    journal_scan(f->j, from, 0, &visitor, &at, &f->why), 0);
	return at;
}

/* A kill and a new start, up to where the journal knows its end again. */
static void restart(struct fixture *f, bool is_power_cut, struct seen *seen)
{
	struct position at;

	journal_close(f->j);
	if (is_power_cut)
		sim_power_cut(f->sim);
	else
		sim_kill(f->sim);
	journal_start(f);
	at = scan(f, seen);
	journal_set_at(f->j, at.offset);
	f->state.batch_number = seen->batches;
}

static void batches_come_back_in_order(void **state)
{
	struct seen seen;
	struct fixture f;
	struct position at;

	(void)state;
	begin(&f);
	for (unsigned i = 1; i <= 10; i++)
		assert_int_equal(put(&f, i, i * 100), 0);
	/* more pieces than one call may take */
	assert_int_equal(put(&f, 1500, 9), 0);
	at = scan(&f, &seen);
	assert_int_equal(seen.batches, 11);
	assert_int_equal(seen.n, 1555);
	for (size_t i = 0; i < seen.n; i++)
		assert_int_equal(seen.ids[i], i + 1);
	assert_int_equal(at.offset, journal_at(f.j));
	assert_int_equal(at.offset % BATCH_ALIGN, 0);
	restart(&f, true, &seen);
	assert_int_equal(seen.n, 1555);
	assert_int_equal(seen.damages, 0);
	end(&f);
}

/* At every length of what got to the disk. */
static void a_torn_batch_is_cut_as_a_whole(void **state)
{
	struct seen seen;
	struct fixture f;

	(void)state;
	for (uint64_t seed = 1; seed < 60; seed++) {
		begin(&f);
		sim_random(f.sim, 0);
		f.sim->seed += seed;
		put(&f, 3, 500);
		sim_fail_at(f.sim, 1 + seed % 2, EIO, true);
		assert_int_equal(put(&f, 4, 2000), -1);
		restart(&f, seed % 3 > 0, &seen);
		assert_true(seen.n == 3 || seen.n == 7);
		assert_int_equal(seen.damages, 0);
		end(&f);
	}
}

/* What a torn batch left must not be taken for part of a later, shorter one,
 * nor come after it. */
static void leftovers_do_not_come_back(void **state)
{
	struct seen seen;
	struct fixture f;

	(void)state;
	for (uint64_t seed = 1; seed < 60; seed++) {
		begin(&f);
		f.sim->seed += seed * 977;
		put(&f, 1, 100);
		sim_fail_at(f.sim, 2, EIO, true);
		put(&f, 9, 4000);
		restart(&f, true, &seen);
		if (seen.n == 1) {
			f.next_id = 100;
			sim_fail_at(f.sim, seed % 2 ? 2 : 0, EIO, true);
			put(&f, 3, 4000);
			restart(&f, true, &seen);
			assert_int_equal(seen.damages, 0);
			assert_true(seen.n == 1 || seen.n == 4);
			if (seen.n == 4)
				assert_int_equal(seen.ids[1], 100);
		}
		end(&f);
	}
}

static void damage_in_the_middle_is_not_the_end(void **state)
{
	char path[] = "/j/00000001.seg";
	struct seen seen;
	struct fixture f;
	uint64_t at;

	(void)state;
	begin(&f);
	put(&f, 3, 500);
	at = journal_at(f.j);
	put(&f, 3, 500);
	put(&f, 3, 500);
	/* a record: its neighbours survive */
	sim_corrupt(f.sim, path, at + RECORD_BATCH_BYTES + 600);
	scan(&f, &seen);
	assert_int_equal(seen.n, 8);
	assert_int_equal(seen.damages, 1);
	/* the batch's head as well */
	sim_corrupt(f.sim, path, at + 50);
	scan(&f, &seen);
	assert_int_equal(seen.n, 8);
	assert_int_equal(seen.damages, 1);
	/* in the last one it cannot be told from a torn tail */
	sim_corrupt(f.sim, path, journal_at(f.j) - 3000);
	scan(&f, &seen);
	assert_int_equal(seen.n, 5);
	end(&f);
}

static void the_next_header_says_where_a_segment_ends(void **state)
{
	struct seen seen;
	struct fixture f;
	uint64_t at;

	(void)state;
	begin(&f);
	put(&f, 2, 500);
	at = journal_at(f.j);
	sim_fail_at(f.sim, 2, EIO, false); /* the sync: all is written */
	assert_int_equal(put(&f, 2, 500), -1);
	assert_false(journal_has_room(f.j, 100));
	assert_int_equal(put(&f, 2, 500), -1);
	assert_int_equal(journal_advance(f.j, &f.state, false, &f.why), 0);
	assert_int_equal(journal_current(f.j)->previous_end, at);
	put(&f, 2, 500);
	restart(&f, false, &seen);
	assert_int_equal(seen.n, 4);
	assert_int_equal(seen.damages, 0);
	/* and damage before that end is no torn tail */
	sim_corrupt(f.sim, "/j/00000001.seg", at - 3500);
	scan(&f, &seen);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.damages, 1);
	end(&f);
}

static void a_batch_can_be_taken_back(void **state)
{
	struct seen seen;
	struct fixture f;
	uint64_t at;

	(void)state;
	begin(&f);
	put(&f, 2, 500);
	at = journal_at(f.j);
	put(&f, 2, 500);
	assert_int_equal(journal_revoke(f.j, at), 0);
	f.state.batch_number--;
	restart(&f, true, &seen);
	assert_int_equal(seen.n, 2);
	put(&f, 1, 500);
	restart(&f, true, &seen);
	assert_int_equal(seen.n, 3);
	end(&f);
}

static void segments_are_used_again(void **state)
{
	struct seen seen;
	struct fixture f;

	(void)state;
	begin(&f);
	for (int round = 0; round < 100; round++) {
		assert_false(journal_prepare(f.j, false));
		put(&f, 1, 100000);
		put(&f, 1, 60000);
		while (journal_prepare(f.j, round % 2))
			;
		assert_true(journal_nfree(f.j) >= 1);
		assert_int_equal(
		    journal_advance(f.j, &f.state, true, &f.why), 0);
		while (journal_nsegments(f.j) > 5)
			assert_int_equal(journal_free_oldest(f.j), 0);
	}
	put(&f, 1, 100);
	assert_int_equal(journal_current(f.j)->number, 101);
	assert_int_equal(
	    sim_count(f.sim, "/j/") - sim_count(f.sim, "/j/free"), 5);
	assert_true(journal_nfree(f.j) <= SEGMENTS_KEPT);
	restart(&f, true, &seen);
	assert_int_equal(seen.n, 9);
	assert_int_equal(seen.damages, 0);
	end(&f);
}

static void many_segments_need_few_descriptors(void **state)
{
	struct record_head head;
	struct fixture f;
	struct place place = { 1, RECORD_HEAD_BYTES + 100,
		SEGMENT_DATA + RECORD_BATCH_BYTES };
	struct buf out;

	(void)state;
	begin(&f);
	buf_init(&out, 1 << 20);
	for (int i = 0; i < OPEN_SEGMENTS_MAX + 20; i++) {
		put(&f, 1, 100);
		journal_advance(f.j, &f.state, false, &f.why);
	}
	for (uint32_t i = 1; i < OPEN_SEGMENTS_MAX + 20; i++) {
		place.segment = i;
		assert_int_equal(
		    journal_read(f.j, &place, &out, &head, &f.why), 0);
		assert_int_equal(head.message, i);
	}
	place.segment = 9999;
	assert_int_equal(journal_read(f.j, &place, &out, &head, &f.why), -1);
	place.segment = 1;
	place.bytes = UINT32_MAX;
	assert_int_equal(journal_read(f.j, &place, &out, &head, &f.why), -1);
	assert_true(f.j->nopen <= OPEN_SEGMENTS_MAX);
	buf_clear(&out);
	end(&f);
}

static void strange_names_are_left_alone(void **state)
{
	static const char *const names[] = { "/j/0000001.seg", "/j/x.seg",
		"/j/00000009.seg.old", "/j/free-1", "/j/free-zzzzzzzz",
		"/j/00000007.bad" };
	const struct disk *disk;
	struct seen seen;
	struct fixture f;

	(void)state;
	begin(&f);
	disk = sim_disk(f.sim);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		disk->close(disk->arg,
		    disk->open(disk->arg, names[i], O_RDWR | O_CREAT | O_EXCL));
	put(&f, 1, 100);
	restart(&f, false, &seen);
	assert_int_equal(seen.n, 1);
	/* a number is never given twice */
	journal_advance(f.j, &f.state, false, &f.why);
	assert_int_equal(journal_current(f.j)->number, 8);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_come_back_in_order),
		cmocka_unit_test(a_torn_batch_is_cut_as_a_whole),
		cmocka_unit_test(leftovers_do_not_come_back),
		cmocka_unit_test(damage_in_the_middle_is_not_the_end),
		cmocka_unit_test(the_next_header_says_where_a_segment_ends),
		cmocka_unit_test(a_batch_can_be_taken_back),
		cmocka_unit_test(segments_are_used_again),
		cmocka_unit_test(many_segments_need_few_descriptors),
		cmocka_unit_test(strange_names_are_left_alone),
	};

	log_open("test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
