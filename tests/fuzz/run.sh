#!/bin/sh
# Build every fuzz target with clang's libFuzzer and run each for a while.
#   tests/fuzz/run.sh [NAME...]      all, or only fuzz_NAME
#   FUZZ_SECONDS=20   time for each        FUZZ_OUT=build/fuzz   where to build
#   FUZZ_ROOMS="common"   only the targets of these rooms will link
# New inputs go to FUZZ_OUT/corpus/NAME, crashes to FUZZ_OUT/crash/. Ends with 1
# when a target crashed.
set -u
cd "$(dirname "$0")/../.." || exit 2
seconds=${FUZZ_SECONDS:-20}
out=${FUZZ_OUT:-build/fuzz}
cc=${FUZZ_CC:-clang}
sanitize=address,undefined
libs="-lconfuse -lseccomp -llmdb -lldns -lssl -lcrypto -ljansson -lidn2"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}

mkdir -p "$out/crash" || exit 2
archives=
for room in ${FUZZ_ROOMS:-dnscheck remote runner inject queue common}; do
	archives="$archives $out/build/$room.a"
done
# shellcheck disable=SC2086
nice make -s O="$out" CC="$cc" \
	CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,$sanitize" \
	HARDEN=-fPIE $archives || exit 2

[ $# -gt 0 ] || for source in tests/fuzz/fuzz_*.c; do
	name=${source##*/fuzz_}
	set -- "$@" "${name%.c}"
done

status=0
for name; do
	# shellcheck disable=SC2086
	$cc -std=c17 -D_GNU_SOURCE -O1 -g -I. -fsanitize=fuzzer,$sanitize \
		-o "$out/fuzz_$name" "tests/fuzz/fuzz_$name.c" $archives $libs ||
		exit 2
	mkdir -p "$out/corpus/$name"
	dict="tests/fuzz/corpus/$name.dict"
	[ -f "$dict" ] || dict=
	echo "fuzz: $name, $seconds s"
	if ! nice "$out/fuzz_$name" -max_total_time="$seconds" -timeout=10 \
		-rss_limit_mb=1024 -max_len=65536 -verbosity=0 \
		-print_final_stats=1 ${dict:+-dict="$dict"} \
		-artifact_prefix="$out/crash/$name-" \
		"$out/corpus/$name" "tests/fuzz/corpus/$name" \
		2>"$out/fuzz_$name.log"; then
		echo "fuzz: $name: failed; see $out/fuzz_$name.log and $out/crash"
		tail -n 40 "$out/fuzz_$name.log"
		status=1
	else
		grep -E "number_of_executed_units|new_units_added" \
			"$out/fuzz_$name.log" | sed "s/^/fuzz: $name: /"
	fi
done
exit $status
