/* The spool when things go wrong: the n-th call fails for all n, the disk
 * fills up, bits flip, the index is damaged or of another make. */
#include "tests/unit/spool_rig.c"

#include <signal.h>
#include <sys/resource.h>

enum { SENT_MAX = 64, CALLS_MAX = 400 };

#define BODY SPAN_LITERAL("Subject: x\r\n\r\nbody\r\n")

/* --- The n-th call -------------------------------------------------------- */

/* What was promised during a scenario in which one call fails. */
struct promises {
	uint64_t accepted[SENT_MAX], delivered[SENT_MAX];
	size_t naccepted, ndelivered;
	uint64_t unknown; /* delivered, but the answer was no answer */
};

static void try_send(struct rig *r, struct promises *p, size_t n)
{
	struct recipient to = { .address = SPAN_LITERAL("a@b.example") };
	struct envelope e = { .uid = 1, .recipients = &to, .nrecipients = 1 };
	static char body[INLINE_BODY_MAX + 100];
	uint64_t id;

	memset(body, 'b', sizeof(body));
	if (rig_try_stage(r, &e, (struct span){ body, n }, &id) == 0 &&
	    spool_commit(r->spool, &r->why) == 0)
		p->accepted[p->naccepted++] = id;
	else
		spool_commit(r->spool, &r->why);
}

static void try_deliver(struct rig *r, struct promises *p, uint64_t id)
{
	struct rcpt_outcome o = { .result = RCPT_DELIVERED };
	struct attempt a = { .message = id,
		.reports = (uint8_t[]){ 0 },
		.result = { .recipients = &o, .nrecipients = 1 } };

	if (spool_stage_claim(r->spool, id, 0, CLAIM_DELIVER) < 0 ||
	    spool_commit(r->spool, &r->why) < 0 ||
	    spool_stage_attempt(r->spool, &a) < 0)
		spool_commit(r->spool, &r->why);
	else if (spool_commit(r->spool, &r->why) == 0)
		p->delivered[p->ndelivered++] = id;
	else
		p->unknown = id;
}

static void maintain(struct rig *r)
{
	for (int i = 0; i < 20 && spool_maintain(r->spool); i++)
		spool_commit(r->spool, &r->why);
}

/* Enough to fill segments, move what stays and free the rest. */
static void scenario(struct rig *r, struct promises *p)
{
	for (int i = 0; i < 8; i++) {
		try_send(r, p, 100000);
		try_send(r, p, 1000);
		if (i == 3)
			try_send(r, p, INLINE_BODY_MAX + 100);
		if (i > 0 && p->naccepted > 2)
			try_deliver(r, p, p->accepted[p->naccepted - 2]);
		maintain(r);
	}
}

static void rig_send_fails(struct rig *r)
{
	struct promises p = { .naccepted = 0 };

	try_send(r, &p, 700);
	assert_int_equal(p.naccepted, 0);
}

