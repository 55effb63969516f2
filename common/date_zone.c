/* The process's time zone: the C library's, or a table of its changes that was
 * made where its file could be read, for a program that no longer can. */
#include "common/date.h"

#include <stdlib.h>
#include <stdio.h>
#include <time.h>

enum {
	CHANGES_MAX = 128,
	DAY_S = 86400,
	PAST_DAYS = 400,	  /* of the table: what waits in a queue */
	AHEAD_DAYS = 365 * 30,	  /* longer than a program runs */
	STEP_DAYS = 7,		  /* no zone changes back sooner */
	OFFSET_MAX_S = 26 * 3600, /* more than any zone */
};

static bool is_set;

/* From that time on; of the first: always before the second. */
static struct change {
	int64_t utc;
	int32_t offset_s;
} changes[CHANGES_MAX];
static size_t nchanges; /* 0: the C library knows */

void date_set_zone(const char *zone)
{
	char name[256];

	/* a hostile TZ must not name a file; without it: /etc/localtime */
	if (zone[0] == '\0') {
		unsetenv("TZ");
	} else {
		snprintf(name, sizeof(name), ":%s", zone);
		setenv("TZ", name, 1);
	}
	tzset();
	is_set = true;
	nchanges = 0;
}

/* --- the table ----------------------------------------------------------- */

static int32_t library_offset(int64_t utc)
{
	time_t when = utc;
	struct tm tm;

	return localtime_r(&when, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}

/* The first second with the offset that there is at late, not at early. */
static int64_t find_change(int64_t early, int64_t late)
{
	int32_t offset_s = library_offset(late);

	while (late - early > 1) {
		int64_t middle = early + (late - early) / 2;

		if (library_offset(middle) == offset_s)
			late = middle;
		else
			early = middle;
	}
	return late;
}

static void put_change(struct buf *b, int64_t utc, int32_t offset_s)
{
	put_u64(b, (uint64_t)utc);
	put_u32(b, (uint32_t)offset_s);
}

void date_zone_put(struct buf *b, int64_t now)
{
	int64_t at = now - (int64_t)PAST_DAYS * DAY_S;
	int64_t end = now + (int64_t)AHEAD_DAYS * DAY_S;
	int32_t offset_s = library_offset(at);

	put_change(b, at, offset_s);
	for (unsigned n = 1; n < CHANGES_MAX && at < end;) {
		int64_t next = at + (int64_t)STEP_DAYS * DAY_S;

		if (library_offset(next) != offset_s) {
			offset_s = library_offset(next);
			put_change(b, find_change(at, next), offset_s);
			n++;
		}
		at = next;
	}
}

int date_zone_take(struct span table)
{
	struct reader r = reader_of(table);
	struct change fresh[CHANGES_MAX];
	size_t n = 0;

	while (r.rest.n > 0 && !r.bad && n < CHANGES_MAX) {
		fresh[n].utc = (int64_t)get_u64(&r);
		fresh[n].offset_s = (int32_t)get_u32(&r);
		if (abs(fresh[n].offset_s) > OFFSET_MAX_S ||
		    (n > 0 && fresh[n].utc <= fresh[n - 1].utc))
			return -1;
		n++;
	}
	if (!reader_is_done(&r) || n == 0)
		return -1;
	memcpy(changes, fresh, n * sizeof(*fresh));
	nchanges = n;
	is_set = true;
	return 0;
}

static int32_t table_offset(int64_t utc)
{
	size_t i = nchanges - 1;

	while (i > 0 && utc < changes[i].utc)
		i--;
	return changes[i].offset_s;
}

int32_t date_local(int64_t utc, struct tm *local)
{
	time_t when = utc;

	*local = (struct tm){ .tm_mday = 1 };
	if (nchanges > 0) {
		int32_t offset_s = table_offset(utc);

		when += offset_s;
		gmtime_r(&when, local);
		return offset_s;
	}
	if (is_set && localtime_r(&when, local))
		return (int32_t)local->tm_gmtoff;
	gmtime_r(&when, local);
	return 0;
}
