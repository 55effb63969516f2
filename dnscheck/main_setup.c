/* outpost-setup ("outpost setup"): from nothing to a working, checked
 * configuration. Asks on a terminal; with --yes takes options and proposals.
 * The stages: options; the file as it is; proposals; questions; the relay
 * tried; the file shown and written; the check; a test message.
 */
#include "dnscheck/setup.h"

#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_NOT_DONE = 1, EXIT_USAGE = 2, EXIT_CONF = 78, LOGINS_MAX = 3 };

enum {
	OPTION_QUESTION = 1000,
	OPTION_YES = 2000,
	OPTION_NO_CHECKS,
	OPTION_TEST_TO,
	OPTION_RESOLVER,
	OPTION_IP,
	OPTION_TIMEOUT,
};

static const char usage[] =
    "usage: outpost setup [-c FILE] [OPTIONS]\n"
    "  asks what no option says, and writes FILE\n"
    "  --localname NAME  --mode direct|relay\n"
    "  --relay-server HOST  --relay-port N  --relay-tls "
    "none|may|require|verify\n"
    "  --relay-user USER  --relay-password-file FILE\n"
    "  --postmaster ADDRESS  --timezone ZONE\n"
    "  --reply-to ADDRESS  --sender-name NAME\n"
    "  --yes               no questions: options, the file, proposals\n"
    "  --no-checks         look at nothing in the network\n"
    "  --test-to ADDRESS   send a test message in the end\n"
    "  --resolver, --ip, --timeout  as of outpost dnscheck\n"
    "exit: 0 written, 1 not, 2 usage, 78 the file as it is has errors\n";

static void put_options(struct option options[ASK_COUNT + 10])
{
	static const struct option others[] = {
		{ "yes", no_argument, NULL, OPTION_YES },
		{ "no-checks", no_argument, NULL, OPTION_NO_CHECKS },
		{ "test-to", required_argument, NULL, OPTION_TEST_TO },
		{ "resolver", required_argument, NULL, OPTION_RESOLVER },
		{ "ip", required_argument, NULL, OPTION_IP },
		{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};

	for (int q = 0; q < ASK_COUNT; q++)
		options[q] =
		    (struct option){ setup_option_name((enum setup_question)q),
			    required_argument, NULL, OPTION_QUESTION + q };
	memcpy(&options[ASK_COUNT], others, sizeof(others));
}

static int pass_on(struct setup *s, const char *option)
{
	if (s->nextra + 2 > EXTRA_MAX)
		return -1;
	s->extra[s->nextra++] = (char *)option;
	s->extra[s->nextra++] = optarg;
	return 0;
}

static int take(struct setup *s, int option)
{
	int q = option - OPTION_QUESTION;

	if (q >= 0 && q < ASK_COUNT) {
		if (strlen(optarg) >= ANSWER_MAX)
			return -1;
		snprintf(s->answers[q], ANSWER_MAX, "%s", optarg);
		s->is_given[q] = true;
		return 0;
	}
	switch (option) {
	case 'c':
		s->path = optarg;
		return 0;
	case OPTION_YES:
		s->is_unattended = true;
		return 0;
	case OPTION_NO_CHECKS:
		s->is_without_checks = true;
		return 0;
	case OPTION_TEST_TO:
		s->test_to = optarg;
		return 0;
	case OPTION_RESOLVER:
		return pass_on(s, "--resolver");
	case OPTION_IP:
		return pass_on(s, "--ip");
	case OPTION_TIMEOUT:
		return pass_on(s, "--timeout");
	default:
		return -1;
	}
}

/* 0, 1: help was asked for, or -1. */
static int read_options(struct setup *s, int argc, char **argv)
{
	struct option options[ASK_COUNT + 10] = { 0 };
	int option;

	put_options(options);
	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return 1;
		}
		if (take(s, option) < 0)
			return -1;
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "outpost-setup: it takes no \"%s\"\n",
	    log_escape(span_of(argv[optind])));
	return -1;
}

static int read_conf(struct setup *s)
{
	const char *named = getenv("OUTPOST_CONF");
	struct buf errors;

	if (!s->path)
		s->path =
		    named && named[0] ? named : "/etc/outpost/outpost.conf";
	s->is_new = access(s->path, F_OK) < 0;
	buf_init(&errors, 1 << 20);
	s->conf = conf_load(s->is_new ? "/dev/null" : s->path, &errors);
	if (!s->conf)
		fprintf(stderr, "%soutpost-setup: correct that first\n",
		    buf_text(&errors));
	buf_clear(&errors);
	return s->conf ? 0 : -1;
}

