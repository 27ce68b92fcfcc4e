#!/bin/sh
# Runs the real shopctl: help, suggestions, exit codes, answers, completion and man pages of every command.
set -u
cd "$(dirname "$0")/.." || exit
bin=$TEST_BUILD/bin work=$(mktemp -d) passed=0 failed=0
trap 'rm -rf "$work"' EXIT
unset SHOPCTL_CONFIG SHOPCTL_DATA NO_COLOR
run() { "$bin/shopctl" "$@" >"$work/out" 2>"$work/err" </dev/null; }
ok() { # ok SENTENCE COMMAND...
    sentence=$1
    shift
    case $sentence in *"${TEST:-}"*) ;; *) return ;; esac
    if "$@"; then passed=$((passed + 1)) && return; fi
    failed=$((failed + 1))
    echo "FAILED: $sentence"
    head -n 20 "$work/out" "$work/err"
}
exits() { # exits CODE WORD...
    wanted=$1 code=0
    shift
    run "$@" || code=$?
    [ "$code" = "$wanted" ]
}
refused() { exits 64 "$@" && [ ! -s "$work/out" ] && grep -q '^  next:  ' "$work/err"; }
suggests() { # suggests WHAT WORD...
    what=$1
    shift
    refused "$@" && grep -qF "did you mean '$what'?" "$work/err"
}
is_json() { : >"$work/empty" && run theme render "$work/empty" --data "$1"; }
answers_json() { run "$@" && cp "$work/out" "$work/json" && [ ! -s "$work/err" ] && is_json "$work/json"; }
fails_json() { exits "$@" -o json && [ ! -s "$work/out" ] && cp "$work/err" "$work/json" && is_json "$work/json"; }
helps() { exits 0 "$@" --help && grep -q '^Examples:' "$work/out" && cp "$work/out" "$work/help" && run help "$@" && cmp -s "$work/out" "$work/help"; }
man_has_examples() { # man_has_examples WORD...: as they stand in its help
    LC_ALL=C.UTF-8 MANWIDTH=300 man -l "man/shopctl-$1.1" >"$work/page" && run help "$@" &&
        sed -n '/^Examples:/,$s/^  \([^ ].*\)/\1/p' "$work/out" >"$work/examples" && [ -s "$work/examples" ] &&
        while read -r example; do grep -qF -- " $example" "$work/page" || return; done <"$work/examples"
}
completes() { run completion "$1" && { ! command -v "$1" >/dev/null || "$1" -n "$work/out"; }; }
bash_offers() { # bash_offers CHOICES WORD...
    offered=$1
    shift
    # shellcheck disable=SC2016
    script='. /dev/stdin; COMP_WORDS=(shopctl "$@") COMP_CWORD=$#; _shopctl; echo "${COMPREPLY[*]}"'
    run completion bash
    PATH=$bin:$PATH bash -c "$script" - "$@" <"$work/out" >"$work/offered" && [ "$(cat "$work/offered")" = "$offered" ]
}
man_is_new() { sh docs/generate.sh "$bin" "$work" && diff -r man "$work/man" >"$work/out"; }
man_is_clean() { LC_ALL=C.UTF-8 man --warnings -l "$1" 2>"$work/err" >/dev/null && [ ! -s "$work/err" ]; }

run help
nouns=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$work/out")
for noun in $nouns; do
    ok "$noun --help exits 0" exits 0 "$noun" --help
    sed -n "s/^  $noun \([a-z-]*\)  .*/$noun \1/p" "$work/out" >"$work/commands"
    if [ -s "$work/commands" ]; then ok "$noun alone is refused" refused "$noun"; else echo "$noun" >"$work/commands"; fi
    while read -r words; do
        # shellcheck disable=SC2086 # one or two words
        ok "$words is explained with examples" helps $words
        # shellcheck disable=SC2086
        ok "$words has its examples in its man page" man_has_examples $words
        # shellcheck disable=SC2086
        ok "$words --hepl is answered" suggests --help $words --hepl
        # Those that print a text of their own take no -o.
        # shellcheck disable=SC2086
        if "$bin/shopctl" $words --help | grep -q -e '--output '; then
            # shellcheck disable=SC2086
            ok "$words -o jsno is answered" suggests json $words -o jsno
        fi
    done <"$work/commands"
