//! What the API server itself noted of an operator's writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use serde_json::Value;

use super::server::User;

/// One write that reached the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub(crate) verb: String,
    /// Plural resource name and object name.
    pub(crate) object: String,
    /// The status code that it was answered with.
    pub(crate) code: i64,
}

impl Write {
    /// Whether it came to something.
    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it deletes.
    pub(crate) fn deletes(&self) -> bool {
        self.verb.starts_with("delete")
    }
}

/// The audit log.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    file: PathBuf,
}

impl Audit {
    /// The log in a file.
    pub(crate) fn of(file: PathBuf) -> Self {
        Self { file }
    }

    /// Everything that a user wrote in a namespace so far, events and leases aside.
    pub(crate) fn writes(&self, user: User, namespace: &str) -> anyhow::Result<Vec<Write>> {
        self.all_writes(user, namespace)
            .map(|writes| writes.into_iter().filter(|write| !is_chatter(write)).collect())
    }

    /// The same with events and leases.
    pub(crate) fn all_writes(&self, user: User, namespace: &str) -> anyhow::Result<Vec<Write>> {
        let sign = format!("\"namespace\":\"{namespace}\"");
        let mut writes = Vec::new();
        for line in BufReader::new(File::open(&self.file)?).lines() {
            let line = line?;
            if line.contains(&sign) {
                let entry: Value = serde_json::from_str(&line)?;
                writes.extend(write(&entry, user, namespace));
            }
        }
        Ok(writes)
    }

    /// Every object that was written, and how often it was created as far as the server could tell:
    /// where the caller was gone before the answer, no code says that the write was carried out.
    pub(crate) fn written(
        &self,
        user: User,
        namespace: &str,
    ) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut written = BTreeMap::new();
        for write in self.writes(user, namespace)? {
            let created = write.code == i64::from(http::StatusCode::CREATED.as_u16());
            *written.entry(without_hash(&write.object)).or_default() += usize::from(created);
        }
        Ok(written)
    }
}

/// A node's configuration is named by the hash of a content that chance has a part in.
fn without_hash(object: &str) -> String {
    match object.rsplit_once('-') {
        Some((name, hash)) if hash.len() == HASH_LENGTH && is_hexadecimal(hash) => {
            format!("{name}-CONFIGURATION")
        }
        _ => object.to_owned(),
    }
}

const HASH_LENGTH: usize = 16;

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_chatter(write: &Write) -> bool {
    write.object.starts_with("events/") || write.object.starts_with("leases/")
}

fn write(entry: &Value, user: User, namespace: &str) -> Option<Write> {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
    let ours = text("/user/username") == Some(user.name())
        && text("/objectRef/namespace") == Some(namespace);
    ours.then(|| Write {
        verb: text("/verb").unwrap_or_default().to_owned(),
        object: format!(
            "{}/{}",
            text("/objectRef/resource").unwrap_or_default(),
            text("/objectRef/name").unwrap_or_default()
        ),
        code: entry.pointer("/responseStatus/code").and_then(Value::as_i64).unwrap_or_default(),
    })
}
