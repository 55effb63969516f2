/* One message from standard input to the keeper.
 *
 * The header is read whole and completed; of the body, HOLD_BYTES are gathered
 * before the keeper is spoken to, so that most messages go in one write and
 * are known to be 7-bit or 8-bit; what is longer streams.
 */
#include "inject/send.h"

#include "common/date.h"
#include "common/deadline.h"
#include "common/id.h"
#include "common/submit.h"
#include "common/utf8.h"
#include "inject/caller.h"
#include "inject/complete.h"
#include "inject/hops.h"
#include "inject/phrase.h"
#include "inject/recipients.h"
#include "inject/textin.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	READ_BYTES = 32768,
	HOLD_BYTES = 1 << 20,
	BODY_MAX = HOLD_BYTES + 4 * READ_BYTES + HEADER_MAX,
};

struct draft {
	const struct options *options;
	const struct conf *conf;
	struct outcome *why;
	struct span domain; /* for local names */
	struct caller caller;
	struct buf own;	   /* the caller's address */
	struct buf sender; /* envelope; empty: the null sender */
	struct recipients recipients;
	struct textin textin;
	struct header header;
	struct buf head; /* completed, with the empty line */
	struct buf body; /* read and not yet submitted */
	char date[DATE_TEXT_BYTES];
	bool is_at_end;
	uint64_t size; /* bytes of the message so far */
	struct submit *submit;
	uint64_t id;
};

static void draft_init(struct draft *d, const struct options *options,
    const struct conf *conf, struct outcome *why)
{
	*d = (struct draft){ .options = options, .conf = conf, .why = why };
	d->domain = recipients_domain(conf);
	buf_init(&d->own, ADDRESS_MAX);
	buf_init(&d->sender, ADDRESS_MAX);
	recipients_init(&d->recipients, conf, d->domain);
	d->textin.ends_at_dot = !options->ignores_dots;
	header_init(&d->header);
	buf_init(&d->head, 8 * HEADER_MAX);
	buf_init(&d->body, BODY_MAX);
	date_print(now_utc(), d->date);
}

static void draft_clear(struct draft *d)
{
	caller_clear(&d->caller);
	buf_clear(&d->own);
	buf_clear(&d->sender);
	recipients_clear(&d->recipients);
	header_clear(&d->header);
	buf_clear(&d->head);
	buf_clear(&d->body);
	submit_free(d->submit);
}

/* --- who sends ------------------------------------------------------------ */

static int no_memory(struct draft *d)
{
	outcome_temp(d->why, "4.3.0", "out of memory; try again later");
	return EX_TEMPFAIL;
}

static int bad_sender(struct draft *d)
{
	struct outcome first = *d->why;

	if (first.verdict == VERDICT_TEMP)
		return EX_TEMPFAIL;
	outcome_perm(d->why, "5.1.7", "-f %s: %s; give one mail address",
	    log_escape(span_of(d->options->sender)), first.detail);
	return EX_USAGE;
}

static int put_given_sender(struct draft *d)
{
	struct addrlist list;
	int status;

	addrlist_init(&list, 1);
	status = addrlist_parse(&list, span_of(d->options->sender), d->why);
	if (status == 0 && list.count == 0)
		status = outcome_perm(d->why, "5.1.7", "no address");
	if (status == 0)
		status = mailbox_put(&d->sender, addrlist_address(&list, 0),
		    list.items[0].has_domain, d->domain, d->why);
	addrlist_clear(&list);
	return status < 0 ? bad_sender(d) : 0;
}

static bool is_null_sender(const char *given)
{
	return span_trim(span_of(given)).n == 0 || strcmp(given, "<>") == 0;
}

static int set_sender(struct draft *d)
{
	const char *given = d->options->sender;

	if (given && !is_null_sender(given))
		return put_given_sender(d);
	if (caller_load(&d->caller) < 0)
		return no_memory(d);
	local_part_put(&d->own, buf_span(&d->caller.login));
	buf_putc(&d->own, '@');
	buf_put_raw(&d->own, d->domain);
	if (!given)
		buf_put_raw(&d->sender, buf_span(&d->own));
	return d->own.overflow || d->sender.overflow ? no_memory(d) : 0;
}

/* --- input ---------------------------------------------------------------- */

