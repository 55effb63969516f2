/* The words of a configuration file, as libconfuse will read them. */
#include "common/conf_lex.h"

#include <stdlib.h>

void conf_lexer_init(struct conf_lexer *lexer, char *text, size_t n)
{
	*lexer = (struct conf_lexer){ .text = text, .n = n, .line = 1 };
}

static void blank(struct conf_lexer *lexer, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (lexer->text[i] != '\n')
			lexer->text[i] = ' ';
}

void conf_lexer_blank(struct conf_lexer *lexer, size_t start)
{
	blank(lexer, start, lexer->at);
}

static char peek(const struct conf_lexer *lexer, size_t ahead)
{
	size_t at = lexer->at + ahead;

	return at < lexer->n ? lexer->text[at] : '\0';
}

static enum conf_token bad(struct conf_lexer *lexer, const char *why)
{
	lexer->why = why;
	return lexer->token = TOKEN_BAD;
}

/* To the end of the line. */
static void skip_line(struct conf_lexer *lexer)
{
	size_t start = lexer->at;

	while (lexer->at < lexer->n && lexer->text[lexer->at] != '\n')
		lexer->at++;
	blank(lexer, start, lexer->at);
}

static bool skip_comment(struct conf_lexer *lexer)
{
	size_t start = lexer->at;

	for (lexer->at += 2; lexer->at < lexer->n; lexer->at++) {
		if (peek(lexer, 0) == '\n')
			lexer->line++;
		if (peek(lexer, 0) == '*' && peek(lexer, 1) == '/') {
			lexer->at += 2;
			blank(lexer, start, lexer->at);
			return true;
		}
	}
	return false;
}

/* Blanks, line ends, comments, semicolons. False: a comment has no end. */
static bool skip_space(struct conf_lexer *lexer)
{
	for (;;) {
		char c = peek(lexer, 0);

		if (lexer->at >= lexer->n)
			return true;
		lexer->start = lexer->at;
		lexer->start_line = lexer->line;
		if (c == '#' || (c == '/' && peek(lexer, 1) == '/')) {
			skip_line(lexer);
		} else if (c == '/' && peek(lexer, 1) == '*') {
			if (!skip_comment(lexer))
				return false;
		} else if (c == ';' || c == '\r') {
			lexer->text[lexer->at++] = ' ';
		} else if (c == '\n' || c == ' ' || c == '\t') {
			lexer->line += c == '\n';
			lexer->at++;
		} else {
			return true;
		}
	}
}

static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 99;
}

/* A backslash and what it escapes inside double quotes: \ooo, \xhh or one
 * character. Returns its length, 0 when it has no meaning. */
static size_t escape_length(const struct conf_lexer *lexer)
{
	unsigned base = peek(lexer, 1) == 'x' ? 16 : 8, value = 0;
	size_t first = base == 16 ? 2 : 1, n = first;

	if (peek(lexer, 1) == '\0')
		return 0;
	while (
	    n < first + (base == 16 ? 2 : 3) && digit_of(peek(lexer, n)) < base)
		value = value * base + digit_of(peek(lexer, n++));
	if (n == first) /* not a number */
		return digit_of(peek(lexer, 1)) < 10 ? 0 : 2;
	/* no NUL, no more than a byte, no further digit of any base */
	if (value == 0 || value > 0xff ||
	    (base == 8 && digit_of(peek(lexer, n)) < 10))
		return 0;
	return n;
}

static enum conf_token quoted(struct conf_lexer *lexer, char quote)
{
	lexer->at++;
	while (peek(lexer, 0) != quote) {
		size_t n = 1;

		if (lexer->at >= lexer->n || peek(lexer, 0) == '\n')
			return bad(
			    lexer, "a text in quotes must end on its line");
		if (peek(lexer, 0) == '\\') {
			n = quote == '"' ? escape_length(lexer) : 2;
			if (n == 0)
				return bad(lexer, "no such escape; write \\\\ "
						  "for a backslash");
		} else if (quote == '"' && peek(lexer, 0) == '$' &&
			   peek(lexer, 1) == '{') {
			return bad(lexer, "the environment is not read; write "
					  "\\$ for a dollar sign");
		}
		if (peek(lexer, n - 1) == '\n')
			return bad(
			    lexer, "a text in quotes must end on its line");
		lexer->at += n;
	}
	lexer->at++;
	lexer->value = (struct span){ lexer->text + lexer->start + 1,
		lexer->at - lexer->start - 2 };
	return lexer->token = TOKEN_QUOTED;
}

static bool is_word(char c)
{
	return c != '\0' && !strchr(" #\"'\t\n\r={}()+,*", c);
}

static enum conf_token word(struct conf_lexer *lexer)
{
	size_t start = lexer->at;

	while (lexer->at < lexer->n && is_word(peek(lexer, 0)) &&
	       !(peek(lexer, 0) == '/' && peek(lexer, 1) == '*'))
		lexer->at++;
	if (lexer->at == start)
		return bad(lexer, "unexpected sign; put the text in quotes");
	if (peek(lexer, 0) == '{' && lexer->text[lexer->at - 1] == '$')
		return bad(lexer, "the environment is not read");
	lexer->value = (struct span){ lexer->text + start, lexer->at - start };
	/* some end a setting with a semicolon out of habit */
	while (lexer->value.n > 1 && lexer->value.p[lexer->value.n - 1] == ';')
		lexer->text[start + --lexer->value.n] = ' ';
	return lexer->token = TOKEN_WORD;
}

enum conf_token conf_lexer_next(struct conf_lexer *lexer)
{
	static const char signs[] = "{}=,()";
	static const enum conf_token tokens[] = { TOKEN_OPEN, TOKEN_CLOSE,
		TOKEN_ASSIGN, TOKEN_COMMA, TOKEN_PAREN_OPEN,
		TOKEN_PAREN_CLOSE };
	const char *sign;
	char c;

	lexer->start_line = lexer->line;
	lexer->start = lexer->at;
	if (!skip_space(lexer))
		return bad(lexer, "a comment begins here and has no end");
	lexer->start = lexer->at;
	lexer->start_line = lexer->line;
	if (lexer->at >= lexer->n)
		return lexer->token = TOKEN_END;
	c = peek(lexer, 0);
	if (c == '"' || c == '\'')
		return quoted(lexer, c);
	if (c == '+' && peek(lexer, 1) == '=') {
		lexer->at += 2;
		return lexer->token = TOKEN_ASSIGN;
	}
	sign = c != '\0' ? strchr(signs, c) : NULL;
	if (!sign)
		return word(lexer);
	lexer->at++;
	return lexer->token = tokens[sign - signs];
}
