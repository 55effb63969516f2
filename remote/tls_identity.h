/* Our own certificate, for servers that ask for one (AUTH EXTERNAL). */
#ifndef REMOTE_TLS_IDENTITY_H
#define REMOTE_TLS_IDENTITY_H

#include "common/messages.h"

#include <openssl/ssl.h>

/* Give the login's certificate (with its chain) and key to ssl; nothing when
 * it has none. The key may stand in the certificate's text. 0, or -1 with
 * *why (4.7.5). */
int tls_identity_use(SSL *ssl, const struct login *login, struct outcome *why);

#endif
