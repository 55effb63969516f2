/* Certificates and keys are looked at before they are used, by the program that
 * will use them, confined and without rights: who renews them may be anybody.
 */
#include "runner/supervisor.h"
#include "runner/supervisor_parts.h"

#include "common/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
	CHECK_MS = 5000,
	CERTIFICATE_FD = 3, /* of the helper; the key's is the next */
	ABOVE_FD = 10,	    /* out of the way of these */
	TEXT_BYTES = 300,
};

static int open_file(
    const struct conf_listen *block, const char *path, struct outcome *why)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int low = open(path, flags), fd = -1;

	if (low >= 0) {
		fd = fcntl(low, F_DUPFD_CLOEXEC, ABOVE_FD);
		close(low);
	}
	if (fd < 0)
		outcome_perm(why, "5.3.5", "%s:%d: %s: %s", block->place.file,
		    block->place.line, path, strerror(errno));
	return fd;
}

static int spawn_helper(
    const char *folder, const int files[2], int out, pid_t *pid)
{
	char path[PATH_MAX];
	char *argv[] = { (char *)"outpost-smtpd", (char *)"--check", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int error;

	snprintf(path, sizeof(path), "%s/%s", folder, argv[0]);
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(
	    &actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO);
	for (int i = 0; i < 2; i++)
		posix_spawn_file_actions_adddup2(
		    &actions, files[i], CERTIFICATE_FD + i);
	posix_spawn_file_actions_addclosefrom_np(&actions, CERTIFICATE_FD + 2);
	error = posix_spawn(pid, path, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	errno = error;
	return error == 0 ? 0 : -1;
}

/* What it says until it ends; it has CHECK_MS. */
static void read_all(int fd, char text[TEXT_BYTES])
{
	struct deadline deadline = deadline_in_ms(CHECK_MS);
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	size_t have = 0;
	ssize_t n = 1;

	while (n > 0 && have < TEXT_BYTES - 1 &&
	       poll(&poller, 1, (int)deadline_left_ms(deadline)) > 0) {
		n = read(fd, text + have, TEXT_BYTES - 1 - have);
		if (n > 0)
			have += (size_t)n;
	}
	text[have] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

/* Its exit status, or -1 with *text saying why there is none. */
static int run_helper(
    const char *folder, const int files[2], char text[TEXT_BYTES])
{
	int pipes[2], status = -1;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0 ||
	    spawn_helper(folder, files, pipes[1], &pid) < 0) {
		snprintf(
		    text, TEXT_BYTES, "cannot be checked: %s", strerror(errno));
		return -1;
	}
	close(pipes[1]);
	read_all(pipes[0], text);
	close(pipes[0]);
	kill(pid, SIGKILL); /* one that has ended keeps its status */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	snprintf(
	    text, TEXT_BYTES, "cannot be checked within %d s", CHECK_MS / 1000);
	return -1;
}

static int check_pair(
    const char *folder, const struct conf_listen *block, struct outcome *why)
{
	const char *const paths[2] = { block->certificate, block->key };
	char text[TEXT_BYTES] = "";
	int files[2] = { -1, -1 }, status = -1;

	for (int i = 0; i < 2; i++)
		files[i] = open_file(block, paths[i], why);
	if (files[0] >= 0 && files[1] >= 0) {
		status = run_helper(folder, files, text);
		if (status != 0)
			outcome_perm(why, "5.3.5", "%s:%d: %s, %s: %s",
			    block->place.file, block->place.line, paths[0],
			    paths[1], text[0] ? text : "cannot be checked");
	}
	for (int i = 0; i < 2; i++)
		if (files[i] >= 0)
			close(files[i]);
	return status == 0 ? 0 : -1;
}

static bool is_same_pair(
    const struct conf_listen *a, const struct conf_listen *b)
{
	return b->tls != LISTEN_TLS_NONE && b->certificate && b->key &&
	       strcmp(a->certificate, b->certificate) == 0 &&
	       strcmp(a->key, b->key) == 0;
}

static bool was_checked(const struct conf *conf, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_same_pair(&conf->listens[i], &conf->listens[k]))
			return true;
	return false;
}

int certificates_check(const struct conf *conf, struct outcome *why)
{
	char *folder = program_folder();
	int status = folder ? outcome_ok(why)
			    : outcome_temp(why, "4.3.0", "%s", strerror(errno));

	for (size_t i = 0; status == 0 && i < conf->nlistens; i++) {
		const struct conf_listen *block = &conf->listens[i];

		if (block->tls != LISTEN_TLS_NONE && block->certificate &&
		    block->key && !was_checked(conf, i))
			status = check_pair(folder, block, why);
	}
	free(folder);
	return status;
}
