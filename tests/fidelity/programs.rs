//! Programs that lean on the file system: databases, version control, compilers; locks, positions, odd calls.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::bed::{PLACES, back, everywhere, many, python};
use crate::support::{Rig, can_mount, scale, sh, trees};

#[test]
fn databases_in_every_journal_mode() {
    let prepare = "for m in delete truncate persist memory wal off; do sqlite3 $m.db \"PRAGMA journal_mode=$m; \
        CREATE TABLE t(who, i, data); CREATE TABLE sum(n); INSERT INTO sum VALUES(0)\" > ../made; done";
    let rounds = scale(5, 200).to_string();
    everywhere("databases", prepare, |dir, place| {
        python("databases.py", &[&rounds], dir, place);
    });
}

#[test]
fn version_control() {
    let prepare = "git init -qb main repo; cd repo; git config user.name n; git config user.email n@example.org; \
        for i in $(seq 40); do mkdir -p d$((i % 7)); seq $i $((i * 30)) > d$((i % 7))/f$i; done; ln -s d1/f1 link; \
        git add .; git commit -qm one; git mv d1 moved; git commit -qam two; chmod +x moved/f1; git commit -qam three";
    everywhere("version control", prepare, |dir, place| {
        let script = "git -C repo status --porcelain > status; test ! -s status; git clone -q repo clone; git -C clone fsck --strict \
            2> fsck; cd repo; git gc -q; git fsck --strict 2> ../fsck; git worktree add -q ../tree HEAD~1; git -C ../tree status \
            --porcelain > ../status; test ! -s ../status; git checkout -qb side; echo more >> moved/f1; git commit -qam side; git \
            checkout -q main; git merge -q side; git stash list; git log --oneline | wc -l; git worktree remove ../tree; cd ../clone; \
            git pull -q; git repack -adq; git status --porcelain; cmp moved/f1 ../repo/moved/f1";
        let told = sh(script, dir);
        assert_eq!(told.trim(), "4", "{place}: {told}");
    });
}

#[test]
fn locks() {
    everywhere("locks", "echo lock > lock", |dir, place| {
        python("locks.py", &[], dir, place);
    });
}

#[test]
fn positions_in_directories_and_long_paths() {
    let prepare = format!(
        "mkdir many; cd many; seq -f 'entry %.0f' {} | tr '\\n' '\\0' | xargs -0 touch",
        many() / 4
    );
    everywhere("directories", &prepare, |dir, place| {
        python("directories.py", &[], dir, place);
    });
}

#[test]
fn a_compiler_and_what_it_made() {
    let prepare = "for i in $(seq 12); do echo \"int f$i(int x) { return x + $i; }\" > f$i.c; done; \
        { for i in $(seq 12); do echo \"int f$i(int);\"; done; echo '#include <stdio.h>'; echo 'int main(void) { int x = 0;'; \
          for i in $(seq 12); do echo \"x = f$i(x);\"; done; echo 'printf(\"%d\\n\", x); return 0; }'; } > main.c; \
        printf 'prog: %s\\n\\tgcc -o $@ $^\\n%%.o: %%.c\\n\\tgcc -c -g -o $@ $<\\n' \"$(for i in $(seq 12); do echo -n \"f$i.o \"; done) main.o\" > Makefile";
    everywhere("compiler", prepare, |dir, place| {
        let told = sh(
            "make -s -j4; ./prog; make -q; touch f3.c; make -s; ar rc lib.a f*.o; ranlib lib.a; gcc -o again main.c lib.a; \
             ./again; strip again; ./again; gcc -shared -fPIC -o lib.so f1.c; gcc -o dyn -Wl,-rpath,$PWD main.c f[2-9].c f1?.c lib.so; ./dyn",
            dir,
        );
        assert_eq!(told, "78\n78\n78\n78\n", "{place}");
    });
}

#[test]
fn calls_answer_as_underneath() {
    if !can_mount("calls") {
        return;
    }
    let rig = Rig::new();
    for dir in [&rig.root, &rig.lower, &rig.mnt] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let native = rig.root.join("native");
    fs::create_dir(&native).unwrap();
    let below = python("calls.py", &[], &native, "underneath");
    sh(
        "for d in old-connected old-offline; do mkdir $d; for i in $(seq 20000); do printf 0123456789; done > $d/f; done",
        &rig.lower,
    );
    rig.mount(&["-o", "suid"]).ok();
    sh("cat old-*/f > ../read", &rig.mnt);
    let mut differing = Vec::new();
    for (from, state) in PLACES {
        if (from, state) == ("new", "offline") {
            rig.offline();
        }
        let dir = rig.mnt.join(format!("{from}-{state}"));
        if from == "new" {
            fs::create_dir(&dir).unwrap();
        }
        let here = python("calls.py", &[], &dir, state);
        let lines = below.lines().zip(here.lines()).filter(|(a, b)| a != b);
        differing.extend(
            lines.map(|(a, b)| format!("{from}, {state}:\n  underneath: {a}\n        here: {b}")),
        );
        assert_eq!(below.lines().count(), here.lines().count(), "{here}");
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    back(&rig);
    trees::assert_equal(&rig.mnt, &rig.lower);
}
