python3 -u ../python3.py 2>&1 | sed 's/pid=[0-9]*//'
