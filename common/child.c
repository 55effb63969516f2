/* The stages that every child of the supervisor goes through. The descriptor 3
 * brings, in this order: the configuration (open, drop the user, sandbox),
 * listeners and peers, the word to run.
 */
#include "common/child.h"

#include "common/date.h"
#include "common/deadline.h"
#include "common/log_sink.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CONTROL_FD = 3,
	EXIT_USAGE = 2,
	ORPHAN_GRACE_MS = 5000,
	RESTART_GRACE_MS = 30000,
	OVERTIME_MS = 1000, /* after the grace: a program that forgot */
	NOTE_BYTES = 480,
};

struct life {
	struct child child;
	const struct child_program *program;
	struct timer end;
	uint64_t stamp; /* of the first configuration */
	bool is_confined, is_stopping, is_log_given;
};

static void on_overtime(void *arg)
{
	struct life *life = arg;

	log_warn("stop-forced", "why", "not finished within the grace", NULL);
	loop_stop(life->child.loop);
}

static void stop(struct life *life, uint32_t grace_ms)
{
	if (life->is_stopping)
		return;
	life->is_stopping = true;
	if (!life->is_confined || !life->program->on_stop) {
		loop_stop(life->child.loop);
		return;
	}
	loop_timer_set(life->child.loop, &life->end,
	    now_monotonic_ms() + grace_ms + OVERTIME_MS, on_overtime, life);
	life->program->on_stop(&life->child, grace_ms);
}

/* --- configuration ------------------------------------------------------ */

static struct conf *receive_conf(struct message *message)
{
	struct reader r = reader_of(message->payload);
	char *path = span_dup(get_span(&r));
	struct conf *conf;
	struct buf errors;

	if (message->nfds != 1 || r.bad || !path)
		fatal(EXIT_TRY_LATER, "configuration: bad message");
	buf_init(&errors, 65536);
	conf = conf_load_fd(message->fds[0], path, &errors);
	message->fds[0] = -1;
	if (!conf)
		fatal(EXIT_CONFIGURATION, "%s", buf_text(&errors));
	buf_clear(&errors);
	free(path);
	return conf;
}

static void confine(struct life *life)
{
	const struct child_program *program = life->program;
	struct sandbox sandbox = { program->name, program->sandbox, NULL,
		NULL };

	if (program->open)
		program->open(&life->child, &sandbox);
	sandbox_drop_user(program->user);
	if (program->prepare)
		program->prepare(&life->child, &sandbox);
	sandbox_enter(&sandbox);
	life->is_confined = true;
}

/* tzset: the C library looks for the zone's file at its first use, for any
 * date, and could not open it in the sandbox. */
static void begin(struct life *life, struct conf *conf)
{
	life->child.conf = conf;
	if (!life->is_log_given) {
		log_set_level(conf->log);
		date_set_zone(conf->timezone);
	}
	tzset();
	confine(life);
}

/* Whoever stops so is started again by the supervisor. */
static void end_for_another(struct life *life)
{
	if (life->program->on_outdated)
		life->program->on_outdated(&life->child);
	else
		stop(life, RESTART_GRACE_MS);
}

static void reload(struct life *life, struct conf *fresh, uint64_t stamp)
{
	if (!life->program->on_reload || stamp != life->stamp) {
		conf_free(fresh);
		end_for_another(life);
		return;
	}
	life->program->on_reload(&life->child, fresh);
	conf_free(life->child.conf);
	life->child.conf = fresh;
	log_event("reloaded", "file", fresh->file, NULL);
}

void child_peer_lost(const struct child *child, enum role role)
{
	if (child->supervisor)
		wire_send(child->supervisor, MSG_PEER_LOST,
		    role | child->peers[role] << PEER_ROLE_BITS,
		    (struct span){ 0 });
}

/* --- messages from the supervisor --------------------------------------- */

static void on_config(struct wire *wire, struct message *message, void *arg)
{
	struct life *life = arg;
	struct conf *conf = receive_conf(message);

	(void)wire;
	if (life->is_confined) {
		reload(life, conf, message->id);
	} else {
		life->stamp = message->id;
		begin(life, conf);
	}
}

static void on_listener(struct wire *wire, struct message *message, void *arg)
{
	struct life *life = arg;
	struct reader r = reader_of(message->payload);
	uint32_t index = get_u32(&r);
	int nfds = message->nfds;

	(void)wire;
	if (r.bad || nfds < 1 || !life->is_confined ||
	    !life->program->on_listener)
		return;
	message->nfds = 0;
	life->program->on_listener(&life->child,
	    (enum listener_kind)message->id, index, message->fds, nfds);
}

static void on_peer(struct wire *wire, struct message *message, void *arg)
{
	struct life *life = arg;
	uint64_t role = message->id & ((1 << PEER_ROLE_BITS) - 1);
	int fd = message->fds[0];

	(void)wire;
	if (message->nfds != 1 || role >= ROLE_COUNT || !life->is_confined ||
	    !life->program->on_peer)
		return;
	message->fds[0] = -1;
	life->child.peers[role] = message->id >> PEER_ROLE_BITS;
	life->program->on_peer(&life->child, (enum role)role, fd);
}

static void on_run(struct wire *wire, struct message *message, void *arg)
{
	struct life *life = arg;

	(void)message;
	if (!life->is_confined)
		return;
	if (life->program->on_run)
		life->program->on_run(&life->child);
	wire_send(wire, MSG_READY, 0, (struct span){ 0 });
	log_event("ready", NULL);
}

static void on_stop(struct wire *wire, struct message *message, void *arg)
{
	struct reader r = reader_of(message->payload);

	(void)wire;
	stop(arg, get_u32(&r));
}

