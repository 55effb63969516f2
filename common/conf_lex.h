/* The words of a configuration file, as libconfuse will read them; only conf*.c
 * include it.
 *
 * Comments are blanked out on the way, so that libconfuse sees none. What it
 * would swallow in silence (a string that is not closed, a stray sign, a
 * variable of the environment) is an error here.
 */
#ifndef COMMON_CONF_LEX_H
#define COMMON_CONF_LEX_H

#include "common/span.h"

enum conf_token {
	TOKEN_END = 0,
	TOKEN_WORD,
	TOKEN_QUOTED,
	TOKEN_OPEN,   /* { */
	TOKEN_CLOSE,  /* } */
	TOKEN_ASSIGN, /* = or += */
	TOKEN_COMMA,
	TOKEN_PAREN_OPEN,
	TOKEN_PAREN_CLOSE,
	TOKEN_BAD, /* see why */
};

struct conf_lexer {
	char *text; /* changed: comments become blanks */
	size_t n, at;
	int line;
	/* the token last read */
	enum conf_token token;
	struct span value; /* without its quotes; escapes as written */
	size_t start;	   /* offset of its first byte */
	int start_line;
	const char *why;
};

void conf_lexer_init(struct conf_lexer *lexer, char *text, size_t n);
enum conf_token conf_lexer_next(struct conf_lexer *lexer);
/* Blank out from offset start to what has been read, keeping line ends. */
void conf_lexer_blank(struct conf_lexer *lexer, size_t start);

#endif
