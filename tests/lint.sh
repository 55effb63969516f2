#!/bin/sh
# Style and static checks. Ends with 1 when anything is found.
set -u
cd "$(dirname "$0")/.." || exit 2
status=0

say() {
	echo "lint: $*"
}
fail() {
	say "$*"
	status=1
}

files=$(git ls-files '*.c' '*.h')

say "clang-format"
# shellcheck disable=SC2086
clang-format --dry-run --Werror $files || fail "format differs: clang-format -i FILE"

say "include direction"
# common knows nobody; queue knows common; the other rooms know common and
# queue/spool.h at most, and never one another.
check_room() { # room, allowed pattern
	grep -nE '^#include "[a-z]+/' "$1"/*.[ch] 2>/dev/null |
		grep -vE "#include \"($2)" && fail "$1 includes what it may not"
}
check_room common 'common/'
check_room queue 'common/|queue/'
for room in inject runner remote dnscheck; do
	check_room $room "common/|$room/|queue/spool\\.h"
done

say "forbidden calls"
git grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|system|popen|strtok|alloca)\(' -- '*.c' '*.h' ':!tests' &&
	fail "use spans, buffers or snprintf"

say "man pages"
for page in man/*; do
	mandoc -Tlint -W warning "$page" || fail "$page"
done

say "cppcheck"
# Headers whose macros look like statements must be known to it.
macros=$(printf '#include <jansson.h>\n#include <sys/queue.h>\n' |
	cc -E - | sed -n 's/^# 1 "\(.*\(jansson\|sys\/queue\)\.h\)".*/--include=\1/p' |
	sort -u)
# shellcheck disable=SC2046,SC2086
cppcheck --quiet --std=c11 --language=c --enable=warning,portability \
	--inline-suppr $macros --error-exitcode=1 -D_GNU_SOURCE -I. -j2 \
	--suppress=missingIncludeSystem --suppress=varFuncNullUB --suppress=preprocessorErrorDirective \
	$(git ls-files 'common/*.c' 'queue/*.c' 'inject/*.c' 'runner/*.c' \
		'remote/*.c' 'dnscheck/*.c') || fail "cppcheck"

say "clang-tidy"
git ls-files '*.c' ':!tests' | xargs -P "$(nproc)" -n 4 sh -c '
	clang-tidy --quiet "$@" -- -std=c17 -D_GNU_SOURCE -I. 2>/dev/null
' sh || fail "clang-tidy"

[ $status -eq 0 ] && say "clean"
exit $status
