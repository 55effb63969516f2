/* The log of all programs: opened here, where files can be opened, and handed
 * to each of them, at its start and after every reload. */
#include "runner/supervisor_parts.h"

#include "common/date.h"
#include "common/log_sink.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* In the background standard error leads nowhere. */
void logs_choose(const struct supervisor *s, struct conf *conf)
{
	const char *to = "syslog";
	char *path = NULL;

	if (!s->is_background || strcmp(conf->log_to, "stderr") != 0)
		return;
	if (access("/dev/log", W_OK) < 0 &&
	    asprintf(&path, "%s/outpost.log", conf->runtime) > 0)
		to = path;
	free(conf->log_to);
	conf->log_to = path ? path : strdup(to);
}

enum log_level logs_level(const struct supervisor *s)
{
	return s->log_level >= 0 ? (enum log_level)s->log_level : s->conf->log;
}

void logs_override(struct supervisor *s, enum log_level level)
{
	s->log_level = level == s->conf->log ? -1 : (int)level;
	log_set_level(level);
}

void logs_send(struct program *p)
{
	const struct log_sink *sink = log_sink();
	struct buf payload;
	int fd = -1;

	if (sink->fd > STDERR_FILENO)
		fd = fcntl(sink->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	buf_init(&payload, DATE_ZONE_BYTES);
	put_u8(&payload, sink->is_syslog);
	put_u8(&payload, (uint8_t)logs_level(p->supervisor));
	date_zone_put(&payload, now_utc());
	wire_send_fds(
	    p->wire, MSG_LOG, 0, buf_span(&payload), &fd, fd >= 0 ? 1 : 0);
	buf_clear(&payload);
}

/* All before any goes on: a line is forked with the spawner's. */
void logs_renew(struct supervisor *s, const struct log_sink *sink)
{
	log_release();
	log_sink_use(sink);
	date_set_zone(s->conf->timezone);
	logs_override(s, logs_level(s));
	for (int role = 0; role < PROGRAMS; role++)
		if (s->programs[role].wire) {
			logs_send(&s->programs[role]);
			wire_push(s->programs[role].wire);
		}
}
