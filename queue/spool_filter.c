/* Does a delivery or a recipient match what an operator asked for? */
#include <ctype.h>

#include "common/cause.h"
#include "queue/spool_parts.h"

static bool is_same_nocase(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* "*" stands for any run; going back to the last one only keeps it linear. */
static bool text_matches(struct span pattern, struct span text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.n &&
			   is_same_nocase(pattern.p[p], text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static bool address_matches(struct span pattern, struct span address)
{
	size_t at = address.n;

	if (pattern.n == 0)
		return true;
	if (span_is_equal(pattern, SPAN_LITERAL("<>")))
		return address.n == 0;
	if (pattern.p[0] != '@')
		return text_matches(pattern, address);
	while (at > 0 && address.p[at - 1] != '@')
		at--;
	return at > 0 &&
	       text_matches(span_from(pattern, 1), span_from(address, at));
}

/* "default" matches the group of "default/3". */
static bool line_matches(struct span pattern, const struct matched *m)
{
	struct span used = m->delivery->line, group = used;
	ptrdiff_t slash = span_find(used, '/');

	if (pattern.n == 0)
		return true;
	if (slash >= 0)
		group.n = (size_t)slash;
	return text_matches(pattern, used) || text_matches(pattern, group) ||
	       text_matches(pattern, m->message->line);
}

static bool message_matches(
    const struct filter *f, uint64_t id, const struct message_info *m)
{
	uint64_t accepted = m->accepted_ms / 1000;

	return (!f->id || f->id == id) &&
	       (f->uid == UINT32_MAX || f->uid == m->uid) &&
	       (!f->older_than || accepted < f->older_than) &&
	       (!f->newer_than || accepted > f->newer_than) &&
	       address_matches(f->sender, m->sender);
}

static struct span without_at(struct span s)
{
	return s.n > 0 && s.p[0] == '@' ? span_from(s, 1) : s;
}

static uint8_t recipient_visible_state(
    const struct matched *m, const struct delivery_recipient *r)
{
	if (r->state != RECIPIENT_PENDING)
		return STATE_REPORTING;
	return delivery_visible_state(m->delivery, m->claim, m->now_ms);
}

bool filter_has_recipient(const struct filter *f)
{
	return f->recipient.n > 0;
}

bool filter_is_match(const struct filter *f, uint64_t id,
    const struct matched *m, const struct delivery_recipient *r)
{
	if (!message_matches(f, id, m->message) || !line_matches(f->line, m))
		return false;
	if (f->destination.n > 0 &&
	    !text_matches(without_at(f->destination), m->delivery->domain))
		return false;
	if (f->state >= 0 && (uint8_t)f->state != recipient_visible_state(m, r))
		return false;
	if (f->cause.n > 0 &&
	    !text_matches(f->cause, cause_word(m->delivery->cause)))
		return false;
	return address_matches(f->recipient, r->address);
}
