/* Confinement: dropping the user and its capabilities; the order of steps. */
#include "common/sandbox.h"

#include "common/log.h"
#include "common/sandbox_parts.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void clear_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capset, &header, data) < 0)
		fatal(EXIT_TRY_LATER, "capset: %s", strerror(errno));
	if (syscall(SYS_capget, &header, data) < 0 || data[0].permitted ||
	    data[1].permitted || data[0].effective || data[1].effective)
		fatal(EXIT_TRY_LATER, "capabilities are left after capset");
}

/* What could come back by exec; needs privilege, so before the user goes. */
static void clear_bounds(void)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break;
}

static void become(const struct passwd *to)
{
	if (setgroups(1, &to->pw_gid) < 0 ||
	    setresgid(to->pw_gid, to->pw_gid, to->pw_gid) < 0 ||
	    setresuid(to->pw_uid, to->pw_uid, to->pw_uid) < 0)
		fatal(EXIT_TRY_LATER, "become user %s: %s", to->pw_name,
		    strerror(errno));
	clear_capabilities();
	if (setuid(0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0 ||
	    getuid() != to->pw_uid || geteuid() != to->pw_uid)
		fatal(EXIT_TRY_LATER, "privileges are left as user %s",
		    to->pw_name);
}

static const struct passwd *find_user(const char *user)
{
	const struct passwd *found = getpwnam(user);

	return found ? found : getpwnam("nobody");
}

bool sandbox_user_ids(const char *user, uid_t *uid, gid_t *gid)
{
	const struct passwd *found = find_user(user);

	if (!found || found->pw_uid == 0)
		return false;
	*uid = found->pw_uid;
	*gid = found->pw_gid;
	return true;
}

void sandbox_drop_user(const char *user)
{
	const struct passwd *to;

	clear_bounds();
	if (geteuid() != 0) {
		clear_capabilities();
		log_event("user-kept", "uid", log_text("%u", geteuid()), "why",
		    "not started as root", NULL);
		return;
	}
	to = getpwnam(user);
	if (!to) {
		log_warn(
		    "user-missing", "user", user, "instead", "nobody", NULL);
		to = getpwnam("nobody");
	}
	if (!to || to->pw_uid == 0)
		fatal(EXIT_TRY_LATER, "neither user %s nor nobody", user);
	become(to);
	log_event("user-dropped", "user", to->pw_name, "uid",
	    log_text("%u", to->pw_uid), NULL);
}

void sandbox_enter(const struct sandbox *sandbox)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fatal(EXIT_TRY_LATER, "no_new_privs: %s", strerror(errno));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		fatal(EXIT_TRY_LATER, "dumpable: %s", strerror(errno));
	sandbox_landlock(sandbox);
	sandbox_seccomp(sandbox);
}
