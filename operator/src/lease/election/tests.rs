//! Elections over an API server that knows only leases, on a clock that the test turns.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use tower::{BoxError, service_fn};

use super::*;

/// What happens to requests on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Network {
    #[default]
    Sound,
    /// Nothing arrives.
    Down,
    /// Everything arrives, and no answer comes back.
    LosesReplies,
    /// Everything arrives, and the caller waits for ever.
    Hangs,
}

#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    writes: u64,
    reads: u64,
}

impl Server {
    fn answer(&mut self, method: &Method, body: &[u8]) -> (StatusCode, Vec<u8>) {
        if *method == Method::GET {
            self.reads += 1;
            return match &self.lease {
                Some(lease) => (StatusCode::OK, serde_json::to_vec(lease).unwrap()),
                None => refusal(StatusCode::NOT_FOUND, "NotFound"),
            };
        }
        let mut lease: Lease = serde_json::from_slice(body).unwrap();
        let current = self.lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if lease.metadata.resource_version != current {
            return refusal(StatusCode::CONFLICT, "Conflict");
        }
        self.writes += 1;
        lease.metadata.resource_version = Some(self.writes.to_string());
        self.lease = Some(lease.clone());
        (StatusCode::OK, serde_json::to_vec(&lease).unwrap())
    }
}

fn refusal(code: StatusCode, reason: &str) -> (StatusCode, Vec<u8>) {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
        "message": "refused", "reason": reason, "code": code.as_u16(),
    });
    (code, status.to_string().into_bytes())
}

#[derive(Clone, Default)]
struct World {
    server: Arc<Mutex<Server>>,
}

impl World {
    fn holder(&self) -> Option<String> {
        let server = self.server.lock().unwrap();
        server.lease.as_ref().and_then(|lease| LeaseRecord::of(lease).holder)
    }

    fn writes(&self) -> u64 {
        self.server.lock().unwrap().writes
    }
}

/// One operator's process as far as elections go.
struct Process {
    network: Arc<Mutex<Network>>,
    leadership: Leadership,
    release: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), LeadershipLost>>,
    metrics: Metrics,
}

impl Process {
    fn start(world: &World, name: &str) -> Self {
        let network = Arc::new(Mutex::new(Network::Sound));
        let metrics = Metrics::new();
        let candidate = Candidate {
            namespace: "kafka-system".into(),
            lease: "ottla-operator".into(),
            installation: "kafka-system/ottla-operator".into(),
            process: name.into(),
        };
        let client = client(world.clone(), network.clone());
        let (election, leadership) = Election::new(client, candidate, metrics.clone());
        let release = CancellationToken::new();
        let running = tokio::spawn(election.run(release.clone()));
        Self { network, leadership, release, running, metrics }
    }

    fn set_network(&self, network: Network) {
        *self.network.lock().unwrap() = network;
    }

    /// Waits until the process leads, for at most two minutes of the paused clock.
    async fn acquires(&mut self) -> bool {
        let patience = Duration::from_secs(120);
        timeout(patience, self.leadership.acquired()).await.unwrap_or(false)
    }

    fn leads(&self) -> bool {
        self.leadership.deadline().is_some()
    }
}

