//! The command lines of the JVM: Kafka itself and `StorageTool`. No shell is involved.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ottla_crds::agent::{FormatMode, FormatRequest};

use crate::args::Args;
use crate::node::Node;

/// Kafka as the image holds it.
#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    /// The Java launcher.
    pub(crate) java: PathBuf,
    home: PathBuf,
    jmx_folder: PathBuf,
    metrics_port: u16,
}

/// How long addresses of other nodes are believed in, in Kafka's folder.
const SECURITY: &str = "config/java.security";

/// What is logged, likewise.
const LOGGING: &str = "config/log4j2.yaml";

impl Kafka {
    /// The places that the command line gives.
    pub(crate) fn at(args: &Args) -> Self {
        Self {
            java: args.java.clone(),
            home: args.kafka_home.clone(),
            jmx_folder: args.jmx_folder.clone(),
            metrics_port: args.metrics_port,
        }
    }

    /// Runs the node.
    pub(crate) fn server(&self, node: &Node) -> io::Result<Vec<OsString>> {
        let heap = node.document.heap_bytes;
        let mut arguments: Vec<OsString> = vec![
            format!("-Xms{heap}").into(),
            format!("-Xmx{heap}").into(),
            "-XX:+UseG1GC".into(),
            "-XX:MaxGCPauseMillis=20".into(),
            "-XX:InitiatingHeapOccupancyPercent=35".into(),
            "-XX:+ExitOnOutOfMemoryError".into(),
        ];
        arguments.extend(self.common());
        let jmx_agent = self.jmx_folder.join("jmx_prometheus_javaagent.jar");
        if jmx_agent.exists() {
            let rules = self.jmx_folder.join("rules.yaml");
            let port = OsString::from(format!("={}:", self.metrics_port));
            arguments.push(joined(&[
                "-javaagent:".as_ref(),
                jmx_agent.as_ref(),
                &port,
                rules.as_ref(),
            ]));
        }
        arguments.extend(node.document.jvm_options.iter().map(OsString::from));
        arguments.extend(["-cp".into(), self.class_path()?]);
        arguments.extend(["kafka.Kafka".into(), node.server_properties.clone().into()]);
        Ok(arguments)
    }

    /// Formats the node's folders that are not formatted yet. It lives for a second or two, so the
    /// collector and compiler that start fastest serve it best.
    pub(crate) fn format(&self, node: &Node, request: &FormatRequest) -> io::Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> =
            vec!["-Xmx128m".into(), "-XX:+UseSerialGC".into(), "-XX:TieredStopAtLevel=1".into()];
        arguments.extend(self.common());
        arguments.extend(["-cp".into(), self.class_path()?]);
        arguments.extend(["kafka.tools.StorageTool", "format", "-t"].map(OsString::from));
        arguments.push(request.cluster_id.clone().into());
        arguments.extend(["-c".into(), node.server_properties.clone().into()]);
        arguments.push("--ignore-formatted".into());
        match &request.mode {
            FormatMode::InitialControllers(voters) => {
                arguments.extend(["--initial-controllers".into(), voters.into()]);
            }
            FormatMode::NoInitialControllers => arguments.push("--no-initial-controllers".into()),
            FormatMode::Plain => {}
        }
        for (feature, level) in &request.features {
            arguments.extend(["--feature".into(), format!("{feature}={level}").into()]);
        }
        Ok(arguments)
    }

    /// What both have in common.
    fn common(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-Djava.awt.headless=true".into()];
        let archive = self.home.join("kafka.jsa");
        if archive.exists() {
            arguments.push(joined(&["-XX:SharedArchiveFile=".as_ref(), archive.as_ref()]));
            arguments.push("-Xshare:auto".into());
        }
        let security = self.home.join(SECURITY);
        if security.exists() {
            arguments.push(joined(&["-Djava.security.properties=".as_ref(), security.as_ref()]));
        }
        let logging = self.home.join(LOGGING);
        if logging.exists() {
            arguments.push(joined(&["-Dlog4j2.configurationFile=".as_ref(), logging.as_ref()]));
        }
        arguments
    }

    /// All jars, by name. Java's own `libs/*` follows the order of the folder, which differs from
    /// one unpacking to the next, and a class data archive is used only with the very class path
    /// that it was made with.
    fn class_path(&self) -> io::Result<OsString> {
        let libs = self.home.join("libs");
        let mut jars = jars(&libs).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot list {}: {error}", libs.display()))
        })?;
        jars.sort();
        Ok(jars.join(OsStr::new(":")))
    }
}

