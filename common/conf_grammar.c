/* The grammar of outpost.conf(5): one table, every setting with its kind,
 * range, default and place in struct conf. */
#include "common/conf_parts.h"

#include "common/messages.h"

#include <limits.h>

#define AT(type, member) .offset = offsetof(struct type, member)
#define END                  \
	{                    \
		.name = NULL \
	}
/* Known and typed, but not obeyed yet. */
#define LATER .flags = OPTION_LATER
#define FROM(type)                                                           \
	{                                                                    \
		"from", &kind_place, AT(type, place), .flags = OPTION_HIDDEN \
	}
#define ARRAY(type, items, count)                                            \
	.size = sizeof(struct type), .offset = offsetof(struct conf, items), \
	.count_offset = offsetof(struct conf, count), .has_place = true,     \
	.place_offset = offsetof(struct type, place)

enum {
	SECOND = 1,
	MINUTE = 60,
	DAY = 86400,
	YEAR = 365 * DAY,
};

static const struct conf_choice log_levels[] = {
	{ "basic", LOG_LEVEL_BASIC },
	{ "detailed", LOG_LEVEL_DETAILED },
	END,
};
static const struct conf_choice modes[] = {
	{ "direct", MODE_DIRECT },
	{ "relay", MODE_RELAY },
	END,
};
static const struct conf_choice listen_tls[] = {
	{ "none", LISTEN_TLS_NONE },
	{ "starttls", LISTEN_TLS_STARTTLS },
	{ "implicit", LISTEN_TLS_IMPLICIT },
	END,
};
static const struct conf_choice auths[] = {
	{ "none", AUTH_NONE },
	{ "optional", AUTH_OPTIONAL, .is_later = true },
	{ "required", AUTH_REQUIRED, .is_later = true },
	END,
};
static const struct conf_choice tls_levels[] = {
	{ "none", TLS_NONE },
	{ "may", TLS_MAY },
	{ "require", TLS_REQUIRE },
	{ "verify", TLS_VERIFY },
	END,
};
static const struct conf_choice tls_policies[] = {
	{ "none", TLS_NONE },
	{ "opportunistic", TLS_MAY },
	{ "require", TLS_REQUIRE },
	{ "verify", TLS_VERIFY },
	END,
};
static const struct conf_choice switches[] = {
	{ "off", SWITCH_OFF },
	{ "on", SWITCH_ON },
	{ "shadow", SWITCH_SHADOW },
	END,
};
static const struct conf_choice line_auto[] = {
	{ "auto", 0 },
	END,
};

static const struct conf_option listen_title = { "listen", &kind_listen,
	AT(conf_listen, address) };
static const struct conf_option listen_options[] = {
	{ "tls", &kind_choice, AT(conf_listen, tls), .fallback = "none",
	    .choices = listen_tls },
	{ "certificate", &kind_path, AT(conf_listen, certificate) },
	{ "key", &kind_path, AT(conf_listen, key) },
	{ "auth", &kind_choice, AT(conf_listen, auth), .fallback = "none",
	    .choices = auths },
	{ "users", &kind_path, LATER },
	{ "allow", &kind_networks, AT(conf_listen, allow),
	    .fallback = "127.0.0.0/8 ::1" },
	FROM(conf_listen),
	END,
};

static const struct conf_option relay_title = { "relay", &kind_name,
	AT(conf_relay, name) };
static const struct conf_option relay_options[] = {
	{ "servers", &kind_servers, AT(conf_relay, servers), .max = 16 },
	{ "tls", &kind_choice, AT(conf_relay, tls), .unset = -1,
	    .choices = tls_levels },
	{ "user", &kind_text, AT(conf_relay, user), 1 },
	{ "password-file", &kind_path, AT(conf_relay, password_file) },
	{ "token-command", &kind_texts, AT(conf_relay, token_command),
	    .max = 16 },
	{ "mechanisms", &kind_texts, AT(conf_relay, mechanisms), .max = 16 },
	{ "certificate", &kind_path, AT(conf_relay, certificate) },
	{ "key", &kind_path, AT(conf_relay, key) },
	FROM(conf_relay),
	END,
};

static const struct conf_option node_title = { "node", &kind_name,
	AT(conf_node, name) };
