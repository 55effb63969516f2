/* The spool's promises one by one: messages in and out, claims, attempts,
 * reports, changes, lists. */
#include "tests/unit/spool_rig.c"

#define BODY SPAN_LITERAL("Subject: x\r\n\r\nbody\r\n")

static struct span text(const char *s)
{
	return span_of(s);
}

/* --- Messages ------------------------------------------------------------- */

static void composes_the_trace_header(void **state)
{
	struct recipient to = { .address = text("a@b.example") };
	struct envelope e = { .uid = UINT32_MAX,
		.trace_head = text("Received: by x id "),
		.trace_tail = text(";\r\n\tnow"),
		.recipients = &to,
		.nrecipients = 1 };
	char should[100], id_is[ID_TEXT_BYTES];
	struct buf out;
	struct rig r;
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	id = rig_accept(&r, &e, BODY);
	id_print(id, id_is);
	snprintf(should, sizeof(should), "Received: by x id %s;\r\n\tnow\r\n%s",
	    id_is, BODY.p);
	buf_init(&out, 1000);
	assert_int_equal(
	    spool_body(r.spool, id, 0, 1000, &out, &r.why), strlen(should));
	assert_string_equal(buf_text(&out), should);
	buf_reset(&out);
	assert_int_equal(spool_body(r.spool, id, 3, 5, &out, &r.why), 5);
	assert_memory_equal(out.data, should + 3, 5);
	assert_int_equal(spool_body(r.spool, id, 1000, 5, &out, &r.why), 0);
	buf_clear(&out);
	rig_end(&r);
}

static void keeps_the_envelope(void **state)
{
	struct recipient to[] = {
		{ text("z@b.example"), text("rfc822;z"), NOTIFY_DELAY },
		{ text("a@a.example"), { 0 }, 0 },
		{ text("m@b.example"), { 0 }, NOTIFY_NEVER },
	};
	struct envelope e = { .sender = text("me@home.example"),
		.origin = ORIGIN_SMTP,
		.body = BODY_8BIT,
		.ret = RET_HDRS,
		.smtputf8 = true,
		.priority = -3,
		.uid = 77,
		.login = text("joe"),
		.client = text("[::1] x"),
		.envid = text("e1"),
		.line = text("bulk"),
		.expires_at = 99,
		.recipients = to,
		.nrecipients = 3 };
	struct envelope got;
	struct rig r;
	uint64_t id, at;

	(void)state;
	rig_begin(&r, 1);
	id = rig_accept(&r, &e, BODY);
	rig_kill(&r);
	assert_int_equal(spool_envelope(r.spool, id, &got, &at), 0);
	assert_true(span_is_equal(got.sender, e.sender));
	assert_true(span_is_equal(got.login, e.login));
	assert_true(span_is_equal(got.client, e.client));
	assert_true(span_is_equal(got.envid, e.envid));
	assert_true(span_is_equal(got.line, e.line));
	assert_int_equal(got.priority, -3);
	assert_int_equal(got.uid, 77);
	assert_int_equal(got.ret, RET_HDRS);
	assert_int_equal(got.body, BODY_8BIT);
	assert_true(got.smtputf8 && !got.requiretls);
	assert_int_equal(got.expires_at, 99);
	assert_int_equal(got.nrecipients, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(
		    span_is_equal(got.recipients[i].address, to[i].address));
		assert_true(
		    span_is_equal(got.recipients[i].orcpt, to[i].orcpt));
		assert_int_equal(got.recipients[i].notify, to[i].notify);
	}
	envelope_free(&got);
	assert_int_equal(spool_envelope(r.spool, id + 1, &got, &at), -1);
	rig_end(&r);
}

