/* "sendmail -bs": SMTP on standard input and output. */
#ifndef INJECT_BS_H
#define INJECT_BS_H

#include "common/conf.h"

/* One session until QUIT or the end of the input, blocking; messages go to the
 * keeper's submission socket as the calling user. A program or a person whose
 * first line ends with a bare LF may end all lines so. Nothing is added to the
 * messages but the trace header. Returns a status of sysexits(3). */
int bs_run(const struct conf *conf);

#endif
