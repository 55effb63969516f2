/* tag-list = tag-spec *( ";" tag-spec ) [ ";" ]; tag-spec = name "=" value
 * name = ALPHA *( ALPHA / DIGIT / "_" ). RFC 6376 section 3.2.
 */
#include "dnscheck/dkim_tags.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span tags_trim(struct span s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = span_from(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool is_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool is_letter =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!is_letter &&
		    (i == 0 || ((c < '0' || c > '9') && c != '_')))
			return false;
	}
	return s.n > 0;
}

static int wrong(const char **why, const char *what)
{
	*why = what;
	return -1;
}

static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_blank(s.p[i]) && ((unsigned char)s.p[i] < 0x20 ||
					     (unsigned char)s.p[i] == 0x7f))
			return false;
	return true;
}

static int add(struct tags *tags, struct span item, const char **why)
{
	struct span value = item, name = tags_trim(span_cut(&value, '='));

	if (span_find(item, '=') < 0)
		return wrong(why, "a part of it has no \"=\"");
	if (!is_name(name))
		return wrong(why, "what stands before a \"=\" is no tag");
	if (!is_text(value))
		return wrong(why, "it has control characters");
	for (size_t i = 0; i < tags->count; i++)
		if (span_is_equal(tags->items[i].name, name))
			return wrong(why, "a tag stands there twice");
	if (tags->count == TAGS_MAX)
		return wrong(why, "it has too many tags");
	tags->items[tags->count].name = name;
	tags->items[tags->count++].value = tags_trim(value);
	return 0;
}

int tags_parse(struct span text, struct tags *tags, const char **why)
{
	struct span item;

	tags->count = 0;
	while (text.n > 0) {
		item = tags_trim(span_cut(&text, ';'));
		if (item.n == 0 && tags_trim(text).n == 0)
			break;
		if (item.n == 0)
			return wrong(why, "a part of it is empty");
		if (add(tags, item, why) < 0)
			return -1;
	}
	return tags->count > 0 ? 0 : wrong(why, "it is empty");
}

struct span tags_find(const struct tags *tags, const char *name)
{
	for (size_t i = 0; i < tags->count; i++)
		if (span_is_equal(tags->items[i].name, span_of(name)))
			return tags->items[i].value;
	return (struct span){ NULL, 0 };
}

bool tags_begin(const struct tags *tags, const char *name, const char *value)
{
	return tags->count > 0 &&
	       span_is_equal(tags->items[0].name, span_of(name)) &&
	       span_is_equal(tags->items[0].value, span_of(value));
}

bool tags_has_word(struct span value, char separator, const char *word)
{
	while (value.n > 0)
		if (span_is_equal_nocase(
			tags_trim(span_cut(&value, separator)), span_of(word)))
			return true;
	return false;
}