static void splits_and_merges_recipients(void **state)
{
	static char addresses[250][32];
	static struct recipient to[253];
	struct envelope e = {
		.uid = UINT32_MAX, .recipients = to, .nrecipients = 253
	};
	struct spool_stats stats;
	struct job job;
	struct rig r;
	uint64_t id;
	int fd;

	(void)state;
	rig_begin(&r, 1);
	for (int i = 0; i < 250; i++) {
		snprintf(addresses[i], 32, "u%d@Big.Example", i);
		to[i].address = text(addresses[i]);
	}
	to[250].address = text("u0@bIG.example");
	to[251].address = text("U0@big.example"); /* another mailbox */
	to[252].address = text("x@small.example");
	id = rig_accept(&r, &e, BODY);
	spool_stats(r.spool, &stats);
	assert_int_equal(stats.accepted, 252);
	assert_int_equal(stats.recipients, 252);
	assert_int_equal(stats.by_state[STATE_READY], 4);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), 0);
	assert_int_equal(
	    spool_job(r.spool, id, 0, CLAIM_DELIVER, &job, &fd, &r.why), 0);
	assert_int_equal(job.nrecipients, 100);
	assert_true(
	    span_is_equal(job.recipients[1].address, text("u1@Big.Example")));
	job_free(&job);
	rig_verify(&r);
	rig_end(&r);
}

static void refuses_what_cannot_be_sent(void **state)
{
	struct recipient to[2] = { { .address = text("a@b.example") },
		{ .address = text("no domain") } };
	struct envelope e = { .recipients = to, .nrecipients = 2 };
	struct rig r;
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	assert_int_equal(rig_try_stage(&r, &e, BODY, &id), -1);
	assert_string_equal(r.why.status, "5.1.3");
	e.nrecipients = 0;
	assert_int_equal(rig_try_stage(&r, &e, BODY, &id), -1);
	rig_commit(&r);
	assert_int_equal(rig_count(&r), 0);
	rig_end(&r);
}

static void keeps_large_bodies_in_files(void **state)
{
	struct recipient to = { .address = text("a@b.example") };
	struct envelope e = { .trace_head = text("R: "),
		.trace_tail = text(";"),
		.recipients = &to,
		.nrecipients = 1 };
	size_t n = 300000;
	char *body = malloc(n), prefix[100];
	struct buf out;
	struct job job;
	struct rig r;
	uint64_t id;
	int fd;

	(void)state;
	memset(body, 'b', n);
	rig_begin(&r, 1);
	snprintf(prefix, sizeof(prefix), "%s/large/", r.path);
	id = rig_accept(&r, &e, (struct span){ body, n });
	assert_int_equal(sim_count(r.sim, prefix), 1);
	rig_power_cut(&r);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), 0);
	assert_int_equal(
	    spool_job(r.spool, id, 0, CLAIM_DELIVER, &job, &fd, &r.why), 0);
	assert_true(fd >= 0 && job.is_large && job.content.n == 0);
	assert_int_equal(job.size_bytes, n + 3 + 13 + 1 + 2);
	sim_close(r.sim, fd);
	job_free(&job);
	buf_init(&out, 1 << 20);
	assert_int_equal(spool_body(r.spool, id, 19, n, &out, &r.why), n);
	assert_memory_equal(out.data, body, n);
	rig_verify(&r);
	rig_kill(&r);
	rig_deliver(&r, id);
	assert_int_equal(sim_count(r.sim, prefix), 0);
	buf_clear(&out);
	free(body);
	rig_end(&r);
}

static void removes_large_bodies_nobody_names(void **state)
{
	struct recipient to = { .address = text("a@b.example") };
	struct envelope e = { .recipients = &to, .nrecipients = 1 };
	size_t n = INLINE_BODY_MAX + 1;
	char *body = calloc(1, n), prefix[100];
	struct incoming *in;
	struct rig r;
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	snprintf(prefix, sizeof(prefix), "%s/large/", r.path);
	in = spool_incoming_new(r.spool, &e, &r.why);
	assert_int_equal(
	    spool_incoming_data(in, (struct span){ body, n }, &r.why), 0);
	assert_int_equal(sim_count(r.sim, prefix), 1);
	spool_incoming_free(in);
	assert_int_equal(sim_count(r.sim, prefix), 0);
	/* staged, and the machine stops before the commit */
	assert_int_equal(
	    rig_try_stage(&r, &e, (struct span){ body, n }, &id), 0);
	assert_int_equal(sim_count(r.sim, prefix), 1);
	sim_fail_at(r.sim, 1, EIO, true);
	rig_kill(&r);
	assert_int_equal(sim_count(r.sim, prefix), 0);
	free(body);
	rig_end(&r);
}

