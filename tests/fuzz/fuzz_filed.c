/* The envelope in an exported message's JSON: what is taken is printed and
 * read back the same. */
#include "queue/tool_envelope.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_envelope(const struct envelope *e)
{
	struct buf wire;
	struct reader r;
	struct envelope again;

	buf_init(&wire, 64 << 20);
	envelope_put(&wire, e);
	r = reader_of(buf_span(&wire));
	/* what the keeper would cut us off for */
	if (envelope_get(&r, &again) < 0)
		abort();
	envelope_free(&again);
	buf_clear(&wire);
}

static void check_again(const struct filed *f)
{
	json_t *object = filed_print(f, NULL);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	struct outcome why;
	struct filed again;

	if (!text || filed_parse(span_of(text), &again, &why) < 0)
		abort();
	if (again.envelope.nrecipients != f->envelope.nrecipients ||
	    again.envelope.hold_until != f->envelope.hold_until ||
	    again.envelope.expires_at != f->envelope.expires_at ||
	    again.envelope.ret != f->envelope.ret ||
	    !span_is_equal(again.envelope.sender, f->envelope.sender) ||
	    !span_is_equal(again.envelope.envid, f->envelope.envid))
		abort();
	filed_clear(&again);
	free(text);
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct outcome why = { 0 };
	struct filed f;

	if (filed_parse(text, &f, &why) < 0) {
		if (!why.detail[0])
			abort();
		return 0;
	}
	check_envelope(&f.envelope);
	check_again(&f);
	filed_clear(&f);
	return 0;
}
