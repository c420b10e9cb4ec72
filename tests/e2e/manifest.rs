//! The examples that people are given, and small changes to them.

use anyhow::Context as _;
use serde_json::{Map, Value};

const QUICKSTART: &str = include_str!("../../examples/quickstart.yaml");
const PRODUCTION: &str = include_str!("../../examples/production.yaml");

/// `examples/quickstart.yaml`, as it is.
pub(crate) fn quickstart() -> anyhow::Result<Value> {
    serde_yaml::from_str(QUICKSTART).context("examples/quickstart.yaml is no YAML")
}

/// A quickstart whose JVMs compile once and quickly, as no scenario uses them for long: it takes half of the
/// processor's time.
pub(crate) fn short_lived() -> anyhow::Result<Value> {
    let options = serde_json::json!(["-XX:TieredStopAtLevel=1"]);
    with(&quickstart()?, &[("/spec/brokers/jvm/options", options)])
}

/// `examples/production.yaml`, as it is.
pub(crate) fn production() -> anyhow::Result<Value> {
    serde_yaml::from_str(PRODUCTION).context("examples/production.yaml is no YAML")
}

/// One node alone.
pub(crate) fn single(name: &str) -> anyhow::Result<Value> {
    let one = serde_json::json!(1);
    let changes = [
        ("/metadata/name", serde_json::json!(name)),
        ("/spec/brokers/replicas", one.clone()),
        ("/spec/controllers/replicas", one),
    ];
    with(&short_lived()?, &changes)
}

/// Sets one field, found by a JSON pointer; objects on the way are made. `null` removes it.
pub(crate) fn set(tree: &mut Value, pointer: &str, value: Value) -> anyhow::Result<()> {
    let (parent, last) = pointer.rsplit_once('/').context("a pointer begins with /")?;
    let mut place = &mut *tree;
    for step in parent.split('/').skip(1) {
        place = match place {
            Value::Array(items) => {
                items.get_mut(step.parse::<usize>()?).context("no such item in the list")?
            }
            other => {
                if other.is_null() {
                    *other = Value::Object(Map::new());
                }
                &mut other[unescaped(step)]
            }
        };
    }
    if let (Value::Object(fields), Value::Null) = (&mut *place, &value) {
        fields.remove(&unescaped(last));
    } else if let Value::Array(items) = place {
        *items.get_mut(last.parse::<usize>()?).context("no such item in the list")? = value;
    } else {
        place[unescaped(last)] = value;
    }
    Ok(())
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// A copy with these fields set.
pub(crate) fn with(base: &Value, changes: &[(&str, Value)]) -> anyhow::Result<Value> {
    let mut changed = base.clone();
    for (pointer, value) in changes {
        set(&mut changed, pointer, value.clone())
            .with_context(|| format!("could not set {pointer}"))?;
    }
    Ok(changed)
}
