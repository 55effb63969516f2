/* outpost-dnscheck ("outpost dnscheck"): whether what this node sends will be
 * taken, and what to change. The stages of ARCHITECTURE.md: options;
 * configuration; what needs files; the sandbox; the checks; the report.
 */
#include "common/sandbox.h"
#include "dnscheck/checks.h"
#include "dnscheck/domain.h"
#include "dnscheck/echo.h"
#include "dnscheck/files.h"
#include "dnscheck/jobs.h"
#include "dnscheck/options.h"
#include "dnscheck/place.h"
#include "dnscheck/prober.h"
#include "dnscheck/report.h"
#include "dnscheck/spf.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { CONF_FD = 3 };

struct dnscheck {
	struct dnscheck_options options;
	struct conf *conf;
	struct run run;
	FILE *html;
	int since_fd;
	struct since *since;
};

static int read_options(struct dnscheck *d, int argc, char **argv)
{
	struct buf error;
	int status;

	buf_init(&error, 4096);
	status = check_options_parse(argc, argv, &d->options, &error);
	if (status < 0)
		fprintf(stderr, "outpost-dnscheck: %s\n", buf_text(&error));
	buf_clear(&error);
	return status;
}

static int read_conf(struct dnscheck *d)
{
	const char *only = d->options.run.line, *relay = d->options.run.relay;
	struct buf errors;

	buf_init(&errors, 1 << 20);
	d->conf =
	    d->options.has_conf_fd
		? conf_load_fd(CONF_FD, d->options.conf_path, &errors)
		: conf_load_as(d->options.conf_path, d->options.node, &errors);
	if (!d->conf)
		fputs(buf_text(&errors), stderr);
	buf_clear(&errors);
	if (!d->conf)
		return EXIT_CONF;
	if (only && !conf_line(d->conf, only)) {
		fprintf(stderr, "outpost-dnscheck: there is no line \"%s\"\n",
		    log_escape(span_of(only)));
		return EXIT_USAGE;
	}
	if (relay && !conf_relay(d->conf, relay)) {
		fprintf(stderr, "outpost-dnscheck: there is no relay \"%s\"\n",
		    log_escape(span_of(relay)));
		return EXIT_USAGE;
	}
	return 0;
}

/* Settings of a node that this machine is not: its addresses are elsewhere. */
static bool is_elsewhere(const struct dnscheck *d, const struct hostname *host)
{
	struct span rest = span_of(host->name);

	return d->options.node &&
	       !span_is_equal_nocase(rest, span_of(d->options.node)) &&
	       !span_is_equal_nocase(
		   span_cut(&rest, '.'), span_of(d->options.node));
}

static int cannot_open(const char *file)
{
	fprintf(stderr, "outpost-dnscheck: %s: %s\n", file, strerror(errno));
	return EXIT_USAGE;
}

/* Sender domains, with the keys that sign for them. */
static int read_domains(struct dnscheck *d)
{
	struct buf error;

	buf_init(&error, 4096);
	d->run.domains = domains_new(&d->options.run, d->conf, &error);
	if (!d->run.domains)
		fprintf(stderr, "outpost-dnscheck: %s\n", buf_text(&error));
	buf_clear(&error);
	return d->run.domains ? 0 : EXIT_USAGE;
}

static int open_files(struct dnscheck *d)
{
	const struct strings given = { d->options.resolvers,
		d->options.nresolvers };
	struct ask_options options = { .resolvers = &d->conf->resolvers };

	if (d->options.html && !(d->html = fopen(d->options.html, "we")))
		return cannot_open(d->options.html);
	if (d->options.since) {
		d->since_fd = open(d->options.since, O_RDONLY | O_CLOEXEC);
		if (d->since_fd < 0)
			return cannot_open(d->options.since);
	}
	d->run.deadline = deadline_in_ms(d->options.run.timeout_ms);
	if (given.count > 0)
		options.resolvers = &given;
	options.deadline = d->run.deadline;
	d->run.ask = ask_new(&options);
	d->run.files = files_look(d->conf);
	if (d->options.run.mode != RUN_SPF && !d->options.run.is_fast)
		d->run.prober = prober_new(d->conf);
	d->options.run.is_elsewhere = is_elsewhere(d, &d->run.files->host);
	return 0;
}

