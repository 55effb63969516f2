/* outpost: the supervisor and front command. The table says it all. */
#include "runner/front.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const struct command {
	const char *name;
	int (*run)(struct front *f, int argc, char **argv); /* NULL: later */
	const char *arguments, *what;
} commands[] = {
	{ "run", front_run, "", "in the foreground, until SIGTERM or Ctrl-C" },
	{ "start", front_start, "", "in the background; waits until ready" },
	{ "stop", front_stop, "", "waits for deliveries in flight" },
	{ "reload", front_reload, "", "read the configuration again" },
	{ "status", front_status, "[--json]", "programs, queue and lines" },
	{ "check", front_check, "[-n]",
	    "the configuration; -n prints the effective settings" },
	{ "queue", front_queue, "COMMAND...", "see outpost queue -h" },
	{ "replies", front_replies, "list|test [--destination D] [--json]",
	    "refusals kept, and what the reply rules would make of them now" },
	{ "sites", front_sites, "[list | show NAME] [--json]",
	    "what servers were found to take" },
	{ "lines", front_lines, "[--json] | set GROUP N [--save]",
	    "what each line does; how many a group has" },
	{ "outbound", front_outbound,
	    "on|off [--line NAME | --destination NAME]",
	    "resume or stop sending" },
	{ "tlsrpt", front_tlsrpt,
	    "show [--day D] [--domain D] | send --day D [--dry-run]",
	    "what TLS came to, by domain; the reports of it" },
	{ "log", front_log,
	    "detailed|basic [--line NAME | --destination NAME] [--for 10m]",
	    "change the log level now" },
	{ "dnscheck", front_dnscheck, "[DOMAIN]",
	    "whether what this node sends will be taken; -h shows more" },
	{ "setup", front_setup, "[OPTIONS]",
	    "guided: local name, direct or relay, login; see outpost setup "
	    "-h" },
	{ 0 },
};

static const struct command *find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

void front_usage(const char *name, bool is_error)
{
	FILE *to = is_error ? stderr : stdout;
	const struct command *only = name ? find(name) : NULL;

	if (only) {
		fprintf(to, "usage: outpost [-c FILE] %s %s\n\t%s\n",
		    only->name, only->arguments, only->what);
		return;
	}
	fputs("usage: outpost [-c FILE] COMMAND [...]\n", to);
	for (const struct command *c = commands; c->name; c++)
		if (c->run)
			fprintf(to, "  %-9s %-12s %s\n", c->name, c->arguments,
			    c->what);
}

/* -c, -h and --json before the command; after it they are the command's. */
static int read_options(struct front *f, int argc, char **argv)
{
	static const struct option options[] = { FRONT_OPTIONS, { 0 } };
	int option, status;

	while (
	    (option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
		status = front_option(f, NULL, option);
		if (status)
			return status;
	}
	if (optind < argc)
		return 0;
	front_usage(NULL, true);
	return EXIT_USAGE + 1;
}

/* So that no socket of ours takes the place of a closed standard error. */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct front front = { 0 };
	const struct command *command;
	int status;

	fill_standard_fds();
	status = read_options(&front, argc, argv);
	if (status)
		return status - 1;
	command = find(argv[optind]);
	if (!command) {
		fprintf(stderr, "outpost: no command \"%s\"\n",
		    log_escape(span_of(argv[optind])));
		front_usage(NULL, true);
		return EXIT_USAGE;
	}
	if (!command->run) {
		fprintf(stderr, "outpost: %s is not yet supported\n",
		    command->name);
		return EXIT_USAGE;
	}
	argc -= optind;
	argv += optind;
	optind = 0; /* getopt starts anew, at the command's options */
	status = command->run(&front, argc, argv);
	conf_free(front.conf);
	return status;
}