/* --- Claims, attempts, reports -------------------------------------------- */

static void a_claim_excludes_others(void **state)
{
	struct rig r;
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	id = rig_send(&r, "a@b.example");
	assert_int_equal(spool_stage_claim(r.spool, id, 0, CLAIM_DELIVER), 0);
	assert_int_equal(spool_stage_claim(r.spool, id, 0, CLAIM_DELIVER), -1);
	rig_commit(&r);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), -1);
	assert_int_equal(rig_claim(&r, id, 1, CLAIM_DELIVER), -1);
	assert_int_equal(rig_claim(&r, id + 1, 0, CLAIM_DELIVER), -1);
	assert_int_equal(rig_change(&r, CHANGE_DELETE, 0, rig_by_id(id)), 0);
	assert_int_equal(spool_stage_unclaim(r.spool, id, 0), 0);
	rig_commit(&r);
	assert_int_equal(spool_stage_unclaim(r.spool, id, 0), -1);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_REPORT), -1);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), 0);
	rig_end(&r);
}

static void an_unanswered_claim_is_uncertain(void **state)
{
	struct rig_items list;
	struct spool_stats stats;
	struct rig r;
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	id = rig_send(&r, "a@b.example");
	rig_claim(&r, id, 0, CLAIM_DELIVER);
	rig_power_cut(&r);
	assert_int_equal(rig_list(&r, NULL, &list), 1);
	assert_int_equal(list.items[0].state, STATE_UNCERTAIN);
	assert_int_equal(list.items[0].uncertain, 1);
	spool_stats(r.spool, &stats);
	assert_int_equal(stats.uncertain, 1);
	/* no more than that one */
	rig_kill(&r);
	spool_stats(r.spool, &stats);
	assert_int_equal(stats.uncertain, 1);
	/* it may have been sent: too late to take it back */
	assert_int_equal(rig_change(&r, CHANGE_RETRACT, 0, rig_by_id(id)), 0);
	rig_deliver(&r, id);
	assert_int_equal(rig_count(&r), 0);
	rig_end(&r);
}

static bool due_count(const struct waiting *w, void *arg)
{
	(void)w;
	++*(size_t *)arg;
	return true;
}

static size_t due(struct rig *r, uint64_t *next)
{
	struct due_query q = { .until_ms = r->sim->clock_us / 1000,
		.max = 100 };
	size_t n = 0;
	bool more;

	spool_due(r->spool, &q, due_count, &n, next, &more);
	return n;
}

static void is_due_when_it_was_said(void **state)
{
	struct rig r;
	uint64_t id, next, at;

	(void)state;
	rig_begin(&r, 1);
	id = rig_send(&r, "a@b.example");
	sim_set_clock(r.sim, r.sim->clock_us + 5000);
	assert_int_equal(due(&r, &next), 1);
	assert_int_equal(next, 0);
	rig_attempt(&r, id, 0, (uint8_t[]){ RCPT_DEFERRED }, NULL, 1);
	at = r.sim->clock_us;
	assert_int_equal(due(&r, &next), 0);
	assert_true(next > at / 1000 + 290000 && next < at / 1000 + 310000);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), -1);
	sim_set_clock(r.sim, at + UINT64_C(301000000));
	assert_int_equal(due(&r, &next), 1);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), 0);
	assert_int_equal(due(&r, &next), 0);
	rig_end(&r);
}

static bool due_stop(const struct waiting *w, void *arg)
{
	*(struct waiting *)arg = *w;
	return false;
}

