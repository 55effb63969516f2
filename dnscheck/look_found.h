/* What a look finds, as findings: alike for servers and relays, each with codes
 * of its own. */
#ifndef DNSCHECK_LOOK_FOUND_H
#define DNSCHECK_LOOK_FOUND_H

#include "dnscheck/look.h"

struct look_codes {
	const char *not_made, *unresolved, *refused, *timeout, *unreachable,
	    *silent, *banner, *ehlo;
	const char *tls_ok, *tls_none, *tls_bad, *tls_expiring;
	const char *login_ok, *login_refused, *login_unread;
};

/* "mail.example.com:587" of the look's server. */
const char *look_server(struct run *run, const struct look *look);
/* Find its addresses; false: the finding says why not. */
bool look_names_ok(
    struct run *run, struct look *look, const struct look_codes *codes);
/* Log in with it; false: the finding says why it is not tried. */
bool look_add_login(struct run *run, struct look *look,
    const struct conf_relay *relay, const struct look_codes *codes);
/* It came as far as an answer to EHLO; false: the finding says why not. */
bool look_reached(struct run *run, const struct look *look, enum look_end end,
    const struct probed *p, const struct look_codes *codes);
/* TLS: none, its certificate, its end; what a level of "verify" would say is
 * looked at in a second look without login where the first did not ask. */
void look_judge_tls(struct run *run, const struct look *look, enum look_end end,
    const struct probed *p, const struct look_codes *codes);
/* Nothing without a login; true: it was taken, or none was needed. */
bool look_judge_login(struct run *run, const struct look *look,
    enum look_end end, const struct probed *p, const struct look_codes *codes);

#endif
