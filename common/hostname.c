/* What this machine calls itself. */
#include "common/hostname.h"

#include "common/address.h"

#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

bool hostname_is_full(struct span name)
{
	struct span rest = name, first = span_cut(&rest, '.');

	if (name.n > 2 && name.p[0] == '[')
		return true;
	return domain_is_valid(name, 2) &&
	       !span_is_equal_nocase(first, span_of("localhost"));
}

void hostname_bare(char name[256])
{
	if (gethostname(name, 256) < 0 || name[0] == '\0')
		snprintf(name, 256, "localhost");
	name[255] = '\0';
	name[strcspn(name, ".")] = '\0';
}

/* Keep text as the name, if it is one. */
static bool keep(struct hostname *h, const char *text)
{
	struct buf name;
	bool is_name;

	buf_init(&name, sizeof(h->name) - 1);
	is_name =
	    domain_to_ascii(span_of(text), &name, NULL) == 0 && !name.overflow;
	if (is_name)
		snprintf(
		    h->name, sizeof(h->name), "%.*s", (int)name.len, name.data);
	buf_clear(&name);
	return is_name;
}

static void ask_resolver(struct hostname *h)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	char bare[sizeof(h->name)];
	int status;

	snprintf(bare, sizeof(bare), "%s", h->name);
	status = getaddrinfo(bare, NULL, &hints, &found);
	if (status != 0) {
		snprintf(h->how, sizeof(h->how),
		    "the host name is %s; the resolver: %s", bare,
		    gai_strerror(status));
		return;
	}
	if (found->ai_canonname &&
	    hostname_is_full(span_of(found->ai_canonname)) &&
	    keep(h, found->ai_canonname)) {
		h->is_full = true;
		snprintf(h->how, sizeof(h->how),
		    "the host name is %s; the resolver completes it to %.250s",
		    bare, h->name);
	} else {
		snprintf(h->how, sizeof(h->how),
		    "the host name is %s; the resolver knows no full name",
		    bare);
	}
	freeaddrinfo(found);
}

void hostname_find(struct hostname *h)
{
	char text[256] = "";

	*h = (struct hostname){ .name = "localhost" };
	if (gethostname(text, sizeof(text)) < 0)
		text[0] = '\0';
	text[sizeof(text) - 1] = '\0';
	if (!keep(h, text)) {
		snprintf(h->how, sizeof(h->how),
		    "the host name \"%.200s\" is no name", text);
		return;
	}
	h->is_full = hostname_is_full(span_of(h->name));
	if (h->is_full)
		snprintf(
		    h->how, sizeof(h->how), "the host name is %s", h->name);
	else
		ask_resolver(h);
}
