/* The kinds of lists in the configuration. */
#include "common/conf_parts.h"
#include "common/net.h"
#include "common/resolvers.h"

#include <stdio.h>
#include <stdlib.h>

static int append(void *to, const char *text)
{
	struct strings *list = to;
	char **slot;

	if (list->count >= CONF_LIST_MAX)
		return -1;
	slot = conf_append(&list->items, &list->count, sizeof(*slot));
	*slot = conf_strdup(text);
	return 0;
}

static void print_items(char *const *items, size_t count, struct buf *out)
{
	buf_puts(out, "{");
	for (size_t i = 0; i < count; i++) {
		buf_puts(out, i > 0 ? ", " : " ");
		kind_text.print(NULL, &items[i], out);
	}
	buf_puts(out, " }");
}

static void print_strings(
    const struct conf_option *option, const void *from, struct buf *out)
{
	const struct strings *list = from;

	if (list->count > 0 || option->fallback)
		print_items(list->items, list->count, out);
}

static void clear_strings(void *at)
{
	struct strings *list = at;

	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct strings){ 0 };
}

static int parse_texts(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	(void)option;
	(void)file;
	return append(to, text);
}

static int parse_addresses(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	const struct strings *list = to;
	char ip[NET_TEXT_MAX];
	union net_address a;

	(void)file;
	if (strchr(text, '[') || net_parse(span_of(text), 0, &a) < 0 ||
	    a.in.sin_port != 0 || (int64_t)list->count >= option->max)
		return -1;
	net_print_ip(&a, ip);
	return append(to, ip);
}

static int parse_networks(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct network network;

	(void)option;
	(void)file;
	if (network_parse(span_of(text), &network) < 0)
		return -1;
	return append(to, text);
}

static int parse_resolvers(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	const struct strings *list = to;
	struct resolver_address resolver;
	struct buf printed;
	int status = -1;

	(void)file;
	buf_init(&printed, NET_TEXT_MAX + 16);
	if (resolver_parse(span_of(text), &resolver) == 0 &&
	    (int64_t)list->count < option->max) {
		resolver_print(&resolver, &printed);
		status = append(to, buf_text(&printed));
	}
	buf_clear(&printed);
	return status;
}

/* The struct holds the servers and, right behind them, their number. */
struct servers {
	struct conf_server *items;
	size_t count;
};

static int parse_servers(const struct conf_option *option, const char *text,
    const struct conf_file *file, void *to)
{
	struct servers *list = to;
	struct conf_server server;

	(void)file;
	if ((int64_t)list->count >= option->max ||
	    conf_parse_server(text, &server) < 0)
		return -1;
	*(struct conf_server *)conf_append(
	    &list->items, &list->count, sizeof(server)) = server;
	return 0;
}

static void print_server(const struct conf_server *s, struct buf *out)
{
	bool is_v6 = s->is_literal && strchr(s->host, ':');

	buf_printf(out, "\"%s%s%s%s:%u\"",
	    s->use_mx	      ? "mx:"
	    : s->implicit_tls ? "smtps://"
			      : "smtp://",
	    is_v6 ? "[" : "", s->host, is_v6 ? "]" : "", s->port);
}

static void print_servers(
    const struct conf_option *option, const void *from, struct buf *out)
{
	const struct servers *list = from;

	(void)option;
	if (list->count == 0)
		return;
	buf_puts(out, "{ ");
	for (size_t i = 0; i < list->count; i++) {
		buf_puts(out, i > 0 ? ", " : "");
		print_server(&list->items[i], out);
	}
	buf_puts(out, " }");
}

static void clear_servers(void *at)
{
	struct servers *list = at;

	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].host);
	free(list->items);
	*list = (struct servers){ 0 };
}

const struct conf_kind kind_texts = { "a list of texts", true, false,
	parse_texts, print_strings, clear_strings };
const struct conf_kind kind_addresses = {
	"up to 4 addresses of this machine such as \"192.0.2.10\" or "
	"\"2001:db8::10\"",
	true, false, parse_addresses, print_strings, clear_strings
};
const struct conf_kind kind_networks = {
	"addresses and networks such as \"192.0.2.0/24\" or \"::1\" (no bits "
	"set behind the network's)",
	true, false, parse_networks, print_strings, clear_strings
};
const struct conf_kind kind_resolvers = {
	"up to 8 addresses of name servers such as \"127.0.0.1\", "
	"\"[::1]:5353\" or \"192.0.2.53 trusted\"",
	true, false, parse_resolvers, print_strings, clear_strings
};
const struct conf_kind kind_servers = {
	"up to 16 servers such as \"smtp://host:587\", \"smtps://host\", "
	"\"submission://host\", \"host\", \"host:port\", \"[192.0.2.1]:25\", "
	"\"[2001:db8::1]:25\" or \"mx:domain\"",
	true, false, parse_servers, print_servers, clear_servers
};
