/* outpost-setup: questions, answers, and the file made from them. */
#ifndef DNSCHECK_SETUP_H
#define DNSCHECK_SETUP_H

#include "common/conf.h"

enum setup_question {
	ASK_LOCALNAME = 0,
	ASK_MODE,
	ASK_SERVER,
	ASK_PORT,
	ASK_TLS_LEVEL,
	ASK_USER,
	ASK_PASSWORD_FILE,
	ASK_POSTMASTER,
	ASK_TIMEZONE,
	ASK_REPLY_TO,
	ASK_SENDER_NAME,
	ASK_COUNT
};
enum { ANSWER_MAX = 500, EXTRA_MAX = 16 };

struct setup {
	const char *path;  /* of the file */
	bool is_new;	   /* it is not there yet */
	struct conf *conf; /* as it is now, or the defaults */
	bool is_unattended, is_without_checks;
	const char *test_to;
	char *extra[EXTRA_MAX + 1]; /* for outpost-dnscheck */
	size_t nextra;
	/* "": as it is */
	char answers[ASK_COUNT][ANSWER_MAX];
	bool is_given[ASK_COUNT];  /* by an option */
	char password[ANSWER_MAX]; /* typed in; "": a file, or none */
	char proposed_name[300];
	bool proposes_relay;
	char why_mode[600];
};

/* setup_ask.c */
const char *setup_option_name(enum setup_question question);
/* Ask what no option said. 0, or -1: no more input. */
int setup_ask(struct setup *s);
/* "y" or "n"; unattended: what is assumed. */
bool setup_confirm(const struct setup *s, const char *what, bool otherwise);
/* A line from the terminal; false: no more input. */
bool setup_read(const char *prompt, char *to, size_t size, bool is_secret);
bool setup_is_relay(const struct setup *s);

/* setup_child.c: outpost-dnscheck, beside this program */
void setup_propose(struct setup *s);
/* Tries relay "default" of that file and shows what it finds. True: no check
 * failed. */
bool setup_try_relay(const struct setup *s, const char *path);
void setup_check(const struct setup *s);
/* 0: handed to the running outpost. */
int setup_send_test(const struct setup *s, const char *to);

/* setup_file.c */
/* The file as it would be; secret: what password-file is to say, or NULL.
 * 0, or -1 with a line on standard error. */
int setup_text(const struct setup *s, const char *secret, struct buf *text);
/* Beside the file, checked by conf_load. path: PATH_MAX bytes. */
int setup_write_draft(
    const struct setup *s, const struct buf *text, char *path);
/* The draft takes the file's place; the old one stays as FILE.bak. */
int setup_replace(const struct setup *s, const char *draft);
/* secrets/default.new beside the file, of mode 600; then without ".new". */
int setup_write_secret(const struct setup *s);
int setup_keep_secret(const struct setup *s);
void setup_drop_secret(const struct setup *s);

#endif
