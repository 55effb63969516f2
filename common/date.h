/* Dates as text: RFC 5322 for headers, RFC 3339 in UTC for records. Names of
 * days and months are English whatever the locale. */
#ifndef COMMON_DATE_H
#define COMMON_DATE_H

#include "common/buf.h"

#include <time.h>

enum {
	DATE_TEXT_BYTES = 40,	 /* "Mon, 03 Jun 2024 12:00:00 +0200" and NUL */
	DATE_RFC3339_BYTES = 32, /* "2024-06-03T10:00:00Z" and NUL */
};

/* The zone of date_print and the log for the whole process: "Europe/Paris"; ""
 * is the system's (/etc/localtime). The environment's TZ is never asked. Reads
 * the zone's file, so call it before the sandbox. An unknown zone is UTC, as is
 * that of a program that never says. */
void date_set_zone(const char *zone);
/* The same for a program in its sandbox: this process's zone as a table, from
 * about now on for as long as a program may run; and such a table taken over.
 * take returns -1 when it is malformed (nothing has changed then). */
enum { DATE_ZONE_BYTES = 2048 };
void date_zone_put(struct buf *b, int64_t now);
int date_zone_take(struct span table);
/* The local time, and its offset from UTC in seconds. */
int32_t date_local(int64_t utc, struct tm *local);

/* utc: seconds since 1970; outside the years 1 to 9999 the nearest of them. */
void date_print(int64_t utc, char text[DATE_TEXT_BYTES]);
void date_print_rfc3339(int64_t utc, char text[DATE_RFC3339_BYTES]);

/* "Mon, 3 Jun 2024 12:00:00 +0200 (CEST)": day's name, seconds and comment may
 * be missing; obsolete zones and years of two digits are read (RFC 5322 4.3).
 * Returns 0, or -1. */
int date_parse(struct span text, int64_t *utc);
/* "2024-06-03T10:00:00Z", also with a fraction, an offset or a blank for T. */
int date_parse_rfc3339(struct span text, int64_t *utc);

#endif
