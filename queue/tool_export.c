/* outpost queue export: messages into a folder.
 *
 * With --delete each message is taken back by the keeper (retract) once its
 * files are on the disk and read back as written. What the keeper does not
 * give back, as some of it was sent or is being sent, loses its files again: a
 * message is then in the queue or in the folder, never in both. A crash
 * between the two leaves it in both, never in none.
 */
#include "queue/tool_item.h"

#include "common/crc32c.h"
#include "common/id.h"
#include "queue/tool_envelope.h"
#include "queue/tool_folder.h"
#include "queue/tool_source.h"
#include "queue/tool_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 256, NAME_BYTES = ID_TEXT_BYTES + 8 };

struct names {
	char eml[NAME_BYTES], json[NAME_BYTES];
};

/* One message as it is now in the queue. */
struct gathered {
	struct buf text; /* what the envelope's spans point into */
	struct envelope envelope;
	uint64_t accepted_at, hold_until;
	bool *is_left; /* of each recipient */
	size_t next, nleft;
	uint16_t attempts;
	bool is_active, is_uncertain, has_stranger, is_starved;
};

struct content {
	int fd;
	uint64_t size;
	uint32_t crc;
	int error;
};

struct exporting {
	struct tool *tool;
	struct folder folder;
	uint64_t *ids;
	size_t nids, cap;
	uint64_t written[BATCH]; /* to be retracted */
	size_t nwritten;
	uint64_t done, gone, failed, left;
	bool is_starved, is_over;
};

static struct names names_of(uint64_t id)
{
	struct names n;

	snprintf(n.eml, sizeof(n.eml), "%s.eml", id_text(id));
	snprintf(n.json, sizeof(n.json), "%s.json", id_text(id));
	return n;
}

static void complain(uint64_t id, const char *what, const char *detail)
{
	fprintf(stderr, "outpost-queue: %s: %s%s%s\n", id_text(id), what,
	    detail ? ": " : "", detail ? text_safe(span_of(detail)) : "");
}

static void report(
    const struct exporting *x, uint64_t id, const char *what, size_t recipients)
{
	if (x->tool->options.is_json)
		json_line(json_pack("{s:s, s:s, s:I}", "id", id_text(id),
		    "status", what, "recipients", (json_int_t)recipients));
}

/* --- gathering ------------------------------------------------------------ */

static void take_envelope(
    uint64_t accepted_at, const struct envelope *e, void *arg)
{
	struct gathered *g = arg;
	struct reader r;

	if (g->is_left)
		return;
	envelope_put(&g->text, e);
	r = reader_of(buf_span(&g->text));
	if (g->text.overflow || envelope_get(&r, &g->envelope) < 0) {
		g->is_starved = true;
		return;
	}
	g->accepted_at = accepted_at;
	g->is_left = calloc(g->envelope.nrecipients + 1, sizeof(bool));
	g->is_starved |= !g->is_left;
}

/* Deliveries keep the envelope's order, mostly: look on from the last. */
static bool mark(struct gathered *g, struct span address)
{
	size_t n = g->envelope.nrecipients;

	for (size_t i = 0; i < n; i++) {
		size_t at = (g->next + i) % n;

		if (g->is_left[at] ||
		    !span_is_equal(g->envelope.recipients[at].address, address))
			continue;
		g->is_left[at] = true;
		g->next = (at + 1) % n;
		g->nleft++;
		return true;
	}
	return false;
}

static bool take_item(const struct item *item, void *arg)
{
	struct gathered *g = arg;
	uint64_t until = item->next_try_ms == UINT64_MAX
			     ? UINT64_MAX
			     : item->next_try_ms / 1000;

	if (item->state == STATE_REPORTING || !g->is_left)
		return true;
	if (!mark(g, item->address))
		g->has_stranger = true;
	g->is_active |= item->state == STATE_ACTIVE;
	g->is_uncertain |= item->uncertain > 0;
	if (item->attempts > g->attempts)
		g->attempts = item->attempts;
	if (item->state == STATE_HELD && until > g->hold_until)
		g->hold_until = until;
	return true;
}

static void gathered_clear(struct gathered *g)
{
	envelope_free(&g->envelope);
	buf_clear(&g->text);
	free(g->is_left);
}

static int gather(
    struct exporting *x, uint64_t id, struct gathered *g, struct outcome *why)
{
	const struct source_visitor visitor = {
		.item = take_item, .envelope = take_envelope, .arg = g
	};

