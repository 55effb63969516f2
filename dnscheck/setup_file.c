/* The file that setup writes: the text as it is, with what was answered. */
#include "dnscheck/setup.h"

#include "common/conf_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

static int complain(const char *path, const char *why)
{
	fprintf(stderr, "outpost-setup: %s: %s\n", path, why);
	return -1;
}

/* --- text ----------------------------------------------------------------- */

static int load(const char *path, struct buf *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[4096];
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : complain(path, strerror(errno));
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_put(text, piece, (size_t)n);
	close(fd);
	if (n < 0)
		return complain(path, strerror(errno));
	return text->overflow ? complain(path, "it is too long") : 0;
}

static int set(const struct setup *s, struct buf *text, const char *block,
    const char *title, const char *option, const char *value)
{
	const char *why;

	if (conf_edit(text, block, title, option, value, &why) < 0)
		return complain(s->path, why);
	return 0;
}

/* "-": nothing of it is written. */
static int set_text(const struct setup *s, struct buf *text, const char *block,
    const char *title, const char *option, const char *answer)
{
	struct buf value;
	int status;

	if (!answer[0] || strcmp(answer, "-") == 0)
		return 0;
	buf_init(&value, 2 * ANSWER_MAX + 10);
	status = conf_edit_quote(&value, span_of(answer));
	if (status < 0)
		complain(option, "no line breaks are allowed in it");
	else
		status = set(s, text, block, title, option, buf_text(&value));
	buf_clear(&value);
	return status;
}

/* servers = { "smtps://mail.isp.example:465" } */
static int set_server(const struct setup *s, struct buf *text)
{
	const struct conf_relay *relay = conf_relay(s->conf, "default");
	const struct conf_server *now =
	    relay && relay->nservers > 0 ? &relay->servers[0] : NULL;
	const char *host = s->answers[ASK_SERVER], *port = s->answers[ASK_PORT];
	char number[20], server[2 * ANSWER_MAX + 60],
	    value[2 * ANSWER_MAX + 80];
	struct conf_server parsed = { 0 };
	bool is_address;

	if (!host[0] && !port[0])
		return 0;
	snprintf(
	    number, sizeof(number), "%u", now ? (unsigned)now->port : 587u);
	if (!host[0])
		host = now ? now->host : "";
	if (!port[0])
		port = number;
	is_address = strchr(host, ':') && host[0] != '[';
	snprintf(server, sizeof(server), "%s://%s%s%s:%s",
	    strcmp(port, "465") == 0 ? "smtps" : "smtp", is_address ? "[" : "",
	    host, is_address ? "]" : "", port);
	if (conf_parse_server(server, &parsed) < 0)
		return complain(server, "this is not a relay server and port");
	free(parsed.host);
	snprintf(value, sizeof(value), "{ \"%s\" }", server);
	return set(s, text, "relay", "default", "servers", value);
}

static int set_relay(
    const struct setup *s, const char *secret, struct buf *text)
{
	if (set_server(s, text) < 0 ||
	    set_text(s, text, "relay", "default", "tls",
		s->answers[ASK_TLS_LEVEL]) < 0 ||
	    set_text(
		s, text, "relay", "default", "user", s->answers[ASK_USER]) < 0)
		return -1;
	return set_text(s, text, "relay", "default", "password-file",
	    secret ? secret : s->answers[ASK_PASSWORD_FILE]);
}

int setup_text(const struct setup *s, const char *secret, struct buf *text)
{
	buf_init(text, FILE_MAX);
	if (s->is_new)
		buf_puts(text, "# Outpost, made by outpost setup; all "
			       "settings: outpost.conf(5)\n\n");
	if (load(s->path, text) < 0 ||
	    set_text(s, text, NULL, NULL, "localname",
		s->answers[ASK_LOCALNAME]) < 0 ||
	    set_text(s, text, NULL, NULL, "postmaster",
		s->answers[ASK_POSTMASTER]) < 0 ||
	    set_text(s, text, NULL, NULL, "timezone",
		s->answers[ASK_TIMEZONE]) < 0 ||
	    set_text(s, text, NULL, NULL, "mode", s->answers[ASK_MODE]) < 0)
		return -1;
	if (setup_is_relay(s) && set_relay(s, secret, text) < 0)
		return -1;
	if (set_text(s, text, "defaults", NULL, "reply-to",
		s->answers[ASK_REPLY_TO]) < 0)
		return -1;
	return set_text(s, text, "defaults", NULL, "sender-name",
	    s->answers[ASK_SENDER_NAME]);
}

