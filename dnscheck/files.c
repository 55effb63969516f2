/* What is looked at in the file system and the kernel. */
#include "dnscheck/files.h"

#include "common/deadline.h"
#include "dnscheck/need.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

static void look_at(struct files *f, const char *path,
    const struct conf_place *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void look_at(struct files *f, const char *path,
    const struct conf_place *place, const char *format, ...)
{
	struct secret_file *s;
	struct stat st;
	va_list args;

	if (!path || f->nsecrets == SECRETS_MAX)
		return;
	f->secrets = need(
	    reallocarray(f->secrets, f->nsecrets + 1, sizeof(*f->secrets)));
	s = &f->secrets[f->nsecrets++];
	*s = (struct secret_file){ .place = place };
	snprintf(s->path, sizeof(s->path), "%s", path);
	va_start(args, format);
	vsnprintf(s->what, sizeof(s->what), format, args);
	va_end(args);
	if (stat(path, &st) < 0) {
		s->error = errno;
		return;
	}
	s->mode = st.st_mode;
	s->owner = st.st_uid;
}

static void look_at_secrets(struct files *f, const struct conf *conf)
{
	for (size_t i = 0; i < conf->nrelays; i++) {
		const struct conf_relay *r = &conf->relays[i];

		look_at(f, r->password_file, &r->place,
		    "password-file of relay \"%s\"", r->name);
		look_at(f, r->key, &r->place, "key of relay \"%s\"", r->name);
	}
	for (size_t i = 0; i < conf->nlistens; i++) {
		const struct conf_listen *l = &conf->listens[i];

		look_at(
		    f, l->key, &l->place, "key of listen \"%s\"", l->address);
		look_at(f, l->users, &l->place, "users of listen \"%s\"",
		    l->address);
	}
}

static void look_at_spool(struct files *f, const char *spool)
{
	struct statvfs v;

	if (statvfs(spool, &v) < 0) {
		f->spool_error = errno;
		return;
	}
	f->spool_free = (uint64_t)v.f_bavail * v.f_frsize;
	f->spool_size = (uint64_t)v.f_blocks * v.f_frsize;
	f->inodes_free = v.f_favail;
	f->inodes = v.f_files;
}

static void look_at_clock(struct files *f)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);

	f->now_s = now_utc();
	if (state < 0)
		return;
	f->clock_is_known = true;
	f->clock_is_kept = state != TIME_ERROR && !(t.status & STA_UNSYNC);
	f->clock_error_us = t.esterror;
}

struct files *files_look(const struct conf *conf)
{
	struct files *f = need(calloc(1, sizeof(*f)));

	look_at_secrets(f, conf);
	look_at_spool(f, conf->spool);
	look_at_clock(f);
	hostname_find(&f->host);
	return f;
}

void files_free(struct files *f)
{
	if (!f)
		return;
	free(f->secrets);
	free(f);
}
