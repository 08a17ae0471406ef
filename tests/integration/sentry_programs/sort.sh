python3 -c '
import random
random.seed(7)
for _ in range(50 * 1024):
    print("%0512x" % random.getrandbits(2048), end="\n" * 2)' > in
wc -c in; sort in | sha256sum; sort -u in | wc -l
