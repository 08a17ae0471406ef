# The tools are the server by another name.
ln -s "$(command -v redis-check-rdb)" redis-server
await() { for i in $(seq 1200); do [ "$(redis-cli -s "$1" ping 2>/dev/null)" = PONG ] && return; sleep 0.1; done; echo "$1: no answer"; }
# It is gone when nothing of it writes any more.
stop() { pid=$(redis-cli -s "$1" info server | tr -d '\r' | sed -n 's/^process_id://p'); redis-cli -s "$1" shutdown nosave; while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done; }
./redis-server --port 0 --unixsocket $PWD/s --dir . --save '' --daemonize yes --logfile log --enable-debug-command yes >/dev/null
await s
c="redis-cli -s s"
$c set a 1; $c incr a; $c lpush l x y z; $c lrange l 0 -1; $c debug populate 20000; $c dbsize
# It saves itself while it is kept busy; how far the clients have come in what is saved differs.
redis-benchmark -s s -q -n 20000 -c 10 -t set,get,lpush,incr | tr '\r' '\n' | grep -c 'requests per second' >rates &
$c bgsave; wait; cat rates
for i in $(seq 1200); do [ "$($c info persistence | grep -c rdb_bgsave_in_progress:0)" = 1 ] && break; sleep 0.1; done
$c info persistence | tr -d '\r' | grep rdb_last_bgsave_status; ls dump.rdb; stop s
./redis-server --port 0 --unixsocket $PWD/s2 --dir . --daemonize yes --logfile log >/dev/null
await s2
[ "$(redis-cli -s s2 dbsize)" -ge 20002 ] && echo all; redis-cli -s s2 get a; stop s2
