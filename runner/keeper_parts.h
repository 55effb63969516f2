/* What runner_keeper.c and runner_wake.c share. */
#ifndef RUNNER_KEEPER_PARTS_H
#define RUNNER_KEEPER_PARTS_H

#include "runner/runner.h"

/* The keeper is ours, yet never trusted with our memory: it sent what it may
 * not send. Its connection is gone when this returns. */
void keeper_cut_off(struct runner *runner, const char *why);

/* runner_wake.c: the answers to what it asks, and forgetting it all. */
void keeper_on_change_done(
    struct wire *wire, struct message *message, void *arg);
void keeper_on_failed(struct wire *wire, struct message *message, void *arg);
/* runner_memory.c */
void keeper_on_remembered(
    struct wire *wire, struct message *message, void *arg);
void keeper_drop_wakes(struct runner *runner);

#endif
