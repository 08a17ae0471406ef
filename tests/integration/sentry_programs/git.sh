export GIT_AUTHOR_DATE='2020-01-01 00:00:00 +0000' GIT_COMMITTER_DATE='2020-01-01 00:00:00 +0000'
export GIT_CONFIG_NOSYSTEM=1 HOME=$PWD
git config --global user.name n; git config --global user.email e@example.org
git config --global init.defaultBranch main; git config --global protocol.file.allow always
git init -q one; cd one || exit
for i in $(seq 30); do mkdir -p d$i; echo "$i" > d$i/f; done
git add .; git commit -qm first; echo more >> d1/f; git commit -qam second; cd ..
git clone -q one two; cd two || exit
git log --oneline; git fsck; git status --short; git diff HEAD~1 --stat; git gc -q; git rev-parse HEAD
git branch b; git checkout -q b; echo z > z; git add z; git commit -qm third; git checkout -q main
git merge -q b; git log --format=%s
cd .. || exit
git clone -q --no-local file://$PWD/two three && git -C three ls-files | wc -l
