/* The configuration: errors or settings, never both; what is printed reads
 * back the same. */
#include "common/conf.h"

#include <netdb.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The machine's name does not matter here; asking for it takes its time. */
int getaddrinfo(const char *restrict node, const char *restrict service,
    const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)result;
	return EAI_NONAME;
}

static struct conf *load(const void *data, size_t size, struct buf *errors)
{
	int fd = memfd_create("conf", 0);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
	    lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return conf_load_fd(fd, "/fuzz/outpost.conf", errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *conf, *again;
	struct buf errors, one, two;

	if (size > 65536)
		return 0;
	buf_init(&errors, 1 << 20);
	buf_init(&one, 1 << 24);
	buf_init(&two, 1 << 24);
	conf = load(data, size, &errors);
	if ((conf == NULL) != (errors.len > 0))
		abort();
	if (conf) {
		conf_print(conf, &one);
		again = load(one.data, one.len, &errors);
		if (!again)
			abort();
		conf_print(again, &two);
		if (!span_is_equal(buf_span(&one), buf_span(&two)))
			abort();
		conf_free(again);
	}
	conf_free(conf);
	buf_clear(&errors);
	buf_clear(&one);
	buf_clear(&two);
	return 0;
}
