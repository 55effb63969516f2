/* What the findings of a line group come to. */
#include "dnscheck/report.h"

static bool counts_for(const struct finding *f, const char *line)
{
	/* What fails on the node fails for all its groups. */
	return strcmp(f->line, line) == 0 ||
	       (!f->line[0] && f->status == FINDING_FAIL);
}

static size_t count(
    const struct findings *all, const char *line, uint8_t status)
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++)
		n += all->items[i].status == status &&
		     counts_for(&all->items[i], line);
	return n;
}

/* "reverse-missing 192.0.2.10, name-bare mta1" */
static void put_codes(const struct findings *all, const char *line,
    uint8_t status, struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++) {
		const struct finding *f = &all->items[i];

		if (f->status != status || !counts_for(f, line))
			continue;
		buf_puts(out, n++ ? ", " : " ");
		buf_puts(out, f->code);
		if (f->subject[0])
			buf_printf(out, " (%s)", f->subject);
	}
}

void line_verdict(
    const struct run *run, const char *line, struct line_verdict *v)
{
	const struct findings *all = &run->findings;

	buf_init(&v->text, 1 << 20);
	if (count(all, line, FINDING_FAIL) > 0) {
		v->kind = VERDICT_BAD;
		buf_puts(&v->text, "would be refused by strict receivers, or "
				   "does not work at all:");
		put_codes(all, line, FINDING_FAIL, &v->text);
	} else if (count(all, line, FINDING_SKIP) > 0) {
		v->kind = VERDICT_OPEN;
		buf_puts(&v->text, "is not known in all:");
		put_codes(all, line, FINDING_SKIP, &v->text);
	} else if (count(all, line, FINDING_WARN) > 0) {
		v->kind = VERDICT_NOTES;
		buf_puts(&v->text, "will be taken by most receivers; better:");
		put_codes(all, line, FINDING_WARN, &v->text);
	} else {
		v->kind = VERDICT_FINE;
		buf_puts(&v->text, "conforms: nothing here gives a receiver a "
				   "reason to refuse");
	}
}
