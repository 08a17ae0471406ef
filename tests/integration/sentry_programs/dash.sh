dash -c 'x=$(echo a | cat | tr a b); echo $x; i=0; while [ $i -lt 50 ]; do i=$((i+1)); done; echo $i'
dash -c 'trap "echo trapped" USR1; kill -USR1 $$; echo after; (sleep 0.1; exit 3) & wait $!; echo $?'
dash -c 'printf "one\ntwo\n" | while read l; do echo "<$l>"; done'
dash -c 'set -e; false; echo never'; echo $?
dash -c 'exec 3>out; echo hi >&3; exec 3>&-; cat out; echo $((0x10 + 010))'