fn jars(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut jars = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("jar")) {
            jars.push(path.into_os_string());
        }
    }
    Ok(jars)
}

fn joined(parts: &[&OsStr]) -> OsString {
    parts.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use ottla_crds::agent::{FormatMode, FormatRequest};

    use super::{Kafka, LOGGING, SECURITY};
    use crate::node::tests::document;
    use crate::node::{Node, Volume};
    use crate::scratch::Scratch;

    fn node() -> Node {
        let volumes = vec![Volume::new("/v".as_ref(), "d0")];
        let mut document = document();
        document.jvm_options = vec!["-Xlog:gc".to_owned()];
        Node { document, volumes, server_properties: PathBuf::from("/c/server.properties") }
    }

    fn kafka(scratch: &Scratch) -> Kafka {
        scratch.write("libs/b.jar", "");
        scratch.write("libs/a.jar", "");
        scratch.write("libs/NOTICE", "");
        Kafka {
            java: PathBuf::from("/java"),
            home: scratch.path().to_owned(),
            jmx_folder: scratch.path().join("jmx"),
            metrics_port: 9404,
        }
    }

    /// The arguments as one line, with the temporary folder written as `K`.
    fn line(scratch: &Scratch, arguments: std::io::Result<Vec<OsString>>) -> String {
        let line = arguments.unwrap().join(" ".as_ref()).into_string().unwrap();
        line.replace(&scratch.path().display().to_string(), "K")
    }

    #[test]
    fn the_server_is_started_without_what_is_not_there() {
        let scratch = Scratch::new();
        let kafka = kafka(&scratch);
        assert_eq!(
            line(&scratch, kafka.server(&node())),
            "-Xms536870912 -Xmx536870912 -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
             -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExitOnOutOfMemoryError \
             -Djava.awt.headless=true -Xlog:gc -cp K/libs/a.jar:K/libs/b.jar \
             kafka.Kafka /c/server.properties"
        );
    }

    #[test]
    fn the_server_is_started_with_what_the_image_holds() {
        let scratch = Scratch::new();
        let kafka = kafka(&scratch);
        scratch.write("kafka.jsa", "");
        scratch.write("config/java.security", "");
        scratch.write("config/log4j2.yaml", "");
        scratch.write("jmx/jmx_prometheus_javaagent.jar", "");
        let line = line(&scratch, kafka.server(&node()));
        assert!(line.contains(
            "-Djava.awt.headless=true -XX:SharedArchiveFile=K/kafka.jsa -Xshare:auto \
             -Djava.security.properties=K/config/java.security \
             -Dlog4j2.configurationFile=K/config/log4j2.yaml \
             -javaagent:K/jmx/jmx_prometheus_javaagent.jar=9404:K/jmx/rules.yaml -Xlog:gc -cp"
        ));
    }

    /// What is not there is done without, and nobody would notice.
    #[test]
    fn the_image_holds_what_the_server_is_started_with() {
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("image");
        for file in [SECURITY, LOGGING] {
            assert!(image.join(file).exists(), "{file} is missing");
        }
    }

    #[test]
    fn formats_have_the_flags_of_their_mode() {
        let scratch = Scratch::new();
        let kafka = kafka(&scratch);
        let table = [
            (FormatMode::Plain, ""),
            (FormatMode::NoInitialControllers, " --no-initial-controllers"),
            (
                FormatMode::InitialControllers("3@h:9090:dir".to_owned()),
                " --initial-controllers 3@h:9090:dir",
            ),
        ];
        for (mode, flags) in table {
            let features = BTreeMap::from([("metadata.version".to_owned(), "29".to_owned())]);
            let cluster_id = "clusterA".to_owned();
            let request =
                FormatRequest { cluster_id, node_id: 3, volumes: Vec::new(), mode, features };
            let line = line(&scratch, kafka.format(&node(), &request));
            let expected = format!(
                "-cp K/libs/a.jar:K/libs/b.jar kafka.tools.StorageTool format -t clusterA \
                 -c /c/server.properties --ignore-formatted{flags} --feature metadata.version=29"
            );
            assert!(line.ends_with(&expected), "{line}");
        }
    }

    #[test]
    fn a_missing_kafka_is_named() {
        let scratch = Scratch::new();
        let mut kafka = kafka(&scratch);
        kafka.home = PathBuf::from("/no/kafka");
        let error = kafka.server(&node()).unwrap_err().to_string();
        assert!(error.starts_with("cannot list /no/kafka/libs: "), "{error}");
    }
}
