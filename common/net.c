/* Socket addresses as text: parse, print, networks. */
#include "common/net.h"

#include <arpa/inet.h>
#include <stdio.h>

static int from_text(
    int family, struct span text, uint16_t port, union net_address *a)
{
	char copy[INET6_ADDRSTRLEN];
	void *to;

	if (text.n == 0 || text.n >= sizeof(copy) ||
	    memchr(text.p, '\0', text.n))
		return -1;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	memset(a, 0, sizeof(*a));
	if (family == AF_INET) {
		a->in.sin_port = htons(port);
		to = &a->in.sin_addr;
	} else {
		a->in6.sin6_port = htons(port);
		to = &a->in6.sin6_addr;
	}
	a->sa.sa_family = (sa_family_t)family;
	return inet_pton(family, copy, to) == 1 ? 0 : -1;
}

static int parse_port(struct span text, uint16_t *port)
{
	uint64_t value;

	if (text.n > 5 || span_to_u64(text, 65535, &value) < 0)
		return -1;
	*port = (uint16_t)value;
	return 0;
}

static int parse_bracketed(
    struct span text, uint16_t port, union net_address *a)
{
	struct span rest = span_from(text, 1);
	ptrdiff_t end = span_find(rest, ']');
	struct span tail;

	if (end < 0)
		return -1;
	tail = span_from(rest, (size_t)end + 1);
	rest.n = (size_t)end;
	if (tail.n > 0 &&
	    (tail.p[0] != ':' || parse_port(span_from(tail, 1), &port) < 0))
		return -1;
	if (span_find(rest, ':') < 0)
		return from_text(AF_INET, rest, port, a);
	return from_text(AF_INET6, rest, port, a);
}

int net_parse(struct span text, uint16_t default_port, union net_address *a)
{
	uint16_t port = default_port;
	ptrdiff_t colon = span_find(text, ':');

	if (text.n > 0 && text.p[0] == '[')
		return parse_bracketed(text, port, a);
	if (colon < 0)
		return from_text(AF_INET, text, port, a);
	if (span_find(span_from(text, (size_t)colon + 1), ':') >= 0)
		return from_text(AF_INET6, text, port, a);
	if (parse_port(span_from(text, (size_t)colon + 1), &port) < 0)
		return -1;
	text.n = (size_t)colon;
	return from_text(AF_INET, text, port, a);
}

void net_print_ip(const union net_address *a, char text[NET_TEXT_MAX])
{
	const void *from = NULL;

	if (a->sa.sa_family == AF_INET)
		from = &a->in.sin_addr;
	else if (a->sa.sa_family == AF_INET6)
		from = &a->in6.sin6_addr;
	if (!from || !inet_ntop(a->sa.sa_family, from, text, NET_TEXT_MAX))
		snprintf(text, NET_TEXT_MAX, "unix");
}

void net_print(const union net_address *a, char text[NET_TEXT_MAX])
{
	char ip[NET_TEXT_MAX];

	net_print_ip(a, ip);
	if (a->sa.sa_family == AF_INET)
		snprintf(
		    text, NET_TEXT_MAX, "%.15s:%u", ip, ntohs(a->in.sin_port));
	else if (a->sa.sa_family == AF_INET6)
		snprintf(text, NET_TEXT_MAX, "[%.46s]:%u", ip,
		    ntohs(a->in6.sin6_port));
	else
		snprintf(text, NET_TEXT_MAX, "unix");
}

int net_from_bytes(struct span bytes, uint16_t port, union net_address *a)
{
	memset(a, 0, sizeof(*a));
	if (bytes.n == 4) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(port);
		memcpy(&a->in.sin_addr, bytes.p, 4);
		return 0;
	}
	if (bytes.n == 16) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons(port);
		memcpy(&a->in6.sin6_addr, bytes.p, 16);
		return 0;
	}
	return -1;
}

struct span net_bytes(const union net_address *a)
{
	if (a->sa.sa_family == AF_INET)
		return (struct span){ (const char *)&a->in.sin_addr, 4 };
	if (a->sa.sa_family == AF_INET6)
		return (struct span){ (const char *)&a->in6.sin6_addr, 16 };
	return (struct span){ NULL, 0 };
}

socklen_t net_size(const union net_address *a)
{
	if (a->sa.sa_family == AF_INET)
		return sizeof(a->in);
	if (a->sa.sa_family == AF_INET6)
		return sizeof(a->in6);
	return 0;
}

/* The first bits of both are the same. */
static bool has_prefix(
    const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	unsigned mask = 0xffu << (8 - rest) & 0xff;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0;
}

/* No bit behind the network's own is set. */
static bool is_clean(const struct network *n, unsigned width)
{
	for (unsigned bit = n->bits; bit < width; bit++)
		if (n->bytes[bit / 8] & 0x80u >> bit % 8)
			return false;
	return true;
}

int network_parse(struct span text, struct network *n)
{
	union net_address a;
	struct span address = text, bytes;
	ptrdiff_t slash = span_find(text, '/');
	uint64_t bits;

	if (slash >= 0)
		address.n = (size_t)slash;
	/* a port has no place here: try the text as a bare address only */
	if (from_text(AF_INET, address, 0, &a) < 0 &&
	    from_text(AF_INET6, address, 0, &a) < 0 &&
	    (span_find(address, ']') != (ptrdiff_t)address.n - 1 ||
		parse_bracketed(address, 0, &a) < 0))
		return -1;
	bytes = net_bytes(&a);
	bits = bytes.n * 8;
	if (slash >= 0 && span_to_u64(span_from(text, (size_t)slash + 1),
			      bytes.n * 8, &bits) < 0)
		return -1;
	memset(n, 0, sizeof(*n));
	n->family = a.sa.sa_family;
	n->bits = (unsigned)bits;
	memcpy(n->bytes, bytes.p, bytes.n);
	return is_clean(n, (unsigned)bytes.n * 8) ? 0 : -1;
}

bool network_has(const struct network *n, const union net_address *a)
{
	struct span bytes = net_bytes(a);
	int family = a->sa.sa_family;

	if (family == AF_INET6 && n->family == AF_INET &&
	    IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
		bytes = span_from(bytes, 12);
		family = AF_INET;
	}
	if (bytes.n == 0 || family != n->family)
		return false;
	return has_prefix(n->bytes, (const unsigned char *)bytes.p, n->bits);
}
