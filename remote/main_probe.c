/* outpost-probe [-a CA-FILE]: started by outpost-dnscheck, with a stream to it
 * on descriptor 3. */
#include "remote/probe.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *ca_file = NULL;
	int option;

	while ((option = getopt(argc, argv, "a:")) != -1) {
		if (option != 'a') {
			fputs("usage: outpost-probe [-a CA-FILE] "
			      "(by outpost-dnscheck)\n",
			    stderr);
			return 2;
		}
		ca_file = optarg;
	}
	return probe_serve(ca_file);
}
