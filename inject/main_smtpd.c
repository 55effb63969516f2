/* outpost-smtpd: the SMTP listener. */
#include "inject/smtpd.h"

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--check") == 0)
		return smtpd_check();
	return child_main(argc, argv, &smtpd_program);
}
