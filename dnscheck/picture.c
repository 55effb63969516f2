/* The way of one place as an inline SVG picture. */
#include "dnscheck/picture.h"

#include "common/utf8.h"
#include "dnscheck/escape.h"

#include <stdio.h>

enum {
	BOX_WIDTH = 168,
	BOX_HEIGHT = 48,
	BOX_Y = 14,
	BOXES = 5,
	GAP = 32,
	TEXT_MAX = 22, /* bytes that fit in a box */
};

struct box {
	const char *title, *text;
	uint8_t status; /* enum finding_status, of the arrow that leads here */
	const char *sign; /* above that arrow */
};

static const char *const strokes[] = { "#1a7f37", "#8c959f", "#bf8700",
	"#cf222e" };

/* The worst that was found of a family for that place; SKIP when nothing. */
static uint8_t worst(
    const struct run *run, const struct place *place, const char *family)
{
	uint8_t status = FINDING_OK;
	bool is_known = false;

	for (size_t i = 0; i < run->findings.count; i++) {
		const struct finding *f = &run->findings.items[i];

		if (strcmp(f->line, place->line) != 0 ||
		    strcmp(f->address, place_address(place)) != 0 ||
		    strncmp(f->code, family, strlen(family)) != 0)
			continue;
		is_known = true;
		if (f->status > status)
			status = f->status;
	}
	return is_known ? status : FINDING_SKIP;
}

static const char *pointer_of(const struct run *run, const struct place *place)
{
	const struct ask_record *r;
	union net_address a;

	if (net_parse(span_of(place->external), 0, &a) < 0)
		return "?";
	r = ask_first(ask_reverse(run->ask, net_bytes(&a)), ASK_PTR);
	return r ? r->name.p : "none";
}

static void put_cut(struct buf *out, const char *text)
{
	size_t n = strlen(text), kept;
	char part[TEXT_MAX + 1];

	kept = n <= TEXT_MAX ? n : utf8_cut(span_of(text), TEXT_MAX - 2);
	memcpy(part, text, kept);
	part[kept] = '\0';
	escape_html(out, part);
	buf_puts(out, kept < n ? "\xe2\x80\xa6" : "");
}

static void put_box(const struct box *box, int x, struct buf *out)
{
	buf_printf(out, "<g><title>%s: ", box->title);
	escape_html(out, box->text);
	buf_printf(out,
	    "</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
	    "rx=\"5\""
	    " fill=\"#fff\" stroke=\"%s\" stroke-width=\"1.5\"%s/>"
	    "<text x=\"%d\" y=\"%d\" font-size=\"11\" fill=\"#57606a\">%s"
	    "</text><text x=\"%d\" y=\"%d\" font-size=\"12.5\">",
	    x, BOX_Y, BOX_WIDTH, BOX_HEIGHT, strokes[box->status],
	    box->status >= FINDING_WARN ? " stroke-dasharray=\"5 3\"" : "",
	    x + 8, BOX_Y + 17, box->title, x + 8, BOX_Y + 36);
	put_cut(out, box->text);
	buf_puts(out, "</text></g>\n");
}

/* An arrow to the right, from x on, in the gap before a box. */
static void put_arrow(const struct box *box, int x, struct buf *out)
{
	int y = BOX_Y + BOX_HEIGHT / 2;

	buf_printf(out,
	    "<path d=\"M%d %dh%d\" stroke=\"%s\" stroke-width=\"2\"/>"
	    "<path d=\"M%d %dl-7 -4v8z\" fill=\"%s\"/>"
	    "<text x=\"%d\" y=\"%d\" font-size=\"15\" font-weight=\"700\" "
	    "text-anchor=\"middle\" fill=\"%s\">%s</text>\n",
	    x, y, GAP - 6, strokes[box->status], x + GAP - 1, y,
	    strokes[box->status], x + GAP / 2, y - 8, strokes[box->status],
	    box->sign);
}

/* From the name back to the address, below the boxes. */
static void put_way_back(int from, int to, uint8_t status, struct buf *out)
{
	int y = BOX_Y + BOX_HEIGHT, low = y + 24;

	buf_printf(out,
	    "<path d=\"M%d %dv%dH%dV%d\" fill=\"none\" stroke=\"%s\" "
	    "stroke-width=\"2\"%s/><path d=\"M%d %dl-4 7h8z\" fill=\"%s\"/>"
	    "<text x=\"%d\" y=\"%d\" font-size=\"11\" text-anchor=\"middle\" "
	    "fill=\"%s\">%s</text>\n",
	    from, y, low - y, to, y + 6, strokes[status],
	    status >= FINDING_WARN ? " stroke-dasharray=\"5 3\"" : "", to,
	    y + 1, strokes[status], (from + to) / 2, low - 5, strokes[status],
	    status == FINDING_OK     ? "the name leads to the address"
	    : status == FINDING_SKIP ? "not known"
	    : status == FINDING_WARN ? "not as it should be"
				     : "does not lead to the address");
}

static const char *sign_of(uint8_t status)
{
	static const char *const signs[] = { "\xe2\x9c\x93", "?", "!",
		"\xe2\x9c\x97" };

	return signs[status];
}

static size_t draw_boxes(
    const struct run *run, const struct place *p, struct box boxes[BOXES])
{
	uint8_t address = worst(run, p, "address-"),
		reverse = worst(run, p, "reverse-");
	const char *pointer = pointer_of(run, p);
	bool is_same = strcasecmp(pointer, p->localname) == 0;
	bool has_nat = strcmp(p->local, p->external) != 0;
	size_t n = 0;

	boxes[n++] = (struct box){ "node", p->local[0] ? p->local : p->bind,
		address, "" };
	if (has_nat)
		boxes[n++] =
		    (struct box){ "network", p->external[0] ? "NAT" : "unknown",
			    address, sign_of(address) };
	boxes[n++] = (struct box){ "address outside",
		p->external[0] ? p->external : "not known", address,
		sign_of(address) };
	boxes[n++] =
	    (struct box){ "reverse (PTR)", pointer, reverse, sign_of(reverse) };
	boxes[n++] = (struct box){ "local name", p->localname,
		is_same ? worst(run, p, "name-")
			: (uint8_t)(reverse > FINDING_SKIP ? reverse
							   : FINDING_SKIP),
		is_same ? "=" : "\xe2\x89\xa0" };
	return n;
}

void picture_put(
    const struct run *run, const struct place *place, struct buf *out)
{
	const int step = BOX_WIDTH + GAP;
	struct box boxes[BOXES];
	size_t n = draw_boxes(run, place, boxes);
	int last = 1 + (int)(n - 1) * step;

	buf_printf(out,
	    "<svg viewBox=\"0 0 %d %d\" style=\"max-width:%dpx\" role=\"img\" "
	    "font-family=\"system-ui,sans-serif\">\n",
	    last + BOX_WIDTH + 1, BOX_Y + BOX_HEIGHT + 30,
	    last + BOX_WIDTH + 1);
	for (size_t i = 0; i < n; i++) {
		int x = 1 + (int)i * step;

		if (i > 0)
			put_arrow(&boxes[i], x - GAP, out);
		put_box(&boxes[i], x, out);
	}
	put_way_back(last + BOX_WIDTH / 2, last - 2 * step + BOX_WIDTH / 2,
	    worst(run, place, "name-"), out);
	buf_puts(out, "</svg>\n");
}
