#!/bin/sh
# Prints the statements of PL/pgSQL functions that no test ran, from plpgsql_check's profiler: sql_coverage.sh SOCKET_DIR
set -eu
socket=$1 seen=$1/sql_coverage
ask() { psql -X -q -A -t -F '|' -h "$socket" -U postgres -d "$1" -c "$2"; }
schemas="select nspname from pg_namespace where nspname in ('cell', 'control') or nspname ~ '^t_[0-9]+$'"
for database in $(ask postgres "select datname from pg_database where datallowconn and not datistemplate and datname <> 'postgres'"); do
    ask "$database" "create extension if not exists plpgsql_check schema public"
    for schema in $(ask "$database" "$schemas"); do    # what a function names is found by the path
        ask "$database" "set search_path = $schema; select regexp_replace(p.proname, '_[0-9]+$', ''), s.stmtid, s.lineno, s.exec_stmts, s.stmtname, coalesce(s.parent_note, '')
            from pg_proc p join pg_language l on l.oid = p.prolang
            cross join lateral public.plpgsql_profiler_function_statements_tb(p.oid) s
            where l.lanname = 'plpgsql' and p.prorettype <> 'trigger'::regtype and p.pronamespace = '$schema'::regnamespace"
    done
done >"$seen"
sort -t '|' -k 1,1 -k 2,2n "$seen" | awk -F '|' '
    { key = $1 "|" $2; if (!(key in runs)) order[++n] = key; runs[key] += $4; line[key] = $3; name[key] = $5; note[key] = $6 }
    END {
        for (i = 1; i <= n; i++) {
            key = order[i]; split(key, part, "|"); all[part[1]]++; total++
            if (runs[key] > 0) { ran[part[1]]++; totalran++ }
            else printf "not run: %s line %d: %s%s\n", part[1], line[key], name[key], note[key] ? " (" note[key] ")" : ""
        }
        for (f in all) printf "sql %-28s %3d of %3d statements\n", f, ran[f], all[f] | "sort"
        close("sort")
        if (total) printf "sql: %d of %d statements (%.1f %%)\n", totalran, total, 100 * totalran / total
    }'
