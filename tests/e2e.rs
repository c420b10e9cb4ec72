//! Real Kubernetes, real disks, real Kafka: each scenario in a namespace of its own, one after
//! another. Raise a local Kubernetes first: `cargo dev up`, `cargo dev install`, load the archives of
//! `cargo dev image --all-versions client verifier` with `cargo dev load`, and point `KUBECONFIG` at
//! `cargo dev kubeconfig` and `OTTLA_HELM` at a Helm. `OTTLA_E2E_KEEP=1` leaves a failed scenario's
//! namespace.

mod e2e {
    //! What scenarios stand on, and the scenarios.

    mod audit;
    mod authority;
    mod brokers;
    mod canary;
    mod cluster;
    mod configured;
    mod conformance;
    mod crashes;
    mod diagnosis;
    mod disk;
    mod disks;
    mod drained;
    mod drift;
    mod exec;
    mod firewall;
    mod kcat;
    mod killed;
    mod manifest;
    mod mistakes;
    mod neighbours;
    mod object;
    mod objects;
    mod operator;
    mod production;
    mod quickstart;
    mod recreated;
    mod refused;
    mod releases;
    mod request;
    mod rest;
    mod restarted;
    mod rights;
    mod stage;
    mod upgraded;
    mod verifier;
    mod volumes;
    mod voters;
    mod wait;
    mod worn;
}