static const struct conf_option node_options[] = {
	{ "localname", &kind_localname, AT(conf_node, localname) },
	{ "bind", &kind_addresses, AT(conf_node, bind), .max = 4 },
	END,
};
static const struct conf_block line_blocks[] = {
	{ "node", node_options, NULL, &node_title,
	    .size = sizeof(struct conf_node),
	    .offset = offsetof(struct conf_line, nodes),
	    .count_offset = offsetof(struct conf_line, nnodes) },
	END,
};
static const struct conf_option line_title = { "line", &kind_name,
	AT(conf_line, name) };
static const struct conf_option line_options[] = {
	{ "count", &kind_number, AT(conf_line, count), 1, 10000, "20",
	    .choices = line_auto },
	{ "localname", &kind_localname, AT(conf_line, localname) },
	{ "bind", &kind_addresses, AT(conf_line, bind), .max = 4 },
	{ "relay", &kind_name, AT(conf_line, relay) },
	{ "messages-per-connection", &kind_number,
	    AT(conf_line, messages_per_connection), 1, 65535, "100" },
	{ "rate", &kind_rate, AT(conf_line, rate) },
	{ "window", &kind_text, AT(conf_line, window), .min = 1 },
	{ "in-flight", &kind_number, AT(conf_line, in_flight), 1, 1000000 },
	{ "address-connections", &kind_number,
	    AT(conf_line, address_connections), 1, 10000 },
	{ "address-rate", &kind_rate, AT(conf_line, address_rate) },
	{ "warmup", &kind_text, .min = 1, LATER },
	{ "require-check", &kind_bool, AT(conf_line, require_check),
	    .fallback = "off" },
	FROM(conf_line),
	END,
};

static const struct conf_option route_title = { "route", &kind_pattern,
	AT(conf_route, pattern) };
static const struct conf_option route_options[] = {
	{ "servers", &kind_servers, AT(conf_route, servers), .max = 16 },
	{ "line", &kind_name, AT(conf_route, line) },
	{ "relay", &kind_name, AT(conf_route, relay) },
	{ "tls", &kind_choice, AT(conf_route, tls), .unset = -1,
	    .choices = tls_levels },
	FROM(conf_route),
	END,
};

static const struct conf_option destination_title = { "destination",
	&kind_pattern, AT(conf_destination, pattern) };
static const struct conf_option destination_options[] = {
	{ "connections", &kind_number, AT(conf_destination, connections), 1,
	    10000 },
	{ "in-flight", &kind_number, AT(conf_destination, in_flight), 1,
	    1000000 },
	{ "messages-per-connection", &kind_number,
	    AT(conf_destination, messages_per_connection), 1, 65535 },
	{ "rate", &kind_rate, AT(conf_destination, rate) },
	FROM(conf_destination),
	END,
};

static const struct conf_option sender_title = { "sender", &kind_sender,
	AT(conf_sender, pattern) };
static const struct conf_option sender_options[] = {
	{ "relay", &kind_name, AT(conf_sender, relay) },
	{ "line", &kind_name, AT(conf_sender, line) },
	{ "hold", &kind_duration, AT(conf_sender, hold_s), SECOND, YEAR },
	FROM(conf_sender),
	END,
};

static const struct conf_option retry_options[] = {
	{ "attempts", &kind_number, AT(conf_retry, attempts), 0, 10000, "0" },
	{ "wait", &kind_duration, AT(conf_retry, wait_s), SECOND, 30 * DAY,
	    "5m" },
	{ "factor", &kind_factor, AT(conf_retry, factor), 1, 100, "2" },
	{ "max-wait", &kind_duration, AT(conf_retry, max_wait_s), SECOND,
	    30 * DAY, "4h" },
	{ "lifetime", &kind_duration, AT(conf_retry, lifetime_s), SECOND, YEAR,
	    "5d" },
	{ "warn-after", &kind_duration, AT(conf_retry, warn_after_s), 0, YEAR,
	    "4h" },
	{ "jitter", &kind_percent, AT(conf_retry, jitter_percent), 0, 100,
	    "10%" },
	{ "fallback-relay", &kind_name, AT(conf_retry, fallback_relay) },
	{ "fallback-after", &kind_number, AT(conf_retry, fallback_after), 1,
	    10000, "3" },
	END,
};

static const struct conf_option defaults_options[] = {
	{ "reply-to", &kind_mailbox, AT(conf_defaults, reply_to) },
	{ "sender-name", &kind_text, AT(conf_defaults, sender_name), 1 },
	{ "sender-domain", &kind_domain, AT(conf_defaults, sender_domain) },
	END,
};

