python3 -u ../jobs.py 2>&1
