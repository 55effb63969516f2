/* outpost-smtpd: the SMTP listener. */
#include "inject/smtpd.h"

int main(int argc, char **argv)
{
	return child_main(argc, argv, &smtpd_program);
}
