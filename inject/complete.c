/* Header completion. */
#include "inject/complete.h"

#include "inject/addrlist.h"
#include "inject/phrase.h"

enum { MAILBOXES_MAX = 100000 };

struct completion {
	const struct header *h;
	const struct conf *conf;
	struct span domain;
	const struct author *author;
	const char *date, *unique;
	struct buf *out;
	bool is_starved; /* a field could not be parsed for want of memory */
	bool is_signed;
	bool is_ours; /* defaults apply to its author */
};

size_t header_resent_end(const struct header *h)
{
	bool is_resent = false;
	size_t i;

	for (i = 0; i < h->nfields; i++) {
		uint8_t kind = h->fields[i].kind;

		if (is_resent &&
		    (kind == FIELD_RECEIVED || kind == FIELD_RETURN_PATH))
			break;
		is_resent |= field_is_resent(&h->fields[i]);
	}
	return is_resent ? i : 0;
}

static bool is_dropped(const struct field *f)
{
	return f->kind == FIELD_BCC || f->kind == FIELD_RESENT_BCC ||
	       f->kind == FIELD_RETURN_PATH;
}

static bool has_mailboxes(const struct field *f)
{
	switch (f->kind) {
	case FIELD_FROM:
	case FIELD_SENDER:
	case FIELD_REPLY_TO:
	case FIELD_TO:
	case FIELD_CC:
	case FIELD_RESENT_FROM:
	case FIELD_RESENT_SENDER:
	case FIELD_RESENT_REPLY_TO:
	case FIELD_RESENT_TO:
	case FIELD_RESENT_CC:
		return true;
	}
	return false;
}

/* --- new fields ----------------------------------------------------------- */

static void put_from(struct completion *c, const char *field)
{
	struct span name = c->author->given_name;

	if (name.n == 0)
		name = span_of(c->conf->defaults.sender_name);
	if (name.n == 0)
		name = c->author->gecos_name;
	buf_printf(c->out, "%s: ", field);
	if (name.n > 0) {
		phrase_put(c->out, name);
		buf_puts(c->out, " <");
	}
	buf_put_raw(c->out, c->author->address);
	buf_puts(c->out, name.n > 0 ? ">\r\n" : "\r\n");
}

static void put_date(struct completion *c, const char *field)
{
	buf_printf(c->out, "%s: %s\r\n", field, c->date);
}

static void put_message_id(struct completion *c, const char *field)
{
	buf_printf(
	    c->out, "%s: <%s@%s>\r\n", field, c->unique, c->conf->localname);
}

/* Resent- fields of one resending stand together, at the top. */
static void put_resent_fields(struct completion *c)
{
	size_t end = header_resent_end(c->h);
	bool has[FIELD_KINDS] = { false };

	if (end == 0)
		return;
	for (size_t i = 0; i < end; i++)
		has[c->h->fields[i].kind] = true;
	if (!has[FIELD_RESENT_FROM])
		put_from(c, "Resent-From");
	if (!has[FIELD_RESENT_DATE])
		put_date(c, "Resent-Date");
	if (!has[FIELD_RESENT_MESSAGE_ID])
		put_message_id(c, "Resent-Message-ID");
}

static void put_missing_fields(struct completion *c)
{
	const char *reply_to = c->conf->defaults.reply_to;

	if (!header_find(c->h, FIELD_FROM))
		put_from(c, "From");
	if (!header_find(c->h, FIELD_DATE))
		put_date(c, "Date");
	if (!header_find(c->h, FIELD_MESSAGE_ID))
		put_message_id(c, "Message-ID");
	if (reply_to && c->is_ours && !header_find(c->h, FIELD_REPLY_TO))
		buf_printf(c->out, "Reply-To: %s\r\n", reply_to);
}

/* --- fields that are there ------------------------------------------------ */

static bool needs_name(const struct completion *c, const struct field *f,
    const struct addrlist *list)
{
	return f->kind == FIELD_FROM && c->conf->defaults.sender_name &&
	       c->is_ours && list->count == 1 && !list->items[0].has_name;
}

