/* Which name servers are asked: the configuration, or resolv.conf(5). */
#include "common/resolvers.h"

#include <errno.h>
#include <stdio.h>

enum { DNS_PORT = 53 };

static bool is_loopback(const union net_address *address)
{
	static const char mapped[12] = { [10] = (char)0xff, [11] = (char)0xff };
	struct span b = net_bytes(address);

	if (b.n == 16 && memcmp(b.p, mapped, sizeof(mapped)) == 0)
		b = span_from(b, sizeof(mapped));
	if (b.n == 4)
		return b.p[0] == 127;
	return b.n == 16 && b.p[15] == 1 &&
	       memcmp(b.p, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15) == 0;
}

int resolver_parse(struct span text, struct resolver_address *r)
{
	struct span rest = span_trim(text), address = span_cut(&rest, ' ');

	rest = span_trim(rest);
	*r = (struct resolver_address){ 0 };
	if ((rest.n > 0 && !span_is_equal(rest, SPAN_LITERAL("trusted"))) ||
	    net_parse(address, DNS_PORT, &r->address) < 0 ||
	    r->address.in.sin_port == 0)
		return -1;
	r->is_trusted = rest.n > 0 || is_loopback(&r->address);
	return 0;
}

void resolver_print(const struct resolver_address *r, struct buf *out)
{
	char text[NET_TEXT_MAX];

	net_print(&r->address, text);
	buf_puts(out, text);
	if (r->is_trusted && !is_loopback(&r->address))
		buf_puts(out, " trusted");
}

static void add(struct resolvers *resolvers, struct span text)
{
	if (resolvers->count < RESOLVERS_MAX &&
	    resolver_parse(text, &resolvers->items[resolvers->count]) == 0)
		resolvers->count++;
	else
		log_warn(
		    "resolver-left-out", "address", log_escape(text), NULL);
}

static void read_file(const char *file, struct resolvers *resolvers)
{
	FILE *in = fopen(file, "re");
	char line[512], address[256];

	if (!in) {
		log_warn("resolv-conf-not-read", "file", file, "why",
		    strerror(errno), NULL);
		return;
	}
	for (int n = 0; n < 1000 && fgets(line, sizeof(line), in); n++)
		if (sscanf(line, " nameserver %255s", address) == 1)
			add(resolvers, span_of(address));
	fclose(in);
}

void resolvers_find(const struct strings *configured, const char *file,
    struct resolvers *resolvers)
{
	resolvers->count = 0;
	resolvers->from = configured->count ? "configuration" : file;
	for (size_t i = 0; i < configured->count; i++)
		add(resolvers, span_of(configured->items[i]));
	if (resolvers->count == 0)
		read_file(file, resolvers);
	if (resolvers->count > 0)
		return;
	resolvers->from = "default";
	add(resolvers, SPAN_LITERAL("127.0.0.1"));
}

size_t resolvers_trusted(const struct resolvers *resolvers)
{
	size_t n = 0;

	for (size_t i = 0; i < resolvers->count; i++)
		n += resolvers->items[i].is_trusted;
	return n;
}
