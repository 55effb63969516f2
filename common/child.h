/* The stages that every child of the supervisor goes through, in this order:
 * options; configuration (from the supervisor, descriptor 3); what needs
 * privilege; drop privileges; sandbox; ready; serve.
 */
#ifndef COMMON_CHILD_H
#define COMMON_CHILD_H

#include "common/conf.h"
#include "common/loop.h"
#include "common/messages.h"
#include "common/sandbox.h"
#include "common/wire.h"

struct child {
	struct loop *loop;
	struct conf *conf; /* replaced on reload, after on_reload returned */
	struct wire *supervisor;
	void *state;		    /* the program's own */
	uint64_t peers[ROLE_COUNT]; /* numbers of the latest streams */
};

struct child_program {
	const char *name; /* "outpost-queued" */
	const char *user; /* "outpost-q" */
	unsigned sandbox; /* SANDBOX_* */
	/* Open what needs privilege or the file system. May add folders that
	 * the sandbox must leave open to sandbox->read/write. fatal() inside
	 * on failure. */
	void (*open)(struct child *child, struct sandbox *sandbox);
	/* The same as the program's own user, before the sandbox: for what
	 * creates files, which must not belong to root. */
	void (*prepare)(struct child *child, struct sandbox *sandbox);
	/* A descriptor from the supervisor, taken over. */
	void (*on_listener)(struct child *child, enum listener_kind kind,
	    uint32_t index, int fds[], int nfds);
	void (*on_peer)(struct child *child, enum role role, int fd);
	/* All has been sent; afterwards READY is reported. */
	void (*on_run)(struct child *child);
	void (*on_outbound)(struct child *child, bool on, struct span scope);
	/* MSG_SECRET or MSG_TOKEN; the span is wiped afterwards. */
	void (*on_secret)(struct child *child, const struct message *message);
	/* The new configuration; NULL hook: the program is restarted instead.*/
	void (*on_reload)(struct child *child, struct conf *fresh);
	/* What was read before the sandbox is another now (the id of
	 * MSG_CONFIG): end soon. NULL hook: as on_stop, with 30 s. */
	void (*on_outdated)(struct child *child);
	/* Finish what is in hand and call loop_stop, within grace_ms. */
	void (*on_stop)(struct child *child, uint32_t grace_ms);
	/* Called after every round of the loop (group commit, pushes). */
	void (*after_round)(struct child *child);
};

/* The stream to that program broke. When it has not died, both get a new one
 * in a while. */
void child_peer_lost(const struct child *child, enum role role);

/* The whole life of the program; returns its exit status. When the supervisor
 * goes away the child stops as if told to, with 5 s of grace. SIGTERM and
 * SIGINT are ignored: only the supervisor stops a child. */
int child_main(int argc, char **argv, const struct child_program *program);

#endif