static void on_outbound(struct wire *wire, struct message *message, void *arg)
{
	struct life *life = arg;
	struct reader r = reader_of(message->payload);
	bool on = get_u8(&r);
	struct span scope = get_span(&r);

	(void)wire;
	if (reader_is_done(&r) && life->is_confined &&
	    life->program->on_outbound)
		life->program->on_outbound(&life->child, on, scope);
}

/* The file, opened anew perhaps after the old one was moved away; the zone. */
static void on_log(struct wire *wire, struct message *message, void *arg)
{
	struct life *life = arg;
	struct reader r = reader_of(message->payload);
	struct log_sink sink = { get_u8(&r), -1 };
	uint8_t level = get_u8(&r);

	(void)wire;
	if (r.bad || message->nfds > 1 || date_zone_take(r.rest) < 0)
		return;
	if (message->nfds == 1)
		sink.fd = message->fds[0];
	else if (!sink.is_syslog)
		sink.fd = STDERR_FILENO;
	message->nfds = 0;
	log_release(); /* what is held belongs there */
	log_sink_use(&sink);
	log_set_level(level ? LOG_LEVEL_DETAILED : LOG_LEVEL_BASIC);
	life->is_log_given = true;
}

static void on_secret(struct wire *wire, struct message *message, void *arg)
{
	struct life *life = arg;

	(void)wire;
	if (life->is_confined && life->program->on_secret)
		life->program->on_secret(&life->child, message);
	explicit_bzero((char *)message->payload.p, message->payload.n);
}

static void on_log_level(struct wire *wire, struct message *message, void *arg)
{
	struct reader r = reader_of(message->payload);

	(void)wire;
	(void)arg;
	log_set_level(get_u8(&r) ? LOG_LEVEL_DETAILED : LOG_LEVEL_BASIC);
}

static void on_supervisor_closed(struct wire *wire, const char *why, void *arg)
{
	struct life *life = arg;

	life->child.supervisor = NULL;
	wire_free(wire);
	if (!life->is_stopping)
		log_warn("supervisor-gone", "why", why, NULL);
	stop(life, ORPHAN_GRACE_MS);
}

/* The last words of a program, for whoever starts it. */
static void tell_fatal(const char *why, void *arg)
{
	struct life *life = arg;
	struct buf payload;

	if (!life->child.supervisor)
		return;
	buf_init(&payload, 2048);
	put_span(&payload, (struct span){ why, strnlen(why, NOTE_BYTES) });
	wire_send(life->child.supervisor, MSG_NOTE, 0, buf_span(&payload));
	wire_push(life->child.supervisor);
	buf_clear(&payload);
}

static const struct wire_rule rules[] = {
	{ MSG_CONFIG, 8192, on_config },
	{ MSG_LISTENER, 4, on_listener },
	{ MSG_PEER, 0, on_peer },
	{ MSG_RUN, 0, on_run },
	{ MSG_STOP, 4, on_stop },
	{ MSG_OUTBOUND, 1024, on_outbound },
	{ MSG_LOG_LEVEL, 1, on_log_level },
	{ MSG_LOG, DATE_ZONE_BYTES, on_log },
	{ MSG_SECRET, RELAY_SECRET_MAX, on_secret },
	{ MSG_TOKEN, RELAY_SECRET_MAX, on_secret },
	{ 0 },
};

/* --- the stages --------------------------------------------------------- */

static void usage(const char *name, FILE *to)
{
	fprintf(to,
	    "%s is a part of Outpost and started by \"outpost run\" or "
	    "\"outpost start\".\nusage: %s [-c FILE]\n",
	    name, name);
}

/* 0: go on; else exit with *status. -c is there for ps(1) alone. */
static int read_options(int argc, char **argv, const char *name, int *status)
{
	int type, option;
	socklen_t size = sizeof(type);

	while ((option = getopt(argc, argv, "c:h")) != -1)
		if (option != 'c') {
			usage(name, option == 'h' ? stdout : stderr);
			*status = option == 'h' ? 0 : EXIT_USAGE;
			return -1;
		}
	if (getsockopt(CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
		usage(name, stderr);
		*status = EXIT_USAGE;
		return -1;
	}
	return 0;
}

/* Only the supervisor stops a child: a terminal's Ctrl-C reaches all. */
static void ignore_signals(void)
{
	sigset_t none;

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void after_round(void *arg)
{
	struct life *life = arg;

	if (life->is_confined)
		life->program->after_round(&life->child);
}

static void set_up(struct life *life)
{
	life->child.loop = loop_new();
	if (!life->child.loop)
		fatal(EXIT_TRY_LATER, "loop: %s", strerror(errno));
	if (life->program->after_round)
		loop_after_round(life->child.loop, after_round, life);
	life->child.supervisor = wire_new(life->child.loop, CONTROL_FD,
	    "supervisor", rules, on_supervisor_closed, life);
	if (!life->child.supervisor)
		fatal(EXIT_TRY_LATER, "supervisor: %s", strerror(errno));
	log_tell_fatal(tell_fatal, life);
}

int child_main(int argc, char **argv, const struct child_program *program)
{
	struct life life = { .program = program };
	int status;

	log_open(program->name, "stderr");
	if (read_options(argc, argv, program->name, &status) < 0)
		return status;
	ignore_signals();
	set_up(&life);
	if (loop_run(life.child.loop) < 0)
		fatal(EXIT_TRY_LATER, "loop: %s", strerror(errno));
	log_tell_fatal(NULL, NULL);
	wire_free(life.child.supervisor);
	log_event("stopped", NULL);
	return 0;
}
