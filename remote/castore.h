/* The CA certificates that servers are verified with: read once from a PEM
 * bundle, kept as DER in pages that all lines share and none writes, found by
 * the name of the issuer. Only the issuers of a chain under verification are
 * ever parsed: all 140 of a usual bundle would cost each line 600 KiB.
 */
#ifndef REMOTE_CASTORE_H
#define REMOTE_CASTORE_H

#include "common/span.h"

#include <openssl/x509.h>

struct castore;

enum { CASTORE_DIGEST_BYTES = 32 };

/* path: NULL looks where systems keep theirs. Never fails but without memory
 * (NULL): without a certificate castore_problem says why. */
struct castore *castore_load(const char *path);
void castore_free(struct castore *c);

size_t castore_count(const struct castore *c);
/* The bundle's path, for messages. */
const char *castore_file(const struct castore *c);
/* NULL, or one sentence: which file could not be used and why. */
const char *castore_problem(const struct castore *c);
/* Of all its certificates. */
struct span castore_digest(const struct castore *c);
/* For X509_STORE_CTX_init; belongs to c. */
X509_STORE *castore_x509(const struct castore *c);

#endif
