/* What in a configuration depends on something else: this machine's name and
 * node, settings that need one another, names of lines and relays. */
#include "common/conf_parts.h"
#include "common/hostname.h"
#include "common/pattern.h"
#include "common/replyrule.h"
#include "common/window.h"

#include <stdlib.h>

struct check {
	struct conf_reading *reading;
	struct conf *conf;
	struct hostname host;
	bool has_host;
};

/* Asked only when needed: the resolver may be slow. */
static const struct hostname *host_of(struct check *c)
{
	if (!c->has_host)
		hostname_find(&c->host);
	c->has_host = true;
	return &c->host;
}

static size_t next_section(struct check *c, const char *block, size_t after)
{
	return conf_section_next(
	    c->reading, 0, conf_block_named(&conf_root, span_of(block)), after);
}

/* --- This machine ----------------------------------------------------------*/

static void find_localname(struct check *c)
{
	struct conf *conf = c->conf;

	if (!conf->localname) {
		conf->localname = conf_strdup(host_of(c)->name);
		conf->localname_is_found = true;
	}
	if (!conf->postmaster) {
		struct buf text;

		buf_init(&text, 1000);
		buf_printf(&text, "postmaster@%s", conf->localname);
		conf->postmaster = conf_strdup(buf_text(&text));
		buf_clear(&text);
	}
}

static bool is_this_host(struct check *c, const char *node)
{
	struct span rest = span_of(host_of(c)->name);

	if (span_is_equal_nocase(rest, span_of(node)))
		return true;
	return span_is_equal_nocase(span_cut(&rest, '.'), span_of(node));
}

/* The node that this machine is, among those that lines name; NULL: none. */
static const char *find_node(struct check *c, bool *has_nodes)
{
	const struct conf *conf = c->conf;
	bool is_auto = strcmp(conf->node, "auto") == 0;

	*has_nodes = false;
	for (size_t i = 0; i < conf->nlines; i++)
		for (size_t j = 0; j < conf->lines[i].nnodes; j++) {
			const char *name = conf->lines[i].nodes[j].name;

			*has_nodes = true;
			if (!name)
				continue;
			if (is_auto ? is_this_host(c, name)
				    : strcmp(name, conf->node) == 0)
				return name;
		}
	return NULL;
}

static void choose_node(struct check *c)
{
	struct conf *conf = c->conf;
	bool has_nodes, is_auto = strcmp(conf->node, "auto") == 0;
	char *chosen, bare[256];
	const char *name = find_node(c, &has_nodes);

	if (!name && !is_auto && has_nodes)
		conf_problem(c->reading, conf_at_setting(c->reading, 0, "node"),
		    "node: %s is not allowed; auto, or a node that a line "
		    "names",
		    conf->node);
	if (!name && !is_auto)
		return;
	hostname_bare(bare);
	chosen = conf_strdup(name ? name : bare);
	free(conf->node);
	conf->node = chosen;
}

static void apply_node(struct conf_line *line, struct conf_node *node)
{
	if (node->localname) {
		free(line->localname);
		line->localname = node->localname;
		node->localname = NULL;
	}
	if (node->bind.count > 0) {
		struct strings old = line->bind;

		line->bind = node->bind;
		node->bind = old; /* freed with the node */
	}
}

static void apply_nodes(struct check *c)
{
	const struct conf_block *line =
	    conf_block_named(&conf_root, span_of("line"));
	const struct conf_block *block =
	    conf_block_named(line, span_of("node"));

	for (size_t i = 0; i < c->conf->nlines; i++) {
		struct conf_line *l = &c->conf->lines[i];

		for (size_t j = 0; j < l->nnodes; j++) {
			if (l->nodes[j].name &&
			    strcmp(l->nodes[j].name, c->conf->node) == 0)
				apply_node(l, &l->nodes[j]);
			conf_block_clear(block, &l->nodes[j]);
		}
		free(l->nodes);
		l->nodes = NULL;
		l->nnodes = 0;
	}
}

/* --- Local names -----------------------------------------------------------*/

static void check_localname(
    struct check *c, const char *name, struct conf_at at)
{
	if (!name || hostname_is_full(span_of(name)))
		return;
	conf_problem(c->reading, at,
	    "localname: %s is not allowed; a full name such as "
	    "\"mail.example.com\", not a bare host name or localhost, or an "
	    "address literal such as \"[192.0.2.1]\"",
	    name);
}

/* Before nodes are applied: all of them are checked on every machine. */
static void check_localnames(struct check *c)
{
	const struct conf_block *line =
	    conf_block_named(&conf_root, span_of("line"));
	const struct conf_block *node = conf_block_named(line, span_of("node"));
	size_t section = 0;

	if (c->conf->localname && !c->conf->localname_is_found)
		check_localname(c, c->conf->localname,
		    conf_at_setting(c->reading, 0, "localname"));
	for (size_t i = 0; i < c->conf->nlines; i++) {
		const struct conf_line *l = &c->conf->lines[i];
		size_t inner = 0;

		section = conf_section_next(c->reading, 0, line, section);
		check_localname(c, l->localname,
		    conf_at_setting(c->reading, section, "localname"));
		for (size_t j = 0; j < l->nnodes; j++) {
			inner =
			    conf_section_next(c->reading, section, node, inner);
			check_localname(c, l->nodes[j].localname,
			    conf_at_setting(c->reading, inner, "localname"));
		}
	}
}