/* Read once; what came is appended to the body. */
static int read_some(struct draft *d)
{
	char input[READ_BYTES];
	size_t before = d->body.len;
	ptrdiff_t n;

	do
		n = read(STDIN_FILENO, input, sizeof(input));
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		outcome_perm(d->why, "5.6.0",
		    "cannot read the message: %s; standard input; give the "
		    "message there",
		    strerror(errno));
		return EX_IOERR;
	}
	if (textin_convert(&d->textin, (struct span){ input, (size_t)n },
		&d->body, d->why) < 0)
		return exit_status_of(d->why);
	d->is_at_end = n == 0 || d->textin.is_ended;
	if (d->is_at_end)
		textin_end(&d->textin, &d->body);
	if (d->body.overflow)
		return no_memory(d);
	d->size += d->body.len - before;
	if (d->size <= d->conf->limits.message_size)
		return 0;
	outcome_perm(d->why, "5.3.4",
	    "the message is longer than %llu bytes; limits { message-size } in "
	    "the configuration; make it smaller",
	    (unsigned long long)d->conf->limits.message_size);
	return EX_UNAVAILABLE;
}

/* What header_take took from the body beyond the header goes back. */
static int return_rest(struct draft *d)
{
	struct span rest = header_rest(&d->header);
	struct buf joined;

	if (rest.n == 0)
		return 0;
	buf_init(&joined, BODY_MAX);
	buf_put_raw(&joined, rest);
	buf_put_raw(&joined, buf_span(&d->body));
	if (joined.overflow) {
		buf_clear(&joined);
		return no_memory(d);
	}
	buf_clear(&d->body);
	d->body = joined;
	return 0;
}

static int check_hops(struct draft *d)
{
	unsigned count = 0;

	for (size_t i = 0; i < d->header.nfields; i++)
		count += d->header.fields[i].kind == FIELD_RECEIVED;
	if (count <= HOPS_MAX)
		return 0;
	outcome_perm(d->why, "5.4.6",
	    "the message has been received %u times: a mail loop; find out "
	    "which program sends it round",
	    count);
	return EX_UNAVAILABLE;
}

static int read_header(struct draft *d)
{
	int status;

	while (!d->header.is_done) {
		ptrdiff_t taken;

		status = read_some(d);

		if (status != 0)
			return status;
		taken = header_take(&d->header, buf_span(&d->body), d->why);
		if (taken < 0)
			return d->why->verdict == VERDICT_PERM ? EX_DATAERR
							       : EX_TEMPFAIL;
		buf_consume(&d->body, (size_t)taken);
		if (d->is_at_end)
			header_end(&d->header);
	}
	status = check_hops(d);
	return status ? status : return_rest(d);
}

/* --- recipients ----------------------------------------------------------- */

static int add_arguments(struct draft *d)
{
	int status = 0;

	for (int i = 0; i < d->options->nrecipients && status == 0; i++)
		status = recipients_add_argument(
		    &d->recipients, d->options->recipients[i], d->why);
	return status;
}

static bool has_recipients(const struct field *f, bool is_resent)
{
	if (is_resent)
		return f->kind == FIELD_RESENT_TO ||
		       f->kind == FIELD_RESENT_CC ||
		       f->kind == FIELD_RESENT_BCC;
	return f->kind == FIELD_TO || f->kind == FIELD_CC ||
	       f->kind == FIELD_BCC;
}

static int add_header_recipients(struct draft *d)
{
	const struct header *h = &d->header;
	size_t resent_end = header_resent_end(h);
	size_t end = resent_end > 0 ? resent_end : h->nfields;

	for (size_t i = 0; i < end; i++) {
		const struct field *f = &h->fields[i];
		struct outcome first;
		int status;

		if (!has_recipients(f, resent_end > 0))
			continue;
		status = recipients_add_list(
		    &d->recipients, field_value(h, f), d->why);
		if (status == 0)
			continue;
		first = *d->why;
		outcome_perm(d->why, first.status, "%s; header field %s",
		    first.detail, log_escape(field_name(h, f)));
		d->why->verdict = first.verdict;
		return status;
	}
	return 0;
}

static int set_recipients(struct draft *d)
{
	int status = d->options->reads_header ? add_header_recipients(d) : 0;

	if (status != 0)
		return status;
	if (d->recipients.count == 0) {
		outcome_perm(d->why, "5.5.4",
		    "no recipients; To, Cc and Bcc of the header; name some");
		return EX_USAGE;
	}
	recipients_finish(&d->recipients, d->options->notify);
	return 0;
}

/* --- header and envelope -------------------------------------------------- */