static bool is_in(const uint64_t *ids, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* All that was acknowledged is there, nothing that was finished. */
static void promises_check(struct rig *r, const struct promises *p)
{
	struct rig_items list;
	size_t found = 0;

	rig_verify(r);
	rig_list(r, NULL, &list);
	for (size_t i = 0; i < list.n; i++) {
		uint64_t id = list.items[i].message;

		assert_false(is_in(p->delivered, p->ndelivered, id));
		found += is_in(p->accepted, p->naccepted, id);
	}
	if (found + 1 == p->naccepted - p->ndelivered && p->unknown)
		found++;
	assert_int_equal(found, p->naccepted - p->ndelivered);
}

enum after { AFTER_NOTHING, AFTER_KILL, AFTER_POWER_CUT };

/* Returns whether the n-th call was ever made. */
static bool fail_one(uint64_t n, int error, bool dies, enum after after)
{
	struct promises p = { .naccepted = 0 };
	struct rig r;
	bool failed;

	rig_begin(&r, n);
	sim_fail_at(r.sim, n, error, dies);
	scenario(&r, &p);
	failed = sim_has_failed(r.sim);
	sim_fail_at(r.sim, 0, 0, false);
	if (after == AFTER_NOTHING)
		promises_check(&r, &p);
	if (after == AFTER_KILL)
		rig_kill(&r);
	else
		rig_power_cut(&r);
	promises_check(&r, &p);
	rig_end(&r);
	return failed;
}

static void every_call_may_fail(
    int error, bool dies, enum after after, uint64_t step)
{
	uint64_t n;

	for (n = 1; n < CALLS_MAX && fail_one(n, error, dies, after); n += step)
		;
	assert_true(n > 60 && n < CALLS_MAX);
}

static void survives_each_failing_call(void **state)
{
	(void)state;
	every_call_may_fail(EIO, false, AFTER_NOTHING, 1);
}

static void survives_each_call_on_a_full_disk(void **state)
{
	(void)state;
	every_call_may_fail(ENOSPC, false, AFTER_KILL, 1);
}

static void survives_being_killed_at_each_call(void **state)
{
	(void)state;
	every_call_may_fail(EIO, true, AFTER_KILL, 1);
}

static void survives_a_power_cut_at_each_call(void **state)
{
	(void)state;
	every_call_may_fail(EIO, true, AFTER_POWER_CUT, 1);
}

/* The same while starting. */
static void survives_failing_starts(void **state)
{
	struct spool_options options = { .segment_bytes = RIG_SEGMENT };
	struct promises p = { .naccepted = 0 };
	struct rig r;
	char index[128];

	(void)state;
	rig_begin(&r, 5);
	try_send(&r, &p, 1000);
	try_send(&r, &p, INLINE_BODY_MAX + 1);
	rig_claim(&r, p.accepted[0], 0, CLAIM_DELIVER);
	options.path = r.path;
	options.disk = sim_disk(r.sim);
	rig_index_path(&r, index);
	for (uint64_t n = 1; n < 12; n++) {
		spool_abandon(r.spool);
		sim_kill(r.sim);
		index_remove(index);
		sim_fail_at(r.sim, n, n % 2 ? EIO : ENOSPC, false);
		r.spool = spool_open(&options, NULL, &r.why);
		sim_fail_at(r.sim, 0, 0, false);
		if (!r.spool)
			rig_open(&r);
		promises_check(&r, &p);
	}
	rig_end(&r);
}

/* --- Space ---------------------------------------------------------------- */

static void outcomes_have_room_on_a_full_disk(void **state)
{
	struct promises p = { .naccepted = 0 };
	struct rig r;
	size_t was;

	(void)state;
	rig_begin(&r, 1);
	maintain(&r);
	/* little mail, few zeros */
	assert_int_equal(journal_nfree(r.spool->journal), 0);
	sim_set_capacity(r.sim, 5 * RIG_SEGMENT);
	do {
		was = p.naccepted;
		try_send(&r, &p, 60000);
	} while (p.naccepted > was && was < SENT_MAX - 1);
	assert_true(was >= 4 && was < SENT_MAX - 1);
	assert_string_equal(r.why.status, "4.3.1");
	for (size_t i = 0; i < was; i++)
		try_deliver(&r, &p, p.accepted[i]);
	assert_int_equal(p.ndelivered, was);
	rig_kill(&r);
	promises_check(&r, &p);
	/* and with the segments freed there is room again */
	maintain(&r);
	try_send(&r, &p, 60000);
	assert_int_equal(p.naccepted, was + 1);
	rig_end(&r);
}

/* It fills up from one moment to the next, and nothing was made ahead: what is
 * left of the current segment is for outcomes. */
static void half_a_segment_is_for_outcomes(void **state)
{
	struct promises p = { .naccepted = 0 };
	struct rig r;
	size_t was;

	(void)state;
	rig_begin(&r, 1);
	sim_set_capacity(r.sim, RIG_SEGMENT + 4096);
	do {
		was = p.naccepted;
		try_send(&r, &p, 10000);
		maintain(&r);
	} while (p.naccepted > was && was < SENT_MAX - 1);
	assert_true(was > 8 && was < 13);
	assert_string_equal(r.why.status, "4.3.1");
	for (size_t i = 0; i < was; i++)
		try_deliver(&r, &p, p.accepted[i]);
	assert_int_equal(p.ndelivered, was);
	/* and when there is space again, it goes on */
	sim_set_capacity(r.sim, 8 * RIG_SEGMENT);
	try_send(&r, &p, 10000);
	assert_int_equal(p.naccepted, was + 1);
	rig_kill(&r);
	promises_check(&r, &p);
	rig_end(&r);
}

static void keeps_to_its_limit(void **state)
{
	struct promises p = { .naccepted = 0 };
	struct spool_stats stats;
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	spool_close(r.spool);
	r.max_bytes = 4 * RIG_SEGMENT;
	rig_open(&r);
	for (int i = 0; i < 40; i++)
		try_send(&r, &p, 50000);
	assert_true(p.naccepted > 10 && p.naccepted < 40);
	assert_string_equal(r.why.status, "4.3.1");
	spool_stats(r.spool, &stats);
	assert_true(stats.journal_bytes <= r.max_bytes);
	try_send(&r, &p, INLINE_BODY_MAX + 100);
	assert_string_equal(r.why.status, "4.3.1");
	promises_check(&r, &p);
	rig_end(&r);
}

/* More than a segment holds is refused; what was staged before is not. */
static void a_batch_has_an_end(void **state)
{
	struct recipient to = { .address = SPAN_LITERAL("a@b.example") };
	struct envelope e = { .uid = 1, .recipients = &to, .nrecipients = 1 };
	static char body[60000];
	struct rig r;
	uint64_t id;
	size_t n = 0;

	(void)state;
	memset(body, 'b', sizeof(body));
	rig_begin(&r, 1);
	rig_send(&r, "a@b.example");
	while (rig_try_stage(
		   &r, &e, (struct span){ body, sizeof(body) }, &id) == 0)
		n++;
	assert_string_equal(r.why.status, "4.3.1");
	assert_int_equal(n, RIG_SEGMENT / sizeof(body));
	assert_true(
	    spool_staged_bytes(r.spool) > 2 * spool_batch_bytes(r.spool));
	assert_true(journal_current(r.spool->journal)->number <= 2);
	rig_commit(&r);
	rig_power_cut(&r);
	assert_int_equal(rig_count(&r), n + 1);
	rig_verify(&r);
	rig_end(&r);
}

/* One message that stays for ever does not keep the journal growing. */
static void space_comes_back(void **state)
{
	struct promises p = { .naccepted = 0 };
	struct spool_stats stats;
	struct buf body;
	struct rig r;
	uint64_t stays;

	(void)state;
	rig_begin(&r, 1);
	stays = rig_send(&r, "a@b.example");
	rig_attempt(&r, stays, 0, (uint8_t[]){ RCPT_DEFERRED }, NULL, 1);
	for (int i = 0; i < 200; i++) {
		p.naccepted = p.ndelivered = 0;
		try_send(&r, &p, 50000);
		try_deliver(&r, &p, p.accepted[0]);
		maintain(&r);
	}
	spool_stats(r.spool, &stats);
	assert_true(journal_current(r.spool->journal)->number > 30);
	assert_true(stats.journal_bytes <= 7 * RIG_SEGMENT);
	assert_true(stats.free_bytes <= SEGMENTS_KEPT * RIG_SEGMENT);
	rig_power_cut(&r);
	rig_verify(&r);
	assert_int_equal(rig_count(&r), 1);
	buf_init(&body, 1000);
	assert_int_equal(
	    spool_body(r.spool, stays, 0, 100, &body, &r.why), BODY.n);
	assert_memory_equal(body.data, BODY.p, BODY.n);
	buf_clear(&body);
	rig_end(&r);
}

/* --- Damage --------------------------------------------------------------- */

static void place_of(
    struct rig *r, uint64_t id, struct place *place, char path[128])
{
	struct message_info m;

	assert_int_equal(index_read_begin(r->spool->index), 0);
	assert_true(
	    message_read(r->spool->index, r->spool->index->read, id, &m));
	index_read_end(r->spool->index);
	*place = m.place;
	snprintf(path, 128, "%s/journal/%08x.seg", r->path, m.place.segment);
}

static void others_survive_a_damaged_record(void **state)
{
	struct recipient to = { .address = SPAN_LITERAL("a@b.example") };
	struct envelope e = { .uid = 1, .recipients = &to, .nrecipients = 1 };
	struct place place;
	struct job job;
	struct rig r;
	char path[128];
	uint64_t ids[5];
	int fd;

	(void)state;
	rig_begin(&r, 1);
	for (int i = 0; i < 3; i++)
		rig_try_stage(&r, &e, BODY, &ids[i]);
	rig_commit(&r);
	ids[3] = rig_send(&r, "c@d.example");
	place_of(&r, ids[1], &place, path);
	assert_int_equal(sim_corrupt(r.sim, path, place.offset + 100), 0);
	assert_int_equal(spool_verify(r.spool, NULL, NULL, NULL), 2);
	rig_claim(&r, ids[1], 0, CLAIM_DELIVER);
	assert_int_equal(
	    spool_job(r.spool, ids[1], 0, CLAIM_DELIVER, &job, &fd, &r.why),
	    -1);
	assert_string_equal(r.why.status, "4.3.0");
	rig_power_cut(&r);
	assert_int_equal(rig_count(&r), 3);
	rig_deliver(&r, ids[0]);
	rig_deliver(&r, ids[2]);
	rig_deliver(&r, ids[3]);
	rig_end(&r);
}

static void survives_a_damaged_batch_head(void **state)
{
	struct place place;
	struct rig r;
	char path[128];
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	id = rig_send(&r, "a@b.example");
	rig_send(&r, "a@b.example");
	place_of(&r, id, &place, path);
	sim_corrupt(r.sim, path, place.offset - 20);
	rig_power_cut(&r);
	assert_int_equal(rig_count(&r), 2);
	rig_end(&r);
}

static void survives_a_damaged_segment_header(void **state)
{
	struct promises p = { .naccepted = 0 };
	struct rig r;
	char path[128];

	(void)state;
	rig_begin(&r, 1);
	for (int i = 0; i < 6; i++)
		try_send(&r, &p, 100000);
	snprintf(path, sizeof(path), "%s/journal/00000001.seg", r.path);
	sim_corrupt(r.sim, path, 50);
	rig_power_cut(&r);
	promises_check(&r, &p);
	/* both copies: the segment is kept, the others go on */
	sim_corrupt(r.sim, path, 50);
	sim_corrupt(r.sim, path, 60);
	sim_corrupt(r.sim, path, 4096 + 60);
	rig_power_cut(&r);
	assert_true(rig_count(&r) >= 2 && rig_count(&r) < p.naccepted);
	snprintf(path, sizeof(path), "%s/journal/00000001.bad", r.path);
	assert_int_equal(sim_count(r.sim, path), 1);
	rig_end(&r);
}

/* A sync fails, and what it had acknowledged before is not on the disk. */
static void writes_anew_what_the_disk_lost(void **state)
{
	struct promises p = { .naccepted = 0 };
	struct rig r;
	char path[128];
	uint64_t end;

	(void)state;
	rig_begin(&r, 1);
	for (int i = 0; i < 4; i++)
		try_send(&r, &p, 3000);
	try_deliver(&r, &p, p.accepted[1]);
	rig_attempt(
	    &r, p.accepted[2], 0, (uint8_t[]){ RCPT_DEFERRED }, NULL, 1);
	end = journal_at(r.spool->journal);
	snprintf(path, sizeof(path), "%s/journal/00000001.seg", r.path);
	assert_int_equal(
	    sim_lose(r.sim, path, SEGMENT_DATA, end - SEGMENT_DATA), 0);
	sim_fail_at(r.sim, 2, EIO, false); /* the sync */
	rig_send_fails(&r);
	sim_fail_at(r.sim, 0, 0, false);
	promises_check(&r, &p);
	rig_power_cut(&r);
	/* the old place is still damaged, and in nobody's way */
	assert_int_equal(spool_verify(r.spool, NULL, NULL, NULL), 1);
	assert_true(spool_maintain(r.spool));
	promises_check(&r, &p);
	assert_int_equal(rig_count(&r), 3);
	rig_end(&r);
}

/* The journal has the batch, the index cannot take it: it is taken back. */
static void takes_back_what_the_index_cannot_hold(void **state)
{
	struct promises p = { .naccepted = 0 };
	struct rlimit was, limit = { 0 };
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	try_send(&r, &p, 500);
	getrlimit(RLIMIT_FSIZE, &was);
	signal(SIGXFSZ, SIG_IGN);
	limit.rlim_max = was.rlim_max;
	limit.rlim_cur = 8192; /* the index's first pages */
	setrlimit(RLIMIT_FSIZE, &limit);
	rig_send_fails(&r);
	setrlimit(RLIMIT_FSIZE, &was);
	promises_check(&r, &p);
	try_send(&r, &p, 300);
	assert_int_equal(p.naccepted, 2);
	rig_power_cut(&r);
	promises_check(&r, &p);
	assert_int_equal(rig_count(&r), 2);
	rig_end(&r);
}

static void notices_a_changed_large_body(void **state)
{
	struct promises p = { .naccepted = 0 };
	char path[128];
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	try_send(&r, &p, INLINE_BODY_MAX + 100);
	snprintf(
	    path, sizeof(path), "%s/large/%s", r.path, id_text(p.accepted[0]));
	sim_corrupt(r.sim, path, 77777);
	assert_int_equal(spool_verify(r.spool, NULL, NULL, NULL), 1);
	rig_end(&r);
}

static void index_overwrite(struct rig *r, long at, size_t n)
{
	char path[128], junk[4096];
	FILE *f;

	rig_index_path(r, path);
	strcat(path, "/data.mdb");
	f = fopen(path, "r+b");
	assert_non_null(f);
	memset(junk, 0xa5, sizeof(junk));
	fseek(f, at, SEEK_SET);
	assert_int_equal(fwrite(junk, 1, n, f), n);
	fclose(f);
}

static void makes_a_damaged_index_anew(void **state)
{
	struct promises p = { .naccepted = 0 };
	char path[128];
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	for (int i = 0; i < 20; i++)
		try_send(&r, &p, 500);
	/* not LMDB's at all */
	spool_close(r.spool);
	index_overwrite(&r, 0, 4096);
	index_overwrite(&r, 4096, 4096);
	rig_open(&r);
	promises_check(&r, &p);
	/* gone */
	spool_close(r.spool);
	rig_index_path(&r, path);
	index_remove(path);
	rig_open(&r);
	promises_check(&r, &p);
	rig_end(&r);
}

static void index_put_raw(struct rig *r, const char *key, struct span value)
{
	struct index *ix = r->spool->index;

	assert_int_equal(index_begin(ix), 0);
	index_put(ix, DB_META, span_of(key), value, 0);
	assert_int_equal(index_commit(ix), 0);
}

static void trusts_no_foreign_index(void **state)
{
	static const struct {
		const char *key;
		struct span value;
	} cases[] = {
		{ "format", { "\x63", 1 } },
		{ "state", { "\1xyz", 4 } },
		{ "home", { "another boot", 12 } },
	};
	struct promises p = { .naccepted = 0 };
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	try_send(&r, &p, 500);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		index_put_raw(&r, cases[i].key, cases[i].value);
		rig_kill(&r);
		promises_check(&r, &p);
	}
	rig_end(&r);
}