/* --- What needs something else -------------------------------------------*/

static void check_relay(
    struct check *c, const char *name, size_t section, const char *block)
{
	if (name && !conf_relay(c->conf, name))
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "relay"),
		    "relay: %s is not allowed; the name of a relay block "
		    "(there is no relay \"%s\" for this %s)",
		    name, name, block);
}

static void check_line(
    struct check *c, const char *name, size_t section, const char *block)
{
	if (name && !conf_line(c->conf, name))
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "line"),
		    "line: %s is not allowed; the name of a line block "
		    "(there is no line \"%s\" for this %s)",
		    name, name, block);
}

static void check_listens(struct check *c)
{
	size_t section = 0;

	for (size_t i = 0; i < c->conf->nlistens; i++) {
		const struct conf_listen *l = &c->conf->listens[i];

		section = next_section(c, "listen", section);
		if (l->tls != LISTEN_TLS_NONE && (!l->certificate || !l->key))
			conf_problem(c->reading,
			    conf_at_setting(c->reading, section, "tls"),
			    "tls: needs certificate and key in this block");
		for (size_t j = 0; j < i && l->address; j++)
			if (c->conf->listens[j].address &&
			    strcmp(l->address, c->conf->listens[j].address) ==
				0)
				conf_problem(c->reading,
				    c->reading->sections[section].at,
				    "listen: %s is listened on twice",
				    l->address);
	}
}

static bool is_mechanism(const char *name)
{
	static const char *const names[] = { "EXTERNAL", "SCRAM-SHA-256-PLUS",
		"SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "CRAM-MD5",
		"OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (span_is_equal_nocase(span_of(name), span_of(names[i])))
			return true;
	return false;
}

static void check_mechanisms(
    struct check *c, const struct conf_relay *r, size_t section)
{
	for (size_t i = 0; i < r->mechanisms.count; i++)
		if (!is_mechanism(r->mechanisms.items[i]))
			conf_problem(c->reading,
			    conf_at_setting(c->reading, section, "mechanisms"),
			    "mechanisms: %s is not allowed; EXTERNAL, "
			    "SCRAM-SHA-256-PLUS, SCRAM-SHA-256, "
			    "SCRAM-SHA-1-PLUS, SCRAM-SHA-1, CRAM-MD5, "
			    "OAUTHBEARER, XOAUTH2, PLAIN or LOGIN",
			    r->mechanisms.items[i]);
	if (r->mechanisms.count > 0 && !r->user && !r->certificate)
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "mechanisms"),
		    "mechanisms: needs user or certificate in this block");
}

/* At most one secret, and a name to go with it. */
static void check_login(
    struct check *c, const struct conf_relay *r, size_t section)
{
	const char *name = r->password_file ? "password-file" : "token-command";

	if (!r->user && (r->password_file || r->token_command.count > 0))
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, name),
		    "%s: needs user in this block", name);
	if (r->password_file && r->token_command.count > 0)
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "token-command"),
		    "token-command: either this or password-file, not both");
	if (r->token_command.count > 0 && r->token_command.items[0][0] != '/')
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "token-command"),
		    "token-command: %s is not allowed; the whole path of a "
		    "program, then its arguments",
		    r->token_command.items[0]);
	if (r->key && !r->certificate)
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "key"),
		    "key: needs certificate in this block");
	check_mechanisms(c, r, section);
}

static void check_rate(
    struct check *c, const struct rate *rate, size_t section, const char *name)
{
	if (rate->events > (uint64_t)RATE_A_SECOND_MAX * rate->per_seconds)
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, name),
		    "%s: %u in %u s is beyond what the clock can tell apart; "
		    "at most %d/s, or leave it out for no limit",
		    name, rate->events, rate->per_seconds, RATE_A_SECOND_MAX);
}

static void check_line_limits(
    struct check *c, const struct conf_line *line, size_t section)
{
	struct window window;
	struct outcome why;

	check_rate(c, &line->rate, section, "rate");
	check_rate(c, &line->address_rate, section, "address-rate");
	if (line->window &&
	    window_parse(span_of(line->window), &window, &why) < 0)
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "window"),
		    "window: %s", why.detail);
}

static void check_relays_and_lines(struct check *c)
{
	size_t section = 0;

	for (size_t i = 0; i < c->conf->nrelays; i++) {
		section = next_section(c, "relay", section);
		if (c->conf->relays[i].nservers == 0 &&
		    (c->reading->nproblems == 0 ||
			!conf_setting_find(c->reading, section, "servers")))
			conf_problem(c->reading,
			    c->reading->sections[section].at,
			    "relay: needs servers = { \"...\" }");
		check_login(c, &c->conf->relays[i], section);
	}
	section = 0;
	for (size_t i = 0; i < c->conf->nlines; i++) {
		section = next_section(c, "line", section);
		check_relay(c, c->conf->lines[i].relay, section, "line");
		check_line_limits(c, &c->conf->lines[i], section);
	}
}

