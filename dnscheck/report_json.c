/* The findings one JSON object a line, and such lines read back. */
#include "dnscheck/report.h"

#include "dnscheck/escape.h"
#include "dnscheck/need.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void put_member(json_t *object, const char *name, const char *text)
{
	struct buf safe;

	buf_init(&safe, 4 * FINDING_TEXT_MAX);
	escape_utf8(&safe, text);
	json_object_set_new(object, name, json_string(buf_text(&safe)));
	buf_clear(&safe);
}

static void put_object(
    const struct finding *f, const char *change, struct buf *out)
{
	json_t *object = need(json_object());
	char *text;

	put_member(object, "code", f->code);
	put_member(object, "status", finding_status_name(f->status));
	put_member(object, "node", f->node);
	put_member(object, "line", f->line);
	put_member(object, "subject", f->subject);
	put_member(object, "found", f->found);
	put_member(object, "expected", f->expected);
	put_member(object, "remedy", f->remedy);
	put_member(object, "record", f->record);
	if (change)
		put_member(object, "change", change);
	text = need(json_dumps(object, JSON_COMPACT));
	buf_puts(out, text);
	buf_putc(out, '\n');
	free(text);
	json_decref(object);
}

void report_json(const struct report *r, struct buf *out)
{
	const struct findings *all = &r->run->findings;
	struct finding gone;

	for (size_t i = 0; i < all->count; i++) {
		const struct finding *f = &all->items[i];
		const char *change = NULL;

		if (r->is_quiet && f->status != FINDING_FAIL)
			continue;
		if (r->since)
			change = since_had(r->since, f) ? "same" : "new";
		put_object(f, change, out);
	}
	for (size_t i = 0; r->since && since_gone(r->since, all, i, &gone); i++)
		put_object(&gone, "gone", out);
}

/* --- reading -------------------------------------------------------------- */

enum { SINCE_BYTES_MAX = 64 << 20 };

struct since {
	json_t *items; /* array of the objects */
};

static int read_all(int fd, struct buf *out)
{
	char *to;
	ssize_t n;

	for (;;) {
		to = buf_reserve(out, 65536);
		if (!to)
			return -1;
		n = read(fd, to, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		out->len += (size_t)n;
	}
}

static const char *member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static int add_line(
    struct since *s, struct span line, size_t number, struct buf *error)
{
	json_error_t why;
	json_t *object;

	if (span_trim(line).n == 0)
		return 0;
	object = json_loadb(line.p, line.n, 0, &why);
	if (!json_is_object(object) || !member(object, "code")[0]) {
		buf_printf(error, "line %zu: %s", number,
		    object ? "not a finding" : why.text);
		json_decref(object);
		return -1;
	}
	if (strcmp(member(object, "change"), "gone") == 0 ||
	    json_array_size(s->items) >= FINDINGS_MAX)
		json_decref(object);
	else
		json_array_append_new(s->items, object);
	return 0;
}

struct since *since_load(int fd, struct buf *error)
{
	struct since *s = need(calloc(1, sizeof(*s)));
	struct span rest;
	struct buf text;
	int status;

	s->items = need(json_array());
	buf_init(&text, SINCE_BYTES_MAX);
	status = read_all(fd, &text);
	close(fd);
	if (status < 0)
		buf_puts(error, text.overflow ? "more than 64 MB"
					      : "cannot "
						"be read");
	rest = buf_span(&text);
	for (size_t n = 1; status == 0 && rest.n > 0; n++)
		status = add_line(s, span_cut(&rest, '\n'), n, error);
	buf_clear(&text);
	if (status == 0)
		return s;
	since_free(s);
	return NULL;
}

void since_free(struct since *s)
{
	if (!s)
		return;
	json_decref(s->items);
	free(s);
}

/* The texts as JSON has them, so that what was read back is the same. */
static bool is_text(const json_t *object, const char *name, const char *text)
{
	struct buf safe;
	bool is_same;

	buf_init(&safe, 4 * FINDING_TEXT_MAX);
	escape_utf8(&safe, text);
	is_same = strcmp(member(object, name), buf_text(&safe)) == 0;
	buf_clear(&safe);
	return is_same;
}

static bool is_same(const json_t *object, const struct finding *f)
{
	return strcmp(member(object, "code"), f->code) == 0 &&
	       strcmp(member(object, "status"),
		   finding_status_name(f->status)) == 0 &&
	       is_text(object, "node", f->node) &&
	       is_text(object, "line", f->line) &&
	       is_text(object, "subject", f->subject);
}

bool since_had(const struct since *s, const struct finding *f)
{
	for (size_t i = 0; i < json_array_size(s->items); i++)
		if (is_same(json_array_get(s->items, i), f))
			return true;
	return false;
}

static bool is_there(const struct findings *now, const json_t *object)
{
	for (size_t i = 0; i < now->count; i++)
		if (is_same(object, &now->items[i]))
			return true;
	return false;
}

static uint8_t status_of(const char *name)
{
	for (int s = FINDING_OK; s <= FINDING_FAIL; s++)
		if (strcmp(finding_status_name((uint8_t)s), name) == 0)
			return (uint8_t)s;
	return FINDING_SKIP;
}

bool since_gone(const struct since *s, const struct findings *now, size_t i,
    struct finding *gone)
{
	for (size_t at = 0; at < json_array_size(s->items); at++) {
		const json_t *object = json_array_get(s->items, at);

		if (is_there(now, object) || i-- > 0)
			continue;
		*gone = (struct finding){
			.code = member(object, "code"),
			.status = status_of(member(object, "status")),
			.node = member(object, "node"),
			.line = member(object, "line"),
			.subject = member(object, "subject"),
			.found = member(object, "found"),
			.expected = member(object, "expected"),
			.remedy = member(object, "remedy"),
			.record = member(object, "record"),
		};
		return true;
	}
	return false;
}
