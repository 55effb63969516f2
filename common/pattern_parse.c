/* Compiling a pattern: its grammar (pattern.h) to steps. */
#include "common/pattern_parts.h"

#include <ctype.h>
#include <stdlib.h>

enum { SETS_MAX = 256, COUNT_MAX = 255 };

struct parse {
	struct pattern *pattern;
	const char *text, *at;
	unsigned depth;
	struct outcome *why;
	bool has_failed;
};

static void fail(struct parse *p, const char *what)
{
	if (!p->has_failed)
		outcome_perm(p->why, "5.3.5", "%s (at byte %zu)", what,
		    (size_t)(p->at - p->text) + 1);
	p->has_failed = true;
}

/* --- steps -----------------------------------------------------------------*/

/* Room for n more steps at place; NULL: the pattern is too large. */
static struct step *insert(struct parse *p, size_t place, size_t n)
{
	struct pattern *x = p->pattern;
	struct step *steps = x->steps;

	if (p->has_failed)
		return NULL;
	/* one more for STEP_FOUND */
	if (x->nsteps + n >= PATTERN_STEPS_MAX) {
		fail(p, "too large when its repetitions are written out");
		return NULL;
	}
	memmove(steps + place + n, steps + place,
	    (x->nsteps - place) * sizeof(*steps));
	x->nsteps += n;
	return steps + place;
}

static void append(struct parse *p, enum step_kind kind, uint16_t value)
{
	struct step *step = insert(p, p->pattern->nsteps, 1);

	if (step)
		*step = (struct step){ .kind = (uint8_t)kind, .value = value };
}

static void put_jump(
    struct parse *p, size_t place, enum step_kind kind, size_t a, size_t b)
{
	struct step *step = insert(p, place, 1);

	if (step)
		*step = (struct step){
			.kind = (uint8_t)kind, .a = (int16_t)a, .b = (int16_t)b
		};
}

/* --- sets ------------------------------------------------------------------*/

static void set_add(struct byte_set *set, unsigned char c)
{
	c = pattern_fold(c);
	set->bits[c / 32] |= 1U << (c % 32);
}

static void set_invert(struct byte_set *set)
{
	for (size_t i = 0; i < 8; i++)
		set->bits[i] = ~set->bits[i];
}

static void append_set(struct parse *p, const struct byte_set *set)
{
	struct pattern *x = p->pattern;

	if (x->nsets >= SETS_MAX) {
		fail(p, "too many sets");
		return;
	}
	append(p, STEP_SET, (uint16_t)x->nsets);
	x->sets[x->nsets++] = *set;
}

static const struct {
	const char *name;
	int (*is)(int c);
} classes[] = { { "alpha", isalpha }, { "digit", isdigit },
	{ "alnum", isalnum }, { "upper", isalpha }, { "lower", isalpha },
	{ "space", isspace }, { "blank", isblank }, { "punct", ispunct },
	{ "print", isprint }, { "graph", isgraph }, { "cntrl", iscntrl },
	{ "xdigit", isxdigit } };

static void set_add_class(struct byte_set *set, int (*is)(int c))
{
	for (int c = 0; c < 128; c++)
		if (is(c))
			set_add(set, (unsigned char)c);
}

/* "[:name:]", its first two bytes taken already. */
static void parse_class(struct parse *p, struct byte_set *set)
{
	const char *end = strstr(p->at, ":]");
	struct span name = { p->at, end ? (size_t)(end - p->at) : 0 };

	for (size_t i = 0; end && i < sizeof(classes) / sizeof(*classes); i++) {
		if (!span_is_equal(name, span_of(classes[i].name)))
			continue;
		set_add_class(set, classes[i].is);
		p->at = end + 2;
		return;
	}
	fail(p, "no class of that name; alpha, digit, alnum, space...");
}

/* Without regard to case nobody knows what a part of the letters and what
 * stands before or behind them in ASCII would be. */
static bool is_half(unsigned char from, unsigned char to)
{
	return from <= 'z' && to >= 'A' && !(from < 'A' && to > 'z');
}

