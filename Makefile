# Makefile: builds shopctl and shopd, and runs all that checks them. `make help` lists the targets.
SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules --no-print-directory
# One goal is made by all cores; several, such as `make clean build`, one after the other.
ifeq ($(MAKELEVEL)$(word 2,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
.SUFFIXES:
.DELETE_ON_ERROR:

BUILD ?= release
CC := $(if $(filter default undefined,$(origin CC)),gcc,$(CC))
O := build$(if $(filter-out release,$(BUILD)),/$(BUILD))
PREFIX ?= /usr/local
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

WARNINGS := -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wvla -Wpointer-arith -Wwrite-strings -Wundef -Wswitch-enum -Wformat=2 -Wnull-dereference -Wimplicit-fallthrough
MACHINE := $(shell uname -m)
JUMPS_x86_64 := -fcf-protection=full
JUMPS_aarch64 := -mbranch-protection=standard
FLAGS_release := -O2 -g -flto=auto -fno-plt -fstack-protector-strong -fstack-clash-protection $(JUMPS_$(MACHINE)) \
	-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
FLAGS_debug := -O0 -g3
FLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -DDEF_SANITIZE
FLAGS_coverage := -O0 -g --coverage
FLAGS_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -DDEF_SANITIZE
FLAGS_tsan := -O1 -g -fsanitize=thread
FLAGS := $(FLAGS_$(BUILD))
# What the sanitizer is told, in each of its programs.
TOLD_asan := $(O)/tests/asan_options.o
TOLD := $(TOLD_$(BUILD))
ifeq ($(findstring clang,$(CC)),clang)
FLAGS := $(subst -flto=auto,,$(FLAGS)) -Wno-gnu-statement-expression
endif
ifeq ($(strip $(FLAGS)),)
$(error BUILD=$(BUILD) is unknown: use release, debug, asan, tsan, coverage or fuzz)
endif
CPPFLAGS := -I. -D_GNU_SOURCE -isystem /usr/include/postgresql -isystem /usr/share/include/llhttp
CFLAGS := -std=gnu17 -fPIE -pthread $(WARNINGS) $(FLAGS)
LDFLAGS := -pie -pthread -Wl,--as-needed -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code $(FLAGS)
AR := $(if $(findstring clang,$(CC)),ar,gcc-ar)

LIBS_base := -lpq -ljansson -lyaml -lm
LIBS_shopctl := $(LIBS_base) -lcurl -lssh2 -lcrypto -larchive -lsmartcols -lcsv -lutf8proc
LIBS_shopd := $(LIBS_base) -lsodium -lcrypto -lbrotlienc -lz -lcap-ng -lseccomp
LIBS_tests := $(LIBS_shopctl) $(LIBS_shopd) -lcheck_pic -lsubunit -lrt -lm

sources = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
objects = $(patsubst %.c,$(O)/%.o,$(1))

BASE := $(call sources,base)
PROVISIONER := $(call sources,provisioner)
CLI := $(call sources,cli)
RUNTIME := $(call sources,runtime)
MAINS := cli/main.c runtime/main.c
SUPPORT := $(call sources,tests/support)
SUITES := $(patsubst tests/%.c,%,$(sort $(wildcard tests/test_*.c tests/torture_*.c)))
LLHTTP := $(patsubst %,$(O)/llhttp/%.o,api http llhttp)

SQL_FILES := $(sort $(wildcard sql/*/*.sql sql/*/*/*.sql))
PLAN_FILES := $(sort $(wildcard plans/*.yaml))
THEME_FILES := $(sort $(wildcard web/theme/* web/theme/*/* web/theme/*/*/*))

ALL_C := $(BASE) $(PROVISIONER) $(CLI) $(RUNTIME) $(SUPPORT) $(SUITES:%=tests/%.c) tests/asan_options.c $(sort $(wildcard bench/*.c tests/fuzz/*.c))
ALL_H := $(sort $(wildcard base/*.h provisioner/*.h provisioner/*/*.h cli/*.h runtime/*.h runtime/*/*.h tests/support/*.h))

.PHONY: all build deps deps_build demo demo-dedicated demo-dedicated-down check torture bench lint fmt coverage fuzz install clean docs help
all: deps_build
	@$(MAKE) build

build: $(O)/bin/shopctl $(O)/bin/shopd compile_commands.json
	@:

help:
	@echo 'make            installs what is missing and builds build/bin/shopctl and build/bin/shopd'
	@echo 'make BUILD=asan the same into build/asan/bin (also debug, tsan, coverage); CC=clang works too'
	@echo 'make demo       starts a platform with two shops and prints their addresses; DEMO_PORT=8080'
	@echo 'make demo-dedicated  two hosts and a shop of its own on each, by root; make demo-dedicated-down removes all of it'
	@echo 'make check      runs every test [SUITE=noun] [TEST=part of a name]'
	@echo 'make check BUILD=tsan  the same under ThreadSanitizer'
	@echo 'make torture    runs the tests that take long [SUITE=noun]'
	@echo 'make lint       compiles with clang, too; format, static analysis, the allowed arrows'
	@echo 'make fmt        formats the C files'
	@echo 'make bench      measures [ONLY=name]'
	@echo 'make coverage   line and branch coverage of make check'
	@echo 'make fuzz       runs each fuzzer for a minute [SECONDS=60]'
	@echo 'make docs       writes the man pages and the OpenAPI document from the tables'
	@echo 'make install    installs into DESTDIR/PREFIX, with systemd units'
	@echo 'make deps       installs all packages of packages.txt; make alone only those that building and running need'

# Tests need servers (sshd, dockerd ...) that nobody wants who only builds.
deps:
	@sh tests/deps.sh
deps_build:
	@sh tests/deps.sh build

# ---- objects ----

$(O)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo 'cc $@'
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# Compiled again with whatever else of its program is, so that it names the commit that the program was built from.
others = $(filter-out $(O)/$(1).o,$(call objects,$(BASE) $(2))) $(3:%=$(O)/embed/%.o)
$(O)/cli/version.o: $(call others,cli/version,$(PROVISIONER) $(CLI),sql plans)
$(O)/runtime/core/version.o: $(call others,runtime/core/version,$(RUNTIME),theme)
$(O)/cli/version.o: CPPFLAGS += -DVERSION='"$(VERSION)"'
$(O)/runtime/core/version.o: CPPFLAGS += -DVERSION='"$(VERSION)"'

$(O)/llhttp/%.o: /usr/share/llhttp/%.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) -std=gnu17 -fPIE $(FLAGS) -w -c $< -o $@

$(O)/embed/sql.c: base/embed.sh $(SQL_FILES)
	@mkdir -p $(@D)
	@sh base/embed.sh EMBEDDED_SQL sql $(SQL_FILES) > $@
$(O)/embed/plans.c: base/embed.sh $(PLAN_FILES)
	@mkdir -p $(@D)
	@sh base/embed.sh EMBEDDED_PLANS plans $(PLAN_FILES) > $@
$(O)/embed/theme.c: base/embed.sh $(THEME_FILES)
	@mkdir -p $(@D)
	@sh base/embed.sh EMBEDDED_THEME web/theme $(THEME_FILES) > $@
# The program of a later version, for tests: this one's SQL and a migration more. It replaces that of libprovisioner.a.
NEXT_FILES := $(patsubst tests/%,%,$(sort $(wildcard tests/sql/*/*.sql)))
$(O)/embed/next.c: base/embed.sh $(SQL_FILES) $(NEXT_FILES:%=tests/%)
	@rm -rf $(@D)/next && mkdir -p $(@D)/next && cp -r sql tests/sql $(@D)/next
	@sh base/embed.sh EMBEDDED_SQL $(@D)/next/sql $(addprefix $(@D)/next/,$(sort $(SQL_FILES) $(NEXT_FILES))) > $@
$(O)/embed/%.o: $(O)/embed/%.c
	@$(CC) $(CPPFLAGS) $(filter-out -flto=auto,$(CFLAGS)) -c $< -o $@

archive = @rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
$(O)/libbase.a: $(call objects,$(BASE)); $(archive)
$(O)/libprovisioner.a: $(call objects,$(PROVISIONER)) $(O)/embed/sql.o $(O)/embed/plans.o; $(archive)
$(O)/libcli.a: $(call objects,$(filter-out $(MAINS),$(CLI))); $(archive)
$(O)/libruntime.a: $(call objects,$(filter-out $(MAINS),$(RUNTIME))) $(O)/embed/theme.o $(LLHTTP); $(archive)
$(O)/libsupport.a: $(call objects,$(SUPPORT)); $(archive)

$(O)/bin/shopctl: $(O)/cli/main.o $(TOLD) $(O)/libcli.a $(O)/libprovisioner.a $(O)/libbase.a
	@mkdir -p $(@D)
	@echo 'ld $@'
	@$(CC) $(LDFLAGS) $^ $(LIBS_shopctl) -o $@
$(O)/bin/shopd: $(O)/runtime/main.o $(TOLD) $(O)/libruntime.a $(O)/libbase.a
	@mkdir -p $(@D)
	@echo 'ld $@'
	@$(CC) $(LDFLAGS) $^ $(LIBS_shopd) -o $@
$(O)/tests/bin/%: $(O)/tests/%.o $(TOLD) $(O)/libsupport.a $(O)/libcli.a $(O)/libprovisioner.a $(O)/libruntime.a $(O)/libbase.a
	@mkdir -p $(@D)
	@echo 'ld $@'
	@$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LIBS_tests) -o $@
