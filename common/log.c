/* The log. */
#include "common/log.h"

#include "common/buf.h"
#include "common/date.h"
#include "common/log_sink.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char *program_name = "outpost";
static enum log_level current_level = LOG_LEVEL_BASIC;

int log_open(const char *program, const char *where)
{
	struct log_sink sink;

	program_name = program;
	if (log_sink_open(&sink, where) < 0)
		return -1;
	log_release();
	log_sink_use(&sink);
	return 0;
}

void log_set_level(enum log_level level)
{
	current_level = level;
}

enum log_level log_get_level(void)
{
	return current_level;
}

enum { RING = 16, RING_BYTES = 4096 };

static char *ring_next(void)
{
	static char ring[RING][RING_BYTES];
	static unsigned at;

	return ring[at++ % RING];
}

/* out has room for four times the text. */
static size_t escape(struct span text, char *out)
{
	static const char hex[] = "0123456789abcdef";
	char *p = out;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c >= 0x20 && c < 0x7f && c != '\\' && c != '"') {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	return (size_t)(p - out);
}

static struct span bounded(struct span text)
{
	return (struct span){ text.p, text.n < 1000 ? text.n : 1000 };
}

const char *log_escape(struct span text)
{
	char *out = ring_next();

	out[escape(bounded(text), out)] = '\0';
	return out;
}

const char *log_text(const char *format, ...)
{
	char *out = ring_next();
	va_list args;

	va_start(args, format);
	vsnprintf(out, RING_BYTES, format, args);
	va_end(args);
	return out;
}

static bool is_plain(struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return value.n > 0;
}

static void put_pair(struct buf *line, const char *key, struct span value)
{
	char *to;

	value = bounded(value);
	buf_putc(line, ' ');
	buf_puts(line, key);
	buf_putc(line, '=');
	if (is_plain(value)) {
		buf_put_raw(line, value);
		return;
	}
	buf_putc(line, '"');
	to = buf_reserve(line, value.n * 4);
	if (to)
		line->len += escape(value, to);
	buf_putc(line, '"');
}

/* RFC 3339, in the configured zone. */
static void put_stamp(struct buf *line)
{
	struct timespec now;
	struct tm local;
	long offset_s, minutes;

	clock_gettime(CLOCK_REALTIME, &now);
	offset_s = date_local(now.tv_sec, &local);
	minutes = labs(offset_s) / 60;
	buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03d",
	    local.tm_year + 1900, local.tm_mon + 1, local.tm_mday,
	    local.tm_hour, local.tm_min, local.tm_sec,
	    (int)(now.tv_nsec / 1000000));
	if (minutes == 0)
		buf_puts(line, "Z ");
	else
		buf_printf(line, "%c%02ld:%02ld ", offset_s < 0 ? '-' : '+',
		    minutes / 60, minutes % 60);
}

/* Lines of one write stay whole in a pipe that several programs share. */
enum { HELD_BYTES = 4096 };
static char held[HELD_BYTES];
static size_t held_bytes;
static bool is_holding;

static void write_held(void)
{
	size_t n = held_bytes;

	held_bytes = 0;
	if (n > 0)
		log_sink_write(
		    LOG_INFO, program_name, (struct span){ held, n });
}

static bool is_held(const struct buf *line)
{
	if (!is_holding || line->overflow)
		return false;
	if (held_bytes + line->len > HELD_BYTES)
		write_held();
	if (line->len > HELD_BYTES)
		return false;
	memcpy(held + held_bytes, line->data, line->len);
	held_bytes += line->len;
	return true;
}

void log_hold(void)
{
	is_holding = !log_sink()->is_syslog;
}

void log_release(void)
{
	write_held();
	is_holding = false;
}

static void write_line(int priority, struct buf *line)
{
	buf_putc(line, '\n');
	if (!is_held(line))
		log_sink_write(priority, program_name, buf_span(line));
}

static void log_pairs(int priority, const char *event, va_list args)
{
	struct buf line;
	const char *key, *value;

	buf_init(&line, 16384);
	if (!log_sink()->is_syslog) {
		put_stamp(&line);
		buf_printf(&line, "%s[%d]: ", program_name, (int)getpid());
	}
	buf_printf(
	    &line, "%s%s", priority == LOG_WARNING ? "warning: " : "", event);
	while ((key = va_arg(args, const char *)) != NULL) {
		value = va_arg(args, const char *);
		if (!value)
			continue;
		put_pair(&line, key, span_of(value));
	}
	write_line(priority, &line);
	buf_clear(&line);
}

void log_event(const char *event, ...)
{
	va_list args;

	if (current_level < LOG_LEVEL_BASIC)
		return;
	va_start(args, event);
	log_pairs(LOG_INFO, event, args);
	va_end(args);
}

void log_warn(const char *event, ...)
{
	va_list args;

	va_start(args, event);
	log_pairs(LOG_WARNING, event, args);
	va_end(args);
}

void log_detail(const char *event, ...)
{
	va_list args;

	if (current_level < LOG_LEVEL_DETAILED)
		return;
	va_start(args, event);
	log_pairs(LOG_DEBUG, event, args);
	va_end(args);
}

static void (*tell_fatal)(const char *why, void *arg);
static void *tell_arg;

void log_tell_fatal(void (*tell)(const char *why, void *arg), void *arg)
{
	tell_fatal = tell;
	tell_arg = arg;
}

void fatal(int status, const char *format, ...)
{
	void (*tell)(const char *why, void *arg);
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_warn("fatal", "why", text, NULL);
	log_release();
	tell = tell_fatal;
	tell_fatal = NULL; /* what it does may be fatal as well */
	if (tell)
		tell(text, tell_arg);
	exit(status);
}

void bug_at(const char *file, int line, const char *what)
{
	log_warn(
	    "bug", "at", log_text("%s:%d", file, line), "what", what, NULL);
	log_release();
	abort();
}
