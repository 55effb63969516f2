/* The aliases file: local names and the addresses they stand for. */
#ifndef INJECT_ALIASES_H
#define INJECT_ALIASES_H

#include "common/outcome.h"

struct aliases;

struct alias_counts {
	size_t aliases;
	size_t longest; /* bytes of the longest value */
	size_t bytes;	/* of all values */
	size_t problems;
};

/* Read the file; one that is not there has no aliases. Lines that are none are
 * left out and given to report (which may be NULL) with their number. NULL with
 * *why when it cannot be read (temporary). */
struct aliases *aliases_load(const char *path,
    void (*report)(const char *path, unsigned line, const char *what),
    struct alias_counts *counts, struct outcome *why);
void aliases_free(struct aliases *a);

/* What the name stands for, compared without case; the last definition wins.
 * false: no alias. */
bool aliases_find(
    const struct aliases *a, struct span name, struct span *values);

/* Cut the next value off a list: values are separated by commas outside of
 * quotes. Trimmed; empty at the end of the list. */
struct span alias_next_value(struct span *rest);

/* A value or recipient that names a program, a file or a list in a file:
 * nothing we ever deliver to. */
bool alias_is_unsafe(struct span value);

#endif
