/* Confinement: dropping the user, no_new_privs, Landlock, seccomp. Each step
 * is logged; a step that the kernel lacks is logged as missing. */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a program does after it is confined. All may: read, write, poll, use
 * descriptors they have, pass descriptors, allocate, read clocks, exit. */
enum {
	SANDBOX_FILES = 1,    /* open, rename, unlink below the given folders */
	SANDBOX_CONNECT = 2,  /* TCP and UDP sockets to the outside */
	SANDBOX_FORK = 4,     /* fork without exec, wait, kill own children */
	SANDBOX_ACCEPT = 8,   /* accept on listeners it was given */
	SANDBOX_UNIX = 16,    /* socketpair */
	SANDBOX_SYNC = 32,    /* fsync, fdatasync of what is open */
	SANDBOX_THREADS = 64, /* more threads of this process */
};

struct sandbox {
	const char *program;
	unsigned allows;	 /* SANDBOX_* */
	const char *const *read; /* folders or files, ended by NULL; or NULL */
	const char *const *write;
	/* With CONNECT: the only TCP ports, ended by 0, where the kernel can
	 * tell (Landlock ABI 4); NULL: any. */
	const uint16_t *ports;
};

/* Become user (by name) for good when running as root: groups, gid, uid,
 * capabilities, then prove that regaining them fails. As an ordinary user: only
 * log. As root without that user on the system: become "nobody" and warn.
 * Any failure is fatal(). */
void sandbox_drop_user(const char *user);

/* The ids that sandbox_drop_user would take as root. false: no such user and
 * no "nobody". */
bool sandbox_user_ids(const char *user, uid_t *uid, gid_t *gid);

/* no_new_privs, not dumpable, Landlock (when the ABI is there) to the given
 * folders, seccomp filter: what is not allowed kills the process (SIGSYS).
 * Failure of seccomp is fatal(). */
void sandbox_enter(const struct sandbox *sandbox);

#endif
