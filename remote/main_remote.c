/* outpost-remote: the spawner of lines. */
#include "remote/spawner.h"
#include "remote/title.h"

int main(int argc, char **argv)
{
	return spawner_main(argc, title_init(argc, argv));
}
