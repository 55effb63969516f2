/* Messages on their way to the keeper: many at once over one stream, told apart
 * by a number that holds the place in a table.
 */
#include "inject/smtpd_parts.h"

#include <stdlib.h>

enum {
	SLOT_BITS = 20,
	SLOTS_MAX = 1 << SLOT_BITS,
	NO_SLOT = SLOTS_MAX,
};

struct slot {
	uint64_t number;       /* 0: free */
	struct client *client; /* NULL: gone */
	uint32_t next_free;
};

static int grow(struct smtpd *d)
{
	size_t n = d->nslots ? d->nslots * 2 : 64;
	struct slot *grown;

	if (n > SLOTS_MAX)
		return -1;
	grown = reallocarray(d->slots, n, sizeof(*grown));
	if (!grown)
		return -1;
	for (size_t i = d->nslots; i < n; i++)
		grown[i] =
		    (struct slot){ .next_free =
				       i + 1 < n ? (uint32_t)i + 1 : NO_SLOT };
	d->free_slot = (uint32_t)d->nslots;
	d->slots = grown;
	d->nslots = n;
	return 0;
}

static struct slot *take_slot(struct smtpd *d, struct client *c)
{
	uint32_t at;

	if ((d->nslots == 0 || d->free_slot == NO_SLOT) && grow(d) < 0)
		return NULL;
	at = d->free_slot;
	d->free_slot = d->slots[at].next_free;
	d->slots[at].number = ++d->ntransactions << SLOT_BITS | at;
	d->slots[at].client = c;
	c->ntransactions++;
	return &d->slots[at];
}

static void free_slot(struct smtpd *d, struct slot *slot)
{
	if (slot->client)
		slot->client->ntransactions--;
	slot->number = 0;
	slot->client = NULL;
	slot->next_free = d->free_slot;
	d->free_slot = (uint32_t)(slot - d->slots);
}

/* NULL: not (or no longer) one of ours. */
static struct slot *find_slot(struct smtpd *d, uint64_t number)
{
	uint64_t at = number & (SLOTS_MAX - 1);

	if (number == 0 || at >= d->nslots || d->slots[at].number != number)
		return NULL;
	return &d->slots[at];
}

/* --- what sessions ask for
 * -----------------------------------------------------*/

static bool has_queue(void *arg)
{
	const struct client *c = arg;

	return c->smtpd->keeper && !c->smtpd->is_stopping;
}

static uint64_t begin(const struct envelope *envelope, void *arg)
{
	struct client *c = arg;
	struct smtpd *d = c->smtpd;
	struct slot *slot;

	buf_reset(&d->scratch);
	envelope_put(&d->scratch, envelope);
	if (!d->keeper || d->scratch.overflow)
		return 0;
	slot = take_slot(d, c);
	if (!slot)
		return 0;
	wire_send(d->keeper, MSG_SUBMIT, slot->number, buf_span(&d->scratch));
	return slot->number;
}

static void data(uint64_t number, struct span bytes, void *arg)
{
	struct smtpd *d = ((struct client *)arg)->smtpd;

	while (d->keeper && bytes.n > 0) {
		struct span part = bytes;

		if (part.n > DATA_CHUNK_MAX)
			part.n = DATA_CHUNK_MAX;
		wire_send(d->keeper, MSG_SUBMIT_DATA, number, part);
		bytes = span_from(bytes, part.n);
	}
}

static void end(uint64_t number, uint64_t total, void *arg)
{
	struct smtpd *d = ((struct client *)arg)->smtpd;

	if (!d->keeper)
		return;
	buf_reset(&d->scratch);
	put_u64(&d->scratch, total);
	wire_send(d->keeper, MSG_SUBMIT_END, number, buf_span(&d->scratch));
}

static void forget(uint64_t number, void *arg)
{
	struct smtpd *d = ((struct client *)arg)->smtpd;
	struct slot *slot = find_slot(d, number);

	if (d->keeper)
		wire_send(
		    d->keeper, MSG_SUBMIT_ABORT, number, (struct span){ 0 });
	if (slot)
		free_slot(d, slot);
}

