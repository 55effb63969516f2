/* The user who runs the program: the name of the real uid. */
#ifndef INJECT_CALLER_H
#define INJECT_CALLER_H

#include "common/buf.h"

struct caller {
	struct buf login;     /* "uid1234" when the system has no name for it */
	struct buf full_name; /* of the password file; may be empty */
};

/* Looks the user up in /etc/passwd, then wherever else users are kept. -1
 * without memory: nobody is known then. */
int caller_load(struct caller *caller);
void caller_clear(struct caller *caller);

/* $NAME when it is fit for a header field, else empty. */
struct span caller_name_wanted(void);

#endif
