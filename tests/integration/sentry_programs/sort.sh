python3 -c '
import random
random.seed(7)
for _ in range(100 * 1024):
    print("%0512x" % random.getrandbits(2048), end="\n" * 2)' > in
wc -c in; sort in | sha256sum
# Not all of it in memory at once.
sort -S 8M -T . -u in | wc -l; ls
