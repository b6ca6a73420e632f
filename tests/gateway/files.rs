//! Envoy accepts every golden file.

use std::path::Path;
use std::process::Command;

/// Golden configurations, and where Envoy finds the files that they name.
const CASES: [&str; 4] = ["empty", "everything", "move", "shared"];

#[test]
fn envoy_accepts_the_golden_files() {
    let envoy = roadstead_ground::envoy::envoy().unwrap();
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/gateway/golden").join(case);
        copy(&golden, folder.path(), &folder.path().display().to_string());
        let output = Command::new(&envoy)
            .args(["--mode", "validate", "--reject-unknown-dynamic-fields", "-c"])
            .arg(folder.path().join("bootstrap.json"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{case}: {said}");
    }
}

fn copy(from: &Path, to: &Path, files: &str) {
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target, files);
        } else {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            std::fs::write(target, text.replace("/run/roadstead", files)).unwrap();
        }
    }
}
