/* outpost-fetch: MTA-STS policies from web servers, for outpost-resolve. It
 * hears HTTP and certificates, and sees neither mail nor files. */
#include "common/child.h"

#include "remote/fetch.h"

#include <unistd.h>

static void open_system(struct child *child, struct sandbox *sandbox)
{
	static uint16_t ports[2];
	struct castore *ca = castore_load(child->conf->tls.ca_file);

	if (!ca)
		fatal(EXIT_TRY_LATER, "out of memory");
	if (castore_problem(ca))
		log_warn("no-ca", "why", castore_problem(ca), "effect",
		    "no MTA-STS policy can be fetched", NULL);
	child->state = fetcher_new(child, ca);
	if (!child->state)
		fatal(EXIT_TRY_LATER, "libcurl: it does not start");
	ports[0] = child->conf->tls.mta_sts_port;
	sandbox->ports = ports;
}

static void on_peer(struct child *child, enum role role, int fd)
{
	if (role == ROLE_RESOLVE)
		fetcher_connect(child->state, fd);
	else
		close(fd);
}

/* What it takes of a configuration, the CAs and the port, it is started anew
 * for: outpost-resolve keeps who fetches for it over any other reload. */
static void on_reload(struct child *child, struct conf *fresh)
{
	(void)child;
	(void)fresh;
}

static void on_stop(struct child *child, uint32_t grace_ms)
{
	(void)grace_ms;
	/* Whoever asked asks again. */
	loop_stop(child->loop);
}

int main(int argc, char **argv)
{
	static const struct child_program program = {
		.name = "outpost-fetch",
		.user = "outpost-net",
		.sandbox = SANDBOX_CONNECT,
		.open = open_system,
		.on_peer = on_peer,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};

	return child_main(argc, argv, &program);
}
