/* Keys of DKIM: the record of a selector (RFC 6376 section 3.6.1, RFC 8463),
 * and the public half of a private key in a file. */
#ifndef DNSCHECK_DKIM_H
#define DNSCHECK_DKIM_H

#include "common/buf.h"

enum { DKIM_KEY_MAX = 4096, DKIM_RECORD_MAX = 8192 };

enum dkim_kind { DKIM_RSA = 0, DKIM_ED25519 };

struct dkim_key {
	enum dkim_kind kind;
	unsigned char bytes[DKIM_KEY_MAX]; /* as in p=, decoded */
	size_t n;
	unsigned bits; /* RSA: of the modulus; Ed25519: 256 */
};

struct dkim_record {
	struct dkim_key key;
	bool is_revoked; /* p= is empty */
	bool is_testing; /* t=y */
	bool is_strict;	 /* t=s */
};

/* 0, or -1 with *why: a phrase, why no verifier can use it. */
int dkim_record_parse(
    struct span text, struct dkim_record *record, const char **why);

/* The public half of the private key in that file (PEM, without a passphrase):
 * 0, or -1 with *why. Reads files: before the sandbox. */
int dkim_key_load(const char *path, struct dkim_key *key, const char **why);

/* "v=DKIM1; k=rsa; p=..." */
void dkim_record_print(const struct dkim_key *key, struct buf *out);

bool dkim_key_is_equal(const struct dkim_key *a, const struct dkim_key *b);

#endif
