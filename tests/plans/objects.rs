//! What nodes are given, in full: `server.properties` and the pod template of one broker, one
//! Colocated node and one Dedicated controller.

use std::fs;
use std::path::Path;

use ottla_plan::object::Kind;
use ottla_tests::world::{World, manifest};

/// The example, the node, and what it is.
const NODES: [(&str, &str, &str); 3] = [
    ("production", "payments-broker-1", "broker"),
    ("production", "payments-controller-10001", "dedicated-controller"),
    ("quickstart", "orders-broker-0", "colocated-node"),
];

#[test]
fn objects_of_nodes_are_as_written() {
    let generate = std::env::var_os("OTTLA_GENERATE").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/objects");
    let mut stale = Vec::new();
    for (example, node, file) in NODES {
        for (file, today) in rendered(example, node, file) {
            let path = folder.join(&file);
            if generate {
                fs::write(&path, &today).unwrap();
            }
            let written = fs::read_to_string(&path).unwrap_or_default();
            if written != today {
                stale.push(format!("{file}: {}", super::difference(&written, &today)));
            }
        }
    }
    assert!(stale.is_empty(), "{}\n\n{}", stale.join("\n\n"), super::GENERATE);
}

#[test]
fn no_file_is_left_over() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/objects");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = NODES.iter().any(|(_, _, file)| {
            name == format!("{file}.properties") || name == format!("{file}.yaml")
        });
        assert!(known, "nothing writes tests/plans/objects/{name}: remove it");
    }
}

/// File names and contents, from a cluster that was just made.
fn rendered(example: &str, node: &str, file: &str) -> [(String, String); 2] {
    let path = super::root().join(format!("examples/{example}.yaml"));
    let mut world = World::new(manifest(&fs::read_to_string(path).unwrap()).unwrap());
    for _ in 0..3 {
        world.pass().unwrap();
    }
    let set = &world.store().get(Kind::StatefulSet, node).unwrap().live;
    let template = set.pointer("/spec/template").unwrap();
    let configuration = ottla_plan::resources::stateful_set::configuration(set).unwrap();
    let configuration = &world.store().get(Kind::ConfigMap, configuration).unwrap().live;
    let properties = configuration["data"]["server.properties"].as_str().unwrap().to_owned();
    let title = format!("# {node} of examples/{example}.yaml: ");
    [
        (format!("{file}.properties"), format!("{title}server.properties.\n{properties}")),
        (
            format!("{file}.yaml"),
            format!("{title}the pod template.\n{}", serde_yaml::to_string(template).unwrap()),
        ),
    ]
}
