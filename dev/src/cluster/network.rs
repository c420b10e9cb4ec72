//! The network: a bridge on this machine, a namespace for each node, routes between pods.

use std::path::Path;

use crate::cluster::state::{
    API_PORT, HOST_ADDRESS, KUBERNETES_NODES, KubernetesNode, NODE_NETWORK, POD_NETWORK,
    SERVICE_NETWORK,
};
use crate::command::{command, run, run_with_input, succeeds};

/// The bridge; this machine has [`HOST_ADDRESS`] on it.
const BRIDGE: &str = "ottla0";

/// The nftables table in this machine's own namespace.
const TABLE: &str = "ottla-dev";

/// Makes the bridge, and the way from the loopback address to the API server.
pub(crate) fn create_bridge() -> anyhow::Result<()> {
    if !link_exists(BRIDGE) {
        // A bridge without an address of its own takes one from its cables, and another one
        // when a cable goes: the other nodes would call the old one for half a minute.
        ip(&format!("link add {BRIDGE} address {} type bridge", hardware_address(0)))?;
    }
    ip(&format!("address replace {HOST_ADDRESS}/24 dev {BRIDGE}"))?;
    ip(&format!("link set {BRIDGE} up"))?;
    // The API server listens on the bridge alone, so that no other machine can reach it.
    let rules = format!(
        "table ip {TABLE} {{}}
         flush table ip {TABLE}
         table ip {TABLE} {{
           chain output {{
             type nat hook output priority -100
             ip daddr 127.0.0.1 tcp dport {API_PORT} dnat to {HOST_ADDRESS}:{API_PORT}
           }}
         }}"
    );
    run_with_input(&mut command("nft", ["-f", "-"]), rules.as_bytes())?;
    Ok(())
}

/// Whether the node's namespace and cable are as [`create_node`] leaves them.
pub(crate) fn is_whole(node: &KubernetesNode) -> bool {
    let inside = format!("-n {} address show dev eth0", node.namespace());
    Path::new("/run/netns").join(node.namespace()).exists()
        && link_exists(&node.link())
        && ip(&inside).is_ok_and(|text| text.contains(&format!("inet {}/24", node.address())))
}

/// Makes the namespace of a node and its cable.
pub(crate) fn create_node(node: &KubernetesNode) -> anyhow::Result<()> {
    let (namespace, link) = (node.namespace(), node.link());
    remove_node(node)?;
    ip(&format!("netns add {namespace}"))?;
    let address = hardware_address(node.number);
    let peer = format!("peer name eth0 address {address} netns {namespace}");
    ip(&format!("link add {link} type veth {peer}"))?;
    ip(&format!("-n {namespace} link set lo up"))?;
    ip(&format!("-n {namespace} address add {}/24 dev eth0", node.address()))?;
    ip(&format!("-n {namespace} link set eth0 up"))?;
    run(&mut command(
        "nsenter",
        [&format!("--net=/run/netns/{namespace}"), "sysctl", "-qw", "net.ipv4.ip_forward=1"],
    ))?;
    Ok(())
}

/// Plugs the nodes into the bridge and makes the routes to every node's pods, on this machine
/// and between the nodes.
pub(crate) fn connect() -> anyhow::Result<()> {
    for target in &KUBERNETES_NODES {
        ip(&format!("link set {} master {BRIDGE} up", target.link()))?;
        let route = format!("route replace {} via {}", target.pod_network(), target.address());
        ip(&route)?;
        for source in KUBERNETES_NODES.iter().filter(|source| source.name != target.name) {
            ip(&format!("-n {} {route}", source.namespace()))?;
        }
        // Only so that the kernel looks for a way at all; kube-proxy changes the address.
        let services = format!("route replace {SERVICE_NETWORK} dev eth0");
        ip(&format!("-n {} {services}", target.namespace()))?;
    }
    // This machine reaches Services through the kube-proxy of the first node.
    ip(&format!("route replace {SERVICE_NETWORK} via {}", KUBERNETES_NODES[0].address()))?;
    Ok(())
}

/// Removes the namespace of a node and its cable.
pub(crate) fn remove_node(node: &KubernetesNode) -> anyhow::Result<()> {
    // First, because it would go with the namespace, but at a time of the kernel's choice.
    if link_exists(&node.link()) {
        ip(&format!("link delete {}", node.link()))?;
    }
    if Path::new("/run/netns").join(node.namespace()).exists() {
        ip(&format!("netns delete {}", node.namespace()))?;
    }
    Ok(())
}

/// Removes everything.
pub(crate) fn remove() -> anyhow::Result<()> {
    for node in &KUBERNETES_NODES {
        remove_node(node)?;
    }
    if link_exists(BRIDGE) {
        ip(&format!("link delete {BRIDGE}"))?;
    }
    if succeeds(&mut command("nft", ["list", "table", "ip", TABLE])) {
        run(&mut command("nft", ["delete", "table", "ip", TABLE]))?;
    }
    Ok(())
}

/// Says what else on this machine uses the addresses, if anything does.
pub(crate) fn conflict() -> Option<String> {
    let routes = run(&mut command("ip", ["-4", "route"])).ok()?;
    foreign_route(&routes).map(str::to_owned)
}

/// The first route into one of our networks that is not ours.
fn foreign_route(routes: &str) -> Option<&str> {
    // `10.97.` of `10.97.0.0/24`.
    let prefixes = [NODE_NETWORK, POD_NETWORK, SERVICE_NETWORK]
        .map(|network| network.split_once("0.0/").map_or(network, |(prefix, _)| prefix));
    let is_inside = |route: &str| prefixes.iter().any(|prefix| route.starts_with(prefix));
    routes.lines().find(|route| is_inside(route) && !is_ours(route))
}

/// Whether the route leads to our bridge or to one of our nodes.
fn is_ours(route: &str) -> bool {
    let words: Vec<&str> = route.split_whitespace().collect();
    words.windows(2).any(|pair| match pair {
        ["dev", link] => *link == BRIDGE,
        ["via", address] => KUBERNETES_NODES.iter().any(|node| node.address() == *address),
        _ => false,
    })
}

/// An address that stays the same when what has it is made anew.
fn hardware_address(number: u8) -> String {
    format!("02:00:0a:61:00:{number:02x}")
}

fn link_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

fn ip(words: &str) -> anyhow::Result<String> {
    run(&mut command("ip", words.split(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_routes_are_no_conflict() {
        let routes = "default via 192.168.1.1 dev eth0\n\
            10.9.0.0/24 dev eth1 scope link\n\
            10.97.0.0/24 dev ottla0 proto kernel scope link src 10.97.0.1\n\
            10.98.1.0/24 via 10.97.0.11 dev ottla0\n\
            10.98.2.0/24 via 10.97.0.12\n\
            10.99.0.0/16 via 10.97.0.11 dev ottla0\n";
        assert_eq!(foreign_route(routes), None);
    }

    #[test]
    fn a_foreign_route_into_any_of_our_networks_is_a_conflict() {
        for route in [
            "10.97.0.0/24 dev docker0 proto kernel scope link src 10.97.0.1",
            "10.97.0.11 dev tun0 scope link",
            "10.98.3.0/24 via 10.97.0.110 dev eth0",
            "10.99.0.0/16 dev ottla01 scope link",
        ] {
            let routes = format!("default via 192.168.1.1 dev eth0\n{route}\n");
            assert_eq!(foreign_route(&routes), Some(route));
        }
    }
}
