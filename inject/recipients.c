/* The recipients of one message. */
#include "inject/recipients.h"

#include "common/address.h"
#include "inject/aliases.h"

#include <stdlib.h>
#include <sysexits.h>

enum {
	TEXT_MAX = 64 << 20,
	ALIAS_DEPTH_MAX = 10,
	LOOKUPS_MAX = 100000,
};

/* The aliases that led to a name, for loops. */
struct chain {
	struct span name;
	const struct chain *up;
	unsigned depth;
};

void recipients_init(
    struct recipients *r, const struct conf *conf, struct span domain)
{
	*r = (struct recipients){ .conf = conf, .domain = domain };
	buf_init(&r->text, TEXT_MAX);
}

void recipients_clear(struct recipients *r)
{
	buf_clear(&r->text);
	free(r->items);
	free(r->ends);
	aliases_free(r->aliases);
	recipients_init(r, r->conf, r->domain);
}

struct span recipients_domain(const struct conf *conf)
{
	return span_of(conf->defaults.sender_domain
			   ? conf->defaults.sender_domain
			   : conf->localname);
}

int exit_status_of(const struct outcome *why)
{
	struct span status = span_of(why->status);

	if (why->verdict != VERDICT_PERM)
		return EX_TEMPFAIL;
	if (span_has_prefix_nocase(status, "5.1."))
		return EX_NOUSER;
	if (span_has_prefix_nocase(status, "5.7."))
		return EX_NOPERM;
	if (span_has_prefix_nocase(status, "5.6."))
		return EX_DATAERR;
	return EX_UNAVAILABLE;
}

static int no_memory(struct outcome *why)
{
	outcome_temp(why, "4.3.0", "out of memory; try again later");
	return EX_TEMPFAIL;
}

static int too_many(const struct recipients *r, struct outcome *why)
{
	outcome_perm(why, "5.5.3",
	    "more than %d recipients; limits { recipients } in the "
	    "configuration; send to fewer at a time",
	    r->conf->limits.recipients);
	return EX_UNAVAILABLE;
}

static int make_room(struct recipients *r, struct outcome *why)
{
	size_t room = r->room ? r->room * 2 : 16;
	struct recipient *items;
	size_t *ends;

	if (r->count < r->room)
		return 0;
	items = realloc(r->items, room * sizeof(*items));
	if (items)
		r->items = items;
	ends = realloc(r->ends, room * sizeof(*ends));
	if (ends)
		r->ends = ends;
	if (!items || !ends)
		return no_memory(why);
	r->room = room;
	return 0;
}

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] & 0x80)
			return false;
	return true;
}

/* A domain alone needs no SMTPUTF8: it has an ASCII form. */
static int make_domain_ascii(
    struct buf *out, size_t start, const struct address *a, struct outcome *why)
{
	struct buf domain;
	int status;

	buf_init(&domain, ADDRESS_MAX);
	status = address_domain_key(a, &domain, why);
	if (status == 0) {
		out->len = start + a->local.n + 1;
		buf_put_raw(out, buf_span(&domain));
	}
	buf_clear(&domain);
	return status;
}

int mailbox_put(struct buf *out, struct span address, bool has_domain,
    struct span domain, struct outcome *why)
{
	size_t start = out->len;
	struct address a;

	buf_put_raw(out, address);
	if (!has_domain) {
		buf_putc(out, '@');
		buf_put_raw(out, domain);
	}
	if (out->overflow)
		return outcome_temp(why, "4.3.0", "out of memory");
	if (address_parse(span_from(buf_span(out), start), &a, why) < 0)
		return -1;
	if (!a.is_utf8 || !is_ascii(a.local))
		return 0;
	return make_domain_ascii(out, start, &a, why);
}

/* Keep local@domain, or local at our domain when has_domain is false. */
static int keep(struct recipients *r, struct span address, bool has_domain,
    struct outcome *why)
{
	size_t start = r->text.len;
	int status = make_room(r, why);

	if (status != 0)
		return status;
	if (r->count >= (size_t)r->conf->limits.recipients)
		return too_many(r, why);
	if (mailbox_put(&r->text, address, has_domain, r->domain, why) < 0)
		return why->verdict == VERDICT_TEMP ? EX_TEMPFAIL : EX_DATAERR;
	r->is_utf8 |= !is_ascii(span_from(buf_span(&r->text), start));
	r->ends[r->count++] = r->text.len;
	return 0;
}

/* --- local names ---------------------------------------------------------- */

static int add_text(struct recipients *r, struct span text,
    const struct chain *chain, size_t max, struct outcome *why);

static int unsafe(struct span value, struct outcome *why)
{
	outcome_perm(why, "5.1.1",
	    "%s: programs, files and included lists are never recipients; "
	    "give a mail address",
	    log_escape(value));
	return EX_NOUSER;
}