/* The journal went back to an earlier copy: the index must not be believed. */
static void index_ahead_of_the_journal(void **state)
{
	struct promises p = { .naccepted = 0 };
	struct rig r;
	uint64_t at;

	(void)state;
	rig_begin(&r, 1);
	try_send(&r, &p, 500);
	at = journal_at(r.spool->journal);
	rig_send(&r, "lost@b.example");
	assert_int_equal(journal_revoke(r.spool->journal, at), 0);
	rig_kill(&r);
	promises_check(&r, &p);
	assert_int_equal(rig_count(&r), 1);
	rig_end(&r);
}

static void refuses_a_newer_journal(void **state)
{
	struct spool_options options = { 0 };
	struct segment s;
	struct buf header;
	struct rig r;
	char path[128], page[8192] = { 0 };
	struct iovec iov = { page, sizeof(page) };
	const struct disk *disk;
	int fd;

	(void)state;
	rig_begin(&r, 1);
	s = *journal_current(r.spool->journal);
	buf_init(&header, 4096);
	segment_header_put(&header, &s);
	header.data[11] = 99; /* its version */
	memcpy(page, header.data, header.len);
	memcpy(page + 4096, header.data, header.len);
	spool_close(r.spool);
	disk = options.disk = sim_disk(r.sim);
	options.path = r.path;
	snprintf(path, sizeof(path), "%s/journal/%08x.seg", r.path, s.number);
	fd = disk->open(disk->arg, path, O_RDWR);
	assert_int_equal(disk_write(disk, fd, &iov, 1, 0), 0);
	disk->close(disk->arg, fd);
	assert_null(spool_open(&options, NULL, &r.why));
	assert_non_null(strstr(r.why.detail, "newer"));
	buf_clear(&header);
	sim_free(r.sim);
	rig_remove(r.path);
}

