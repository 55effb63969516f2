/* Address lists, RFC 5322 sections 3.4 and 4.4, with RFC 6532:
 *
 *   list    = [address] *("," [address])           empty elements: obsolete
 *   address = mailbox / phrase ":" [list] ";"      groups do not nest
 *   mailbox = [phrase] "<" [route] local ["@" domain] ">"
 *           / local ["@" domain]                   no domain: a local name
 *   route   = "@" domain *("," "@" domain) ":"     obsolete, left out
 *   local   = word *("." word)      word = atom / quoted-string
 *   domain  = atom *("." atom) / "[" dtext "]"
 *
 * with comments and folds between any two tokens.
 */
#include "inject/addrlist.h"

#include "common/log.h"
#include "common/messages.h"

#include <stdlib.h>

enum { TEXT_MAX = 64 << 20 };

struct parser {
	struct addrlist *list;
	struct span in;
	size_t at;
	bool in_group;
	bool saw_comment; /* since the last comma */
	struct outcome *why;
};

/* A run of words that may turn out to be a phrase or a local part. */
struct words {
	size_t start; /* in the list's text */
	size_t end;   /* in the input, behind the last word */
	unsigned count;
	bool is_phrase; /* two words without a dot between them */
};

void addrlist_init(struct addrlist *list, size_t max)
{
	*list = (struct addrlist){ .max = max };
	buf_init(&list->text, TEXT_MAX);
}

void addrlist_clear(struct addrlist *list)
{
	buf_clear(&list->text);
	free(list->items);
	addrlist_init(list, list->max);
}

struct span addrlist_address(const struct addrlist *list, size_t i)
{
	return (struct span){ list->text.data + list->items[i].start,
		list->items[i].length };
}

/* --- tokens --------------------------------------------------------------- */

static int peek(const struct parser *p)
{
	return p->at < p->in.n ? (unsigned char)p->in.p[p->at] : -1;
}

static int fail(struct parser *p, const char *what)
{
	struct span near = span_from(p->in, p->at);

	if (near.n > 40)
		near.n = 40;
	if (near.n == 0)
		return outcome_perm(p->why, "5.1.3", "%s at the end", what);
	return outcome_perm(
	    p->why, "5.1.3", "%s at \"%s\"", what, log_escape(near));
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_atext(int c)
{
	if (c >= 0x80)
		return true;
	return c > ' ' && c < 0x7f && !strchr("()<>[]:;@\\,.\"", c);
}

static bool is_control(int c)
{
	return (c >= 0 && c < ' ' && !is_blank(c)) || c == 0x7f;
}

static int skip_comment(struct parser *p)
{
	size_t begin = p->at;
	unsigned depth = 0;

	for (; p->at < p->in.n; p->at++) {
		int c = peek(p);

		if (c == '\\')
			p->at++;
		else if (c == '(' && ++depth > COMMENT_DEPTH_MAX)
			return fail(p, "comments nested too deep");
		else if (c == ')' && --depth == 0)
			break;
		else if (is_control(c))
			return fail(p, "control character in a comment");
	}
	if (p->at >= p->in.n) {
		p->at = begin;
		return fail(p, "comment without end");
	}
	p->at++;
	p->saw_comment = true;
	return 0;
}

static int skip_between(struct parser *p)
{
	for (;;) {
		int c = peek(p);

		if (is_blank(c))
			p->at++;
		else if (c != '(')
			return 0;
		else if (skip_comment(p) < 0)
			return -1;
	}
}

static void take_atom(struct parser *p)
{
	size_t begin = p->at;

	while (p->at < p->in.n && is_atext(peek(p)))
		p->at++;
	buf_put(&p->list->text, p->in.p + begin, p->at - begin);
}

/* As written, but for line ends inside (folds). */
static int take_quoted(struct parser *p)
{
	struct buf *text = &p->list->text;
	size_t begin = p->at++;

	buf_putc(text, '"');
	for (; p->at < p->in.n; p->at++) {
		int c = peek(p);

		if (is_control(c))
			return fail(p, "control character in a quoted name");
		if (c == '\r' || c == '\n')
			continue;
		buf_putc(text, (char)c);
		if (c == '"') {
			p->at++;
			return 0;
		}
		if (c != '\\')
			continue;
		p->at++;
		c = peek(p);
		if (c < ' ' || c == 0x7f)
			return fail(p, "bad escape in a quoted name");
		buf_putc(text, (char)c);
	}
	p->at = begin;
	return fail(p, "quoted name without end");
}

static int take_words(struct parser *p, struct words *w)
{
	bool is_joined = true;

	*w = (struct words){ .start = p->list->text.len };
	for (;;) {
		int c;

		if (skip_between(p) < 0)
			return -1;
		c = peek(p);
		if (c == '.') {
			buf_putc(&p->list->text, '.');
			p->at++;
			w->end = p->at;
			is_joined = true;
			continue;
		}
		if (c != '"' && !is_atext(c))
			return 0;
		w->is_phrase |= !is_joined;
		is_joined = false;
		w->count++;
		if (c != '"')
			take_atom(p);
		else if (take_quoted(p) < 0)
			return -1;
		w->end = p->at;
	}
}

static int take_literal(struct parser *p)
{
	size_t begin = p->at;

	for (; p->at < p->in.n; p->at++) {
		int c = peek(p);

		if (is_blank(c))
			continue;
		if (is_control(c) || c == '\\' || (c == '[' && p->at > begin))
			return fail(p, "bad address literal");
		buf_putc(&p->list->text, (char)c);
		if (c == ']') {
			p->at++;
			return 0;
		}
	}
	p->at = begin;
	return fail(p, "address literal without end");
}

/* Behind the "@". */
static int take_domain(struct parser *p)
{
	if (skip_between(p) < 0)
		return -1;
	if (peek(p) == '[')
		return take_literal(p);
	for (;;) {
		if (!is_atext(peek(p)))
			return fail(p, "domain name missing");
		take_atom(p);
		if (skip_between(p) < 0)
			return -1;
		if (peek(p) != '.')
			return 0;
		buf_putc(&p->list->text, '.');
		p->at++;
		if (skip_between(p) < 0)
			return -1;
		/* The root's dot may end a name. */
		if (!is_atext(peek(p)))
			return 0;
	}
}

/* --- addresses ------------------------------------------------------------ */

static int add_item(
    struct parser *p, const struct words *w, bool has_domain, bool has_name)
{
	struct addrlist *list = p->list;
	size_t length = list->text.len - w->start;

	if (list->text.overflow)
		return outcome_temp(p->why, "4.3.0", "out of memory");
	if (length > ADDRESS_MAX)
		return outcome_perm(p->why, "5.1.3",
		    "an address is longer than %d bytes", ADDRESS_MAX);
	if (list->count >= list->max)
		return outcome_perm(
		    p->why, "5.5.3", "more than %zu addresses", list->max);
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 8;
		struct addrlist_item *grown =
		    realloc(list->items, room * sizeof(*grown));

		if (!grown)
			return outcome_temp(p->why, "4.3.0", "out of memory");
		list->items = grown;
		list->room = room;
	}
	list->items[list->count++] = (struct addrlist_item){
		.start = (uint32_t)w->start,
		.length = (uint32_t)length,
		.local_end = (uint32_t)w->end,
		.has_domain = has_domain,
		.has_name = has_name,
	};
	return 0;
}

