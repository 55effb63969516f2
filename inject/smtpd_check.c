/* outpost-smtpd --check: can these two files be a listener's certificate and
 * key? Whoever starts it opens them; they are read here, without rights. */
#include "inject/smtpd.h"
#include "inject/tls_server.h"

#include "common/sandbox.h"

#include <stdio.h>
#include <unistd.h>

enum { CERTIFICATE_FD = 3, KEY_FD = 4 };

int smtpd_check(void)
{
	const struct sandbox sandbox = { .program = smtpd_program.name };
	struct tls_server *server;
	struct outcome why;

	tls_library_open();
	sandbox_drop_user(smtpd_program.user);
	sandbox_enter(&sandbox);
	server = tls_server_new(CERTIFICATE_FD, KEY_FD, &why);
	if (!server)
		dprintf(STDOUT_FILENO, "%s\n", why.detail);
	tls_server_free(server);
	return server ? 0 : 1;
}