static int set_head(struct draft *d)
{
	struct author author = {
		.address = buf_span(d->sender.len > 0 ? &d->sender : &d->own),
		.given_name = d->options->full_name
				  ? span_of(d->options->full_name)
				  : caller_name_wanted(),
	};
	char id[ID_TEXT_BYTES], unique[64];
	uint32_t dice = 0;

	id_print(id_next(0, now_utc_us()), id);
	if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) < 0)
		dice = (uint32_t)getpid();
	snprintf(unique, sizeof(unique), "%s.%08x", id, dice);
	if (complete_header(&d->header, d->conf, d->domain, &author, d->date,
		unique, &d->head, d->why) < 0)
		return EX_TEMPFAIL;
	buf_puts(&d->head, "\r\n");
	return d->head.overflow ? no_memory(d) : 0;
}

static bool is_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] & 0x80)
			return true;
	return false;
}

/* A header of UTF-8 is RFC 6532; other 8-bit bytes there are just that. */
static bool needs_smtputf8(const struct draft *d)
{
	struct span head = buf_span(&d->head);

	return d->recipients.is_utf8 || is_8bit(buf_span(&d->sender)) ||
	       (is_8bit(head) && utf8_is_valid(head));
}

static int begin_submission(struct draft *d)
{
	struct buf trace_head, trace_tail;
	struct envelope e = {
		.sender = buf_span(&d->sender),
		.origin = ORIGIN_LOCAL,
		.body = d->options->is_8bit || d->textin.has_8bit ||
				!d->is_at_end || is_8bit(buf_span(&d->head))
			    ? BODY_8BIT
			    : BODY_7BIT,
		.ret = d->options->ret,
		.smtputf8 = needs_smtputf8(d),
		.uid = (uint32_t)getuid(),
		.envid = span_of(d->options->envid),
		.recipients = d->recipients.items,
		.nrecipients = d->recipients.count,
	};
	uint64_t now = (uint64_t)now_utc();
	int status = 0;

	if (d->options->hold_s > 0)
		e.hold_until = now + d->options->hold_s;
	if (d->options->expire_s > 0)
		e.expires_at = now + d->options->hold_s + d->options->expire_s;
	buf_init(&trace_head, 1024);
	buf_init(&trace_tail, 1024);
	buf_printf(&trace_head,
	    "Received: by %s (Outpost, from userid %u)\r\n\tid ",
	    d->conf->localname, (uint32_t)getuid());
	buf_printf(&trace_tail, ";\r\n\t%s", d->date);
	e.trace_head = buf_span(&trace_head);
	e.trace_tail = buf_span(&trace_tail);
	if (trace_head.overflow || trace_tail.overflow)
		status = no_memory(d);
	else
		d->submit = submit_open(d->conf->runtime, d->why);
	if (status == 0 && !d->submit)
		status = exit_status_of(d->why);
	if (!d->submit || submit_begin(d->submit, &e, d->why) < 0 ||
	    submit_data(d->submit, buf_span(&d->head), d->why) < 0)
		status = exit_status_of(d->why);
	buf_clear(&trace_head);
	buf_clear(&trace_tail);
	return status;
}

static int gather_body(struct draft *d)
{
	int status = 0;

	while (!d->is_at_end && d->body.len < HOLD_BYTES && status == 0)
		status = read_some(d);
	return status;
}

static int submit_body(struct draft *d)
{
	for (;;) {
		int status;

		if (submit_data(d->submit, buf_span(&d->body), d->why) < 0)
			return exit_status_of(d->why);
		if (d->is_at_end)
			break;
		buf_reset(&d->body);
		status = read_some(d);
		if (status != 0)
			return status;
	}
	return submit_end(d->submit, &d->id, d->why) < 0
		   ? exit_status_of(d->why)
		   : 0;
}

static int refuse_without_recipients(struct draft *d)
{
	if (d->options->reads_header || d->options->nrecipients > 0)
		return 0;
	outcome_perm(d->why, "5.5.4",
	    "no recipients; name some as arguments, or give -t to take them "
	    "from the header");
	return EX_USAGE;
}

static int (*const stages[])(struct draft *) = {
	refuse_without_recipients,
	set_sender,
	add_arguments,
	read_header,
	set_recipients,
	set_head,
	gather_body,
	begin_submission,
	submit_body,
};

int send_message(const struct options *options, const struct conf *conf,
    uint64_t *id, struct outcome *why)
{
	struct draft d;
	int status = 0;

	draft_init(&d, options, conf, why);
	for (size_t i = 0;
	     i < sizeof(stages) / sizeof(stages[0]) && status == 0; i++)
		status = stages[i](&d);
	*id = d.id;
	draft_clear(&d);
	return status;
}
