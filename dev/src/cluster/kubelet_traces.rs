//! What kubelets change on this machine outside of the state folder, and how it is put back.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Context as _;

use crate::cluster::state::State;

/// Where the kernel shows its settings.
const KERNEL: &str = "/proc/sys";

/// The settings of the kernel that every kubelet sets as it likes them. They are the whole
/// machine's: a network namespace does not contain them.
const KERNEL_SETTINGS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// The file of the state folder that holds the settings as they were: `<name> <value>` a line.
const NOTE: &str = "kernel-settings";

/// Links to the logs of containers, in a place that nobody can choose.
const LOG_LINKS: &str = "/var/log/containers";

/// Where the kubelet started last waits for device plugins.
const DEVICE_SOCKET: &str = "/var/lib/kubelet/device-plugins/kubelet.sock";

/// The folders that kubelets make whatever they are told, each before the one that holds it.
const FOLDERS: [&str; 8] = [
    LOG_LINKS,
    "/var/log/pods",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/usr/libexec/kubernetes/kubelet-plugins/volume",
    "/usr/libexec/kubernetes/kubelet-plugins",
    "/usr/libexec/kubernetes",
];

/// Notes the settings of the kernel before the first kubelet starts; later ones see its changes.
pub(crate) fn note_kernel_settings(state: &State) -> anyhow::Result<()> {
    let note = state.path(NOTE);
    if note.exists() {
        return Ok(());
    }
    let lines: String = KERNEL_SETTINGS
        .iter()
        .filter_map(|name| Some(format!("{name} {}\n", kernel_setting(name)?)))
        .collect();
    // Renamed when it is whole, as it is never written again.
    let unfinished = note.with_extension("unfinished");
    fs::write(&unfinished, lines)
        .and_then(|()| fs::rename(&unfinished, &note))
        .with_context(|| format!("could not write {}", note.display()))
}

/// Puts back what was noted and removes what is left behind, once no kubelet runs any more.
pub(crate) fn remove(state: &State) -> anyhow::Result<()> {
    restore_kernel_settings(state)?;
    remove_links(Path::new(LOG_LINKS), state.root());
    // Another kubelet of this machine would answer on it.
    if UnixStream::connect(DEVICE_SOCKET).is_err() {
        let _ = fs::remove_file(DEVICE_SOCKET);
    }
    for folder in FOLDERS {
        // Refused where somebody else keeps something in it, which is as it should be.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

fn restore_kernel_settings(state: &State) -> anyhow::Result<()> {
    // Without a note no kubelet was started.
    let note = fs::read_to_string(state.path(NOTE)).unwrap_or_default();
    for (name, value) in changed(&note, kernel_setting) {
        fs::write(Path::new(KERNEL).join(name), value)
            .with_context(|| format!("could not set {name} back to {value}"))?;
    }
    Ok(())
}

/// None where the kernel has no such setting.
fn kernel_setting(name: &str) -> Option<String> {
    let value = fs::read_to_string(Path::new(KERNEL).join(name)).ok()?;
    Some(value.trim().to_owned())
}

/// The noted settings that are different now.
fn changed(note: &str, now: impl Fn(&str) -> Option<String>) -> Vec<(&str, &str)> {
    note.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, value)| {
            KERNEL_SETTINGS.contains(name) && now(name).is_some_and(|now| now != *value)
        })
        .collect()
}

/// Removes the links of this folder that lead to somewhere under `target`.
fn remove_links(folder: &Path, target: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        if fs::read_link(entry.path()).is_ok_and(|leads_to| leads_to.starts_with(target)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_was_noted_and_is_different_now_is_set_back() {
        let note = "vm/overcommit_memory 0\nkernel/panic 0\nkernel/hostname mine\n";
        let now = |name: &str| (name != "kernel/panic_on_oops").then(|| "1".to_owned());
        let expected = vec![("vm/overcommit_memory", "0"), ("kernel/panic", "0")];
        assert_eq!(changed(note, now), expected);
        assert_eq!(changed("kernel/panic 1\nkernel/panic_on_oops 0\n", now), vec![]);
        assert_eq!(changed("", now), vec![]);
    }

    #[test]
    fn links_to_somewhere_else_are_kept() {
        let folder =
            std::env::temp_dir().join(format!("ottla-kubelet-traces-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        symlink("/state/node-1/pod-logs/0.log", folder.join("ours")).unwrap();
        symlink("/state-of-others/0.log", folder.join("theirs")).unwrap();
        remove_links(&folder, Path::new("/state"));
        let left: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["theirs"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
