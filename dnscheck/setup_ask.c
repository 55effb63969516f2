/* The questions of setup, on a bare terminal. */
#include "dnscheck/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static const struct {
	const char *option, *prompt, *help;
	bool is_relay;
} questions[ASK_COUNT] = {
	[ASK_LOCALNAME] = { "localname", "Local name",
	    "How this machine calls itself to other servers: the name that its "
	    "outside address leads to.",
	    false },
	[ASK_MODE] = { "mode", "Send \"direct\" or through a \"relay\"", NULL,
	    false },
	[ASK_SERVER] = { "relay-server", "Relay server",
	    "The mail server of the provider or the company.", true },
	[ASK_PORT] = { "relay-port", "Port",
	    "587 (submission), 465 (TLS from the first octet) or 25.", true },
	[ASK_TLS_LEVEL] = { "relay-tls", "TLS (none, may, require, verify)",
	    NULL, true },
	[ASK_USER] = { "relay-user", "User name (\"-\": no login)", NULL,
	    true },
	[ASK_PASSWORD_FILE] = { "relay-password-file", "Password", NULL, true },
	[ASK_POSTMASTER] = { "postmaster", "Postmaster",
	    "Who gets warnings, and bounces that cannot be returned.", false },
	[ASK_TIMEZONE] = { "timezone", "Time zone (\"-\": the system's)", NULL,
	    false },
	[ASK_REPLY_TO] = { "reply-to", "Default Reply-To (\"-\": none)", NULL,
	    false },
	[ASK_SENDER_NAME] = { "sender-name",
	    "Default sender name (\"-\": none)", NULL, false },
};

const char *setup_option_name(enum setup_question question)
{
	return questions[question].option;
}

bool setup_is_relay(const struct setup *s)
{
	if (s->answers[ASK_MODE][0])
		return strcmp(s->answers[ASK_MODE], "relay") == 0;
	return s->conf->mode == MODE_RELAY;
}

bool setup_read(const char *prompt, char *to, size_t size, bool is_secret)
{
	struct termios was, quiet;
	bool is_terminal = is_secret && tcgetattr(STDIN_FILENO, &was) == 0;
	char *got;

	/* before the question: who answers at once is not shown either */
	if (is_terminal) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
	}
	printf("%s", prompt);
	fflush(stdout);
	got = fgets(to, (int)size, stdin);
	if (is_terminal) {
		tcsetattr(STDIN_FILENO, TCSANOW, &was);
		putchar('\n');
	}
	if (!got)
		return false;
	to[strcspn(to, "\r\n")] = '\0';
	return true;
}

bool setup_confirm(const struct setup *s, const char *what, bool otherwise)
{
	char prompt[300], line[20] = "";

	if (s->is_unattended)
		return otherwise;
	snprintf(prompt, sizeof(prompt), "%s [%s] ", what,
	    otherwise ? "Y/n" : "y/N");
	if (!setup_read(prompt, line, sizeof(line), false))
		return false;
	return line[0] ? line[0] == 'y' || line[0] == 'Y' : otherwise;
}

/* --- what is proposed ----------------------------------------------------- */

static const struct conf_relay *relay_now(const struct setup *s)
{
	return conf_relay(s->conf, "default");
}

static const char *level_name(int level)
{
	static const char *const names[] = { "none", "may", "require",
		"verify" };

	return level >= 0 && level < 4 ? names[level] : "verify";
}

/* What stands in the file, else what the checks say. */
static void propose(
    const struct setup *s, enum setup_question q, char *to, size_t size)
{
	const struct conf_relay *relay = relay_now(s);
	const struct conf_server *server =
	    relay && relay->nservers > 0 ? &relay->servers[0] : NULL;
	const char *text = "";
	unsigned port = server ? server->port : 587;

	switch (q) {
	case ASK_LOCALNAME:
		text = s->conf->localname_is_found && s->proposed_name[0]
			   ? s->proposed_name
			   : s->conf->localname;
		break;
	case ASK_MODE:
		text = s->conf->mode == MODE_RELAY || s->proposes_relay
			   ? "relay"
			   : "direct";
		break;
	case ASK_SERVER:
		text = server ? server->host : "";
		break;
	case ASK_PORT:
		snprintf(to, size, "%u", port);
		return;
	case ASK_TLS_LEVEL:
		text = level_name(relay ? relay->tls : -1);
		break;
	case ASK_USER:
		text = relay && relay->user ? relay->user : "";
		break;
	case ASK_PASSWORD_FILE:
		text =
		    relay && relay->password_file ? relay->password_file : "";
		break;
	case ASK_POSTMASTER:
		text = s->conf->postmaster;
		break;
	case ASK_TIMEZONE:
		text = s->conf->timezone;
		break;
	case ASK_REPLY_TO:
		text = s->conf->defaults.reply_to;
		break;
	case ASK_SENDER_NAME:
		text = s->conf->defaults.sender_name;
		break;
	default:
		break;
	}
	snprintf(to, size, "%s", text ? text : "");
}

/* --- asking --------------------------------------------------------------- */

static int ask_password(struct setup *s, const char *now)
{
	char prompt[700];

	snprintf(prompt, sizeof(prompt),
	    "Password%s%s%s: ", now[0] ? " [as in " : "", now,
	    now[0] ? "]" : "");
	return setup_read(prompt, s->password, sizeof(s->password), true) ? 0
									  : -1;
}

static int ask_one(struct setup *s, enum setup_question q)
{
	char now[ANSWER_MAX], prompt[1200];
	char *to = s->answers[q];

	propose(s, q, now, sizeof(now));
	if (s->is_given[q])
		return 0;
	if (s->is_unattended) {
		/* what is new stands in the file; what is there stays */
		if (s->is_new && q != ASK_TIMEZONE)
			snprintf(to, ANSWER_MAX, "%s", now);
		return 0;
	}
	if (q == ASK_PASSWORD_FILE)
		return ask_password(s, now);
	if (questions[q].help)
		printf("\n%s\n", questions[q].help);
	if (q == ASK_MODE && s->why_mode[0])
		printf("\n%s\n", log_escape(span_of(s->why_mode)));
	snprintf(prompt, sizeof(prompt), "%s%s%s%s: ", questions[q].prompt,
	    now[0] ? " [" : "", log_escape(span_of(now)), now[0] ? "]" : "");
	if (!setup_read(prompt, to, ANSWER_MAX, false))
		return -1;
	if (!to[0] && s->is_new && q != ASK_TIMEZONE)
		snprintf(to, ANSWER_MAX, "%s", now);
	/* what was found was agreed to */
	if (!to[0] && ((q == ASK_LOCALNAME && s->conf->localname_is_found) ||
			  (q == ASK_MODE && s->proposes_relay)))
		snprintf(to, ANSWER_MAX, "%s", now);
	return 0;
}

static bool has_login(const struct setup *s)
{
	const struct conf_relay *relay = relay_now(s);

	if (s->answers[ASK_USER][0])
		return strcmp(s->answers[ASK_USER], "-") != 0;
	return relay && relay->user;
}

int setup_ask(struct setup *s)
{
	for (int q = 0; q < ASK_COUNT; q++) {
		if (questions[q].is_relay && !setup_is_relay(s))
			continue;
		if (q == ASK_PASSWORD_FILE && !has_login(s))
			continue;
		if (ask_one(s, (enum setup_question)q) < 0)
			return -1;
	}
	return 0;
}
