/* The usual places of the system's CA bundle. */
#include "common/ca_file.h"

#include <unistd.h>

static const char *const usual_files[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Alpine */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem", /* SUSE */
	"/etc/ssl/cert.pem",	  /* BSD */
};

const char *ca_file_choose(const char *path)
{
	if (path)
		return path;
	for (size_t i = 0; i < sizeof(usual_files) / sizeof(*usual_files); i++)
		if (access(usual_files[i], R_OK) == 0)
			return usual_files[i];
	return usual_files[0];
}