static void said(bool by_client, struct span line, void *arg)
{
	const struct client *c = arg;

	if (log_get_level() == LOG_LEVEL_DETAILED)
		log_detail(by_client ? "smtp-command" : "smtp-reply", "client",
		    c->peer, "line", log_escape(line), NULL);
}

static void cut(const char *why, void *arg)
{
	struct client *c = arg;

	c->is_cut = true;
	log_event("client-cut", "client", c->peer, "listener",
	    c->listener->name, "why", why, NULL);
}

const struct smtp_hooks keeper_hooks = { has_queue, begin, data, end, forget,
	said, cut };

/* --- what the keeper answers
 * ---------------------------------------------------*/

static void on_accepted(struct wire *wire, struct message *message, void *arg)
{
	struct smtpd *d = arg;
	struct slot *slot = find_slot(d, message->id);
	struct reader r = reader_of(message->payload);
	uint64_t id = get_u64(&r);
	struct client *c;

	(void)wire;
	if (!slot)
		return;
	c = slot->client;
	free_slot(d, slot);
	if (!c)
		return;
	smtp_accepted(c->session, message->id, id);
	client_step_later(c);
}

static void refuse(
    struct smtpd *d, struct slot *slot, const struct outcome *why)
{
	struct client *c = slot->client;
	uint64_t number = slot->number;

	free_slot(d, slot);
	if (!c)
		return;
	smtp_refused(c->session, number, why);
	client_step_later(c);
}

static void on_refused(struct wire *wire, struct message *message, void *arg)
{
	struct slot *slot = find_slot(arg, message->id);
	struct reader r = reader_of(message->payload);
	struct outcome why;

	(void)wire;
	outcome_get(&r, &why);
	if (slot)
		refuse(arg, slot, &why);
}

static void release_all(void *arg)
{
	struct smtpd *d = arg;

	while (!LIST_EMPTY(&d->held))
		client_release(LIST_FIRST(&d->held));
}

static void lose_keeper(struct smtpd *d, const char *text)
{
	struct outcome why;

	log_warn("keeper-gone", "why", text, NULL);
	wire_free(d->keeper);
	d->keeper = NULL;
	outcome_temp(
	    &why, "4.3.0", "the mail queue went away, try again later");
	for (size_t i = 0; i < d->nslots; i++)
		if (d->slots[i].number)
			refuse(d, &d->slots[i], &why);
	release_all(d);
}

static void on_closed(struct wire *wire, const char *text, void *arg)
{
	struct smtpd *d = arg;

	(void)wire;
	child_peer_lost(d->child, ROLE_QUEUED);
	lose_keeper(d, text);
}

static const struct wire_rule rules[] = {
	{ MSG_ACCEPTED, 8, on_accepted },
	{ MSG_REFUSED, 1024, on_refused },
	{ 0 },
};

void keeper_attach(struct smtpd *d, int fd)
{
	struct wire *wire =
	    wire_new(d->loop, fd, "keeper", rules, on_closed, d);

	if (!wire) {
		log_warn("keeper-not-attached", NULL);
		return;
	}
	if (d->keeper)
		lose_keeper(d, "replaced");
	d->keeper = wire;
}

bool keeper_is_congested(const struct smtpd *d)
{
	return d->keeper && wire_queued(d->keeper) > KEEPER_HIGH;
}

void keeper_hold(struct client *c)
{
	if (c->is_held)
		return;
	c->is_held = true;
	LIST_INSERT_HEAD(&c->smtpd->held, c, held_link);
	wire_when_low(c->smtpd->keeper, KEEPER_LOW, release_all, c->smtpd);
}

void keeper_forget(struct client *c)
{
	struct smtpd *d = c->smtpd;

	if (c->is_held)
		LIST_REMOVE(c, held_link);
	for (size_t i = 0; c->ntransactions > 0 && i < d->nslots; i++)
		if (d->slots[i].client == c) {
			d->slots[i].client = NULL;
			c->ntransactions--;
		}
}
