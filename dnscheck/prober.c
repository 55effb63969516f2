/* Looks at servers, made by outpost-probe.
 *
 * One thread of those that wait reads for all of them; the lock is never held
 * while it waits.
 */
#include "dnscheck/prober.h"

#include "common/wire.h"
#include "dnscheck/hostsfile.h"
#include "dnscheck/need.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

enum {
	PROBER_FD = 3, /* of outpost-probe */
	PROBE_SIZE_MAX = 524288,
	ANSWER_SIZE_MAX = 262144,
	TURN_MS = 50,	  /* one thread reads at most so long for the others */
	LEAVE_MS = 100,	  /* before the deadline a look ends by itself */
	WAIT_MIN_MS = 50, /* the shortest wait of a look */
};

struct login_read {
	const struct conf_relay *relay;
	struct relay_login login;
	struct outcome outcome;
};

struct answer {
	struct answer *next;
	uint64_t id;
	char *bytes; /* of the payload; what probed points into */
	size_t n;
};

struct prober {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct wire *wire; /* NULL: broken, why says how */
	uint64_t last;
	bool is_reading;	/* a thread waits for what comes */
	struct answer *answers; /* all that came */
	struct login_read *logins;
	size_t nlogins;
	struct hostsfile *hosts;
	char why[300];
};

static const struct wire_rule rules[] = {
	{ MSG_PROBED, ANSWER_SIZE_MAX, NULL },
	{ 0 },
};

/* --- before the sandbox --------------------------------------------------- */

static int find_program(char path[PATH_MAX])
{
	char own[PATH_MAX - 20];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (n <= 0)
		return -1;
	own[n] = '\0';
	snprintf(path, PATH_MAX, "%s/outpost-probe", dirname(own));
	return 0;
}

