/* run, start, check and queue: what needs no running instance. */
#include "runner/front.h"

#include "runner/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nothing that a caller has open is held for as long as a server lives. */
static void let_go_of_descriptors(void)
{
	close_range(STDERR_FILENO + 1, ~0U, 0);
}

int front_run(struct front *f, int argc, char **argv)
{
	struct supervisor_options options = { .ready_fd = -1 };
	int status = front_no_arguments(f, argc, argv);

	if (status)
		return status - 1;
	options.file = f->file;
	let_go_of_descriptors();
	return supervisor_run(&options);
}

/* --- start ---------------------------------------------------------------- */

/* Its errors before ready go to the caller's terminal; afterwards it must not
 * hold on to it. */
static void let_go_of_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

static int run_in_background(struct front *f, int ready_fd)
{
	struct supervisor_options options = {
		.file = f->file, .ready_fd = ready_fd, .is_background = true
	};

	if (setsid() < 0 || chdir("/") < 0)
		fprintf(stderr, "outpost: %s\n", strerror(errno));
	let_go_of_terminal();
	return supervisor_run(&options);
}

/* What comes until the supervisor ends. */
static void read_reason(int fd, char *why, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while (
	    have < size - 1 && (n = read(fd, why + have, size - 1 - have)) > 0)
		have += (size_t)n;
	why[have] = '\0';
}

static int wait_until_ready(pid_t pid, int ready_fd)
{
	char byte = 0, why[1024];
	int status = 0;

	if (read(ready_fd, &byte, 1) == 1 && byte == '!')
		return 0;
	read_reason(ready_fd, why, sizeof(why));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		status = 0;
	if (byte == '?' || status == 0)
		fprintf(stderr, "outpost: %s%s\n",
		    why[0] ? why : "stopped before it was ready",
		    " (see the log)");
	return status ? WEXITSTATUS(status) : EXIT_NOT_DONE;
}

int front_start(struct front *f, int argc, char **argv)
{
	char absolute[PATH_MAX];
	int fds[2], status = front_no_arguments(f, argc, argv);
	pid_t pid;

	if (status)
		return status - 1;
	let_go_of_descriptors();
	/* The background has another working folder. */
	if (!f->file)
		f->file = getenv("OUTPOST_CONF");
	if (f->file && realpath(f->file, absolute))
		f->file = absolute;
	if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		fprintf(stderr, "outpost: %s\n", strerror(errno));
		return EXIT_NOT_DONE;
	}
	if (pid == 0) {
		close(fds[0]);
		status = run_in_background(f, fds[1]);
		exit(status);
	}
	close(fds[1]);
	return wait_until_ready(pid, fds[0]);
}

/* --- check ---------------------------------------------------------------- */

static void print_settings(const struct conf *conf)
{
	struct buf text;

	buf_init(&text, 16 << 20);
	conf_print(conf, &text);
	fwrite(text.data, 1, text.len, stdout);
	buf_clear(&text);
}

static bool can_read_all(const struct conf *conf)
{
	for (size_t i = 0; i < conf->nlistens; i++) {
		const struct conf_listen *block = &conf->listens[i];

		if (block->key && access(block->key, R_OK) < 0 &&
		    errno == EACCES)
			return false;
	}
	return true;
}

/* Only who starts Outpost can read them all. */
static bool check_secrets(const struct conf *conf)
{
	struct outcome why;

	if (secrets_check(conf, &why) == 0)
		return true;
	if (geteuid() != 0 && strstr(why.detail, strerror(EACCES))) {
		fprintf(stderr, "outpost: not checked: %s\n", why.detail);
		return true;
	}
	fprintf(stderr, "outpost: %s\n", why.detail);
	return false;
}

/* Keys are often for root alone; the rest of the file can be checked. */
static bool check_certificates(const struct conf *conf)
{
	struct outcome why;

	if (!can_read_all(conf)) {
		fprintf(stderr, "outpost: certificates are not checked: their "
				"keys may not be read\n");
		return true;
	}
	if (certificates_check(conf, &why) == 0)
		return true;
	fprintf(stderr, "outpost: %s\n", why.detail);
	return false;
}

int front_check(struct front *f, int argc, char **argv)
{
	static const struct option options[] = { FRONT_OPTIONS, { 0 } };
	bool prints = false;
	int option, status;

	while (
	    (option = getopt_long(argc, argv, "c:hn", options, NULL)) != -1) {
		if (option == 'n')
			prints = true;
		else if ((status = front_option(f, argv[0], option)) != 0)
			return status - 1;
	}
	if (optind != argc) {
		front_usage(argv[0], true);
		return EXIT_USAGE;
	}
	if (front_load(f) < 0)
		return EXIT_CONF;
	if (!check_certificates(f->conf) || !check_secrets(f->conf))
		return EXIT_CONF;
	if (prints)
		print_settings(f->conf);
	else
		puts("configuration ok");
	front_advise(f->conf);
	return 0;
}

/* --- programs of their own ------------------------------------------------ */

/* The tool of that name stands beside this program. */
static int exec_beside(const char *name, char **argv)
{
	char path[PATH_MAX], tool[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return -1;
	path[n] = '\0';
	snprintf(tool, sizeof(tool), "%s/%s", dirname(path), name);
	return execv(tool, argv);
}

/* from: the first word that the tool is to see. */
static int exec_tool(
    struct front *f, const char *name, int argc, char **argv, int from)
{
	char **args = calloc((size_t)argc + 4, sizeof(*args));
	int n = 0;

	if (!args)
		return EXIT_NOT_DONE;
	args[n++] = (char *)name;
	if (f->file) {
		args[n++] = (char *)"-c";
		args[n++] = (char *)f->file;
	}
	for (int i = from; i < argc; i++)
		args[n++] = argv[i];
	if (f->is_json)
		args[n++] = (char *)"--json";
	exec_beside(args[0], args);
	fprintf(stderr, "outpost: %s: %s\n", args[0], strerror(errno));
	free(args);
	return EXIT_NOT_DONE;
}

int front_queue(struct front *f, int argc, char **argv)
{
	return exec_tool(f, "outpost-queue", argc, argv, 1);
}

int front_dnscheck(struct front *f, int argc, char **argv)
{
	return exec_tool(f, "outpost-dnscheck", argc, argv, 1);
}

int front_setup(struct front *f, int argc, char **argv)
{
	return exec_tool(f, "outpost-setup", argc, argv, 1);
}

int front_replies(struct front *f, int argc, char **argv)
{
	return exec_tool(f, "outpost-queue", argc, argv, 0);
}
