/* One look at one server from one place. */
#include "dnscheck/look.h"

#include "common/address.h"

#include <stdio.h>
#include <time.h>

enum { WAIT_MS = 6000, DAY_BYTES = 32 };

const char *look_text(struct run *run, struct span text)
{
	return finding_text(
	    &run->findings, "%.*s", (int)text.n, text.n ? text.p : "");
}

/* --- addresses ------------------------------------------------------------ */

static bool has_family(const struct place *place, uint16_t type)
{
	return !place || place->is_v6 == (type == ASK_AAAA);
}

static void add_records(struct look *look, const struct ask_answer *answer)
{
	const struct ask_record *r = ask_first(answer, answer->type);

	for (; r && look->naddresses < ADDRESSES_MAX; r = ask_next(answer, r))
		look->addresses[look->naddresses++] = r->data;
}

/* As lines find them: the hosts file first. */
static bool use_hosts_file(const struct run *run, struct look *look)
{
	struct span bytes;

	for (size_t i = 0; look->naddresses < ADDRESSES_MAX; i++) {
		bytes = prober_hosts_file(run->prober, look->host, i);
		if (bytes.n == 0)
			break;
		if (has_family(look->place, bytes.n == 4 ? ASK_A : ASK_AAAA))
			look->addresses[look->naddresses++] = bytes;
	}
	return look->naddresses > 0;
}

static enum look_names use_literal(struct look *look, const char **why)
{
	struct span text = span_of(look->host);
	union net_address a;
	struct span bytes;

	if (text.n >= 2 && text.p[0] == '[')
		text = (struct span){ text.p + 1, text.n - 2 };
	if (span_has_prefix_nocase(text, "IPv6:"))
		text = span_from(text, 5);
	if (net_parse(text, look->port, &a) < 0)
		return LOOK_UNKNOWN;
	bytes = net_bytes(&a);
	if (look->place && look->place->is_v6 != (bytes.n == 16)) {
		*why = "it is an address of the other family";
		return LOOK_NO_ADDRESS;
	}
	memcpy(look->literal, bytes.p, bytes.n);
	look->addresses[0] = (struct span){ look->literal, bytes.n };
	look->naddresses = 1;
	return LOOK_NAMED;
}

enum look_names look_resolve(
    struct run *run, struct look *look, const char **why)
{
	static const uint16_t types[] = { ASK_A, ASK_AAAA };
	struct span name = span_of(look->host);
	union net_address literal;
	bool is_unknown = false;

	look->naddresses = 0;
	*why = "it has no address";
	if (look->host[0] == '[' || net_parse(name, 25, &literal) == 0)
		return use_literal(look, why);
	if (use_hosts_file(run, look))
		return LOOK_NAMED;
	for (int i = 0; i < 2; i++) {
		const struct ask_answer *answer;

		if (!has_family(look->place, types[i]))
			continue;
		answer = ask(run->ask, name, types[i]);
		if (answer->status == ASK_FOUND)
			add_records(look, answer);
		else if (answer->status == ASK_NO_NAME)
			*why = "there is no such name";
		else if (!ask_is_known(answer)) {
			is_unknown = true;
			*why = look_text(run, answer->why);
		}
	}
	if (look->naddresses > 0)
		return LOOK_NAMED;
	if (!is_unknown && look->place && strstr(*why, "no address"))
		*why = look->place->is_v6 ? "it has no IPv6 address"
					  : "it has no IPv4 address";
	return is_unknown ? LOOK_UNKNOWN : LOOK_NO_ADDRESS;
}

void look_point(struct look *copy, const struct look *look)
{
	if (look->addresses[0].p == look->literal)
		copy->addresses[0].p = copy->literal;
}

/* --- the look ------------------------------------------------------------- */

static void set_login(const struct look *look, struct login *login)
{
	const struct conf_relay *relay = look->login;

	login->user = span_of(relay->user);
	login->secret = buf_span(&look->secret->password);
	login->certificate = buf_span(&look->secret->certificate);
	login->key = buf_span(&look->secret->key);
	login->may_be_clear = look->tls == TLS_NONE;
}

static void put_mechanisms(const struct conf_relay *relay, struct buf *to)
{
	for (size_t i = 0; i < relay->mechanisms.count; i++)
		buf_printf(
		    to, "%s%s", i ? " " : "", relay->mechanisms.items[i]);
}

static enum look_end end_of_connect(const struct probed *p)
{
	if (p->address.n == 0)
		return LOOK_NOT_MADE;
	if (strcasestr(p->outcome.detail, "refused"))
		return LOOK_REFUSED;
	if (strcasestr(p->outcome.detail, "timed out"))
		return LOOK_TIMEOUT;
	return LOOK_NO_ROUTE;
}

static bool is_ok_reply(struct span reply)
{
	return reply.n > 0 && reply.p[0] == '2';
}