static const struct conf_option limits_options[] = {
	{ "message-size", &kind_size, AT(conf_limits, message_size), 1024,
	    (int64_t)1 << 40, "50M" },
	{ "recipients", &kind_number, AT(conf_limits, recipients), 1,
	    RCPTS_PER_MESSAGE_MAX, "1000" },
	{ "spool-size", &kind_size, AT(conf_limits, spool_size), 1 << 20,
	    (int64_t)1 << 52, "64G" },
	{ "connections", &kind_number, AT(conf_limits, connections), 1, 100000,
	    "2000" },
	{ "connections-per-client", &kind_number,
	    AT(conf_limits, connections_per_client), 1, 100000, "100" },
	{ "destination-connections", &kind_number,
	    AT(conf_limits, destination_connections), 1, 10000, "20" },
	END,
};

static const struct conf_option tls_options[] = {
	{ "policy", &kind_choice, AT(conf_tls, policy),
	    .fallback = "opportunistic", .choices = tls_policies },
	{ "dane", &kind_choice, AT(conf_tls, dane), .fallback = "on",
	    .choices = switches },
	{ "mta-sts", &kind_choice, AT(conf_tls, mta_sts), .fallback = "on",
	    .choices = switches },
	{ "mta-sts-port", &kind_port, AT(conf_tls, mta_sts_port), 1, 65535,
	    "443" },
	{ "tlsrpt", &kind_bool, AT(conf_tls, tlsrpt), .fallback = "off" },
	{ "ca-file", &kind_path, AT(conf_tls, ca_file) },
	END,
};

static const struct conf_option dnscheck_options[] = {
	{ "external", &kind_texts, AT(conf_dnscheck, external) },
	{ "whoami", &kind_text, AT(conf_dnscheck, whoami), 1 },
	{ "echo", &kind_text, AT(conf_dnscheck, echo), 1 },
	{ "port25", &kind_texts, AT(conf_dnscheck, port25), .max = 8,
	    .fallback = "gmail.com yahoo.com" },
	{ "guard", &kind_bool, AT(conf_dnscheck, guard), .fallback = "on" },
	{ "signed-name", &kind_text, AT(conf_dnscheck, signed_name), 1,
	    .fallback = "." },
	{ "bogus-name", &kind_text, AT(conf_dnscheck, bogus_name), 1,
	    .fallback = "dnssec-failed.org" },
	{ "lists", &kind_texts, AT(conf_dnscheck, lists), .max = 32 },
	END,
};

static const struct conf_choice reply_actions[] = {
	{ "retry", 0 },
	{ "bounce", 0 },
	{ "next-host", 0 },
	{ "suspend", 0 },
	END,
};
static const struct conf_option reply_title = { "reply", &kind_text,
	AT(conf_reply, pattern), .min = 1 };
static const struct conf_option reply_options[] = {
	{ "action", &kind_action, AT(conf_reply, action),
	    .choices = reply_actions },
	{ "after", &kind_duration, AT(conf_reply, after_s), SECOND, 30 * DAY },
	{ "destination", &kind_pattern, AT(conf_reply, destination) },
	FROM(conf_reply),
	END,
};
/* Blocks that come to life later: known, typed, refused. */
static const struct conf_option restrict_title = { "restrict", &kind_sender,
	AT(conf_restrict, pattern) };
static const struct conf_option restrict_options[] = {
	{ "allow", &kind_texts, AT(conf_restrict, allow) },
	FROM(conf_restrict),
	END,
};
static const struct conf_option dkim_title = { "dkim", &kind_pattern };
static const struct conf_option dkim_options[] = {
	{ "selector", &kind_name },
	{ "key", &kind_path },
	END,
};

