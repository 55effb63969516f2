/* Durations, sizes, rates and servers as they stand in the configuration and
 * in the options of commands. */
#include "common/address.h"
#include "common/conf.h"
#include "common/net.h"

#include <stdlib.h>

/* A whole number with one letter behind it; "0" needs none. */
static int parse_unit(
    const char *text, const char *letters, uint64_t *number, size_t *unit)
{
	struct span digits = span_of(text);
	const char *letter;

	*unit = 0;
	if (digits.n == 0)
		return -1;
	letter = strchr(letters, digits.p[digits.n - 1]);
	if (letter) {
		*unit = (size_t)(letter - letters);
		digits.n--;
	}
	if (span_to_u64(digits, UINT32_MAX, number) < 0)
		return -1;
	return letter || *number == 0 ? 0 : 1;
}

int conf_parse_duration(const char *text, uint32_t *seconds)
{
	static const uint32_t factors[] = { 1, 60, 3600, 86400 };
	uint64_t number;
	size_t unit;

	if (parse_unit(text, "smhd", &number, &unit) != 0)
		return -1;
	number *= factors[unit];
	if (number > UINT32_MAX)
		return -1;
	*seconds = (uint32_t)number;
	return 0;
}

int conf_parse_size(const char *text, uint64_t *bytes)
{
	struct span s = span_of(text);
	uint64_t number;
	size_t unit;

	if (span_to_u64(s, (uint64_t)1 << 52, &number) == 0) {
		*bytes = number;
		return 0;
	}
	if (parse_unit(text, "KMGT", &number, &unit) != 0)
		return -1;
	*bytes = number << 10 * (unit + 1);
	return *bytes <= (uint64_t)1 << 52 ? 0 : -1;
}

int conf_parse_rate(const char *text, struct rate *rate)
{
	static const struct {
		const char *name;
		uint32_t seconds;
	} units[] = { { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	struct span unit = span_of(text), number = span_cut(&unit, '/');
	uint64_t events;

	if (span_to_u64(number, 1000000000, &events) < 0 || events == 0)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (span_is_equal(unit, span_of(units[i].name))) {
			rate->events = (uint32_t)events;
			rate->per_seconds = units[i].seconds;
			return 0;
		}
	return -1;
}

/* "[192.0.2.1]", "[2001:db8::1]" or "[IPv6:2001:db8::1]", then ":port". */
static int parse_literal(struct span text, struct conf_server *server)
{
	ptrdiff_t end = span_find(text, ']');
	union net_address a;
	char ip[NET_TEXT_MAX];
	struct span inside, port;
	uint64_t value;

	if (end < 0)
		return -1;
	inside = (struct span){ text.p + 1, (size_t)end - 1 };
	if (span_has_prefix_nocase(inside, "IPv6:"))
		inside = span_from(inside, 5);
	port = span_from(text, (size_t)end + 1);
	if (port.n > 0) {
		if (port.p[0] != ':' ||
		    span_to_u64(span_from(port, 1), 65535, &value) < 0)
			return -1;
		server->port = (uint16_t)value;
	}
	/* without a port of its own */
	if (net_parse(inside, 0, &a) < 0 || a.in.sin_port != 0)
		return -1;
	net_print_ip(&a, ip);
	server->is_literal = true;
	server->host = span_dup(span_of(ip));
	return server->host ? 0 : -1;
}

static int parse_host(struct span text, struct conf_server *server)
{
	struct span host = text;
	ptrdiff_t colon = span_find(text, ':');
	union net_address a;
	struct buf name;
	uint64_t value;

	if (colon >= 0) {
		host.n = (size_t)colon;
		if (span_to_u64(
			span_from(text, (size_t)colon + 1), 65535, &value) < 0)
			return -1;
		server->port = (uint16_t)value;
	}
	if (net_parse(host, 0, &a) == 0) {
		server->is_literal = true;
		server->host = span_dup(host);
		return server->host ? 0 : -1;
	}
	buf_init(&name, 256);
	if (domain_to_ascii(host, &name, NULL) == 0)
		server->host = span_dup(buf_span(&name));
	buf_clear(&name);
	return server->host ? 0 : -1;
}

int conf_parse_server(const char *text, struct conf_server *server)
{
	static const struct {
		const char *prefix;
		uint16_t port;
		bool implicit_tls, use_mx;
	} schemes[] = {
		{ "smtp://", 25, false, false },
		{ "smtps://", 465, true, false },
		{ "submission://", 587, false, false },
		{ "mx:", 25, false, true },
	};
	struct span rest = span_of(text);
	int status;

	*server = (struct conf_server){ .port = 25 };
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!span_has_prefix_nocase(rest, schemes[i].prefix))
			continue;
		rest = span_from(rest, strlen(schemes[i].prefix));
		server->port = schemes[i].port;
		server->implicit_tls = schemes[i].implicit_tls;
		server->use_mx = schemes[i].use_mx;
		break;
	}
	if (rest.n > 0 && rest.p[0] == '[')
		status = parse_literal(rest, server);
	else
		status = parse_host(rest, server);
	if (status == 0 && server->port != 0 &&
	    !(server->use_mx && server->is_literal))
		return 0;
	free(server->host);
	server->host = NULL;
	return -1;
}
