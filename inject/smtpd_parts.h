/* What the parts of the listener share; nobody else includes it.
 *
 *   smtpd.c           the program's life: descriptors handed over, stopping
 *   smtpd_listener.c  new connections and their limits
 *   smtpd_client.c    one connection: bytes, TLS, time limits
 *   smtpd_keeper.c    messages on their way to the keeper
 *   client_count.c    connections of each client address
 */
#ifndef INJECT_SMTPD_PARTS_H
#define INJECT_SMTPD_PARTS_H

#include "common/deadline.h"
#include "common/net.h"
#include "inject/client_count.h"
#include "inject/session.h"
#include "inject/smtpd.h"
#include "inject/tls_server.h"

#include <sys/queue.h>

enum {
	LISTENERS_MAX = 256, /* as in the supervisor */
	INPUT_BYTES = 65536,
	KEEPER_HIGH = 4 << 20, /* bytes queued: stop reading from clients */
	KEEPER_LOW = 1 << 20,
};

struct listener {
	struct smtpd *smtpd;
	int fd;
	uint32_t index;	  /* of its conf block */
	const char *name; /* that block's address */
	struct smtp_settings settings;
	struct network *allow;
	size_t nallow;
	struct tls_server *tls;
	bool is_implicit;
	struct timer again; /* out of descriptors: accept later */
};

struct client {
	struct smtpd *smtpd;
	struct listener *listener;
	int fd;
	union net_address address;
	char peer[NET_TEXT_MAX], ip[NET_TEXT_MAX];
	struct smtp_session *session;
	struct tls_stream *tls;
	bool is_handshaking, is_greeted;
	bool is_cut;	 /* by us: wait a moment before closing */
	bool is_closing; /* all is written; the rest of the input is dropped */
	bool is_held;	 /* not read until the keeper has caught up */
	bool was_receiving;
	uint32_t watched;
	struct buf in; /* what the session could not use yet */
	struct timer timer;
	uint64_t deadline_ms, productive_ms, nmessages;
	unsigned ntransactions; /* that name this client */
	struct deferral step;
	LIST_ENTRY(client) link, held_link;
};
LIST_HEAD(clients, client);

struct slot;

struct smtpd {
	const struct child *child;
	struct loop *loop;
	const struct conf *conf;
	struct listener listeners[LISTENERS_MAX];
	size_t nlisteners;
	struct clients clients, held;
	unsigned nclients, clients_max;
	struct client_count *counts;
	int spare_fd; /* given up to say no when descriptors run out */
	bool is_stopping;
	struct timer stop_timer;
	uint64_t refused_logged_ms; /* refusals are logged once a second */
	unsigned nrefused;
	/* to the keeper */
	struct wire *keeper; /* NULL: not there now */
	struct slot *slots;
	size_t nslots;
	uint32_t free_slot;
	uint64_t ntransactions;
	struct buf scratch;
	char input[INPUT_BYTES];
};

/* smtpd_listener.c */
/* Takes over fds: socket, then certificate and key. */
void listener_open(struct smtpd *d, uint32_t index, const int fds[], int nfds);
void listener_begin(struct listener *l);
/* Another configuration, with the same listen blocks. */
void listener_renew(struct listener *l);
void listener_close(struct listener *l);

/* smtpd_client.c */
/* Takes over fd. */
void client_new(struct listener *l, int fd, const union net_address *address);
void client_free(struct client *c);
/* Do what can be done: at the end of this round. */
void client_step_later(struct client *c);
void client_release(struct client *c); /* is_held no longer */
void client_end(struct client *c, const char *status, const char *text);

/* smtpd_keeper.c */
extern const struct smtp_hooks keeper_hooks; /* arg: struct client */
void keeper_attach(struct smtpd *d, int fd);
bool keeper_is_congested(const struct smtpd *d);
/* Stop reading from this client until the keeper has caught up. */
void keeper_hold(struct client *c);
/* Its transactions are nobody's any more. */
void keeper_forget(struct client *c);

/* smtpd.c */
void smtpd_client_gone(struct smtpd *d);

#endif
