/* outpost-runner: the schedule. */
#include "runner/runner.h"

int main(int argc, char **argv)
{
	return runner_main(argc, argv);
}
