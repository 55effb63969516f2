/* The login at a relay: what may be used of what the server offers, and what
 * TLS has to do with it. */
#ifndef REMOTE_LOGIN_H
#define REMOTE_LOGIN_H

#include "remote/sasl.h"

#include <openssl/ssl.h>

/* By name: AUTH has to succeed before mail is sent. */
bool login_is_by_name(const struct login *login);

/* The mechanisms (SASL_BIT) that the configuration allows, that the login has
 * what is needed for, and that are among offered. */
uint32_t login_mechanisms(const struct login *login, uint32_t offered,
    const struct sasl_binding *binding);
/* A mechanism with channel binding is allowed, were it offered. */
bool login_may_bind(
    const struct login *login, const struct sasl_binding *binding);

/* What ties a login to this connection; type NULL without TLS, or when TLS has
 * nothing to give. */
void login_bind(SSL *ssl, struct sasl_binding *binding);

/* Whether text has the secret in it, as it is or in base64: it is not to be
 * shown then. */
bool login_is_in(const struct login *login, struct span text);

/* Wipe the secret and the key where they stand: the memory must be ours. */
void login_wipe(struct login *login);

#endif
