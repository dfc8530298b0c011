//! The daemon never touches the lower: proved by looking at every system call it makes.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::support::{Rig, can_mount, measured, read, sh, skip, wait_for};

#[test]
fn no_call_of_the_daemon_names_the_lower() {
    if !can_mount("daemon_alone::strace") {
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        skip("daemon_alone::strace", "needs strace");
        return;
    }
    let rig = Rig::mounted(
        |lower| sh("mkdir d; for i in 1 2 3; do echo $i > d/f$i; done", lower).clear(),
        &[],
    );
    let pid = rig.pid().unwrap().to_string();
    let trace = rig.root.join("trace");
    // `-y` writes the path of every descriptor, so that a call on an open lower directory shows as well.
    let mut strace = Command::new("strace")
        .args(["-f", "-y", "-s", "200", "-o"])
        .arg(&trace)
        .args(["-p", &pid])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("strace to attach", || {
        std::fs::metadata(&trace).is_ok_and(|m| m.len() > 0)
            || sh(&format!("grep TracerPid /proc/{pid}/status"), &rig.root)
                .trim()
                .ends_with(|c: char| c != '0' && c.is_ascii_digit())
    });
    sh(
        "cat d/*; echo new > d/new; mkdir e; mv d/f1 e; rm d/f2",
        &rig.mnt,
    );
    rig.run(&["sync"]).ok();
    sh("echo below > d/below; rm e/f1", &rig.lower);
    rig.run(&["sync"]).ok();
    rig.run(&["offline"]).ok();
    sh("echo again > d/new", &rig.mnt);
    rig.online().ok();
    let _ = Command::new("kill")
        .args(["-INT", &strace.id().to_string()])
        .status();
    let _ = strace.wait();
    let told = read(&trace);
    let lower = rig.lower.to_str().unwrap();
    let agents = agents_in(&told);
    let mut calls = 0;
    for line in told.lines() {
        let Some((who, call)) = line.split_once(' ') else {
            continue;
        };
        if agents.contains(who) {
            continue;
        }
        calls += 1;
        let call = call.trim_start();
        // Messages to the agent and the reading of mountinfo carry the name as data; what counts is a call upon it.
        let carries = [
            "sendmsg(",
            "recvmsg(",
            "sendto(",
            "recvfrom(",
            "write(",
            "read(",
            "pwrite64(",
            "pread64(",
            "writev(",
            "readv(",
            "execve(",
        ]
        .iter()
        .any(|c| call.starts_with(c));
        let on_fd = call.contains(&format!("<{lower}"));
        assert!(
            !on_fd && (carries || !call.contains(&format!("\"{lower}"))),
            "the daemon touched the lower: {line}"
        );
    }
    assert!(
        calls > 200,
        "the trace has only {calls} calls of the daemon"
    );
    measured(&format!(
        "{calls} system calls of the daemon looked at, none on the lower"
    ));
}

/// Numbers of the processes and threads that are agents: children are followed too, and told apart by the execve that
/// makes them; what those start are agents as well.
fn agents_in(trace: &str) -> BTreeSet<String> {
    let mut agents = BTreeSet::new();
    let mut started = Vec::new();
    for line in trace.lines() {
        let Some((who, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if call.starts_with("execve(") {
            agents.insert(who.to_string());
        }
        let starts = [
            "clone(",
            "clone3(",
            "fork(",
            "vfork(",
            "<... clone",
            "<... fork",
            "<... vfork",
        ];
        if starts.iter().any(|start| call.starts_with(start))
            && let Some((_, child)) = call.rsplit_once("= ")
        {
            started.push((
                who.to_string(),
                child.split_whitespace().next().unwrap_or("").to_string(),
            ));
        }
    }
    loop {
        let more: Vec<String> = started
            .iter()
            .filter(|(who, child)| agents.contains(who) && !agents.contains(child))
            .map(|(_, child)| child.clone())
            .collect();
        if more.is_empty() {
            return agents;
        }
        agents.extend(more);
    }
}
