# Outpost. One Makefile; the program lines below are the link map.
#
#   make            build into bin/
#   make check      all tests; make lint, bench, fuzz, demo, install, deps
#   O=DIR           build somewhere else (DIR/build, DIR/bin)

O        ?= .
B         = $(O)/build
BIN       = $(O)/bin
PREFIX   ?= /usr/local
DESTDIR  ?=

CC       ?= cc
CSTD      = -std=c17 -D_GNU_SOURCE
WARN      = -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes \
            -Wmissing-prototypes -Wno-missing-field-initializers
HARDEN    = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
CFLAGS   ?= -O2 -g
ALLFLAGS  = $(CSTD) $(CFLAGS) $(WARN) $(HARDEN) -I. -MMD -MP
LDFLAGS  += -pie -Wl,-z,relro,-z,now

ROOMS     = common queue inject runner remote dnscheck

# --- programs: archive(s) of rooms, then the libraries each one links --------
PROGRAMS  = outpost outpost-runner outpost-queued outpost-queue \
            outpost-inject outpost-smtpd outpost-resolve outpost-remote \
            outpost-fetch outpost-dnscheck outpost-probe \
            outpost-setup
MAIN_outpost         = runner/main_outpost.c
ROOM_outpost         = runner
LIBS_outpost         = -lconfuse -lseccomp -ljansson -lidn2
MAIN_outpost-runner  = runner/main_runner.c
ROOM_outpost-runner  = runner
LIBS_outpost-runner  = -lconfuse -lseccomp -ljansson -lz -lidn2
MAIN_outpost-queued  = queue/main_queued.c
ROOM_outpost-queued  = queue
LIBS_outpost-queued  = -lconfuse -lseccomp -llmdb -lidn2
MAIN_outpost-queue   = queue/main_queue.c
ROOM_outpost-queue   = queue
LIBS_outpost-queue   = -lconfuse -llmdb -ljansson -lidn2
MAIN_outpost-inject  = inject/main_inject.c inject/main_idn.c
ROOM_outpost-inject  = inject
LIBS_outpost-inject  = -Wl,-Bstatic -lconfuse -Wl,-Bdynamic
MAIN_outpost-smtpd   = inject/main_smtpd.c
ROOM_outpost-smtpd   = inject
LIBS_outpost-smtpd   = -lconfuse -lseccomp -lssl -lcrypto -lidn2
MAIN_outpost-resolve = remote/main_resolve.c
ROOM_outpost-resolve = remote
LIBS_outpost-resolve = -lconfuse -lseccomp -lldns -llmdb -lidn2
MAIN_outpost-remote  = remote/main_remote.c
ROOM_outpost-remote  = remote
LIBS_outpost-remote  = -lconfuse -lseccomp -lssl -lcrypto -lidn2
MAIN_outpost-fetch   = remote/main_fetch.c
ROOM_outpost-fetch   = remote
LIBS_outpost-fetch   = -lconfuse -lseccomp -lcurl -lssl -lcrypto -lidn2
MAIN_outpost-probe   = remote/main_probe.c
ROOM_outpost-probe   = remote
LIBS_outpost-probe   = -lconfuse -lseccomp -lssl -lcrypto -lidn2

MAIN_outpost-dnscheck = dnscheck/main_dnscheck.c
ROOM_outpost-dnscheck = dnscheck
LIBS_outpost-dnscheck = -lconfuse -lseccomp -lldns -lcrypto -ljansson \
                        -lidn2 -lpthread

MAIN_outpost-setup   = dnscheck/main_setup.c
ROOM_outpost-setup   = dnscheck
LIBS_outpost-setup   = -lconfuse -ljansson -lidn2

# the classic names
LINKS     = sendmail:outpost-inject newaliases:outpost-inject \
            mailq:outpost-queue

ALL_LIBS  = -lconfuse -lseccomp -llmdb -lldns -lssl -lcrypto -ljansson -lz -lidn2