/* The one mailbox of a From without a name. */
static void put_named(struct completion *c, const struct addrlist *list)
{
	buf_puts(c->out, "From: ");
	phrase_put(c->out, span_of(c->conf->defaults.sender_name));
	buf_puts(c->out, " <");
	buf_put_raw(c->out, addrlist_address(list, 0));
	if (!list->items[0].has_domain) {
		buf_putc(c->out, '@');
		buf_put_raw(c->out, c->domain);
	}
	buf_puts(c->out, ">\r\n");
}

/* Local names get their domain, every other byte stays. */
static void put_qualified(
    struct completion *c, const struct field *f, const struct addrlist *list)
{
	struct span whole = field_whole(c->h, f);
	size_t offset = f->value - f->start, done = 0;

	for (size_t i = 0; i < list->count; i++) {
		size_t end = offset + list->items[i].local_end;

		if (list->items[i].has_domain)
			continue;
		buf_put(c->out, whole.p + done, end - done);
		buf_putc(c->out, '@');
		buf_put_raw(c->out, c->domain);
		done = end;
	}
	buf_put_raw(c->out, span_from(whole, done));
}

/* What cannot be parsed stays as it is; but only by its own fault. */
static int parse_field(
    struct completion *c, const struct field *f, struct addrlist *list)
{
	struct outcome why;

	if (addrlist_parse(list, field_value(c->h, f), &why) == 0)
		return 0;
	c->is_starved |= why.verdict == VERDICT_TEMP;
	return -1;
}

static void put_field(struct completion *c, const struct field *f)
{
	struct addrlist list;

	if (is_dropped(f))
		return;
	if (c->is_signed || !has_mailboxes(f)) {
		buf_put_raw(c->out, field_whole(c->h, f));
		return;
	}
	addrlist_init(&list, MAILBOXES_MAX);
	if (parse_field(c, f, &list) < 0)
		buf_put_raw(c->out, field_whole(c->h, f));
	else if (needs_name(c, f, &list))
		put_named(c, &list);
	else
		put_qualified(c, f, &list);
	addrlist_clear(&list);
}

/* The domain of the author's first mailbox is that of the defaults. */
static bool is_from_sender_domain(struct completion *c)
{
	const struct field *from = header_find(c->h, FIELD_FROM);
	const char *scope = c->conf->defaults.sender_domain;
	struct addrlist list;
	struct span domain = c->author->address;
	bool is_inside;

	if (!scope)
		return true;
	addrlist_init(&list, MAILBOXES_MAX);
	if (from && parse_field(c, from, &list) == 0 && list.count > 0)
		domain = addrlist_address(&list, 0);
	if (list.count > 0 && !list.items[0].has_domain)
		domain = c->domain;
	/* A quoted local part may have an "@" of its own. */
	for (ptrdiff_t at; (at = span_find(domain, '@')) >= 0;)
		domain = span_from(domain, (size_t)at + 1);
	is_inside = span_is_equal_nocase(domain, span_of(scope));
	addrlist_clear(&list);
	return is_inside;
}

int complete_header(const struct header *h, const struct conf *conf,
    struct span domain, const struct author *author, const char *date,
    const char *unique, struct buf *out, struct outcome *why)
{
	struct completion c = {
		.h = h,
		.conf = conf,
		.domain = domain,
		.author = author,
		.date = date,
		.unique = unique,
		.out = out,
		.is_signed = header_find(h, FIELD_DKIM_SIGNATURE) != NULL,
	};

	c.is_ours = !c.is_signed &&
		    (conf->defaults.reply_to || conf->defaults.sender_name) &&
		    is_from_sender_domain(&c);
	put_resent_fields(&c);
	for (size_t i = 0; i < h->nfields; i++)
		put_field(&c, &h->fields[i]);
	put_missing_fields(&c);
	if (out->overflow || c.is_starved)
		return outcome_temp(why, "4.3.0", "out of memory");
	return 0;
}