static void due_goes_on_after_its_key(void **state)
{
	struct waiting w;
	struct rig r;
	uint64_t ids[3], next;
	struct due_query q = { .max = 10, .until_ms = UINT64_MAX };
	bool more;

	(void)state;
	rig_begin(&r, 1);
	for (int i = 0; i < 3; i++)
		ids[i] = rig_send(&r, "a@b.example");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    spool_due(r.spool, &q, due_stop, &w, &next, &more), 1);
		assert_int_equal(w.message, ids[i]);
		assert_int_equal(more, i < 2);
		assert_int_equal(next > 0, i < 2);
		q.after_due_ms = w.due_ms;
		q.after_message = w.message;
		q.after_delivery = w.delivery;
	}
	assert_int_equal(spool_due(r.spool, &q, due_stop, &w, &next, &more), 0);
	rig_end(&r);
}

static uint64_t send_two(struct rig *r)
{
	struct recipient to[2] = { { .address = text("a@b.example") },
		{ .address = text("c@b.example") } };
	struct envelope e = { .sender = text("me@home.example"),
		.uid = UINT32_MAX,
		.recipients = to,
		.nrecipients = 2 };

	return rig_accept(r, &e, BODY);
}

static uint64_t report(
    struct rig *r, uint64_t about, uint16_t recipient, uint8_t kind)
{
	struct recipient to = { .address = text("me@home.example") };
	struct report_ref ref = { 0, recipient, kind };
	struct envelope e = { .origin = ORIGIN_REPORT,
		.uid = UINT32_MAX,
		.about = about,
		.refs = &ref,
		.nrefs = 1,
		.recipients = &to,
		.nrecipients = 1 };

	return rig_accept(r, &e, BODY);
}

static void a_failed_recipient_waits_for_its_report(void **state)
{
	struct rig_items list;
	struct spool_stats stats;
	struct waiting w = { 0 };
	struct due_query q = { .until_ms = UINT64_MAX, .max = 1 };
	struct job job;
	struct rig r;
	uint64_t id, next;
	bool more;
	int fd;

	(void)state;
	rig_begin(&r, 1);
	id = send_two(&r);
	rig_attempt(&r, id, 0, (uint8_t[]){ RCPT_FAILED, RCPT_DEFERRED },
	    (uint8_t[]){ REPORT_FAILED, REPORT_NONE }, 2);
	/* due at once for the report, later for the other recipient */
	spool_due(r.spool, &q, due_stop, &w, &next, &more);
	assert_int_equal(w.flags, WAITING_REPORT);
	assert_int_equal(w.nrecipients, 1);
	assert_true(w.due_ms <= r.sim->clock_us / 1000);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), -1);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_REPORT), 0);
	assert_int_equal(
	    spool_job(r.spool, id, 0, CLAIM_REPORT, &job, &fd, &r.why), 0);
	assert_int_equal(job.nrecipients, 1);
	assert_int_equal(job.recipients[0].report, REPORT_FAILED);
	assert_true(span_is_equal(job.recipients[0].host, text("mx.example")));
	assert_true(span_is_equal(job.content, BODY));
	job_free(&job);
	/* a report that was not made does not make anything uncertain */
	rig_kill(&r);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_REPORT), 0);
	report(&r, id, 0, REPORT_FAILED);
	assert_int_equal(rig_list(&r, NULL, &list), 2);
	spool_stats(r.spool, &stats);
	assert_int_equal(stats.failed, 1);
	assert_int_equal(stats.uncertain, 0);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_REPORT), -1);
	rig_verify(&r);
	rig_power_cut(&r);
	assert_int_equal(rig_count(&r), 2);
	rig_verify(&r);
	rig_end(&r);
}

static void a_delay_notice_is_made_once(void **state)
{
	struct waiting w = { 0 };
	struct due_query q = { .until_ms = UINT64_MAX, .max = 1 };
	struct rig r;
	uint64_t id, next;
	bool more;

	(void)state;
	rig_begin(&r, 1);
	id = rig_send(&r, "a@b.example");
	rig_attempt(&r, id, 0, (uint8_t[]){ RCPT_DEFERRED },
	    (uint8_t[]){ REPORT_DELAYED }, 1);
	spool_due(r.spool, &q, due_stop, &w, &next, &more);
	assert_int_equal(w.flags, WAITING_REPORT);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_REPORT), 0);
	rig_deliver(&r, report(&r, id, 0, REPORT_DELAYED));
	rig_power_cut(&r);
	spool_due(r.spool, &q, due_stop, &w, &next, &more);
	assert_int_equal(w.message, id);
	assert_int_equal(w.flags, WAITING_WARNED);
	assert_true(w.due_ms > r.sim->clock_us / 1000 + 200000);
	rig_end(&r);
}

