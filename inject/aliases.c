/* The aliases file, aliases(5):
 *
 *   # comment
 *   name: value, value,
 *       value
 *
 * A line that begins with a blank continues the one before it.
 */
#include "inject/aliases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 32 << 20 };

struct alias {
	struct span name, values; /* values: with their line ends */
	size_t at;		  /* order in the file */
};

struct aliases {
	struct buf text;
	struct alias *items;
	size_t count, room;
};

struct reading {
	struct aliases *aliases;
	struct alias_counts *counts;
	const char *path;
	void (*report)(const char *path, unsigned line, const char *what);
	unsigned line;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct span trim(struct span s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static struct span unquoted(struct span s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return (struct span){ s.p + 1, s.n - 2 };
	return s;
}

static void complain(struct reading *r, const char *what)
{
	r->counts->problems++;
	if (r->report)
		r->report(r->path, r->line, what);
}

/* Offset of the first c outside of quotes, or s.n. */
static size_t find_unquoted(struct span s, char c)
{
	bool is_quoted = false;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			is_quoted = !is_quoted;
		else if (s.p[i] == c && !is_quoted)
			return i;
	}
	return s.n;
}

struct span alias_next_value(struct span *rest)
{
	while (rest->n > 0) {
		size_t n = find_unquoted(*rest, ',');
		struct span value = trim((struct span){ rest->p, n });

		*rest = span_from(*rest, n + 1);
		if (value.n > 0)
			return value;
	}
	return (struct span){ 0 };
}

bool alias_is_unsafe(struct span value)
{
	value = trim(unquoted(trim(value)));
	return value.n > 0 && (value.p[0] == '|' || value.p[0] == '/' ||
				  span_has_prefix_nocase(value, ":"));
}

static int add(struct aliases *a, struct alias alias)
{
	if (a->count == a->room) {
		size_t room = a->room ? a->room * 2 : 64;
		struct alias *grown = realloc(a->items, room * sizeof(*grown));

		if (!grown)
			return -1;
		a->items = grown;
		a->room = room;
	}
	alias.at = a->count;
	a->items[a->count++] = alias;
	return 0;
}

static void check_values(struct reading *r, struct span values)
{
	size_t n = 0;
	struct span value;

	r->counts->bytes += values.n;
	if (values.n > r->counts->longest)
		r->counts->longest = values.n;
	while ((value = alias_next_value(&values)).n > 0) {
		n++;
		if (alias_is_unsafe(value))
			complain(r, "programs, files and included lists are "
				    "not delivered to; name a mail address");
	}
	if (n == 0)
		complain(r, "no value; write \"name: address\"");
}

/* One whole entry, continuations included. */
static int read_entry(struct reading *r, struct span entry)
{
	size_t colon = find_unquoted(entry, ':');
	struct alias alias = { .values = trim(span_from(entry, colon + 1)) };

	if (colon == entry.n) {
		complain(r, "no colon; write \"name: address\"");
		return 0;
	}
	alias.name = unquoted(trim((struct span){ entry.p, colon }));
	if (alias.name.n == 0) {
		complain(r, "no name; write \"name: address\"");
		return 0;
	}
	r->counts->aliases++;
	check_values(r, alias.values);
	return add(r->aliases, alias);
}

static bool is_skipped(struct span line)
{
	line = trim(line);
	return line.n == 0 || line.p[0] == '#';
}

static int read_entries(struct reading *r)
{
	struct span rest = buf_span(&r->aliases->text);
	unsigned next_line = 1;

	while (rest.n > 0) {
		struct span whole = rest, line = span_cut(&rest, '\n');
		unsigned first = next_line++;
		size_t n = line.n;

		if (is_skipped(line))
			continue;
		while (rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t')) {
			line = span_cut(&rest, '\n');
			next_line++;
			n = (size_t)(line.p + line.n - whole.p);
		}
		r->line = first;
		if (is_blank(whole.p[0]))
			complain(r, "a continuation of nothing");
		else if (read_entry(r, (struct span){ whole.p, n }) < 0)
			return -1;
	}
	return 0;
}

static int compare_names(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? strncasecmp(a.p, b.p, n) : 0;

	if (order != 0)
		return order;
	return a.n < b.n ? -1 : a.n > b.n;
}

static int compare(const void *left, const void *right)
{
	const struct alias *a = left, *b = right;
	int order = compare_names(a->name, b->name);

	/* The last definition comes first: it is the one that is found. */
	return order != 0 ? order : a->at < b->at ? 1 : -1;
}

/* -1 with errno. */
static int read_file(const char *path, struct buf *text)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ptrdiff_t n = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	for (;;) {
		char *to = buf_reserve(text, 65536);

		if (!to) {
			n = -1;
			errno = text->starved ? ENOMEM : EFBIG;
			break;
		}
		n = read(fd, to, 65536);
		if (n <= 0)
			break;
		text->len += (size_t)n;
	}
	int saved = errno;
	close(fd);
	errno = saved;
	return n < 0 ? -1 : 0;
}

struct aliases *aliases_load(const char *path,
    void (*report)(const char *path, unsigned line, const char *what),
    struct alias_counts *counts, struct outcome *why)
{
	struct alias_counts unwanted = { 0 };
	struct reading r = { .counts = counts ? counts : &unwanted,
		.path = path,
		.report = report };
	struct aliases *a = calloc(1, sizeof(*a));

	*r.counts = (struct alias_counts){ 0 };
	if (!a) {
		outcome_temp(why, "4.3.0", "out of memory");
		return NULL;
	}
	r.aliases = a;
	buf_init(&a->text, FILE_MAX);
	if (read_file(path, &a->text) < 0 || read_entries(&r) < 0) {
		outcome_temp(why, "4.3.5",
		    "cannot read the aliases: %s; %s; make it a readable file",
		    strerror(errno), path);
		aliases_free(a);
		return NULL;
	}
	if (a->count > 0)
		qsort(a->items, a->count, sizeof(*a->items), compare);
	return a;
}

void aliases_free(struct aliases *a)
{
	if (!a)
		return;
	buf_clear(&a->text);
	free(a->items);
	free(a);
}

bool aliases_find(
    const struct aliases *a, struct span name, struct span *values)
{
	size_t low = 0, high = a->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_names(a->items[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == a->count || compare_names(a->items[low].name, name) != 0)
		return false;
	*values = a->items[low].values;
	return true;
}
