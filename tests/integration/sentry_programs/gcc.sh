mkdir src
printf '%s\n' 'OBJS = $(patsubst src/%.c,obj/%.o,$(sort $(wildcard src/*.c)))' 'prog: $(OBJS)' \
	'	gcc -o $@ $(OBJS)' 'obj/%.o: src/%.c' '	@mkdir -p obj' '	gcc -O1 -Wall -c -o $@ $<' > Makefile
for i in 1 2 3 4; do echo "int f$i(int x) { return x * $i; }" > src/f$i.c; done
printf '%s\n' 'int f1(int), f2(int), f3(int), f4(int), printf(const char *, ...);' \
	'int main(void) { return printf("%d\n", f1(1) + f2(2) + f3(3) + f4(4)) < 0; }' > src/main.c
make -j2 2>&1 | sort; ./prog; touch src/f2.c; make 2>&1 | wc -l; make -q; echo $?
gcc -static -o st src/*.c && ./st; echo 'int main(' | gcc -x c - 2>&1 | tail -1
