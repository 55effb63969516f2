/* What this machine says about names: its resolvers and its hosts file, read
 * once before the sandbox. */
#ifndef REMOTE_DNSSYSTEM_H
#define REMOTE_DNSSYSTEM_H

#include "common/conf.h"
#include "remote/dnsquery.h"

enum { HOSTS_LINES_MAX = 5000, HOSTS_ENTRIES_MAX = 10000, HOSTS_TTL_S = 60 };

/* The servers to ask (common/resolvers.h), and whether the answers' security
 * matters. Which were taken is logged, and so is once what keeps DANE from
 * working. */
void dns_servers_find(
    const struct conf *conf, const char *file, struct dns_options *options);

/* A file like /etc/hosts. */
struct hosts;
struct hosts *hosts_load(const char *file); /* empty when it cannot be read;
					     * NULL without memory */
void hosts_free(struct hosts *hosts);	    /* NULL is fine */
/* Addresses of name (lower case) of that type; held, NULL: not there. */
struct dns_answer *hosts_find(
    const struct hosts *hosts, const char *name, enum dns_type type);

#endif
