/* outpost-dnscheck and sendmail, run by setup: nothing foreign is looked at in
 * here but what outpost-dnscheck makes of it. */
#include "dnscheck/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 40, OUTPUT_LINE_MAX = 65536, LINES_MAX = 5000 };

static int program_path(const char *name, char path[PATH_MAX])
{
	char own[PATH_MAX - 40];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (n <= 0)
		return -1;
	own[n] = '\0';
	snprintf(path, PATH_MAX, "%s/%s", dirname(own), name);
	return 0;
}

/* in, out: descriptors, or -1: ours. The exit status, or -1. */
static pid_t spawn(char *const argv[], int in, int out)
{
	char path[PATH_MAX];
	pid_t pid;

	fflush(stdout);
	if (program_path(argv[0], path) < 0)
		return -1;
	pid = fork();
	if (pid != 0)
		return pid;
	if ((in >= 0 && dup2(in, STDIN_FILENO) < 0) ||
	    (out >= 0 && dup2(out, STDOUT_FILENO) < 0))
		_exit(127);
	closefrom(STDERR_FILENO + 1);
	execv(path, argv);
	fprintf(stderr, "outpost-setup: %s: %s\n", path, strerror(errno));
	_exit(127);
}

static int wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static void make_args(const struct setup *s, char *argv[ARGS_MAX],
    const char *file, const char *one, const char *two, bool is_json)
{
	size_t n = 0;

	argv[n++] = (char *)"outpost-dnscheck";
	argv[n++] = (char *)"-c";
	argv[n++] = (char *)file;
	if (one)
		argv[n++] = (char *)one;
	if (two)
		argv[n++] = (char *)two;
	if (is_json)
		argv[n++] = (char *)"--json";
	for (size_t i = 0; i < s->nextra; i++)
		argv[n++] = s->extra[i];
	argv[n] = NULL;
}

/* Each finding that the check prints, until it ends. */
static int each_finding(char *const argv[],
    void (*take)(const json_t *finding, void *arg), void *arg)
{
	char *line = malloc(OUTPUT_LINE_MAX);
	int ends[2], nlines = 0;
	FILE *from;
	pid_t pid;

	if (!line || pipe2(ends, O_CLOEXEC) < 0) {
		free(line);
		return -1;
	}
	pid = spawn(argv, -1, ends[1]);
	close(ends[1]);
	from = fdopen(ends[0], "re");
	while (from && nlines++ < LINES_MAX &&
	       fgets(line, OUTPUT_LINE_MAX, from)) {
		json_t *finding = json_loads(line, 0, NULL);

		if (json_is_object(finding))
			take(finding, arg);
		json_decref(finding);
	}
	if (from)
		fclose(from);
	else
		close(ends[0]);
	free(line);
	return wait_for(pid);
}

static const char *text_of(const json_t *finding, const char *name)
{
	const char *text = json_string_value(json_object_get(finding, name));

	return text ? text : "";
}

/* --- proposals ------------------------------------------------------------ */

struct proposal {
	struct setup *setup;
	bool has_open, has_closed;
	char closed[500];
};

static void take_proposal(const json_t *finding, void *arg)
{
	struct proposal *p = arg;
	const char *code = text_of(finding, "code");
	const char *status = text_of(finding, "status");

	if (strcmp(code, "propose-name") == 0) {
		if (strcmp(status, "ok") == 0 && !p->setup->proposed_name[0])
			snprintf(p->setup->proposed_name,
			    sizeof(p->setup->proposed_name), "%s",
			    text_of(finding, "found"));
		return;
	}
	if (strncmp(code, "port25-", 7) != 0)
		return;
	if (strcmp(code, "port25-ok") == 0 ||
	    strcmp(code, "port25-no-tls") == 0)
		p->has_open = true;
	if (strcmp(status, "fail") == 0) {
		p->has_closed = true;
		snprintf(p->closed, sizeof(p->closed), "%s: %s", code,
		    text_of(finding, "found"));
	}
}

/* A network that cannot conform is led to a relay. */
void setup_propose(struct setup *s)
{
	struct proposal p = { .setup = s };
	char *argv[ARGS_MAX];

	if (s->is_without_checks)
		return;
	puts("Looking at this machine's address, its name and port 25 ...");
	make_args(s, argv, s->is_new ? "/dev/null" : s->path, "--propose", NULL,
	    true);
	each_finding(argv, take_proposal, &p);
	/* a file that is there sends as it does unless it cannot */
	s->proposes_relay = s->is_new ? !s->proposed_name[0] || !p.has_open
				      : p.has_closed && !p.has_open;
	if (p.has_closed && !p.has_open)
		snprintf(s->why_mode, sizeof(s->why_mode),
		    "Port 25 cannot be used from here (%s): send by a relay.",
		    p.closed);
	else if (!p.has_open)
		snprintf(s->why_mode, sizeof(s->why_mode),
		    "It could not be seen that port 25 is open: send by a "
		    "relay, unless you know better.");
	else if (!s->proposed_name[0])
		snprintf(s->why_mode, sizeof(s->why_mode),
		    "Port 25 is open, but no name was found that belongs to "
		    "this address: many receivers refuse such mail. Send by a "
		    "relay, or have the address named first.");
	else
		snprintf(s->why_mode, sizeof(s->why_mode),
		    "Port 25 is open and the address has a name: mail can go "
		    "to its receivers directly.");
	if (s->is_unattended)
		puts(log_escape(span_of(s->why_mode)));
}

/* --- checks --------------------------------------------------------------- */

static void show_finding(const json_t *finding, void *arg)
{
	(void)arg;
	printf("  %-4s  %s  %s: %s\n",
	    log_escape(span_of(text_of(finding, "status"))),
	    log_escape(span_of(text_of(finding, "code"))),
	    log_escape(span_of(text_of(finding, "subject"))),
	    log_escape(span_of(text_of(finding, "found"))));
	if (text_of(finding, "remedy")[0])
		printf("        %s\n",
		    log_escape(span_of(text_of(finding, "remedy"))));
}

bool setup_try_relay(const struct setup *s, const char *path)
{
	char *argv[ARGS_MAX];

	puts("\nTrying the relay ...");
	make_args(s, argv, path, "--relay", "default", true);
	return each_finding(argv, show_finding, NULL) == 0;
}

void setup_check(const struct setup *s)
{
	char *argv[ARGS_MAX];

	puts("\nChecking the whole ...");
	make_args(s, argv, s->path, NULL, NULL, false);
	wait_for(spawn(argv, -1, -1));
}

int setup_send_test(const struct setup *s, const char *to)
{
	char *argv[] = { (char *)"sendmail", (char *)"-i", (char *)"--",
		(char *)to, NULL };
	int ends[2], status;
	pid_t pid;

	if (setenv("OUTPOST_CONF", s->path, 1) < 0 ||
	    pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = spawn(argv, ends[0], -1);
	close(ends[0]);
	dprintf(ends[1],
	    "Subject: Outpost test\nTo: %s\n\n"
	    "This was sent by outpost setup.\n",
	    to);
	close(ends[1]);
	status = wait_for(pid);
	if (status != 0) {
		printf("The test message was not taken (status %d): is outpost "
		       "running? Start it (outpost start), then: "
		       "echo test | sendmail %s\n",
		    status, log_escape(span_of(to)));
		return -1;
	}
	printf("The test message to %s is on its way: outpost queue list\n",
	    log_escape(span_of(to)));
	return 0;
}
