/* What is asked of TLS with one host. */
#include "remote/tls_demand.h"

#include <stdarg.h>
#include <stdio.h>

static enum tls_check check_of(uint8_t kind)
{
	if (kind == TLS_POLICY_DANE)
		return TLS_CHECK_DANE;
	return kind == TLS_POLICY_STS ? TLS_CHECK_PKIX : TLS_CHECK_NONE;
}

struct tls_demand tls_demand_of(
    const struct session *session, const struct host *host)
{
	const struct host_policy *policy = &host->policy;
	uint8_t check = check_of(policy->kind);
	struct tls_demand d = { .level = session->tls };

	d.is_required = d.level >= TLS_REQUIRE;
	if (d.level == TLS_VERIFY)
		d.check = TLS_CHECK_PKIX;
	if (d.level == TLS_NONE || policy->kind == TLS_POLICY_NONE)
		return d;
	if (policy->is_shadow) {
		d.is_shadow = true;
		d.shadow = check;
		return d;
	}
	d.policy = policy->kind;
	d.is_required = true;
	if (d.check < check)
		d.check = check;
	return d;
}

void tls_demand_blind(struct tls_demand *d)
{
	if (d->shadow == TLS_CHECK_DANE)
		d->shadow = TLS_CHECK_NONE;
	if (d->check != TLS_CHECK_DANE)
		return;
	d->check = d->level == TLS_VERIFY ? TLS_CHECK_PKIX : TLS_CHECK_NONE;
	d->policy = TLS_POLICY_DANE_BLIND;
}

const char *tls_policy_word(uint8_t kind)
{
	static const char *const words[] = { "none", "dane", "dane-blind",
		"sts" };

	return kind < sizeof(words) / sizeof(*words) ? words[kind] : "none";
}

const char *tls_demand_word(const struct tls_demand *d)
{
	static const char *const levels[] = { "none", "may", "require",
		"verify" };

	if (d->policy != TLS_POLICY_NONE)
		return tls_policy_word(d->policy);
	return levels[d->level < 4 ? d->level : TLS_VERIFY];
}

void tls_demand_explain(const struct tls_demand *d, const struct host *host,
    bool is_certificate, struct buf *out)
{
	struct span domain = host->policy.domain;

	if (domain.n == 0)
		domain = host->name;
	if (d->policy == TLS_POLICY_STS)
		buf_printf(out, "; the MTA-STS policy of %.*s asks for it",
		    (int)domain.n, domain.p);
	else if (d->policy != TLS_POLICY_NONE)
		buf_printf(out, "; the TLSA records of %.*s ask for it (DANE)",
		    (int)domain.n, domain.p);
	else if (d->level == TLS_VERIFY)
		buf_printf(out, "; tls = \"verify\" asks for it, %s",
		    is_certificate ? "\"require\" would send without this check"
				   : "\"may\" would send in clear");
	else if (d->level == TLS_REQUIRE)
		buf_puts(out, "; tls = \"require\" asks for it, \"may\" would "
			      "send in clear");
}

const char *tls_verified_word(uint8_t verified)
{
	static const char *const words[TLS_VERIFIED_COUNT] = { "no", "pkix",
		"dane-ee", "dane-ta" };

	return verified < TLS_VERIFIED_COUNT ? words[verified] : "no";
}

int tls_verdict_set(
    struct tls_verdict *v, enum tls_result result, const char *format, ...)
{
	char text[sizeof(v->why.detail)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	v->verified = TLS_VERIFIED_NO;
	v->result = (uint8_t)result;
	return outcome_temp(&v->why, "4.7.5", "%s", text);
}

void tls_verdict_accept(struct tls_verdict *v, enum tls_verified verified)
{
	v->verified = (uint8_t)verified;
	v->result = TLS_RESULT_OK;
	outcome_ok(&v->why);
}
