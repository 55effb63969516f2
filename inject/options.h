/* The command line of sendmail, newaliases and outpost-inject. */
#ifndef INJECT_OPTIONS_H
#define INJECT_OPTIONS_H

#include "common/outcome.h"

enum inject_task {
	TASK_SEND = 0,
	TASK_SMTP,    /* -bs */
	TASK_LIST,    /* -bp */
	TASK_ALIASES, /* -bi, -I, newaliases */
	TASK_RETRY,   /* -q... */
	TASK_HELP,
};

/* Texts are borrowed from argv. */
struct options {
	enum inject_task task;
	const char *conf_file;	/* NULL: the usual */
	const char *sender;	/* -f; NULL: the caller; "" or "<>": null */
	const char *full_name;	/* -F; NULL: not given */
	const char *envid;	/* -V; NULL: not given */
	uint32_t hold_s;	/* --hold; 0: not given */
	uint32_t expire_s;	/* --expire; 0: not given */
	const char *retry_what; /* -qI, -qR, -qS; NULL: all */
	char retry_by;		/* 'I', 'R' or 'S' */
	uint8_t notify;		/* -N, NOTIFY_* bits; 0: not given */
	uint8_t ret;		/* -R, enum dsn_ret */
	bool ignores_dots;	/* -i */
	bool reads_header;	/* -t */
	bool is_verbose;	/* -v */
	bool is_8bit;		/* -B8BITMIME */
	char **recipients;
	int nrecipients;
};

/* Options end at the first argument that is none, and at "--": what follows is
 * recipients, whatever it looks like. Returns 0, or an exit status of
 * sysexits(3) with *why: EX_USAGE, or EX_NOPERM for -C. */
int options_parse(
    int argc, char **argv, struct options *o, struct outcome *why);

/* The name the program was called by, without folders; "sendmail" when there
 * is none. */
const char *options_program(int argc, char **argv);

#endif
