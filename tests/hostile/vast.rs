//! More levels and more entries than anybody makes by hand.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Rig, can_mount, measured, run_limited, scale, sh, sh_within};

const LONG: Duration = Duration::from_secs(900);

/// Goes down `levels` directories, from within; `at_bottom` is run there.
fn down(dir: &std::path::Path, levels: usize, make: bool, at_bottom: &str) -> String {
    let script = format!(
        "import os\nfor i in range({levels}):\n  {}\n  os.chdir('d')\n{at_bottom}",
        if make { "os.mkdir('d')" } else { "pass" }
    );
    let mut command = Command::new("python3");
    command.args(["-c", &script]).current_dir(dir);
    run_limited(&mut command, LONG).ok().out
}

#[test]
fn a_tree_of_many_levels_is_walked_changed_and_merged() {
    if !can_mount("vast::levels") {
        return;
    }
    let levels = scale(150, 1500);
    let rig = Rig::new();
    down(&rig.lower, levels, true, "open('f', 'w').write('bottom')");
    let began = Instant::now();
    rig.mount(&[]).ok();
    let until = Instant::now() + LONG;
    while rig.json(&["st"])["unlisted"] != 0 {
        assert!(Instant::now() < until, "not all names came");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(
        down(&rig.mnt, levels, false, "print(open('f').read())"),
        "bottom\n"
    );
    let edit = "open('f', 'w').write('mine'); os.mkdir('e'); open('e/g', 'w').write('new')";
    down(&rig.mnt, levels, false, edit);
    rig.run_within(&["sync"], LONG).ok();
    let told = down(
        &rig.lower,
        levels,
        false,
        "print(open('f').read(), open('e/g').read())",
    );
    assert_eq!(told, "mine new\n");
    rig.offline();
    sh_within("rm -r d", &rig.mnt, LONG);
    let ran = rig.run_within(&["online", "--wait"], LONG);
    if ran.code == 6 {
        rig.run_within(&["approve"], LONG).ok();
    } else {
        ran.ok();
    }
    rig.run_within(&["sync"], LONG).ok();
    assert!(!rig.lower.join("d").exists());
    measured(&format!(
        "{levels} levels walked, changed, removed and merged in {} s",
        began.elapsed().as_secs()
    ));
}

#[test]
fn a_directory_of_many_entries_is_listed_changed_and_merged() {
    if !can_mount("vast::entries") {
        return;
    }
    let count = scale(5_000, 100_000);
    let rig = Rig::new();
    sh_within(
        &format!("mkdir d; cd d; seq -f 'entry %.0f' {count} | tr '\\n' '\\0' | xargs -0 touch"),
        &rig.lower,
        LONG,
    );
    let began = Instant::now();
    rig.mount(&[]).ok();
    let told = sh_within(
        "set -o pipefail; find d -type f | wc -l; ls d | sort -u | wc -l",
        &rig.mnt,
        LONG,
    );
    assert_eq!(told, format!("{count}\n{count}\n"));
    let listed = began.elapsed();
    sh(
        "cd d; echo x > 'entry 7'; mv 'entry 8' moved; rm 'entry 9'; touch new; ln 'entry 10' linked",
        &rig.mnt,
    );
    rig.run_within(&["sync"], LONG).ok();
    let told = sh_within(
        "cat 'd/entry 7'; ls d | wc -l; stat -c %h d/linked; test -e d/moved -a ! -e 'd/entry 8' -a ! -e 'd/entry 9' -a -e d/new",
        &rig.lower,
        LONG,
    );
    assert_eq!(told, format!("x\n{}\n2\n", count + 1));
    measured(&format!(
        "{count} entries in one directory: listed in {:.1} s, changed and merged in {:.1} s",
        listed.as_secs_f64(),
        (began.elapsed() - listed).as_secs_f64()
    ));
}
