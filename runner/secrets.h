/* What the runner keeps of the relays' logins: what the supervisor read or was
 * told by a token-command. Nothing of it is ever printed or logged.
 */
#ifndef RUNNER_SECRETS_H
#define RUNNER_SECRETS_H

#include "common/conf.h"
#include "common/messages.h"

enum {
	TOKEN_MS = 600000, /* a token is used so long, then asked for anew */
	LOGIN_MECHANISMS_MAX = 255,
};

struct secrets;

struct secrets *secrets_new(void);    /* NULL: no memory */
void secrets_free(struct secrets *s); /* wipes; NULL is fine */

/* From MSG_SECRET: replaces all that was known of that relay. From MSG_TOKEN:
 * its token. Both are copied. 0, or -1 without memory. */
int secrets_take(struct secrets *s, const struct relay_secret *secret);
int secrets_take_token(
    struct secrets *s, const struct relay_secret *token, uint64_t now_ms);

/* Forget relays that have no login in this configuration. */
void secrets_keep(struct secrets *s, const struct conf *conf);

/* Whether its token-command has to run before the next session. */
bool secrets_wants_token(
    const struct secrets *s, const struct conf_relay *relay, uint64_t now_ms);
/* The relay refused the login. True when that was by a token which was not
 * asked for because of such a refusal: another one may do. A token is
 * forgotten either way. */
bool secrets_refused_token(struct secrets *s, const struct conf_relay *relay);
/* The relay took the login. */
void secrets_accepted(struct secrets *s, const struct conf_relay *relay);

/* What a session with the relay needs, borrowed until the next take; all empty
 * for a relay without login. 0, or -1 with *why (4.7.0): the file or command
 * gave nothing. */
int secrets_login(struct secrets *s, const struct conf_relay *relay,
    struct login *login, struct outcome *why);

#endif