static void check_destinations(struct check *c)
{
	size_t section = 0;

	for (size_t i = 0; i < c->conf->ndestinations; i++) {
		section = next_section(c, "destination", section);
		check_rate(c, &c->conf->destinations[i].rate, section, "rate");
	}
}

static void check_routes(struct check *c)
{
	size_t section = 0;

	for (size_t i = 0; i < c->conf->nroutes; i++) {
		const struct conf_route *r = &c->conf->routes[i];

		section = next_section(c, "route", section);
		check_relay(c, r->relay, section, "route");
		check_line(c, r->line, section, "route");
		if (r->relay && r->nservers > 0)
			conf_problem(c->reading,
			    conf_at_setting(c->reading, section, "relay"),
			    "relay: either this or servers, not both");
		if (!r->relay && !r->line && r->nservers == 0 && r->tls < 0)
			conf_problem(c->reading,
			    c->reading->sections[section].at,
			    "route: needs servers, relay, line or tls");
	}
}

static void check_senders(struct check *c)
{
	size_t section = 0;

	for (size_t i = 0; i < c->conf->nsenders; i++) {
		section = next_section(c, "sender", section);
		check_relay(c, c->conf->senders[i].relay, section, "sender");
		check_line(c, c->conf->senders[i].line, section, "sender");
	}
}

/* Defaults give way to what is set. */
static void check_retry(struct check *c)
{
	struct conf_retry *r = &c->conf->retry;
	size_t section = next_section(c, "retry", 0);

	if (r->fallback_relay && !conf_relay(c->conf, r->fallback_relay))
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "fallback-relay"),
		    "fallback-relay: %s is not allowed; the name of a relay "
		    "block",
		    r->fallback_relay);
	if (r->wait_s > r->max_wait_s &&
	    conf_setting_find(c->reading, section, "max-wait"))
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "wait"),
		    "wait: longer than max-wait");
	else if (r->wait_s > r->max_wait_s)
		r->max_wait_s = r->wait_s;
	if (r->warn_after_s > r->lifetime_s &&
	    conf_setting_find(c->reading, section, "warn-after"))
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "warn-after"),
		    "warn-after: longer than lifetime; 0 for no notice");
	else if (r->warn_after_s > r->lifetime_s)
		r->warn_after_s = 0;
}

/* after: what waits. relay: has to be there, and to fit into a record. */
static void check_reply(
    struct check *c, const struct conf_reply *reply, size_t section)
{
	const char *action = reply->action ? reply->action : "";
	struct outcome why;
	struct pattern *pattern =
	    reply->pattern ? pattern_new(reply->pattern, &why) : NULL;

	if (reply->pattern && !pattern)
		conf_problem(c->reading, c->reading->sections[section].at,
		    "reply: '%s' is not a regular expression that can be "
		    "used: %s",
		    reply->pattern, why.detail);
	pattern_free(pattern);
	if (!reply->action && !conf_setting_find(c->reading, section, "action"))
		conf_problem(c->reading, c->reading->sections[section].at,
		    "reply: needs action = \"retry\", \"bounce\", "
		    "\"next-host\", \"suspend\" or \"relay:NAME\"");
	if (reply->after_s > 0 && strcmp(action, "retry") != 0 &&
	    strcmp(action, "suspend") != 0)
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "after"),
		    "after: goes with action = \"retry\" or \"suspend\" "
		    "only");
	if (strncmp(action, "relay:", 6) == 0 &&
	    !conf_relay(c->conf, action + 6))
		conf_problem(c->reading,
		    conf_at_setting(c->reading, section, "action"),
		    "action: there is no relay \"%s\"", action + 6);
}

static void check_replies(struct check *c)
{
	size_t section = 0;

	for (size_t i = 0; i < c->conf->nreplies; i++) {
		section = next_section(c, "reply", section);
		if (i < REPLY_RULES_MAX)
			check_reply(c, &c->conf->replies[i], section);
		if (i == REPLY_RULES_MAX)
			conf_problem(c->reading,
			    c->reading->sections[section].at,
			    "reply: more than %d rules", REPLY_RULES_MAX);
	}
}

static void check_mode(struct check *c)
{
	if (c->conf->mode == MODE_RELAY && !conf_relay(c->conf, "default"))
		conf_problem(c->reading, conf_at_setting(c->reading, 0, "mode"),
		    "mode: relay needs a block relay \"default\" { servers = "
		    "{ ... } }");
}

void conf_check(struct conf_reading *r, struct conf *conf)
{
	struct check c = { .reading = r, .conf = conf };

	check_localnames(&c);
	check_listens(&c);
	check_relays_and_lines(&c);
	check_destinations(&c);
	check_routes(&c);
	check_senders(&c);
	check_retry(&c);
	check_replies(&c);
	check_mode(&c);
	if (r->nproblems > 0)
		return;
	choose_node(&c);
	apply_nodes(&c);
	find_localname(&c);
}
