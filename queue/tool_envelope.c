/* Envelopes as JSON.
 *
 *   { "format": "outpost-1", "id": "06...", "accepted": TIME,
 *     "sender": "a@example.org", "recipients": [ { "address": "b@example.org",
 *     "notify": [ "failure" ], "orcpt": "rfc822;b@example.org" } ],
 *     "ret": "full" | "headers", "envid": TEXT, "body": "7bit" | "8bit" |
 *     "binary", "smtputf8": BOOL, "requiretls": BOOL, "priority": -9..9,
 *     "line": GROUP, "hold": TIME | "until-released", "expires": TIME,
 *     "size_bytes": N, "crc32c": "8 hex digits", "was": {} }
 *
 * Only format, sender and recipients must be there; null is the same as not
 * being there.
 */
#include "queue/tool_envelope.h"

#include "common/address.h"
#include "common/date.h"
#include "common/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char format_name[] = "outpost-1";
static const char *const ret_names[] = { NULL, "full", "headers" };
static const char *const body_names[] = { "7bit", "8bit", "binary" };
static const struct {
	const char *name;
	uint8_t bit;
} notify_names[] = {
	{ "never", NOTIFY_NEVER },
	{ "success", NOTIFY_SUCCESS },
	{ "failure", NOTIFY_FAILURE },
	{ "delay", NOTIFY_DELAY },
};
enum { NOTIFY_NAMES = sizeof(notify_names) / sizeof(notify_names[0]) };

/* --- values --------------------------------------------------------------- */

static int bad(struct outcome *why, const char *name, const char *expected)
{
	return outcome_perm(why, "5.6.0", "%s: %s", name, expected);
}

static int take_text(const json_t *value, const char *name, size_t max,
    struct span *to, struct outcome *why)
{
	const char *text = json_string_value(value);

	if (!text)
		return bad(why, name, "not a text");
	*to = (struct span){ text, json_string_length(value) };
	if (to->n > max)
		return bad(why, name, "too long");
	if (span_has_line_breaks(*to))
		return bad(why, name, "has a line break");
	return 0;
}

static int take_time(
    const json_t *value, const char *name, uint64_t *to, struct outcome *why)
{
	struct span text = { NULL, 0 };
	int64_t at;

	if (take_text(value, name, 64, &text, why) < 0)
		return -1;
	if (date_parse_rfc3339(text, &at) < 0 || at <= 0)
		return bad(
		    why, name, "not a time such as 2026-12-31T08:00:00Z");
	*to = (uint64_t)at;
	return 0;
}

static int take_bool(
    const json_t *value, const char *name, bool *to, struct outcome *why)
{
	if (!json_is_boolean(value))
		return bad(why, name, "not true or false");
	*to = json_is_true(value);
	return 0;
}

static int take_name(const json_t *value, const char *name,
    const char *const *names, size_t n, uint8_t *to, struct outcome *why)
{
	const char *text = json_string_value(value);

	for (size_t i = 0; text && i < n; i++)
		if (names[i] && strcmp(names[i], text) == 0) {
			*to = (uint8_t)i;
			return 0;
		}
	return bad(why, name, "not a word that it may have");
}

/* --- recipients ----------------------------------------------------------- */

static int take_notify(
    const json_t *value, uint8_t *notify, struct outcome *why)
{
	const json_t *word;
	size_t i, n;

	if (!json_is_array(value))
		return bad(why, "notify", "not a list");
	json_array_foreach(value, i, word)
	{
		const char *text = json_string_value(word);

		for (n = 0; text && n < NOTIFY_NAMES; n++)
			if (strcmp(notify_names[n].name, text) == 0)
				break;
		if (!text || n == NOTIFY_NAMES)
			return bad(why, "notify",
			    "not never, success, failure or delay");
		*notify |= notify_names[n].bit;
	}
	/* RFC 3461 4.1: never stands alone */
	if ((*notify & NOTIFY_NEVER) && *notify != NOTIFY_NEVER)
		return bad(why, "notify", "never stands alone");
	return 0;
}

static int take_address(
    const json_t *value, const char *name, struct span *to, struct outcome *why)
{
	struct outcome detail;
	struct address address;

	if (take_text(value, name, ADDRESS_MAX, to, why) < 0)
		return -1;
	if (address_parse(*to, &address, &detail) < 0)
		return bad(why, name, detail.detail);
	return 0;
}

static int take_recipient(
    const json_t *object, struct recipient *to, struct outcome *why)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return bad(why, "recipients", "not a list of objects");
	json_object_foreach((json_t *)object, name, value)
	{
		int status = 0;

		if (json_is_null(value))
			continue;
		if (strcmp(name, "address") == 0)
			status = take_address(value, name, &to->address, why);
		else if (strcmp(name, "orcpt") == 0)
			status = take_text(
			    value, name, ADDRESS_MAX, &to->orcpt, why);
		else if (strcmp(name, "notify") == 0)
			status = take_notify(value, &to->notify, why);
		else
			status = bad(why, name, "no such member");
		if (status < 0)
			return -1;
	}
	return to->address.n > 0 ? 0
				 : bad(why, "recipients", "one has no address");
}