done
make_helps() { MAKEFLAGS='' make help >"$work/out" 2>"$work/err" && grep -q '^make lint ' "$work/out"; }
ok "make help lists the targets" make_helps
ok "shopctl alone prints its help" exits 0
ok "a mistyped noun is answered" suggests 'shopctl plan' plna list
ok "a mistyped verb is answered" suggests 'shopctl plan list' plan lits
ok "an abbreviated option is refused" refused plan list --out json
ok "a missing argument is refused" refused plan show
ok "a new shop's plan is required" refused tenant create acme --email a@b.example
ok "... and its address" refused tenant request acme --plan free
ok "an unknown plan is not found" exits 66 plan show nothing
ok "a missing settings file is not found" exits 66 plan list --config /nowhere
ok "plan list answers one JSON document" answers_json plan list -o json
ok "plan show answers one JSON document" answers_json plan show premium -o json
ok "version answers one JSON document" answers_json version -o json
ok "completion answers one JSON document" answers_json completion fish -o json
ok "... with the script that it prints" sh -c "'$bin/shopctl' completion fish | grep -qx 'complete -c shopctl -f'"
ok "help answers one JSON document" answers_json help tenant create -o json
ok "an error is one JSON document" fails_json 66 plan show nothing
ok "a usage error is one JSON document" fails_json 64 plan list --lmit 3
ok "the plans that ship are valid" exits 0 plan validate plans/*.yaml
cp plans/standard.yaml "$work/draft.yaml"
ok "a plan that is checked may have any file name" exits 0 plan validate "$work/draft.yaml"
sed 's/10GiB/10GB/' plans/standard.yaml >"$work/standard.yaml"
ok "a wrong plan is refused" exits 65 plan validate "$work/standard.yaml"
ok "... with file, line and column" grep -q "standard.yaml:14:12: limits.storage: '10GB'" "$work/out"
sed 's/shared/shred/' plans/free.yaml >"$work/free.yaml"
printf '%s\n' plans/free.yaml "$work/nosuch.yaml" "$work/free.yaml" >"$work/reported"
ok "every file is checked, also beside one that is missing" exits 66 plan validate plans/free.yaml "$work/nosuch.yaml" "$work/free.yaml"
ok "... and each is reported" sh -c "cut -d: -f1 '$work/out' | cmp - '$work/reported'"
ok "a plan from the standard input is read" sh -c "'$bin/shopctl' plan validate - <plans/free.yaml >'$work/out' 2>'$work/err'"
printf 'name: {{name}}\n{{#items}}- {{.}}\n{{/items}}' >"$work/t.mustache"
echo '{"name": "a&b", "items": [1, 2]}' >"$work/t.json"
ok "a template is rendered" exits 0 theme render "$work/t.mustache" --data "$work/t.json"
ok "... to what it says" sh -c "printf 'name: a&amp;b\n- 1\n- 2\n' | cmp - '$work/out'"
ok "... and as a text of one JSON document" answers_json theme render "$work/t.mustache" --data "$work/t.json" -o json
ok "... that has it whole" grep -qF '"text": "name: a&amp;b\n- 1\n- 2\n"' "$work/json"
ok "an answer that can't be written fails" sh -c "! '$bin/shopctl' plan list >/dev/full 2>'$work/err'"
mkdir "$work/plans" && sed 's/title: .*/title: Estándar/' plans/standard.yaml >"$work/plans/standard.yaml"
ok "a folder of plans is listed" exits 0 plan list --setting plans="$work/plans"
ok "... with its letters, whatever the locale" grep -q 'Estándar' "$work/out"
for shell in bash zsh fish; do ok "$shell takes its completion" completes $shell; done
mkdir -p "$work/dirs/one"
ok "bash offers what an option takes" bash_offers 'table json yaml name' tenant list -o ''
ok "... before the command, too" bash_offers 'table json yaml name' -o ''
ok "... between its words" bash_offers json tenant --output j
ok "... and folders" bash_offers "$work/dirs/one" --data "$work/dirs/"
ok "the man pages are what make docs prints" man_is_new
for page in man/*; do ok "$page is well-formed" man_is_clean "$page"; done
echo "cli: $passed passed, $failed failed"
[ $failed = 0 ]
