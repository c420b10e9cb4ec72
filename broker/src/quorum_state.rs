//! Kafka's note on disk of whom this node voted for in the metadata quorum (`quorum-state`).
//!
//! Kafka takes a node for a candidate when it starts and last voted for itself, also where it noted
//! beside that vote that another was elected. One that has lost its vote in the quorum meanwhile then
//! ends with "Local replica … must be in the set of voters", whenever it is started
//! (`QuorumState.initialize`). Where a leader is known Kafka grants no other vote in that epoch, so that
//! nothing depends on the vote any more.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use crate::disks::{METADATA_FOLDER, durable};

/// The note, in the folder of the metadata log.
const FILE: &str = "quorum-state";

/// Kafka's words for nobody: `ElectionState.NOT_VOTED` and `ReplicaKey.NO_DIRECTORY_ID`.
const NOBODY: i32 = -1;
const NO_DIRECTORY: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Takes a vote of this node for itself back, if another leads; whether there was one. What cannot be
/// understood is left to Kafka.
///
/// # Errors
/// Where the disk cannot be read or written.
pub(crate) fn forget_own_vote(log: &Path, node_id: i32) -> io::Result<bool> {
    let path = log.join(METADATA_FOLDER).join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let Ok(mut state) = serde_json::from_slice::<Map<String, Value>>(&bytes) else {
        return Ok(false);
    };
    let id = |key: &str| state.get(key).and_then(Value::as_i64);
    let led_by_another = id("leaderId").is_some_and(|id| id >= 0 && id != i64::from(node_id));
    if !led_by_another || id("votedId") != Some(node_id.into()) {
        return Ok(false);
    }
    state.insert("votedId".to_owned(), NOBODY.into());
    // Before the quorum was dynamic the note had no such word.
    if let Some(directory) = state.get_mut("votedDirectoryId") {
        *directory = NO_DIRECTORY.into();
    }
    durable::replace(&path, &serde_json::to_vec(&state)?)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    /// What is left of a note of node 1, and whether a vote was taken back.
    fn forgotten(text: &str) -> (String, bool) {
        let scratch = Scratch::new();
        let name = format!("{METADATA_FOLDER}/{FILE}");
        scratch.write(&name, text);
        let forgotten = forget_own_vote(scratch.path(), 1).unwrap();
        (std::fs::read_to_string(scratch.path().join(name)).unwrap(), forgotten)
    }

    #[test]
    fn a_vote_for_itself_is_taken_back_where_another_leads() {
        let (left, forgotten) = forgotten(
            r#"{"leaderId":10002,"leaderEpoch":2,"votedId":1,"votedDirectoryId":"NNi49b-IFlu2YvVs2RkzFg","data_version":1}"#,
        );
        assert!(forgotten);
        let left: Value = serde_json::from_str(&left).unwrap();
        let expected = serde_json::json!({
            "leaderId": 10002, "leaderEpoch": 2, "votedId": -1,
            "votedDirectoryId": "AAAAAAAAAAAAAAAAAAAAAA", "data_version": 1,
        });
        assert_eq!(left, expected);
    }

    #[test]
    fn a_note_of_the_first_version_gets_no_further_words() {
        let before = r#"{"leaderId":2,"leaderEpoch":2,"votedId":1,"data_version":0}"#;
        let after = r#"{"data_version":0,"leaderEpoch":2,"leaderId":2,"votedId":-1}"#;
        assert_eq!(forgotten(before), (after.to_owned(), true));
    }

    #[test]
    fn every_other_note_stays_as_it_is() {
        for text in [
            r#"{"leaderId":-1,"leaderEpoch":2,"votedId":1,"data_version":1}"#,
            r#"{"leaderId":1,"leaderEpoch":2,"votedId":1,"data_version":1}"#,
            r#"{"leaderId":2,"leaderEpoch":2,"votedId":2,"data_version":1}"#,
            r#"{"leaderId":2,"leaderEpoch":2,"votedId":-1,"data_version":1}"#,
            "torn",
        ] {
            assert_eq!(forgotten(text), (text.to_owned(), false));
        }
        assert!(!forget_own_vote(Scratch::new().path(), 1).unwrap(), "never started");
    }
}
