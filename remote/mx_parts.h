/* A resolution on its way; mx.c gathers, mx_answer.c sums up. */
#ifndef REMOTE_MX_PARTS_H
#define REMOTE_MX_PARTS_H

#include "remote/mx.h"

struct candidate {
	struct resolution *resolution;
	uint16_t preference;
	uint8_t nv4, nv6;
	bool has_failed, has_no_name, is_no_host;
	unsigned nlocal;	 /* addresses left out */
	struct dns_record local; /* the first of them */
	unsigned char v4[ADDRESSES_MAX][4], v6[ADDRESSES_MAX][16];
	char failure[160];
	char name[DNS_NAME_MAX + 1];
};

struct resolution {
	struct mx_options options;
	uint8_t kind;
	uint16_t port;
	bool implicit_tls, allow_local;
	bool is_implicit; /* no MX: the domain itself */
	unsigned pending; /* answers to come */
	uint32_t ttl_s;
	struct outcome outcome; /* when it ended before hosts were asked */
	size_t ncandidates, room;
	struct candidate *candidates;
	void (*answered)(const struct resolve_answer *a, void *arg);
	void *arg;
	char name[DNS_NAME_MAX + 1];
};

/* Letters, digits, hyphens, underscores and dots; lower case. */
bool name_is_host(const char *name);

/* Give the answer and free all. */
void resolution_finish(struct resolution *r);

#endif
