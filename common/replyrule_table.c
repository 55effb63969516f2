/* The built-in reply rules. A reply that fits none is taken as it is: 4xx is
 * tried again by the retry settings, 5xx is final.
 *
 * Each pattern begins with ^ and the class of the code, so that most of them
 * are done after one byte. Where a provider numbers its replies, the number is
 * looked for; where it does not, words that it has used for years. Patterns
 * never match on words alone that a recipient's address could bring in.
 */
#include "common/replyrule.h"

#define IPV4 "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}"
#define IPV6 "[0-9a-f]{0,4}:[0-9a-f:]*:[0-9a-f]{1,4}"
#define IP "(" IPV4 "|" IPV6 ")"
/* A refusal, but not of an address (5.1.1): that one may stand in the text. */
#define NOT_ADDRESS \
	"^[45][0-9][0-9]( [45]\\.[02-9][0-9]*\\.[0-9]+.*| [^45].*| ?)"
/* Who says that an address of ours is listed. */
#define LISTS                                                                \
	"(spamhaus|spamcop|barracuda|abuseat|\\Wsorbs|uceprotect|mailspike|" \
	"invaluement|\\Wpsbl|surriel|cloudmark|proofpoint|senderscore|"      \
	"trendmicro|dnsbl|\\W(dns)?rbl|dnswl|(block|black|deny) "            \
	"?list|reputation|"                                                  \
	"blocked (using|by)|is_blocked|banned sending)"

enum { MINUTE = 60, HOUR = 3600 };

const struct reply_builtin reply_builtins[] = {
	{ "gmail-rate-us", "^4(21|50|51|52)[- ]4\\.7\\.28( |$)", REPLY_SUSPEND,
	    30 * MINUTE,
	    "Google limits our address or network for a while; more attempts "
	    "make it longer" },
	{ "gmail-rate-recipient",
	    "^45[0-2] 4\\.2\\.1 .*receiving mail (too quickly|at a rate)",
	    REPLY_RETRY, HOUR,
	    "this one recipient gets more mail than Google lets through" },
	{ "outlook-busy", "^4(21|50|51) 4\\.7\\.(5|6)[0-9][0-9]( |$)",
	    REPLY_SUSPEND, 15 * MINUTE,
	    "Microsoft throttles our address; it asks to come back later" },
	{ "outlook-rate", "^421 .*(RP-00[1-3]|exceeded the rate limit)",
	    REPLY_SUSPEND, 30 * MINUTE,
	    "Outlook.com limits our address by its reputation" },
	{ "outlook-blocked", "^5[0-9][0-9] .*\\(S31(40|50)\\)", REPLY_SUSPEND,
	    4 * HOUR,
	    "Outlook.com has blocked our address or network: ask for its "
	    "removal at https://olcsupport.office.com" },
	{ "yahoo-deferred", "^4(21|51) .*\\[TSS?0[1-9]\\]", REPLY_SUSPEND, HOUR,
	    "Yahoo defers our address after complaints or too much mail; more "
	    "attempts make it longer" },
	{ "yahoo-blocked", "^55[0-9] .*\\[(BL2[1-3]|TS0[1-9])\\]",
	    REPLY_SUSPEND, 4 * HOUR,
	    "Yahoo has blocked our address: see "
	    "https://senders.yahooinc.com" },
	{ "no-reverse-name",
	    "^[45][0-9][0-9] ([45]\\.7\\.25 |.*(reverse (dns|hostname)|"
	    "ptr record|cannot find your (reverse )?hostname))",
	    REPLY_SUSPEND, HOUR,
	    "our address has no reverse name or one that does not lead back: "
	    "its owner has to set it",
	    .is_ours = true },
	{ "ipv6-policy",
	    NOT_ADDRESS "ipv6.*(guideline|policy|reject|refus|block|"
			"denied|not (allowed|accepted))",
	    REPLY_SUSPEND, HOUR,
	    "the server asks more of IPv6 addresses than of others: a reverse "
	    "name, SPF or DKIM",
	    .is_ours = true },
	{ "blocklist", NOT_ADDRESS "(" LISTS ".*" IP "|" IP ".*" LISTS ")",
	    REPLY_SUSPEND, HOUR,
	    "our address is on a block list: another host of theirs asks the "
	    "same list, and the message is not at fault",
	    .is_ours = true },
	{ "mailbox-full-for-good",
	    "^552 (5\\.2\\.2 |.*(mailbox|quota|storage|over ?limit))",
	    REPLY_BOUNCE, 0,
	    "the mailbox is full and the server says that it is final; a bare "
	    "552 would mean too many recipients" },
	{ "mailbox-full",
	    "^4[0-9][0-9] (4\\.2\\.2 |.*((mailbox|account|user).*(full|quota)|"
	    "over ?quota|quota exceeded))",
	    REPLY_RETRY, 2 * HOUR,
	    "a mailbox is rarely emptied within minutes" },
	{ "greylist", "^4[0-9][0-9] .*gr[ae]y-? ?list", REPLY_RETRY, 5 * MINUTE,
	    "greylisting takes the second attempt some minutes later, from "
	    "the same address",
	    .is_most = true },
	{ "greylist-first-time",
	    "^45[0-1] .*(first time|unknown) .*(sender|sending|triplet)"
	    ".*(later|again|retry)",
	    REPLY_RETRY, 5 * MINUTE, "greylisting in other words",
	    .is_most = true },
	{ "rate",
	    "^4[0-9][0-9] .*(rate[- ]?limit|throttl|slow(ing)? down|"
	    "too many (messages|mails|e-?mails)|(message|sending|send) (rate|"
	    "limit|quota)|too (fast|quickly|much mail))",
	    REPLY_RETRY, 15 * MINUTE,
	    "the server limits how much it takes from us" },
	{ NULL },
};