/* local ["@" domain], whose words have been taken. */
static int take_spec(struct parser *p, const struct words *w, bool has_name)
{
	bool has_domain = peek(p) == '@';

	if (w->count == 0)
		return fail(p, "address missing");
	if (w->is_phrase)
		return fail(p, "comma or <address> missing");
	if (has_domain) {
		p->at++;
		buf_putc(&p->list->text, '@');
		if (take_domain(p) < 0 || skip_between(p) < 0)
			return -1;
	}
	return add_item(p, w, has_domain, has_name || p->saw_comment);
}

/* A source route says how to go, not where: it is left out. */
static int skip_route(struct parser *p)
{
	size_t start = p->list->text.len;

	while (peek(p) == '@' || peek(p) == ',') {
		bool is_name = peek(p) == '@';

		p->at++;
		if ((is_name && take_domain(p) < 0) || skip_between(p) < 0)
			return -1;
	}
	p->list->text.len = start;
	if (peek(p) != ':')
		return fail(p, "bad source route");
	p->at++;
	return 0;
}

/* At the "<"; what stood before it was a phrase. */
static int take_angle(struct parser *p, bool has_name)
{
	struct words w;

	p->at++;
	if (skip_between(p) < 0)
		return -1;
	if (peek(p) == '@' && skip_route(p) < 0)
		return -1;
	if (take_words(p, &w) < 0 || take_spec(p, &w, has_name) < 0)
		return -1;
	if (peek(p) != '>')
		return fail(p, "\">\" missing");
	p->at++;
	return skip_between(p);
}

static int begin_group(struct parser *p, const struct words *w)
{
	if (p->in_group || w->count == 0)
		return fail(p, "unexpected text");
	p->in_group = true;
	p->list->text.len = w->start;
	p->at++;
	return 0;
}

/* One address, or the name of a group up to its colon. */
static int take_element(struct parser *p)
{
	struct words w;
	int c;

	if (take_words(p, &w) < 0)
		return -1;
	c = peek(p);
	if (c == ':')
		return begin_group(p, &w);
	if (c != '<')
		return take_spec(p, &w, false);
	p->list->text.len = w.start;
	return take_angle(p, w.count > 0);
}

/* Between elements: separators, ends of groups. 1: an element follows. */
static int take_separators(struct parser *p, bool *is_separated)
{
	for (;;) {
		int c;

		if (skip_between(p) < 0)
			return -1;
		c = peek(p);
		if (c != ',' && !(c == ';' && p->in_group))
			return c >= 0;
		*is_separated = c == ',';
		p->in_group &= c == ',';
		p->saw_comment = false;
		p->at++;
	}
}

int addrlist_parse(
    struct addrlist *list, struct span input, struct outcome *why)
{
	struct parser p = { .list = list, .in = input, .why = why };
	bool is_separated = true;
	int more;

	while ((more = take_separators(&p, &is_separated)) > 0) {
		bool was_in_group = p.in_group;

		if (!is_separated)
			return fail(&p, "comma missing");
		if (take_element(&p) < 0)
			return -1;
		is_separated = p.in_group && !was_in_group;
	}
	if (more < 0)
		return -1;
	if (p.in_group)
		return fail(&p, "\";\" missing");
	return 0;
}
