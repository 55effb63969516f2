/* Where the bundle of CA certificates is. */
#ifndef COMMON_CA_FILE_H
#define COMMON_CA_FILE_H

/* path, or for NULL the first of the usual places that can be read; a static
 * text. */
const char *ca_file_choose(const char *path);

#endif