static const struct conf_block root_blocks[] = {
	{ "listen", listen_options, NULL, &listen_title,
	    ARRAY(conf_listen, listens, nlistens) },
	{ "relay", relay_options, NULL, &relay_title,
	    ARRAY(conf_relay, relays, nrelays) },
	{ "line", line_options, line_blocks, &line_title,
	    ARRAY(conf_line, lines, nlines) },
	{ "route", route_options, NULL, &route_title,
	    ARRAY(conf_route, routes, nroutes) },
	{ "destination", destination_options, NULL, &destination_title,
	    ARRAY(conf_destination, destinations, ndestinations) },
	{ "sender", sender_options, NULL, &sender_title,
	    ARRAY(conf_sender, senders, nsenders) },
	{ "retry", retry_options, .offset = offsetof(struct conf, retry) },
	{ "defaults", defaults_options,
	    .offset = offsetof(struct conf, defaults) },
	{ "limits", limits_options, .offset = offsetof(struct conf, limits) },
	{ "tls", tls_options, .offset = offsetof(struct conf, tls) },
	{ "dnscheck", dnscheck_options,
	    .offset = offsetof(struct conf, dnscheck) },
	{ "reply", reply_options, NULL, &reply_title,
	    ARRAY(conf_reply, replies, nreplies) },
	{ "restrict", restrict_options, NULL, &restrict_title,
	    ARRAY(conf_restrict, restricts, nrestricts) },
	{ "dkim", dkim_options, NULL, &dkim_title, .is_later = true },
	END,
};

static const struct conf_option root_options[] = {
	{ "node", &kind_name, AT(conf, node), .fallback = "auto" },
	{ "localname", &kind_localname, AT(conf, localname) },
	{ "localname-is-found", &kind_bool, AT(conf, localname_is_found),
	    .flags = OPTION_HIDDEN },
	{ "postmaster", &kind_mailbox, AT(conf, postmaster) },
	{ "timezone", &kind_zone, AT(conf, timezone), .fallback = "" },
	{ "spool", &kind_path, AT(conf, spool),
	    .fallback = "/var/spool/outpost" },
	{ "runtime", &kind_path, AT(conf, runtime),
	    .fallback = "/run/outpost" },
	{ "log", &kind_choice, AT(conf, log), .fallback = "basic",
	    .choices = log_levels },
	{ "log-to", &kind_log_to, AT(conf, log_to), .fallback = "stderr" },
	{ "outbound", &kind_bool, AT(conf, outbound), .fallback = "on" },
	{ "mode", &kind_choice, AT(conf, mode), .fallback = "direct",
	    .choices = modes },
	{ "port", &kind_port, AT(conf, port), 1, 65535, "25" },
	{ "allow-local-mx", &kind_bool, AT(conf, allow_local_mx),
	    .fallback = "off" },
	{ "resolvers", &kind_resolvers, AT(conf, resolvers), .max = 8 },
	{ "aliases", &kind_path, AT(conf, aliases),
	    .fallback = "/etc/aliases" },
	{ "suppress", &kind_path, LATER },
	END,
};

const struct conf_block conf_root = { "", root_options, root_blocks };

const struct conf_option *conf_option_named(
    const struct conf_block *block, struct span name)
{
	for (const struct conf_option *o = block->options; o->name; o++)
		if (span_is_equal(name, span_of(o->name)))
			return o;
	return NULL;
}

const struct conf_block *conf_block_named(
    const struct conf_block *block, struct span name)
{
	const struct conf_block *b = block->blocks;

	for (; b && b->name; b++)
		if (span_is_equal(name, span_of(b->name)))
			return b;
	return NULL;
}

static void print_range(
    const struct conf_option *option, int64_t value, struct buf *out)
{
	uint32_t seconds = (uint32_t)value;
	uint64_t bytes = (uint64_t)value;

	if (option->kind == &kind_duration)
		kind_duration.print(option, &seconds, out);
	else if (option->kind == &kind_size)
		kind_size.print(option, &bytes, out);
	else
		buf_printf(out, "%lld", (long long)value);
	if (option->kind == &kind_percent)
		buf_putc(out, '%');
}

void conf_allowed(const struct conf_option *option, struct buf *out)
{
	const struct conf_choice *c = option->choices;

	if (option->kind->allowed) {
		buf_puts(out, option->kind->allowed);
		return;
	}
	for (; c && c->name; c++)
		buf_printf(out, "%s%s",
		    c == option->choices			? ""
		    : c[1].name || option->kind == &kind_action ? ", "
								: " or ",
		    c->name);
	if (option->kind == &kind_action)
		buf_puts(out, " or relay:NAME");
	if (option->kind == &kind_choice || option->kind == &kind_action)
		return;
	if (option->choices)
		buf_puts(out, ", or ");
	buf_puts(out, option->kind == &kind_duration ? "a time such as 30s, "
						       "5m, 4h or 5d, from "
		      : option->kind == &kind_size
			  ? "a size such as 10K, 50M or "
			    "2G, from "
			  : "a number from ");
	print_range(option, option->min, out);
	buf_puts(out, " to ");
	print_range(option, option->max, out);
}
