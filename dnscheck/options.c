/* The command line of outpost-dnscheck. */
#include "dnscheck/options.h"

#include "common/address.h"
#include "common/resolvers.h"

#include <getopt.h>
#include <stdio.h>

enum {
	OPTION_TO = 1000,
	OPTION_SERVER,
	OPTION_RELAY,
	OPTION_LOCALNAME,
	OPTION_IP,
	OPTION_LINE,
	OPTION_NODE,
	OPTION_RESOLVER,
	OPTION_JSON,
	OPTION_HTML,
	OPTION_QUIET,
	OPTION_SINCE,
	OPTION_TIMEOUT,
	OPTION_WHOAMI,
	OPTION_ECHO,
	OPTION_FAST,
	OPTION_PROPOSE,
	OPTION_CONF_FD,
	OPTION_SIGNED,
	OPTION_BOGUS,
	OPTION_SELECTOR,
	OPTION_LIST,
};

enum { TIMEOUT_DEFAULT_MS = 15000, TIMEOUT_MAX_S = 600 };

static const struct option longs[] = {
	{ "to", required_argument, NULL, OPTION_TO },
	{ "server", required_argument, NULL, OPTION_SERVER },
	{ "relay", required_argument, NULL, OPTION_RELAY },
	{ "localname", required_argument, NULL, OPTION_LOCALNAME },
	{ "ip", required_argument, NULL, OPTION_IP },
	{ "line", required_argument, NULL, OPTION_LINE },
	{ "node", required_argument, NULL, OPTION_NODE },
	{ "resolver", required_argument, NULL, OPTION_RESOLVER },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "html", required_argument, NULL, OPTION_HTML },
	{ "quiet", no_argument, NULL, OPTION_QUIET },
	{ "since", required_argument, NULL, OPTION_SINCE },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "whoami", required_argument, NULL, OPTION_WHOAMI },
	{ "echo", required_argument, NULL, OPTION_ECHO },
	{ "fast", no_argument, NULL, OPTION_FAST },
	{ "propose", no_argument, NULL, OPTION_PROPOSE },
	{ "conf-fd", no_argument, NULL, OPTION_CONF_FD },
	{ "signed-name", required_argument, NULL, OPTION_SIGNED },
	{ "bogus-name", required_argument, NULL, OPTION_BOGUS },
	{ "selector", required_argument, NULL, OPTION_SELECTOR },
	{ "list", required_argument, NULL, OPTION_LIST },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char usage[] =
    "usage: outpost dnscheck [-c FILE] [OPTIONS] [DOMAIN]\n"
    "  whether what this node sends will be taken, and what to change\n"
    "  DOMAIN              check sending as that domain\n"
    "  spf IP SENDER HELO  evaluate SPF and say why\n"
    "  --to ADDRESS        the way to a recipient; nothing is sent\n"
    "  --server HOST[:PORT]  what a server says and how it sees us\n"
    "  --relay NAME        a relay of the configuration and its login\n"
    "  --localname NAME    instead of the configured local name\n"
    "  --ip [LOCAL=]ADDR   the address that the world sees (repeatable)\n"
    "  --line NAME         only this line group\n"
    "  --node NAME         as that node of the configuration\n"
    "  --resolver ADDR[:PORT]  instead of the configured ones (repeatable)\n"
    "  --whoami NAME@SERVER  whom to ask for the address that he sees\n"
    "  --echo HOST[:PORT]  a mail server that says whom it sees\n"
    "  --fast              without looks at servers\n"
    "  --signed-name NAME, --bogus-name NAME  to try resolvers with\n"
    "  --selector NAME[=KEY-FILE],...  the DKIM selectors in use\n"
    "  --list [domain:]NAME  a blocklist to look in (repeatable)\n"
    "  --json, --html FILE, --quiet, --since FILE (an earlier --json)\n"
    "  --timeout DURATION  for all of it (15s)\n"
    "exit: 0 all ok or warn, 1 a failure, 2 usage, 78 configuration\n";

void options_usage(void)
{
	fputs(usage, stdout);
}

static int refuse(struct buf *error, const char *option, const char *value,
    const char *allowed)
{
	buf_printf(error, "%s: %s is not allowed; %s", option,
	    log_escape(span_of(value)), allowed);
	return -1;
}

static int add_ip(struct run_options *o, struct buf *error)
{
	struct span rest = span_of(optarg), first = span_cut(&rest, '=');
	union net_address a;
	const char *allowed = "an address, or LOCAL=ADDRESS, without ports";

	if (o->nip == RUN_IPS_MAX)
		return refuse(error, "--ip", optarg, "32 of them at most");
	if (net_parse(first, 0, &a) < 0 || a.in.sin_port != 0 ||
	    (span_find(span_of(optarg), '=') >= 0 &&
		(net_parse(rest, 0, &a) < 0 || a.in.sin_port != 0)))
		return refuse(error, "--ip", optarg, allowed);
	o->ip[o->nip++] = optarg;
	return 0;
}