static void the_third_dead_line_suspends(void **state)
{
	struct rcpt_outcome o = { .result = RCPT_DEFERRED };
	struct attempt a = { .counts = true,
		.line_died = true,
		.reports = (uint8_t[]){ 0 },
		.result = { .recipients = &o, .nrecipients = 1 } };
	struct rig_items list;
	struct rig r;
	uint64_t next;

	(void)state;
	rig_begin(&r, 1);
	a.message = rig_send(&r, "a@b.example");
	for (int i = 0; i < 3; i++) {
		a.next_try_ms = r.sim->clock_us / 1000;
		assert_int_equal(rig_claim(&r, a.message, 0, CLAIM_DELIVER), 0);
		assert_int_equal(spool_stage_attempt(r.spool, &a), 0);
		rig_commit(&r);
	}
	rig_kill(&r);
	assert_int_equal(due(&r, &next), 0);
	assert_int_equal(next, 0);
	rig_list(&r, NULL, &list);
	assert_int_equal(list.items[0].state, STATE_SUSPENDED);
	assert_int_equal(rig_claim(&r, a.message, 0, CLAIM_DELIVER), -1);
	assert_int_equal(
	    rig_change(&r, CHANGE_RETRY, 0, rig_by_id(a.message)), 1);
	assert_int_equal(rig_claim(&r, a.message, 0, CLAIM_DELIVER), 0);
	rig_end(&r);
}

struct seen {
	size_t n;
	uint64_t at;
};

static void attempt_seen(uint64_t at, const struct attempt *a, void *arg)
{
	struct seen *seen = arg;

	assert_true(at >= seen->at);
	seen->at = at;
	seen->n++;
	assert_int_equal(a->result.nrecipients, 1);
	assert_string_equal(a->result.recipients[0].status, "4.2.0");
	assert_true(span_is_equal(a->result.host, text("mx.example")));
}

static void remembers_the_latest_attempts(void **state)
{
	struct rig r;
	struct seen seen = { 0 };
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	id = rig_send(&r, "a@b.example");
	for (int i = 0; i < ATTEMPTS_KEPT + 5; i++) {
		rig_attempt(&r, id, 0, (uint8_t[]){ RCPT_DEFERRED }, NULL, 1);
		sim_set_clock(r.sim, r.sim->clock_us + UINT64_C(400000000));
	}
	rig_power_cut(&r);
	spool_attempts(r.spool, id, attempt_seen, &seen);
	assert_int_equal(seen.n, ATTEMPTS_KEPT);
	assert_int_equal(rig_change(&r, CHANGE_RETRY, 1, rig_by_id(id)), 1);
	seen = (struct seen){ 0 };
	spool_attempts(r.spool, id, attempt_seen, &seen);
	assert_int_equal(seen.n, 0);
	rig_verify(&r);
	rig_end(&r);
}

static void takes_no_foreign_answer(void **state)
{
	struct rcpt_outcome o = { .index = 99, .result = RCPT_DELIVERED };
	struct attempt a = { .reports = (uint8_t[]){ 0 },
		.result = { .recipients = &o, .nrecipients = 1 } };
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	a.message = rig_send(&r, "a@b.example");
	assert_int_equal(spool_stage_attempt(r.spool, &a), -1);
	rig_claim(&r, a.message, 0, CLAIM_DELIVER);
	a.delivery = 1;
	assert_int_equal(spool_stage_attempt(r.spool, &a), -1);
	a.delivery = 0;
	assert_int_equal(spool_stage_attempt(r.spool, &a), 0);
	rig_commit(&r);
	assert_int_equal(rig_count(&r), 1);
	/* what is not awaited is not settled either */
	report(&r, a.message, 0, REPORT_FAILED);
	assert_int_equal(rig_count(&r), 2);
	rig_verify(&r);
	rig_end(&r);
}

