/* outpost-resolve: MX, address, TLSA and MTA-STS look-ups for the runner. It
 * hears the DNS, which anybody can write, and sees no message. */
#include "common/child.h"

#include "remote/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CACHE_ANSWERS = 20000, SOCKETS = 1000, OTHER_FDS = 64 };

/* From one stage of the start to the next. */
static struct dns_options options = { .cache_most = CACHE_ANSWERS };
static struct hosts *hosts;
static int policy_folder = -1;

/* A socket a question; what the limit allows. */
static size_t raise_sockets(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return SOCKETS / 4;
	if (limit.rlim_cur < SOCKETS + OTHER_FDS &&
	    limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < SOCKETS + OTHER_FDS
				     ? limit.rlim_max
				     : SOCKETS + OTHER_FDS;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= SOCKETS + OTHER_FDS)
		return SOCKETS;
	return limit.rlim_cur > 2 * OTHER_FDS ? limit.rlim_cur - OTHER_FDS : 16;
}

/* The folder of the policies is this user's, below the spool, which is not:
 * opened before, and used by its descriptor. */
static int own_folder(int folder)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct stat st;

	if (uid == 0 && !sandbox_user_ids("outpost-net", &uid, &gid))
		return -1;
	if (fstat(folder, &st) < 0)
		return -1;
	if (st.st_uid != uid && st.st_uid != 0) {
		errno = EPERM; /* another user's: he may have put anything */
		return -1;
	}
	if (st.st_uid != uid && fchown(folder, uid, gid) < 0)
		return -1;
	return fchmod(folder, 0700);
}

static int open_folder(const char *spool)
{
	int fd, parent = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0)
		return -1;
	if (mkdirat(parent, "policy", 0700) < 0 && errno != EEXIST) {
		close(parent);
		return -1;
	}
	fd = openat(
	    parent, "policy", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(parent);
	if (fd >= 0 && own_folder(fd) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void open_system(struct child *child, struct sandbox *sandbox)
{
	(void)sandbox;
	hosts = hosts_load("/etc/hosts");
	dns_servers_find(child->conf, "/etc/resolv.conf", &options);
	options.sockets_most = raise_sockets();
	if (child->conf->tls.mta_sts == SWITCH_OFF)
		return;
	policy_folder = open_folder(child->conf->spool);
	if (policy_folder < 0)
		log_warn("policies-in-memory", "folder",
		    log_text("%s/policy", child->conf->spool), "why",
		    strerror(errno), NULL);
}

static struct sts_cache *open_policies(void)
{
	struct sts_cache *policies;
	const char *why;

	policies = sts_cache_open(policy_folder, &why);
	if (!policies && policy_folder >= 0) {
		log_warn("policies-in-memory", "why", why, NULL);
		policies = sts_cache_open(-1, &why);
	}
	if (!policies)
		fatal(EXIT_TRY_LATER, "policies: %s", why);
	if (policy_folder >= 0)
		close(policy_folder);
	return policies;
}

static void begin(struct child *child, struct sandbox *sandbox)
{
	struct sts_cache *policies = NULL;

	(void)sandbox;
	if (child->conf->tls.mta_sts != SWITCH_OFF)
		policies = open_policies();
	child->state = resolver_new(child, &options, hosts, policies);
	if (!child->state)
		fatal(EXIT_TRY_LATER, "out of memory");
}

static void on_peer(struct child *child, enum role role, int fd)
{
	if (role == ROLE_RUNNER)
		resolver_connect(child->state, fd);
	else if (role == ROLE_FETCH)
		resolver_connect_fetcher(child->state, fd);
	else
		close(fd);
}

static void on_run(struct child *child)
{
	resolver_probe(child->state);
}

static void on_stop(struct child *child, uint32_t grace_ms)
{
	(void)grace_ms;
	/* Whoever asked asks again. */
	loop_stop(child->loop);
}

int main(int argc, char **argv)
{
	/* on_reload: none, so that new resolvers are read before a sandbox */
	static const struct child_program program = {
		.name = "outpost-resolve",
		.user = "outpost-net",
		.sandbox = SANDBOX_CONNECT | SANDBOX_SYNC,
		.open = open_system,
		.prepare = begin,
		.on_peer = on_peer,
		.on_run = on_run,
		.on_stop = on_stop,
	};

	return child_main(argc, argv, &program);
}
