//! Real Kubernetes, real disks, real Kafka: each scenario in a namespace of its own, one after
//! another. Raise a local Kubernetes first: `cargo dev up`, `cargo dev install`, and point
//! `KUBECONFIG` at `cargo dev kubeconfig`. `OTTLA_E2E_KEEP=1` leaves a failed scenario's namespace.

mod e2e {
    //! What scenarios stand on, and the scenarios.

    mod audit;
    mod cluster;
    mod diagnosis;
    mod exec;
    mod kcat;
    mod manifest;
    mod mistakes;
    mod object;
    mod objects;
    mod production;
    mod quickstart;
    mod recreated;
    mod refused;
    mod request;
    mod rights;
    mod stage;
    mod wait;
}
