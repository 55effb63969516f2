/* Client of the keeper's submission socket: one message, its envelope first,
 * then its bytes, then the answer. Blocking; every wait has a limit.
 */
#ifndef COMMON_SUBMIT_H
#define COMMON_SUBMIT_H

#include "common/messages.h"

struct submit;

/* Connect to runtime/submit.sock; a keeper that is just being restarted is
 * waited for (about 2 s). NULL with *why (temporary). */
struct submit *submit_open(const char *runtime, struct outcome *why);
/* The same over a connected socket, which is taken over. */
struct submit *submit_new(int fd, struct outcome *why);
/* What was begun and not ended is forgotten by the keeper. NULL is fine. */
void submit_free(struct submit *s);

/* Queue the envelope. -1: too long for one frame (permanent). */
int submit_begin(
    struct submit *s, const struct envelope *envelope, struct outcome *why);
/* Queue bytes; writes when enough has gathered, and sees a refusal that comes
 * before the end. 0, or -1 with *why. */
int submit_data(struct submit *s, struct span data, struct outcome *why);
/* Write the rest and wait for the answer. 0: the message *id is on disk. */
int submit_end(struct submit *s, uint64_t *id, struct outcome *why);

#endif
