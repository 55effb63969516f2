/* What the runner passes on for the history: transcripts. */
#include "queue/queued_parts.h"

void history_on_transcript(
    struct wire *wire, struct message *message, void *arg)
{
	struct conn *conn = arg;
	struct reader r = reader_of(message->payload);
	struct transcript transcript;

	(void)wire;
	transcript_get(&r, &transcript);
	if (!reader_is_done(&r))
		conn_cut(conn, "malformed transcript");
}