static enum look_end end_of(const struct probed *p, bool implicit_tls)
{
	switch (p->step) {
	case PROBE_CONNECT:
		return end_of_connect(p);
	case PROBE_GREET:
		if (p->banner.n == 0)
			return implicit_tls &&
				       (p->tls.n > 0 ||
					   strstr(p->outcome.detail, "TLS"))
				   ? LOOK_TLS
				   : LOOK_SILENT;
		if (!is_ok_reply(p->banner))
			return LOOK_BANNER;
		if (!is_ok_reply(p->ehlo))
			return LOOK_EHLO;
		return strncmp(p->outcome.detail, "AUTH", 4) == 0 ? LOOK_LOGIN
								  : LOOK_TLS;
	case PROBE_MAIL:
		return LOOK_MAIL;
	case PROBE_RCPT:
		return LOOK_RCPT;
	default:
		return p->nrcpts > 0 && p->rcpts[0].verdict != VERDICT_OK
			   ? LOOK_RCPT
			   : LOOK_DONE;
	}
}

enum look_end look_at(
    struct run *run, const struct look *look, struct probed *probed)
{
	struct host host = { .name = span_of(look->host),
		.port = look->port,
		.implicit_tls = look->implicit_tls,
		.naddresses = look->naddresses };
	const char *localname =
	    look->place ? look->place->localname : run->conf->localname;
	struct probe probe = { .timeout_ms = WAIT_MS,
		.may_mail = look->recipient,
		.sender = span_of(look->sender),
		.session = { .destination = span_of(look->host),
		    .localname = span_of(localname),
		    .tls = look->tls,
		    .messages = 1,
		    .is_relay = look->is_relay,
		    .hosts = &host,
		    .nhosts = 1 } };
	union net_address from;
	struct buf mechanisms;

	memcpy(host.addresses, look->addresses, sizeof(host.addresses));
	if (look->policy)
		host.policy = *look->policy;
	if (look->recipient)
		probe.recipients[probe.nrecipients++] =
		    span_of(look->recipient);
	if (look->place && look->place->bind[0] &&
	    net_parse(span_of(look->place->bind), 0, &from) == 0)
		probe.session.binds[probe.session.nbinds++] = net_bytes(&from);
	buf_init(&mechanisms, 1000);
	if (look->login) {
		set_login(look, &probe.session.login);
		put_mechanisms(look->login, &mechanisms);
		probe.session.login.mechanisms = buf_span(&mechanisms);
	}
	prober_look(run->prober, &probe, probed, run->deadline);
	buf_clear(&mechanisms);
	return end_of(probed, look->implicit_tls);
}

/* --- what came of it ------------------------------------------------------ */

const char *look_why(struct run *run, const struct probed *p)
{
	const struct outcome *why = &p->outcome;

	if (why->verdict == VERDICT_OK && p->nrcpts > 0)
		why = &p->rcpts[0];
	if (p->address.n == 0)
		return look_text(run, span_of(why->detail));
	return finding_text(&run->findings, "%.*s: %s", (int)p->address.n,
	    p->address.p, why->detail);
}

const char *look_name(struct run *run, struct span reply)
{
	struct span line = span_cut(&reply, '\n');

	span_cut(&line, ' ');
	line = span_trim(line);
	return look_text(run, span_cut(&line, ' '));
}

bool look_offers(struct span ehlo, const char *keyword, struct span *rest)
{
	span_cut(&ehlo, '\n'); /* the greeting */
	while (ehlo.n > 0) {
		struct span line = span_cut(&ehlo, '\n');
		struct span word = span_cut(&line, ' ');

		if (!span_is_equal_nocase(word, span_of(keyword)))
			continue;
		if (rest)
			*rest = line;
		return true;
	}
	return false;
}

static bool is_of_address(char c)
{
	return (c >= '0' && c <= '9') || c == '.' || c == ':' ||
	       (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

int look_find_address(struct span text, char address[64])
{
	for (size_t at = 0; at < text.n;) {
		struct span word = span_from(text, at);
		union net_address a;
		size_t n = 0;

		if (span_has_prefix_nocase(word, "IPv6:")) {
			at += 5;
			continue;
		}
		while (n < word.n && is_of_address(word.p[n]))
			n++;
		word.n = n;
		at += n + 1;
		while (word.n > 0 &&
		       (word.p[word.n - 1] == '.' || word.p[word.n - 1] == ':'))
			word.n--;
		if (word.n < 3 || net_parse(word, 0, &a) < 0 ||
		    a.in.sin_port != 0)
			continue;
		net_print_ip(&a, address);
		return 0;
	}
	return -1;
}

const char *look_day(struct run *run, int64_t at_s)
{
	time_t at = (time_t)at_s;
	char text[DAY_BYTES];
	struct tm tm;

	if (!gmtime_r(&at, &tm) ||
	    strftime(text, sizeof(text), "%Y-%m-%d", &tm) == 0)
		return "";
	return finding_text(&run->findings, "%s", text);
}

static struct span last_two(const char *name)
{
	struct span s = span_of(name);
	int dots = 0;
	size_t i;

	while (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	for (i = s.n; i > 0; i--)
		if (s.p[i - 1] == '.' && ++dots == 2)
			break;
	return span_from(s, i);
}

bool look_is_related(const char *one, const char *other)
{
	struct span a = last_two(one), b = last_two(other);

	return span_find(a, '.') > 0 && span_is_equal_nocase(a, b);
}
