/* MTA-STS policies of domains, kept across restarts in an LMDB file of their
 * own. A policy that has once been had protects the domain until its max_age
 * is over, whatever becomes of its record and its web server: RFC 8461 3.3,
 * 10.2. */
#ifndef REMOTE_STSCACHE_H
#define REMOTE_STSCACHE_H

#include "remote/sts.h"

struct sts_entry {
	char id[STS_ID_MAX + 1];	 /* of the record when it was fetched */
	uint64_t fetched_at, expires_at; /* UTC seconds */
	struct sts_policy policy;	 /* borrowed from text */
	char *text;			 /* owned */
	size_t ntext;
};

/* 0, or -1: not a policy, with *why, or no memory. text is copied. */
int sts_entry_init(struct sts_entry *e, const char *id, struct span text,
    uint64_t now, const char **why);
int sts_entry_copy(struct sts_entry *to, const struct sts_entry *from);
void sts_entry_clear(struct sts_entry *e);

struct sts_cache;

/* Before the sandbox. folder: a descriptor of the folder it is kept in; -1:
 * kept in memory. A file that cannot be read is thrown away. NULL with *why. */
struct sts_cache *sts_cache_open(int folder, const char **why);
void sts_cache_close(struct sts_cache *cache); /* NULL is fine */

/* false: none, or over. The entry is the caller's to clear. */
bool sts_cache_get(struct sts_cache *cache, const char *domain, uint64_t now,
    struct sts_entry *e);
/* On the disk when it returns. When there is no room, those that are over
 * make some. 0, or -1 with *why. */
int sts_cache_put(struct sts_cache *cache, const char *domain,
    const struct sts_entry *e, uint64_t now, const char **why);
size_t sts_cache_count(struct sts_cache *cache);

#endif
