/* The hosts file (hosts(5)): address, names, comments behind "#". */
#include "dnscheck/hostsfile.h"

#include "common/buf.h"
#include "common/net.h"
#include "dnscheck/need.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { BYTES_MAX = 1 << 20, ENTRIES_MAX = 10000 };

struct entry {
	struct span name; /* in the text */
	char bytes[16];
	size_t n;
};

struct hostsfile {
	struct buf text;
	struct entry *entries;
	size_t count;
};

/* The next word, and *rest what stands behind it. */
static struct span take_word(struct span *rest)
{
	struct span word = *rest;
	size_t n = 0;

	while (word.n > 0 && (unsigned char)word.p[0] <= ' ')
		word = span_from(word, 1);
	while (n < word.n && (unsigned char)word.p[n] > ' ')
		n++;
	*rest = span_from(word, n);
	word.n = n;
	return word;
}

static void take_line(struct hostsfile *h, struct span line)
{
	struct span words = span_cut(&line, '#'), name;
	union net_address a;
	struct span bytes;

	if (net_parse(take_word(&words), 0, &a) < 0)
		return;
	bytes = net_bytes(&a);
	while ((name = take_word(&words)).n > 0 && h->count < ENTRIES_MAX) {
		struct entry *e = &h->entries[h->count++];

		*e = (struct entry){ .name = name, .n = bytes.n };
		memcpy(e->bytes, bytes.p, bytes.n);
	}
}

struct hostsfile *hostsfile_read(const char *path)
{
	struct hostsfile *h = need(calloc(1, sizeof(*h)));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[4096];
	struct span rest;
	ssize_t n;

	buf_init(&h->text, BYTES_MAX);
	h->entries = need(calloc(ENTRIES_MAX, sizeof(*h->entries)));
	while (fd >= 0 && !h->text.overflow &&
	       (n = read(fd, piece, sizeof(piece))) > 0)
		buf_put(&h->text, piece, (size_t)n);
	if (fd >= 0)
		close(fd);
	rest = buf_span(&h->text);
	while (rest.n > 0)
		take_line(h, span_cut(&rest, '\n'));
	return h;
}

void hostsfile_free(struct hostsfile *h)
{
	if (!h)
		return;
	buf_clear(&h->text);
	free(h->entries);
	free(h);
}

struct span hostsfile_find(
    const struct hostsfile *h, const char *name, size_t i)
{
	for (size_t at = 0; at < h->count; at++) {
		const struct entry *e = &h->entries[at];

		if (span_is_equal_nocase(e->name, span_of(name)) && i-- == 0)
			return (struct span){ e->bytes, e->n };
	}
	return (struct span){ NULL, 0 };
}
