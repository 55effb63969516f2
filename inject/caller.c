/* The user who runs the program. */
#include "inject/caller.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 1000 };

/* The first of the comma-separated fields; "&" is the login name in it. */
static void put_full_name(struct buf *out, struct span gecos, struct span login)
{
	struct span name = span_trim(span_cut(&gecos, ','));

	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] != '&') {
			buf_putc(out, name.p[i]);
			continue;
		}
		if (login.n > 0)
			buf_putc(out, (char)toupper((unsigned char)login.p[0]));
		buf_put_raw(out, span_from(login, 1));
	}
}

/* Most users stand in this file; asking the name service costs more than all
 * the rest of a start. */
static struct passwd *find_in_file(uid_t uid)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *entry = NULL;

	while (file && (entry = fgetpwent(file)) && entry->pw_uid != uid)
		continue;
	if (file)
		fclose(file);
	return entry;
}

int caller_load(struct caller *caller)
{
	struct passwd *entry;

	errno = 0;
	entry = find_in_file(getuid());
	if (!entry && errno != ENOMEM)
		entry = getpwuid(getuid());
	if (!entry && errno == ENOMEM)
		return -1;
	buf_init(&caller->login, NAME_MAX_BYTES);
	buf_init(&caller->full_name, NAME_MAX_BYTES);
	if (entry && entry->pw_name[0]) {
		buf_puts(&caller->login, entry->pw_name);
		put_full_name(&caller->full_name, span_of(entry->pw_gecos),
		    buf_span(&caller->login));
	} else {
		buf_printf(&caller->login, "uid%u", (unsigned)getuid());
	}
	return caller->login.overflow || caller->full_name.overflow ? -1 : 0;
}

void caller_clear(struct caller *caller)
{
	buf_clear(&caller->login);
	buf_clear(&caller->full_name);
}

struct span caller_name_wanted(void)
{
	struct span name = span_of(getenv("NAME"));

	for (size_t i = 0; i < name.n; i++)
		if (iscntrl((unsigned char)name.p[i]))
			return (struct span){ 0 };
	if (name.n > NAME_MAX_BYTES)
		name.n = 0;
	return name;
}
