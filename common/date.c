/* Dates as text: RFC 5322 (section 3.3, 4.3) and RFC 3339 (section 5.6). */
#include "common/date.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri",
	"Sat" };
static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static const int64_t first_utc = -62135596800; /* 0001-01-01T00:00:00Z */
static const int64_t last_utc = 253402300799;  /* 9999-12-31T23:59:59Z */

static time_t bounded(int64_t utc)
{
	/* a day of margin: local years stay in four digits too */
	if (utc < first_utc + 86400)
		return first_utc + 86400;
	return utc > last_utc - 86400 ? last_utc - 86400 : utc;
}

void date_print(int64_t utc, char text[DATE_TEXT_BYTES])
{
	time_t when = bounded(utc);
	struct tm tm;
	long offset_s = date_local(when, &tm);
	long offset = labs(offset_s) / 60 % (24 * 60);

	snprintf(text, DATE_TEXT_BYTES,
	    "%s, %02d %s %04d %02d:%02d:%02d %c%02ld%02ld",
	    days[tm.tm_wday % 7], tm.tm_mday % 100, months[tm.tm_mon % 12],
	    (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100,
	    tm.tm_sec % 100, offset_s < 0 ? '-' : '+', offset / 60,
	    offset % 60);
}

void date_print_rfc3339(int64_t utc, char text[DATE_RFC3339_BYTES])
{
	time_t when = bounded(utc);
	struct tm tm;

	gmtime_r(&when, &tm);
	snprintf(text, DATE_RFC3339_BYTES, "%04d-%02d-%02dT%02d:%02d:%02dZ",
	    (tm.tm_year + 1900) % 10000, (tm.tm_mon + 1) % 100,
	    tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100,
	    tm.tm_sec % 100);
}

/* --- Reading ----------------------------------------------------------------
 * Each step takes what it knows from the front of *s and sets bad when that is
 * something else; bad is tested once, at the end. */

struct parser {
	struct span s;
	bool bad;
};

struct parts {
	int year, month, day, hour, minute, second; /* month 1 to 12 */
	int offset_minutes;
};

static bool take_char(struct parser *p, const char *any)
{
	if (p->s.n == 0 || p->s.p[0] == '\0' || !strchr(any, p->s.p[0]))
		return false;
	p->s = span_from(p->s, 1);
	return true;
}

static void expect(struct parser *p, const char *any)
{
	if (!take_char(p, any))
		p->bad = true;
}

/* A number of least to most digits; *digits (may be NULL): how many. */
static int take_number(
    struct parser *p, size_t least, size_t most, size_t *digits)
{
	size_t n = 0;
	int value = 0;

	while (n < p->s.n && n < most && p->s.p[n] >= '0' && p->s.p[n] <= '9')
		value = value * 10 + (p->s.p[n++] - '0');
	if (n < least)
		p->bad = true;
	p->s = span_from(p->s, n);
	if (digits)
		*digits = n;
	return value;
}

/* White space and comments (RFC 5322 3.2.2), folding included. */
static void skip_space(struct parser *p)
{
	unsigned depth = 0;

	while (p->s.n > 0 &&
	       (depth > 0 || strchr(" \t\r\n(", p->s.p[0] ? p->s.p[0] : 'x'))) {
		if (p->s.p[0] == '(')
			depth++;
		else if (p->s.p[0] == ')')
			depth--;
		else if (p->s.p[0] == '\\')
			p->s = span_from(p->s, 1);
		p->s = span_from(p->s, 1);
	}
	if (depth > 0)
		p->bad = true;
}

/* The index of one of the names, -1 when it is none; the word is taken. */
static int take_name(struct parser *p, const char (*names)[4], int count)
{
	struct span word = p->s;

	word.n = 0;
	while (word.n < p->s.n && ((p->s.p[word.n] | 32) >= 'a') &&
	       (p->s.p[word.n] | 32) <= 'z')
		word.n++;
	p->s = span_from(p->s, word.n);
	for (int i = 0; i < count; i++)
		if (span_is_equal_nocase(word, span_of(names[i])))
			return i;
	return -1;
}

static bool is_sane(const struct parts *d)
{
	static const int lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31 };
	bool is_leap =
	    (d->year % 4 == 0 && d->year % 100 != 0) || d->year % 400 == 0;

	if (d->year < 1 || d->month < 1 || d->month > 12 || d->day < 1 ||
	    d->day > lengths[d->month - 1] ||
	    (d->month == 2 && d->day == 29 && !is_leap))
		return false;
	return d->hour < 24 && d->minute < 60 && d->second <= 60;
}

