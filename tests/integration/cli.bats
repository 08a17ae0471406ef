#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# cli.bats - the command line without a machine: help, manual, mistakes
#
# COFFER_BIN: folder of the programs (default: build/bin); COFFER_MAN: of the
# manual pages (default: man).

bats_require_minimum_version 1.5.0

setup_file() {
	export COFFER="${COFFER_BIN:-build/bin}/coffer"
	export MAN="${COFFER_MAN:-man}"
	export COFFER_RUN="$BATS_FILE_TMPDIR/run"
	export XDG_CONFIG_HOME="$BATS_FILE_TMPDIR/config"
	export COFFER_DATA="$BATS_FILE_TMPDIR/data"
	export COMMANDS="run exec ps logs inspect stats wait kill stop pause unpause rm cp port-forward analyze \
		pull push images rmi tag untag history image save load import \
		export commit bundle login logout"
}

setup() {
	T="$BATS_TEST_TMPDIR"
}

coffer() {
	run --separate-stderr timeout 60 "$COFFER" "$@" 3>&- </dev/null
}

one_line() {
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" == coffer:\ * ]]
}

# refused ARG...: wrong use, told in one line, and nothing on stdout
refused() {
	coffer "$@"
	echo "$*: $status $stderr"
	[ "$status" -eq 125 ]
	[ -z "$output" ]
	one_line
}

@test "every command is in the help, and has one" {
	for c in $COMMANDS; do
		coffer "$c" --help
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" == "Usage: coffer $c"* ]]
		[[ "$("$COFFER" --help)" == *"  $c "* ]]
	done
	[ "$("$COFFER" --help | sed -n '/^Commands:/,/^$/p' | grep -c '^  ')" -eq "$(wc -w <<<"$COMMANDS")" ]
}

# No option without its paragraph, no paragraph without its option.
@test "the manual has every option and command" {
	for c in "" $COMMANDS image_prune image_check image_inspect; do
		"$COFFER" ${c/_/ } --help | sed -nE 's/^ +(-., )?--([a-z0-9-]+).*/\2/p' | sort >"$T/has"
		[ -s "$T/has" ]
		case "$c" in
		"") sed -n '/^# OPTIONS/,/^# EXIT/p' "$MAN/coffer.1.scd" ;;
		run) sed -n '/^# OPTIONS/,/^# EXIT/p' "$MAN/coffer-run.1.scd" ;;
		image_inspect) sed -n '/^\*--platform/p' "$MAN/coffer.1.scd" ;;
		*)
			c=${c/_/ }
			[ "$c" != image ] || c="image COMMAND" # "image prune" is another's
			cat "$MAN/coffer.1.scd" "$MAN/coffer-image.1.scd" >"$T/manual"
			grep -qE "^## $c( |\$)" "$T/manual" || { echo "no section: $c" && false; }
			sed -nE "/^## $c( |\$)/,/^#/{/^## $c( |\$)/p;/^#/!p}" "$T/manual"
			;;
		esac >"$T/section"
		grep -E '^\*-' "$T/section" | grep -oE '\*--[a-z0-9-]+\*' | tr -d '*' | sed 's/^--//' |
			sort -u >"$T/told"
		echo help | sort -u - "$T/told" >"$T/all"
		diff "$T/has" "$T/all" || { echo "command: $c" && false; }
	done
}

@test "wrong use is one line and 125" {
	for words in "exec" "exec x" "logs" "logs a b" "inspect" "wait" "kill" "stop" "pause" "unpause" \
		"rm" "cp" "cp a" "cp a b c" "cp a b" "cp x:/a y:/b" "cp x: b" "port-forward" \
		"port-forward x" "analyze" "analyze plot" "analyze draw x" "ps x" "ps --format yaml" \
		"stats --format yaml" "kill -s NOPE x" "kill -s 99 x" "stop -t soon x" "stop -t -2 x" \
		"logs --tail many x" "logs --since yesterday x" "logs --since 5d x" \
		"port-forward x 80" "port-forward x 80:0" "port-forward x 70000:80" \
		"port-forward x a:b" "port-forward x nowhere:80:80" "port-forward --stream /s x 1 2" \
		"exec --privileged x true" "exec -d -i x true" "exec -t x true" "exec -e =x x true" \
		"exec --env-file /no/such x true" "frobnicate" "--frobnicate" "rm --frobnicate x" \
		"pull" "pull a b" "pull --parallel 17 a" "pull --platform a/b --all-platforms a" "push" \
		"rmi" "tag" "tag a" "tag a b c" "untag" "history" "history a b" "images a b" \
		"images --format yaml" "image frobnicate" "image prune x" "image check x" \
		"image inspect" "image tag a" "save" "save --format cake a" "save --format oci-dir a" \
		"save --all-platforms a" "load a" "import" "import a b c" "export" "export a b" "commit" \
		"commit a b c" "commit --pause=maybe a" "bundle" "bundle a" "bundle a b c" "login a b" "login --password-stdin a" \
		"login -u x -p y --password-stdin a" "logout a b" "inspect --type cake a"; do
		refused $words
	done
}

