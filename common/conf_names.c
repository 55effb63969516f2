/* The kinds of names in the configuration: local names, patterns of domains
 * and senders, addresses to listen on; kept in one canonical form. */
#include "common/address.h"
#include "common/conf_parts.h"
#include "common/net.h"

#include <stdlib.h>

static void clear_text(void *at)
{
	char **text = at;

	free(*text);
	*text = NULL;
}

static void print_text(
    const struct conf_option *option, const void *from, struct buf *out)
{
	kind_text.print(option, from, out);
}

/* Keep what was built, which is freed with the buffer. */
static int keep(struct buf *built, void *to, int status)
{
	char **slot = to;
	char *copy = NULL;

	if (status == 0 && !built->overflow)
		copy = span_dup(buf_span(built));
	buf_clear(built);
	if (!copy)
		return -1;
	free(*slot);
	*slot = copy;
	return 0;
}

static void put_literal(const union net_address *a, struct buf *out)
{
	char ip[NET_TEXT_MAX];

	net_print_ip(a, ip);
	buf_printf(
	    out, "[%s%s]", a->sa.sa_family == AF_INET6 ? "IPv6:" : "", ip);
}

/* A name, an address literal, or an address that only lacks its brackets. */
static int parse_localname(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct span s = span_of(text);
	union net_address a;
	struct buf built;
	int status = 0;

	(void)option;
	(void)file;
	buf_init(&built, 512);
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
		s = (struct span){ s.p + 1, s.n - 2 };
		if (span_has_prefix_nocase(s, "IPv6:"))
			s = span_from(s, 5);
	}
	if (net_parse(s, 0, &a) == 0 && a.in.sin_port == 0)
		put_literal(&a, &built);
	else
		status = domain_to_ascii(span_of(text), &built, NULL);
	return keep(&built, to, status);
}

/* "example.org", "*.example.org" or "[192.0.2.1]". */
static int put_pattern(struct span s, struct buf *out)
{
	struct address literal = { .domain = s, .is_literal = true };

	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		return address_domain_key(&literal, out, NULL);
	if (s.n > 2 && s.p[0] == '*' && s.p[1] == '.') {
		buf_puts(out, "*.");
		s = span_from(s, 2);
	}
	return domain_to_ascii(s, out, NULL);
}

static int parse_pattern(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct buf built;

	(void)option;
	(void)file;
	buf_init(&built, 512);
	return keep(&built, to, put_pattern(span_of(text), &built));
}

static int parse_domain(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct buf built;

	(void)option;
	(void)file;
	buf_init(&built, 512);
	return keep(&built, to, domain_to_ascii(span_of(text), &built, NULL));
}

static int put_sender(struct span s, struct buf *out)
{
	struct address address;
	uint64_t uid;

	if (span_has_prefix_nocase(s, "uid:")) {
		if (span_to_u64(span_from(s, 4), UINT32_MAX - 1, &uid) < 0)
			return -1;
		buf_printf(out, "uid:%llu", (unsigned long long)uid);
		return 0;
	}
	if (s.n > 0 && s.p[0] == '@') {
		buf_putc(out, '@');
		return domain_to_ascii(span_from(s, 1), out, NULL);
	}
	if (address_parse(s, &address, NULL) < 0)
		return -1;
	buf_put_raw(out, address.local);
	buf_putc(out, '@');
	return address_domain_key(&address, out, NULL);
}

static int parse_sender(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct buf built;

	(void)option;
	(void)file;
	buf_init(&built, 2000);
	return keep(&built, to, put_sender(span_of(text), &built));
}

static int parse_listen(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	char printed[NET_TEXT_MAX];
	union net_address a;
	struct buf built;
	int status = 0;

	(void)option;
	buf_init(&built, 2000);
	if (strncmp(text, "unix:", 5) == 0 && text[5] != '\0') {
		char *path = conf_absolute(file->folder, text + 5);

		buf_printf(&built, "unix:%s", path);
		/* what a socket's address can hold */
		status = strlen(path) < 108 ? 0 : -1;
		free(path);
	} else if (net_parse(span_of(text), 25, &a) == 0 &&
		   a.in.sin_port != 0) {
		net_print(&a, printed);
		buf_puts(&built, printed);
	} else {
		status = -1;
	}
	return keep(&built, to, status);
}

/* "file:line"; the file may have colons. */
static int parse_place(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct conf_place *place = to;
	const char *colon = strrchr(text, ':');
	uint64_t line;

	(void)option;
	(void)file;
	if (!colon || span_to_u64(span_of(colon + 1), INT32_MAX, &line) < 0)
		return -1;
	free(place->file);
	place->file = span_dup((struct span){ text, (size_t)(colon - text) });
	place->line = (int)line;
	return place->file ? 0 : -1;
}

static void print_place(
    const struct conf_option *option, const void *from, struct buf *out)
{
	const struct conf_place *place = from;
	struct buf text;
	const char *joined;

	if (!place->file)
		return;
	buf_init(&text, 8192);
	buf_printf(&text, "%s:%d", place->file, place->line);
	joined = buf_text(&text);
	kind_text.print(option, &joined, out);
	buf_clear(&text);
}

static void clear_place(void *at)
{
	struct conf_place *place = at;

	free(place->file);
	*place = (struct conf_place){ 0 };
}

const struct conf_kind kind_localname = {
	"a full name such as \"mail.example.com\", or an address literal such "
	"as \"[192.0.2.1]\"",
	false, false, parse_localname, print_text, clear_text
};
const struct conf_kind kind_pattern = {
	"a domain such as \"example.org\", \"*.example.org\" for all below it, "
	"or an address literal such as \"[192.0.2.1]\"",
	false, false, parse_pattern, print_text, clear_text
};
const struct conf_kind kind_domain = { "a domain such as \"example.com\"",
	false, false, parse_domain, print_text, clear_text };
const struct conf_kind kind_sender = {
	"an address, \"@domain\" or \"uid:1000\"", false, false, parse_sender,
	print_text, clear_text
};
const struct conf_kind kind_listen = {
	"an address with a port from 1 to 65535 such as \"127.0.0.1:25\" or "
	"\"[::1]:25\", or \"unix:path\" (up to 107 bytes)",
	false, false, parse_listen, print_text, clear_text
};
const struct conf_kind kind_place = { "file:line", false, false, parse_place,
	print_place, clear_place };