static int add_resolver(struct dnscheck_options *o, struct buf *error)
{
	struct resolver_address r;

	if (o->nresolvers == sizeof(o->resolvers) / sizeof(*o->resolvers))
		return refuse(
		    error, "--resolver", optarg, "eight of them at most");
	if (resolver_parse(span_of(optarg), &r) < 0)
		return refuse(error, "--resolver", optarg,
		    "an address, ADDRESS:PORT or [v6]:PORT");
	o->resolvers[o->nresolvers++] = optarg;
	return 0;
}

static int add_list(struct run_options *o, struct buf *error)
{
	size_t prefix = strncmp(optarg, "domain:", 7) == 0 ? 7 : 0;

	if (o->nlists == RUN_LISTS_MAX)
		return refuse(error, "--list", optarg, "32 of them at most");
	if (!domain_is_valid(span_from(span_of(optarg), prefix), 2))
		return refuse(error, "--list", optarg,
		    "the name of a list, after \"domain:\" one of domains");
	o->lists[o->nlists++] = optarg;
	return 0;
}

static int take_timeout(struct run_options *o, struct buf *error)
{
	uint32_t seconds;

	if (conf_parse_duration(optarg, &seconds) < 0 || seconds == 0 ||
	    seconds > TIMEOUT_MAX_S)
		return refuse(error, "--timeout", optarg, "1s to 10m");
	o->timeout_ms = seconds * 1000;
	return 0;
}

static int take_mode(
    struct run_options *o, enum run_mode mode, struct buf *error)
{
	if (o->mode != RUN_NODE && o->mode != mode) {
		buf_puts(error,
		    "one of DOMAIN, --to, --server, --relay and spf only");
		return -1;
	}
	o->mode = mode;
	return 0;
}

/* What is a value of the run. 1: another option. */
static int take_run(struct run_options *o, int option, struct buf *error)
{
	switch (option) {
	case OPTION_TO:
		o->to = optarg;
		return take_mode(o, RUN_TO, error);
	case OPTION_SERVER:
		o->server = optarg;
		return take_mode(o, RUN_SERVER, error);
	case OPTION_RELAY:
		o->relay = optarg;
		return take_mode(o, RUN_RELAY, error);
	case OPTION_LOCALNAME:
		o->localname = optarg;
		return 0;
	case OPTION_IP:
		return add_ip(o, error);
	case OPTION_LINE:
		o->line = optarg;
		return 0;
	case OPTION_TIMEOUT:
		return take_timeout(o, error);
	case OPTION_WHOAMI:
		o->whoami = optarg;
		return 0;
	case OPTION_ECHO:
		o->echo = optarg;
		return 0;
	case OPTION_PROPOSE:
		return take_mode(o, RUN_PROPOSE, error);
	case OPTION_FAST:
		o->is_fast = true;
		return 0;
	case OPTION_SIGNED:
		o->signed_name = optarg;
		return 0;
	case OPTION_BOGUS:
		o->bogus_name = optarg;
		return 0;
	case OPTION_SELECTOR:
		o->selectors = optarg;
		return 0;
	case OPTION_LIST:
		return add_list(o, error);
	default:
		return 1;
	}
}

static int take(struct dnscheck_options *o, int option, struct buf *error)
{
	switch (option) {
	case 'c':
		o->conf_path = optarg;
		return 0;
	case 'h':
		o->is_help = true;
		return 0;
	case OPTION_CONF_FD:
		o->has_conf_fd = true;
		return 0;
	case OPTION_NODE:
		o->node = optarg;
		return 0;
	case OPTION_RESOLVER:
		return add_resolver(o, error);
	case OPTION_JSON:
		o->is_json = true;
		return 0;
	case OPTION_HTML:
		o->html = optarg;
		return 0;
	case OPTION_QUIET:
		o->is_quiet = true;
		return 0;
	case OPTION_SINCE:
		o->since = optarg;
		return 0;
	default:
		break;
	}
	if (take_run(&o->run, option, error) == 0)
		return 0;
	if (error->len == 0)
		buf_puts(error, "see outpost dnscheck -h");
	return -1;
}

static int take_arguments(
    struct run_options *o, int argc, char **argv, struct buf *error)
{
	if (argc == 0)
		return 0;
	if (argc == 4 && strcmp(argv[0], "spf") == 0) {
		o->spf_ip = argv[1];
		o->spf_sender = argv[2];
		o->spf_helo = argv[3];
		return take_mode(o, RUN_SPF, error);
	}
	if (strcmp(argv[0], "spf") == 0) {
		buf_puts(error, "spf takes IP SENDER HELO");
		return -1;
	}
	if (argc > 1)
		return refuse(error, "DOMAIN", argv[1], "one domain only");
	o->domain = argv[0];
	return take_mode(o, RUN_DOMAIN, error);
}

int check_options_parse(
    int argc, char **argv, struct dnscheck_options *o, struct buf *error)
{
	int option;

	*o = (struct dnscheck_options){ .run.timeout_ms = TIMEOUT_DEFAULT_MS };
	while ((option = getopt_long(argc, argv, "c:h", longs, NULL)) != -1)
		if (take(o, option, error) < 0)
			return -1;
	return take_arguments(&o->run, argc - optind, argv + optind, error);
}