/* --- Changes and lists ---------------------------------------------------- */

static void held_mail_leaves_at_its_time_only(void **state)
{
	struct recipient to = { .address = text("a@b.example") };
	struct envelope e = { .recipients = &to, .nrecipients = 1 };
	struct rig_items list;
	struct rig r;
	uint64_t id, until, next;

	(void)state;
	rig_begin(&r, 1);
	until = e.hold_until = r.sim->clock_us / 1000000 + 100;
	id = rig_accept(&r, &e, BODY);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), -1);
	assert_int_equal(rig_change(&r, CHANGE_RETRY, 0, rig_by_id(id)), 0);
	assert_int_equal(due(&r, &next), 0);
	assert_int_equal(next, until * 1000);
	sim_set_clock(r.sim, until * 1000000);
	assert_int_equal(due(&r, &next), 1);
	rig_list(&r, NULL, &list);
	assert_int_equal(list.items[0].state, STATE_READY);
	assert_int_equal(
	    rig_change(&r, CHANGE_HOLD, UINT64_MAX, rig_by_id(id)), 1);
	assert_int_equal(due(&r, &next), 0);
	assert_int_equal(next, 0);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), -1);
	assert_int_equal(rig_change(&r, CHANGE_RELEASE, 0, rig_by_id(id)), 1);
	assert_int_equal(rig_claim(&r, id, 0, CLAIM_DELIVER), 0);
	rig_end(&r);
}

static void changes_single_recipients(void **state)
{
	struct filter f = {
		.state = -1, .uid = UINT32_MAX, .recipient = text("c@B.*")
	};
	struct spool_stats stats;
	struct rig_items list;
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	send_two(&r);
	assert_int_equal(rig_change(&r, CHANGE_BOUNCE, 0, f), 1);
	assert_int_equal(rig_list(&r, NULL, &list), 2);
	assert_int_equal(list.items[0].state, STATE_READY);
	assert_int_equal(list.items[1].state, STATE_REPORTING);
	f.recipient = text("a@b.example");
	assert_int_equal(rig_change(&r, CHANGE_DELETE, 0, f), 1);
	assert_int_equal(rig_list(&r, NULL, &list), 1);
	spool_stats(r.spool, &stats);
	assert_int_equal(stats.retracted, 1);
	rig_verify(&r);
	rig_end(&r);
}

static void changed_told(uint64_t message, uint16_t delivery, void *arg)
{
	(void)message;
	(void)delivery;
	++*(int *)arg;
}

static void owners_touch_their_own_only(void **state)
{
	struct change c = { .action = CHANGE_DELETE,
		.max = 10,
		.filter = { .state = -1, .uid = UINT32_MAX } };
	struct cursor after = { 0 };
	struct rig r;
	bool more;
	int told = 0;

	(void)state;
	rig_begin(&r, 1);
	rig_send(&r, "a@b.example"); /* of 1000 */
	assert_int_equal(spool_stage_change(r.spool, &c, 1001, &after, &more,
			     changed_told, &told),
	    0);
	after = (struct cursor){ 0 };
	c.is_dry_run = true;
	assert_int_equal(spool_stage_change(r.spool, &c, 1000, &after, &more,
			     changed_told, &told),
	    1);
	assert_int_equal(told, 0);
	assert_int_equal(rig_count(&r), 1);
	after = (struct cursor){ 0 };
	c.is_dry_run = false;
	assert_int_equal(spool_stage_change(r.spool, &c, 1000, &after, &more,
			     changed_told, &told),
	    1);
	assert_int_equal(told, 1);
	assert_int_equal(rig_count(&r), 1); /* not before the commit */
	rig_commit(&r);
	assert_int_equal(rig_count(&r), 0);
	rig_end(&r);
}