/* --- files ---------------------------------------------------------------- */

static int folder_of(const struct setup *s, char folder[PATH_MAX])
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", s->path);
	snprintf(folder, PATH_MAX, "%s", dirname(copy));
	return 0;
}

static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	return status;
}

static int write_all(int fd, struct span text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0)
			return -1;
		text = span_from(text, (size_t)n);
	}
	return fsync(fd);
}

/* With the rights that the file has now. */
static int copy_rights(const char *path, int fd)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return fchmod(fd, 0644);
	if (fchmod(fd, st.st_mode & 07777) < 0)
		return -1;
	return geteuid() == 0 ? fchown(fd, st.st_uid, st.st_gid) : 0;
}

static bool is_valid(const char *path)
{
	struct conf *conf;
	struct buf errors;

	buf_init(&errors, FILE_MAX);
	conf = conf_load(path, &errors);
	if (!conf)
		fputs(buf_text(&errors), stderr);
	buf_clear(&errors);
	conf_free(conf);
	return conf;
}

int setup_write_draft(const struct setup *s, const struct buf *text, char *path)
{
	char folder[PATH_MAX];
	int fd, status;

	folder_of(s, folder);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return complain(folder, strerror(errno));
	snprintf(path, PATH_MAX, "%.4000s.XXXXXX", s->path);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return complain(path, strerror(errno));
	status =
	    write_all(fd, buf_span(text)) < 0 || copy_rights(s->path, fd) < 0
		? complain(path, strerror(errno))
		: 0;
	close(fd);
	if (status == 0 && !is_valid(path))
		status = complain(s->path, "what was answered is not allowed; "
					   "nothing was changed");
	if (status < 0)
		unlink(path);
	return status;
}

int setup_replace(const struct setup *s, const char *draft)
{
	char backup[PATH_MAX], folder[PATH_MAX];

	folder_of(s, folder);
	snprintf(backup, sizeof(backup), "%.4000s.bak", s->path);
	if (!s->is_new) {
		if ((unlink(backup) < 0 && errno != ENOENT) ||
		    link(s->path, backup) < 0)
			return complain(backup, strerror(errno));
		printf("The file as it was: %s\n", backup);
	}
	if (rename(draft, s->path) < 0 || sync_folder(folder) < 0)
		return complain(s->path, strerror(errno));
	return 0;
}

/* --- the password --------------------------------------------------------- */

static void secret_path(
    const struct setup *s, const char *end, char path[PATH_MAX])
{
	char folder[PATH_MAX];

	folder_of(s, folder);
	snprintf(path, PATH_MAX, "%.4000s/secrets%s", folder, end);
}

int setup_write_secret(const struct setup *s)
{
	char path[PATH_MAX];
	int fd, status;

	secret_path(s, "", path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return complain(path, strerror(errno));
	secret_path(s, "/default.new", path);
	unlink(path);
	fd = open(
	    path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return complain(path, strerror(errno));
	status = write_all(fd, span_of(s->password));
	close(fd);
	return status < 0 ? complain(path, strerror(errno)) : 0;
}

int setup_keep_secret(const struct setup *s)
{
	char from[PATH_MAX], to[PATH_MAX];

	secret_path(s, "/default.new", from);
	secret_path(s, "/default", to);
	return rename(from, to) < 0 ? complain(to, strerror(errno)) : 0;
}

void setup_drop_secret(const struct setup *s)
{
	char path[PATH_MAX];

	secret_path(s, "/default.new", path);
	unlink(path);
}