	*g = (struct gathered){ 0 };
	buf_init(&g->text, 64 << 20);
	if (source_show(x->tool->source, id, &visitor, why) < 0)
		return -1;
	if (g->is_starved || !g->is_left)
		return outcome_temp(why, "4.3.0", "out of memory");
	if (g->has_stranger)
		return outcome_perm(why, "5.6.0",
		    "a recipient that is not in its envelope: outpost queue "
		    "verify");
	return 0;
}

/* --- files ---------------------------------------------------------------- */

static void take_content(struct span data, void *arg)
{
	struct content *c = arg;

	c->crc = crc32c(c->crc, data.p, data.n);
	c->size += data.n;
	while (data.n > 0 && c->error == 0) {
		ssize_t n = write(c->fd, data.p, data.n);

		if (n < 0 && errno != EINTR)
			c->error = errno;
		data = span_from(data, n > 0 ? (size_t)n : 0);
	}
}

static int write_content(struct exporting *x, uint64_t id,
    const struct names *names, struct filed *filed, struct outcome *why)
{
	struct content c = { .fd = folder_begin(&x->folder, names->eml, why) };
	const struct source_visitor visitor = { .body = take_content,
		.arg = &c };
	int status;

	if (c.fd < 0)
		return -1;
	status = source_body(x->tool->source, id, &visitor, why);
	if (close(c.fd) < 0 && c.error == 0)
		c.error = errno;
	if (status == 0 && c.error != 0)
		status = outcome_temp(why, "4.3.0", "%s/%s: %s", x->folder.path,
		    names->eml, strerror(c.error));
	filed->size_bytes = c.size;
	filed->crc = c.crc;
	return status;
}

static int write_envelope(struct exporting *x, const char *name,
    const struct filed *filed, json_t *was, struct outcome *why)
{
	json_t *object = filed_print(filed, was);
	int fd = -1, status = -1, error;

	if (!object)
		return outcome_perm(why, "5.6.0",
		    "its envelope cannot be written as JSON (text that is not "
		    "UTF-8)");
	fd = folder_begin(&x->folder, name, why);
	if (fd >= 0) {
		status = json_dumpfd(object, fd, JSON_INDENT(2));
		error = errno;
		if (status == 0 && write(fd, "\n", 1) != 1)
			status = -1;
		if (close(fd) < 0)
			status = -1;
		if (status < 0)
			outcome_temp(why, "4.3.0", "%s/%s: %s", x->folder.path,
			    name, strerror(error));
	}
	json_decref(object);
	return status;
}

/* What was written is what an import will take. */
static int read_back(struct exporting *x, const struct names *names,
    const struct filed *filed, struct outcome *why)
{
	struct filed again;
	struct buf text;
	uint64_t size;
	uint32_t crc;
	int status;

	buf_init(&text, FILED_BYTES_MAX + 65536);
	status =
	    folder_load(&x->folder, names->json, FILED_BYTES_MAX, &text, why);
	if (status == 0)
		status = filed_parse(buf_span(&text), &again, why);
	if (status == 0) {
		if (again.envelope.nrecipients != filed->envelope.nrecipients)
			status = outcome_temp(why, "4.3.0",
			    "read back otherwise than it was written");
		filed_clear(&again);
	}
	buf_clear(&text);
	if (status == 0)
		status =
		    folder_measure(&x->folder, names->eml, &size, &crc, why);
	if (status == 0 && (size != filed->size_bytes || crc != filed->crc))
		status = outcome_temp(
		    why, "4.3.0", "read back otherwise than it was written");
	return status;
}

static int write_files(struct exporting *x, uint64_t id, struct filed *filed,
    json_t *was, struct outcome *why)
{
	struct names names = names_of(id);

	if (folder_has(&x->folder, names.json) ||
	    folder_has(&x->folder, names.eml))
		return outcome_perm(why, "5.6.0",
		    "is in %s already; export into another folder",
		    x->folder.path);
	if (write_content(x, id, &names, filed, why) < 0 ||
	    write_envelope(x, names.json, filed, was, why) < 0)
		goto undo;
	if (folder_name(&x->folder, names.eml, false, why) < 0)
		goto undo;
	if (folder_name(&x->folder, names.json, false, why) < 0) {
		folder_remove(&x->folder, names.eml);
		goto undo;
	}
	if (read_back(x, &names, filed, why) == 0)
		return 0;
	folder_remove(&x->folder, names.json);
	folder_remove(&x->folder, names.eml);
	return -1;
undo:
	folder_forget(&x->folder, names.json);
	folder_forget(&x->folder, names.eml);
	return -1;
}