static void parse_range(struct parse *p, struct byte_set *set)
{
	unsigned char from = (unsigned char)*p->at++, to = from;

	if (p->at[0] == '-' && p->at[1] && p->at[1] != ']') {
		p->at++;
		to = (unsigned char)*p->at++;
		if (to == '[' &&
		    (*p->at == '.' || *p->at == '=' || *p->at == ':'))
			fail(p, "a range ends with a byte");
	}
	if (isalpha(from) && isalpha(to)) {
		from = pattern_fold(from);
		to = pattern_fold(to);
	} else if (from != to && is_half(from, to)) {
		fail(p, "a range of some letters and something else");
	}
	if (to < from)
		fail(p, "a range that ends before it begins");
	for (unsigned c = from; c <= to; c++)
		set_add(set, (unsigned char)c);
}

static void parse_set(struct parse *p)
{
	struct byte_set set = { 0 };
	bool is_inverted = *p->at == '^';
	const char *first;

	p->at += is_inverted;
	first = p->at;
	while (!p->has_failed && *p->at && (*p->at != ']' || p->at == first)) {
		if (p->at[0] == '[' && p->at[1] == ':') {
			p->at += 2;
			parse_class(p, &set);
		} else if (p->at[0] == '[' &&
			   (p->at[1] == '.' || p->at[1] == '=')) {
			fail(p, "[. and [= are not supported");
		} else {
			parse_range(p, &set);
		}
	}
	if (!*p->at)
		fail(p, "[ is not closed");
	if (p->has_failed)
		return;
	p->at++;
	if (is_inverted)
		set_invert(&set);
	append_set(p, &set);
}

/* --- atoms -----------------------------------------------------------------*/

static int is_word(int c)
{
	return isalnum(c) || c == '_';
}

static void parse_escape(struct parse *p)
{
	unsigned char c = (unsigned char)*p->at;
	struct byte_set set = { 0 };

	if (c == 'w' || c == 'W' || c == 's' || c == 'S') {
		set_add_class(&set, c == 'w' || c == 'W' ? is_word : isspace);
		if (c == 'W' || c == 'S')
			set_invert(&set);
		append_set(p, &set);
	} else if (ispunct(c) && !strchr("<>`'", c)) {
		append(p, STEP_BYTE, c);
	} else if (c >= '1' && c <= '9') {
		fail(p, "back-references are not allowed");
	} else {
		fail(p, "\\ before something that is no special character; "
			"a digit is [0-9]");
	}
	if (c)
		p->at++;
}

static void parse_pattern(struct parse *p);

static void parse_group(struct parse *p)
{
	if (++p->depth > PATTERN_DEPTH_MAX) {
		fail(p, "too many groups inside groups");
		return;
	}
	parse_pattern(p);
	p->depth--;
	if (*p->at == ')')
		p->at++;
	else
		fail(p, "( is not closed");
}

static void parse_atom(struct parse *p)
{
	unsigned char c = (unsigned char)*p->at++;

	switch (c) {
	case '(':
		parse_group(p);
		break;
	case '[':
		parse_set(p);
		break;
	case '\\':
		parse_escape(p);
		break;
	case '.':
		append(p, STEP_ANY, 0);
		break;
	case '^':
		append(p, STEP_BEGIN, 0);
		break;
	case '$':
		append(p, STEP_END, 0);
		break;
	case '*':
	case '+':
	case '?':
	case '{':
		p->at--;
		fail(p, "nothing to repeat (the character itself: \\ before "
			"it)");
		break;
	default:
		append(p, STEP_BYTE, pattern_fold(c));
	}
}

/* --- repeats ---------------------------------------------------------------*/

static void repeat_star(struct parse *p, size_t from)
{
	size_t n = p->pattern->nsteps - from;

	put_jump(p, from, STEP_SPLIT, 1, n + 2);
	put_jump(p, p->pattern->nsteps, STEP_JUMP, -(n + 1), 0);
}

static void repeat_plus(struct parse *p, size_t from)
{
	size_t n = p->pattern->nsteps - from;

	put_jump(p, p->pattern->nsteps, STEP_SPLIT, -n, 1);
}

/* The steps from `from` on once more; `skip` > 0: or on by so many. */
static void copy(struct parse *p, size_t from, size_t n, size_t skip)
{
	size_t end = p->pattern->nsteps;
	struct step *to;

	if (skip > 0)
		put_jump(p, end, STEP_SPLIT, 1, skip);
	to = insert(p, p->pattern->nsteps, n);
	if (to)
		memcpy(to, p->pattern->steps + from, n * sizeof(*to));
}

