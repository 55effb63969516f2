/* Looks at servers as a line would meet them, made by outpost-probe: a process
 * of its own, with one more for each look, so that nothing a server says is
 * read in here but what the look makes of it.
 */
#ifndef DNSCHECK_PROBER_H
#define DNSCHECK_PROBER_H

#include "common/conf.h"
#include "common/deadline.h"
#include "common/messages_probe.h"
#include "common/relay_login.h"

struct prober;

/* Before the sandbox, which is to allow no exec: starts outpost-probe, found
 * beside this program, and reads the logins of the relays. Never NULL: what
 * went wrong is the outcome of every look. */
struct prober *prober_new(const struct conf *conf);
/* Looks that are still made are ended. NULL is fine. */
void prober_free(struct prober *prober);

/* From any thread: have it looked, at most until deadline. *probed is always
 * set; its texts live until prober_free. probe->timeout_ms, for each wait of
 * the look, is shortened to what the deadline leaves. */
void prober_look(struct prober *prober, const struct probe *probe,
    struct probed *probed, struct deadline deadline);

/* The files of that relay's login. NULL with *why: they cannot be read, or
 * what they hold is no secret any more. */
const struct relay_login *prober_login(const struct prober *prober,
    const struct conf_relay *relay, struct outcome *why);

/* Address number i that the hosts file has for a name, 4 or 16 bytes; empty:
 * there are no more. */
struct span prober_hosts_file(
    const struct prober *prober, const char *name, size_t i);

#endif
