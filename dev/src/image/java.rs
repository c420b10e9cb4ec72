//! The layer with the Java runtime: the modules that Kafka uses, and no more.

use std::path::{Path, PathBuf};

use crate::cache::{self, Inputs};
use crate::command::{command, run};
use crate::oci::{self, LayerWriter};
use crate::packages;

/// The modules that Kafka's broker, its tools, Connect and the JMX agent use. java.desktop is
/// there for its beans, which log4j and commons-beanutils need.
const MODULES: &str = "java.base,java.desktop,java.instrument,java.logging,java.management,\
    java.management.rmi,java.naming,java.rmi,java.scripting,java.security.jgss,\
    java.security.sasl,java.sql,java.xml,jdk.crypto.ec,jdk.httpserver,jdk.management,\
    jdk.management.agent,jdk.net,jdk.security.auth,jdk.security.jgss,jdk.unsupported,jdk.zipfs";

/// The compressed form starts as fast, because most classes come out of the class data archive.
const FLAGS: [&str; 4] =
    ["--strip-java-debug-attributes", "--no-man-pages", "--no-header-files", "--compress=2"];

/// The tar of a runtime at `/opt/java`.
pub(crate) fn layer() -> anyhow::Result<PathBuf> {
    let jdk = format!("/usr/lib/jvm/java-17-openjdk-{}", oci::architecture());
    let jlink = format!("{jdk}/bin/jlink");
    packages::install(&[("openjdk-17-jdk-headless", &jlink)])?;
    let inputs = Inputs::new()
        .text(MODULES)
        .text(&FLAGS.join(" "))
        .file(&Path::new(&jdk).join("release"))?;
    let folder = cache::folder("java-layer", inputs, |folder| make(&jlink, folder))?;
    Ok(folder.join("layer.tar"))
}

fn make(jlink: &str, folder: &Path) -> anyhow::Result<()> {
    let java = folder.join("java");
    let modules = ["--add-modules", MODULES];
    run(command(jlink, FLAGS).args(modules).arg("--output").arg(&java))?;
    // The class data of Java's own classes; that of Kafka's is made on top of it.
    run(&mut command(java.join("bin/java"), ["-XX:+UseG1GC", "-Xshare:dump"]))?;
    let mut layer = LayerWriter::create(&folder.join("layer.tar"))?;
    layer.folder("opt", 0o755)?;
    layer.tree("opt/java", &java)?;
    layer.finish()?;
    Ok(std::fs::remove_dir_all(java)?)
}
