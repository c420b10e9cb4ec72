//! The Kafka image: a base system, a Java runtime, the jars of one release, and our agent.
//!
//! `broker/image/Dockerfile` makes the same image with Docker.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cache::{self, Inputs};
use crate::image::{Release, VERSION, base, class_archive, jars, java, program};
use crate::keys;
use crate::oci::{self, Image, Layer, LayerWriter};

/// The archive of the image of this release.
pub(crate) fn archive(release: Release) -> anyhow::Result<PathBuf> {
    let source = program::repository().join("broker/image");
    let mut layers = vec![base::layer("base-layer", &[])?, java::layer()?];
    layers.push(kafka_layer(release, &source)?);
    let script = source.join("make-class-archive.sh");
    layers.push(class_archive::layer(release.kafka, &script, &layers)?);

    let agent = program::build("ottla-broker")?;
    let mut inputs = Inputs::new().text(include_str!("kafka.rs")).text(VERSION).file(&agent)?;
    for layer in &layers {
        inputs = inputs.text(&layer.to_string_lossy());
    }
    let folder = cache::folder(&format!("kafka-{}-image", release.kafka), inputs, |folder| {
        let agent_layer = agent_layer(&agent, &folder.join("agent.tar"))?;
        let mut finished = Vec::new();
        for layer in &layers {
            finished.push(Layer::from_tar(layer)?);
        }
        finished.push(agent_layer.clone());
        oci::write(&describe(release, finished), &folder.join("image.tar"))?;
        Ok(fs::remove_file(agent_layer.file)?)
    })?;
    Ok(folder.join("image.tar"))
}

fn describe(release: Release, layers: Vec<Layer>) -> Image {
    let tag = format!("{VERSION}-kafka-{}", release.kafka);
    let environment = [
        ("JAVA_HOME", "/opt/java"),
        ("LANG", "C.UTF-8"),
        ("PATH", "/opt/kafka/bin:/opt/java/bin:/usr/local/bin:/usr/sbin:/usr/bin"),
    ];
    let labels =
        [("org.opencontainers.image.title", "kafka"), ("org.opencontainers.image.version", &tag)];
    Image {
        name: format!("ottla.dev/kafka:{tag}"),
        layers,
        entrypoint: vec!["/opt/ottla/bin/ottla-broker".to_owned()],
        environment: owned(environment),
        user: "1001:1001".to_owned(),
        working_folder: "/".to_owned(),
        labels: owned(labels),
    }
}

/// The folder with the jars of a release's server, with those of its tools where they are of the same
/// release.
pub(crate) fn server_jars(release: Release) -> anyhow::Result<PathBuf> {
    let profiles = if release.is_whole() { "server,tools" } else { "server" };
    jars::folder(&program::repository().join("broker/image/pom.xml"), profiles, release.kafka)
}

/// The jars, the tools and their settings: what changes only with a release of Kafka.
fn kafka_layer(release: Release, source: &Path) -> anyhow::Result<PathBuf> {
    let pom = source.join("pom.xml");
    let server = server_jars(release)?;
    let tools =
        if release.is_whole() { None } else { Some(jars::folder(&pom, "tools", release.tools)?) };
    keys::check(release.kafka, &server)?;
    let metrics = jars::folder(&pom, "metrics", Release::default().kafka)?;
    let mut content = vec![
        Content::new("opt/kafka/bin", source.join("bin"), 0o755),
        Content::new("opt/kafka/config", source.join("config"), 0o644),
        Content::new("opt/kafka/libs", server, 0o644),
        Content::new("opt/ottla/jmx", source.join("jmx"), 0o644),
    ];
    content.extend(tools.map(|tools| Content::new("opt/kafka/tools-libs", tools, 0o644)));

    let mut inputs = Inputs::new().text(release.kafka).folder(&metrics)?;
    for part in &content {
        inputs = inputs.text(part.path).folder(&part.source)?;
    }
    let title = format!("kafka-{}-layer", release.kafka);
    let folder = cache::folder(&title, inputs, |folder| {
        let mut layer = LayerWriter::create(&folder.join("layer.tar"))?;
        for path in ["opt", "opt/kafka", "opt/ottla"] {
            layer.folder(path, 0o755)?;
        }
        layer.bytes("opt/kafka/VERSION", 0o644, format!("{}\n", release.kafka).as_bytes())?;
        for part in &content {
            part.add_to(&mut layer)?;
        }
        for (_, jar) in files(&metrics)? {
            layer.file("opt/ottla/jmx/jmx_prometheus_javaagent.jar", 0o644, &jar)?;
        }
        layer.finish()?;
        Ok(())
    })?;
    Ok(folder.join("layer.tar"))
}

/// A folder of files for the image. Their modes are said, because those in a working copy depend
/// on whose it is.
struct Content {
    path: &'static str,
    source: PathBuf,
    mode: u32,
}

impl Content {
    fn new(path: &'static str, source: PathBuf, mode: u32) -> Self {
        Self { path, source, mode }
    }

    fn add_to(&self, layer: &mut LayerWriter) -> anyhow::Result<()> {
        layer.folder(self.path, 0o755)?;
        for (name, file) in files(&self.source)? {
            layer.file(&format!("{}/{name}", self.path), self.mode, &file)?;
        }
        Ok(())
    }
}

/// The files of a folder with their names, in order.
fn files(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let entries = fs::read_dir(folder)?;
    entries
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
        })
        .collect()
}

fn agent_layer(agent: &Path, file: &Path) -> anyhow::Result<Layer> {
    let mut layer = LayerWriter::create(file)?;
    layer.folder("opt", 0o755)?;
    layer.folder("opt/ottla", 0o755)?;
    layer.folder("opt/ottla/bin", 0o755)?;
    layer.file("opt/ottla/bin/ottla-broker", 0o755, agent)?;
    layer.finish()
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
