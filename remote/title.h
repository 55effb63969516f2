/* The title of this process in ps(1). */
#ifndef REMOTE_TITLE_H
#define REMOTE_TITLE_H

/* Take over the memory of argv and the environment, which are copied first.
 * Returns the copied argv. Once, first thing in main. */
char **title_init(int argc, char **argv);
/* "outpost-remote: TEXT", made printable, cut to the room there is. Nothing
 * happens before title_init. */
void title_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
