//! The manifests in `crds/manifests` are what the code generates. `OTTLA_GENERATE=1` writes them.

#[test]
fn manifests_are_current() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    for (name, generated) in ottla_crds::manifest::manifests().unwrap() {
        let path = folder.join(name);
        if std::env::var_os("OTTLA_GENERATE").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == generated,
            "{name} is stale: run OTTLA_GENERATE=1 cargo test -p ottla-crds"
        );
    }
}

#[test]
fn a_definition_fits_into_what_kubectl_apply_can_carry() {
    for (name, generated) in ottla_crds::manifest::manifests().unwrap() {
        assert!(generated.len() < 256 * 1024 / 2, "{name} has {} bytes", generated.len());
    }
}
