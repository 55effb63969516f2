/* Fuzz: journal records as they are replayed into the index.
 *
 * Input: records one after the other, each u8 type, u8 message (small ids, so
 * that they meet), u16 length, contents. What passes its checksum but makes no
 * sense may be refused or come to nothing; it must not do harm.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "queue/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 64 };

static char folder[64];

static void folder_remove(void)
{
	index_remove(folder);
	rmdir(folder);
}

static struct index *scratch(void)
{
	static struct index *ix;
	struct outcome why;
	bool is_damaged;

	if (ix)
		return ix;
	log_open("fuzz", "/dev/null");
	snprintf(folder, sizeof(folder), "/tmp/fuzz-record.%d", getpid());
	mkdir(folder, 0700);
	atexit(folder_remove);
	ix = index_open(folder, false, 64 << 20, &is_damaged, &why);
	if (!ix)
		abort();
	ix->is_replaying = true;
	return ix;
}

static void record_replay(
    struct index *ix, struct reader *input, uint64_t offset)
{
	struct record_head head = { .version = RECORD_VERSION };
	struct span contents;
	struct place place;

	head.type = get_u8(input);
	head.message = get_u8(input);
	contents.n = get_u16(input);
	if (contents.n > input->rest.n)
		contents.n = input->rest.n;
	contents.p = input->rest.p;
	input->rest = span_from(input->rest, contents.n);
	head.bytes = (uint32_t)(RECORD_HEAD_BYTES + contents.n);
	place = (struct place){ 1, head.bytes, offset };
	index_apply(ix, &head, contents, &place);
}

/* What came of it can be read. */
static void rows_read(struct index *ix)
{
	struct delivery d;
	uint8_t claim;

	for (uint64_t id = 0; id < 256 && !ix->error; id++)
		for (uint16_t number = 0; number < 4; number++)
			delivery_read(ix, ix->write, id, number, &d, &claim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader input =
	    reader_of((struct span){ (const char *)data, size });
	struct index *ix = scratch();

	if (index_begin(ix) != 0)
		abort();
	for (unsigned i = 0; i < RECORDS_MAX && input.rest.n > 4; i++)
		record_replay(ix, &input, 8192 + i * 65536);
	rows_read(ix);
	index_abort(ix);
	return 0;
}
