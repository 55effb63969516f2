/* The front command's parts: one function a command, and what they share. */
#ifndef RUNNER_FRONT_H
#define RUNNER_FRONT_H

#include "common/conf.h"
#include "common/messages.h"
#include "common/wire.h"

enum { EXIT_NOT_DONE = 1, EXIT_USAGE = 2, EXIT_CONF = 78 };

struct front {
	const char *file; /* -c; NULL: the usual places */
	bool is_json;
	struct conf *conf; /* after front_load */
};

/* argv[0] is the command's name. Each returns the exit status. */
int front_run(struct front *f, int argc, char **argv);
int front_start(struct front *f, int argc, char **argv);
int front_stop(struct front *f, int argc, char **argv);
int front_reload(struct front *f, int argc, char **argv);
int front_status(struct front *f, int argc, char **argv);
int front_check(struct front *f, int argc, char **argv);
int front_queue(struct front *f, int argc, char **argv);
int front_dnscheck(struct front *f, int argc, char **argv);
int front_setup(struct front *f, int argc, char **argv);
int front_replies(struct front *f, int argc, char **argv);
int front_lines(struct front *f, int argc, char **argv);
int front_sites(struct front *f, int argc, char **argv);
/* lines set: argv as of front_lines */
int front_lines_set(struct front *f, int argc, char **argv);
/* The group's count in the file at path (a link is followed), with which the
 * configuration whole must still load. 0, or -1 with a line in *error: the file
 * is then as it was. */
int front_lines_save(const char *path, const char *whole, const char *group,
    const char *count, struct buf *error);
int front_outbound(struct front *f, int argc, char **argv);
int front_tlsrpt(struct front *f, int argc, char **argv);
int front_log(struct front *f, int argc, char **argv);

/* What getopt_long wants: the options that every command takes, then its own
 * up to a zero. front_option takes the common ones. */
struct option;
enum { OPTION_JSON = 1000 };
#define FRONT_OPTIONS                               \
	{ "json", no_argument, NULL, OPTION_JSON }, \
	{                                           \
		"help", no_argument, NULL, 'h'      \
	}
/* 0: taken; else the exit status + 1 (help asked for, or an unknown one). */
int front_option(struct front *f, const char *command, int option);
/* Only the common options, then exactly nothing. 0, or exit status + 1. */
int front_no_arguments(struct front *f, int argc, char **argv);
void front_usage(const char *command, bool is_error);

/* What is right but does less than it seems to: warnings on standard error. */
void front_advise(const struct conf *conf);

/* The configuration; errors are printed. 0 or -1. */
int front_load(struct front *f);

/* Connect to RUNTIME/NAME for blocking use. NULL after saying that Outpost is
 * not running; is_quiet: without a word. */
struct wire *front_connect(struct front *f, const char *name,
    const struct wire_rule *rules, bool is_quiet);

/* Send one request and give each answer to each() until MSG_END. Returns 0, or
 * -1 after printing why (MSG_FAILED, broken, timeout_ms). */
int front_ask(struct wire *wire, uint16_t type, struct span payload,
    uint64_t timeout_ms, void (*each)(struct message *message, void *arg),
    void *arg);

#endif
