/* What the parts of the SPF evaluator share; only spf*.c include it.
 *
 * spf.c walks records; spf_match.c tries mechanisms; spf_term.c is the grammar
 * of a record; spf_macro.c expands macros.
 */
#ifndef DNSCHECK_SPF_PARTS_H
#define DNSCHECK_SPF_PARTS_H

#include "dnscheck/spf.h"

static inline bool spf_is_any(char c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

enum spf_kind {
	SPF_ALL = 0,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS,
	SPF_REDIRECT, /* from here on: modifiers */
	SPF_EXP,
	SPF_OTHER,
};

struct spf_term {
	enum spf_kind kind;
	char qualifier;	    /* '+' when there was none */
	struct span text;   /* all of it */
	struct span domain; /* domain-spec or macro-string; may be empty */
	unsigned char network[16];
	unsigned bits4, bits6; /* 32 and 128 unless given */
};

/* Cut the next term off *rest, which begins behind "v=spf1". 1: there was one;
 * 0: the end; -1: it is wrong, *why says how. */
int spf_term_next(struct span *rest, struct spf_term *term, const char **why);

/* The whole record (RFC 7208 section 4.6: errors anywhere count). redirect and
 * exp: those terms, or of kind SPF_OTHER. 0, or -1 with *why and *bad, the term
 * that is wrong. */
int spf_record_check(struct span record, struct spf_term *redirect,
    struct spf_term *exp, struct span *bad, const char **why);

/* One evaluation. */
struct spf {
	const struct spf_query *query;
	struct spf_report *report;
	unsigned char ip[16];
	size_t nip;		   /* 4 or 16 */
	struct span local, origin; /* of the sender; origin in A-labels */
	struct buf names;	   /* where origin stands */
	char validated[256];	   /* %{p}; "" until it was asked for */
	bool had_void;		   /* the term at hand asked in vain */
};

/* Macro-string to text, up to limit. is_explanation: c, r, t are known. -1:
 * syntax error, or too long. */
int spf_expand(struct spf *spf, struct span text, struct span domain,
    bool is_explanation, struct buf *out);
/* Syntax alone. */
bool spf_macros_are_valid(struct span text, bool is_explanation);
/* A domain-spec as the name to be asked for (section 7.3), raw bytes. term
 * without one: domain itself. -1: nothing that the DNS can be asked for. */
enum { SPF_NAME_MAX = 253 };
int spf_target(struct spf *spf, const struct spf_term *term, struct span domain,
    char name[SPF_NAME_MAX + 1]);
/* Labels of 1 to 63 bytes, 253 in all, one dot at the end at most. */
bool spf_name_is_askable(struct span name);

enum spf_match {
	MATCH_NO = 0,
	MATCH_YES,
	MATCH_TEMPERROR,
	MATCH_PERMERROR,
};
/* ip4, ip6, a, mx, ptr, exists, all. */
enum spf_match spf_match(
    struct spf *spf, const struct spf_term *term, struct span domain);
/* The name validated for %{p}: "unknown" when there is none. */
const char *spf_validated(struct spf *spf, struct span domain);

/* name: raw bytes, escaped here. Never NULL; late: status TIMEOUT. */
const struct ask_answer *spf_look(
    struct spf *spf, struct span name, uint16_t type);
/* The same for a name as the DNS client gave it. */
const struct ask_answer *spf_look_again(
    struct spf *spf, struct span name, uint16_t type);
/* Set report->why, unless it is set. */
void spf_why(struct spf *spf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
