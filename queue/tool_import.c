/* outpost queue import: messages from a folder into the queue.
 *
 * The folder's file "imported" says what became of each: a line NAME "begun"
 * before a message is given to the keeper, NAME and its new id after. What is
 * there is not imported a second time.
 */
#include "queue/tool_item.h"

#include "common/date.h"
#include "common/deadline.h"
#include "common/id.h"
#include "common/submit.h"
#include "queue/tool_envelope.h"
#include "queue/tool_folder.h"
#include "queue/tool_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BEGINNING = 1000, NOTES_MAX = 256 << 20, TRACE_MAX = 2048 };
static const char notes_name[] = "imported";

struct import {
	struct tool *tool;
	struct folder folder;
	int notes_fd;  /* -1: cannot be kept */
	json_t *notes; /* name: "begun", "refused" or the id it got */
	uint64_t done, already, failed;
	bool is_over; /* the keeper cannot be reached */
};

static void report(const struct import *x, const char *name, const char *what,
    const char *id, const char *reason)
{
	if (x->tool->options.is_json)
		json_line(json_pack("{s:o, s:s, s:s?, s:o}", "file",
		    json_text(span_of(name)), "status", what, "id", id,
		    "reason", json_text(span_of(reason ? reason : ""))));
	if (reason)
		fprintf(stderr, "outpost-queue: %s: %s\n",
		    text_safe(span_of(name)), text_safe(span_of(reason)));
}

static void fail(struct import *x, const char *name, const char *reason)
{
	x->failed++;
	report(x, name, "failed", NULL, reason);
}

/* --- what was imported before --------------------------------------------- */

static void read_notes(struct import *x, struct span text)
{
	while (text.n > 0) {
		struct span line = span_cut(&text, '\n'), word = line;
		struct span name = span_cut(&word, ' ');
		char *key = span_dup(name);

		if (key && name.n > 0 && word.n > 0)
			json_object_set_new(
			    x->notes, key, json_stringn(word.p, word.n));
		free(key);
	}
}

static int open_notes(struct import *x, struct outcome *why)
{
	struct stat st;
	struct buf text;
	int status = 0;

	x->notes_fd = openat(x->folder.fd, notes_name,
	    O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
	    0600);
	if (x->notes_fd < 0)
		return outcome_temp(why, "4.3.0",
		    "%s/%s: %s (it says what was imported; --again does "
		    "without it)",
		    x->folder.path, notes_name, strerror(errno));
	if (fstat(x->notes_fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_nlink != 1)
		return outcome_perm(why, "5.6.0", "%s/%s: not a plain file",
		    x->folder.path, notes_name);
	if (flock(x->notes_fd, LOCK_EX | LOCK_NB) < 0)
		return outcome_temp(why, "4.3.0",
		    "%s: another import of it is running", x->folder.path);
	buf_init(&text, NOTES_MAX + 65536);
	status = folder_load(&x->folder, notes_name, NOTES_MAX, &text, why);
	if (status == 0)
		read_notes(x, buf_span(&text));
	buf_clear(&text);
	return status;
}

/* 0, or -1: it is not on the disk. */
static int note(
    struct import *x, const char *name, const char *word, bool is_sure)
{
	struct buf line;
	int status = 0;

	if (x->notes_fd < 0)
		return 0;
	buf_init(&line, 1024);
	buf_printf(&line, "%s %s\n", name, word);
	if (line.overflow ||
	    write(x->notes_fd, line.data, line.len) != (ssize_t)line.len)
		status = -1;
	buf_clear(&line);
	if (status == 0 && is_sure)
		status = fdatasync(x->notes_fd);
	return status;
}

/* True: it is not to be imported (again). */
static bool is_settled(struct import *x, const char *name)
{
	const char *word = json_string_value(json_object_get(x->notes, name));

	if (!word || strcmp(word, "refused") == 0 || x->tool->options.is_again)
		return false;
	if (strcmp(word, "begun") == 0) {
		fail(x, name,
		    "an import was interrupted here, so it may be in the queue "
		    "or sent already; --again imports it, and all others");
		return true;
	}
	x->already++;
	report(x, name, "already", word, NULL);
	return true;
}

/* --- one message ---------------------------------------------------------- */

static int read_filed(struct import *x, const char *name, struct filed *filed,
    struct outcome *why)
{
	struct buf text;
	int status;

	buf_init(&text, FILED_BYTES_MAX + 65536);
	status = folder_load(&x->folder, name, FILED_BYTES_MAX, &text, why);
	if (status == 0)
		status = filed_parse(buf_span(&text), filed, why);
	buf_clear(&text);
	return status;
}

static int check_lines(struct import *x, const char *eml, struct outcome *why)
{
	char text[BEGINNING];
	uint64_t size;
	int fd = folder_read(&x->folder, eml, &size, why);
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text), 0);
	struct span seen = { text, n > 0 ? (size_t)n : 0 };
	ptrdiff_t end = span_find(seen, '\n');

	if (fd < 0)
		return -1;
	close(fd);
	if (n <= 0)
		return outcome_perm(why, "5.6.0", "%s is empty", eml);
	if (end == 0 || (end > 0 && text[end - 1] != '\r'))
		return outcome_perm(why, "5.6.0",
		    "lines of %s do not end in CRLF (unix2dos makes them)",
		    eml);
	return 0;
}

