/* Header completion (RFC 5322 section 3.6, RFC 6409 section 8). */
#ifndef INJECT_COMPLETE_H
#define INJECT_COMPLETE_H

#include "common/conf.h"
#include "inject/header.h"

/* What is known about the one who sends. */
struct author {
	struct span address;	/* for a missing From */
	struct span given_name; /* -F or NAME; empty: none */
	struct span gecos_name; /* last resort; empty: none */
};

/* Append to *out the header as it is sent, without the empty line:
 * - Bcc, Resent-Bcc and Return-Path are left out;
 * - From, Date and Message-ID are added where missing, and Resent-From,
 *   Resent-Date and Resent-Message-ID when the message is resent;
 * - on mail without a DKIM signature: names without a domain in address
 *   fields get one, and defaults { reply-to, sender-name } are put where
 *   absent (with sender-domain set: only on mail from that domain).
 * domain: for local names. date: as in RFC 5322. unique: the left side of
 * Message-ID.
 * 0, or -1 with *why (no memory). */
int complete_header(const struct header *h, const struct conf *conf,
    struct span domain, const struct author *author, const char *date,
    const char *unique, struct buf *out, struct outcome *why);

/* Index behind the last field that may belong to the latest resending: the
 * fields above the first trace field that follows a Resent- field. 0: the
 * message is not resent. */
size_t header_resent_end(const struct header *h);

#endif
