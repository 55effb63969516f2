/* What "outpost check" finds in a configuration that is right but does less
 * than it seems to. */
#include "runner/front.h"

#include "common/resolvers.h"

#include <stdio.h>

static void advise_dane(const struct conf *conf)
{
	struct resolvers found;
	size_t ntrusted;

	if (conf->tls.dane == SWITCH_OFF)
		return;
	resolvers_find(&conf->resolvers, "/etc/resolv.conf", &found);
	ntrusted = resolvers_trusted(&found);
	if (ntrusted == found.count)
		return;
	fprintf(stderr,
	    "outpost: warning: %s resolver (%s) is on loopback or marked "
	    "\"trusted\": without validated answers there is no DANE; run a "
	    "validating resolver on 127.0.0.1, or set tls { dane = off }\n",
	    ntrusted ? "not every" : "no", found.from);
}

void front_advise(const struct conf *conf)
{
	advise_dane(conf);
}
