/* The plain test of a fuzz target: every file of the corpus once.
 *
 *     build/replay/fuzz_NAME [FOLDER...]      (tests/fuzz/corpus/NAME)
 *
 * Exit: 0 all went through, 1 nothing to replay; a crash is a crash. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 << 20 };

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data, *exact;
	size_t n;

	if (!file || !(data = malloc(INPUT_MAX))) {
		perror(path);
		exit(1);
	}
	n = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	/* no room behind the end, so that a checker sees reads beyond it */
	exact = realloc(data, n ? n : 1);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 1;
}

static int replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int count = 0;

	if (!dir) {
		perror(folder);
		return 0;
	}
	while ((entry = readdir(dir))) {
		char path[4096];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			count += replay_file(path);
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	char folder[4096];
	int count = 0;

	for (int i = 1; i < argc; i++)
		count += replay_folder(argv[i]);
	if (argc < 2) {
		snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%s",
		    strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name);
		count = replay_folder(folder);
	}
	printf("%s: %d inputs\n", name, count);
	return count > 0 ? 0 : 1;
}
