//! Golden frames: each recorded conversation once more, with a stand-in that insists on the
//! recorded requests, byte by byte.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ottla_kafka::{Cluster, Options, Security};

use crate::conversations::{self, RECORDED_PORT};
use crate::frames::{Frames, NEGOTIATION, dump, path};
use crate::peer::{Peer, Reply};

#[tokio::test]
async fn each_conversation_is_held_as_recorded() {
    for name in conversations::NAMES {
        let expected = read(name).result;
        let result = replay(name).await;
        assert_eq!(result, expected, "the result of {name}");
    }
}

async fn replay(name: &'static str) -> String {
    let mut exchanges = read(NEGOTIATION).exchanges;
    exchanges.extend(read(name).exchanges);
    let count = exchanges.len();
    let next = AtomicUsize::new(0);
    let peer = Peer::start(move |asked| {
        let place = next.fetch_add(1, Ordering::SeqCst);
        assert!(place < count, "{name} asks more than was recorded");
        let (request, answer) = &exchanges[place];
        assert_eq!(dump(&asked.frame), dump(request), "request {place} of {name}");
        Reply::Frame(with_port(answer, asked.port))
    })
    .await;
    let bootstrap = vec![peer.endpoint.clone()];
    let cluster = Cluster::new(bootstrap, &Security::Plaintext, Options::default()).unwrap();
    // Spawned, as the operator's calls are: this compiles only while each call may change threads.
    let held = tokio::spawn(async move { conversations::hold(name, &cluster).await });
    let result = held.await.unwrap();
    assert_eq!(peer.calls().len() + peer.negotiations(), count, "{name} asks less");
    result.replace(&peer.endpoint.port.to_string(), &RECORDED_PORT.to_string())
}

/// An answer that names the stand-in's port where the recorded one stood.
fn with_port(answer: &[u8], port: u16) -> Bytes {
    let recorded = i32::from(RECORDED_PORT).to_be_bytes();
    let mut answer = answer.to_vec();
    for place in 0..answer.len().saturating_sub(recorded.len() - 1) {
        if answer[place..].starts_with(&recorded) {
            answer[place..place + 4].copy_from_slice(&i32::from(port).to_be_bytes());
        }
    }
    answer.into()
}

/// Reads a file of `tests/frames`.
fn read(name: &str) -> Frames {
    let path = path(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mut frames = Frames::default();
    let mut section = ' ';
    for line in text.lines() {
        match line.chars().next() {
            Some('#') | None => {}
            Some('>') => {
                section = '>';
                frames.exchanges.push(Default::default());
            }
            Some(mark @ ('<' | '=')) => section = mark,
            Some(_) if section == '=' => frames.result += &format!("{line}\n"),
            Some(_) => {
                let (request, answer) = frames.exchanges.last_mut().expect("a request is first");
                if section == '>' {
                    request.extend(bytes(line))
                } else {
                    answer.extend(bytes(line))
                }
            }
        }
    }
    frames
}

/// The bytes of one line: behind the place, before the characters.
fn bytes(line: &str) -> Vec<u8> {
    let hex = line.split('|').next().unwrap_or_default();
    let numbers = hex.split_whitespace().skip(1);
    numbers.map(|number| u8::from_str_radix(number, 16).expect("two hexadecimal digits")).collect()
}
