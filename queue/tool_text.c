/* Times, ages, sizes and foreign text as the queue tool writes them. */
#include "queue/tool_text.h"

#include "common/utf8.h"

#include <stdio.h>
#include <time.h>

void text_time(uint64_t utc_s, char out[TOOL_TIME_MAX])
{
	time_t t = (time_t)utc_s;
	struct tm tm;

	/* Beyond the year 9999 nothing is a date. */
	if (utc_s > 253402300799ULL || !gmtime_r(&t, &tm) ||
	    strftime(out, TOOL_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, TOOL_TIME_MAX, "9999-12-31T23:59:59Z");
}

void text_span_of_time(uint64_t seconds, char out[TOOL_SHORT_MAX])
{
	static const struct {
		uint64_t seconds;
		char name;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	size_t i = 0;

	/* 90 minutes say more than 1 hour. */
	while (i < 3 && seconds < units[i].seconds * (i < 2 ? 2 : 1))
		i++;
	snprintf(out, TOOL_SHORT_MAX, "%llu%c",
	    (unsigned long long)(seconds / units[i].seconds), units[i].name);
}

void text_size(uint64_t bytes, char out[TOOL_SHORT_MAX])
{
	static const char names[] = " KMGTPE";
	double value = (double)bytes;
	size_t i = 0;

	while (value >= 1000 && names[i + 1]) {
		value /= 1024;
		i++;
	}
	if (i == 0)
		snprintf(
		    out, TOOL_SHORT_MAX, "%llu", (unsigned long long)bytes);
	else
		snprintf(out, TOOL_SHORT_MAX,
		    value < 9.95 ? "%.1f%c" : "%.0f%c", value, names[i]);
}

void text_until(uint64_t at_s, uint64_t now_s, char out[TOOL_SHORT_MAX])
{
	char span[TOOL_SHORT_MAX];

	if (at_s <= now_s) {
		snprintf(out, TOOL_SHORT_MAX, "now");
		return;
	}
	text_span_of_time(at_s - now_s, span);
	snprintf(out, TOOL_SHORT_MAX, "in %.12s", span);
}

static void put_hex(struct buf *out, struct span bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		buf_printf(out, "\\x%02x", (unsigned char)bytes.p[i]);
}

/* In lines, tabs and line ends stay, and CR LF becomes LF. */
static bool is_layout(struct span text)
{
	return *text.p == '\t' || *text.p == '\n' ||
	       (*text.p == '\r' && text.n > 1 && text.p[1] == '\n');
}

static void put_safe(struct buf *out, struct span text, bool is_lines)
{
	while (text.n > 0) {
		uint32_t point;
		size_t n = utf8_next(text, &point);
		struct span one = { text.p, n ? n : 1 };

		if (is_lines && is_layout(text)) {
			if (*text.p != '\r')
				buf_putc(out, *text.p);
		} else if (n > 0 && utf8_is_printable(point)) {
			buf_put_raw(out, one);
		} else {
			put_hex(out, one);
		}
		text = span_from(text, one.n);
	}
}

void text_put_safe(struct buf *out, struct span text)
{
	put_safe(out, text, false);
}

void text_put_lines(struct buf *out, struct span text)
{
	put_safe(out, text, true);
}

const char *text_safe(struct span text)
{
	static struct buf ring[8];
	static unsigned at;
	struct buf *out = &ring[at++ % 8];

	if (!out->data)
		buf_init(out, 65536);
	buf_reset(out);
	text_put_safe(out, (struct span){ text.p, utf8_cut(text, 1000) });
	return buf_text(out);
}

void text_put_utf8(struct buf *out, struct span text)
{
	while (text.n > 0) {
		uint32_t point;
		size_t n = utf8_next(text, &point);

		if (n > 0)
			buf_put(out, text.p, n);
		else
			buf_puts(out, "\xef\xbf\xbd");
		text = span_from(text, n ? n : 1);
	}
}