static int check_content(struct import *x, const char *eml,
    const struct filed *filed, struct outcome *why)
{
	uint64_t size = 0;
	uint32_t crc = 0;

	if (folder_measure(&x->folder, eml, &size, &crc, why) < 0)
		return -1;
	if ((filed->has_size && size != filed->size_bytes) ||
	    (filed->has_crc && crc != filed->crc))
		return outcome_perm(why, "5.6.0",
		    "%s is not what was exported: size_bytes or crc32c does "
		    "not fit (remove both to import it as it is)",
		    eml);
	return check_lines(x, eml, why);
}

/* Received: (RFC 5321 4.4): the hop, and what the message was before. */
static void put_trace(const struct import *x, const struct filed *filed,
    struct buf *head, struct buf *tail)
{
	char date[DATE_TEXT_BYTES];

	buf_printf(head, "Received: by %s (Outpost, imported",
	    x->tool->conf->localname);
	if (filed->id != 0)
		buf_printf(head, ", was %s", id_text(filed->id));
	if (filed->accepted_at != 0) {
		date_print((int64_t)filed->accepted_at, date);
		/* "(CEST)" would be a comment in a comment, and is fine */
		buf_printf(head, ",\r\n\taccepted %s", date);
	}
	buf_puts(head, ")\r\n\tid ");
	date_print(now_utc(), date);
	buf_printf(tail, ";\r\n\t%s", date);
}

static int send_content(
    struct import *x, struct submit *s, const char *eml, struct outcome *why)
{
	uint64_t size;
	int fd = folder_read(&x->folder, eml, &size, why), status = 0;
	char *bytes = malloc(DATA_CHUNK_MAX);
	ssize_t n = -1;

	while (fd >= 0 && bytes && status == 0 &&
	       (n = read(fd, bytes, DATA_CHUNK_MAX)) > 0)
		status = submit_data(s, (struct span){ bytes, (size_t)n }, why);
	if (fd < 0)
		status = -1;
	else if (status == 0 && n != 0)
		status = outcome_temp(why, "4.3.0", "%s: %s", eml,
		    bytes ? strerror(errno) : "out of memory");
	if (fd >= 0)
		close(fd);
	free(bytes);
	return status;
}

static int submit(struct import *x, const char *eml, struct filed *filed,
    uint64_t *id, struct outcome *why)
{
	struct submit *s = submit_open(x->tool->conf->runtime, why);
	struct buf head, tail;
	int status = -1;

	if (!s) {
		x->is_over = true;
		return -1;
	}
	buf_init(&head, TRACE_MAX);
	buf_init(&tail, TRACE_MAX);
	put_trace(x, filed, &head, &tail);
	filed->envelope.uid = (uint32_t)getuid();
	filed->envelope.trace_head = buf_span(&head);
	filed->envelope.trace_tail = buf_span(&tail);
	if (submit_begin(s, &filed->envelope, why) == 0 &&
	    send_content(x, s, eml, why) == 0)
		status = submit_end(s, id, why);
	submit_free(s);
	buf_clear(&head);
	buf_clear(&tail);
	return status;
}

