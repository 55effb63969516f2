/* Where log lines go. */
#include "common/log_sink.h"

#include "common/date.h"
#include "common/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

enum { SYSLOG_WAIT_S = 2 }; /* for a system's log that does not read */

static struct log_sink current = { .fd = STDERR_FILENO };

/* -1: nobody there. */
static int connect_syslog(void)
{
	const struct sockaddr_un to = { AF_UNIX, "/dev/log" };
	const struct timeval wait = { .tv_sec = SYSLOG_WAIT_S };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

int log_sink_open(struct log_sink *sink, const char *where)
{
	*sink = (struct log_sink){ .fd = STDERR_FILENO };
	if (strcmp(where, "stderr") == 0)
		return 0;
	if (strcmp(where, "syslog") == 0) {
		*sink = (struct log_sink){ true, connect_syslog() };
		return 0;
	}
	sink->fd = open(
	    where, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0640);
	return sink->fd < 0 ? -1 : 0;
}

void log_sink_use(const struct log_sink *sink)
{
	int old = current.fd;

	current = *sink;
	if (old != current.fd && old > STDERR_FILENO)
		close(old);
}

const struct log_sink *log_sink(void)
{
	return &current;
}

static int send_syslog(const char *head, int head_bytes, struct span text)
{
	struct iovec parts[2] = { { (void *)head, (size_t)head_bytes },
		{ (void *)text.p, text.n } };
	const struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	return current.fd >= 0 &&
		       sendmsg(current.fd, &message, MSG_NOSIGNAL) >= 0
		   ? 0
		   : -1;
}

/* As syslog(3) says it. A log that was started again is found again, but not
 * out of a sandbox: there connecting only fails. */
static void write_syslog(int priority, const char *program, struct span text)
{
	char head[120], at[32];
	struct tm local;
	int n;

	date_local(now_utc(), &local);
	strftime(at, sizeof(at), "%h %e %T", &local);
	n = snprintf(head, sizeof(head),
	    "<%d>%s %.40s[%d]: ", LOG_MAIL | priority, at, program,
	    (int)getpid());
	if (send_syslog(head, n, text) == 0 || errno == EAGAIN)
		return;
	log_sink_use(&(struct log_sink){ true, connect_syslog() });
	send_syslog(head, n, text);
}

void log_sink_write(int priority, const char *program, struct span text)
{
	if (!current.is_syslog) {
		if (write(current.fd, text.p, text.n) < 0)
			return;
	} else {
		if (text.n > 0 && text.p[text.n - 1] == '\n')
			text.n--;
		write_syslog(priority, program, text);
	}
}
