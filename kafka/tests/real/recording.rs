//! Records the conversations of `tests/frames` through a proxy in front of a real node.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use kafka_protocol::messages::ApiKey;
use ottla_kafka::{Cluster, Endpoint, Options, Security};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::conversations::{self, RECORDED_PORT};
use crate::eventually;
use crate::frames::{Frames, NEGOTIATION, dump, path};
use crate::kafka::Kafka;

type Exchanges = Arc<Mutex<Vec<(Vec<u8>, Vec<u8>)>>>;

/// Records each conversation anew, on a connection of its own.
pub(crate) async fn record() {
    let kafka = Kafka::start(1, Some(RECORDED_PORT)).await;
    let direct = Cluster::new(kafka.plain(), &Security::Plaintext, Options::default()).unwrap();
    eventually("a live broker", || async {
        let nodes = direct.describe_cluster().await.ok()?.nodes;
        nodes.iter().any(|node| node.fenced == Some(false)).then_some(())
    })
    .await;

    let exchanges = Exchanges::default();
    let listener = TcpListener::bind(("127.0.0.1", RECORDED_PORT)).await.unwrap();
    tokio::spawn(proxy(listener, kafka.plain()[0].clone(), Arc::clone(&exchanges)));
    for name in conversations::NAMES {
        let bootstrap = vec![Endpoint::new("127.0.0.1", RECORDED_PORT)];
        let cluster = Cluster::new(bootstrap, &Security::Plaintext, Options::default()).unwrap();
        let result = conversations::hold(name, &cluster).await;
        let mut recorded = std::mem::take(&mut *exchanges.lock().unwrap());
        let negotiation = Frames { exchanges: vec![recorded.remove(0)], result: String::new() };
        save(NEGOTIATION, &negotiation);
        save(name, &Frames { exchanges: recorded, result });
    }
}

/// Writes a file of `tests/frames`.
fn save(name: &str, frames: &Frames) {
    let mut text = format!("# {name}, recorded from Kafka by `cargo test --test real`.\n");
    for (request, answer) in &frames.exchanges {
        let (key, version) = (i16::from(request[1]), request[3]);
        let name = ApiKey::try_from(key).map_or(format!("call {key}"), |key| format!("{key:?}"));
        writeln!(text, "\n> {name}, version {version}").unwrap();
        text += &dump(request);
        text += "\n< answer\n";
        text += &dump(answer);
    }
    if !frames.result.is_empty() {
        text += "\n= result\n";
        text += &frames.result;
    }
    std::fs::write(path(name), text).unwrap();
}

/// Passes whole frames on, one connection after another.
async fn proxy(listener: TcpListener, node: Endpoint, exchanges: Exchanges) {
    while let Ok((client, _)) = listener.accept().await {
        let node = TcpStream::connect((node.host.as_str(), node.port)).await.unwrap();
        let exchanges = Arc::clone(&exchanges);
        tokio::spawn(async move { pass_on(client, node, &exchanges).await });
    }
}

async fn pass_on(mut client: TcpStream, mut node: TcpStream, exchanges: &Exchanges) {
    while let Some(request) = read(&mut client).await {
        write(&mut node, &request).await;
        let Some(answer) = read(&mut node).await else { return };
        exchanges.lock().unwrap().push((request, answer.clone()));
        write(&mut client, &answer).await;
    }
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

async fn write(stream: &mut TcpStream, frame: &[u8]) {
    stream.write_u32(frame.len() as u32).await.unwrap();
    stream.write_all(frame).await.unwrap();
}
