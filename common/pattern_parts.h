/* What pattern.c (running) and pattern_parse.c (compiling) share. */
#ifndef COMMON_PATTERN_PARTS_H
#define COMMON_PATTERN_PARTS_H

#include "common/pattern.h"

enum step_kind {
	STEP_BYTE, /* value */
	STEP_ANY,
	STEP_SET,   /* value: index */
	STEP_BEGIN, /* of the text */
	STEP_END,
	STEP_JUMP,  /* to a */
	STEP_SPLIT, /* to a or b */
	STEP_FOUND,
};

struct step {
	uint8_t kind;
	uint16_t value;
	int16_t a, b; /* relative, so that steps can be copied */
};

struct byte_set {
	uint32_t bits[8];
};

struct pattern {
	struct step *steps;
	size_t nsteps;
	struct byte_set *sets;
	size_t nsets;
	bool is_anchored; /* begins with ^ in all its branches */
};

static inline unsigned char pattern_fold(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

static inline bool byte_set_has(const struct byte_set *set, unsigned char c)
{
	return set->bits[c / 32] >> (c % 32) & 1;
}

#endif
