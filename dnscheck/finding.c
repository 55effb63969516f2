/* What the checks found, collected from all threads. */
#include "dnscheck/finding.h"

#include "dnscheck/need.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct finding_texts {
	struct finding_texts *next;
	char text[];
};

const char *finding_status_name(uint8_t status)
{
	static const char *const names[] = { "ok", "skip", "warn", "fail" };

	return status <= FINDING_FAIL ? names[status] : "?";
}

void findings_init(struct findings *f)
{
	*f = (struct findings){ .count = 0 };
	pthread_mutex_init(&f->lock, NULL);
}

void findings_clear(struct findings *f)
{
	struct finding_texts *next;

	for (struct finding_texts *t = f->texts; t; t = next) {
		next = t->next;
		free(t);
	}
	free(f->items);
	pthread_mutex_destroy(&f->lock);
	*f = (struct findings){ .count = 0 };
}

/* A copy that lives as long as the findings; the lock is held. */
static const char *keep(struct findings *f, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	struct finding_texts *t;

	if (n == 0)
		return "";
	if (n > FINDING_TEXT_MAX)
		n = FINDING_TEXT_MAX;
	t = need(malloc(sizeof(*t) + n + 1));
	memcpy(t->text, text, n);
	t->text[n] = '\0';
	t->next = f->texts;
	f->texts = t;
	return t->text;
}

static void grow(struct findings *f)
{
	if (f->count < f->room)
		return;
	f->room = f->room ? f->room * 2 : 64;
	f->items = need(reallocarray(f->items, f->room, sizeof(*f->items)));
}

void findings_add(struct findings *f, const struct finding *finding)
{
	pthread_mutex_lock(&f->lock);
	if (f->count < FINDINGS_MAX) {
		grow(f);
		f->items[f->count++] = (struct finding){
			.code = finding->code,
			.status = finding->status,
			.node = keep(f, finding->node),
			.line = keep(f, finding->line),
			.address = keep(f, finding->address),
			.subject = keep(f, finding->subject),
			.found = keep(f, finding->found),
			.expected = keep(f, finding->expected),
			.remedy = keep(f, finding->remedy),
			.record = keep(f, finding->record),
		};
	} else {
		f->dropped++;
	}
	pthread_mutex_unlock(&f->lock);
}

void findings_drop(struct findings *f)
{
	pthread_mutex_lock(&f->lock);
	f->dropped++;
	pthread_mutex_unlock(&f->lock);
}

const char *finding_text(struct findings *f, const char *format, ...)
{
	char text[FINDING_TEXT_MAX];
	const char *kept;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pthread_mutex_lock(&f->lock);
	kept = keep(f, text);
	pthread_mutex_unlock(&f->lock);
	return kept;
}

/* --- order ---------------------------------------------------------------- */

static int family_of(const char *code)
{
	static const char *const families[] = { "node-", "address-", "reverse-",
		"name-", "port25-", "mx-", "spf-", "dkim-", "dmarc-", "sts-",
		"dane-", "tlsrpt-", "caa-", "bimi-", "list-", "relay-",
		"server-", "to-" };
	int n = sizeof(families) / sizeof(*families);

	for (int i = 0; i < n; i++)
		if (strncmp(code, families[i], strlen(families[i])) == 0)
			return i;
	return n;
}

static int compare(const void *one, const void *other)
{
	const struct finding *a = one, *b = other;
	const char *const texts[][2] = { { a->node, b->node },
		{ a->line, b->line }, { a->address, b->address } };
	int order = 0;

	for (size_t i = 0; i < 3 && order == 0; i++)
		order = strcmp(texts[i][0], texts[i][1]);
	if (order == 0)
		order = family_of(a->code) - family_of(b->code);
	if (order == 0)
		order = strcmp(a->subject, b->subject);
	if (order == 0)
		order = b->status - a->status;
	if (order == 0)
		order = strcmp(a->code, b->code);
	return order ? order : strcmp(a->found, b->found);
}

void findings_sort(struct findings *f)
{
	if (f->count > 0)
		qsort(f->items, f->count, sizeof(*f->items), compare);
}

bool findings_has_failure(const struct findings *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->items[i].status == FINDING_FAIL)
			return true;
	return false;
}