static void enter_sandbox(void)
{
	static const struct sandbox sandbox = { .program = "outpost-dnscheck",
		.allows = SANDBOX_CONNECT | SANDBOX_THREADS };

	/* What libraries would read when they are first used. */
	json_object_seed(0);
	tzset();
	/* The heaps of threads look into /proc when they shrink. */
	mallopt(M_ARENA_MAX, 1);
	sandbox_enter(&sandbox);
}

static int read_since(struct dnscheck *d)
{
	struct buf error;

	if (!d->options.since)
		return 0;
	buf_init(&error, 4096);
	d->since = since_load(d->since_fd, &error);
	if (!d->since)
		fprintf(stderr, "outpost-dnscheck: %s: %s\n", d->options.since,
		    log_escape(buf_span(&error)));
	buf_clear(&error);
	return d->since ? 0 : EXIT_USAGE;
}

static void check(struct run *run)
{
	places_find(run);
	echo_find(run);
	run->jobs = jobs_new(run);
	checks_plan(run);
	jobs_finish(run->jobs);
	jobs_free(run->jobs);
	findings_sort(&run->findings);
}

static int write_out(const struct buf *out, FILE *to, const char *name)
{
	fwrite(out->data, 1, out->len, to);
	if (fflush(to) == 0 && !ferror(to) && !out->overflow)
		return 0;
	fprintf(stderr, "outpost-dnscheck: %s: %s\n", name,
	    out->overflow ? "the report is too long" : strerror(errno));
	return EXIT_FAILED;
}

static int report(const struct dnscheck *d)
{
	const struct report r = { .run = &d->run,
		.since = d->since,
		.is_quiet = d->options.is_quiet,
		.has_color = isatty(STDOUT_FILENO) };
	struct buf out;
	int status;

	buf_init(&out, REPORT_BYTES_MAX);
	if (d->options.is_json)
		report_json(&r, &out);
	else
		report_text(&r, &out);
	status = write_out(&out, stdout, "standard output");
	buf_reset(&out);
	if (d->html && status == 0) {
		report_html(&r, &out);
		status = write_out(&out, d->html, d->options.html);
	}
	buf_clear(&out);
	if (status == 0 && findings_has_failure(&d->run.findings))
		status = EXIT_FAILED;
	return status;
}

static void clear(struct dnscheck *d)
{
	if (d->html)
		fclose(d->html);
	since_free(d->since);
	findings_clear(&d->run.findings);
	places_free(&d->run);
	prober_free(d->run.prober);
	ask_free(d->run.ask);
	domains_free(d->run.domains);
	files_free(d->run.files);
	conf_free(d->conf);
}

int main(int argc, char **argv)
{
	struct dnscheck d = { .since_fd = -1 };
	int status;

	signal(SIGPIPE, SIG_IGN);
	log_open("outpost-dnscheck", "stderr");
	log_set_level(LOG_LEVEL_WARNINGS);
	if (read_options(&d, argc, argv) < 0)
		return EXIT_USAGE;
	if (d.options.is_help) {
		options_usage();
		return 0;
	}
	if (!checks_has(d.options.run.mode)) {
		fprintf(stderr, "outpost-dnscheck: not yet supported\n");
		return EXIT_USAGE;
	}
	findings_init(&d.run.findings);
	d.run.options = &d.options.run;
	status = read_conf(&d);
	d.run.conf = d.conf;
	if (status == 0)
		status = read_domains(&d);
	if (status == 0)
		status = open_files(&d);
	if (status == 0) {
		enter_sandbox();
		status = read_since(&d);
	}
	if (status == 0 && d.options.run.mode == RUN_SPF) {
		status = spf_command(&d.run);
	} else if (status == 0) {
		check(&d.run);
		status = report(&d);
	}
	clear(&d);
	return status;
}
