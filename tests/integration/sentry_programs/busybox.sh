for i in 1 2 3 4 5; do echo "line $i"; done | busybox grep -v 3 | busybox sort -r | busybox wc -l
busybox mkdir -p a/b/c; echo deep > a/b/c/f; busybox find a | busybox sort
busybox tar cf - a | busybox tar tvf - | busybox awk '{print $1, $NF}'
busybox md5sum a/b/c/f; busybox cp -r a z; busybox diff -r a z && echo same
busybox seq 1 1000 | busybox awk '{s+=$1} END {print s}'
(exit 7); echo $?; false || echo no; busybox kill -0 $$ && echo alive
busybox printf '%s\n' b a c | busybox sort | busybox tr a-z A-Z
busybox ln -s a link; busybox readlink link; busybox rm -r a z link; busybox ls -A
