//! The program itself: signals, exit codes and faults.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_roadstead-engine"))
        .args(arguments)
        .args(["--host", "127.0.0.1", "--port", "0"])
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_until_it_serves(child: &mut Child) {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("serving m at 127.0.0.1:"), "{line}");
}

fn terminate(child: &Child) {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
}

#[test]
fn sigterm_ends_it_with_exit_code_0() {
    let mut child = start(&["serve", "m"], &[]);
    wait_until_it_serves(&mut child);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_failing_start_says_why() {
    let output = start(&["m"], &[("ENGINE_FAULT", "fail-start")]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("the model m cannot be loaded"), "{message}");
}

#[test]
fn it_ends_by_itself_when_told() {
    let output = start(&["m", "--engine-exit-after-seconds", "0.1"], &[("ENGINE_EXIT_CODE", "7")]);
    assert_eq!(output.wait_with_output().unwrap().status.code(), Some(7));
}

#[test]
fn a_value_that_makes_no_sense_is_named() {
    let output = start(&["m"], &[("ENGINE_STARTUP_SECONDS", "soon")]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("ENGINE_STARTUP_SECONDS: \"soon\""), "{message}");
}
