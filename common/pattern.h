/* Regular expressions in bounded time and memory.
 *
 * POSIX extended syntax, ASCII letters without regard to case, bytes as they
 * are. The C library's regexec is not for texts that strangers choose: a
 * pattern as short as (a|b)*a(a|b){100}c takes it 15 seconds and 800 MB for a
 * reply of 1000 bytes. Here a match costs at most PATTERN_STEPS_MAX steps a
 * byte and no memory but the stack.
 *
 *   pattern     = branch *( "|" branch )
 *   branch      = *( atom *repeat )
 *   atom        = "(" pattern ")" | "[" set "]" | "." | "^" | "$" | "\" special
 *                 | "\w" | "\W" | "\s" | "\S" | any other byte
 *   repeat      = "*" | "+" | "?" | "{" m "}" | "{" m ",}" | "{" m "," n "}"
 *
 * What POSIX leaves undefined is refused, back-references too.
 */
#ifndef COMMON_PATTERN_H
#define COMMON_PATTERN_H

#include "common/outcome.h"

enum {
	PATTERN_STEPS_MAX = 2000, /* the size of a pattern, repeats unfolded */
	PATTERN_DEPTH_MAX = 30,	  /* groups inside groups */
};

struct pattern;

/* NULL with *why: what is wrong with it, at which byte. */
struct pattern *pattern_new(const char *text, struct outcome *why);
void pattern_free(struct pattern *pattern); /* NULL is fine */

/* Somewhere in text. */
bool pattern_matches(const struct pattern *pattern, struct span text);

#endif
