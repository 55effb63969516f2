/* The CA certificates: bundle to DER, index, and the two callbacks by which
 * OpenSSL finds an issuer. */
#include "remote/castore.h"

#include "common/buf.h"
#include "common/ca_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BUNDLE_MAX = 8 << 20,
	CERTIFICATES_MAX = 4096,
	SAME_NAME_MAX = 32, /* certificates of one subject */
};

struct entry {
	unsigned long name; /* X509_NAME_hash of the subject */
	size_t at, n;
};

struct castore {
	char *file;    /* the one read */
	char *problem; /* or NULL */
	void *pages;   /* entries, then the DER */
	size_t pages_bytes;
	const struct entry *entries;
	const unsigned char *der;
	size_t count;
	unsigned char digest[CASTORE_DIGEST_BYTES];
	X509_STORE *store;
};

/* --- reading -------------------------------------------------------------- */

static void set_problem(struct castore *c, const char *what)
{
	free(c->problem);
	if (asprintf(&c->problem, "%s: %s", c->file, what) < 0)
		c->problem = NULL;
}

static char *read_open(struct castore *c, int fd, size_t *n)
{
	struct stat st;
	char *text;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0) {
		set_problem(c, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > BUNDLE_MAX) {
		set_problem(c, "not a file of at most 8 MiB");
		return NULL;
	}
	text = malloc((size_t)st.st_size + 1);
	for (*n = 0; text && *n < (size_t)st.st_size; *n += (size_t)got) {
		got = read(fd, text + *n, (size_t)st.st_size - *n);
		if (got < 0)
			set_problem(c, strerror(errno));
		if (got <= 0)
			break;
	}
	return text;
}

