/* Where log lines go: a file, standard error, or the system's log. A program in
 * its sandbox is given another one by descriptor. */
#ifndef COMMON_LOG_SINK_H
#define COMMON_LOG_SINK_H

#include "common/span.h"

struct log_sink {
	bool is_syslog;
	int fd; /* syslog: a datagram socket, -1 while nobody listens */
};

/* where: "stderr", "syslog" or a file's path (opened for append, made when it
 * is missing). 0, or -1 with errno. Nobody at /dev/log is no error: lines get
 * lost until somebody is there. */
int log_sink_open(struct log_sink *sink, const char *where);
/* From now on lines go there; the descriptor is taken over, the one before
 * closed (not standard error). */
void log_sink_use(const struct log_sink *sink);
/* The present one, borrowed. */
const struct log_sink *log_sink(void);

/* One line; text ends with LF, which the system's log does not get. What cannot
 * be written is lost: a log must not stop the mail. */
void log_sink_write(int priority, const char *program, struct span text);

#endif
