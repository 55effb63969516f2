/* Finding LMDB's map among this process's. */
#include "queue/index_map.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* "7f20-7f40 r--s 00000000 fe:00 123   /path/data.mdb" */
static void *line_find(const char *line, const struct stat *st)
{
	unsigned long long from, to, offset, inode;
	unsigned dev_major, dev_minor;
	char rights[5];

	/* The kernel wrote the line: its numbers fit. */
	/* NOLINTNEXTLINE(cert-err34-c) */
	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu", &from, &to, rights,
		&offset, &dev_major, &dev_minor, &inode) != 7)
		return NULL;
	if (inode != st->st_ino || dev_major != major(st->st_dev) ||
	    dev_minor != minor(st->st_dev) || offset != 0 || rights[3] != 's')
		return NULL;
	return (void *)(size_t)from;
}

void *index_map_find(MDB_env *env)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	void *found = NULL;
	char line[512];
	struct stat st;
	int fd;

	if (!maps)
		return NULL;
	if (mdb_env_get_fd(env, &fd) == 0 && fstat(fd, &st) == 0)
		while (!found && fgets(line, sizeof(line), maps))
			found = line_find(line, &st);
	fclose(maps);
	return found;
}