fn client(world: World, network: Arc<Mutex<Network>>) -> Client {
    let service = service_fn(move |request: Request<Body>| {
        let (world, network) = (world.clone(), network.clone());
        async move {
            let method = request.method().clone();
            let body = request.into_body().collect().await?.to_bytes();
            let condition = *network.lock().unwrap();
            if condition == Network::Down {
                return Err(BoxError::from("connection refused"));
            }
            let (status, answer) = world.server.lock().unwrap().answer(&method, &body);
            match condition {
                Network::LosesReplies => Err(BoxError::from("connection reset")),
                Network::Hangs => std::future::pending().await,
                _ => Ok(Response::builder().status(status).body(Body::from(answer))?),
            }
        }
    });
    Client::new(service, "kafka-system")
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_the_other_takes_over_at_once_after_a_release() {
    let world = World::default();
    let first = Process::start(&world, "a");
    seconds(1).await;
    let mut second = Process::start(&world, "b");
    seconds(60).await;
    assert!(first.leads() && !second.leads());
    assert_eq!(world.holder().unwrap(), "kafka-system/ottla-operator_a");
    assert!(first.metrics.encode().unwrap().contains("ottla_leader 1\n"));

    first.release.cancel();
    first.running.await.unwrap().unwrap();
    let released = Instant::now();
    assert!(second.acquires().await);
    assert!(released.elapsed() <= RETRY_EVERY, "{:?}", released.elapsed());
    assert!(first.metrics.encode().unwrap().contains("ottla_leader 0\n"));
}

#[tokio::test(start_paused = true)]
async fn a_leader_at_rest_only_renews() {
    let world = World::default();
    let process = Process::start(&world, "a");
    seconds(1).await;
    let before = world.server.lock().unwrap().reads;
    let writes = world.writes();
    seconds(300).await;
    assert!(process.leads());
    assert_eq!(world.writes() - writes, 60);
    assert_eq!(world.server.lock().unwrap().reads, before);
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_a_network_stops_before_its_successor_starts() {
    for network in [Network::Down, Network::LosesReplies, Network::Hangs] {
        let world = World::default();
        let first = Process::start(&world, "a");
        seconds(1).await;
        let second = Process::start(&world, "b");
        seconds(20).await;
        first.set_network(network);
        let cut = Instant::now();
        while !second.leads() {
            assert!(cut.elapsed() < Duration::from_secs(60), "{network:?}: nobody leads");
            sleep(Duration::from_millis(100)).await;
            assert!(!(first.leads() && second.leads()), "{network:?}: both lead");
        }
        first.running.await.unwrap().unwrap_err();
        assert_eq!(world.holder().unwrap(), "kafka-system/ottla-operator_b");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_ridden_out() {
    let world = World::default();
    let process = Process::start(&world, "a");
    for network in [Network::Down, Network::LosesReplies, Network::Hangs] {
        seconds(11).await;
        process.set_network(network);
        seconds(6).await;
        process.set_network(Network::Sound);
        seconds(11).await;
        assert!(process.leads(), "{network:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_took_or_deleted_is_lost() {
    for deleted in [false, true] {
        let world = World::default();
        let process = Process::start(&world, "a");
        seconds(1).await;
        {
            let mut server = world.server.lock().unwrap();
            server.writes += 1;
            let version = server.writes.to_string();
            let lease = server.lease.as_mut().unwrap();
            lease.metadata.resource_version = Some(version);
            lease.spec.as_mut().unwrap().holder_identity = Some("thief".into());
            if deleted {
                server.lease = None;
            }
        }
        let lost = process.running.await.unwrap().unwrap_err();
        assert!(lost.to_string().contains("kafka-system/ottla-operator"));
        assert!(process.leadership.deadline().is_none());
        assert_eq!(process.leadership.standing(), Standing::Over);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restarted_process_of_the_same_name_goes_on_at_once() {
    let world = World::default();
    let first = Process::start(&world, "a");
    seconds(1).await;
    first.running.abort();
    let mut second = Process::start(&world, "a");
    let started = Instant::now();
    assert!(second.acquires().await);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_crashed_leader_is_replaced_when_its_lease_has_run_out() {
    let world = World::default();
    let first = Process::start(&world, "a");
    seconds(1).await;
    let mut second = Process::start(&world, "b");
    seconds(1).await;
    first.running.abort();
    let crashed = Instant::now();
    assert!(second.acquires().await);
    assert!(crashed.elapsed() >= Duration::from_secs(10), "{:?}", crashed.elapsed());
    assert!(crashed.elapsed() <= DURATION + RETRY_EVERY, "{:?}", crashed.elapsed());
}
