/* Landlock by hand: the C library has no wrappers, and the kernel's ABI is
 * found out at run time. Documentation/userspace-api/landlock.rst
 */
#include "common/sandbox_parts.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's numbers, for headers older than the kernel. */
enum {
	CREATE_RULESET = 444,
	ADD_RULE = 445,
	RESTRICT_SELF = 446,
	VERSION = 1,	  /* flag of CREATE_RULESET */
	PATH_BENEATH = 1, /* rule types */
	NET_PORT = 2,	  /* ABI 4 */
};
enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_V1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,	/* ABI 2 */
	FS_TRUNCATE = 1 << 14,	/* ABI 3 */
	FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
	NET_ALL = 3,		/* ABI 4: bind and connect TCP */
	NET_CONNECT = 2,
	SCOPE_ALL = 3, /* ABI 6: abstract sockets, signals */
};

struct ruleset {
	uint64_t fs, net, scoped;
};

struct beneath {
	uint64_t access;
	int32_t parent_fd;
} __attribute__((packed));

static uint64_t fs_of(long abi)
{
	uint64_t fs = FS_V1;

	if (abi >= 2)
		fs |= FS_REFER;
	if (abi >= 3)
		fs |= FS_TRUNCATE;
	if (abi >= 5)
		fs |= FS_IOCTL_DEV;
	return fs;
}

static size_t ruleset_size(long abi)
{
	if (abi < 4)
		return sizeof(uint64_t);
	return abi < 6 ? 2 * sizeof(uint64_t) : sizeof(struct ruleset);
}

static void add_path(int ruleset, const char *path, uint64_t access)
{
	struct beneath rule = { .access = access };
	struct stat st;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0 || fstat(rule.parent_fd, &st) < 0)
		fatal(
		    EXIT_TRY_LATER, "landlock: %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		rule.access &= FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE;
	if (syscall(ADD_RULE, ruleset, PATH_BENEATH, &rule, 0) < 0)
		fatal(EXIT_TRY_LATER, "landlock: rule for %s: %s", path,
		    strerror(errno));
	close(rule.parent_fd);
}

struct net_port {
	uint64_t access, port;
};

static void add_ports(int ruleset, const uint16_t *ports)
{
	for (; ports && *ports; ports++) {
		struct net_port rule = { NET_CONNECT, *ports };

		if (syscall(ADD_RULE, ruleset, NET_PORT, &rule, 0) < 0)
			fatal(EXIT_TRY_LATER, "landlock: rule for port %u: %s",
			    *ports, strerror(errno));
	}
}

static void add_paths(int ruleset, const char *const *paths, uint64_t access)
{
	for (; paths && *paths; paths++)
		add_path(ruleset, *paths, access);
}

void sandbox_landlock(const struct sandbox *sandbox)
{
	long abi = syscall(CREATE_RULESET, NULL, 0, VERSION);
	struct ruleset attr = { 0 };
	uint64_t reading = FS_READ_FILE | FS_READ_DIR, writing;
	int ruleset;

	if (abi < 1) {
		log_warn("sandbox-missing", "step", "landlock", "why",
		    strerror(errno), NULL);
		return;
	}
	attr.fs = fs_of(abi);
	attr.net =
	    sandbox->allows & SANDBOX_CONNECT && !sandbox->ports ? 0 : NET_ALL;
	attr.scoped = SCOPE_ALL;
	writing = attr.fs &
		  (reading | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE |
		      FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE);
	ruleset = (int)syscall(CREATE_RULESET, &attr, ruleset_size(abi), 0);
	if (ruleset < 0)
		fatal(EXIT_TRY_LATER, "landlock: %s", strerror(errno));
	add_paths(ruleset, sandbox->read, reading);
	add_paths(ruleset, sandbox->write, writing);
	if (abi >= 4 && sandbox->allows & SANDBOX_CONNECT)
		add_ports(ruleset, sandbox->ports);
	if (syscall(RESTRICT_SELF, ruleset, 0) < 0)
		fatal(
		    EXIT_TRY_LATER, "landlock: restrict: %s", strerror(errno));
	close(ruleset);
	log_event(
	    "sandbox", "step", "landlock", "abi", log_text("%ld", abi), NULL);
}