/* Mail for the administrator has to reach one, also without an alias. */
static bool is_for_postmaster(const struct recipients *r, struct span name)
{
	struct span postmaster = span_of(r->conf->postmaster);
	struct span local = span_cut(&postmaster, '@');

	if (!span_is_equal_nocase(name, span_of("root")) &&
	    !span_is_equal_nocase(name, span_of("postmaster")))
		return false;
	/* The default says no more than we would say ourselves. */
	return postmaster.n > 0 &&
	       !(span_is_equal_nocase(local, span_of("postmaster")) &&
		   span_is_equal_nocase(
		       postmaster, span_of(r->conf->localname)));
}

static int bad_alias(
    const struct recipients *r, struct span name, struct outcome *why)
{
	struct outcome first = *why;

	outcome_perm(why, "5.1.1", "alias %s: %s; %s; correct it there",
	    log_escape(name), first.detail, r->conf->aliases);
	return EX_NOUSER;
}

static int add_values(struct recipients *r, struct span values,
    const struct chain *chain, struct outcome *why)
{
	struct span value;
	int status = 0;

	if (chain->depth > ALIAS_DEPTH_MAX || ++r->lookups > LOOKUPS_MAX) {
		outcome_perm(why, "5.4.6",
		    "%s: aliases lead on and on; %s; break the loop",
		    log_escape(chain->name), r->conf->aliases);
		return EX_UNAVAILABLE;
	}
	while (status == 0 && (value = alias_next_value(&values)).n > 0) {
		if (alias_is_unsafe(value))
			status = unsafe(value, why);
		else
			status = add_text(r, value, chain, 1, why);
	}
	return status == EX_DATAERR ? bad_alias(r, chain->name, why) : status;
}

static bool is_in_chain(const struct chain *chain, struct span name)
{
	for (; chain; chain = chain->up)
		if (span_is_equal_nocase(chain->name, name))
			return true;
	return false;
}

static int add_local(struct recipients *r, struct span name,
    const struct chain *chain, struct outcome *why)
{
	struct chain here = { name, chain, chain ? chain->depth + 1 : 1 };
	struct span values;

	if (alias_is_unsafe(name))
		return unsafe(name, why);
	if (!r->aliases)
		r->aliases = aliases_load(r->conf->aliases, NULL, NULL, why);
	if (!r->aliases)
		return EX_TEMPFAIL;
	/* "root: root, x@y" means the name itself. */
	if (chain && span_is_equal_nocase(chain->name, name))
		return keep(r, name, false, why);
	if (is_in_chain(chain, name))
		here.depth = ALIAS_DEPTH_MAX + 1;
	if (aliases_find(r->aliases, name, &values))
		return add_values(r, values, &here, why);
	if (is_for_postmaster(r, name))
		return keep(r, span_of(r->conf->postmaster), true, why);
	return keep(r, name, false, why);
}

/* --- lists ---------------------------------------------------------------- */

static int list_status(
    const struct recipients *r, size_t max, struct outcome *why)
{
	if (why->verdict == VERDICT_TEMP)
		return EX_TEMPFAIL;
	if (max > 1 && strcmp(why->status, "5.5.3") == 0)
		return too_many(r, why);
	return EX_DATAERR;
}

static int add_text(struct recipients *r, struct span text,
    const struct chain *chain, size_t max, struct outcome *why)
{
	struct addrlist list;
	bool is_final = max == 1 && text.n > 0 && text.p[0] == '\\';
	int status = 0;

	addrlist_init(&list, max);
	/* A backslash keeps a name from being looked up. */
	if (addrlist_parse(&list, span_from(text, is_final), why) < 0)
		status = list_status(r, max, why);
	for (size_t i = 0; i < list.count && status == 0; i++) {
		struct span address = addrlist_address(&list, i);

		if (list.items[i].has_domain || is_final)
			status =
			    keep(r, address, list.items[i].has_domain, why);
		else
			status = add_local(r, address, chain, why);
	}
	addrlist_clear(&list);
	return status;
}

int recipients_add_list(
    struct recipients *r, struct span value, struct outcome *why)
{
	return add_text(
	    r, value, NULL, (size_t)r->conf->limits.recipients, why);
}

int recipients_add_argument(
    struct recipients *r, const char *argument, struct outcome *why)
{
	struct span text = span_of(argument);
	size_t before = r->count;
	struct outcome first;
	int status;

	if (alias_is_unsafe(text))
		return unsafe(text, why);
	status = add_text(r, text, NULL, 1, why);
	if (status == 0 && r->count == before)
		outcome_perm(why, "5.1.3", "no address");
	else if (status != EX_DATAERR)
		return status;
	first = *why;
	outcome_perm(why, "5.1.3", "%s: %s; give one address an argument",
	    log_escape(text), first.detail);
	return EX_USAGE;
}

void recipients_finish(struct recipients *r, uint8_t notify)
{
	size_t start = 0;

	for (size_t i = 0; i < r->count; i++) {
		r->items[i] = (struct recipient){
			.address = { r->text.data + start, r->ends[i] - start },
			.notify = notify,
		};
		start = r->ends[i];
	}
}