/* --- the relay ------------------------------------------------------------ */

static int draft(
    const struct setup *s, bool is_final, struct buf *text, char path[PATH_MAX])
{
	const char *secret = !s->password[0] ? NULL
			     : is_final	     ? "secrets/default"
					     : "secrets/default.new";

	if (s->password[0] && !is_final && setup_write_secret(s) < 0)
		return -1;
	if (setup_text(s, secret, text) < 0)
		return -1;
	return setup_write_draft(s, text, path);
}

static bool try_once(const struct setup *s)
{
	char path[PATH_MAX];
	struct buf text;
	bool is_good = false;

	if (draft(s, false, &text, path) == 0) {
		is_good = setup_try_relay(s, path);
		unlink(path);
	}
	buf_clear(&text);
	return is_good;
}

/* Other answers until it works, or the user wants it so. */
static bool try_relay(struct setup *s)
{
	static const enum setup_question again[] = { ASK_SERVER, ASK_PORT,
		ASK_TLS_LEVEL, ASK_USER, ASK_PASSWORD_FILE };

	for (int tries = 0; !try_once(s); tries++) {
		if (s->is_unattended || tries == LOGINS_MAX ||
		    !setup_confirm(s, "Other answers for the relay?", true))
			return setup_confirm(
			    s, "Write the file all the same?", false);
		for (size_t q = 0; q < ASK_COUNT; q++)
			s->is_given[q] = true;
		for (size_t i = 0; i < sizeof(again) / sizeof(*again); i++)
			s->is_given[again[i]] = false;
		s->password[0] = '\0';
		if (setup_ask(s) < 0)
			return false;
	}
	return true;
}

/* --- the file ------------------------------------------------------------- */

static int write_file(struct setup *s)
{
	char path[PATH_MAX];
	struct buf text;
	int status = draft(s, true, &text, path);

	if (status == 0) {
		printf("\n--- %s\n%s---\n", s->path, buf_text(&text));
		if (!setup_confirm(s, "Write it?", true)) {
			puts("Nothing was changed.");
			status = -1;
		} else if (s->password[0] && setup_keep_secret(s) < 0) {
			status = -1;
		} else {
			status = setup_replace(s, path);
		}
		if (status < 0)
			unlink(path);
	}
	buf_clear(&text);
	return status;
}

static void finish(const struct setup *s)
{
	char to[ANSWER_MAX] = "";

	printf("\n%s is written. If outpost runs: outpost reload; else: "
	       "outpost start\n",
	    s->path);
	if (!s->is_without_checks)
		setup_check(s);
	if (s->test_to)
		setup_send_test(s, s->test_to);
	else if (!s->is_unattended &&
		 setup_read("Send a test message to (Enter: to nobody): ", to,
		     sizeof(to), false) &&
		 to[0])
		setup_send_test(s, to);
}

static int run(struct setup *s)
{
	setup_propose(s);
	if (setup_ask(s) < 0) {
		fputs("\noutpost-setup: no more input; nothing was changed\n",
		    stderr);
		return EXIT_NOT_DONE;
	}
	if (setup_is_relay(s) && !s->is_without_checks && !try_relay(s)) {
		fputs("outpost-setup: the relay does not work; nothing was "
		      "changed (--no-checks writes the file all the same)\n",
		    stderr);
		return EXIT_NOT_DONE;
	}
	if (write_file(s) < 0)
		return EXIT_NOT_DONE;
	finish(s);
	return 0;
}

int main(int argc, char **argv)
{
	static struct setup s;
	int status;

	signal(SIGPIPE, SIG_IGN);
	log_open("outpost-setup", "stderr");
	log_set_level(LOG_LEVEL_WARNINGS);
	status = read_options(&s, argc, argv);
	if (status != 0)
		return status > 0 ? 0 : EXIT_USAGE;
	if (!s.is_unattended && !isatty(STDIN_FILENO)) {
		fputs("outpost-setup: it asks on a terminal; without one, use "
		      "--yes and options (see -h)\n",
		    stderr);
		return EXIT_USAGE;
	}
	if (read_conf(&s) < 0)
		return EXIT_CONF;
	status = run(&s);
	setup_drop_secret(&s);
	explicit_bzero(s.password, sizeof(s.password));
	conf_free(s.conf);
	return status;
}