/* --- Growth --------------------------------------------------------------- */

static void the_map_grows(void **state)
{
	struct recipient to = { .address = SPAN_LITERAL("a@b.example") };
	struct envelope e = { .uid = 1, .recipients = &to, .nrecipients = 1 };
	size_t n = 3000;
	struct rig r;
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	mdb_env_set_mapsize(r.spool->index->env, 1 << 18);
	r.spool->index->map_bytes = 1 << 18;
	for (size_t i = 1; i <= n; i++) {
		assert_int_equal(rig_try_stage(&r, &e, BODY, &id), 0);
		if (i % 500 == 0)
			rig_commit(&r);
	}
	assert_true(r.spool->index->map_bytes > 1 << 18);
	assert_int_equal(r.spool->index->now.messages, n);
	rig_verify(&r);
	rig_kill(&r);
	assert_int_equal(r.spool->index->now.messages, n);
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_each_failing_call),
		cmocka_unit_test(survives_each_call_on_a_full_disk),
		cmocka_unit_test(survives_being_killed_at_each_call),
		cmocka_unit_test(survives_a_power_cut_at_each_call),
		cmocka_unit_test(survives_failing_starts),
		cmocka_unit_test(outcomes_have_room_on_a_full_disk),
		cmocka_unit_test(half_a_segment_is_for_outcomes),
		cmocka_unit_test(keeps_to_its_limit),
		cmocka_unit_test(a_batch_has_an_end),
		cmocka_unit_test(space_comes_back),
		cmocka_unit_test(others_survive_a_damaged_record),
		cmocka_unit_test(survives_a_damaged_batch_head),
		cmocka_unit_test(survives_a_damaged_segment_header),
		cmocka_unit_test(writes_anew_what_the_disk_lost),
		cmocka_unit_test(takes_back_what_the_index_cannot_hold),
		cmocka_unit_test(notices_a_changed_large_body),
		cmocka_unit_test(makes_a_damaged_index_anew),
		cmocka_unit_test(trusts_no_foreign_index),
		cmocka_unit_test(index_ahead_of_the_journal),
		cmocka_unit_test(refuses_a_newer_journal),
		cmocka_unit_test(the_map_grows),
	};

	log_open("test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
