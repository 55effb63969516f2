/* A look at servers as a line would meet them, without mail: what dnscheck asks
 * for. One process for each look, confined like a line.
 * Messages: common/messages_probe.h.
 */
#ifndef REMOTE_PROBE_H
#define REMOTE_PROBE_H

/* Serve MSG_PROBE on descriptor 3 until the other side closes it.
 * ca_file: NULL: the system's. Returns the exit status. */
int probe_serve(const char *ca_file);

#endif
