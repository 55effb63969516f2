/* Socket addresses as text: parse, print, networks. */
#ifndef COMMON_NET_H
#define COMMON_NET_H

#include "common/span.h"

#include <netinet/in.h>
#include <sys/socket.h>

union net_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

enum { NET_TEXT_MAX = 64 }; /* "[v6]:port" with NUL */

/* "127.0.0.1:25", "[::1]:25", "127.0.0.1", "::1" (default_port). 0 or -1. */
int net_parse(struct span text, uint16_t default_port, union net_address *a);
/* "127.0.0.1:25" or "[::1]:25". */
void net_print(const union net_address *a, char text[NET_TEXT_MAX]);
/* The address alone, "192.0.2.1" or "2001:db8::1"; "unix" otherwise. */
void net_print_ip(const union net_address *a, char text[NET_TEXT_MAX]);
/* 4 or 16 raw bytes and a port. -1 on another length. */
int net_from_bytes(struct span bytes, uint16_t port, union net_address *a);
struct span net_bytes(const union net_address *a); /* 4 or 16, borrowed */
socklen_t net_size(const union net_address *a);

struct network {
	int family;
	unsigned char bytes[16];
	unsigned bits;
};
int network_parse(struct span text, struct network *n); /* "127.0.0.0/8" */
/* A v4-mapped IPv6 address matches IPv4 networks. */
bool network_has(const struct network *n, const union net_address *a);

#endif
