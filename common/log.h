/* The log: one line an event, key=value, values escaped; to stderr, syslog or
 * a file. And the two ways to end: BUG (ours) and fatal (the environment). */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/span.h"

enum log_level {
	LOG_LEVEL_WARNINGS = -1, /* for tools; not in the configuration */
	LOG_LEVEL_BASIC = 0,
	LOG_LEVEL_DETAILED = 1,
};

/* program: the name that begins each line, kept by reference. where: as in
 * common/log_sink.h. Returns 0, or -1 with errno (it stays where it was). */
int log_open(const char *program, const char *where);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* One event. event: a word or two with dashes ("message-accepted"); then
 * key, value pairs, ended by NULL. A NULL value is left out. Values are
 * quoted and escaped where they are not plain printable words.
 *     log_event("delivered", "id", id, "to", rcpt, NULL);
 */
void log_event(const char *event, ...) __attribute__((sentinel));
void log_warn(const char *event, ...) __attribute__((sentinel));
/* Only when the level is detailed. */
void log_detail(const char *event, ...) __attribute__((sentinel));

/* Between the two, lines gather and are written several at a time. */
void log_hold(void);
void log_release(void);

/* The value of text made safe for a log line or a terminal: control bytes,
 * backslash and quotes escaped as \xHH. At most 1000 bytes of it. Returns a
 * static ring of 16 buffers: use at once, on one line. */
const char *log_escape(struct span text);
/* printf into the same ring. */
const char *log_text(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The environment is broken: log and exit. 111 = try later, 100 = the
 * configuration (see style: three kinds of error). */
enum { EXIT_TRY_LATER = 111, EXIT_CONFIGURATION = 100 };
/* Told what fatal() says, before it exits; NULL: nobody. */
void log_tell_fatal(void (*tell)(const char *why, void *arg), void *arg);
void fatal(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Our bug: log file:line and abort. */
#define BUG(what) bug_at(__FILE__, __LINE__, (what))
void bug_at(const char *file, int line, const char *what)
    __attribute__((noreturn));

#endif