$(O)/tests/bin/test_dump: $(O)/embed/next.o
# Their calls to PostgreSQL and engines are lost, their arenas spent, their JSON refused and their calls to the file system fail
# where they want.
LOST := db_open db_query db_run db_script db_begin db_commit db_copy_in db_copy_put db_copy_in_end arena_bytes arena_array_bytes \
	json_append json_put json_parse engine_call engine_exec open write fsync rename mkdir unlinkat rmdir
$(addprefix $(O)/tests/bin/test_,lost_calls lost_work own_lost_calls): LDFLAGS += $(LOST:%=-Wl,--wrap=%)
# Its arenas and its JSON fail where it wants.
$(O)/tests/bin/test_memory: LDFLAGS += -Wl,--wrap=arena_bytes,--wrap=arena_array_bytes,--wrap=json_put,--wrap=json_set

-include $(shell find $(O) -name '*.d' 2>/dev/null)

compile_commands.json: Makefile $(ALL_C)
	@sh tests/lint/compile_commands.sh '$(CC) $(CPPFLAGS) $(CFLAGS)' $(ALL_C) > $@

FUZZERS := $(patsubst tests/fuzz/%.c,$(O)/fuzzers/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
$(O)/fuzzers/%: $(O)/tests/fuzz/%.o $(O)/libcli.a $(O)/libprovisioner.a $(O)/libruntime.a $(O)/libbase.a
	@mkdir -p $(@D)
	@echo 'ld $@'
	@$(CC) $(LDFLAGS) -fsanitize=fuzzer $^ $(LIBS_tests) -o $@
$(O)/bench/bin/%: $(O)/bench/%.o $(O)/libprovisioner.a $(O)/libbase.a
	@mkdir -p $(@D)
	@echo 'ld $@'
	@$(CC) $(LDFLAGS) $^ $(LIBS_shopctl) -o $@
.PHONY: fuzzers bench_programs
bench_programs: $(patsubst bench/%.c,$(O)/bench/bin/%,$(sort $(wildcard bench/*.c)))
fuzzers: $(FUZZERS)

# ---- what is done with them ----

# The tests run under the sanitizers; `make check BUILD=release` runs them without.
CHECK_BUILD := $(if $(filter command line,$(origin BUILD)),$(BUILD),asan)
check: deps
	@$(MAKE) BUILD=$(CHECK_BUILD) tests
	@sh tests/run.sh $(if $(filter-out release,$(CHECK_BUILD)),build/$(CHECK_BUILD),build) '$(SUITE)' '$(TEST)'

torture: deps
	@$(MAKE) BUILD=$(CHECK_BUILD) tests
	@sh tests/run.sh $(if $(filter-out release,$(CHECK_BUILD)),build/$(CHECK_BUILD),build) '$(SUITE)' '$(TEST)' torture

.PHONY: tests
# What is made on the way to a program stays, for the next one.
.SECONDARY:
tests: build $(patsubst %,$(O)/tests/bin/%,$(if $(SUITE),$(filter test_$(SUITE) torture_$(SUITE),$(SUITES)),$(SUITES)))

demo: all
	@DEMO_PORT='$(DEMO_PORT)' sh web/samples/demo.sh

# It ends early where the machine can't, before anything is installed and built.
demo-dedicated:
	@sh web/samples/dedicated/check.sh
	@sh tests/deps.sh dedicated
	@$(MAKE) build
	@DEMO_PORT='$(DEMO_PORT)' sh web/samples/dedicated/up.sh
demo-dedicated-down:
	@sh web/samples/dedicated/down.sh

lint: deps
	@$(MAKE) CC=clang BUILD=debug O=build/clang build
	@$(MAKE) compile_commands.json
	@sh tests/lint/lint.sh $(ALL_C) $(ALL_H)

fmt:
	clang-format -i $(ALL_C) $(ALL_H)

bench: all
	@$(MAKE) bench_programs
	@sh bench/run.sh '$(ONLY)'

coverage: deps
	@sh tests/coverage.sh

fuzz: deps
	@sh tests/fuzz/run.sh $(or $(SECONDS),60)

docs: all
	@sh docs/generate.sh

install: all
	@sh provisioner/install.sh '$(DESTDIR)' '$(PREFIX)'

clean:
	rm -rf build compile_commands.json
