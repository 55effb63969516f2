/* What a look finds, as findings. */
#include "dnscheck/look_found.h"

#include <stdio.h>

#define TEXT(...) finding_text(&run->findings, __VA_ARGS__)

enum { EXPIRES_SOON_S = 14 * 86400 };

const char *look_server(struct run *run, const struct look *look)
{
	return TEXT("%s:%u", look->host, look->port);
}

static void say(
    struct run *run, const struct look *look, const struct finding *finding)
{
	struct finding f = *finding;

	f.subject = look_server(run, look);
	run_found(run, look->place, &f);
}

bool look_names_ok(
    struct run *run, struct look *look, const struct look_codes *codes)
{
	struct finding f = { .code = codes->unresolved,
		.status = FINDING_FAIL };
	enum look_names names = look_resolve(run, look, &f.found);

	if (names == LOOK_NAMED)
		return true;
	f.expected = "a name with addresses";
	f.remedy = "correct the name, or have its owner publish its address";
	if (names == LOOK_UNKNOWN) {
		f.code = codes->not_made;
		f.status = FINDING_SKIP;
		f.expected = "an answer of the DNS";
		f.remedy = "see the findings about the resolvers";
	}
	say(run, look, &f);
	return false;
}

bool look_add_login(struct run *run, struct look *look,
    const struct conf_relay *relay, const struct look_codes *codes)
{
	struct finding f = { .code = codes->login_unread,
		.status = FINDING_SKIP,
		.expected = "a login to try",
		.remedy = "run this as root, or as the files' owner" };
	struct outcome why;

	if (!relay_has_login(relay))
		return false;
	if (relay->token_command.count > 0) {
		f.found = "the login's token comes of a command, which is run "
			  "by outpost only";
		f.expected = "";
		f.remedy = "see \"outpost status\" of the running server";
		say(run, look, &f);
		return false;
	}
	look->secret = prober_login(run->prober, relay, &why);
	if (look->secret) {
		look->login = relay;
		return true;
	}
	f.found = TEXT("%s", why.detail);
	if (!strstr(why.detail, "ermission denied")) {
		f.status = FINDING_FAIL;
		f.remedy = TEXT("correct that file, or relay \"%s\" (%s)",
		    relay->name, run_where(run, &relay->place));
	}
	say(run, look, &f);
	return false;
}

/* --- how far -------------------------------------------------------------- */

static void explain_end(
    enum look_end end, const struct look_codes *codes, struct finding *f)
{
	f->status = FINDING_FAIL;
	f->expected = "a server that answers";
	f->remedy = "check host and port; whether the server runs; and whether "
		    "a firewall or the provider lets this machine reach it";
	switch (end) {
	case LOOK_REFUSED:
		f->code = codes->refused;
		break;
	case LOOK_TIMEOUT:
		f->code = codes->timeout;
		break;
	case LOOK_NO_ROUTE:
		f->code = codes->unreachable;
		break;
	case LOOK_SILENT:
		f->code = codes->silent;
		f->expected = "a whole greeting, \"220 ...\", in time";
		f->remedy =
		    "check that SMTP is spoken on that port, and whether TLS "
		    "from the first octet is (smtps://, port 465)";
		break;
	case LOOK_BANNER:
		f->code = codes->banner;
		f->expected = "a greeting with 220";
		f->remedy = "what it says is why: ask its operator";
		break;
	case LOOK_EHLO:
		f->code = codes->ehlo;
		f->expected = "250 to EHLO";
		f->remedy = "what it says is why; often it does not like our "
			    "local name";
		break;
	default:
		f->code = codes->not_made;
		f->status = FINDING_SKIP;
		f->expected = "";
		f->remedy = "nothing was learned: try again, with a longer "
			    "--timeout";
		break;
	}
}

bool look_reached(struct run *run, const struct look *look, enum look_end end,
    const struct probed *p, const struct look_codes *codes)
{
	struct finding f = { .code = "" };

	if (end == LOOK_DONE || end >= LOOK_TLS)
		return true;
	explain_end(end, codes, &f);
	f.found = look_why(run, p);
	say(run, look, &f);
	return false;
}

/* --- TLS ------------------------------------------------------------------ */

