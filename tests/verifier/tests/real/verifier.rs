//! The program as a process of its own, and its answers.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ottla_kafka::Endpoint;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A run. Dropping it ends the process.
pub(crate) struct Verifier {
    process: Child,
    address: SocketAddr,
}

impl Verifier {
    pub(crate) fn start(topic: &str, bootstrap: &[Endpoint]) -> Self {
        let bootstrap: Vec<_> = bootstrap.iter().map(Endpoint::to_string).collect();
        // The port is given back, and taken by the process a moment later.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_ottla-verifier"))
            .args(["run", "--topic", topic, "--bootstrap", &bootstrap.join(",")])
            .args(["--listen", &address.to_string()])
            .spawn()
            .unwrap();
        Self { process, address }
    }

    /// Waits until each partition acknowledges a hundred records more.
    pub(crate) async fn goes_on(&self, when: &str) {
        let before = self.acked().await;
        eventually(&format!("records are acknowledged {when}"), || async {
            let now = self.acked().await;
            let enough = |(partition, acked): (usize, &u64)| {
                before.get(partition).is_none_or(|before| *acked >= before + 100)
            };
            now.iter().enumerate().all(enough).then_some(())
        })
        .await;
        println!("{}", self.get("/progress").await.unwrap());
    }

    /// The records acknowledged in each partition.
    async fn acked(&self) -> Vec<u64> {
        let progress = eventually("it answers", || self.get("/progress")).await;
        let partitions = progress["partitions"].as_array().unwrap();
        partitions.iter().map(|one| one["acked"].as_u64().unwrap()).collect()
    }

    /// Ends the run.
    pub(crate) async fn stop(&self) -> Value {
        self.get("/stop").await.unwrap()
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let mut socket = TcpStream::connect(self.address).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: verifier\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        Some(serde_json::from_str(body).unwrap())
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks again until the answer is there, for two minutes.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            println!("{what}: after {} ms", began.elapsed().as_millis());
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "waited two minutes for: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