static int spawn(int fd, const char *ca_file)
{
	char path[PATH_MAX];
	char *argv[] = { (char *)"outpost-probe", (char *)"-a", (char *)ca_file,
		NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int error;

	if (!ca_file)
		argv[1] = NULL;
	if (find_program(path) < 0)
		return errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(
	    &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(
	    &actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fd, PROBER_FD);
	posix_spawn_file_actions_addclosefrom_np(&actions, PROBER_FD + 1);
	error = posix_spawn(&pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static void start(struct prober *p, const char *ca_file)
{
	int fds[2], error;

	if (wire_pair(fds) < 0) {
		snprintf(p->why, sizeof(p->why), "no stream to outpost-probe");
		return;
	}
	error = spawn(fds[1], ca_file);
	close(fds[1]);
	if (error) {
		close(fds[0]);
		snprintf(p->why, sizeof(p->why),
		    "outpost-probe cannot be started: %s", strerror(error));
		return;
	}
	p->wire = wire_new(NULL, fds[0], "outpost-probe", rules, NULL, NULL);
	if (!p->wire)
		snprintf(p->why, sizeof(p->why), "no memory for looks");
}

static void read_logins(struct prober *p, const struct conf *conf)
{
	p->logins = need(calloc(conf->nrelays + 1, sizeof(*p->logins)));
	for (size_t i = 0; i < conf->nrelays; i++) {
		struct login_read *l = &p->logins[p->nlogins];

		if (!relay_has_login(&conf->relays[i]))
			continue;
		l->relay = &conf->relays[i];
		relay_login_read(l->relay, &l->login, &l->outcome);
		p->nlogins++;
	}
}

struct prober *prober_new(const struct conf *conf)
{
	struct prober *p = need(calloc(1, sizeof(*p)));

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	read_logins(p, conf);
	p->hosts = hostsfile_read("/etc/hosts");
	start(p, conf->tls.ca_file);
	return p;
}

void prober_free(struct prober *p)
{
	struct answer *next;

	if (!p)
		return;
	wire_free(p->wire); /* outpost-probe ends with its stream */
	for (struct answer *a = p->answers; a; a = next) {
		next = a->next;
		free(a->bytes);
		free(a);
	}
	for (size_t i = 0; i < p->nlogins; i++)
		relay_login_clear(&p->logins[i].login);
	free(p->logins);
	hostsfile_free(p->hosts);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

const struct relay_login *prober_login(
    const struct prober *p, const struct conf_relay *relay, struct outcome *why)
{
	for (size_t i = 0; i < p->nlogins; i++) {
		if (p->logins[i].relay != relay)
			continue;
		*why = p->logins[i].outcome;
		return why->verdict == VERDICT_OK ? &p->logins[i].login : NULL;
	}
	outcome_perm(why, "5.3.5", "the relay has no login");
	return NULL;
}

struct span prober_hosts_file(
    const struct prober *p, const char *name, size_t i)
{
	return hostsfile_find(p->hosts, name, i);
}

/* --- looks ---------------------------------------------------------------- */

static void give_up(struct prober *p, const char *why)
{
	snprintf(p->why, sizeof(p->why), "outpost-probe: %s", why);
	wire_free(p->wire);
	p->wire = NULL;
	pthread_cond_broadcast(&p->changed);
}

/* All that is there now; the lock is held. */
static void take_answers(struct prober *p)
{
	struct message message;
	int status;

	while ((status = wire_receive(p->wire, &message, deadline_in_ms(0))) ==
	       1) {
		struct answer *a = need(calloc(1, sizeof(*a)));

		a->id = message.id;
		a->n = message.payload.n;
		a->bytes = need(malloc(a->n + 1));
		if (a->n > 0)
			memcpy(a->bytes, message.payload.p, a->n);
		a->next = p->answers;
		p->answers = a;
	}
	if (status == 0 || errno != ETIMEDOUT)
		give_up(p, status == 0 ? "it ended" : strerror(errno));
	pthread_cond_broadcast(&p->changed);
}

/* Wait for what comes, without the lock meanwhile. */
static void read_for_all(struct prober *p, struct deadline deadline)
{
	struct pollfd fd = { .fd = wire_fd(p->wire), .events = POLLIN };
	struct deadline turn = deadline_in_ms(TURN_MS);
	int ready;

	p->is_reading = true;
	pthread_mutex_unlock(&p->lock);
	ready = poll(&fd, 1, deadline_left_ms(deadline_min(deadline, turn)));
	pthread_mutex_lock(&p->lock);
	p->is_reading = false;
	if (ready > 0 && p->wire)
		take_answers(p);
	pthread_cond_broadcast(&p->changed);
}

static struct answer *find_answer(struct prober *p, uint64_t id)
{
	for (struct answer *a = p->answers; a; a = a->next)
		if (a->id == id)
			return a;
	return NULL;
}

/* While another one reads: it wakes all when its turn is over. */
static void wait_for_reader(struct prober *p)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1; /* only against a clock that is set meanwhile */
	pthread_cond_timedwait(&p->changed, &p->lock, &until);
}

static void send_probe(
    struct prober *p, const struct probe *probe, struct deadline deadline)
{
	struct probe one = *probe;
	int left_ms = deadline_left_ms(deadline) - LEAVE_MS;
	struct buf payload;

	if (left_ms < WAIT_MIN_MS)
		left_ms = WAIT_MIN_MS;
	if (one.timeout_ms == 0 || one.timeout_ms > (uint32_t)left_ms)
		one.timeout_ms = (uint32_t)left_ms;
	buf_init(&payload, PROBE_SIZE_MAX);
	buf_reserve(&payload, 65536); /* growing would leave a secret behind */
	probe_put(&payload, &one);
	if (payload.overflow) {
		give_up(p, "more to look at than fits");
	} else {
		wire_send(p->wire, MSG_PROBE, p->last, buf_span(&payload));
		if (wire_flush(p->wire, deadline) < 0)
			give_up(p, strerror(errno));
	}
	if (payload.data)
		explicit_bzero(payload.data, payload.cap);
	buf_clear(&payload);
}

static void read_answer(const struct answer *a, struct probed *probed)
{
	struct reader r = reader_of((struct span){ a->bytes, a->n });

	probed_get(&r, probed);
	if (reader_is_done(&r))
		return;
	*probed = (struct probed){ 0 };
	outcome_temp(&probed->outcome, "4.3.0",
	    "outpost-probe gave an answer that cannot be read");
}

void prober_look(struct prober *p, const struct probe *probe,
    struct probed *probed, struct deadline deadline)
{
	struct answer *answer;
	uint64_t id;

	*probed = (struct probed){ 0 };
	pthread_mutex_lock(&p->lock);
	id = ++p->last;
	if (p->wire)
		send_probe(p, probe, deadline);
	while (p->wire && !find_answer(p, id) && !deadline_is_over(deadline)) {
		if (p->is_reading)
			wait_for_reader(p);
		else
			read_for_all(p, deadline);
	}
	answer = find_answer(p, id);
	if (!answer)
		outcome_temp(&probed->outcome, "4.4.2", "%s",
		    p->wire ? "no end of it within the time for all checks "
			      "(--timeout)"
			    : p->why);
	pthread_mutex_unlock(&p->lock);
	if (answer)
		read_answer(answer, probed);
}
