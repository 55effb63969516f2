/* A message as MIME sees it (RFC 2045, 2046): its headers, the lines of its
 * parts, the delimiters between them, told one after the other while the bytes
 * are pushed in, in pieces of any size. Nothing is kept but the present line.
 */
#ifndef REMOTE_MIME_H
#define REMOTE_MIME_H

#include "common/buf.h"

enum {
	MIME_DEPTH_MAX = 30,
	MIME_BOUNDARY_MAX = 128, /* RFC 2046 allows 70 */
	MIME_FIELD_MAX = 131072, /* bytes of one header field */
	MIME_ENTITIES_MAX = 4096,
};

enum mime_kind { MIME_LEAF = 0, MIME_MULTIPART, MIME_MESSAGE };
enum mime_encoding {
	MIME_7BIT = 0, /* or not given */
	MIME_8BIT,
	MIME_BINARY,
	MIME_QUOTED,
	MIME_BASE64,
	MIME_OTHER,
};

/* A message or a part of one. */
struct mime_entity {
	unsigned number;  /* in order of their headers, from 0 */
	uint8_t kind;	  /* enum mime_kind */
	uint8_t encoding; /* enum mime_encoding */
	bool is_message;  /* the whole message, or one inside another */
	bool is_signed;	  /* (in) a multipart/signed */
	bool has_version, has_type;
	bool is_digest; /* its parts are messages unless they say */
	bool is_closed; /* behind its last delimiter */
	char boundary[MIME_BOUNDARY_MAX];
	size_t nboundary;
};

struct mime_events {
	/* One header field with its folds and line end. */
	void (*field)(
	    void *arg, const struct mime_entity *e, struct span field);
	/* has_blank: an empty line ended the header. */
	void (*header_end)(
	    void *arg, const struct mime_entity *e, bool has_blank);
	/* A line of the body, or of what stands around the parts, without its
	 * CRLF; long ones come in several fragments. */
	void (*body)(void *arg, const struct mime_entity *e,
	    struct span fragment, bool ends_line);
	/* A line between parts, with its CRLF. */
	void (*delimiter)(void *arg, struct span line);
};

struct mime {
	const struct mime_events *events;
	void *arg;
	struct mime_entity stack[MIME_DEPTH_MAX];
	unsigned depth; /* of the stack; the last is the present one */
	unsigned count; /* entities so far */
	bool is_header, is_mid_line, has_cr;
	struct buf line;
	struct buf field;
	const char *problem; /* why it cannot be followed any more; or NULL */
};

void mime_init(struct mime *m, const struct mime_events *events, void *arg);
void mime_clear(struct mime *m);
void mime_put(struct mime *m, struct span piece);
void mime_end(struct mime *m);

/* The name of a field, and what stands behind the colon; empty: none. */
struct span mime_field_name(struct span field);
struct span mime_field_value(struct span field);

#endif
