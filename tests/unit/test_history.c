/* The history: distinct replies counted, bounds kept, doubt ends it. */
#include "queue/history.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char spool[] = "/tmp/outpost-history-XXXXXX";
static struct outcome why;

static int make_spool(void **state)
{
	(void)state;
	snprintf(spool, sizeof(spool), "/tmp/outpost-history-XXXXXX");
	return mkdtemp(spool) ? 0 : -1;
}

static const char *file(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/history%s%s", spool, *name ? "/" : "",
	    name);
	return path;
}

static int remove_spool(void **state)
{
	static const char *const names[] = { "data.mdb", "lock.mdb", "home" };

	(void)state;
	for (int i = 0; i < 3; i++)
		unlink(file(names[i]));
	rmdir(file(""));
	return rmdir(spool);
}

static struct history *open_new(void)
{
	struct history *h = history_open(spool, history_is_whole(spool));

	assert_non_null(h);
	return h;
}

static struct stored_reply reply_of(const char *domain, const char *text)
{
	return (struct stored_reply){ .first = (uint64_t)time(NULL),
		.last = (uint64_t)time(NULL),
		.count = 1,
		.domain = span_of(domain),
		.stage = SPAN_LITERAL("MAIL"),
		.reply = span_of(text),
		.rule = SPAN_LITERAL("greylist"),
		.result = RCPT_DEFERRED,
		.action = REPLY_RETRY,
		.after_s = 300 };
}

static void note(struct history *h, const char *domain, const char *text)
{
	struct stored_reply x = reply_of(domain, text);

	history_note_reply(h, &x);
}

struct seen {
	unsigned n;
	uint64_t count;
	char first[64];
};

static bool see_reply(const struct stored_reply *x, void *arg)
{
	struct seen *seen = arg;

	if (seen->n++ == 0)
		snprintf(seen->first, sizeof(seen->first), "%.*s",
		    (int)x->reply.n, x->reply.p);
	seen->count += x->count;
	assert_int_equal(x->after_s, 300);
	return true;
}

static struct seen look(struct history *h)
{
	struct seen seen = { 0 };

	assert_int_equal(history_replies(h, see_reply, &seen, &why), 0);
	return seen;
}

static void equal_replies_are_counted(void **state)
{
	struct history *h = open_new(), *reader;
	struct stored_reply old = reply_of("a.example", "450 old");
	struct seen seen;

	(void)state;
	for (int i = 0; i < 5; i++)
		note(h, "a.example", "451 later");
	note(h, "b.example", "451 later");
	old.last = old.first -= (HISTORY_DAYS + 1) * 86400;
	history_note_reply(h, &old);
	history_flush(h);
	seen = look(h);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.count, 6);
	note(h, "a.example", "451 later");
	history_flush(h);
	reader = history_open_read(spool, &why);
	assert_non_null(reader);
	assert_int_equal(look(reader).count, 7);
	history_close(reader);
	history_close(h);
	/* it is there again after an orderly end */
	h = open_new();
	assert_int_equal(look(h).count, 7);
	history_close(h);
}

static void replies_are_bounded(void **state)
{
	struct history *h = open_new();
	char text[32];

	(void)state;
	for (int i = 0; i < HISTORY_REPLIES_MAX + 500; i++) {
		snprintf(text, sizeof(text), "451 %d", i);
		note(h, "a.example", text);
		if (i % 1000 == 0)
			history_flush(h);
	}
	history_flush(h);
	assert_int_equal(look(h).n, HISTORY_REPLIES_MAX);
	history_close(h);
}

static bool count_session(const struct transcript *t, void *arg)
{
	unsigned *n = arg;

	assert_true(t->nmessages == 2);
	++*n;
	return true;
}

static unsigned sessions_of(struct history *h, uint64_t message)
{
	unsigned n = 0;

	assert_int_equal(
	    history_sessions(h, message, count_session, &n, &why), 0);
	return n;
}

static void sessions_are_a_ring(void **state)
{
	static char words[TRANSCRIPT_MAX];
	struct history *h = open_new();
	struct transcript t = { .text = { words, 100 }, .nmessages = 2 };

	(void)state;
	memset(words, 'x', sizeof(words));
	for (uint64_t i = 1; i <= HISTORY_SESSIONS_MAX + 10; i++) {
		t.messages[0] = i;
		t.messages[1] = 7777;
		history_note_session(h, &t);
	}
	history_flush(h);
	assert_int_equal(sessions_of(h, 10), 0);
	assert_int_equal(sessions_of(h, 11), 1);
	assert_int_equal(sessions_of(h, 7777), HISTORY_SESSIONS_MAX);
	history_close(h);
	/* large ones: fewer of them; the bound holds across an opening */
	h = open_new();
	t.text.n = TRANSCRIPT_MAX;
	t.messages[1] = 8888;
	for (int i = 0; i < 600; i++) {
		history_note_session(h, &t);
		if (i % 10 == 0)
			history_flush(h);
	}
	history_flush(h);
	assert_int_equal(sessions_of(h, 7777), 0);
	assert_true(
	    sessions_of(h, 8888) <= HISTORY_SESSION_BYTES_MAX / TRANSCRIPT_MAX);
	assert_true(sessions_of(h, 8888) > 400);
	history_close(h);
}

static void write_file(const char *name, const char *text)
{
	int fd = open(file(name), O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void doubt_ends_it(void **state)
{
	static const char *const harm[][2] = { { "data.mdb", "rubbish" },
		{ "data.mdb", "" }, { "home", "another boot" },
		{ "home", "" } };

	(void)state;
	for (size_t i = 0; i < sizeof(harm) / sizeof(*harm); i++) {
		struct history *h = open_new();

		note(h, "a.example", "451 before");
		history_close(h);
		write_file(harm[i][0], harm[i][1]);
		h = open_new();
		assert_int_equal(look(h).n, 0);
		note(h, "a.example", "451 after");
		history_flush(h);
		assert_string_equal(look(h).first, "451 after");
		history_close(h);
	}
}

static void without_a_history_all_goes_on(void **state)
{
	struct stored_reply x = reply_of("a", "b");
	struct transcript t = { 0 };

	(void)state;
	assert_false(history_note_reply(NULL, &x));
	assert_false(history_note_session(NULL, &t));
	history_flush(NULL);
	history_close(NULL);
	assert_null(history_open_read("/nowhere", &why));
	assert_true(strstr(why.detail, "/nowhere/history") != NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_spool, remove_spool)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(equal_replies_are_counted),
		TEST(replies_are_bounded),
		TEST(sessions_are_a_ring),
		TEST(doubt_ends_it),
		cmocka_unit_test(without_a_history_all_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