/* The file's bytes to be freed, or NULL with the problem set. */
static char *read_file(struct castore *c, size_t *n)
{
	int fd = open(c->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = read_open(c, fd, n);

	if (fd >= 0)
		close(fd);
	return text;
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* One block of the bundle. What is no certificate is left out, as others do. */
static void add_certificate(
    struct buf *entries, struct buf *der, const unsigned char *data, long n)
{
	const unsigned char *p = data;
	X509 *x = d2i_X509(NULL, &p, n);
	struct entry e = { .at = der->len, .n = (size_t)n };

	if (x) {
		e.name = X509_NAME_hash_ex(
		    X509_get_subject_name(x), NULL, NULL, NULL);
		buf_put(der, data, (size_t)n);
		buf_put(entries, &e, sizeof(e));
	}
	X509_free(x);
}

static void add_all(
    const char *text, size_t n, struct buf *entries, struct buf *der)
{
	BIO *bio = BIO_new_mem_buf(text, (int)n);
	unsigned char *data;
	char *name, *header;
	long bytes;

	while (bio && PEM_read_bio(bio, &name, &header, &data, &bytes) == 1) {
		if (strcmp(name, PEM_STRING_X509) == 0 && bytes > 0)
			add_certificate(entries, der, data, bytes);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	BIO_free(bio);
	ERR_clear_error();
}

/* Into pages that a fork shares and nobody can change. */
static int keep(struct castore *c, struct buf *entries, const struct buf *der)
{
	size_t n = entries->len + der->len;

	qsort(entries->data, entries->len / sizeof(struct entry),
	    sizeof(struct entry), compare);
	c->pages = mmap(
	    NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->pages == MAP_FAILED) {
		c->pages = NULL;
		return -1;
	}
	c->pages_bytes = n;
	memcpy(c->pages, entries->data, entries->len);
	memcpy((char *)c->pages + entries->len, der->data, der->len);
	c->entries = c->pages;
	c->count = entries->len / sizeof(struct entry);
	c->der = (unsigned char *)c->pages + entries->len;
	return mprotect(c->pages, n, PROT_READ);
}

static void read_bundle(struct castore *c)
{
	struct buf entries, der;
	size_t n = 0;
	char *text = read_file(c, &n);

	buf_init(&entries, CERTIFICATES_MAX * sizeof(struct entry));
	buf_init(&der, BUNDLE_MAX);
	if (text)
		add_all(text, n, &entries, &der);
	if (entries.overflow || der.overflow)
		set_problem(c, "too many certificates");
	else if (entries.len == 0 && !c->problem)
		set_problem(c, "no certificate in PEM format in it");
	else if (entries.len > 0 && keep(c, &entries, &der) < 0)
		set_problem(c, strerror(errno));
	EVP_Digest(der.data ? der.data : "", der.len, c->digest, NULL,
	    EVP_sha256(), NULL);
	buf_clear(&entries);
	buf_clear(&der);
	free(text);
}

/* --- finding -------------------------------------------------------------- */

static size_t first_of(const struct castore *c, unsigned long name)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->entries[middle].name < name)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The certificates of that subject, to be freed; NULL without memory. */
static STACK_OF(X509) *
    find_all(const struct castore *c, const X509_NAME *subject)
{
	unsigned long name = X509_NAME_hash_ex(subject, NULL, NULL, NULL);
	STACK_OF(X509) *found = sk_X509_new_null();

	for (size_t i = first_of(c, name);
	     found && i < c->count && c->entries[i].name == name; i++) {
		const unsigned char *p = c->der + c->entries[i].at;
		X509 *x = d2i_X509(NULL, &p, (long)c->entries[i].n);

		if (!x || sk_X509_num(found) >= SAME_NAME_MAX ||
		    X509_NAME_cmp(X509_get_subject_name(x), subject) != 0 ||
		    !sk_X509_push(found, x))
			X509_free(x);
	}
	return found;
}

static int store_index(void)
{
	static int index = -1;

	if (index < 0)
		index = X509_STORE_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static const struct castore *castore_of(const X509_STORE_CTX *context)
{
	X509_STORE *store = X509_STORE_CTX_get0_store(context);

	return X509_STORE_get_ex_data(store, store_index());
}

static STACK_OF(X509) *
    lookup(X509_STORE_CTX *context, const X509_NAME *subject)
{
	return find_all(castore_of(context), subject);
}

static bool is_in_time(const X509 *x)
{
	return X509_cmp_current_time(X509_get0_notBefore(x)) < 0 &&
	       X509_cmp_current_time(X509_get0_notAfter(x)) > 0;
}

/* Among several of one name: whose key it is, then which is in time; one that
 * is not still makes a better reason than none. */
static int fitness(X509 *ca, X509 *x, bool is_alone)
{
	if (X509_check_issued(ca, x) != X509_V_OK)
		return 0;
	if (is_alone)
		return 1;
	return 1 + is_in_time(ca) +
	       2 * (X509_verify(x, X509_get0_pubkey(ca)) == 1);
}

/* 1 with *issuer, to be freed; 0: none; -1. */
static int get_issuer(X509 **issuer, X509_STORE_CTX *context, X509 *x)
{
	STACK_OF(X509) *all =
	    find_all(castore_of(context), X509_get_issuer_name(x));
	int best = 0;

	*issuer = NULL;
	if (!all)
		return -1;
	for (int i = 0; i < sk_X509_num(all); i++) {
		X509 *ca = sk_X509_value(all, i);
		int fit = fitness(ca, x, sk_X509_num(all) == 1);

		if (fit <= best)
			continue;
		best = fit;
		*issuer = ca;
	}
	if (*issuer)
		X509_up_ref(*issuer);
	sk_X509_pop_free(all, X509_free);
	ERR_clear_error();
	return best > 0;
}

static int open_store(struct castore *c)
{
	c->store = X509_STORE_new();
	if (!c->store ||
	    X509_STORE_set_ex_data(c->store, store_index(), c) != 1)
		return -1;
	X509_STORE_set_get_issuer(c->store, get_issuer);
	X509_STORE_set_lookup_certs(c->store, lookup);
	return 0;
}

/* --- life ----------------------------------------------------------------- */

struct castore *castore_load(const char *path)
{
	struct castore *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->file = strdup(ca_file_choose(path));
	if (!c->file || open_store(c) < 0) {
		castore_free(c);
		return NULL;
	}
	read_bundle(c);
	return c;
}

void castore_free(struct castore *c)
{
	if (!c)
		return;
	X509_STORE_free(c->store);
	if (c->pages)
		munmap(c->pages, c->pages_bytes);
	free(c->problem);
	free(c->file);
	free(c);
}

size_t castore_count(const struct castore *c)
{
	return c->count;
}

const char *castore_file(const struct castore *c)
{
	return c->file;
}

const char *castore_problem(const struct castore *c)
{
	return c->problem;
}

struct span castore_digest(const struct castore *c)
{
	return (struct span){ (const char *)c->digest, sizeof(c->digest) };
}

X509_STORE *castore_x509(const struct castore *c)
{
	return c->store;
}
