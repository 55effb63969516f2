/* The files of a relay's login. */
#include "common/relay_login.h"

#include "common/messages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum file_kind { FILE_PASSWORD, FILE_CERTIFICATE, FILE_KEY };

static const char *const names[] = { "password-file", "certificate", "key" };

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_clear(b);
}

static int refuse(const struct conf_relay *relay, enum file_kind kind,
    const char *path, const char *what, struct outcome *why)
{
	return outcome_perm(why, "5.3.5", "%s:%d: %s: %s: %s",
	    relay->place.file, relay->place.line, names[kind], path, what);
}

/* Whether it may be used at all; a certificate that stands alone is public. */
static const char *find_fault(const struct stat *st, bool is_secret)
{
	if (!S_ISREG(st->st_mode))
		return "is no file";
	if (st->st_mode & S_IWOTH)
		return "others can write to it; chmod 600 it";
	if (is_secret && st->st_mode & S_IROTH)
		return "others can read it; chmod 600 it, and change what is "
		       "in it";
	if (st->st_size == 0)
		return "is empty";
	if (st->st_size > CREDENTIAL_MAX)
		return "is longer than 16 KiB";
	return NULL;
}

/* All at once: growing would leave a copy behind. */
static const char *read_all(int fd, struct buf *to)
{
	char *at;
	ssize_t n;

	buf_init(to, CREDENTIAL_MAX + 1);
	at = buf_reserve(to, CREDENTIAL_MAX + 1);
	if (!at)
		return "no memory";
	while ((n = read(fd, at + to->len, CREDENTIAL_MAX + 1 - to->len)) > 0)
		to->len += (size_t)n;
	if (n < 0)
		return strerror(errno);
	return to->len > CREDENTIAL_MAX ? "is longer than 16 KiB" : NULL;
}

/* The line end that editors leave is no part of a password. */
static const char *trim_password(struct buf *password)
{
	if (password->len > 0 && password->data[password->len - 1] == '\n')
		password->len--;
	if (password->len > 0 && password->data[password->len - 1] == '\r')
		password->len--;
	if (password->len == 0)
		return "is empty";
	if (memchr(password->data, '\0', password->len))
		return "has a NUL byte in it";
	return NULL;
}

static int read_file(const struct conf_relay *relay, enum file_kind kind,
    const char *path, struct buf *to, struct outcome *why)
{
	bool is_secret = kind != FILE_CERTIFICATE || !relay->key;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *fault;
	struct stat st;

	if (fd < 0)
		return refuse(relay, kind, path, strerror(errno), why);
	fault =
	    fstat(fd, &st) < 0 ? strerror(errno) : find_fault(&st, is_secret);
	if (!fault)
		fault = read_all(fd, to);
	close(fd);
	if (!fault && kind == FILE_PASSWORD)
		fault = trim_password(to);
	return fault ? refuse(relay, kind, path, fault, why) : 0;
}

void relay_login_clear(struct relay_login *login)
{
	wipe(&login->password);
	wipe(&login->certificate);
	wipe(&login->key);
}

int relay_login_read(const struct conf_relay *relay, struct relay_login *login,
    struct outcome *why)
{
	const char *const paths[] = { relay->password_file, relay->certificate,
		relay->key };
	struct buf *const parts[] = { &login->password, &login->certificate,
		&login->key };

	*login = (struct relay_login){ 0 };
	for (int kind = 0; kind < 3; kind++)
		if (paths[kind] && read_file(relay, (enum file_kind)kind,
				       paths[kind], parts[kind], why) < 0) {
			relay_login_clear(login);
			return -1;
		}
	return outcome_ok(why);
}

bool relay_has_login(const struct conf_relay *relay)
{
	return relay->user || relay->certificate;
}
