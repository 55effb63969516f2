/* The title of this process: the kernel shows what stands where argv was. */
#include "remote/title.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *title;
static size_t room;

static void free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

/* A copy of a list of texts; *end moves behind those that lie in one piece. */
static char **copy_list(char **list, char **end)
{
	size_t n = 0;
	char **copy;

	while (list[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++) {
		if (list[i] == *end)
			*end += strlen(list[i]) + 1;
		copy[i] = strdup(list[i]);
		if (!copy[i]) {
			free_list(copy);
			return NULL;
		}
	}
	return copy;
}

char **title_init(int argc, char **argv)
{
	char *start = argv[0], *end = argv[0];
	char **args, **env;

	if (argc < 1)
		return argv;
	args = copy_list(argv, &end);
	env = args ? copy_list(environ, &end) : NULL;
	if (!env) {
		free_list(args);
		return argv;
	}
	environ = env;
	title = start;
	room = (size_t)(end - start);
	return args;
}

void title_set(const char *format, ...)
{
	char text[256];
	va_list args;
	size_t n;

	if (room < 2)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	memset(title, 0, room);
	snprintf(title, room, "outpost-remote: %s", text);
	n = strlen(title);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)title[i] < 0x20 || title[i] == 0x7f)
			title[i] = '?';
}
