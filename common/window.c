/* Times of the week. */
#include "common/window.h"

#include "common/date.h"

#include <string.h>

enum { DAY_MINUTES = 24 * 60, HOUR_MINUTES = 60 };

static bool get_minute(const struct window *w, unsigned minute)
{
	return w->bits[minute / 8] >> minute % 8 & 1;
}

static void set_minute(struct window *w, unsigned minute)
{
	minute %= WINDOW_MINUTES;
	w->bits[minute / 8] |= (uint8_t)(1 << minute % 8);
}

/* --- parsing ---------------------------------------------------------------*/

static struct span trim(struct span text)
{
	while (text.n > 0 && text.p[0] == ' ')
		text = span_from(text, 1);
	while (text.n > 0 && text.p[text.n - 1] == ' ')
		text.n--;
	return text;
}

/* "08:00" to minutes; -1. */
static int parse_time(struct span text)
{
	struct span rest = text, hour = span_cut(&rest, ':');
	uint64_t h, m;

	if (hour.n == 0 || hour.n > 2 || rest.n != 2 ||
	    span_to_u64(hour, 24, &h) < 0 || span_to_u64(rest, 59, &m) < 0 ||
	    h * HOUR_MINUTES + m > DAY_MINUTES)
		return -1;
	return (int)(h * HOUR_MINUTES + m);
}

/* From Sunday; -1. */
static int parse_day(struct span text)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };

	for (int i = 0; i < 7; i++)
		if (span_is_equal_nocase(text, span_of(days[i])))
			return i;
	return -1;
}

static int parse_days(struct span text, int *first, int *last)
{
	struct span to = text, from;

	*first = 0;
	*last = 6;
	if (text.n == 0)
		return 0;
	from = span_cut(&to, '-');
	*first = parse_day(trim(from));
	*last = from.n == text.n ? *first : parse_day(trim(to));
	return *first < 0 || *last < 0 ? -1 : 0;
}

/* The last word is the time, what stands before it the days. */
static int parse_item(struct span item, struct window *w)
{
	struct span days = item, to, from;
	int first, last, begin, end;

	while (days.n > 0 && days.p[days.n - 1] != ' ')
		days.n--;
	to = span_from(item, days.n);
	from = span_cut(&to, '-');
	begin = parse_time(from);
	end = parse_time(to);
	if (begin < 0 || end < 0 || parse_days(trim(days), &first, &last) < 0)
		return -1;
	if (end < begin)
		end += DAY_MINUTES;
	for (int day = first;; day = (day + 1) % 7) {
		for (int m = begin; m < end; m++)
			set_minute(w, (unsigned)(day * DAY_MINUTES + m));
		if (day == last)
			return 0;
	}
}

static struct span cut_item(struct span *rest)
{
	struct span item = *rest;

	for (item.n = 0; item.n < rest->n; item.n++)
		if (rest->p[item.n] == ',' || rest->p[item.n] == ';')
			break;
	*rest = span_from(*rest, item.n < rest->n ? item.n + 1 : item.n);
	return trim(item);
}

int window_parse(struct span text, struct window *w, struct outcome *why)
{
	static const struct window never;
	struct span rest = text;

	*w = never;
	do {
		struct span item = cut_item(&rest);

		if (parse_item(item, w) < 0)
			return outcome_perm(why, "5.3.5",
			    "\"%.*s\" is not a time of the week such as "
			    "\"Mon-Fri 08:00-18:00\" or \"22:00-06:00\"",
			    (int)(item.n < 100 ? item.n : 100),
			    item.n ? item.p : "");
	} while (rest.n > 0);
	if (memcmp(w, &never, sizeof(never)) == 0)
		return outcome_perm(why, "5.3.5",
		    "it never opens; the whole day is \"00:00-24:00\"");
	return 0;
}

/* --- asking ----------------------------------------------------------------*/

static unsigned minute_of(int64_t utc, int *second)
{
	struct tm local;

	date_local(utc, &local);
	*second = local.tm_sec;
	return (unsigned)(local.tm_wday * DAY_MINUTES +
			  local.tm_hour * HOUR_MINUTES + local.tm_min);
}

bool window_is_open(const struct window *w, int64_t utc)
{
	int second;

	return get_minute(w, minute_of(utc, &second));
}

/* By an hour at most at once: the clock may be changed for summer. */
int64_t window_change(const struct window *w, int64_t utc)
{
	bool is_open = window_is_open(w, utc);
	int64_t end = utc + (int64_t)9 * 86400;

	while (utc < end) {
		int second;
		unsigned minute = minute_of(utc, &second), n = 0;

		if (get_minute(w, minute) != is_open)
			return utc;
		while (n < HOUR_MINUTES - minute % HOUR_MINUTES &&
		       get_minute(w, (minute + n) % WINDOW_MINUTES) == is_open)
			n++;
		utc += (int64_t)n * 60 - second;
	}
	return INT64_MAX;
}
