perl -e 'my %h = map { $_ => $_ ** 2 } 1 .. 20; print join(",", map { "$_=$h{$_}" } sort { $a <=> $b } keys %h), "\n"'
perl -e 'pipe(R, W); if (!fork) { close R; print W "from child\n"; exit 3 } close W; print <R>; wait; print $? >> 8, "\n"'
perl -e '$SIG{ALRM} = sub { print "alarm\n"; exit }; alarm 1; select undef, undef, undef, 5'
perl -MFile::Find -e 'mkdir "x"; open F, ">x/y"; print F "z"; close F; find(sub { print "$File::Find::name\n" }, "x"); print -s "x/y", "\n"; opendir D, "x"; print join(" ", sort readdir D), "\n"'
perl -e 'print `echo sub; exit 2`, $? >> 8, "\n"; local $| = 1; system("exit 5"); print $? >> 8, "\n"; die "end\n"' 2>&1; echo $?
perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, PF_UNSPEC); syswrite A, "x" x 5000; sysread B, $b, 10000; print length $b, "\n"'
