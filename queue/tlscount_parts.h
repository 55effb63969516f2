/* What the files of the counts of TLS share. */
#ifndef QUEUE_TLSCOUNT_PARTS_H
#define QUEUE_TLSCOUNT_PARTS_H

#include "queue/tlscount.h"

#include <lmdb.h>

enum { TLSCOUNT_VERSION = 1, TLSKEY_MAX = 511 };

struct tlscount {
	MDB_env *env;
	MDB_dbi dbi;
	uint32_t newest; /* day; what is older than its days is gone */
	struct buf row;
};

struct tlskey {
	unsigned char bytes[TLSKEY_MAX];
	size_t n;
};

struct day_sums {
	uint32_t domains, rows;
	uint64_t missed;
};

struct domain_row {
	struct tls_domain d;
	uint32_t rows;
};

static inline struct span span_of_value(MDB_val v)
{
	return (struct span){ v.mv_data, v.mv_size };
}

/* kind: 'd', 'n', 'r', see tlscount.c. What does not fit is left out. */
struct tlskey tlskey_of(uint32_t day, char kind, struct span domain);
void tlskey_add(struct tlskey *k, const void *data, size_t n);
MDB_val tlskey_val(struct tlskey *k);

/* Zero when there are none; *error is set only when LMDB fails. */
struct day_sums tlscount_sums(
    MDB_txn *txn, MDB_dbi dbi, uint32_t day, int *error);
/* The rest of a domain's value, behind the version. */
void tlscount_domain(struct reader *r, struct domain_row *row);

#endif
