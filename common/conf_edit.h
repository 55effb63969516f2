/* One setting of a configuration file changed, all else as it was: comments,
 * order and whatever the user tuned. */
#ifndef COMMON_CONF_EDIT_H
#define COMMON_CONF_EDIT_H

#include "common/buf.h"

/* text: of the file, changed in place. block: NULL for a setting outside of
 * blocks; title: of the block, NULL for one without. value: as it stands in a
 * file (conf_edit_quote). Where the setting is not there it is added to the
 * block, where the block is not there to the end. 0, or -1 with *why: the text
 * cannot be read that far (a literal). */
int conf_edit(struct buf *text, const char *block, const char *title,
    const char *option, const char *value, const char **why);

/* Append the text in double quotes, as the file has it. -1: it has line breaks
 * or NUL. */
int conf_edit_quote(struct buf *out, struct span text);

#endif
