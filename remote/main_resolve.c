/* outpost-resolve: MX, address and TLSA look-ups for the runner. It hears the
 * DNS, which anybody can write, and sees no message. */
#include "common/child.h"

#include "remote/resolve.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CACHE_ANSWERS = 20000, SOCKETS = 1000, OTHER_FDS = 64 };

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

static void read_system(struct child *child, struct sandbox *sandbox)
{
	struct dns_options options = { .cache_most = CACHE_ANSWERS };

	(void)sandbox;
	options.sockets_most = raise_sockets();
	dns_servers_find(child->conf, "/etc/resolv.conf", &options);
	child->state = resolver_new(child, &options, hosts_load("/etc/hosts"));
	if (!child->state)
		fatal(EXIT_TRY_LATER, "out of memory");
}

static void on_peer(struct child *child, enum role role, int fd)
{
	if (role == ROLE_RUNNER)
		resolver_connect(child->state, fd);
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
		.sandbox = SANDBOX_CONNECT,
		.open = read_system,
		.on_peer = on_peer,
		.on_run = on_run,
		.on_stop = on_stop,
	};

	return child_main(argc, argv, &program);
}
