bash -c 'a=(1 2 3); echo ${a[@]/2/x} ${#a[@]}; for ((i=0;i<3;i++)); do echo -n $i; done; echo'
bash -c 'echo {1..5} | tee >(cat >copy) | cat; until [ -s copy ]; do sleep 0.1; done; cat copy'
bash -c 'coproc cat; echo hello >&${COPROC[1]}; read l <&${COPROC[0]}; echo "got $l"'
bash -c 'sleep 30 & p=$!; kill $p; wait $p; echo $?' 2>/dev/null
bash -c 'trap "echo bye" EXIT; (trap "echo int; exit 4" INT; kill -INT $BASHPID; sleep 1); echo $?'
bash -c 'mapfile -t l < <(printf "%s\n" x y z); echo ${#l[@]} ${l[1]}; [[ abc =~ b(.) ]] && echo ${BASH_REMATCH[1]}'
# The job ends when it is told what fg says.
mkfifo told; bash -c 'set -m; head -n 1 <told >/dev/null & jobs -r | wc -l; fg >told; echo done'
bash -c 'umask; type -t cd; printf "%(%Y)T\n" 0; ulimit -c'
