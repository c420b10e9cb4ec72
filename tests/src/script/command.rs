//! The commands of a script.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use ottla_crds::agent::AgentState;
use ottla_crds::kafka_cluster::status::Operation;
use ottla_plan::explain;
use ottla_plan::object::Kind;
use serde_json::Value;

use super::settle::{live, settle};
use crate::world::{Agent, World, manifest};

/// Where a script plays.
pub(super) struct Stage {
    root: PathBuf,
    world: Option<World>,
}

impl Stage {
    pub(super) fn new(root: &Path) -> Stage {
        Stage { root: root.to_owned(), world: None }
    }

    /// Carries out one command and returns what it answers, most often nothing.
    pub(super) fn command(&mut self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["apply", file] = words[..] {
            return self.apply(file);
        }
        let world = self.world.as_mut().context("the first command must be `apply FILE`")?;
        match words[..] {
            ["plan"] => Ok(explain::text(&world.plan()?, world.observe().traces())),
            ["seen"] => Ok(explain::seen(&world.observe())),
            ["act"] => settle(world),
            ["live"] => live(world),
            ["up"] => up(world).map(|()| String::new()),
            ["status"] => Ok(status(world)),
            ["pods"] => Ok(pods(world)),
            ["objects"] => Ok(objects(world)),
            ["show", kind, name, path] => show(world, kind, name, path),
            _ => event(world, &words).map(|()| String::new()),
        }
    }

    fn apply(&mut self, file: &str) -> Result<String> {
        let path = self.root.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("no file {file}"))?;
        let cluster = manifest(&text)?;
        match &mut self.world {
            Some(world) => world.apply(cluster),
            None => self.world = Some(World::new(cluster)),
        }
        Ok(String::new())
    }
}

/// Brings the cluster up without telling how, which the bring-up scripts do.
fn up(world: &mut World) -> Result<()> {
    settle(world)?;
    world.start_pods();
    settle(world)?;
    world.run_nodes();
    settle(world)?;
    Ok(())
}

/// Something happens in the world.
fn event(world: &mut World, words: &[&str]) -> Result<()> {
    let rest = |from: usize| words[from..].join(" ");
    match words[..] {
        ["pods", "start"] => world.start_pods(),
        ["nodes", "run"] => world.run_nodes(),
        ["edit", path, ..] => {
            let path: Vec<&str> = path.split('.').collect();
            return world.edit(&path, value(&rest(2))?);
        }
        ["annotate", "cluster", pair] => {
            let (key, text) = pair.split_once('=').context("KEY=VALUE is missing")?;
            return world.edit(&["metadata", "annotations", key], text.into());
        }
        ["annotate", kind, name, pair] => return annotate(world, kind, name, pair),
        ["node", id, ..] => return node(world, id.parse()?, &words[2..]),
        ["kafka", "silent", ..] => world.silence_kafka(Some(&rest(2))),
        ["kafka", "refuses", key] => world.refuse_key(key),
        ["kafka", "is", "told", key, value] => world.set_config(key, value),
        ["kafka", "answers"] => world.silence_kafka(None),
        ["kafka", "copies"] => while world.copy() {},
        ["kafka", "adds", "partition", "on", id] => {
            if !world.add_records(id.parse()?) {
                bail!("there are too few brokers, or too many partitions");
            }
        }
        ["kafka", "moves", "partition", index, "to", id] => {
            if !world.move_by_hand(index.parse()?, id.parse()?) {
                bail!("it cannot be moved there");
            }
        }
        ["kafka", "holds", "back", "broker", id, "in", partition] => {
            return world.hold_back(partition, id.parse()?, true).map(drop);
        }
        ["kafka", "lets", "broker", id, "catch", "up", "in", partition] => {
            return world.hold_back(partition, id.parse()?, false).map(drop);
        }
        ["kafka", "hears", "nothing", "of", id] => world.cut_off(id.parse()?, true),
        ["kafka", "hears", "of", id, "again"] => world.cut_off(id.parse()?, false),
        ["delete", "cluster,", "and", "create", "it", "again"] => world.recreate(),
        ["delete", "Pod", name] => return world.delete_pod(name),
        ["delete", kind, name] => return world.delete(kind_of(kind)?, name),
        ["change", kind, name, path, ..] => {
            let keys: Vec<String> = path.split('/').map(key).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            return world.change(kind_of(kind)?, name, &keys, value(&rest(4))?);
        }
        ["stranger", kind, name] => return world.add_stranger(kind_of(kind)?, name),
        ["unlabel", kind, name] => return world.strip_label(kind_of(kind)?, name),
        ["disks", "grow", "only", "at", "starts"] => world.grow_disks_at_starts(),
        ["disk", volume, "of", "node", id, "fills"] => world.fill_disk(id.parse()?, volume),
        ["disk", volume, "of", "broker", id, "breaks"] => world.break_disk(id.parse()?, volume),
        ["empty", "disk", claim] => return world.empty_disk(claim),
        ["swap", "disks", one, other] => return world.swap_disks(one, other),
        ["owner", installation] => world.own(installation),
        ["days", days] => return world.days(days.parse()?),
        _ => bail!("this command is not understood"),
    }
    Ok(())
}