static bool has_tls(const struct probed *p)
{
	return p->tls.n > 0 && !span_has_prefix_nocase(p->tls, "clear") &&
	       p->expires != 0;
}

static void say_tls(struct run *run, const struct look *look,
    const struct probed *p, const struct look_codes *codes)
{
	struct finding f = { .code = codes->tls_ok };
	int64_t left_s = p->expires - now_utc();

	f.found =
	    TEXT("%s; certificate of %s, until %s", look_text(run, p->tls),
		look_text(run, p->names), look_day(run, p->expires));
	if (left_s < EXPIRES_SOON_S) {
		f.code = codes->tls_expiring;
		f.status = FINDING_WARN;
		f.expected = "two weeks and more";
		f.remedy = "the server's operator renews its certificate";
	}
	say(run, look, &f);
}

static void say_bad(struct run *run, const struct look *look,
    const struct probed *p, const struct look_codes *codes, bool is_asked)
{
	struct finding f = { .code = codes->tls_bad,
		.status = is_asked ? FINDING_FAIL : FINDING_WARN,
		.expected = TEXT("a valid certificate for %s", look->host),
		.remedy = "the server's operator mends its certificate; or its "
			  "name is written here as the certificate has it; or "
			  "the CA that signed it goes into tls { ca-file }" };

	f.found =
	    TEXT("%s (%s)", look_why(run, p), tls_result_name(p->tls_result));
	if (p->expires != 0)
		f.found = TEXT("%s; certificate of %s, until %s", f.found,
		    look_text(run, p->names), look_day(run, p->expires));
	if (!is_asked)
		f.found = TEXT("mail goes encrypted, but to whom is not "
			       "proved: %s",
		    f.found);
	say(run, look, &f);
}

/* Encrypted without proof of whom: would the certificate do? */
static void look_again(struct run *run, const struct look *look,
    const struct probed *p, const struct look_codes *codes)
{
	struct look strict = *look;
	struct probed again;
	enum look_end end;

	look_point(&strict, look);
	strict.tls = TLS_VERIFY;
	strict.login = NULL;
	strict.recipient = NULL;
	end = look_at(run, &strict, &again);
	if (end == LOOK_TLS)
		say_bad(run, look, &again, codes, false);
	else
		say_tls(run, look, p, codes);
}

void look_judge_tls(struct run *run, const struct look *look, enum look_end end,
    const struct probed *p, const struct look_codes *codes)
{
	struct finding none = { .code = codes->tls_none,
		.status = FINDING_WARN,
		.expected = "STARTTLS, or TLS from the first octet",
		.remedy = "use the server's TLS port (smtps://, 465), or have "
			  "its operator turn TLS on" };

	if (look->tls == TLS_NONE)
		return;
	if (end == LOOK_TLS)
		say_bad(run, look, p, codes, true);
	else if (!has_tls(p)) {
		none.found = p->tls.n > 0 ? look_text(run, p->tls)
					  : "no TLS with this server";
		say(run, look, &none);
	} else if (look->tls == TLS_VERIFY) {
		say_tls(run, look, p, codes);
	} else {
		look_again(run, look, p, codes);
	}
}

/* --- login ---------------------------------------------------------------- */

static const char *offered(struct run *run, const struct probed *p)
{
	struct span words = { NULL, 0 };

	if (!look_offers(p->ehlo, "AUTH", &words))
		return "no login";
	return look_text(run, words);
}

bool look_judge_login(struct run *run, const struct look *look,
    enum look_end end, const struct probed *p, const struct look_codes *codes)
{
	struct finding f = { .code = codes->login_ok };

	if (!look->login || end == LOOK_TLS)
		return end != LOOK_TLS;
	if (end == LOOK_LOGIN) {
		f.code = codes->login_refused;
		f.status = FINDING_FAIL;
		f.found =
		    TEXT("%s (offered: %s)", look_why(run, p), offered(run, p));
		f.expected = "235, the login taken";
		f.remedy = TEXT("correct user and password-file of relay "
				"\"%s\" (%s)",
		    look->login->name, run_where(run, &look->login->place));
		say(run, look, &f);
		return false;
	}
	f.found = TEXT("the login of %s was taken (offered: %s)",
	    look->login->user ? look->login->user : "our certificate",
	    offered(run, p));
	say(run, look, &f);
	return true;
}
