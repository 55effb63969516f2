/* What a program takes from the configuration and from files at its start
 * alone: when that is another, a reload needs another process. */
#include "runner/supervisor_parts.h"

#include "common/ca_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void put_file(struct buf *out, const char *path)
{
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return;
	buf_printf(out, "%s %ju:%ju %jd %jd.%09ld %jd.%09ld\n", path,
	    (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
	    (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
	    (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

/* The listen blocks, as they are printed, wherever they stand. */
static void put_blocks(struct buf *out, const struct conf *conf)
{
	struct buf text;
	struct span rest, line;
	bool is_in = false;

	buf_init(&text, 16 << 20);
	conf_print(conf, &text);
	for (rest = buf_span(&text); rest.n > 0;) {
		line = span_cut(&rest, '\n');
		is_in |= span_has_prefix_nocase(line, "listen ");
		if (!is_in || span_has_prefix_nocase(line, "\tfrom = "))
			continue;
		buf_put_raw(out, line);
		buf_putc(out, '\n');
		is_in = !span_is_equal(line, SPAN_LITERAL("}"));
	}
	buf_clear(&text);
}

char *smtpd_needs(const struct conf *conf)
{
	struct buf all;
	char *text;

	buf_init(&all, 16 << 20);
	put_blocks(&all, conf);
	for (size_t i = 0; i < conf->nlistens; i++) {
		put_file(&all, conf->listens[i].certificate);
		put_file(&all, conf->listens[i].key);
	}
	text = all.overflow ? NULL : strdup(buf_text(&all));
	buf_clear(&all);
	return text;
}

/* FNV-1a: two states of a few files are told apart, nobody is kept out. */
static uint64_t stamp_of(struct span text)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < text.n; i++)
		hash = (hash ^ (unsigned char)text.p[i]) * 0x100000001b3;
	return hash;
}

uint64_t program_stamp(const struct conf *conf, enum role role)
{
	const char *file = ca_file_choose(conf->tls.ca_file);
	struct buf all;
	uint64_t stamp;

	if (role != ROLE_REMOTE && role != ROLE_FETCH)
		return 0;
	buf_init(&all, 1 << 20);
	buf_printf(&all, "%s\n", file);
	put_file(&all, file);
	if (role == ROLE_FETCH)
		buf_printf(&all, "%u\n", conf->tls.mta_sts_port);
	stamp = stamp_of(buf_span(&all));
	buf_clear(&all);
	return stamp;
}
