//! Every file of the fuzzers' corpus, as an ordinary test: what was found once stays mended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../fuzz/subjects.rs"]
mod subjects;

/// A subject, as a fuzz target of this name calls it.
type Subject = fn(&[u8]);

const SUBJECTS: [(&str, Subject); 5] = [
    ("kubeconfig", subjects::kubeconfig),
    ("manifest", subjects::manifest),
    ("member", subjects::member),
    ("numbers", subjects::numbers),
    ("text", subjects::text),
];

#[test]
fn every_file_of_the_corpus_is_read_without_a_panic() {
    for (name, subject) in SUBJECTS {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 3, "{} has no corpus", folder.display());
        for file in files {
            println!("{}", file.display());
            subject(&std::fs::read(file).unwrap());
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