/* Only those still to be delivered; how it is held now, not how it came. */
static int file_gathered(struct exporting *x, uint64_t id,
    const struct gathered *g, struct outcome *why)
{
	struct filed filed = {
		.envelope = g->envelope, .id = id, .accepted_at = g->accepted_at
	};
	struct recipient *left =
	    calloc(g->envelope.nrecipients + 1, sizeof(*left));
	json_t *was = json_pack("{s:I, s:I, s:s%, s:s%}", "uid",
	    (json_int_t)g->envelope.uid, "attempts", (json_int_t)g->attempts,
	    "login", g->envelope.login.n ? g->envelope.login.p : "",
	    g->envelope.login.n, "client",
	    g->envelope.client.n ? g->envelope.client.p : "",
	    g->envelope.client.n);
	size_t n = 0;
	int status;

	for (size_t i = 0; left && i < g->envelope.nrecipients; i++)
		if (g->is_left[i])
			left[n++] = g->envelope.recipients[i];
	filed.envelope.recipients = left;
	filed.envelope.nrecipients = n;
	filed.envelope.hold_until = g->hold_until;
	status = left ? write_files(x, id, &filed, was, why)
		      : outcome_temp(why, "4.3.0", "out of memory");
	json_decref(was);
	free(left);
	return status;
}

/* --- taking out ----------------------------------------------------------- */

struct rest {
	struct exporting *export;
	struct filed *filed;
	size_t n;
};

static bool drop_recipient(const struct item *item, void *arg)
{
	struct rest *rest = arg;
	struct envelope *e = &rest->filed->envelope;
	struct recipient *list = (struct recipient *)e->recipients;

	for (size_t i = 0; item->state != STATE_REPORTING && i < e->nrecipients;
	     i++)
		if (span_is_equal(list[i].address, item->address)) {
			memmove(&list[i], &list[i + 1],
			    (e->nrecipients - i - 1) * sizeof(*list));
			e->nrecipients--;
			rest->n++;
			break;
		}
	return true;
}

/* A part of it stayed in the queue: take that part out of the file. */
static int keep_apart(struct exporting *x, uint64_t id, struct outcome *why)
{
	const struct filter filter = {
		.id = id, .state = -1, .uid = UINT32_MAX
	};
	struct names names = names_of(id);
	struct filed filed;
	struct rest rest = { x, &filed, 0 };
	const struct source_visitor visitor = { .item = drop_recipient,
		.arg = &rest };
	struct buf text;
	int status;

	buf_init(&text, FILED_BYTES_MAX + 65536);
	status =
	    folder_load(&x->folder, names.json, FILED_BYTES_MAX, &text, why);
	if (status == 0)
		status = filed_parse(buf_span(&text), &filed, why);
	buf_clear(&text);
	if (status < 0)
		return -1;
	status = source_list(x->tool->source, &filter, 0, &visitor, why);
	if (status == 0 && rest.n > 0) {
		x->left++;
		complain(id, "a part of it stays in the queue", NULL);
		status = write_envelope(x, names.json, &filed,
		    json_object_get(filed.root, "was"), why);
		if (status == 0)
			status = folder_name(&x->folder, names.json, true, why);
	}
	filed_clear(&filed);
	return status;
}

static int take_out(struct exporting *x, uint64_t id, struct outcome *why)
{
	const struct change change = { .action = CHANGE_RETRACT,
		.filter = { .id = id, .state = -1, .uid = UINT32_MAX } };
	struct names names = names_of(id);
	uint64_t n = 0;

	if (source_change(x->tool->source, &change, &n, why) < 0)
		return -1;
	if (n > 0) {
		x->done++;
		report(x, id, "moved", 0);
		return keep_apart(x, id, why);
	}
	folder_remove(&x->folder, names.json);
	folder_remove(&x->folder, names.eml);
	x->left++;
	report(x, id, "left", 0);
	complain(id,
	    "stays in the queue: some of it was sent, or is being sent", NULL);
	return 0;
}

/* The batch is on the disk; then it leaves the queue. */
static void end_batch(struct exporting *x)
{
	struct outcome why;
	size_t i = 0;

	if (x->nwritten == 0 || !x->tool->options.is_delete)
		return;
	if (folder_sync(&x->folder, &why) == 0)
		while (i < x->nwritten && take_out(x, x->written[i], &why) == 0)
			i++;
	if (i < x->nwritten) {
		x->is_over = true;
		x->failed += x->nwritten - i;
		complain(x->written[i], "may be in the queue and in the folder",
		    why.detail);
	}
	x->nwritten = 0;
}