fn node(world: &mut World, id: i32, words: &[&str]) -> Result<()> {
    let rest = || words[1..].join(" ");
    let speaks = |state| Agent::Speaks(state, Some(rest()).filter(|text| !text.is_empty()));
    let agent = match words.first() {
        Some(&"silent") => Agent::Silent(rest()),
        Some(&"stuck") => return world.stick_pod(id, &rest()),
        Some(&"running") => speaks(AgentState::Running),
        Some(&"recovering") => speaks(AgentState::Recovering),
        Some(&"catching-up") => speaks(AgentState::CatchingUp),
        Some(&"stopping") => speaks(AgentState::Stopping),
        _ => bail!("no such state of a node"),
    };
    world.set_agent(id, agent)
}

/// `$uid` stands for the object's own UID.
fn annotate(world: &mut World, kind: &str, name: &str, pair: &str) -> Result<()> {
    let kind = kind_of(kind)?;
    let (key, text) = pair.split_once('=').context("KEY=VALUE is missing")?;
    let child = world.store().get(kind, name).with_context(|| format!("there is no {name}"))?;
    let text = text.replace("$uid", &child.uid);
    world.change(kind, name, &["metadata", "annotations", key], text.into())
}

fn kind_of(word: &str) -> Result<Kind> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
    kind.ok_or_else(|| anyhow!("no kind `{word}`"))
}

/// A slash inside a key is written `~1`, as in JSON pointers.
fn key(part: &str) -> String {
    part.replace("~1", "/")
}

fn value(text: &str) -> Result<Value> {
    serde_yaml::from_str(text).with_context(|| format!("`{text}` is no YAML"))
}

/// A part of a live object.
fn show(world: &World, kind: &str, name: &str, path: &str) -> Result<String> {
    let child = world.store().get(kind_of(kind)?, name);
    let child = child.with_context(|| format!("there is no {name}"))?;
    let part = path.split('/').try_fold(&*child.live, |part, key| part.get(key));
    Ok(format!("{}\n", part.unwrap_or(&Value::Null)))
}

/// Every pod with its UID: one that was replaced has another.
fn pods(world: &World) -> String {
    let line = |(name, uid, ready): (&str, &str, bool)| {
        format!("{name} {uid}{}\n", if ready { " ready" } else { "" })
    };
    world.pods().map(line).collect()
}

fn objects(world: &World) -> String {
    world.store().iter().map(|((kind, name), _)| format!("{} {name}\n", kind.word())).collect()
}

/// The conditions, as `kubectl describe` shows them.
fn status(world: &World) -> String {
    let status = world.status();
    let lines = status.conditions.iter().map(|condition| {
        format!(
            "{}={} {}: {}\n",
            condition.type_, condition.status, condition.reason, condition.message
        )
    });
    lines.chain(status.operation.as_ref().map(operation)).collect()
}

/// `status.operation`: how far it is, and since when it waits for what.
fn operation(operation: &Operation) -> String {
    let Operation { name, done, of, since, .. } = operation;
    let waits = operation.waiting_since.as_ref().zip(operation.waiting_on.as_ref());
    let waits = waits.map(|(since, what)| format!(", since {since}: {what}")).unwrap_or_default();
    format!("operation {name} {done}/{of} since {since}{waits}\n")
}