static int take_recipients(
    struct filed *f, const json_t *value, struct outcome *why)
{
	size_t n = json_array_size(value);
	struct recipient *list;

	if (n == 0 || n > RCPTS_PER_MESSAGE_MAX)
		return bad(why, "recipients", "none, or too many");
	list = calloc(n, sizeof(*list));
	if (!list)
		return outcome_temp(why, "4.3.0", "out of memory");
	f->envelope.recipients = list;
	f->envelope.nrecipients = n;
	for (size_t i = 0; i < n; i++)
		if (take_recipient(json_array_get(value, i), &list[i], why) < 0)
			return -1;
	return 0;
}

/* --- members -------------------------------------------------------------- */

static int take_format(
    struct filed *f, const json_t *value, struct outcome *why)
{
	const char *text = json_string_value(value);

	(void)f;
	if (text && strcmp(text, format_name) == 0)
		return 0;
	return bad(why, "format", "not \"outpost-1\"");
}

static int take_id(struct filed *f, const json_t *value, struct outcome *why)
{
	struct span text = { NULL, 0 };

	if (take_text(value, "id", 32, &text, why) < 0)
		return -1;
	return id_parse(text, &f->id) < 0 ? bad(why, "id", "not an id") : 0;
}

static int take_sender(
    struct filed *f, const json_t *value, struct outcome *why)
{
	if (json_is_string(value) && json_string_length(value) == 0)
		return 0;
	return take_address(value, "sender", &f->envelope.sender, why);
}

static int take_priority(
    struct filed *f, const json_t *value, struct outcome *why)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < -9 || n > 9)
		return bad(why, "priority", "not a number from -9 to 9");
	f->envelope.priority = (int8_t)n;
	return 0;
}

static int take_hold(struct filed *f, const json_t *value, struct outcome *why)
{
	const char *text = json_string_value(value);

	if (text && strcmp(text, "until-released") == 0) {
		f->envelope.hold_until = UINT64_MAX;
		return 0;
	}
	return take_time(value, "hold", &f->envelope.hold_until, why);
}

static int take_size(struct filed *f, const json_t *value, struct outcome *why)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 0)
		return bad(why, "size_bytes", "not a size");
	f->size_bytes = (uint64_t)n;
	f->has_size = true;
	return 0;
}

static int take_crc(struct filed *f, const json_t *value, struct outcome *why)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) != 8 || strspn(text, "0123456789abcdef") != 8)
		return bad(why, "crc32c", "not 8 hexadecimal digits");
	f->crc = (uint32_t)strtoul(text, NULL, 16);
	f->has_crc = true;
	return 0;
}

static int take_accepted(
    struct filed *f, const json_t *value, struct outcome *why)
{
	return take_time(value, "accepted", &f->accepted_at, why);
}

static int take_expires(
    struct filed *f, const json_t *value, struct outcome *why)
{
	return take_time(value, "expires", &f->envelope.expires_at, why);
}

static int take_ret(struct filed *f, const json_t *value, struct outcome *why)
{
	return take_name(value, "ret", ret_names, 3, &f->envelope.ret, why);
}

static int take_body(struct filed *f, const json_t *value, struct outcome *why)
{
	return take_name(value, "body", body_names, 3, &f->envelope.body, why);
}

static int take_envid(struct filed *f, const json_t *value, struct outcome *why)
{
	return take_text(value, "envid", ADDRESS_MAX, &f->envelope.envid, why);
}

static int take_line(struct filed *f, const json_t *value, struct outcome *why)
{
	return take_text(value, "line", 255, &f->envelope.line, why);
}

static int take_utf8(struct filed *f, const json_t *value, struct outcome *why)
{
	return take_bool(value, "smtputf8", &f->envelope.smtputf8, why);
}

static int take_requiretls(
    struct filed *f, const json_t *value, struct outcome *why)
{
	return take_bool(value, "requiretls", &f->envelope.requiretls, why);
}

static int take_nothing(
    struct filed *f, const json_t *value, struct outcome *why)
{
	(void)f;
	(void)value;
	(void)why;
	return 0;
}

