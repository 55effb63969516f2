/* Client of the keeper's submission socket. */
#include "common/submit.h"

#include "common/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	CONNECT_WAIT_MS = 2000,
	CONNECT_PAUSE_MS = 50,
	/* A keeper behind a slow disk; RFC 5321 4.5.3.2.6 gives ten minutes. */
	ANSWER_WAIT_MS = 600 * 1000,
	STEP_MS = 1000,
	GATHER_BYTES = 4 * DATA_CHUNK_MAX,
	TRANSACTION = 1,
};

struct submit {
	struct wire *wire;
	uint64_t sent; /* bytes of the message */
};

static const struct wire_rule rules[] = {
	{ MSG_ACCEPTED, 8, NULL },
	{ MSG_REFUSED, 1024, NULL },
	{ 0, 0, NULL },
};

struct submit *submit_new(int fd, struct outcome *why)
{
	struct submit *s = calloc(1, sizeof(*s));

	if (s)
		s->wire = wire_new(NULL, fd, "keeper", rules, NULL, NULL);
	if (s && s->wire)
		return s;
	free(s);
	outcome_temp(why, "4.3.0", "out of memory");
	return NULL;
}

static void pause_ms(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

/* Not there yet, or its backlog is full. */
static bool may_come_up(int error)
{
	return error == ENOENT || error == ECONNREFUSED || error == EAGAIN;
}

struct submit *submit_open(const char *runtime, struct outcome *why)
{
	struct deadline deadline = deadline_in_ms(CONNECT_WAIT_MS);
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/submit.sock", runtime);
	while ((fd = wire_connect(path)) < 0) {
		int error = errno;

		if (may_come_up(error) && !deadline_is_over(deadline)) {
			pause_ms(CONNECT_PAUSE_MS);
			continue;
		}
		outcome_temp(why, "4.3.2",
		    "cannot reach the mail queue: %s; %s; start it with "
		    "\"outpost start\", or try again later",
		    strerror(error), path);
		return NULL;
	}
	return submit_new(fd, why);
}

void submit_free(struct submit *s)
{
	if (!s)
		return;
	wire_free(s->wire);
	free(s);
}

int submit_begin(
    struct submit *s, const struct envelope *envelope, struct outcome *why)
{
	struct buf payload;
	int status = 0;

	buf_init(&payload, WIRE_FRAME_MAX);
	envelope_put(&payload, envelope);
	if (payload.starved)
		status = outcome_temp(why, "4.3.0", "out of memory");
	else if (payload.overflow)
		status = outcome_perm(why, "5.5.3",
		    "the recipients' addresses together are too long; "
		    "send to fewer at a time");
	else
		wire_send(s->wire, MSG_SUBMIT, TRANSACTION, buf_span(&payload));
	buf_clear(&payload);
	return status;
}

/* --- answers -------------------------------------------------------------- */

static int lost(struct outcome *why, const char *what)
{
	return outcome_temp(why, "4.3.0",
	    "the mail queue did not answer: %s; the message may not have been "
	    "queued; try again later",
	    what);
}

static int read_answer(
    const struct message *m, uint64_t *id, struct outcome *why)
{
	struct reader r = reader_of(m->payload);
	struct outcome refusal = { .verdict = VERDICT_TEMP };

	if (m->type == MSG_ACCEPTED) {
		*id = get_u64(&r);
		return reader_is_done(&r) ? 0 : lost(why, "malformed answer");
	}
	outcome_get(&r, &refusal);
	if (!reader_is_done(&r) || refusal.verdict == VERDICT_OK)
		return lost(why, "malformed answer");
	*why = refusal;
	return -1;
}

static int receive_answer(struct submit *s, uint64_t *id, struct outcome *why,
    struct deadline deadline)
{
	struct message m = { 0 };
	int status = wire_receive(s->wire, &m, deadline);

	if (status < 0)
		return lost(why, strerror(errno));
	if (status == 0)
		return lost(why, "it closed the connection");
	return read_answer(&m, id, why);
}

static bool has_answer(const struct submit *s)
{
	struct pollfd p = { .fd = wire_fd(s->wire), .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* An answer before the end can only be a refusal. */
static int refused_early(struct submit *s, struct outcome *why)
{
	uint64_t id;

	if (receive_answer(s, &id, why, deadline_in_ms(0)) < 0)
		return -1;
	return lost(why, "answered before the end");
}

/* Write all that is queued; look up now and then whether the keeper has
 * refused and no longer reads. */
static int write_all(struct submit *s, struct outcome *why)
{
	struct deadline deadline = deadline_in_ms(ANSWER_WAIT_MS);

	while (wire_flush(s->wire,
		   deadline_min(deadline, deadline_in_ms(STEP_MS))) < 0) {
		int error = errno;

		if (has_answer(s))
			return refused_early(s, why);
		if (error != ETIMEDOUT || deadline_is_over(deadline))
			return lost(why, strerror(error));
	}
	return 0;
}

int submit_data(struct submit *s, struct span data, struct outcome *why)
{
	while (data.n > 0) {
		struct span chunk = data;

		if (chunk.n > DATA_CHUNK_MAX)
			chunk.n = DATA_CHUNK_MAX;
		wire_send(s->wire, MSG_SUBMIT_DATA, TRANSACTION, chunk);
		s->sent += chunk.n;
		data = span_from(data, chunk.n);
		if (wire_queued(s->wire) < GATHER_BYTES)
			continue;
		if (write_all(s, why) < 0)
			return -1;
		if (has_answer(s))
			return refused_early(s, why);
	}
	return 0;
}

int submit_end(struct submit *s, uint64_t *id, struct outcome *why)
{
	struct buf total;

	/* From here on the message may be in the queue: what stands between
	 * its being there and our saying so must not fail. */
	if (wire_reserve(s->wire) < 0)
		return outcome_temp(why, "4.3.0", "out of memory");
	buf_init(&total, 8);
	put_u64(&total, s->sent);
	wire_send(s->wire, MSG_SUBMIT_END, TRANSACTION, buf_span(&total));
	buf_clear(&total);
	if (write_all(s, why) < 0)
		return -1;
	return receive_answer(s, id, why, deadline_in_ms(ANSWER_WAIT_MS));
}