/* Days of the proleptic Gregorian calendar, years that begin in March. */
static int64_t to_utc(const struct parts *d)
{
	int64_t year = d->month <= 2 ? d->year - 1 : d->year;
	int64_t month = d->month <= 2 ? d->month + 9 : d->month - 3;
	int64_t days_before = year * 365 + year / 4 - year / 100 + year / 400 +
			      (month * 153 + 2) / 5 + d->day - 1;

	return ((days_before - 719468) * 24 + d->hour) * 3600 + d->minute * 60 +
	       d->second - d->offset_minutes * 60;
}

static int finish(struct parser *p, const struct parts *d, int64_t *utc)
{
	if (p->bad || p->s.n > 0 || !is_sane(d))
		return -1;
	*utc = to_utc(d);
	return 0;
}

/* "+0200" or "+02:00". */
static void take_offset(struct parser *p, bool has_colon, struct parts *d)
{
	bool is_minus = p->s.n > 0 && p->s.p[0] == '-';
	int hours, minutes;

	expect(p, "+-");
	hours = take_number(p, 2, 2, NULL);
	if (has_colon)
		expect(p, ":");
	minutes = take_number(p, 2, 2, NULL);
	if (hours > 23 || minutes > 59)
		p->bad = true;
	d->offset_minutes = (hours * 60 + minutes) * (is_minus ? -1 : 1);
}

/* RFC 5322 4.3: other names of zones mean nothing and are read as -0000. */
static void take_zone(struct parser *p, struct parts *d)
{
	static const char zones[][4] = { "EDT", "EST", "CDT", "CST", "MDT",
		"MST", "PDT", "PST" };
	static const int hours[] = { -4, -5, -5, -6, -6, -7, -7, -8 };
	int zone;

	if (p->s.n > 0 && (p->s.p[0] == '+' || p->s.p[0] == '-')) {
		take_offset(p, false, d);
		return;
	}
	if (p->s.n == 0)
		p->bad = true;
	zone = take_name(p, zones, 8);
	if (zone >= 0)
		d->offset_minutes = hours[zone] * 60;
}

static void take_year(struct parser *p, struct parts *d)
{
	size_t digits;

	d->year = take_number(p, 2, 4, &digits);
	if (digits == 2)
		d->year += d->year < 50 ? 2000 : 1900;
	else if (digits == 3)
		d->year += 1900;
}

static void take_time(struct parser *p, struct parts *d)
{
	d->hour = take_number(p, 1, 2, NULL);
	skip_space(p);
	expect(p, ":");
	skip_space(p);
	d->minute = take_number(p, 2, 2, NULL);
	skip_space(p);
	if (!take_char(p, ":"))
		return;
	skip_space(p);
	d->second = take_number(p, 2, 2, NULL);
}

int date_parse(struct span text, int64_t *utc)
{
	struct parser p = { text, false };
	struct parts d = { 0 };

	skip_space(&p);
	if (p.s.n > 0 && (p.s.p[0] < '0' || p.s.p[0] > '9')) {
		if (take_name(&p, days, 7) < 0)
			return -1;
		skip_space(&p);
		expect(&p, ",");
		skip_space(&p);
	}
	d.day = take_number(&p, 1, 2, NULL);
	skip_space(&p);
	d.month = take_name(&p, months, 12) + 1;
	skip_space(&p);
	take_year(&p, &d);
	skip_space(&p);
	take_time(&p, &d);
	skip_space(&p);
	take_zone(&p, &d);
	skip_space(&p);
	return finish(&p, &d, utc);
}

int date_parse_rfc3339(struct span text, int64_t *utc)
{
	struct parser p = { text, false };
	struct parts d = { 0 };

	d.year = take_number(&p, 4, 4, NULL);
	expect(&p, "-");
	d.month = take_number(&p, 2, 2, NULL);
	expect(&p, "-");
	d.day = take_number(&p, 2, 2, NULL);
	expect(&p, "Tt ");
	d.hour = take_number(&p, 2, 2, NULL);
	expect(&p, ":");
	d.minute = take_number(&p, 2, 2, NULL);
	expect(&p, ":");
	d.second = take_number(&p, 2, 2, NULL);
	if (take_char(&p, ".")) {
		size_t digits = 0;

		while (p.s.n > 0 && !p.bad && digits < 9 && p.s.p[0] >= '0' &&
		       p.s.p[0] <= '9') {
			take_number(&p, 1, 1, NULL);
			digits++;
		}
		if (digits == 0)
			p.bad = true;
	}
	if (!take_char(&p, "Zz"))
		take_offset(&p, true, &d);
	return finish(&p, &d, utc);
}
