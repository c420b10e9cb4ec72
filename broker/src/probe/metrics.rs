//! What only Kafka's metrics tell, from the JMX agent in the JVM: logs left to recover, log
//! directories that are offline, brokers in controlled shutdown. Names are compared without case
//! and underscores, so that the rules may write them as they like.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::node::Volume;

/// The longest that a look may take: a starting JVM has better things to do.
const SCRAPE_MAX: Duration = Duration::from_secs(2);
/// The most that is read; a broker with thousands of partitions has some megabytes.
const BODY_BYTES_MAX: usize = 32 << 20;

/// The value of a broker that is in controlled shutdown and not gone yet. The count that Kafka also
/// shows goes on counting brokers that are gone.
const CONTROLLED_SHUTDOWN: f64 = 20.0;

/// The metrics that matter here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metrics(Vec<Sample>);

/// One line.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

/// Parts of the names of the metrics that matter.
const NAMES: [&str; 3] =
    ["remaininglogstorecover", "logdirectoryoffline", "brokerregistrationstate"];

impl Metrics {
    /// Reads the metrics from the JMX agent.
    pub(crate) async fn scrape(port: u16) -> io::Result<Self> {
        let text = timeout(SCRAPE_MAX, get(port)).await.map_err(io::Error::other)??;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(sample);
        Self(samples.filter(|sample| NAMES.iter().any(|name| sample.name.contains(name))).collect())
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.name.contains(name))
    }

    /// Logs left to recover in all directories.
    pub(crate) fn logs_to_recover(&self) -> u64 {
        self.of(NAMES[0]).map(|sample| sample.value.max(0.0) as u64).sum()
    }

    /// Names of the volumes whose directories Kafka took offline.
    pub(crate) fn offline_volumes(&self, volumes: &[Volume]) -> Vec<String> {
        let offline: Vec<&Sample> = self.of(NAMES[1]).filter(|sample| sample.value > 0.0).collect();
        let is_offline = |volume: &&Volume| {
            let label = format!("\"{}\"", volume.log.display());
            offline.iter().any(|sample| sample.labels.contains(&label))
        };
        volumes.iter().filter(is_offline).map(|volume| volume.name.clone()).collect()
    }

    /// How many brokers are in controlled shutdown; none where the metrics do not tell.
    pub(crate) fn brokers_stopping(&self) -> Option<usize> {
        let mut states = self.of(NAMES[2]).peekable();
        states.peek()?;
        Some(states.filter(|sample| sample.value == CONTROLLED_SHUTDOWN).count())
    }
}

/// Name, labels and value of a line such as `name{label="a b"} 1.0`.
fn sample(line: &str) -> Option<Sample> {
    let (left, value) = line.trim_end().rsplit_once(' ')?;
    let (name, labels) = left.split_once('{').unwrap_or((left, ""));
    let name = name.replace('_', "").to_lowercase();
    Some(Sample { name, labels: labels.to_owned(), value: value.parse().ok()? })
}

async fn get(port: u16) -> io::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/metrics").header("host", "localhost").body(Empty::<Bytes>::new());
    let response = sender.send_request(request.map_err(io::Error::other)?).await;
    let body = Limited::new(response.map_err(io::Error::other)?.into_body(), BODY_BYTES_MAX);
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    driver.abort();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::Metrics;
    use crate::node::Volume;

    #[test]
    fn the_metrics_that_matter_are_found() {
        let metrics = Metrics::parse(
            "# HELP x y\n\
             kafka_log_LogManager_remainingLogsToRecover{dir=\"/v/d0/log\",} 12.0\n\
             kafka_log_LogManager_remainingLogsToRecover{dir=\"/v/d1/log\",} 3.0\n\
             kafka_log_logmanager_log_directory_offline{logDirectory=\"/v/d0/log\"} 0.0\n\
             kafka_log_logmanager_log_directory_offline{logDirectory=\"/v/d1/log\"} 1.0\n\
             kafka_controller_kafkacontroller_brokerregistrationstate{broker=\"0\"} 20.0\n\
             kafka_controller_kafkacontroller_brokerregistrationstate{broker=\"1\"} 10.0\n\
             kafka_controller_kafkacontroller_brokerregistrationstate{broker=\"2\"} 30.0\n\
             jvm_threads 7\n",
        );
        let volumes = ["d0", "d1", "d2"].map(|name| Volume::new("/v".as_ref(), name));
        assert_eq!(metrics.logs_to_recover(), 15);
        assert_eq!(metrics.offline_volumes(&volumes), ["d1"]);
        assert_eq!(metrics.brokers_stopping(), Some(1));
    }

    #[test]
    fn no_metrics_say_nothing() {
        let metrics = Metrics::parse("jvm_threads 7\nnonsense\n");
        assert_eq!(metrics.logs_to_recover(), 0);
        assert_eq!(metrics.brokers_stopping(), None);
    }
}
