/* One look at one server. */
#ifndef REMOTE_PROBE_LOOK_H
#define REMOTE_PROBE_LOOK_H

#include "common/messages_probe.h"

#include <openssl/ssl.h>

/* Connect, greet, and with may_mail ask whether it would take mail; leave with
 * QUIT. out: the encoded struct probed. */
void probe_look(const struct probe *probe, SSL_CTX *tls, struct buf *out);

#endif