static void lists_what_is_asked_for(void **state)
{
	static const struct {
		struct filter filter;
		size_t n;
	} cases[] = {
		{ { .state = -1, .uid = UINT32_MAX }, 4 },
		{ { .state = STATE_HELD, .uid = UINT32_MAX }, 1 },
		{ { .state = STATE_READY, .uid = UINT32_MAX }, 3 },
		{ { .state = -1, .uid = 1000 }, 4 },
		{ { .state = -1, .uid = 1 }, 0 },
		{ { .state = -1,
		      .uid = UINT32_MAX,
		      .destination = { "B.example", 9 } },
		    2 },
		{ { .state = -1,
		      .uid = UINT32_MAX,
		      .destination = { "*.example", 9 } },
		    3 },
		{ { .state = -1,
		      .uid = UINT32_MAX,
		      .destination = { "example", 7 } },
		    0 },
		{ { .state = -1,
		      .uid = UINT32_MAX,
		      .recipient = { "@b.example", 10 } },
		    2 },
		{ { .state = -1, .uid = UINT32_MAX, .recipient = { "A*", 2 } },
		    2 },
		{ { .state = -1,
		      .uid = UINT32_MAX,
		      .sender = { "@home.example", 13 } },
		    4 },
		{ { .state = -1, .uid = UINT32_MAX, .sender = { "<>", 2 } },
		    0 },
		{ { .state = -1, .uid = UINT32_MAX, .older_than = 1000 }, 0 },
		{ { .state = -1, .uid = UINT32_MAX, .newer_than = 1000 }, 4 },
	};
	struct rig_items list;
	struct rig r;
	uint64_t id;

	(void)state;
	rig_begin(&r, 1);
	rig_send(&r, "a@b.example");
	rig_send(&r, "c@b.example");
	rig_send(&r, "a@[192.0.2.1]");
	id = rig_send(&r, "d@c.example");
	rig_change(&r, CHANGE_HOLD, UINT64_MAX, rig_by_id(id));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (rig_list(&r, &cases[i].filter, &list) != cases[i].n)
			fail_msg("case %zu: %zu listed", i, list.n);
	rig_end(&r);
}

static void one_keeper_many_readers(void **state)
{
	struct spool_options options = { 0 };
	struct spool_stats stats;
	struct spool *other;
	struct rig r;

	(void)state;
	rig_begin(&r, 1);
	rig_send(&r, "a@b.example");
	options.path = r.path;
	options.disk = sim_disk(r.sim);
	assert_null(spool_open(&options, NULL, &r.why));
	assert_non_null(strstr(r.why.detail, "another keeper"));
	options.read_only = true;
	spool_close(r.spool);
	other = spool_open(&options, NULL, &r.why);
	assert_non_null(other);
	spool_stats(other, &stats);
	assert_int_equal(spool_verify(other, rig_problem, NULL, NULL), 0);
	assert_int_equal(spool_stage_claim(other, 1, 0, CLAIM_DELIVER), -1);
	spool_close(other);
	rig_open(&r);
	assert_int_equal(rig_count(&r), 1);
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(composes_the_trace_header),
		cmocka_unit_test(keeps_the_envelope),
		cmocka_unit_test(splits_and_merges_recipients),
		cmocka_unit_test(refuses_what_cannot_be_sent),
		cmocka_unit_test(keeps_large_bodies_in_files),
		cmocka_unit_test(removes_large_bodies_nobody_names),
		cmocka_unit_test(a_claim_excludes_others),
		cmocka_unit_test(an_unanswered_claim_is_uncertain),
		cmocka_unit_test(is_due_when_it_was_said),
		cmocka_unit_test(due_goes_on_after_its_key),
		cmocka_unit_test(a_failed_recipient_waits_for_its_report),
		cmocka_unit_test(a_delay_notice_is_made_once),
		cmocka_unit_test(the_third_dead_line_suspends),
		cmocka_unit_test(remembers_the_latest_attempts),
		cmocka_unit_test(takes_no_foreign_answer),
		cmocka_unit_test(held_mail_leaves_at_its_time_only),
		cmocka_unit_test(changes_single_recipients),
		cmocka_unit_test(owners_touch_their_own_only),
		cmocka_unit_test(lists_what_is_asked_for),
		cmocka_unit_test(one_keeper_many_readers),
	};

	log_open("test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
