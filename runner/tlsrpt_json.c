/* The report as JSON: RFC 8460 section 4.4.
 *
 * Rows of the same policy (kind, domain it is defined for, lines) make one of
 * its "policies", those of the same failure one of its "failure-details".
 */
#include "runner/tlsrpt_report.h"

#include <stdio.h>

#include "common/date.h"
#include "runner/table.h"

enum { DAY_S = 86400 };

static json_t *text_of(struct span s)
{
	return json_stringn(s.p ? s.p : "", s.n);
}

void tlsrpt_contact(const struct tlsrpt_case *c, struct buf *out)
{
	if (c->postmaster && c->postmaster[0])
		buf_puts(out, c->postmaster);
	else
		buf_printf(out, "postmaster@%s", c->localname);
}

void tlsrpt_report_id(const struct tlsrpt_case *c, struct buf *out)
{
	char day[TLS_DAY_BYTES];
	uint64_t key = table_key(c->day, c->domain);

	tls_day_print(c->day, day);
	buf_printf(out, "%s.%016llx@%s", day,
	    (unsigned long long)table_mix(
		key, table_key(1, span_of(c->localname))),
	    c->localname);
}

static const char *type_of(uint8_t policy)
{
	switch (policy) {
	case TLS_POLICY_STS:
		return "sts";
	case TLS_POLICY_DANE:
	case TLS_POLICY_DANE_BLIND:
		return "tlsa";
	default:
		return "no-policy-found";
	}
}

static bool is_same_policy(const struct tls_count *a, const struct tls_count *b)
{
	return strcmp(type_of(a->policy), type_of(b->policy)) == 0 &&
	       span_is_equal(a->policy_domain, b->policy_domain) &&
	       span_is_equal(a->lines, b->lines);
}

static bool is_same_failure(
    const struct tls_count *a, const struct tls_count *b)
{
	return a->result == b->result && span_is_equal(a->host, b->host) &&
	       span_is_equal(a->address, b->address) &&
	       span_is_equal(a->source, b->source);
}

/* "mx-host" of an MTA-STS policy: what stands in its mx: lines. */
static void add_lines(json_t *policy, const struct tls_count *c)
{
	json_t *strings = json_array(), *hosts = json_array();
	struct span rest = c->lines;

	while (rest.n > 0) {
		struct span line = span_cut(&rest, '\n');

		json_array_append_new(strings, text_of(line));
		if (c->policy == TLS_POLICY_STS &&
		    span_has_prefix_nocase(line, "mx: "))
			json_array_append_new(hosts,
			    text_of(span_from(line, sizeof("mx: ") - 1)));
	}
	if (json_array_size(strings) > 0)
		json_object_set(policy, "policy-string", strings);
	if (json_array_size(hosts) > 0)
		json_object_set(policy, "mx-host", hosts);
	json_decref(strings);
	json_decref(hosts);
}

static json_t *policy_object(const struct tls_count *c)
{
	json_t *policy = json_object();

	json_object_set_new(
	    policy, "policy-type", json_string(type_of(c->policy)));
	add_lines(policy, c);
	json_object_set_new(policy, "policy-domain",
	    text_of(c->policy_domain.n ? c->policy_domain : c->domain));
	return policy;
}

static json_t *failure_object(const struct tls_count *c, uint64_t sessions)
{
	json_t *o = json_object();

	json_object_set_new(
	    o, "result-type", json_string(tls_result_name(c->result)));
	if (c->source.n > 0)
		json_object_set_new(o, "sending-mta-ip", text_of(c->source));
	if (c->host.n > 0)
		json_object_set_new(
		    o, "receiving-mx-hostname", text_of(c->host));
	if (c->address.n > 0)
		json_object_set_new(o, "receiving-ip", text_of(c->address));
	json_object_set_new(
	    o, "failed-session-count", json_integer((json_int_t)sessions));
	if (c->reason.n > 0)
		json_object_set_new(
		    o, "failure-reason-code", text_of(c->reason));
	return o;
}

/* Whether an earlier row says the same, as that function sees it. */
static bool is_repeated(const struct tlsrpt_case *c, size_t i, bool is_failure)
{
	for (size_t k = 0; k < i; k++)
		if (is_same_policy(&c->rows[k], &c->rows[i]) &&
		    (!is_failure || is_same_failure(&c->rows[k], &c->rows[i])))
			return true;
	return false;
}

static json_t *failures_of(const struct tlsrpt_case *c, size_t first)
{
	json_t *details = json_array();

	for (size_t i = first; i < c->nrows; i++) {
		const struct tls_count *row = &c->rows[i];
		uint64_t sessions = 0;

		if (row->result == TLS_RESULT_OK ||
		    !is_same_policy(&c->rows[first], row) ||
		    is_repeated(c, i, true))
			continue;
		for (size_t k = i; k < c->nrows; k++)
			if (is_same_policy(row, &c->rows[k]) &&
			    is_same_failure(row, &c->rows[k]))
				sessions += c->rows[k].sessions;
		json_array_append_new(details, failure_object(row, sessions));
	}
	return details;
}

static json_t *policy_report(const struct tlsrpt_case *c, size_t first)
{
	uint64_t sums[2] = { 0, 0 };
	json_t *details = failures_of(c, first);
	json_t *o;

	for (size_t i = first; i < c->nrows; i++)
		if (is_same_policy(&c->rows[first], &c->rows[i]))
			sums[c->rows[i].result != TLS_RESULT_OK] +=
			    c->rows[i].sessions;
	o = json_pack("{s:o, s:{s:I, s:I}}", "policy",
	    policy_object(&c->rows[first]), "summary",
	    "total-successful-session-count", (json_int_t)sums[0],
	    "total-failure-session-count", (json_int_t)sums[1]);
	if (json_array_size(details) > 0)
		json_object_set(o, "failure-details", details);
	json_decref(details);
	return o;
}

json_t *tlsrpt_json(const struct tlsrpt_case *c)
{
	char begin[DATE_RFC3339_BYTES], end[DATE_RFC3339_BYTES];
	json_t *policies = json_array(), *o;
	struct buf contact, id;

	buf_init(&contact, ADDRESS_MAX);
	buf_init(&id, ADDRESS_MAX);
	tlsrpt_contact(c, &contact);
	tlsrpt_report_id(c, &id);
	date_print_rfc3339((int64_t)c->day * DAY_S, begin);
	date_print_rfc3339((int64_t)c->day * DAY_S + DAY_S - 1, end);
	for (size_t i = 0; i < c->nrows; i++)
		if (!is_repeated(c, i, false))
			json_array_append_new(policies, policy_report(c, i));
	o = json_pack("{s:s, s:{s:s, s:s}, s:s, s:s, s:o}", "organization-name",
	    c->localname, "date-range", "start-datetime", begin, "end-datetime",
	    end, "contact-info", buf_text(&contact), "report-id", buf_text(&id),
	    "policies", policies);
	buf_clear(&contact);
	buf_clear(&id);
	return o;
}
