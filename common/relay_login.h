/* The files of a relay's login: read by whoever has the rights for it. A file
 * that others can read is refused: what is in it is no secret any more.
 */
#ifndef COMMON_RELAY_LOGIN_H
#define COMMON_RELAY_LOGIN_H

#include "common/conf.h"
#include "common/outcome.h"

struct relay_login {
	struct buf password, certificate, key; /* empty where none is named */
};

/* By name or by certificate. */
bool relay_has_login(const struct conf_relay *relay);

/* What the relay's password-file, certificate and key hold, the line end that
 * editors leave cut off the password. 0, or -1 with *why (5.3.5: the setting,
 * file and fault) and nothing kept. */
int relay_login_read(const struct conf_relay *relay, struct relay_login *login,
    struct outcome *why);
/* Wipes. */
void relay_login_clear(struct relay_login *login);

#endif
