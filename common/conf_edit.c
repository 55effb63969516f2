/* One setting of a configuration file changed. */
#include "common/conf_edit.h"

#include "common/conf_lex.h"

#include <stdlib.h>

struct place {
	size_t start, end; /* of the value */
	bool is_found;
	size_t inside; /* behind the block's brace */
	bool has_block;
};

struct search {
	struct conf_lexer lexer;
	const char *block, *title, *option;
	int depth;
	bool is_inside;
	struct place place;
};

static bool is_word(const struct conf_lexer *l, const char *word)
{
	return (l->token == TOKEN_WORD || l->token == TOKEN_QUOTED) &&
	       span_is_equal(l->value, span_of(word));
}

static bool is_over(const struct conf_lexer *l)
{
	return l->token == TOKEN_END || l->token == TOKEN_BAD;
}

/* Behind "option =": one word or a list. The token behind it is read. */
static void take_value(struct search *s)
{
	struct conf_lexer *l = &s->lexer;

	conf_lexer_next(l);
	s->place.start = l->start;
	if (l->token == TOKEN_OPEN)
		while (l->token != TOKEN_CLOSE && !is_over(l))
			conf_lexer_next(l);
	if (is_over(l))
		return;
	s->place.end = l->at;
	s->place.is_found = true;
	conf_lexer_next(l);
}

/* Behind the block's name: its title and brace. The token behind what fits is
 * read. */
static void enter_block(struct search *s)
{
	struct conf_lexer *l = &s->lexer;

	if (s->title) {
		if (!is_word(l, s->title))
			return;
		conf_lexer_next(l);
	}
	if (l->token != TOKEN_OPEN)
		return;
	s->depth = 1;
	s->is_inside = s->place.has_block = true;
	s->place.inside = l->at;
	conf_lexer_next(l);
}

static void step(struct search *s)
{
	struct conf_lexer *l = &s->lexer;
	bool is_here = s->block ? s->is_inside && s->depth == 1 : s->depth == 0;

	if (is_here && is_word(l, s->option)) {
		conf_lexer_next(l);
		if (l->token == TOKEN_ASSIGN)
			take_value(s);
		return;
	}
	if (s->block && s->depth == 0 && !s->place.has_block &&
	    is_word(l, s->block)) {
		conf_lexer_next(l);
		enter_block(s);
		return;
	}
	if (l->token == TOKEN_OPEN)
		s->depth++;
	if (l->token == TOKEN_CLOSE && --s->depth == 0)
		s->is_inside = false;
	conf_lexer_next(l);
}

static int replace(struct buf *text, size_t start, size_t end, struct span with)
{
	struct buf out;

	buf_init(&out, text->limit);
	buf_put(&out, text->data, start);
	buf_put_raw(&out, with);
	buf_put_raw(&out, span_from(buf_span(text), end));
	if (out.overflow) {
		buf_clear(&out);
		return -1;
	}
	buf_clear(text);
	*text = out;
	return 0;
}

static int put(struct buf *text, const struct search *s, const char *value)
{
	const struct place *p = &s->place;
	struct buf added;
	size_t at = text->len;
	int status;

	if (p->is_found)
		return replace(text, p->start, p->end, span_of(value));
	buf_init(&added, text->limit);
	if (p->has_block) {
		at = p->inside;
		buf_printf(&added, "\n\t%s = %s", s->option, value);
		if (at < text->len && text->data[at] != '\n')
			buf_puts(&added, "\n\t");
	} else {
		if (at > 0 && text->data[at - 1] != '\n')
			buf_putc(&added, '\n');
		if (!s->block)
			buf_printf(&added, "%s = %s\n", s->option, value);
		else
			buf_printf(&added, "\n%s%s%s%s {\n\t%s = %s\n}\n",
			    s->block, s->title ? " \"" : "",
			    s->title ? s->title : "", s->title ? "\"" : "",
			    s->option, value);
	}
	status = replace(text, at, at, buf_span(&added));
	buf_clear(&added);
	return status;
}

int conf_edit(struct buf *text, const char *block, const char *title,
    const char *option, const char *value, const char **why)
{
	struct search s = { .block = block, .title = title, .option = option };
	char *copy = span_dup(buf_span(text)); /* the lexer blanks comments */
	int status = -1;

	*why = "no memory";
	if (!copy)
		return -1;
	conf_lexer_init(&s.lexer, copy, text->len);
	conf_lexer_next(&s.lexer);
	while (!is_over(&s.lexer) && !s.place.is_found)
		step(&s);
	if (s.lexer.token == TOKEN_BAD)
		*why = s.lexer.why;
	else
		status = put(text, &s, value);
	free(copy);
	return status;
}

int conf_edit_quote(struct buf *out, struct span text)
{
	if (span_has_line_breaks(text))
		return -1;
	buf_putc(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, text.p[i]);
	}
	buf_putc(out, '"');
	return 0;
}