static const struct member {
	const char *name;
	bool is_needed;
	int (*take)(struct filed *f, const json_t *value, struct outcome *why);
} members[] = {
	{ "format", true, take_format },
	{ "id", false, take_id },
	{ "accepted", false, take_accepted },
	{ "sender", true, take_sender },
	{ "recipients", true, take_recipients },
	{ "ret", false, take_ret },
	{ "envid", false, take_envid },
	{ "body", false, take_body },
	{ "smtputf8", false, take_utf8 },
	{ "requiretls", false, take_requiretls },
	{ "priority", false, take_priority },
	{ "line", false, take_line },
	{ "hold", false, take_hold },
	{ "expires", false, take_expires },
	{ "size_bytes", false, take_size },
	{ "crc32c", false, take_crc },
	{ "was", false, take_nothing },
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static int check_names(json_t *root, struct outcome *why)
{
	const char *name;
	json_t *value;

	json_object_foreach(root, name, value)
	{
		size_t i = 0;

		while (i < MEMBERS && strcmp(members[i].name, name) != 0)
			i++;
		if (i == MEMBERS)
			return bad(why, name, "no such member");
	}
	return 0;
}

static int take_all(struct filed *f, struct outcome *why)
{
	if (!json_is_object(f->root))
		return outcome_perm(why, "5.6.0", "not an object");
	for (size_t i = 0; i < MEMBERS; i++) {
		const json_t *value = json_object_get(f->root, members[i].name);

		if (value && !json_is_null(value)) {
			if (members[i].take(f, value, why) < 0)
				return -1;
		} else if (members[i].is_needed) {
			return bad(why, members[i].name, "is missing");
		}
	}
	return check_names(f->root, why);
}

int filed_parse(struct span text, struct filed *f, struct outcome *why)
{
	json_error_t error;

	*f = (struct filed){ .envelope = {
				 .origin = ORIGIN_IMPORT, .uid = UINT32_MAX } };
	if (text.n > FILED_BYTES_MAX)
		return outcome_perm(why, "5.6.0", "too large");
	f->root = json_loadb(
	    text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &error);
	if (!f->root)
		return outcome_perm(
		    why, "5.6.0", "line %d: %s", error.line, error.text);
	if (take_all(f, why) == 0)
		return 0;
	filed_clear(f);
	return -1;
}

void filed_clear(struct filed *f)
{
	envelope_free(&f->envelope);
	json_decref(f->root);
	f->root = NULL;
}

/* --- out ------------------------------------------------------------------ */

static int set(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value); /* -1 for NULL */
}

static json_t *text_or_null(struct span text)
{
	return text.n > 0 ? json_stringn(text.p, text.n) : json_null();
}

static json_t *time_or_null(uint64_t at)
{
	char text[DATE_RFC3339_BYTES];

	if (at == 0)
		return json_null();
	if (at == UINT64_MAX)
		return json_string("until-released");
	date_print_rfc3339((int64_t)at, text);
	return json_string(text);
}

static json_t *name_or_null(const char *name)
{
	return name ? json_string(name) : json_null();
}

static json_t *print_recipient(const struct recipient *r)
{
	json_t *object = json_object(), *notify = json_array();
	int status = set(object, "address", text_or_null(r->address));

	for (size_t i = 0; i < NOTIFY_NAMES; i++)
		if (r->notify & notify_names[i].bit)
			status |= json_array_append_new(
			    notify, json_string(notify_names[i].name));
	status |= set(object, "notify", notify);
	status |= set(object, "orcpt", text_or_null(r->orcpt));
	if (status == 0)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *print_recipients(const struct envelope *e)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < e->nrecipients; i++)
		if (json_array_append_new(
			list, print_recipient(&e->recipients[i])) < 0) {
			json_decref(list);
			list = NULL;
		}
	return list;
}

static int print_parameters(json_t *object, const struct envelope *e)
{
	int status = set(object, "ret", name_or_null(ret_names[e->ret]));

	status |= set(object, "envid", text_or_null(e->envid));
	status |= set(object, "body", json_string(body_names[e->body]));
	status |= set(object, "smtputf8", json_boolean(e->smtputf8));
	status |= set(object, "requiretls", json_boolean(e->requiretls));
	status |= set(object, "priority", json_integer(e->priority));
	status |= set(object, "line", text_or_null(e->line));
	status |= set(object, "hold", time_or_null(e->hold_until));
	status |= set(object, "expires", time_or_null(e->expires_at));
	return status;
}

json_t *filed_print(const struct filed *f, json_t *info)
{
	const struct envelope *e = &f->envelope;
	json_t *object = json_object();
	char crc[9];
	int status = set(object, "format", json_string(format_name));

	snprintf(crc, sizeof(crc), "%08" PRIx32, f->crc);
	status |= set(object, "id", json_string(id_text(f->id)));
	status |= set(object, "accepted", time_or_null(f->accepted_at));
	status |= set(object, "sender",
	    json_stringn(e->sender.n ? e->sender.p : "", e->sender.n));
	status |= set(object, "recipients", print_recipients(e));
	status |= print_parameters(object, e);
	status |=
	    set(object, "size_bytes", json_integer((json_int_t)f->size_bytes));
	status |= set(object, "crc32c", json_string(crc));
	if (info)
		status |= json_object_set(object, "was", info);
	if (status == 0)
		return object;
	json_decref(object);
	return NULL;
}