/* most < 0: without end. */
static void repeat_times(struct parse *p, size_t from, int least, int most)
{
	size_t n = p->pattern->nsteps - from;

	if (most == 0) {
		p->pattern->nsteps = from;
		return;
	}
	for (int i = 1; i < least; i++)
		copy(p, from, n, 0);
	if (most < 0 && least > 0)
		repeat_plus(p, p->pattern->nsteps - n);
	else if (most < 0)
		repeat_star(p, from);
	for (int i = least > 0 ? least : 1; i < most; i++)
		copy(p, from, n, (size_t)(most - i) * (n + 1));
	if (least == 0 && most > 0)
		put_jump(p, from, STEP_SPLIT, 1, p->pattern->nsteps - from + 1);
}

/* Digits; -1 when there are none or it is too large. */
static int parse_count(struct parse *p)
{
	int count = -1;

	while (*p->at >= '0' && *p->at <= '9') {
		count = (count < 0 ? 0 : count) * 10 + (*p->at++ - '0');
		if (count > COUNT_MAX)
			return -1;
	}
	return count;
}

static void parse_interval(struct parse *p, size_t from)
{
	int least = parse_count(p), most = least;

	if (*p->at == ',' && least >= 0) {
		p->at++;
		most = *p->at == '}' ? -1 : parse_count(p);
		if (most < 0 && *p->at != '}')
			least = -1;
	}
	if (least < 0 || *p->at != '}' || (most >= 0 && most < least)) {
		fail(p, "{ without a count up to 255, such as {2,4} (the "
			"character itself: \\{)");
		return;
	}
	p->at++;
	repeat_times(p, from, least, most);
}

static void parse_repeats(struct parse *p, size_t from)
{
	if (*p->at && strchr("*+?{", *p->at) && strchr("^$", p->at[-1]) &&
	    p->pattern->nsteps == from + 1 &&
	    p->pattern->steps[from].kind >= STEP_BEGIN)
		fail(p, "nothing to repeat");
	while (!p->has_failed && *p->at && strchr("*+?{", *p->at)) {
		char c = *p->at++;

		if (c == '*')
			repeat_star(p, from);
		else if (c == '+')
			repeat_plus(p, from);
		else if (c == '?')
			repeat_times(p, from, 0, 1);
		else
			parse_interval(p, from);
	}
}

/* --- the whole -------------------------------------------------------------*/

static void parse_branch(struct parse *p)
{
	while (!p->has_failed && *p->at && *p->at != '|' && *p->at != ')') {
		size_t from = p->pattern->nsteps;

		parse_atom(p);
		if (!p->has_failed)
			parse_repeats(p, from);
	}
}

static void parse_pattern(struct parse *p)
{
	size_t from = p->pattern->nsteps;

	parse_branch(p);
	while (!p->has_failed && *p->at == '|') {
		size_t n = p->pattern->nsteps - from, jump;

		p->at++;
		put_jump(p, from, STEP_SPLIT, 1, n + 2);
		jump = p->pattern->nsteps;
		put_jump(p, jump, STEP_JUMP, 0, 0);
		/* what follows is one branch or more, each an alternative */
		parse_pattern(p);
		if (!p->has_failed)
			p->pattern->steps[jump].a =
			    (int16_t)(p->pattern->nsteps - jump);
	}
}

static void parse_all(struct parse *p)
{
	parse_pattern(p);
	if (*p->at == ')')
		fail(p, ") without ( (the character itself: \\))");
	if (p->has_failed)
		return;
	p->pattern->steps[p->pattern->nsteps++].kind = STEP_FOUND;
	p->pattern->is_anchored = p->pattern->steps[0].kind == STEP_BEGIN;
}

/* Give back what it did not need. */
static void shrink(struct pattern *x)
{
	struct step *steps = realloc(x->steps, x->nsteps * sizeof(*x->steps));
	struct byte_set *sets;

	if (steps)
		x->steps = steps;
	sets = realloc(x->sets, (x->nsets + 1) * sizeof(*x->sets));
	if (sets)
		x->sets = sets;
}

struct pattern *pattern_new(const char *text, struct outcome *why)
{
	struct pattern *x = calloc(1, sizeof(*x));
	struct parse p = { .pattern = x, .text = text, .at = text, .why = why };

	if (x) {
		x->steps = calloc(PATTERN_STEPS_MAX, sizeof(*x->steps));
		x->sets = calloc(SETS_MAX, sizeof(*x->sets));
	}
	if (!x || !x->steps || !x->sets)
		fail(&p, "no memory");
	else
		parse_all(&p);
	if (!p.has_failed) {
		shrink(x);
		return x;
	}
	pattern_free(x);
	return NULL;
}