# V=1 shows the commands
Q = $(if $(V),,@)
SAY = $(if $(V),,@echo '  $(@F)')

all: $(PROGRAMS:%=$(BIN)/%) links

# --- objects: every .c of a room but its mains goes into the room's archive --
sources   = $(filter-out $(1)/main_%,$(sort $(wildcard $(1)/*.c)))
objects   = $(patsubst %.c,$(B)/%.o,$(call sources,$(1)))

define room_rule
$(B)/$(1).a: $(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)$(AR) rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_rule,$(r))))

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(SAY)
	$(Q)$(CC) $(ALLFLAGS) -c -o $@ $<

define program_rule
$(BIN)/$(1): $(patsubst %.c,$(B)/%.o,$(MAIN_$(1))) $(B)/$(ROOM_$(1)).a $(B)/common.a
	@mkdir -p $$(@D)
	$$(SAY)
	$(Q)$(CC) $(LDFLAGS) -o $$@ $$^ $(LIBS_$(1))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

links: $(PROGRAMS:%=$(BIN)/%)
	@for l in $(LINKS); do ln -sf "$${l#*:}" "$(BIN)/$${l%%:*}"; done

# --- tests -------------------------------------------------------------------
UNIT      = $(patsubst tests/unit/%.c,$(B)/tests/%,$(sort $(wildcard tests/unit/test_*.c)))
REPLAY    = $(patsubst tests/fuzz/%.c,$(B)/replay/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
ARCHIVES  = $(patsubst %,$(B)/%.a,dnscheck remote runner inject queue common)

$(B)/tests/%: tests/unit/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(SAY)
	$(Q)$(CC) $(ALLFLAGS) $(LDFLAGS) -o $@ $< $(ARCHIVES) -lcmocka $(ALL_LIBS)

$(B)/replay/%: tests/fuzz/%.c tests/fuzz/replay.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(SAY)
	$(Q)$(CC) $(ALLFLAGS) $(LDFLAGS) -o $@ $< tests/fuzz/replay.c $(ARCHIVES) $(ALL_LIBS)

unit: $(UNIT) $(REPLAY)

check: all unit bench-tools
	python3 tests/run.py --build $(B) --bin $(BIN)

# load generator and receiver: for bench, demo and system tests
BENCH_TOOLS = $(B)/bench/smtp_load $(B)/bench/smtp_sink $(B)/bench/spool_bench
$(B)/bench/%: tests/bench/%.c $(patsubst %,$(B)/common/%.o,buf span loop deadline)
	@mkdir -p $(@D)
	$(SAY)
	$(Q)$(CC) $(ALLFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(BENCH_LIBS)

$(B)/bench/smtp_sink: tests/bench/sink_tls.c
$(B)/bench/smtp_sink: BENCH_LIBS = -lssl -lcrypto

$(B)/bench/spool_bench: tests/bench/spool_bench.c $(B)/queue.a $(B)/common.a
	@mkdir -p $(@D)
	$(SAY)
	$(Q)$(CC) $(ALLFLAGS) $(LDFLAGS) -o $@ $^ -llmdb -lidn2

bench-tools: $(BENCH_TOOLS)

bench: all bench-tools
	python3 tests/bench/bench.py --bin $(BIN)

fuzz:
	tests/fuzz/run.sh

demo:
	tests/demo.sh

lint:
	tests/lint.sh

deps:
	./tests/deps.sh

install: all
	tests/install.sh "$(DESTDIR)" "$(PREFIX)" "$(BIN)"

uninstall:
	tests/install.sh --remove "$(DESTDIR)" "$(PREFIX)"

clean:
	rm -rf $(B) $(BIN)

.PHONY: all links unit check bench bench-tools fuzz demo lint deps install uninstall clean
.SECONDARY:

-include $(wildcard $(B)/*/*.d)
