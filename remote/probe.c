/* The prober: a process for each look, its answer passed on. */
#include "remote/probe.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/sandbox.h"
#include "common/wire.h"
#include "remote/castore.h"
#include "remote/probe_look.h"
#include "remote/tls_client.h"

enum {
	ASKER_FD = 3,
	LOOKS_MAX = 64, /* at once; more wait in the stream */
	PROBE_SIZE_MAX = 524288,
	ANSWER_SIZE_MAX = 262144,
	SEND_MS = 10000,
};

struct prober;

struct looker {
	struct prober *prober;
	struct wire *wire; /* NULL: free */
	pid_t pid;
	uint64_t id;
	bool has_answered;
};

struct prober {
	struct loop *loop;
	struct castore *store;
	SSL_CTX *tls;
	struct wire *asker;
	struct looker lookers[LOOKS_MAX];
	size_t nlookers;
};

/* --- in the process of one look ------------------------------------------- */

static void look(struct prober *p, int fd, uint64_t id, struct span payload)
{
	const struct sandbox sandbox = { .program = "outpost-probe look",
		.allows = SANDBOX_CONNECT };
	static const struct wire_rule none[] = { { 0 } };
	struct reader r = reader_of(payload);
	struct probe probe;
	struct wire *wire;
	struct buf answer;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* nothing of the others: neither their answers nor the asker */
	close_range(ASKER_FD, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0u, 0);
	sandbox_enter(&sandbox);
	wire = wire_new(NULL, fd, "prober", none, NULL, NULL);
	if (!wire || probe_get(&r, &probe) < 0 || !reader_is_done(&r))
		_exit(EXIT_FAILURE);
	buf_init(&answer, ANSWER_SIZE_MAX);
	probe_look(&probe, p->tls, &answer);
	if (answer.overflow)
		_exit(EXIT_FAILURE);
	wire_send(wire, MSG_PROBED, id, buf_span(&answer));
	_exit(wire_flush(wire, deadline_in_ms(SEND_MS)) < 0);
}

/* --- the prober ------------------------------------------------------------*/

static void answer_failed(struct prober *p, uint64_t id, const char *why)
{
	struct probed failed = { 0 };
	struct buf payload;

	outcome_temp(&failed.outcome, "4.3.0", "%s", why);
	buf_init(&payload, 1000);
	probed_put(&payload, &failed);
	wire_send(p->asker, MSG_PROBED, id, buf_span(&payload));
	buf_clear(&payload);
}

static void on_probed(struct wire *wire, struct message *message, void *arg)
{
	struct looker *l = arg;

	(void)wire;
	if (l->has_answered)
		return;
	l->has_answered = true;
	wire_send(l->prober->asker, MSG_PROBED, l->id, message->payload);
}

static void on_looker_closed(struct wire *wire, const char *why, void *arg)
{
	struct looker *l = arg;
	struct prober *p = l->prober;

	(void)why;
	l->wire = NULL;
	wire_free(wire);
	waitpid(l->pid, NULL, 0);
	if (!l->has_answered)
		answer_failed(p, l->id, "the look at the server broke off");
	if (p->nlookers-- == LOOKS_MAX)
		wire_resume(p->asker);
}

static const struct wire_rule looker_rules[] = {
	{ MSG_PROBED, ANSWER_SIZE_MAX, on_probed },
	{ 0 },
};

static struct looker *free_looker(struct prober *p)
{
	for (size_t i = 0; i < LOOKS_MAX; i++)
		if (!p->lookers[i].wire)
			return &p->lookers[i];
	BUG("asked for more looks than there is room for");
}

static void on_probe(struct wire *wire, struct message *message, void *arg)
{
	struct prober *p = arg;
	struct looker *l = free_looker(p);
	int fds[2];

	if (wire_pair(fds) < 0) {
		answer_failed(p, message->id, strerror(errno));
		return;
	}
	*l = (struct looker){ .prober = p, .id = message->id };
	l->pid = fork();
	if (l->pid == 0) {
		close(fds[0]);
		look(p, fds[1], message->id, message->payload);
	}
	close(fds[1]);
	if (l->pid < 0) {
		close(fds[0]);
		answer_failed(p, message->id, "no process for it");
		return;
	}
	l->wire = wire_new(
	    p->loop, fds[0], "look", looker_rules, on_looker_closed, l);
	if (!l->wire)
		fatal(EXIT_TRY_LATER, "no memory for a look");
	if (++p->nlookers == LOOKS_MAX)
		wire_pause(wire);
}

static const struct wire_rule asker_rules[] = {
	{ MSG_PROBE, PROBE_SIZE_MAX, on_probe },
	{ 0 },
};

/* Nobody waits for what the looks may still find. */
static void on_asker_closed(struct wire *wire, const char *why, void *arg)
{
	struct prober *p = arg;

	(void)why;
	for (size_t i = 0; i < LOOKS_MAX; i++)
		if (p->lookers[i].wire)
			kill(p->lookers[i].pid, SIGKILL);
	p->asker = NULL;
	wire_free(wire);
	loop_stop(p->loop);
}

int probe_serve(const char *ca_file)
{
	const struct sandbox sandbox = { .program = "outpost-probe",
		.allows = SANDBOX_CONNECT | SANDBOX_FORK | SANDBOX_UNIX };
	static struct prober p;

	p.loop = loop_new();
	p.store = castore_load(ca_file);
	p.tls = p.store ? tls_client_new(p.store) : NULL;
	if (!p.loop || !p.tls)
		fatal(EXIT_TRY_LATER, "no memory for TLS");
	sandbox_enter(&sandbox);
	p.asker = wire_new(
	    p.loop, ASKER_FD, "dnscheck", asker_rules, on_asker_closed, &p);
	if (!p.asker)
		fatal(EXIT_TRY_LATER, "dnscheck: %s", strerror(errno));
	wire_refuse_fds(p.asker);
	if (loop_run(p.loop) < 0)
		fatal(EXIT_TRY_LATER, "waiting: %s", strerror(errno));
	SSL_CTX_free(p.tls);
	castore_free(p.store);
	loop_free(p.loop);
	return 0;
}