@test "each option of run that is given nonsense says so" {
	echo "=x" >"$T/env"
	for words in "--mount type=cake,target=/x" "--mount source=a" "--mount type=bind,target=/x" \
		"--mount type=bind,source=/no/such,target=/x" "--mount type=tmpfs,source=x,target=/x" \
		"--mount type=tmpfs,target=x" "--mount type=tmpfs,target=/x,tmpfs-size=much" \
		"--mount type=tmpfs,target=/x,tmpfs-mode=999" "--mount type=bind,colour=red" \
		"--mount type=tmpfs,target=/x,readonly=maybe" "--mount ," \
		"-v /x" "-v :/x" "-v /no/such:/x" "-v vol:x" "--tmpfs x" "--tmpfs /x:size=0" \
		"--ulimit nofile" "--ulimit nofile=x" "--ulimit nofile=5:4" "--ulimit =5" \
		"--ulimit cake=5" "--group-add staff" "--group-add 4294967295" \
		"--security-opt apparmor=x" "--security-opt seccomp=/no/such" \
		"--security-opt seccomp=/etc/passwd" "--pids-limit 0" "--pids-limit x" \
		"--container-memory 5" "--container-cpus 0" "--container-cpus many" "--cpus 65" \
		"-m 1M" "-m 2P" "--layer cake" "--layer-size 1G" "--journal data" "--journal cake" \
		"--layer disk --journal cake" "--layer disk --layer-size 5" "--stop-signal CAKE" \
		"--stop-timeout -1" "--label =x" "--socket-in /x" "--socket-in /x:" \
		"--socket-out /x:/y:z" "--socket-out /x:/y:0" "--add-host cake" "--dns cake" \
		"--sysctl cake" "--cap-add CAKE" "--cap-drop CAP_CAKE" "--platform cake" \
		"--platform linux/cake" "--machine cake" "--cidfile /etc/passwd" "--env-file $T/env" \
		"--env-file /no/such" "-e =x" "-w relative" "--hostname a/b" "--name ../x" \
		"--name -x" "-t" "-d --timing" "--rootfs /no/such" "-d --rootfs /no/such" \
		"-d --name ../x" "-d --kernel /no/such"; do
		refused run $words coffer/hello true
	done
	[ -z "$(ls -A "$COFFER_RUN" 2>/dev/null)" ]
}

@test "what is not there is told by name" {
	for words in "exec nope true" "logs nope" "inspect nope" "stats nope" "wait nope" "kill nope" \
		"stop nope" "pause nope" "unpause nope" "rm nope" "rm -f nope" "cp nope:/a b" \
		"port-forward nope 0:80" "analyze plot nope"; do
		coffer $words
		echo "$words: $status $stderr"
		[ "$status" -eq "$([[ $words == exec* ]] && echo 125 || echo 1)" ]
		one_line
		[ "$stderr" = "coffer: no such container: nope" ] || [[ $words == inspect* ]]
	done
	coffer inspect nope
	[ "$output" = "[]" ]
	[ "$stderr" = "coffer: no such container or image: nope" ]
	coffer inspect --type container nope
	[ "$stderr" = "coffer: no such container: nope" ]
	for words in "rmi nope" "untag nope" "tag nope x" "history nope" "inspect --type image nope" \
		"image inspect nope" "save nope" "load -i nope" "import nope" "export nope" "commit nope" \
		"bundle --pull never nope x" "run --pull never nope"; do
		coffer $words
		echo "$words: $status $stderr"
		[ "$status" -eq "$([[ $words == run* ]] && echo 125 || echo 1)" ]
		one_line
		[[ "$stderr" == *nope* ]]
	done
	coffer ps -q
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	coffer ps
	[ "${#lines[@]}" -eq 1 ]
	[[ "$output" == "CONTAINER ID"* ]]
}