/* --- all ------------------------------------------------------------------ */

static bool may_move(struct exporting *x, uint64_t id, const struct gathered *g)
{
	if (!x->tool->options.is_delete || !(g->is_active || g->is_uncertain))
		return true;
	complain(id,
	    g->is_active ? "stays in the queue: it is being sent"
			 : "stays in the queue: an earlier attempt may have "
			   "delivered it",
	    NULL);
	report(x, id, "left", 0);
	x->left++;
	return false;
}

static void export_one(struct exporting *x, uint64_t id)
{
	struct outcome why;
	struct gathered g;
	int status = gather(x, id, &g, &why);

	if (status < 0 && strcmp(why.status, "5.2.0") == 0) {
		x->gone++; /* it left meanwhile, or was not there */
		if (x->tool->options.nids > 0)
			complain(id, "is not in the queue", NULL);
	} else if (status == 0 && g.nleft == 0) {
		x->gone++;
	} else if (status == 0 && may_move(x, id, &g)) {
		status = file_gathered(x, id, &g, &why);
		if (status == 0 && x->tool->options.is_delete)
			x->written[x->nwritten++] = id;
		else if (status == 0)
			x->done++, report(x, id, "exported", g.nleft);
	}
	if (status < 0 && strcmp(why.status, "5.2.0") != 0) {
		x->failed++;
		report(x, id, "failed", 0);
		complain(id, "not exported", why.detail);
	}
	gathered_clear(&g);
}

static bool note_id(const struct item *item, void *arg)
{
	struct exporting *x = arg;

	if (x->nids > 0 && x->ids[x->nids - 1] == item->message)
		return true;
	if (x->tool->options.limit > 0 && x->nids >= x->tool->options.limit)
		return false;
	if (x->nids == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 1024;
		uint64_t *grown = reallocarray(x->ids, cap, sizeof(*grown));

		if (!grown) {
			x->is_starved = true;
			return false;
		}
		x->ids = grown;
		x->cap = cap;
	}
	x->ids[x->nids++] = item->message;
	return true;
}

static int choose(struct exporting *x, struct outcome *why)
{
	const struct tool_options *o = &x->tool->options;
	const struct source_visitor visitor = { .item = note_id, .arg = x };

	if (o->nids > 0) {
		x->ids = calloc(o->nids, sizeof(*x->ids));
		x->is_starved = !x->ids;
		while (x->ids && x->nids < o->nids) {
			x->ids[x->nids] = o->ids[x->nids];
			x->nids++;
		}
	} else if (source_list(x->tool->source, &o->filter, 0, &visitor, why) <
		   0) {
		return -1;
	}
	return x->is_starved ? outcome_temp(why, "4.3.0", "out of memory") : 0;
}

static void summarise(const struct exporting *x)
{
	if (x->tool->options.is_json)
		return;
	printf("%llu message%s %s %s", (unsigned long long)x->done,
	    x->done == 1 ? "" : "s",
	    x->tool->options.is_delete ? "moved to" : "exported to",
	    text_safe(span_of(x->folder.path)));
	if (x->left > 0)
		printf(", %llu left in the queue", (unsigned long long)x->left);
	if (x->failed > 0)
		printf(", %llu failed", (unsigned long long)x->failed);
	putchar('\n');
}

int tool_export(struct tool *tool)
{
	struct exporting x = { .tool = tool };
	struct outcome why;

	if (tool->options.is_delete && !source_is_keeper(tool->source)) {
		fputs("outpost-queue: export --delete: only the keeper changes "
		      "the queue, and it is not running: outpost start\n",
		    stderr);
		return EXIT_PROBLEM;
	}
	if (folder_open(&x.folder, tool->options.word, true, &why) < 0)
		return tool_fail("export", &why);
	if (choose(&x, &why) < 0)
		x.failed++, tool_fail("export", &why);
	for (size_t i = 0; i < x.nids && !x.is_over; i++) {
		export_one(&x, x.ids[i]);
		if (x.nwritten == BATCH)
			end_batch(&x);
	}
	end_batch(&x);
	if (folder_sync(&x.folder, &why) < 0)
		x.failed++, tool_fail("export", &why);
	folder_close(&x.folder);
	summarise(&x);
	free(x.ids);
	return x.failed + x.left > 0 || (tool->options.nids > 0 && x.gone > 0)
		   ? EXIT_PROBLEM
		   : 0;
}
