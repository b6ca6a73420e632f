//! A restart in a settled world.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::objects::{deployment, places};
use super::rig::{Rig, TEAM};

/// Long enough for every target to be checked and listed again.
const WATCHED: Duration = Duration::from_secs(5);

/// The new process looks at everything and finds nothing to write.
pub fn writes_nothing(rig: &Rig) -> anyhow::Result<()> {
    for target in places(&json!({})) {
        rig.apply(&target)?;
    }
    rig.apply(&deployment())?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    rig.quiet()?;
    rig.tape.rewind(None);
    rig.stop_operator();
    rig.start_operator()?;
    std::thread::sleep(WATCHED);
    ensure!(rig.tape.writes().is_empty(), "{:?}", rig.tape.writes());
    Ok(())
}
