sqlite3 db 'pragma journal_mode=wal; create table t(who, n);'
w() {
	for i in $(seq 40); do
		echo "begin immediate; insert into t values('$1', $i); commit;"
	done | sqlite3 -cmd '.timeout 300000' db
}
w a & w b & wait
sqlite3 db 'select who, count(*), sum(n) from t group by who order by who; pragma integrity_check;'
sqlite3 db 'pragma wal_checkpoint(truncate);' | cut -d'|' -f1
sqlite3 db .dump | sort | sha256sum; ls