/* No answer came (submit.c says 4.3.0): it may be in the queue. */
static bool is_refusal(const struct import *x, const struct outcome *why)
{
	return x->is_over || why->verdict == VERDICT_PERM ||
	       strcmp(why->status, "4.3.0") != 0;
}

static void give(
    struct import *x, const char *name, const char *eml, struct filed *filed)
{
	struct outcome why;
	uint64_t id = 0;

	if (note(x, name, "begun", true) < 0) {
		x->is_over = true;
		fail(x, name, "cannot write the folder's file \"imported\"");
		return;
	}
	if (submit(x, eml, filed, &id, &why) < 0) {
		if (is_refusal(x, &why))
			note(x, name, "refused", false);
		fail(x, name, why.detail);
		return;
	}
	x->done++;
	report(x, name, "imported", id_text(id), NULL);
	if (note(x, name, id_text(id), false) < 0)
		report(x, name, "imported", id_text(id),
		    "imported, but the file \"imported\" cannot be written");
}

static void import_one(struct import *x, const char *name)
{
	size_t stem = strlen(name) - strlen(".json");
	struct outcome why;
	struct filed filed = { 0 };
	char eml[300];

	if (stem > 200 || strpbrk(name, " \r\n\t")) {
		fail(x, name, "not a name of a file that can be imported");
		return;
	}
	if (is_settled(x, name))
		return;
	snprintf(eml, sizeof(eml), "%.*s.eml", (int)stem, name);
	if (read_filed(x, name, &filed, &why) < 0) {
		fail(x, name, why.detail);
		return;
	}
	if (check_content(x, eml, &filed, &why) < 0)
		fail(x, name, why.detail);
	else
		give(x, name, eml, &filed);
	filed_clear(&filed);
}

/* --- all ------------------------------------------------------------------ */

/* A content whose envelope is missing would be forgotten in silence. */
static void find_lonely(struct import *x)
{
	struct outcome why;
	char **names, json[300];
	size_t n;

	if (folder_names(&x->folder, ".eml", &names, &n, &why) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		size_t stem = strlen(names[i]) - strlen(".eml");

		snprintf(json, sizeof(json), "%.*s.json",
		    (int)(stem > 280 ? 280 : stem), names[i]);
		if (!folder_has(&x->folder, json))
			fail(x, names[i], "has no envelope (.json) beside it");
	}
	folder_names_free(names, n);
}

static void summarise(const struct import *x, size_t n)
{
	uint64_t untried = n - x->done - x->already - x->failed;

	if (x->tool->options.is_json)
		return;
	printf("%llu message%s imported", (unsigned long long)x->done,
	    x->done == 1 ? "" : "s");
	if (x->already > 0)
		printf(", %llu had been imported before (--again imports them "
		       "a second time)",
		    (unsigned long long)x->already);
	if (x->failed > 0)
		printf(", %llu failed", (unsigned long long)x->failed);
	if (x->is_over && untried < n)
		printf(", %llu not tried", (unsigned long long)untried);
	putchar('\n');
}

static int import_all(struct import *x)
{
	struct outcome why;
	char **names;
	size_t n;

	if (open_notes(x, &why) < 0 &&
	    (!x->tool->options.is_again || x->notes_fd >= 0))
		return tool_fail("import", &why);
	if (folder_names(&x->folder, ".json", &names, &n, &why) < 0)
		return tool_fail("import", &why);
	for (size_t i = 0; i < n && !x->is_over; i++)
		import_one(x, names[i]);
	summarise(x, n);
	folder_names_free(names, n);
	if (!x->is_over)
		find_lonely(x);
	return x->failed > 0 ? EXIT_PROBLEM : 0;
}

int tool_import(struct tool *tool)
{
	struct import x = {
		.tool = tool, .notes_fd = -1, .notes = json_object()
	};
	struct outcome why;
	int status;

	date_set_zone(tool->conf->timezone);
	if (folder_open(&x.folder, tool->options.word, false, &why) < 0)
		status = tool_fail("import", &why);
	else
		status = import_all(&x);
	if (x.notes_fd >= 0)
		close(x.notes_fd);
	folder_close(&x.folder);
	json_decref(x.notes);
	return status;
}
