/* A whole SMTP session against a client that says anything. The first byte
 * chooses the settings and how the queue answers; the input then comes in
 * pieces. Whatever comes: what is passed on keeps the content rule and adds
 * up, replies are whole lines, and memory is bounded.
 */
#include "inject/session.h"

#include "common/address.h"

#include <stdlib.h>

enum { OPEN_MAX = SESSION_PENDING_MAX + 1, PIECE = 97 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct smtp_session *s;
	unsigned mode;
	uint64_t numbers, open; /* open: the one under way */
	uint64_t ended[OPEN_MAX];
	size_t nended;
	uint64_t sent;
	char last; /* byte sent on */
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool has_queue(void *arg)
{
	return (((struct world *)arg)->mode & 7) != 7;
}

static void check_text(struct span s)
{
	check(!span_has_line_breaks(s));
}

static uint64_t begin(const struct envelope *e, void *arg)
{
	struct world *w = arg;
	struct address a;

	check(w->open == 0 && e->nrecipients > 0);
	check_text(e->sender);
	check_text(e->envid);
	check_text(e->client);
	for (size_t i = 0; i < e->nrecipients; i++) {
		check(address_parse(e->recipients[i].address, &a, NULL) == 0);
		check_text(e->recipients[i].orcpt);
	}
	if ((w->mode & 7) == 6)
		return 0;
	w->sent = 0;
	w->last = '\n';
	w->open = ++w->numbers;
	return w->open;
}

static void on_data(uint64_t number, struct span bytes, void *arg)
{
	struct world *w = arg;
	struct outcome why;

	check(number == w->open && bytes.n > 0);
	for (size_t i = 0; i < bytes.n; i++) {
		check(bytes.p[i] != '\0');
		check((w->last == '\r') == (bytes.p[i] == '\n'));
		w->last = bytes.p[i];
	}
	w->sent += bytes.n;
	if ((w->mode & 7) == 5) {
		outcome_temp(&why, "4.3.1", "full");
		w->open = 0;
		smtp_refused(w->s, number, &why);
	}
}

static void on_end(uint64_t number, uint64_t total, void *arg)
{
	struct world *w = arg;

	check(number == w->open && total == w->sent && w->last == '\n');
	check(w->nended < OPEN_MAX);
	w->open = 0;
	w->ended[w->nended++] = number;
}

static void on_abort(uint64_t number, void *arg)
{
	struct world *w = arg;

	check(number == w->open);
	w->open = 0;
}

static const struct smtp_hooks hooks = { has_queue, begin, on_data, on_end,
	on_abort, NULL, NULL };

/* From the front or from the back, accepted or refused. */
static void answer(struct world *w)
{
	struct outcome why;

	while (w->nended > 0) {
		uint64_t number = w->ended[w->nended - 1];

		if (w->mode & 8) {
			number = w->ended[0];
			memmove(w->ended, w->ended + 1,
			    sizeof(w->ended) - sizeof(w->ended[0]));
		}
		w->nended--;
		outcome_perm(&why, "5.7.1", "no");
		if (number & 1)
			smtp_accepted(w->s, number, number);
		else
			smtp_refused(w->s, number, &why);
	}
}

static void check_replies(struct world *w)
{
	struct buf *out = smtp_output(w->s);

	check(out->len < 4 * SESSION_REPLIES_MAX);
	check(out->len == 0 || out->data[out->len - 1] == '\n');
	buf_reset(out);
}

/* Returns how much of the piece is left for later. */
static size_t give(struct world *w, char *piece, size_t n)
{
	size_t used = smtp_input(w->s, piece, n, 0);

	check(used <= n);
	if (smtp_wants_tls(w->s) && smtp_output(w->s)->len == 0)
		smtp_tls_started(w->s);
	if (w->mode & 16 || smtp_is_blocked(w->s))
		answer(w);
	check_replies(w);
	return n - used;
}

static void run(struct world *w, const char *in, size_t size)
{
	struct buf piece;

	buf_init(&piece, 1 << 20);
	while (size > 0 && !smtp_is_over(w->s)) {
		size_t n = w->mode & 32 ? PIECE : 1 + size / 2, left;

		n = n < size ? n : size;
		buf_put(&piece, in, n);
		in += n;
		size -= n;
		left = give(w, piece.data, piece.len);
		buf_consume(&piece, piece.len - left);
	}
	buf_clear(&piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_settings settings = {
		.localname = "mx.example", .message_size = 1000, .recipients = 5
	};
	const struct smtp_client client = { "192.0.2.1", true, UINT32_MAX };
	struct world w = { 0 };

	if (size < 1)
		return 0;
	w.mode = data[0];
	settings.has_starttls = w.mode & 64;
	settings.has_chunking = !(w.mode & 128);
	w.s = smtp_new(&settings, &client, &hooks, &w);
	smtp_greet(w.s);
	run(&w, (const char *)data + 1, size - 1);
	answer(&w);
	smtp_free(w.s);
	check(w.open == 0);
	return 0;
}
