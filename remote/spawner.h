/* The spawner: forks a line when the runner asks for one, tells when it ended.
 * It has the TLS context in memory, which all lines share. */
#ifndef REMOTE_SPAWNER_H
#define REMOTE_SPAWNER_H

/* outpost-remote; returns its exit status. */
int spawner_main(int argc, char **argv);

#endif
