/* outpost-inject: sendmail and newaliases, run by the caller with the caller's
 * rights. Exit statuses are those of sysexits(3). */
#include "common/date.h"
#include "common/id.h"
#include "inject/aliases.h"
#include "inject/bs.h"
#include "inject/queue_tool.h"
#include "inject/send.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

static const char help[] =
    "usage: sendmail [options] [recipient ...] < message\n"
    "\n"
    "  -t            recipients from To, Cc and Bcc of the header\n"
    "  -i, -oi       a line with a single dot does not end the message\n"
    "  -f ADDRESS    envelope sender; '' or '<>' for none\n"
    "  -F NAME       name of the author, for a missing From\n"
    "  -N WHEN       never, or some of success,failure,delay\n"
    "  -R full|hdrs  what a failure report gives back\n"
    "  -V ID         envelope id for reports\n"
    "  -v            print the id of the accepted message\n"
    "  -bs           speak SMTP on standard input and output\n"
    "  -bp           list the queue (mailq)\n"
    "  -bi           check the aliases file (newaliases)\n"
    "  -q, -qI ID, -qR TEXT, -qS TEXT\n"
    "                try again now: all, one message, by recipient, sender\n"
    "  -c FILE       configuration\n"
    "  -h            this text\n"
    "\n"
    "-A -B -G -L -O -U -X -d -e -h N -m -n -o -p -x are accepted for\n"
    "compatibility. See sendmail(8).\n";

/* A descriptor that is not there would be taken by the next open. What is
 * opened for standard input cannot be read: that is seen and reported. */
static int settle_descriptors(void)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDWR) != fd)
			return -1;
	}
	return 0;
}

/* A message that is on disk must not end in a death by a closed or full
 * standard output. */
static void settle_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* A configuration read without enough memory may lack settings: better to come
 * back later than to go on with half of it. */
static int check_memory(struct outcome *why)
{
	size_t n = 4 << 20;
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return outcome_temp(why, "4.3.0",
		    "out of memory; less than %zu bytes; raise the limit "
		    "(ulimit -v) or try again later",
		    n);
	munmap(p, n);
	return 0;
}

static struct conf *load_conf(const char *program, const char *path)
{
	struct buf errors;
	struct conf *conf;

	buf_init(&errors, 1 << 20);
	conf = conf_load(path, &errors);
	if (!conf) {
		struct span rest = buf_span(&errors);

		while (rest.n > 0) {
			struct span line = span_cut(&rest, '\n');

			fprintf(
			    stderr, "%s: %.*s\n", program, (int)line.n, line.p);
		}
	}
	buf_clear(&errors);
	return conf;
}

static void report_alias(const char *path, unsigned line, const char *what)
{
	fprintf(stderr, "%s:%u: %s\n", path, line, what);
}

/* There is no database to build: the file is read when a local name comes. */
static int check_aliases(const struct conf *conf, struct outcome *why)
{
	struct alias_counts counts;
	struct aliases *aliases =
	    aliases_load(conf->aliases, report_alias, &counts, why);

	if (!aliases)
		return EX_TEMPFAIL;
	aliases_free(aliases);
	printf("%s: %zu aliases, longest %zu bytes, %zu bytes total\n",
	    conf->aliases, counts.aliases, counts.longest, counts.bytes);
	if (counts.problems == 0)
		return 0;
	outcome_perm(why, "5.3.5", "%zu problems; %s; see the lines above",
	    counts.problems, conf->aliases);
	return EX_DATAERR;
}

static int send_one(
    const struct options *o, const struct conf *conf, struct outcome *why)
{
	uint64_t id = 0;
	int status = send_message(o, conf, &id, why);

	if (status == 0 && o->is_verbose)
		printf("%s\n", id_text(id));
	return status;
}

/* What needs the configuration. */
static int run_configured(
    const char *program, const struct options *o, struct outcome *why)
{
	struct conf *conf;
	int status;

	if (check_memory(why) < 0)
		return EX_TEMPFAIL;
	conf = load_conf(program, o->conf_file);
	if (!conf)
		return EX_CONFIG;
	settle_signals();
	date_set_zone(conf->timezone);
	if (o->task == TASK_ALIASES)
		status = check_aliases(conf, why);
	else if (o->task == TASK_SMTP)
		status = bs_run(conf);
	else
		status = send_one(o, conf, why);
	conf_free(conf);
	return status;
}

static int run(
    const char *program, const struct options *o, struct outcome *why)
{
	switch (o->task) {
	case TASK_HELP:
		fputs(help, stdout);
		return 0;
	case TASK_LIST:
	case TASK_RETRY:
		return queue_tool_run(o, why);
	case TASK_SEND:
	case TASK_SMTP:
	case TASK_ALIASES:
		break;
	}
	return run_configured(program, o, why);
}

int main(int argc, char **argv)
{
	const char *program = options_program(argc, argv);
	struct options options;
	struct outcome why = { 0 };
	int status;

	if (settle_descriptors() < 0)
		return EX_OSERR;
	status = options_parse(argc, argv, &options, &why);
	if (status == 0)
		status = run(program, &options, &why);
	if (status != 0 && why.detail[0])
		fprintf(stderr, "%s: %s\n", program, why.detail);
	return status;
}
