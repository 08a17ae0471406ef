mkdir d; for i in $(seq 60); do echo "content $i" > d/f$i; done; mkdir d/sub; ln d/f1 d/sub/hard
ln -s ../f2 d/sub/soft; touch -d '2020-01-02 03:04:05' d/f3; chmod 4755 d/f4; chmod 1777 d/sub
ls -lR d | awk '{print $1,$3,$4,$9,$10,$11}' | grep -v ^total
# A tree of the host's as it is, to the last field.
ls -lR /usr/lib/python3 /usr/share/perl | sha256sum
find /usr/lib/python3 /usr/share/perl -printf '%m %n %U:%G %s %T@ %l %p\n' | sort | sha256sum
cp -a /usr/share/perl copy && tar -C copy -cf - . | tar -C copy -df - && diff -r /usr/share/perl copy && echo copied
cp -a d e; diff -r d e && echo equal; stat -c '%a %h %F' e/f1 e/f3 e/f4 e/sub e/sub/soft
stat -c %Y e/f3; find e -type f | wc -l; find e -newer e/f3 -name 'f1*' | sort | tail -3
tar cf t.tar e; mkdir x; tar xf t.tar -C x; diff -r e x/e && echo roundtrip; tar tf t.tar | wc -l
dd if=/dev/zero of=big bs=1M count=3 2>/dev/null; sha256sum big; truncate -s 5M big; wc -c big
cut -c1-9 d/f10; paste d/f1 d/f2; comm -12 d/f1 d/f1; od -c d/f1 | head -2
split -n 3 big part; cat part?? | cmp - big && echo whole
mv d/f5 d/renamed; rm -r d/sub; ls d | wc -l; df --output=target . >/dev/null && echo df
du -s --apparent-size x >/dev/null && echo du; env -i A=1 env; id -u; basename /a/b; dirname /a/b
realpath -m ../x/./y | grep -c y; test -w . && echo writable; nproc >/dev/null && echo nproc
timeout 0.2 sleep 5; echo $?; yes | head -3; tail -c 5 d/f1; shuf -i 1-5 | sort | tr '\n' ' '; echo
mkfifo p; (echo through > p) & cat p; wait; install -m 600 d/f1 inst; stat -c %a inst
date -u -d @0 +%F; sync; tac d/f1; rev d/f1; chown 1:2 inst; stat -c '%u %g' inst; nice -n 5 nice
