/* What others have staged is not lost when the index turns out to be bad; a
 * report is made even when the message it is about cannot be read. */
#include "tests/unit/spool_rig.c"

static bool due_none(const struct waiting *w, void *arg)
{
	(void)w;
	(void)arg;
	return true;
}

static void row_remove(struct rig *r, uint64_t id)
{
	struct index *ix = r->spool->index;
	struct key key;

	key_message(&key, id);
	assert_int_equal(index_begin(ix), 0);
	index_del(ix, DB_MESSAGE, key_span(&key));
	assert_int_equal(index_commit(ix), 0);
}

static void a_new_index_keeps_what_is_staged(void **state)
{
	struct due_query q = { .until_ms = UINT64_MAX, .max = 10 };
	struct recipient to = { .address = SPAN_LITERAL("c@d.example") };
	struct envelope e = { .uid = 1, .recipients = &to, .nrecipients = 1 };
	struct rig r;
	uint64_t id, next;
	bool more;

	(void)state;
	rig_begin(&r, 1);
	id = rig_send(&r, "a@b.example");
	row_remove(&r, id);
	assert_int_equal(
	    rig_try_stage(&r, &e, SPAN_LITERAL("A: b\r\n\r\n"), &id), 0);
	/* finds the row missing: the index has to be made anew */
	spool_due(r.spool, &q, due_none, NULL, &next, &more);
	assert_true(r.spool->must_reindex);
	assert_int_equal(
	    rig_try_stage(&r, &e, SPAN_LITERAL("A: c\r\n\r\n"), &id), 0);
	rig_commit(&r);
	assert_int_equal(
	    rig_try_stage(&r, &e, SPAN_LITERAL("A: d\r\n"), &id), 0);
	rig_commit(&r);
	assert_false(r.spool->must_reindex);
	assert_int_equal(rig_count(&r), 4);
	rig_verify(&r);
	rig_end(&r);
}

/* As after a start with more in the index than its first map holds. */
static void a_full_map_is_no_obstacle(void **state)
{
	struct index *ix;
	MDB_envinfo info;
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	rig_send(&r, "a@b.example");
	ix = r.spool->index;
	for (int i = 0; i < 50; i++) {
		mdb_env_info(ix->env, &info);
		ix->map_bytes = (info.me_last_pgno + 1) * 4096;
		mdb_env_set_mapsize(ix->env, ix->map_bytes);
		assert_int_equal(index_claim_home(ix, "elsewhere"), 0);
	}
	rig_kill(&r);
	assert_int_equal(rig_count(&r), 1);
	rig_end(&r);
}

/* A row that cannot be read does not make its body an orphan. */
static void a_bad_row_keeps_its_body(void **state)
{
	static char body[INLINE_BODY_MAX + 1];
	struct recipient to = { .address = SPAN_LITERAL("x@y.example") };
	struct envelope e = { .uid = 1, .recipients = &to, .nrecipients = 1 };
	struct index *ix;
	struct key key;
	struct rig r;
	char path[128];
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	memset(body, 'b', sizeof(body));
	id = rig_accept(&r, &e, (struct span){ body, sizeof(body) });
	ix = r.spool->index;
	key_message(&key, id);
	assert_int_equal(index_begin(ix), 0);
	index_put(ix, DB_MESSAGE, key_span(&key), SPAN_LITERAL("junk"), 0);
	assert_int_equal(index_commit(ix), 0);
	rig_kill(&r);
	snprintf(path, sizeof(path), "%s/large/%s", r.path, id_text(id));
	assert_int_equal(sim_count(r.sim, path), 1);
	rig_end(&r);
}

static void reports_without_the_original(void **state)
{
	struct message_info m;
	struct job job;
	struct rig r;
	char path[128];
	uint64_t id;
	int fd;

	(void)state;
	rig_begin(&r, 1);
	id = rig_send(&r, "a@b.example");
	rig_attempt(&r, id, 0, (uint8_t[]){ RCPT_FAILED },
	    (uint8_t[]){ REPORT_FAILED }, 1);
	assert_int_equal(index_read_begin(r.spool->index), 0);
	assert_true(message_read(r.spool->index, r.spool->index->read, id, &m));
	index_read_end(r.spool->index);
	snprintf(
	    path, sizeof(path), "%s/journal/%08x.seg", r.path, m.place.segment);
	assert_int_equal(sim_corrupt(r.sim, path, m.place.offset + 100), 0);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_REPORT), 0);
	assert_int_equal(
	    spool_job(r.spool, id, 0, CLAIM_REPORT, &job, &fd, &r.why), 0);
	assert_int_equal(job.nrecipients, 1);
	assert_int_equal(job.content.n, 0);
	assert_true(job.size_bytes > 0);
	job_free(&job);
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_index_keeps_what_is_staged),
		cmocka_unit_test(a_full_map_is_no_obstacle),
		cmocka_unit_test(a_bad_row_keeps_its_body),
		cmocka_unit_test(reports_without_the_original),
	};

	log_open("test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
