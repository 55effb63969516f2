/* outpost-queued: the keeper as a child of the supervisor. */
#include "queue/queued.h"

#include "common/child.h"
#include "common/conf.h"
#include "common/log.h"
#include "queue/history.h"
#include "queue/index_home.h"
#include "queue/tlscount.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char user_name[] = "outpost-q";

/* Whose the spool has to be: ourselves, or whom root will become. */
static uid_t future_uid(gid_t *gid)
{
	const struct passwd *user;

	*gid = getegid();
	if (geteuid() != 0)
		return geteuid();
	user = getpwnam(user_name);
	if (!user)
		user = getpwnam("nobody");
	if (!user)
		fatal(EXIT_CONFIGURATION, "no user %s", user_name);
	*gid = user->pw_gid;
	return user->pw_uid;
}

static void make_parents(const char *path)
{
	char *copy = strdup(path);

	if (!copy)
		fatal(EXIT_TRY_LATER, "out of memory");
	for (char *p = copy + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			fatal(EXIT_CONFIGURATION, "spool: mkdir %s: %s", copy,
			    strerror(errno));
	}
	free(copy);
}

/* The spool's folder, there and ours. Only a folder made here
 * and now is given away: never what somebody else has put in its place. */
static void prepare_folder(const char *path)
{
	gid_t gid;
	uid_t uid = future_uid(&gid);
	struct stat st;
	bool is_new;
	int fd;

	make_parents(path);
	is_new = mkdir(path, 0700) == 0;
	if (!is_new && errno != EEXIST)
		fatal(EXIT_CONFIGURATION, "spool: mkdir %s: %s", path,
		    strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (is_new && geteuid() == 0 && fchown(fd, uid, gid) < 0) ||
	    fstat(fd, &st) < 0)
		fatal(
		    EXIT_CONFIGURATION, "spool: %s: %s", path, strerror(errno));
	close(fd);
	if (st.st_uid != uid)
		fatal(EXIT_CONFIGURATION,
		    "spool: %s belongs to uid %u, the keeper runs as uid %u: "
		    "chown -R %u %s",
		    path, (unsigned)st.st_uid, (unsigned)uid, (unsigned)uid,
		    path);
}

static void set_limits(
    struct keeper *keeper, const struct conf *conf, uint32_t owner_uid)
{
	const struct keeper_limits limits = {
		.message_size = conf->limits.message_size,
		.spool_bytes = conf->limits.spool_size,
		.conf = conf,
		.recipients = (uint32_t)conf->limits.recipients,
		.owner_uid = owner_uid,
	};

	keeper_set_limits(keeper, &limits);
}

static void open_files(struct child *child, struct sandbox *sandbox)
{
	static const char *readable[] = { "/proc/sys/kernel/random/boot_id",
		"/proc/self/maps", NULL };
	static const char *writable[2];

	prepare_folder(child->conf->spool);
	writable[0] = child->conf->spool;
	sandbox->read = readable;
	sandbox->write = writable;
}

/* After the change of user: the keeper knows itself by its uid. */
static void prepare(struct child *child, struct sandbox *sandbox)
{
	struct keeper *keeper = keeper_new(child->loop);

	(void)sandbox;
	if (!keeper)
		fatal(EXIT_TRY_LATER, "out of memory");
	child->state = keeper;
	index_doubt_after_crash(child->conf->spool);
	set_limits(keeper, child->conf, geteuid());
}

static void on_listener(struct child *child, enum listener_kind kind,
    uint32_t index, int fds[], int nfds)
{
	(void)index;
	for (int i = 1; i < nfds; i++)
		close(fds[i]);
	keeper_listen(child->state, kind, fds[0]);
}

static void on_peer(struct child *child, enum role role, int fd)
{
	keeper_peer(child->state, role, fd);
}

static void progress(const char *what, uint64_t done, uint64_t of)
{
	log_event("recovering", "what", what, "done",
	    log_text("%llu", (unsigned long long)done), "of",
	    log_text("%llu", (unsigned long long)of), NULL);
}

/* Without it all else goes on. */
static void open_tlscount(struct child *child)
{
	const char *why;
	struct tlscount *t = tlscount_open(child->conf->spool, &why);

	if (!t)
		log_warn("tlsrpt-not-counted", "file",
		    log_text("%s/tlsrpt.mdb", child->conf->spool), "why", why,
		    NULL);
	keeper_set_tlscount(child->state, t);
}

static void on_run(struct child *child)
{
	const struct spool_options options = {
		.path = child->conf->spool,
		.max_bytes = child->conf->limits.spool_size,
	};
	struct outcome why;
	bool is_whole = history_is_whole(options.path);
	struct spool *spool = spool_open(&options, progress, &why);

	if (!spool)
		fatal(EXIT_TRY_LATER, "spool %s: %s", options.path, why.detail);
	keeper_set_history(child->state, history_open(options.path, is_whole));
	open_tlscount(child);
	keeper_run(child->state, spool);
}

static void on_reload(struct child *child, struct conf *fresh)
{
	if (strcmp(child->conf->spool, fresh->spool) != 0)
		log_warn("spool-not-moved", "why",
		    "another spool needs a restart", NULL);
	set_limits(child->state, fresh, geteuid());
}

static void on_stop(struct child *child, uint32_t grace_ms)
{
	keeper_stop(child->state, grace_ms);
}

static void after_round(struct child *child)
{
	keeper_after_round(child->state);
}

int main(int argc, char **argv)
{
	static const struct child_program program = {
		.name = "outpost-queued",
		.user = user_name,
		.sandbox = SANDBOX_FILES | SANDBOX_ACCEPT,
		.open = open_files,
		.prepare = prepare,
		.on_listener = on_listener,
		.on_peer = on_peer,
		.on_run = on_run,
		.on_reload = on_reload,
		.on_stop = on_stop,
		.after_round = after_round,
	};

	return child_main(argc, argv, &program);
}
