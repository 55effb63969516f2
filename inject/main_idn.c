/* libidn2 for outpost-inject, loaded when a name needs it: hardly one does, and
 * loading it takes a tenth of the time that a message takes. These definitions
 * stand in for the library's, which the program is not linked with. */
#include <dlfcn.h>
#include <idn2.h>
#include <stddef.h>

static void *find(const char *name)
{
	static void *library;

	if (!library)
		library = dlopen("libidn2.so.0", RTLD_LAZY | RTLD_LOCAL);
	return library ? dlsym(library, name) : NULL;
}

int idn2_to_ascii_8z(const char *input, char **output, int flags)
{
	int (*real)(const char *, char **, int);

	*(void **)&real = find("idn2_to_ascii_8z");
	return real ? real(input, output, flags) : IDN2_MALLOC;
}

const char *idn2_strerror(int status)
{
	const char *(*real)(int);

	*(void **)&real = find("idn2_strerror");
	return real ? real(status) : "libidn2 cannot be loaded";
}

void idn2_free(void *memory)
{
	void (*real)(void *);

	*(void **)&real = find("idn2_free");
	if (real)
		real(memory);
}
