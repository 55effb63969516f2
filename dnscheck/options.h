/* The command line of outpost-dnscheck. */
#ifndef DNSCHECK_OPTIONS_H
#define DNSCHECK_OPTIONS_H

#include "dnscheck/run.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONF = 78 };

struct dnscheck_options {
	struct run_options run;
	const char *conf_path; /* -c; NULL: the usual places */
	const char *node;      /* --node; NULL: this one */
	char *resolvers[8];    /* --resolver */
	size_t nresolvers;
	bool has_conf_fd; /* the supervisor gives it on descriptor 3 */
	bool is_json, is_quiet, is_help;
	const char *html, *since; /* files; NULL: not asked for */
};

/* 0, or -1 with *error: one line, what and what is allowed. Texts are borrowed
 * from argv. */
int check_options_parse(
    int argc, char **argv, struct dnscheck_options *o, struct buf *error);
void options_usage(void);

#endif
