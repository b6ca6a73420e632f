//! Readers of untrusted bytes: every file of the fuzzers' corpus, and mutations of these files from a fixed seed.
//!
//! `make fuzz` searches longer and with coverage. This test needs no other build, so it runs with every `make test`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod mutate;
#[path = "../../fuzz/subjects.rs"]
mod subjects;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use mutate::Mutator;

/// A subject, as a fuzz target of this name calls it.
type Subject = fn(&[u8]);

const SUBJECTS: [(&str, Subject); 5] = [
    ("kubeconfig", subjects::kubeconfig),
    ("manifest", subjects::manifest),
    ("member", subjects::member),
    ("numbers", subjects::numbers),
    ("text", subjects::text),
];

/// Mutated inputs for each subject: a few seconds of work.
const INPUTS: u32 = 1_500;

/// Seed of the mutations: fixed, so that a failure comes from a change of the code.
const SEED: u64 = 1_795_846_671;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The corpus of a subject, sorted by file name.
fn corpus(subject: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("fuzz/corpus").join(subject);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 3, "{} has no corpus", folder.display());
    files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

#[test]
fn every_file_of_the_corpus_is_read_without_a_panic() {
    for (name, subject) in SUBJECTS {
        for (file, input) in corpus(name) {
            println!("{}", file.display());
            subject(&input);
        }
    }
}

#[test]
fn mutations_of_the_corpus_are_read_without_a_panic() {
    for (name, subject) in SUBJECTS {
        let inputs: Vec<Vec<u8>> = corpus(name).into_iter().map(|(_, input)| input).collect();
        let mut mutator = Mutator::new(SEED, &inputs);
        for number in 0..INPUTS {
            let input = mutator.next_input();
            if catch_unwind(|| subject(&input)).is_err() {
                let file = root().join("target").join(format!("found-{name}-{number}"));
                fs::write(&file, &input).unwrap();
                panic!("{name} panics on {}: copy it to fuzz/corpus/{name}/ and fix the reader", file.display());
            }
        }
    }
}

#[test]
fn every_fuzz_target_has_its_corpus_read_here() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let targets: Vec<&str> = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")).collect();
    let mut targets: Vec<&str> = targets.iter().filter_map(|line| line.strip_suffix(".rs\"")).collect();
    targets.sort_unstable();
    assert_eq!(targets, SUBJECTS.map(|(name, _)| name));
}
